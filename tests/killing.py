"""A node that is killed in this process: its tasks and timers end where they are, nothing is told.

What its threads have begun with a file ends, as a write does that the kernel has taken.
"""

from __future__ import annotations

import asyncio
import os
from contextlib import suppress
from contextvars import Context, ContextVar, copy_context
from typing import TYPE_CHECKING, Any, TypeVar
from weakref import WeakSet

if TYPE_CHECKING:
    from collections.abc import Coroutine

    from core.eventlog.node import Node

_T = TypeVar("_T")
_OWNER: ContextVar[WeakSet[asyncio.Task[Any]] | None] = ContextVar("owner", default=None)


class Killable:
    """A node, and the tasks that it made."""

    def __init__(self, node: Node, tasks: WeakSet[asyncio.Task[Any]], context: Context) -> None:
        self.node, self._tasks, self._context, self._dead = node, tasks, context, False

    def begin(self, work: Coroutine[Any, Any, _T]) -> asyncio.Task[_T]:
        """Work that ends with the node."""
        task = asyncio.get_running_loop().create_task(work, context=self._context)
        self._tasks.add(task)
        return task

    async def kill(self) -> None:
        """End it here. Safe to repeat."""
        if self._dead:
            return
        self._dead = True
        node, island = self.node, self.node.island
        if island is not None and island._sweeping is not None:
            island._sweeping.cancel()
        for task in list(self._tasks):
            task.cancel()
        for shard in node.books.shards.values():
            writer = shard.writer
            writer._closed = True
            if writer._timer is not None:
                writer._timer.cancel()
        for task in list(self._tasks):
            with suppress(BaseException):
                await asyncio.wait({task}, timeout=5)
        for shard in node.books.shards.values():
            await asyncio.to_thread(shard.writer._thread.shutdown, wait=True)
        if island is not None:
            await asyncio.to_thread(island.writer._thread.shutdown, wait=True)
        os.close(node._folder)


def _owned(
    loop: asyncio.AbstractEventLoop, work: Coroutine[Any, Any, Any], **more: Any
) -> asyncio.Task[Any]:
    task = asyncio.Task(work, loop=loop, **more)
    owner = _OWNER.get()
    if owner is not None:
        owner.add(task)
    return task


async def killable(opening: Coroutine[Any, Any, Node]) -> Killable:
    """The node that `opening` gives; its tasks, and the tasks of those, are its own."""
    asyncio.get_running_loop().set_task_factory(_owned)  # type: ignore[arg-type]  # typeshed wants one name
    tasks: WeakSet[asyncio.Task[Any]] = WeakSet()
    context = copy_context()
    context.run(_OWNER.set, tasks)
    task = asyncio.get_running_loop().create_task(opening, context=context)
    tasks.add(task)
    return Killable(await task, tasks, context)
