"""The telephone of the simulated city: a day of calls as the exchanges tell of them.

Everybody waits for whoever of the group is free first, hangs up when patience is over, and the
group's people answer one call at a time: so the figures have the shape of real ones.
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from city_staff import shares
from given import city

from core.access import Asker
from core.calls import (
    CallAbandoned,
    CallAnswered,
    CallbackRequested,
    CallDeflected,
    CallEnded,
    CallHeld,
    CallNotTaken,
    CallOffered,
    CallQueued,
    CallRefused,
    CallResumed,
    CallTimedOut,
    CallTransferred,
    CallWrappedUp,
)
from core.commit import Draft, Happened, telephony_id, telephony_key
from core.personal import Personal
from core.taxonomy import AnswerGroup
from core.vocabulary import call_stream

if TYPE_CHECKING:
    import random
    from collections.abc import Callable, Iterator

    from city_staff import Staff

    from core.commit import Event

# Calls in each hour of the local day, of a hundred: two tops, a lunch, a quiet night.
BY_HOUR = (0.4, 0.3, 0.2, 0.2, 0.3, 0.5, 1.5, 5, 11, 13, 12, 10, 7, 9, 9, 8, 6, 2.5, 1.5, 1, 0.8,
           0.6, 0.5, 0.4)  # fmt: skip
NUMBERS = 4_001  # 0700000000 to 0700004000: nobody's
_PATIENCE_S = 240.0
_TALK_S = 170.0
_TIMEOUT_S = 900.0


@dataclass
class Call:
    """One call as it went; the agent's part is there where somebody answered."""

    at: datetime
    stream: str
    group: AnswerGroup
    number: str | None
    facts: list[tuple[datetime, Draft]] = field(default_factory=list)
    agent: Asker | None = None
    answered_at: datetime | None = None
    ended_at: datetime | None = None
    callback: bool = False


