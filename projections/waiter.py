"""Waiting for a node from another thread: `Node.changed` on its own loop, to be broken off."""

from __future__ import annotations

import asyncio
import concurrent.futures
from typing import TYPE_CHECKING, Any, Final, cast

if TYPE_CHECKING:
    from collections.abc import Mapping

_GRACE_S: Final = 5.0  # beyond the wait itself; a loop that is gone answers nothing


class Waiter:
    """Waits for news of one node. `cancel` ends the wait under way, and all later ones, at once."""

    def __init__(self, node: Any, loop: asyncio.AbstractEventLoop) -> None:
        self._node = node
        self._loop = loop
        self._cancelled = False
        self._wait: concurrent.futures.Future[bool] | None = None

    def wait(self, seen: Mapping[str, int], timeout_s: float) -> bool:
        """Return when the node is beyond `seen`, the time is over or `cancel` was called."""
        work = self._node.changed(seen, timeout_s)
        try:
            self._wait = asyncio.run_coroutine_threadsafe(work, self._loop)
        except RuntimeError:  # the loop is closed: the node is going away
            work.close()
            return False
        if self._cancelled:
            self._wait.cancel()
        try:
            return self._wait.result(timeout_s + _GRACE_S)
        except (concurrent.futures.CancelledError, TimeoutError):
            return False

    def cancel(self) -> None:
        """End it."""
        self._cancelled = True
        if self._wait is not None:
            self._wait.cancel()


async def _running() -> asyncio.AbstractEventLoop:
    return asyncio.get_running_loop()


def waiter_for(node: Any, loop: asyncio.AbstractEventLoop | None) -> Waiter:
    """The waiter for a `BlockingNode`, or for a `Node` on `loop` or on the loop that runs here."""
    if hasattr(node, "call"):
        return Waiter(node.node, cast(asyncio.AbstractEventLoop, node.call(_running())))
    return Waiter(node, loop or asyncio.get_running_loop())
