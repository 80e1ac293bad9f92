"""An island: while the log cannot be reached, facts go on, in this node's journal (design §2).

Each shard has a lane. Where something waits there and nothing is judged for `ISLAND_AFTER_S`, the
lane is cut off: all facts that wait go to the journal at once, in their order, and so do those that
come. The journal's first rows are what the log is tried with; when they are judged the rest follow
(`core.eventlog.returning`), and while rows of a lane wait, new facts go behind them. What was sent
and lands late is a duplicate.

One island lasts from the first lane that is cut off until no row waits. Its beginning and its end
are events of the node, which pass through the journal themselves, so that a kill loses neither.
"""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar, cast

from core.commit import Draft, Happened, Kept, process_id
from core.errors import Unavailable
from core.eventlog.island.journal import Journal, open_journal
from core.eventlog.island.journal_writer import FACTS, JournalWriter
from core.eventlog.island.lanes import Asked, Encoding, Lane, Notice, place_of
from core.eventlog.island.returning import Returning
from core.eventlog.node_id import node_id
from core.limits import ANSWER_S_MAX, ISLAND_AFTER_S, ISLAND_NOTICE_S, ISLAND_RETURN_BATCH
from core.nodes import PROCESS, NodeCutOff, NodeJoined, NodeReturned, node_asking, node_stream
from core.vocabulary import CENTRE, Origin

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from core.commit import Clock, Event, Verdict
    from core.eventlog.envelope import Claim
    from core.eventlog.keyring import Keyring
    from core.eventlog.settings import NodeSettings
    from core.eventlog.shard import Shard

_T = TypeVar("_T")
_LOOKS = 8  # at a lane that waits, before it is cut off
_SINCE, _JOINED = "since", "joined"  # notes in the journal
_CENTRE_SHARD = f"{CENTRE}/0"
_RETRY_S = 5


