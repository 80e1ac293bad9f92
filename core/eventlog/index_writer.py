"""What has been judged, on its way into the index: one batch at a time, beside the judging."""

from __future__ import annotations

import asyncio
import sqlite3
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from core.errors import Corrupt, KontaktcenterError, Unavailable
from core.eventlog.sqlite_errors import is_surroundings
from core.limits import INDEX_BUSY_COMMITS, INDEX_DELAY_BUSY_S, INDEX_DELAY_S, INDEX_STEADY_S

if TYPE_CHECKING:
    from collections.abc import Callable

    from core.eventlog.index.index import Index
    from core.eventlog.index.rows import Batch, Mark
    from core.eventlog.state import ShardState

_RETRY_S = 0.5


class IndexWriter:
    """Writes the batches of one shard. All methods on the node's loop.

    `on_indexed` is called after each batch that is there; `on_broken` once, where the file cannot
    be trusted.
    """

    def __init__(
        self,
        state: ShardState,
        index: Index,
        on_indexed: Callable[[], None],
        on_broken: Callable[[KontaktcenterError], None],
    ) -> None:
        self.error: str | None = None
        self.finishing: asyncio.Task[None] | None = None  # while the index of a bulk load is made
        self._state, self._index = state, index
        self._on_indexed, self._on_broken = on_indexed, on_broken
        self._thread = ThreadPoolExecutor(1, thread_name_prefix=f"index-{index.path.stem}")
        self._writing = asyncio.Lock()
        self._unwritten: tuple[Batch, Mark] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._gathering = False
        self._wrote_s = float("-inf")  # by the loop's clock
        self._tasks: set[asyncio.Task[bool]] = set()
        self._closed = False

    def soon(self, delay_s: float = INDEX_DELAY_S) -> None:
        """Write after `delay_s` what has been judged by then; where it is much, a little later."""
        if self._timer is None and not self._closed:
            loop = asyncio.get_running_loop()
            steady_s = self._wrote_s + INDEX_STEADY_S - loop.time()
            self._timer = loop.call_later(max(delay_s, steady_s), self._due)

    def _due(self) -> None:
        self._timer = None
        waiting = self._state.position - self._index.mark.position
        self._gathering = waiting >= INDEX_BUSY_COMMITS and not self._gathering
        if self._gathering:  # names come in no order: a batch five times larger costs half as much
            self.soon(INDEX_DELAY_BUSY_S)
        else:
            self._wrote_s = asyncio.get_running_loop().time()
            self.start()

    def start(self) -> asyncio.Task[bool]:
        """Begin to write what has been judged so far; the task says whether it is there."""
        task = asyncio.ensure_future(self.flush())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def flush(self) -> bool:
        """Write what waits.

        After an error it is kept and tried again; the position stays where it was.
        """
        until = self._state.next_offset  # not what is judged meanwhile: judging goes on beside this
        async with self._writing:
            while self._unwritten is not None or self._index.mark.next_offset < until:
                self._unwritten = self._unwritten or self._state.take_batch()
                if not await self._try(self._unwritten):
                    return False
                (_, self._index.mark), self._unwritten = self._unwritten, None
                self._state.was_indexed(self._index.mark)
                self._on_indexed()
            self.error = None
        return True

    async def _try(self, unwritten: tuple[Batch, Mark]) -> bool:
        loop = asyncio.get_running_loop()
        try:
            await loop.run_in_executor(self._thread, self._index.write, *unwritten)
        except sqlite3.Error as e:
            if is_surroundings(e):
                self.error = (
                    f"the index {self._index.path} cannot be written ({e}): free some space, "
                    "check the disk"
                )
                self.soon(_RETRY_S)
            else:
                self._broken(self._index.damaged(str(e)))
            return False
        except Unavailable as e:
            self.error = str(e)
            self.soon(_RETRY_S)
            return False
        except Exception as e:  # noqa: BLE001 -- the edge of a task that nobody awaits; a silent stall is worse
            self._broken(self._index.damaged(f"{type(e).__name__}: {e}"))
            return False
        return True

    def _broken(self, error: Corrupt) -> None:
        self.error = str(error)
        self._on_broken(error)

    def begin_finishing(self) -> None:
        """Begin what ends a bulk load; `settle` waits for it."""
        self.finishing = asyncio.ensure_future(self._finish_bulk())

    async def _finish_bulk(self) -> None:
        """Write the rest of a bulk load, make the look-ups, and only then read from the index.

        Until then judging goes by memory alone, which holds everything; what is asked of the index
        waits.
        """
        looked_up = False
        while self._index.bulk and not self._closed:
            if not await self.flush():
                await asyncio.sleep(_RETRY_S)
            elif not looked_up:
                looked_up = await self._look_up()
            elif self._state.mark() == self._index.mark:
                self._index.bulk = False
        self._on_indexed()

    async def _look_up(self) -> bool:
        loop = asyncio.get_running_loop()
        try:
            await loop.run_in_executor(self._thread, self._index.make_lookups)
        except sqlite3.Error as e:
            if not is_surroundings(e):
                self._broken(self._index.damaged(str(e)))
                raise self._index.damaged(str(e)) from e
            self.error = (
                f"the index {self._index.path} cannot be made ({e}): free some space, check the "
                "disk"
            )
            await asyncio.sleep(_RETRY_S)
            return False
        return True

    async def settle(self) -> None:
        """Return when all that was judged so far is in the index.

        Raises: Unavailable where it cannot be written.
        """
        if self.finishing is not None:
            await asyncio.shield(self.finishing)
        if not await asyncio.shield(
            self.start()
        ):  # whoever asked may go away in the middle of a write
            raise Unavailable(self.error or "", neighbour="index", retry_after_s=5)

    async def close(self) -> None:
        """Write what waits, if that is possible, and let go."""
        self._closed = True
        if self._timer is not None:
            self._timer.cancel()
        ending = [self.finishing] if self.finishing is not None else []
        await asyncio.gather(*self._tasks, *ending, return_exceptions=True)
        await self.flush()
        self._thread.shutdown(wait=True)
        self._index.close()