class Telephone:
    """Two exchanges; `caller_ref` is the city's keyed hash."""

    def __init__(self, staff: Staff, dice: random.Random, caller_ref: Callable[[str], str]) -> None:
        self._staff, self._dice, self._caller_ref = staff, dice, caller_ref
        self._free_at: dict[str, datetime] = {}
        self._numbers = [f"07000{n:05d}" for n in range(NUMBERS)]

    def day(self, begins: datetime, calls: int) -> list[Call]:
        """So many calls, spread over the day that begins then, in the order of arrival."""
        hours = self._dice.choices(range(24), BY_HOUR, k=calls)
        seconds = sorted(hour * 3600 + self._dice.random() * 3600 for hour in hours)
        weights = shares()
        groups = self._dice.choices(list(weights), list(weights.values()), k=calls)
        found = []
        for n, (after_s, name) in enumerate(zip(seconds, groups, strict=True)):
            group = city().group(name)
            assert group is not None
            at = begins + timedelta(milliseconds=round(after_s * 1000))
            found.append(self._call(n, at, group))
        return found

    def _call(self, n: int, at: datetime, group: AnswerGroup) -> Call:
        uniqueid = f"{int(at.timestamp())}.{n}"
        number = None if self._dice.random() < 0.08 else self._dice.choice(self._numbers)
        call = Call(at, call_stream(group.centre, uniqueid), group, number)
        teller = _Teller(call, group.centre, uniqueid)
        ref = None if number is None else self._caller_ref(number)
        caller = None if number is None else Personal(number, f"caller/{ref}")
        dialled, key = _way_to(group.id)
        teller.tells(at, CallOffered("phone", dialled, key, caller, ref))
        if self._dice.random() < 0.01:
            teller.tells(at, CallRefused(group.queue, group.id, "full"))
            return call
        teller.tells(at, CallQueued(group.queue, group.id, True, caller, ref))
        self._waits(call, teller, group, at)
        return call

    def _waits(self, call: Call, teller: _Teller, group: AnswerGroup, since: datetime) -> None:
        dice, queue = self._dice, group.queue
        if dice.random() < 0.01:
            teller.tells(since + _s(8), CallDeflected(queue, "situation", 8.0))
            return
        agent = min(self._staff.answering(group), key=lambda one: self._free_at.get(one.id, since))
        patience = _s(dice.expovariate(1 / _PATIENCE_S) + 3)
        answered_at = max(since, self._free_at.get(agent.id, since)) + _s(dice.uniform(1, 8))
        if dice.random() < 0.02:  # it rings at somebody who is not there
            teller.tells(since + _s(1), CallNotTaken(queue, agent.id, "no_answer", 15.0))
            answered_at += _s(15)
        if answered_at - since > _s(_TIMEOUT_S):
            teller.tells(since + _s(_TIMEOUT_S), CallTimedOut(queue, _TIMEOUT_S))
        elif answered_at - since > patience and dice.random() < 0.1:
            call.callback = True
            teller.tells(since + patience, CallbackRequested(queue, _of(patience)))
        elif answered_at - since > patience:
            teller.tells(since + patience, CallAbandoned(queue, _of(patience)))
        else:
            self._talks(call, teller, group, since, answered_at, agent)

    def _talks(
        self,
        call: Call,
        teller: _Teller,
        group: AnswerGroup,
        since: datetime,
        at: datetime,
        agent: Asker,
    ) -> None:
        dice, queue = self._dice, group.queue
        wait_s = _of(at - since)
        talk_s = round(dice.lognormvariate(math.log(_TALK_S), 0.6), 1)
        ended_at, wrap_up_s = at + _s(talk_s), round(dice.uniform(4, 60), 1)
        teller.tells(at, CallAnswered(queue, agent.id, wait_s, round(dice.uniform(1, 6), 1)))
        if dice.random() < 0.1:
            teller.tells(at + _s(talk_s / 3), CallHeld(agent.id))
            teller.tells(at + _s(talk_s / 2), CallResumed(agent.id))
        to = self._elsewhere(group) if dice.random() < 0.07 or group.excluded else None
        if to is None:
            by = dice.choice(("agent", "caller"))
            teller.tells(ended_at, CallEnded(queue, agent.id, by, wait_s, talk_s))
        else:
            passed = CallTransferred(queue, agent.id, "warm", to.queue, wait_s, talk_s)
            teller.tells(ended_at, passed)
        done_at = ended_at + _s(wrap_up_s)
        outcome = "excluded" if group.excluded else dice.choice(("solved", "guided", "handed_over"))
        teller.tells(done_at, CallWrappedUp(agent.id, outcome, wrap_up_s))
        self._free_at[agent.id] = done_at
        if call.agent is None:
            call.agent, call.answered_at, call.ended_at = agent, at, ended_at
        if to is not None:
            teller.tells(ended_at, CallQueued(to.queue, to.id))
            self._waits(call, teller, to, ended_at)

    def _elsewhere(self, group: AnswerGroup) -> AnswerGroup | None:
        others = [
            other
            for name, other in sorted(city().groups.items())
            if name.startswith(("spec_", "jour_")) and set(other.partition) & set(group.partition)
        ]
        return self._dice.choice(others) if others else None


class _Teller:
    """Makes the facts of one call, with the ids that an exchange's own parts give."""

    def __init__(self, call: Call, exchange: str, uniqueid: str) -> None:
        self._call, self._exchange, self._uniqueid = call, exchange, uniqueid
        self._seen: Counter[tuple[str, str, str]] = Counter()

    def tells(self, at: datetime, event: Event) -> None:
        queue, member = str(getattr(event, "queue", "NONE")), str(getattr(event, "agent", "NONE"))
        kind = event.TOPIC.removeprefix("call.")
        self._seen[queue, kind, member] += 1
        n = self._seen[queue, kind, member]
        asking = telephony_key(self._exchange, self._uniqueid, queue, kind, member, n)
        origin = f"telephony:{self._exchange}"
        happened = Happened(self._call.stream, event, at)
        self._call.facts.append(
            (at, Draft(telephony_id(asking), asking, origin, origin, (happened,)))
        )


def _way_to(group: str) -> tuple[str | None, str | None]:
    """The number that was dialled and the key pressed, where some lead to the group."""
    return next(_ways(group), (None, None))


def _ways(group: str) -> Iterator[tuple[str, str | None]]:
    for row in city().rows("dialled_number").values():
        target = str(row["target"])
        if target == group:
            yield str(row["number"]), None
        options = city().rows("ivr").get(target, {}).get("options")
        for option in options if isinstance(options, list) else []:
            if option["group"] == group:
                yield str(row["number"]), str(option["key"])


def _s(seconds: float) -> timedelta:
    return timedelta(milliseconds=round(seconds * 1000))


def _of(span: timedelta) -> float:
    return round(span.total_seconds(), 3)
