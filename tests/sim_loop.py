"""An event loop in made-up time: nothing waits, disks are slow, and a process can be killed.

Threads are not started: what goes to an executor runs on the loop, a made-up moment later. Whatever
was started inside of a `Life` belongs to it; after `kill` none of it runs again, as after kill -9.
One seed gives one history.
"""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import selectors
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from random import Random

_T = TypeVar("_T")
_LIFE: contextvars.ContextVar[Life | None] = contextvars.ContextVar("life", default=None)


class Life:
    """One process, from its start to its end."""

    def __init__(self) -> None:
        self.alive = True
        self._context = contextvars.copy_context()
        self._context.run(_LIFE.set, self)

    def start(self, loop: SimLoop, work: Coroutine[Any, Any, _T]) -> asyncio.Task[_T]:
        """Run `work` inside of this life. Whoever awaits the task outlives it."""
        return loop.create_task(work, context=self._context.copy())

    def kill(self) -> None:
        """kill -9."""
        self.alive = False


class NothingLeft(Exception):
    """Everybody waits for something that will never happen."""


class _NoWaiting(selectors.DefaultSelector):
    """Moves the loop's clock on instead of waiting."""

    loop: SimLoop

    def select(self, timeout: float | None = None) -> list[Any]:
        if timeout is None:
            raise NothingLeft
        self.loop.now_s += max(timeout, 0.0)
        return []


class SimLoop(asyncio.SelectorEventLoop):
    """See the module. `disk_s_max` is how long an executor's work may take."""

    def __init__(self, dice: Random) -> None:
        self.now_s = 0.0
        self.dice, self.disk_s_max = dice, 0.05
        self.ended = False
        self.outside = contextvars.Context()  # of nobody's life
        self._kept: list[asyncio.Task[Any]] = []  # a task that is forgotten would run its `finally`
        selector = _NoWaiting()
        super().__init__(selector)
        selector.loop = self
        self.set_task_factory(self._new_task)
        self.set_exception_handler(lambda *_: None)  # of those whose client is gone

    def time(self) -> float:
        """Seconds since the beginning."""
        return self.now_s

    def _new_task(
        self, loop: asyncio.AbstractEventLoop, work: Any, **named: Any
    ) -> asyncio.Task[Any]:
        task: asyncio.Task[Any] = asyncio.Task(work, loop=loop, **named)
        task._log_destroy_pending = False  # type: ignore[attr-defined]  # those that were killed
        self._kept.append(task)
        return task

    def call_soon(  # type: ignore[override]  # whatever they take
        self, callback: Any, *args: Any, context: Any = None
    ) -> asyncio.Handle:
        """As every loop, for those who live."""
        context = (
            contextvars.copy_context() if context is None else context
        )  # an empty one is false
        return super().call_soon(self._of_the_living(callback, context), *args, context=context)

    def call_at(  # type: ignore[override]  # likewise
        self, when: float, callback: Any, *args: Any, context: Any = None
    ) -> asyncio.TimerHandle:
        """As every loop, for those who live."""
        context = (
            contextvars.copy_context() if context is None else context
        )  # an empty one is false
        guarded = self._of_the_living(callback, context)
        return super().call_at(when, guarded, *args, context=context)

    def _of_the_living(
        self, callback: Callable[..., object], context: contextvars.Context
    ) -> Callable[..., None]:
        life = context.get(_LIFE)

        def run(*args: Any) -> None:
            if (life is None or life.alive) and not self.ended:
                callback(*args)

        return run

    def run_in_executor(  # type: ignore[override]  # likewise
        self, executor: Any, func: Any, *args: Any
    ) -> asyncio.Future[Any]:
        """Do it on the loop after a while; never, where its process is killed before."""
        future: asyncio.Future[Any] = self.create_future()

        def work() -> None:
            if future.cancelled():
                return
            try:
                future.set_result(func(*args))
            except Exception as e:  # noqa: BLE001 -- whoever waits hears of it
                future.set_exception(e)

        self.call_later(self.dice.uniform(0, self.disk_s_max), work)
        return future

    def end(self) -> None:
        """Nothing runs any more, whoever still lives."""
        self.ended = True
        for task in self._kept:
            with contextlib.suppress(RuntimeError):  # a `finally` that would go on waiting
                if not task.done():
                    task.get_coro().close()
        self.close()
