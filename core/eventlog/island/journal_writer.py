"""What an island keeps, on its way into the journal: what waits goes in one transaction."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING, Final, NamedTuple, TypeVar

from core.commit import Kept
from core.errors import KontaktcenterError
from core.eventlog.flights import unforeseen
from core.eventlog.island.lanes import entry_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from core.eventlog.envelope import Claim
    from core.eventlog.island.journal import Journal
    from core.eventlog.island.journal_file import Entry
    from core.eventlog.island.lanes import Lane

_T = TypeVar("_T")
FACTS: Final = "facts"  # the note of how many facts the island of now has kept


class _Keeping(NamedTuple):
    """Entries on their way; `own` are events of the node itself, which are never given up."""

    lane: Lane
    entries: list[Entry]
    future: asyncio.Future[list[Kept]]
    own: bool


class JournalWriter:
    """Writes one journal. On the node's loop; the journal has a thread of its own.

    `notes` go with the next transaction.
    """

    def __init__(self, journal: Journal) -> None:
        self.facts = 0
        self.notes: dict[str, str | None] = {}
        self._journal = journal
        self._pending: list[_Keeping] = []
        self._untold: list[_Keeping] = []
        self._flushing: asyncio.Task[None] | None = None
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="journal")

    def keep(
        self, lane: Lane, raws: Sequence[bytes], claims: Sequence[Claim], *, own: bool
    ) -> asyncio.Future[list[Kept]]:
        """Put commits at a lane's end; resolves when they are on the disk.

        It fails with Unavailable where they are certainly not, with Unknown or Corrupt.
        """
        book = lane.shard.genesis.book
        entries = [entry_of(book, raw, claim) for raw, claim in zip(raws, claims, strict=True)]
        future: asyncio.Future[list[Kept]] = asyncio.get_running_loop().create_future()
        future.add_done_callback(_heard)
        untold, self._untold = self._untold, []
        for each in (*untold, _Keeping(lane, entries, future, own)):
            each.lane.rows += len(each.entries)
            self._pending.append(each)
        if self._flushing is None or self._flushing.done():
            self._flushing = asyncio.ensure_future(self._flush())
        return future

    async def _flush(self) -> None:
        """Write what waits, all of it in one transaction, as long as something comes."""
        while self._pending:
            batch, self._pending = self._pending, []
            notes, self.notes = {FACTS: str(self.facts), **self.notes}, {}
            entries = [entry for each in batch for entry in each.entries]
            try:
                numbers = await self.on_journal(partial(self._journal.keep, entries, notes))
            except Exception as e:  # noqa: BLE001 -- the edge of a task: whoever waits must hear of it
                self.notes = {**notes, **self.notes}
                error = e if isinstance(e, KontaktcenterError) else unforeseen(e)
                for each in batch:
                    self._not_kept(each, error)
                continue
            for each in batch:
                these, numbers = numbers[: len(each.entries)], numbers[len(each.entries) :]
                each.lane.rows -= sum(not new for _, new in these)
                if not each.future.done():
                    each.future.set_result([Kept(n) for n, _ in these])

    def _not_kept(self, keeping: _Keeping, error: KontaktcenterError) -> None:
        keeping.lane.rows -= len(keeping.entries)
        if keeping.own:
            self._untold.append(keeping)  # with the next that is kept
        else:
            self.facts = max(0, self.facts - len(keeping.entries))
        if not keeping.future.done():
            keeping.future.set_exception(error)

    @property
    def writing(self) -> bool:
        """Whether something is on its way into the journal."""
        return bool(self._pending) or (self._flushing is not None and not self._flushing.done())

    async def on_journal(self, work: Callable[[], _T]) -> _T:
        """Run work on the journal's own thread."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)

    async def close(self) -> None:
        """Write what waits, and let go of the journal."""
        if self._flushing is not None:
            await asyncio.gather(self._flushing, return_exceptions=True)
        self._thread.shutdown(wait=True)
        self._journal.close()


def _heard(future: asyncio.Future[list[Kept]]) -> None:
    """An error that nobody waits for any more was told by the journal's own state."""
    if not future.cancelled():
        future.exception()
