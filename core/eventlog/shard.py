"""One shard on the node's loop: what waits is combined into one envelope, appended, then judged.

The proposer is answered from the append's acknowledgement when its offset is the very next to
judge, else when the reader has come there (design §1). Nothing else holds state about the log.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, TypeVar

from core.errors import KontaktcenterError, Refused, Unavailable
from core.eventlog.envelope import (
    Claim,
    Genesis,
    encode_envelope,
)
from core.eventlog.flights import Flight, Group, Item, Told, unforeseen, unknown
from core.eventlog.index_writer import IndexWriter
from core.eventlog.opening import Opening
from core.eventlog.outbox import Outbox
from core.eventlog.reading import belongs, judge_record
from core.eventlog.state import ShardState
from core.limits import (
    READ_RECORDS_MAX,
    WAITING_COMMITS_MAX,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterable, Sequence

    from core.commit import Accepted, Verdict
    from core.eventlog.index.index import Index
    from core.eventlog.log import Log, Record

_T = TypeVar("_T")
_SHORT_FINISH_S = 1.0
_READ_WAIT_S = 1.0
_READ_BEHIND_S = 0.25  # so long the reader may leave the log to those who append
_READ_OWN_S = 0.05  # so long it does where it finds nothing there but our own
_RECONNECT_S = 0.5


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
        self.writer = IndexWriter(self.state, index, on_indexed, self.broken)
        self._log, self._index, self._genesis = log, index, genesis
        self._opening = Opening(log, self.state, genesis, self.writer)
        self.offline: Unavailable | None = None  # why the log has not been reached since the start
        self._outbox = Outbox(log, self)
        self._foreign = asyncio.Event()  # something that others appended is to be read
        self._acked: dict[int, Flight] = {}
        self._recent: dict[int, list[Verdict | None]] = {}
        self._tasks: set[asyncio.Task[object]] = set()
        self._gap: asyncio.Task[None] | None = None
        self._closed = False
        self.on_judged: Callable[[], None] = _nothing  # on the loop, after each record

    # --- opening ----------------------------------------------------------------------------------
    async def open(
        self,
        progress: Callable[[int, int], None] | None = None,
        *,
        offline: Unavailable | None = None,
        may_wait: bool = False,
    ) -> None:
        """Read the log from the index's mark to its end. `progress` gets offsets done and in all.

        With `may_wait` a log that others share need not answer: the shard is then `offline`, serves
        what its index holds, and connects by itself later; `offline` says so from the start.

        Raises: Corrupt (another log, one that ends before our position, damage), NeedsUpgrade,
        Unavailable.
        """
        may_wait = may_wait and self._log.shared
        try:
            if offline is not None and may_wait:
                raise offline
            await self._opening.connect(progress)
        except Unavailable as e:
            if not may_wait:
                raise
            self.offline = e
            self._outbox.held = True
            self._start(self._connect_later())
        else:
            await self._connected()

    async def _connected(self) -> None:
        """What follows a log that has been read to its end."""
        if self._index.bulk:
            self.writer.begin_finishing()
            if self.state.next_offset <= READ_RECORDS_MAX and self.writer.finishing is not None:
                # A new or short log: a moment here, and nobody is told to come back.
                await asyncio.wait({self.writer.finishing}, timeout=_SHORT_FINISH_S)
        else:
            await self.settle()
        if self._log.shared:
            self._start(self._read_on())

    async def _connect_later(self) -> None:
        """Connect when the log answers; whoever waits is served from then on."""
        while not self._closed:
            try:
                await self._opening.connect()
                await self._connected()
            except Unavailable as e:
                self.offline = e
                await asyncio.sleep(_RECONNECT_S)
            except Exception as e:  # noqa: BLE001 -- the edge of a task: whoever waits must hear of it
                self.broken(e if isinstance(e, KontaktcenterError) else unforeseen(e))
                return
            else:
                self.offline, self._outbox.held = None, False
                self._outbox.send_soon()
                self.on_judged()
                return

    # --- proposing --------------------------------------------------------------------------------
    def propose(
        self, raws: Sequence[bytes], claims: Sequence[Claim]
    ) -> asyncio.Future[list[Verdict]]:
        """Record these commits, in this order; resolves to their verdicts when judged here.

        Cancel it to withdraw what was not sent yet. Fails with Unknown or Unavailable where a log
        that others share has not answered within `ANSWER_S_MAX`.
        Raises: Refused (a stream of another shard), Unavailable where too much waits already, or
        what stopped the shard.
        """
        self._check_room(claims)
        loop = asyncio.get_running_loop()
        future: asyncio.Future[list[Verdict]] = loop.create_future()
        if not raws:
            future.set_result([])
            return future
        group = Group(future, [None] * len(raws), len(raws), loop.time())
        since = self.state.position
        self._outbox.put(
            [
                Item(raw, claim, group, slot, since)
                for slot, (raw, claim) in enumerate(zip(raws, claims, strict=True))
            ]
        )
        self._outbox.send_soon()
        return future

    def propose_each(self, proposals: Sequence[tuple[bytes, Claim, Told]]) -> None:
        """Record commits, each by itself; each `Told` learns one verdict. Raises: as `propose`."""
        self._check_room([claim for _, claim, _ in proposals])
        now_s, since = asyncio.get_running_loop().time(), self.state.position
        self._outbox.put(
            [
                Item(raw, claim, Group(told, [None], 1, now_s), 0, since)
                for raw, claim, told in proposals
            ]
        )
        self._outbox.send()

    def _check_room(self, claims: Sequence[Claim]) -> None:
        if self.stopped is not None:
            raise self.stopped
        if self._genesis.shards > 1 and not all(belongs(c, self._genesis) for c in claims):
            # Other nodes find it void, and this one must not judge it otherwise.
            raise Refused(f"a commit of streams that are not all in {self.name} is not for it")
        if self.state.position - self.state.indexed > WAITING_COMMITS_MAX * 4:
            msg = "more is waiting to be recorded than this node takes: try again soon"
            raise Unavailable(msg, neighbour="log", retry_after_s=2)
        self._outbox.check_room(len(claims))

    def envelope(self, flight: Flight) -> bytes:
        """The record that the flight is."""
        genesis = self._genesis
        raws = [item.raw for item in flight.items]
        return encode_envelope(genesis.book, genesis.shard, raws, flight.format)

    def new_flight(self) -> Flight:
        """An empty flight of the log's present format."""
        return Flight(self.state.format)

    def unjudged(self) -> Iterable[Flight]:
        """The flights that are in the log and not judged here yet."""
        return self._acked.values()

    def acknowledged(self, offset: int, flight: Flight) -> None:
        """The flight is in the log, at `offset`: it is judged as soon as all before it is."""
        if self.stopped is not None:
            flight.fail(unknown(str(self.stopped)))
        elif offset < self.state.next_offset:
            flight.resolve(self._recent.pop(offset), self._recorded)
        else:
            self._acked[offset] = flight
            self._judge_acked()
            if self._acked and self._log.shared:
                self._foreign.set()
            elif self._acked and self._gap is None:
                self._gap = self._start(self._read_gap())
        if self._outbox.in_flight <= 1:  # this one was the last under way
            self._recent.clear()

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
                self.broken(e)
                return
            del self._acked[offset]
            due.resolve(verdicts, self._recorded)
            self.on_judged()
            self.writer.soon()

    def _recorded(self, accepted: Accepted) -> bytes | None:
        """The bytes of a commit that was accepted; None where it has no events."""
        if not len(accepted.seqs):
            return None
        try:
            found = self.state.commits_from(accepted.seqs.start, 1)
        except Unavailable:  # the index is being made: what is not known is not taken for ours
            return b""
        return found[0].raw if found else b""

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
            self.broken(e if isinstance(e, KontaktcenterError) else unforeseen(e))
        finally:
            self._gap = None

    # --- reading ----------------------------------------------------------------------------------
    async def _read_on(self) -> None:
        """Judge what others append. A log that cannot be trusted any more stops the shard."""
        while not self._closed and self.stopped is None:
            if self._outbox.in_flight and not self._acked:
                # What others append meanwhile shows as a gap before our own; until then there is
                # nothing to read but what we have in hand.
                await self._gap_or_pause(_READ_BEHIND_S)
            try:
                records = await self._log.read(
                    self.state.next_offset, READ_RECORDS_MAX, _READ_WAIT_S
                )
                before = self.state.next_offset
                for record in records:
                    if record.offset == self.state.next_offset:
                        self._judge_foreign(record)
                if records and self.state.next_offset == before:
                    # All of it our own, judged long ago: what comes next is most likely too.
                    await self._gap_or_pause(_READ_OWN_S)
            except Unavailable:
                await asyncio.sleep(_RECONNECT_S)
            except Exception as e:  # noqa: BLE001 -- the edge of a task: whoever waits must hear of it
                self.broken(e if isinstance(e, KontaktcenterError) else unforeseen(e))

    async def _gap_or_pause(self, pause_s: float) -> None:
        self._foreign.clear()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(pause_s):
                await self._foreign.wait()

    def _judge_foreign(self, record: Record) -> None:
        flight = self._acked.pop(record.offset, None)
        if flight is None:
            self._outbox.note_copy(record.body)
        verdicts = judge_record(self.state, self._genesis, record)
        if flight is not None:
            flight.resolve(verdicts, self._recorded)
        elif self._outbox.in_flight:
            self._recent[record.offset] = verdicts
        self.on_judged()
        self.writer.soon()

    def broken(self, error: KontaktcenterError) -> None:
        """Stop: the log cannot be trusted, or this program. Whoever waits is told."""
        self.stopped = self.stopped or error
        self._outbox.fail(error)
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
        await self._outbox.close()
        self._closed = True
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for flight in self._acked.values():
            flight.fail(unknown("this node is closing"))
        await self.writer.close()
