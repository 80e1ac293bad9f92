"""A thread of its own for a client that blocks; an event loop waits for it only so long."""

from __future__ import annotations

import asyncio
import queue
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

_T = TypeVar("_T")


class Worker:
    """Runs what it is given, in order, on a daemon thread that begins with the first work.

    A daemon: whatever the library waits for, the process can end.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._queue: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None

    def post(self, work: Callable[[], None]) -> None:
        """Run `work` when its turn comes; it must not raise."""
        self._queue.put(work)
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name=self._name, daemon=True)
            self._thread.start()

    async def run(self, work: Callable[[], _T], limit_s: float) -> _T:
        """What `work` gives. Raises: what it raises; TimeoutError after `limit_s`.

        Work that nobody waits for any more when its turn comes is left out.
        """
        loop = asyncio.get_running_loop()
        future: asyncio.Future[_T] = loop.create_future()

        def do() -> None:
            if future.done():
                return
            try:
                result = work()
            except Exception as e:  # noqa: BLE001 -- the edge of a thread: whoever waits must hear of it
                self._tell(loop, future, None, e)
            else:
                self._tell(loop, future, result, None)

        self.post(do)
        async with asyncio.timeout(limit_s):
            return await future

    @staticmethod
    def _tell(
        loop: asyncio.AbstractEventLoop,
        future: asyncio.Future[_T],
        result: _T | None,
        error: Exception | None,
    ) -> None:
        def tell() -> None:
            if future.done():
                return
            if error is None:
                future.set_result(result)  # type: ignore[arg-type]  # there is one, or an error
            else:
                future.set_exception(error)

        with suppress(RuntimeError):  # the loop is closed: nobody waits
            loop.call_soon_threadsafe(tell)

    def stop(self) -> None:
        """End the thread when it has come to this."""
        self._queue.put(None)

    async def joined(self, limit_s: float) -> bool:
        """Whether the thread has ended within `limit_s`; `stop` it first."""
        loop = asyncio.get_running_loop()
        until_s = loop.time() + limit_s
        while self._thread is not None and self._thread.is_alive():
            if loop.time() >= until_s:
                return False
            await asyncio.sleep(0.01)
        return True

    def _run(self) -> None:
        while (work := self._queue.get()) is not None:
            work()
