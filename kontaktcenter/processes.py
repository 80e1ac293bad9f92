"""What nobody asks for and time brings: the alarm when no receipt comes for what was handed over.

A process follows the books of cases, keeps in memory what waits for a receipt, and sleeps until the
next is due or something changes. When one is due the case is loaded and its rules say which facts
follow; they are proposed under ids that come of the hand-over alone. So any number of nodes and of
restarts make one alarm of it, and one that was told already is told again in vain.
"""

from __future__ import annotations

import asyncio
import heapq
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Final

import structlog

from core.case_rules import CASES
from core.cases import (
    CaseHandedOver,
    ComplaintReceiptNoted,
    ComplaintSent,
    ComplaintSilent,
    HandoverReceiptNoted,
    HandoverSilent,
)
from core.commit import Accepted, Draft, Happened
from core.errors import KontaktcenterError, Unavailable
from core.eventlog.codec import decode_event
from core.limits import NUMBER_MAX, PROJECTION_BATCH_COMMITS
from core.overdue import PROCESS, overdue
from core.vocabulary import CASES_PREFIX, Origin, Receipt

if TYPE_CHECKING:
    from collections.abc import Mapping

    from core.case_state import CaseState
    from core.commit import Clock, Event
    from core.eventlog.node import FeedCommit, Node
    from core.overdue import Overdue

_TOPICS: Final = frozenset(
    kind.TOPIC
    for kind in (
        CaseHandedOver, HandoverReceiptNoted, HandoverSilent,
        ComplaintSent, ComplaintReceiptNoted, ComplaintSilent,
    )
)  # fmt: skip
_BREATH_S: Final = 0.25  # what changes meanwhile is looked at together
_LOOK_UP_S: Final = 30.0  # no sleep is longer: a clock may be set, a machine may have slept
_AGAIN_S: Final = 5.0  # after the log could not be read or written
_LOG = structlog.get_logger("kontaktcenter.processes")

_Key = tuple[str, str]  # a case's stream, and the hand-over or delivery in it


@dataclass(slots=True)
class _Awaited:
    """A receipt that somebody waits for."""

    due_at: datetime | None
    silent: bool = False


class Receipts:
    """Follows hand-overs and complaints until their receipt, and tells of those that stay silent.

    On the node's own loop; `waiting` and `silent` may be asked from any thread.
    """

    def __init__(self, node: Node, clock: Clock) -> None:
        self.node, self._clock = node, clock
        self._seen: dict[str, int] = {}
        self._awaited: dict[_Key, _Awaited] = {}
        self._due: list[tuple[datetime, _Key]] = []

    @property
    def waiting(self) -> int:
        """How many hand-overs and complaints wait for their receipt."""
        return len(self._awaited)

    @property
    def silent(self) -> int:
        """How many of them should have had it."""
        return sum(one.silent for one in list(self._awaited.values()))

    async def run(self) -> None:
        """Follow and tell, until cancelled. What goes wrong is logged and tried again."""
        while True:
            try:
                await self.node.settle()
                await asyncio.to_thread(self.follow)
                await self.tell()
            except Exception as e:  # noqa: BLE001 -- an alarm that ends in silence is none
                _LOG.error("receipts.delayed", why=type(e).__name__)
                await asyncio.sleep(_AGAIN_S)
                continue
            await self.node.changed(self._beyond(), self._sleep_s())
            await asyncio.sleep(_BREATH_S)

    def follow(self) -> None:
        """Read what is new in the books of cases. Blocking."""
        for shard, upto in self.node.positions().items():
            if shard.startswith(CASES_PREFIX):
                self._read(shard, upto)

    async def tell(self) -> int:
        """Propose the facts about all that is due; how many receipts were found missing.

        Raises: Unavailable: it is tried again with the same ids.
        """
        now, told = self._clock(), 0
        while self._due and self._due[0][0] <= now:
            due_at, key = self._due[0]
            if self._is_due(due_at, key):
                told += await self._tell(key[0], now)
            heapq.heappop(self._due)
        return told

    def _is_due(self, due_at: datetime, key: _Key) -> bool:
        awaited = self._awaited.get(key)
        return awaited is not None and not awaited.silent and awaited.due_at == due_at

    async def _tell(self, stream: str, now: datetime) -> int:
        try:
            drafts = [_draft(stream, one) for one in overdue(stream, self._state(stream), now)]
        except Unavailable:
            raise
        except KontaktcenterError as e:  # one case that cannot be read silences no other's alarm
            _LOG.error("receipts.unreadable", why=type(e).__name__)
            return 0
        answers = await self.node.propose_many(drafts)
        told = sum(isinstance(answer.verdict, Accepted) for answer in answers)
        if told:  # and not another node, or this one before it was stopped
            _LOG.warning("receipts.missing", authority=stream.split("/")[1], count=told)
        return told

    def _state(self, stream: str) -> CaseState:
        state = CASES.initial
        for recorded in self.node.load(stream):
            state = CASES.evolve(state, recorded)
        return state

    def _read(self, shard: str, upto: int) -> None:
        after = self._seen.get(shard, 0)
        while after < upto:
            batch = self.node.read(shard, after, PROJECTION_BATCH_COMMITS)
            for fed in batch:
                self._take(fed)
            after = batch[-1].position if batch else upto
        self._seen[shard] = max(upto, after)

    def _take(self, fed: FeedCommit) -> None:
        for logged in fed.commit.events:
            if logged.type in _TOPICS:
                event = decode_event(logged.type, logged.schema, logged.data)
                if event is not None:
                    self._note(logged.stream, event)

    def _note(self, stream: str, event: Event) -> None:
        match event:
            case CaseHandedOver():
                self._wait((stream, event.handover), event.receipt_due_at)
            case ComplaintSent():
                self._wait((stream, event.delivery), event.receipt_due_at)
            case HandoverReceiptNoted():
                if event.receipt != Receipt.SENT:
                    self._awaited.pop((stream, event.handover), None)
            case ComplaintReceiptNoted():
                self._awaited.pop((stream, event.delivery), None)
            case HandoverSilent():
                self._was_silent((stream, event.handover))
            case ComplaintSilent():
                self._was_silent((stream, event.delivery))

    def _wait(self, key: _Key, due_at: datetime | None) -> None:
        self._awaited[key] = _Awaited(due_at)
        if due_at is not None:
            heapq.heappush(self._due, (due_at, key))

    def _was_silent(self, key: _Key) -> None:
        if key in self._awaited:
            self._awaited[key].silent = True

    def _beyond(self) -> Mapping[str, int]:
        """What `changed` is to wait beyond: books that are not of cases never wake us."""
        return {
            shard: self._seen.get(shard, 0) if shard.startswith(CASES_PREFIX) else NUMBER_MAX
            for shard in self.node.positions()
        }

    def _sleep_s(self) -> float:
        while self._due and not self._is_due(*self._due[0]):
            heapq.heappop(self._due)
        if not self._due:
            return _LOOK_UP_S
        left_s = (self._due[0][0] - self._clock()).total_seconds()
        return min(max(left_s, 0.0), _LOOK_UP_S)


def _draft(stream: str, found: Overdue) -> Draft:
    """A fact that happened when the receipt was due, whenever it was found out."""
    happened = Happened(stream, found.event, found.due_at)
    return Draft(found.id, found.asking, PROCESS, f"{Origin.PROCESS}:{PROCESS}", (happened,))
