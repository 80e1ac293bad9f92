"""One shard on the node's loop: what waits is combined into one envelope, appended, then judged.

The proposer is answered from the append's acknowledgement when its offset is the very next to judge, else
when the reader has come there (design §1). Nothing else holds state about the log.
"""

from __future__ import annotations

import asyncio
import gc
import sqlite3
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol, TypeVar

from core.commit import Verdict
from core.errors import Corrupt, KontaktcenterError, Unavailable
from core.eventlog.envelope import (
    Claim,
    Genesis,
    encode_envelope,
    encode_genesis,
)
from core.eventlog.index import JUDGED_COLUMNS
from core.eventlog.reading import check_genesis, judge_record
from core.eventlog.state import ShardState
from core.limits import (
    BULK_BATCH_COMMITS,
    ENVELOPE_BYTES_MAX,
    ENVELOPE_COMMITS_MAX,
    INDEX_DELAY_S,
    READ_RECORDS_MAX,
    WAITING_COMMITS_MAX,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Sequence

    from core.eventlog.index import Batch, Index, Mark
    from core.eventlog.log import Log, Record

_T = TypeVar("_T")
_READ_WAIT_S = 1.0
_INDEX_RETRY_S = 0.5


def _nothing() -> None:
    """Nobody listens."""


class Told(Protocol):
    """Whoever waits for verdicts: a future, or a thread's own way of waiting."""

    def done(self) -> bool: ...  # noqa: D102 -- as a future's
    def set_result(self, result: list[Verdict], /) -> None: ...  # noqa: D102
    def set_exception(self, exception: BaseException, /) -> None: ...  # noqa: D102


@dataclass(slots=True)
class _Group:
    """Commits that were proposed together, and whoever waits for their verdicts."""

    future: Told
    verdicts: list[Verdict | None]
    missing: int


@dataclass(slots=True)
class _Item:
    raw: bytes
    claim: Claim
    group: _Group
    slot: int


@dataclass(slots=True)
class _Flight:
    """An envelope on its way: its items, in order."""

    items: list[_Item] = field(default_factory=list)


class Shard:
    """One shard: proposes, judges, keeps the index. All methods on the node's loop unless they say otherwise."""

    def __init__(
        self, log: Log, index: Index, genesis: Genesis, on_indexed: Callable[[], None]
    ) -> None:
        self.name = f"{genesis.book}/{genesis.shard}"
        self.state = ShardState(index)
        self.stopped: KontaktcenterError | None = None
        self.index_error: str | None = None
        self._log, self._index, self._genesis = log, index, genesis
        self._on_indexed = on_indexed
        self._waiting: deque[_Item] = deque()
        self._acked: dict[int, _Flight] = {}
        self._recent: dict[int, list[Verdict | None]] = {}
        self._in_flight = 0
        self._sending = False
        self._appends: set[asyncio.Task[None]] = set()
        self._tasks: set[asyncio.Task[object]] = set()
        self._indexer = ThreadPoolExecutor(1, thread_name_prefix=f"index-{self.name}")
        self._indexing = asyncio.Lock()
        self._unwritten: tuple[Batch, Mark] | None = None
        self._flush_soon: asyncio.TimerHandle | None = None
        self._closed = False
        self.finishing: asyncio.Task[None] | None = None  # while the index of a bulk load is made
        self.on_judged: Callable[[], None] = _nothing  # on the loop, after each record

    # --- opening ----------------------------------------------------------------------------------
    async def open(self, progress: Callable[[int, int], None] | None = None) -> None:
        """Read the log from the index's mark to its end. `progress` gets offsets done and in all.

        Raises: Corrupt (another log, one that ends before our position, damage), NeedsUpgrade, Unavailable.
        """
        end = await self._log.end()
        if end < self.state.next_offset:
            msg = (
                f"the log of {self.name} ends at {end}, before this node's position {self.state.next_offset}: "
                "it was truncated or replaced. Restore the log; to accept the shorter one, delete the index folder"
            )
            raise Corrupt(msg)
        if end == 0:
            await self._log.append(encode_genesis(self._genesis))
            end = await self._log.end()
        await self._read_genesis()
        collecting = gc.isenabled()
        gc.disable()  # a bulk load makes millions of lasting objects, and would have them walked each time
        try:
            await self._catch_up(end, progress)
        finally:
            if collecting:
                gc.enable()
        if self._index.bulk:
            self.finishing = self._start(self._finish_bulk())
        else:
            await self.settle()
        if self._log.shared:
            self._start(self._read_on())

    async def _catch_up(self, end: int, progress: Callable[[int, int], None] | None) -> None:
        writing: asyncio.Task[bool] | None = None
        while self.state.next_offset < end:
            for record in await self._log.read(self.state.next_offset, READ_RECORDS_MAX, 0):
                judge_record(self.state, self._genesis, record, replay=True)
            if len(self.state.batch.judged) >= BULK_BATCH_COMMITS * JUDGED_COLUMNS:
                await self._indexed(writing)
                writing = self._start(self._flush())
            if progress is not None:
                progress(self.state.next_offset, end)
            await asyncio.sleep(0)
            end = await self._log.end()

    async def _finish_bulk(self) -> None:
        """Write the rest of a bulk load, make the look-ups, and only then read from the index.

        Until then judging goes by memory alone, which holds everything; what is asked of the index waits.
        """
        looked_up = False
        while self._index.bulk:
            if not await self._flush():
                await asyncio.sleep(_INDEX_RETRY_S)
            elif not looked_up:
                loop = asyncio.get_running_loop()
                await loop.run_in_executor(self._indexer, self._index.make_lookups)
                looked_up = True
            elif self.state.mark() == self._index.mark:
                self._index.bulk = False
        self._on_indexed()

    async def _indexed(self, writing: asyncio.Task[bool] | None) -> None:
        if writing is not None and not await writing:
            assert self.index_error is not None
            raise Unavailable(self.index_error, neighbour="index", retry_after_s=5)

    async def _read_genesis(self) -> None:
        first = await self._log.read(0, 1, _READ_WAIT_S)
        if not first:
            msg = f"the log of {self.name} has no record at 0"
            raise Corrupt(msg)
        found = check_genesis(first[0].body, self._genesis, self.state.genesis)
        if self.state.genesis is None:
            self.state.genesis, self.state.format = first[0].body, found.format
            self.state.next_offset = 1

    # --- proposing --------------------------------------------------------------------------------
    def propose(
        self, raws: Sequence[bytes], claims: Sequence[Claim]
    ) -> asyncio.Future[list[Verdict]]:
        """Record these commits, in this order; resolves to their verdicts when this node has judged them.

        Raises: Unavailable where too much waits already, or what stopped the shard.
        """
        self._check_room(len(raws))
        future: asyncio.Future[list[Verdict]] = asyncio.get_running_loop().create_future()
        if not raws:
            future.set_result([])
            return future
        group = _Group(future, [None] * len(raws), len(raws))
        for slot, (raw, claim) in enumerate(zip(raws, claims, strict=True)):
            self._waiting.append(_Item(raw, claim, group, slot))
        self._send_soon()
        return future

    def propose_each(self, proposals: Sequence[tuple[bytes, Claim, Told]]) -> None:
        """Record commits, each by itself; each `Told` learns one verdict. Raises: as `propose`."""
        self._check_room(len(proposals))
        for raw, claim, told in proposals:
            self._waiting.append(_Item(raw, claim, _Group(told, [None], 1), 0))
        self._send()

    def _check_room(self, commits: int) -> None:
        if self.stopped is not None:
            raise self.stopped
        behind = self.state.position - self.state.indexed > WAITING_COMMITS_MAX * 4
        if behind or len(self._waiting) + commits > WAITING_COMMITS_MAX:
            msg = "more is waiting to be recorded than this node takes: try again soon"
            raise Unavailable(msg, neighbour="log", retry_after_s=2)

    def _send_soon(self) -> None:
        """Send at the loop's next turn, so that all who are ready now go in one envelope."""
        if not self._sending and self._waiting:
            self._sending = True
            asyncio.get_running_loop().call_soon(self._send)

    def _send(self) -> None:
        self._sending = False
        while self._waiting and self._in_flight < self._log.in_flight_max:
            flight = self._next_flight()
            body = self._envelope(flight)
            try:
                offset = None if self._in_flight else self._log.append_now(body)
            except KontaktcenterError as e:
                self._fail(flight, e)
                continue
            if offset == self.state.next_offset:
                self._acknowledged(offset, flight)
                self._send_soon()  # those who were answered may ask again before the next envelope
                return
            self._in_flight += 1
            task = self._start(self._append(flight, body, offset))
            self._appends.add(task)
            task.add_done_callback(self._appends.discard)

    def _next_flight(self) -> _Flight:
        flight, size = _Flight(), 0
        while self._waiting and len(flight.items) < ENVELOPE_COMMITS_MAX:
            size += len(self._waiting[0].raw) + 1
            if size > ENVELOPE_BYTES_MAX and flight.items:
                break
            flight.items.append(self._waiting.popleft())
        return flight

    def _envelope(self, flight: _Flight) -> bytes:
        genesis = self._genesis
        raws = [item.raw for item in flight.items]
        return encode_envelope(genesis.book, genesis.shard, raws, self.state.format)

    async def _append(self, flight: _Flight, body: bytes, appended: int | None) -> None:
        try:
            offset = await self._log.append(body) if appended is None else appended
            if offset > self.state.next_offset and not self._log.shared:
                await self._read_gap(offset)
        except KontaktcenterError as e:
            self._fail(flight, e)
        else:
            self._acknowledged(offset, flight)
        finally:
            self._in_flight -= 1
            if not self._in_flight:
                self._recent.clear()
            self._send_soon()

    async def _read_gap(self, offset: int) -> None:
        """Judge what an earlier append left in the log though its outcome was unknown then."""
        while self.state.next_offset < offset:
            limit = offset - self.state.next_offset
            for record in await self._log.read(self.state.next_offset, limit, 0):
                self._judge_foreign(record)

    def _acknowledged(self, offset: int, flight: _Flight) -> None:
        if offset < self.state.next_offset:
            self._resolve(flight, self._recent.pop(offset))
            return
        self._acked[offset] = flight
        while (due := self._acked.pop(self.state.next_offset, None)) is not None:
            try:
                verdicts = self.state.judge_commits(
                    self.state.next_offset, [i.raw for i in due.items], [i.claim for i in due.items]
                )
            except KontaktcenterError as e:
                self._stop(e)
                self._fail(due, e)
                return
            self._resolve(due, verdicts)
            self.on_judged()
            self._index_soon()

    def _resolve(self, flight: _Flight, verdicts: Sequence[Verdict | None]) -> None:
        for item, verdict in zip(flight.items, verdicts, strict=True):
            group = item.group
            group.verdicts[item.slot] = verdict
            group.missing -= 1
            if not group.missing and not group.future.done():
                group.future.set_result(group.verdicts)  # type: ignore[arg-type]  # none is missing

    def _fail(self, flight: _Flight, error: KontaktcenterError) -> None:
        for item in flight.items:
            if not item.group.future.done():
                item.group.future.set_exception(error)

    # --- reading ----------------------------------------------------------------------------------
    async def _read_on(self) -> None:
        """Judge what others append. A log that cannot be trusted any more stops the shard."""
        while not self._closed:
            try:
                records = await self._log.read(
                    self.state.next_offset, READ_RECORDS_MAX, _READ_WAIT_S
                )
                for record in records:
                    if record.offset == self.state.next_offset:
                        self._judge_foreign(record)
            except Unavailable:
                await asyncio.sleep(_READ_WAIT_S)
            except KontaktcenterError as e:
                self._stop(e)
                return

    def _judge_foreign(self, record: Record) -> None:
        verdicts = judge_record(self.state, self._genesis, record)
        flight = self._acked.pop(record.offset, None)
        if flight is not None:
            self._resolve(flight, verdicts)
        elif self._in_flight:
            self._recent[record.offset] = verdicts
        self.on_judged()
        self._index_soon()

    def _stop(self, error: KontaktcenterError) -> None:
        self.stopped = error
        while self._waiting:
            self._fail(_Flight([self._waiting.popleft()]), error)
        for flight in self._acked.values():
            self._fail(flight, error)

    # --- the index --------------------------------------------------------------------------------
    def _index_soon(self, delay_s: float = INDEX_DELAY_S) -> None:
        if self._flush_soon is None and not self._closed:
            loop = asyncio.get_running_loop()
            self._flush_soon = loop.call_later(delay_s, self._flush_due)

    def _flush_due(self) -> None:
        self._flush_soon = None
        self._start(self._flush())

    async def settle(self) -> None:
        """Return when all that was judged so far is in the index. Raises: Unavailable where it cannot be written."""
        if self.finishing is not None:
            await self.finishing
        if not await self._flush():
            raise Unavailable(self.index_error or "", neighbour="index", retry_after_s=5)

    async def _flush(self) -> bool:
        """Write what waits. After an error it is kept and tried again; the position stays where it was."""
        until = self.state.next_offset  # not what is judged meanwhile: judging goes on beside this
        async with self._indexing:
            while self._unwritten is not None or self._index.mark.next_offset < until:
                self._unwritten = self._unwritten or self.state.take_batch()
                try:
                    await asyncio.get_running_loop().run_in_executor(
                        self._indexer, self._index.write, *self._unwritten
                    )
                except sqlite3.Error as e:
                    self.index_error = (
                        f"the index of {self.name} cannot be written ({e}): free some space"
                    )
                    self._index_soon(_INDEX_RETRY_S)
                    return False
                (batch, self._index.mark), self._unwritten = self._unwritten, None
                self.state.was_indexed(batch, self._index.mark)
            self.index_error = None
        self._on_indexed()
        return True

    # --- closing ----------------------------------------------------------------------------------
    def _start(self, work: Coroutine[object, object, _T]) -> asyncio.Task[_T]:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def close(self) -> None:
        """Finish what is under way, write the index, let go."""
        while self._in_flight:
            await asyncio.gather(*self._appends, return_exceptions=True)
        self._closed = True
        if self._flush_soon is not None:
            self._flush_soon.cancel()
        await self._flush()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._indexer.shutdown(wait=True)
        self._index.close()
