"""The fold of one call's facts into entries into queues: pure, and the same in any order.

The unit of statistics is the entry. Facts are taken in the order of when they happened; those of
one moment (an exchange writes whole seconds) in the order of the log, save that one which fits
nothing yet waits for those that it needs: a file that was read late may have told the end of a
second before its beginning.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import msgspec

from core.vocabulary import Channel, EntryOutcome
from projections.call_facts import (
    ANSWER,
    END,
    ENTER,
    EXIT,
    IN_ORDER,
    LIVE,
    NOT_TAKEN,
    OFFER,
    OUTCOME_OF,
    REFUSE,
    RESTART,
    WRAP,
    CallFact,
    worse,
)
from projections.times import SECOND_US

if TYPE_CHECKING:
    from collections.abc import Sequence

_ANSWERED: Final = EntryOutcome.ANSWERED.value
_IN_PROGRESS: Final = EntryOutcome.IN_PROGRESS.value
_REFUSED: Final = EntryOutcome.REFUSED.value
_LOST: Final = EntryOutcome.OTHER.value
_PHONE: Final = Channel.PHONE.value
_SLACK_US: Final = 2 * SECOND_US  # a logged wait and the rows' whole seconds differ by less


class Entry(msgspec.Struct, frozen=True, gc=False):
    """One entry of a call into a queue.

    Times are microseconds since the epoch, waits as the exchange told.

    `left_us` is when the wait ended, `ended_us` when all of it did (the talk, or the wait where
    nobody answered). `superseded`: the call is known to have gone on elsewhere, though nothing told
    the end.
    """

    n: int
    queue: str
    answer_group: str
    group_known: bool
    channel: str
    entered_us: int
    seq: int
    caller_ref: str | None
    outcome: str
    wait_s: float | None
    talk_s: float | None
    agent: str | None
    left_us: int | None
    ended_us: int | None
    transferred: bool
    not_taken: int
    wrap_up_s: float | None
    wrapped_us: int | None
    wrap_up_outcome: str | None
    superseded: bool
    mark: int


class Orphan(msgspec.Struct, frozen=True, gc=False):
    """A fact of a queue that the call was never seen to enter, as when it began before the log."""

    at_us: int
    seq: int
    kind: int
    queue: str
    agent: str | None
    wait_s: float | None
    talk_s: float | None


class Folded(NamedTuple):
    """What a call comes to. `not_taken` is (entry's n, agent, times)."""

    entries: list[Entry]
    orphans: list[Orphan]
    not_taken: list[tuple[int, str, int]]


class _Open:
    """An entry under way."""

    __slots__ = (
        "agent",
        "cut_off",
        "ended_us",
        "enter",
        "left_us",
        "mark",
        "missed",
        "outcome",
        "superseded",
        "talk_s",
        "transferred",
        "wait_s",
        "wrap",
    )

    def __init__(self, enter: CallFact, outcome: str) -> None:
        self.enter = enter
        self.outcome = outcome
        self.wait_s: float | None = None
        self.talk_s: float | None = None
        self.agent: str | None = None
        self.left_us: int | None = None
        self.ended_us: int | None = None
        self.transferred = False
        self.superseded = False
        self.cut_off = False
        self.missed: dict[str, int] | None = None
        self.wrap: CallFact | None = None
        self.mark = enter.mark

    def row(self, n: int, channel: str) -> Entry:
        enter, wrap, missed = self.enter, self.wrap, self.missed
        return Entry(
            n,
            enter.queue,
            enter.word or enter.queue,
            enter.flag,
            channel,
            enter.at_us,
            enter.seq,
            enter.caller_ref,
            self.outcome,
            self.wait_s,
            self.talk_s,
            self.agent,
            self.left_us,
            self.ended_us,
            self.transferred,
            sum(missed.values()) if missed else 0,
            wrap.wait_s if wrap else None,
            wrap.at_us if wrap else None,
            wrap.word if wrap else None,
            self.superseded,
            self.mark,
        )


class _Call:
    """The state of the fold: every entry in order, and the one that is open in each queue."""

    __slots__ = ("channel", "entries", "latest", "open", "orphans")

    def __init__(self) -> None:
        self.channel = _PHONE
        self.entries: list[_Open] = []
        self.open: dict[str, _Open] = {}
        self.latest: dict[str, _Open] = {}
        self.orphans: list[Orphan] = []

    def fits(self, fact: CallFact) -> bool:
        """Whether the fact continues what is known so far."""
        kind = fact.kind
        entry = self.open.get(fact.queue)
        if kind == ENTER:
            return entry is None
        if kind == NOT_TAKEN:
            return entry is not None and entry.left_us is None
        if kind == WRAP:
            return any(entry.agent is not None for entry in self.entries)
        if kind in {ANSWER, END} or kind >= EXIT:
            if entry is None or (entry.left_us is not None) != (kind == END):
                return False
            wait_s = fact.wait_s
            if kind == END or wait_s is None:
                return True
            return abs(fact.at_us - entry.enter.at_us - wait_s * SECOND_US) <= _SLACK_US
        return True

    def take(self, fact: CallFact) -> None:
        """Apply the fact, whether it fits or not: nothing is refused, and an end comes once."""
        kind = fact.kind
        if kind == ENTER:
            self._enter(fact)
        elif kind == ANSWER:
            self._answer(fact)
        elif kind == END:
            self._end(fact)
        elif kind >= EXIT:
            self._exit(fact)
        elif kind == NOT_TAKEN:
            entry = self.open.get(fact.queue) or self.latest.get(fact.queue)
            if entry is None:
                self._orphan(fact)
            elif fact.agent is not None:
                entry.missed = entry.missed or {}
                entry.missed[fact.agent] = entry.missed.get(fact.agent, 0) + 1
        elif kind == WRAP:
            self._wrap(fact)
        elif kind == REFUSE:
            entry = _Open(fact, _REFUSED)
            entry.left_us = entry.ended_us = fact.at_us
            self.entries.append(entry)
        elif kind == RESTART:
            self._restart(fact)
        elif kind == OFFER and fact.word:
            self.channel = fact.word

    def _enter(self, fact: CallFact) -> None:
        for entry in self.open.values():
            # A call is in one queue at a time: that end was not told, or is still to come in this
            # moment.
            entry.superseded = entry.superseded or entry.enter.at_us < fact.at_us
        entry = _Open(fact, _IN_PROGRESS)
        self.entries.append(entry)
        self.open[fact.queue] = self.latest[fact.queue] = entry

    def _answer(self, fact: CallFact) -> None:
        entry = self.open.get(fact.queue)
        if entry is None:
            self._without_entry(fact)
        elif entry.left_us is None:
            entry.outcome = _ANSWERED
            entry.agent, entry.wait_s, entry.left_us = fact.agent, fact.wait_s, fact.at_us
            entry.mark = worse(entry.mark, fact.mark)

    def _end(self, fact: CallFact) -> None:
        entry = self.open.pop(fact.queue, None) or self._cut_off(fact.queue)
        if entry is None:
            self._without_entry(fact)
            return
        if entry.left_us is None:  # the row of the answer is missing, but somebody talked
            entry.outcome = _ANSWERED
            entry.agent = fact.agent
            talked_us = round((fact.talk_s or 0) * SECOND_US)
            entry.left_us = max(entry.enter.at_us, fact.at_us - talked_us)
        if entry.wait_s is None:
            entry.wait_s = fact.wait_s
        entry.talk_s, entry.ended_us, entry.transferred = fact.talk_s, fact.at_us, fact.flag
        entry.cut_off = entry.superseded = False
        entry.mark = worse(entry.mark, fact.mark)

    def _cut_off(self, queue: str) -> _Open | None:
        """An answered entry that a restart seemed to end, and whose end was told after all."""
        entry = self.latest.get(queue)
        answered = entry is not None and entry.outcome == _ANSWERED
        return entry if entry is not None and answered and entry.cut_off else None

    def _exit(self, fact: CallFact) -> None:
        entry = self.open.get(fact.queue)
        if entry is None:
            self._without_entry(fact)
        elif entry.left_us is None:  # else it was answered, and only the talk's end is to come
            del self.open[fact.queue]
            entry.outcome = OUTCOME_OF[fact.kind]
            entry.wait_s, entry.left_us, entry.ended_us = fact.wait_s, fact.at_us, fact.at_us
            entry.superseded = False
            entry.mark = worse(entry.mark, fact.mark)

    def _wrap(self, fact: CallFact) -> None:
        """After-call work belongs to the last entry that this agent, or else anyone, answered.

        Exchange and desk may know one agent by two names.
        """
        answered = [entry for entry in self.entries if entry.agent is not None]
        own = [entry for entry in answered if entry.agent == fact.agent]
        if not answered:
            self._orphan(fact)
            return
        entry = (own or answered)[-1]
        entry.wrap = entry.wrap or fact

    def _restart(self, fact: CallFact) -> None:
        for entry in self.open.values():
            if entry.left_us is None:
                entry.outcome, entry.left_us = _LOST, fact.at_us
            entry.ended_us, entry.cut_off = fact.at_us, True
        self.open.clear()

    def _without_entry(self, fact: CallFact) -> None:
        if fact.queue not in self.latest:
            self._orphan(fact)

    def _orphan(self, fact: CallFact) -> None:
        self.orphans.append(
            Orphan(
                fact.at_us, fact.seq, fact.kind, fact.queue, fact.agent, fact.wait_s, fact.talk_s
            )
        )


def fold_call(facts: Sequence[CallFact], restarts: Sequence[CallFact] = ()) -> Folded:
    """The entries of one call.

    `restarts` are those of its exchange from the call's first fact on. The facts may come in any
    order; an entry that is open without an answer at a restart is lost (`other`).
    """
    ordered = sorted((*facts, *restarts), key=IN_ORDER)
    call = _Call()
    first, count = 0, len(ordered)
    while first < count:
        at_us, last = ordered[first].at_us, first + 1
        while last < count and ordered[last].at_us == at_us:
            last += 1
        if last == first + 1:
            call.take(ordered[first])
        else:
            _take_moment(call, ordered[first:last])
        first = last
    entries = [entry.row(n, call.channel) for n, entry in enumerate(call.entries)]
    missed = [
        (n, agent, times)
        for n, entry in enumerate(call.entries)
        if entry.missed
        for agent, times in sorted(entry.missed.items())
    ]
    return Folded(entries, call.orphans, missed)


def _take_moment(call: _Call, pending: list[CallFact]) -> None:
    """Facts of one moment: always the first that fits; when none does, the first."""
    while pending:
        fitting = next((place for place, fact in enumerate(pending) if call.fits(fact)), 0)
        call.take(pending.pop(fitting))


__all__ = ["LIVE", "Entry", "Folded", "Orphan", "fold_call"]