class Island:
    """The lanes of a node, and its journal. All on the node's loop, save what says otherwise."""

    def __init__(  # noqa: PLR0913 -- an island stands on these
        self,
        journal: Journal,
        node: str,
        name: str,
        clock: Clock,
        encode: Encoding,
        keyring: Keyring,
        after_s: float = ISLAND_AFTER_S,
    ) -> None:
        self.journal, self.node = journal, node
        self.damaged: list[Path] = []  # journals that were, and lie there still
        self.lanes: dict[str, Lane] = {}
        self.since: datetime | None = None
        self.asides = 0  # commits that somebody must look at
        self.fault: str | None = None  # why what was kept cannot go on its way; for people
        self._name, self._clock, self._encode = name, clock, encode
        self.after_s = after_s
        self.writer = JournalWriter(journal)
        self._sweeping: asyncio.TimerHandle | None = None
        self._swept_s = 0.0
        self.returning = Returning(self, keyring)
        self._closed = self._shut = False

    # --- opening ----------------------------------------------------------------------------------
    @classmethod
    def open(cls, settings: NodeSettings, encode: Encoding, keyring: Keyring) -> Island:
        """The island of a data folder. Blocking. Raises: Corrupt, NeedsUpgrade, Unavailable."""
        journal, damaged = open_journal(settings.data, settings.clock())
        try:
            node = node_id(settings.data, settings.entropy)
            island = cls(
                journal, node, settings.name, settings.clock, encode, keyring,
                settings.island_after_s,
            )  # fmt: skip
            since = journal.note(_SINCE)
            island.since = None if since is None else datetime.fromisoformat(since)
            island.writer.facts = int(journal.note(FACTS) or 0)
            island.asides = journal.asides()
        except BaseException:
            journal.close()
            raise
        island.damaged = damaged
        return island

    def begin(self, shards: Mapping[str, Shard]) -> None:
        """Take up what an earlier start left in the journal, and what is away already."""
        for shard in shards.values():
            self.lanes[shard.name] = Lane(shard, self.journal.count(*place_of(shard)))
        for lane in self.lanes.values():
            self._take_up(lane)
        if self.journal.note(_JOINED) is None and _CENTRE_SHARD in self.lanes:
            self._tell(NodeJoined(self._name), "joined", self.node, self._clock())
            self.writer.notes[_JOINED] = "1"
        self.returning.pay_soon()
        self.settle()

    def lane(self, shard: Shard) -> Lane:
        """The lane of a shard; it begins behind the rows that the journal holds for it."""
        lane = self.lanes.get(shard.name)
        if lane is None:
            lane = self.lanes[shard.name] = Lane(shard, self.journal.count(*place_of(shard)))
            self._take_up(lane)
        return lane

    def _take_up(self, lane: Lane) -> None:
        if lane.shard.offline is not None:
            self._cut(lane)
        elif lane.rows:
            self._return_soon(lane)

    # --- proposing --------------------------------------------------------------------------------
    async def propose(
        self,
        shard: Shard,
        raws: Sequence[bytes],
        claims: Sequence[Claim],
        *,
        may_be_kept: bool,
        keep: bool = False,
    ) -> Sequence[Verdict | Kept]:
        """Record commits of one shard, in their order: verdicts, or `Kept`.

        `keep`: not before the keys that were kept here have been sent.
        Raises: Unavailable (Unknown), Corrupt.
        """
        if shard.stopped is not None:
            raise shard.stopped
        lane = self.lane(shard)
        if self._closed:
            if may_be_kept and not self._shut:
                return await self._kept(lane, raws, claims)
            raise Unavailable("this node is closing", neighbour="log", retry_after_s=_RETRY_S)
        if may_be_kept and (lane.closed or keep):
            return await self._keep(lane, raws, claims)
        if lane.cut_s is not None and self._now_s() - lane.cut_s > ANSWER_S_MAX:
            msg = "this node is cut off from the log: what asks for permission has to wait"
            raise Unavailable(msg, neighbour="log", retry_after_s=_RETRY_S)
        future = cast(
            "asyncio.Future[list[Verdict | Kept]]", shard.propose(raws, claims)
        )  # which of the two is ours to say: see `_diverted`
        asked = Asked(raws, claims, may_be_kept, future)
        if not lane.awaited:
            lane.silent_s = 0.0
        lane.awaited[asked] = None
        self._sweep_soon()
        try:
            verdicts = await future
        except Unavailable:
            if not may_be_kept:
                raise
            keeping = asked.keeping or self._kept(lane, raws, claims)
            if lane.cut_s is None and not self._closed:
                self._cut(lane)
            return await keeping
        finally:
            del lane.awaited[asked]
        lane.silent_s = 0.0
        return verdicts

    async def _keep(
        self, lane: Lane, raws: Sequence[bytes], claims: Sequence[Claim]
    ) -> Sequence[Verdict | Kept]:
        """Keep facts; where the log is back and little waits, their verdicts all the same."""
        keeping = self._kept(lane, raws, claims)
        self._return_soon(lane)
        kept = await asyncio.shield(keeping)
        if lane.cut_s is not None or lane.rows > ISLAND_RETURN_BATCH:
            return kept
        loop = asyncio.get_running_loop()
        waiters = [lane.waiters.setdefault(one.number, loop.create_future()) for one in kept]
        await asyncio.wait(waiters, timeout=self.after_s)
        for one, waiter in zip(kept, waiters, strict=True):
            if not waiter.done():
                lane.waiters.pop(one.number, None)
        return [
            waiter.result() if waiter.done() else one
            for one, waiter in zip(kept, waiters, strict=True)
        ]

    # --- being cut off ----------------------------------------------------------------------------
    def _sweep_soon(self) -> None:
        if self._sweeping is None and not self._closed:
            self._swept_s = self._now_s()
            self._sweeping = asyncio.get_running_loop().call_later(
                self.after_s / _LOOKS, self._sweep
            )

    def _sweep(self) -> None:
        """Find lanes where something waits and nothing moves. A pause of this process is no cut."""
        self._sweeping, now_s = None, self._now_s()
        passed_s = min(now_s - self._swept_s, 2 * self.after_s / _LOOKS)
        waiting = [lane for lane in self.lanes.values() if lane.awaited]
        for lane in waiting:
            lane.silent_s += passed_s
            if lane.silent_s >= self.after_s and lane.cut_s is None:
                self._cut(lane)
        if waiting:
            self._sweep_soon()

    def _cut(self, lane: Lane) -> None:
        """From now on facts of this lane are kept here, first of all those that wait."""
        lane.cut_s = self._now_s()
        self.enter(lane.shard.name, lane.silent_s)
        for asked in lane.awaited:
            if asked.may_be_kept and not asked.future.done() and asked.keeping is None:
                asked.keeping = self._kept(lane, asked.raws, asked.claims)
                asked.keeping.add_done_callback(partial(self._diverted, asked))
        self._return_soon(lane)

    def enter(self, what: str, silent_s: float = 0.0) -> None:
        """Where none lasts an island begins, because `what` has not answered for so long."""
        if self.since is not None:
            return
        since = self.since = self._clock() - timedelta(seconds=silent_s)
        self.writer.facts = 0
        self.writer.notes[_SINCE] = since.isoformat()
        self._tell(NodeCutOff(what, self._name), "cut_off", since.isoformat(), since)

    def _diverted(self, asked: Asked, keeping: asyncio.Future[list[Kept]]) -> None:
        """Facts that waited stand in the journal: answer, which withdraws them from the shard."""
        if keeping.cancelled() or keeping.exception() is not None:
            asked.keeping = None  # the log may still take them
        elif not asked.future.done():
            asked.future.set_result(list(keeping.result()))

    def back(self, lane: Lane) -> None:
        """The log has judged something of this lane."""
        lane.cut_s, lane.silent_s = None, 0.0
        self.settle()

    def away(self, lane: Lane) -> None:
        """The log has not judged what was offered from the journal."""
        if lane.cut_s is None:
            self._cut(lane)

    def _return_soon(self, lane: Lane) -> None:
        if not self._closed and (lane.returning is None or lane.returning.done()):
            lane.returning = asyncio.ensure_future(self.returning.run(lane))

    def settle(self) -> None:
        """Where every lane is open again an island ends, and the node tells of it."""
        if self.since is None or any(lane.closed for lane in self.lanes.values()):
            return
        if self._closed or self.returning.owed or len(self.journal):
            return  # keys are on their way, or rows wait for a book that is not open yet
        since, now = self.since, self._clock()
        seconds = max(0.0, (now - since).total_seconds())
        event = NodeReturned(since.isoformat(), round(seconds, 3), self.writer.facts, self._name)
        self.since = None
        self.writer.notes |= {_SINCE: None, FACTS: None}
        self._tell(event, "returned", since.isoformat(), now)

    def _tell(self, event: Event, kind: str, when: str, at: datetime) -> None:
        """Have an event of this node recorded, by way of the journal."""
        lane = self.lanes.get(_CENTRE_SHARD)
        if lane is None:
            return
        asking = node_asking(self.node, kind, when)
        happened = Happened(node_stream(self.node), event, at)
        origin = f"{Origin.PROCESS}:{PROCESS}"
        draft = Draft(process_id(PROCESS, asking), asking, PROCESS, origin, (happened,))
        raw, claim = self._encode(draft)
        self._kept(lane, [raw], [claim], own=True)
        self._return_soon(lane)

    # --- the journal ------------------------------------------------------------------------------
    def _kept(
        self, lane: Lane, raws: Sequence[bytes], claims: Sequence[Claim], *, own: bool = False
    ) -> asyncio.Future[list[Kept]]:
        """Put commits at the lane's end in the journal; resolves when they are on the disk."""
        if self.since is not None and not own:
            self.writer.facts += len(raws)
        return self.writer.keep(lane, raws, claims, own=own)

    def probe(self, lane: Lane) -> tuple[bytes, Claim]:
        """A commit without events, to try the log with where nothing waits for it."""
        asking = node_asking(self.node, f"probe {lane.shard.name}", str(self.since))
        draft = Draft(
            process_id(PROCESS, asking), asking, PROCESS, f"{Origin.PROCESS}:{PROCESS}", ()
        )
        return self._encode(draft)

    # --- what others ask --------------------------------------------------------------------------
    @property
    def cut_off(self) -> bool:
        """Whether the log of some shard cannot be reached. From any thread."""
        return any(lane.cut_s is not None for lane in list(self.lanes.values()))

    @property
    def kept(self) -> int:
        """How many commits stand in the journal and are not judged. From any thread."""
        return len(self.journal)

    def notice(self) -> Notice | None:
        """What people are to be told; None where all is well, or was not for a moment only.

        From any thread.
        """
        since = self.since
        if since is None or self._clock() - since < timedelta(seconds=ISLAND_NOTICE_S):
            return None
        closed = [name for name, lane in sorted(self.lanes.items()) if lane.closed]
        return Notice(since, self.cut_off, self.kept, tuple(closed))

    def faults(self) -> list[str]:
        """What somebody has to look at. From any thread."""
        found = [] if self.fault is None else [self.fault]
        found += [
            f"a journal was damaged, and lies in {path}: what was whole in it was proposed; see "
            "docs/operating/island.md"
            for path in self.damaged
            if path.exists()
        ]
        if self.asides:
            found.append(
                f"{self.asides} commits of the journal were put aside: see docs/operating/island.md"
            )
        return found

    def _now_s(self) -> float:
        return asyncio.get_running_loop().time()

    # --- closing ----------------------------------------------------------------------------------
    def leave(self) -> None:
        """Offer nothing more to the log: the node is closing. What waits there is kept here."""
        self._closed = True
        if self._sweeping is not None:
            self._sweeping.cancel()
        for lane in self.lanes.values():
            if lane.returning is not None:
                lane.returning.cancel()
        self.returning.close()

    async def close(self) -> None:
        """Write what waits, and let go of the journal. The shards are closed by now."""
        self.leave()
        tasks: list[asyncio.Task[Any]] = [
            lane.returning for lane in self.lanes.values() if lane.returning is not None
        ]
        await asyncio.gather(*tasks, return_exceptions=True)
        while any(lane.awaited for lane in self.lanes.values()):  # noqa: ASYNC110 -- a turn or two
            await asyncio.sleep(0)  # who was told by the shard that it closes keeps its facts now
        self._shut = True
        await self.writer.close()
