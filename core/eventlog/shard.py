"""One shard on the node's loop: what waits is combined into one envelope, appended, then judged.

The proposer is answered from the append's acknowledgement when its offset is the very next to
judge, else when the reader has come there (design §1). Nothing else holds state about the log.
"""

from __future__ import annotations

import asyncio
import gc
from collections import deque
from typing import TYPE_CHECKING, TypeVar

from core.errors import Corrupt, KontaktcenterError, NeedsUpgrade, Unavailable
from core.eventlog.envelope import (
    Claim,
    Genesis,
    encode_envelope,
    encode_genesis,
)
from core.eventlog.flights import Flight, Group, Item, Told, unforeseen, unknown
from core.eventlog.index import JUDGED_COLUMNS
from core.eventlog.index_writer import IndexWriter
from core.eventlog.reading import check_genesis, check_tail, judge_record
from core.eventlog.state import ShardState
from core.limits import (
    BULK_BATCH_COMMITS,
    ENVELOPE_BYTES_MAX,
    ENVELOPE_COMMITS_MAX,
    FORMAT,
    READ_RECORDS_MAX,
    WAITING_COMMITS_MAX,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Sequence

    from core.commit import Verdict
    from core.eventlog.index import Index
    from core.eventlog.log import Log, Record

_T = TypeVar("_T")
_SHORT_FINISH_S = 1.0
_READ_WAIT_S = 1.0


def _nothing() -> None:
    """Nobody listens."""


class Shard:
    """One shard: proposes, judges, keeps the index.

    All methods on the node's loop unless they say otherwise.
    """

    def __init__(
        self, log: Log, index: Index, genesis: Genesis, on_indexed: Callable[[], None]
    ) -> None:
        self.name = f"{genesis.book}/{genesis.shard}"
        self.state = ShardState(index)
        self.stopped: KontaktcenterError | None = None
        self.writer = IndexWriter(self.state, index, on_indexed, self._stop)
        self._log, self._index, self._genesis = log, index, genesis
        self._waiting: deque[Item] = deque()
        self._acked: dict[int, Flight] = {}
        self._recent: dict[int, list[Verdict | None]] = {}
        self._in_flight = 0
        self._sending = False
        self._appends: set[asyncio.Task[None]] = set()
        self._tasks: set[asyncio.Task[object]] = set()
        self._gap: asyncio.Task[None] | None = None
        self._closed = False
        self.on_judged: Callable[[], None] = _nothing  # on the loop, after each record

    # --- opening ----------------------------------------------------------------------------------
    async def open(self, progress: Callable[[int, int], None] | None = None) -> None:
        """Read the log from the index's mark to its end. `progress` gets offsets done and in all.

        Raises: Corrupt (another log, one that ends before our position, damage), NeedsUpgrade,
        Unavailable.
        """
        end = await self._log.end()
        if end < self.state.next_offset:
            msg = (
                f"the log of {self.name} ends at {end}, before this node's position "
                f"{self.state.next_offset}: "
                "it was truncated or replaced. Restore the log; to accept the shorter one, delete "
                "the index folder"
            )
            raise Corrupt(msg)
        if end == 0:
            await self._log.append(encode_genesis(self._genesis))
        await self._read_genesis()
        await self._check_tail()
        collecting = gc.isenabled()
        # a bulk load makes millions of lasting objects, and would have them walked each time
        gc.disable()
        try:
            await self._catch_up(progress)
        finally:
            if collecting:
                gc.enable()
        if self._index.bulk:
            self.writer.begin_finishing()
            if self.state.next_offset <= READ_RECORDS_MAX and self.writer.finishing is not None:
                # A new or short log: a moment here, and nobody is told to come back.
                await asyncio.wait({self.writer.finishing}, timeout=_SHORT_FINISH_S)
        else:
            await self.settle()
        if self._log.shared:
            self._start(self._read_on())

    async def _catch_up(self, progress: Callable[[int, int], None] | None) -> None:
        """Judge up to the log's end, which must be where it says and where reading ends."""
        writing: asyncio.Task[bool] | None = None
        while True:
            records = await self._log.read(self.state.next_offset, READ_RECORDS_MAX, 0)
            for record in records:
                judge_record(self.state, self._genesis, record, replay=True)
            if len(self.state.batch.judged) >= BULK_BATCH_COMMITS * JUDGED_COLUMNS:
                await self._indexed(writing)
                writing = self.writer.start()
            end = await self._log.end()
            if progress is not None:
                progress(self.state.next_offset, end)
            if not records and self.state.next_offset >= end:
                break
            await asyncio.sleep(0)
        await self._indexed(writing)
        if self.state.next_offset > end and not self._log.shared:
            msg = (
                f"the log of {self.name} holds records beyond its end {end}: it is damaged. "
                "Restore the last backup"
            )
            raise Corrupt(msg)

    async def _indexed(self, writing: asyncio.Task[bool] | None) -> None:
        if writing is not None and not await asyncio.shield(writing):
            raise Unavailable(self.writer.error or "", neighbour="index", retry_after_s=5)

    async def _check_tail(self) -> None:
        if self.state.last_crc is not None:
            before = await self._log.read(self.state.next_offset - 1, 1, _READ_WAIT_S)
            check_tail(before[0].body if before else b"", self.state.last_crc, self.name)

    async def _read_genesis(self) -> None:
        first = await self._log.read(0, 1, _READ_WAIT_S)
        if not first:
            msg = f"the log of {self.name} has no record at 0"
            raise Corrupt(msg)
        found = check_genesis(first[0].body, self._genesis, self.state.genesis)
        if self.state.genesis is None:
            self.state.genesis, self.state.format = first[0].body, found.format
            self.state.next_offset = 1
        if self.state.format > FORMAT:
            msg = (
                f"the log of {self.name} has been raised to format {self.state.format}, and this "
                f"program knows {FORMAT}: upgrade it"
            )
            raise NeedsUpgrade(msg)

    # --- proposing --------------------------------------------------------------------------------
    def propose(
        self, raws: Sequence[bytes], claims: Sequence[Claim]
    ) -> asyncio.Future[list[Verdict]]:
        """Record these commits, in this order; resolves to their verdicts when judged here.

        Raises: Unavailable where too much waits already, or what stopped the shard.
        """
        self._check_room(len(raws))
        future: asyncio.Future[list[Verdict]] = asyncio.get_running_loop().create_future()
        if not raws:
            future.set_result([])
            return future
        group = Group(future, [None] * len(raws), len(raws))
        for slot, (raw, claim) in enumerate(zip(raws, claims, strict=True)):
            self._waiting.append(Item(raw, claim, group, slot))
        self._send_soon()
        return future

    def propose_each(self, proposals: Sequence[tuple[bytes, Claim, Told]]) -> None:
        """Record commits, each by itself; each `Told` learns one verdict. Raises: as `propose`."""
        self._check_room(len(proposals))
        for raw, claim, told in proposals:
            self._waiting.append(Item(raw, claim, Group(told, [None], 1), 0))
        self._send()

    def _check_room(self, commits: int) -> None:
        if self.stopped is not None:
            raise self.stopped
        if self._closed:
            raise Unavailable("this node is closing", neighbour="log", retry_after_s=5)
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
            except Exception as e:  # noqa: BLE001 -- the edge of a task: whoever waits must hear of it
                self._not_appended(flight, e)
                continue
            if offset is not None:
                self._acknowledged(offset, flight)
                self._send_soon()  # those who were answered may ask again before the next envelope
                return
            self._in_flight += 1
            task = self._start(self._append(flight, body))
            self._appends.add(task)
            task.add_done_callback(self._appends.discard)

    def _next_flight(self) -> Flight:
        flight, size = Flight(self.state.format), 0
        while self._waiting and len(flight.items) < ENVELOPE_COMMITS_MAX:
            size += len(self._waiting[0].raw) + 1
            if size > ENVELOPE_BYTES_MAX and flight.items:
                break
            flight.items.append(self._waiting.popleft())
        return flight

    def _envelope(self, flight: Flight) -> bytes:
        genesis = self._genesis
        raws = [item.raw for item in flight.items]
        return encode_envelope(genesis.book, genesis.shard, raws, flight.format)

    async def _append(self, flight: Flight, body: bytes) -> None:
        try:
            offset = await self._log.append(body)
        except Exception as e:  # noqa: BLE001 -- the edge of a task: whoever waits must hear of it
            self._not_appended(flight, e)
        else:
            self._acknowledged(offset, flight)
        finally:
            self._in_flight -= 1
            if not self._in_flight:
                self._recent.clear()
            self._send_soon()

    def _not_appended(self, flight: Flight, error: Exception) -> None:
        if isinstance(error, KontaktcenterError):
            flight.fail(error)
        else:  # a mistake in the program: nobody can say how far it came
            flight.fail(unknown(f"{type(error).__name__}: {error}"))
            self._stop(unforeseen(error))

    def _acknowledged(self, offset: int, flight: Flight) -> None:
        if self.stopped is not None:
            flight.fail(unknown(str(self.stopped)))
        elif offset < self.state.next_offset:
            flight.resolve(self._recent.pop(offset))
        else:
            self._acked[offset] = flight
            self._judge_acked()
            if self._acked and not self._log.shared and self._gap is None:
                self._gap = self._start(self._read_gap())

    def _judge_acked(self) -> None:
        """Judge what was acknowledged and is next.

        What the index cannot be asked about yet stays for later.
        """
        while (due := self._acked.get(self.state.next_offset)) is not None:
            offset = self.state.next_offset
            try:
                verdicts = self._judge_own(offset, due)
            except Unavailable:
                return
            except KontaktcenterError as e:
                self._stop(e)
                return
            del self._acked[offset]
            due.resolve(verdicts)
            self.on_judged()
            self.writer.soon()

    def _judge_own(self, offset: int, flight: Flight) -> Sequence[Verdict | None]:
        if (
            flight.format != self.state.format
        ):  # raised while this was under way: void, on every node
            self.state.void_record(offset, f"format {flight.format} of {self.name}")
            return []
        items = flight.items
        return self.state.judge_commits(offset, [i.raw for i in items], [i.claim for i in items])

    async def _read_gap(self) -> None:
        """Judge what lies before an acknowledged record: an append of unknown outcome."""
        try:
            while self._acked and self.stopped is None:
                try:
                    limit = min(self._acked) - self.state.next_offset + 1
                    records = await self._log.read(self.state.next_offset, limit, 0)
                    for record in records:
                        self._judge_foreign(record)
                except Unavailable:
                    await asyncio.sleep(_READ_WAIT_S)
        except Exception as e:  # noqa: BLE001 -- the edge of a task: whoever waits must hear of it
            self._stop(e if isinstance(e, KontaktcenterError) else unforeseen(e))
        finally:
            self._gap = None

    # --- reading ----------------------------------------------------------------------------------
    async def _read_on(self) -> None:
        """Judge what others append. A log that cannot be trusted any more stops the shard."""
        while not self._closed and self.stopped is None:
            try:
                records = await self._log.read(
                    self.state.next_offset, READ_RECORDS_MAX, _READ_WAIT_S
                )
                for record in records:
                    if record.offset == self.state.next_offset:
                        self._judge_foreign(record)
            except Unavailable:
                await asyncio.sleep(_READ_WAIT_S)
            except Exception as e:  # noqa: BLE001 -- the edge of a task: whoever waits must hear of it
                self._stop(e if isinstance(e, KontaktcenterError) else unforeseen(e))

    def _judge_foreign(self, record: Record) -> None:
        verdicts = judge_record(self.state, self._genesis, record)
        flight = self._acked.pop(record.offset, None)
        if flight is not None:
            flight.resolve(verdicts)
        elif self._in_flight:
            self._recent[record.offset] = verdicts
        self.on_judged()
        self.writer.soon()

    def _stop(self, error: KontaktcenterError) -> None:
        self.stopped = self.stopped or error
        Flight(0, list(self._waiting)).fail(error)
        self._waiting.clear()
        for flight in self._acked.values():
            flight.fail(unknown(str(error)))
        self._acked.clear()

    # --- the index --------------------------------------------------------------------------------
    @property
    def genesis(self) -> Genesis:
        """What the shard is."""
        return self._genesis

    @property
    def log(self) -> Log:
        """The log that this shard reads and appends to."""
        return self._log

    @property
    def index_error(self) -> str | None:
        """Why the index is behind the log; None where it is not."""
        return self.writer.error

    async def settle(self) -> None:
        """Return when all that was judged so far is in the index.

        Raises: Unavailable where it cannot be written.
        """
        await self.writer.settle()

    # --- closing ----------------------------------------------------------------------------------
    def _start(self, work: Coroutine[object, object, _T]) -> asyncio.Task[_T]:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def close(self) -> None:
        """Finish what is under way, write the index, let go."""
        while self._in_flight or self._waiting:
            self._send()
            await asyncio.gather(*self._appends, return_exceptions=True)
        self._closed = True
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for flight in self._acked.values():
            flight.fail(unknown("this node is closing"))
        await self.writer.close()
