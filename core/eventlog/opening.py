"""A shard's log, read from where its index ends: whether it is the same log, and what is new."""

from __future__ import annotations

import asyncio
import gc
from typing import TYPE_CHECKING

from core.errors import Corrupt, NeedsUpgrade, Unavailable
from core.eventlog.envelope import Genesis, encode_genesis
from core.eventlog.index.index import JUDGED_COLUMNS
from core.eventlog.reading import check_genesis, check_tail, judge_record
from core.limits import BULK_BATCH_COMMITS, FORMAT, READ_RECORDS_MAX

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from core.eventlog.index_writer import IndexWriter
    from core.eventlog.log import Log, Record
    from core.eventlog.state import ShardState

_READ_WAIT_S = 1.0


class Opening:
    """Brings a shard's state to its log's end, or says why that log is not ours."""

    def __init__(self, log: Log, state: ShardState, genesis: Genesis, writer: IndexWriter) -> None:
        self._log, self._state, self._genesis, self._writer = log, state, genesis, writer
        self._name = f"{genesis.book}/{genesis.shard}"

    async def connect(self, progress: Callable[[int, int], None] | None = None) -> None:
        """Read from the state's next offset to the log's end. Safe to repeat where it failed.

        Raises: Corrupt, NeedsUpgrade, Unavailable.
        """
        self._log.pin(self._state.identity)
        end = await self._log.end()
        if end < self._state.next_offset:
            msg = (
                f"the log of {self._name} ends at {end}, before this node's position "
                f"{self._state.next_offset}: "
                "it was truncated or replaced. Restore the log; to accept the shorter one, delete "
                "the index folder"
            )
            raise Corrupt(msg)
        if end == 0:
            await self._log.append(encode_genesis(self._genesis))
        await self._read_genesis()
        await self._check_tail()
        self._state.identity = self._log.identity
        collecting = gc.isenabled()
        # a bulk load makes millions of lasting objects, and would have them walked each time
        gc.disable()
        try:
            await self._catch_up(progress)
        finally:
            if collecting:
                gc.enable()

    async def _catch_up(self, progress: Callable[[int, int], None] | None) -> None:
        """Judge up to the log's end, which must be where it says and where reading ends."""
        writing: asyncio.Task[bool] | None = None
        while True:
            records = await self._log.read(self._state.next_offset, READ_RECORDS_MAX, 0)
            for record in records:
                judge_record(self._state, self._genesis, record, replay=True)
            if len(self._state.batch.judged) >= BULK_BATCH_COMMITS * JUDGED_COLUMNS:
                await self._indexed(writing)
                writing = self._writer.start()
            end = await self._log.end()
            if progress is not None:
                progress(self._state.next_offset, end)
            if not records and self._state.next_offset >= end:
                break
            await asyncio.sleep(0)
        await self._indexed(writing)
        if self._state.next_offset > end and not self._log.shared:
            msg = (
                f"the log of {self._name} holds records beyond its end {end}: it is damaged. "
                "Restore the last backup"
            )
            raise Corrupt(msg)

    async def _indexed(self, writing: asyncio.Task[bool] | None) -> None:
        if writing is not None and not await asyncio.shield(writing):
            raise Unavailable(self._writer.error or "", neighbour="index", retry_after_s=5)

    async def _check_tail(self) -> None:
        if self._state.last_crc is not None:
            before = await self._first_of(self._state.next_offset - 1)
            check_tail(before[0].body if before else b"", self._state.last_crc, self._name)

    async def _first_of(self, offset: int) -> Sequence[Record]:
        """The record at an offset before the log's end; none only where it is not there.

        Raises: Unavailable where brokers are too slow to give it: silence says nothing.
        """
        found = await self._log.read(offset, 1, _READ_WAIT_S)
        if not found and self._log.shared:
            msg = f"the log of {self._name} does not give its record {offset} yet"
            raise Unavailable(msg, neighbour="log", retry_after_s=1)
        return found

    async def _read_genesis(self) -> None:
        first = await self._first_of(0)
        if not first:
            msg = f"the log of {self._name} has no record at 0"
            raise Corrupt(msg)
        found = check_genesis(first[0].body, self._genesis, self._state.genesis)
        if self._state.genesis is None:
            self._state.genesis, self._state.format = first[0].body, found.format
            self._state.next_offset = 1
        if self._state.format > FORMAT:
            msg = (
                f"the log of {self._name} has been raised to format {self._state.format}, and this "
                f"program knows {FORMAT}: upgrade it"
            )
            raise NeedsUpgrade(msg)
