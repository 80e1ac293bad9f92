"""The demo's people: agents who sign on, and what they register after a call, by seeded dice.

Nobody here exists; no name, number or text of a person is made up for them.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

from core.calls import CallWrappedUp
from core.cases import CaseCategorised, CaseClosed, CaseRegistered
from core.commit import Draft, Event, Happened, import_id
from core.shifts import AgentAvailable, AgentSignedOff, AgentSignedOn, WrapUpStarted
from core.taxonomy import ANY_AUTHORITY
from core.vocabulary import Channel, WrapUpOutcome, call_stream, case_stream, shift_stream

if TYPE_CHECKING:
    import random
    from collections.abc import Mapping

    from core.taxonomy import AnswerGroup, Directory

EXCHANGE: Final = "demo"
ORIGIN: Final = "import:demo"
_REGISTERED: Final = 0.55  # share of answered calls that lead to a case
_COMPLAINTS: Final = 0.03
_SOLVED_AT_ONCE: Final = 0.7
_WRAP_UP_S: Final = (4.0, 25.0)
_LATER_S: Final = (90.0, 600.0)  # a case that is not solved at once is closed so much later
_USUAL_OWNERS: Final = ("TK", "MF", "FSK", "SBK")  # whose matters a crisis line hears of
_OUTCOMES: Final = (
    (WrapUpOutcome.SOLVED, 0.55),
    (WrapUpOutcome.GUIDED, 0.2),
    (WrapUpOutcome.ESERVICE, 0.1),
    (WrapUpOutcome.HANDED_OVER, 0.1),
    (WrapUpOutcome.CALLBACK, 0.05),
)


@dataclass(frozen=True, slots=True)
class Answered:
    """A call that an agent has just finished."""

    uniqueid: str
    queue: str
    agent: str
    ended_at: datetime


@dataclass(frozen=True, slots=True)
class Planned:
    """Something that a simulated agent will do at a time of the demo's clock.

    `frees` names the agent who is then free again, unless another call or a pause came meanwhile.
    """

    at: datetime
    draft: Draft
    frees: str | None = None


def _draft(agent: str, at: datetime, key: str, *happened: tuple[str, Event]) -> Draft:
    name = f"{EXCHANGE}/{key}"
    return Draft(
        id=import_id("demo", name),
        asking=name,
        actor=agent,
        origin=ORIGIN,
        events=tuple(Happened(stream, event, at) for stream, event in happened),
    )


def sign_on(agents: Mapping[str, tuple[str, ...]], at: datetime) -> list[Planned]:
    """All `agents` come to work, with their queues as groups."""
    plans = []
    for agent, queues in agents.items():
        stream = shift_stream(EXCHANGE, agent, f"{at:%Y-%m-%d}")
        signed_on = AgentSignedOn(agent, groups=queues, levels=("1",))
        key = f"on/{agent}/{at.isoformat()}"
        happened = ((stream, signed_on), (stream, AgentAvailable(agent)))
        plans.append(Planned(at, _draft(agent, at, key, *happened)))
    return plans


def sign_off(agents: Mapping[str, tuple[str, ...]], on: str, at: datetime) -> list[Planned]:
    """All `agents` end the working day `on` (a UTC date)."""
    return [
        Planned(
            at,
            _draft(
                agent,
                at,
                f"off/{agent}/{at.isoformat()}",
                (shift_stream(EXCHANGE, agent, on), AgentSignedOff(agent)),
            ),
        )
        for agent in agents
    ]


def after_call(call: Answered, directory: Directory, dice: random.Random) -> list[Planned]:
    """What the agent does after a call: wraps up, often registers a case, closes it sometime."""
    group = directory.group_of_queue(call.queue)
    if group.excluded:
        return []
    wrap_up_s = dice.uniform(*_WRAP_UP_S)
    outcome = dice.choices([o for o, _p in _OUTCOMES], [p for _o, p in _OUTCOMES])[0]
    wrapped = CallWrappedUp(call.agent, outcome=outcome, wrap_up_s=round(wrap_up_s, 1))
    done_at = call.ended_at + timedelta(seconds=wrap_up_s)
    stream = call_stream(EXCHANGE, call.uniqueid)
    key = f"wrap/{call.uniqueid}/{call.queue}"
    plans = [
        Planned(done_at, _draft(call.agent, done_at, key, (stream, wrapped))),
        *_after_call_work(call, stream, done_at),
    ]
    types = _types_of(directory, group)
    if types and dice.random() < _REGISTERED:
        plans += _case(call, done_at, dice.choice(types), dice)
    return plans


def _after_call_work(call: Answered, stream: str, done_at: datetime) -> list[Planned]:
    begun, done = WrapUpStarted(call.agent, call=stream), AgentAvailable(call.agent)
    shifts = [
        shift_stream(EXCHANGE, call.agent, f"{at:%Y-%m-%d}") for at in (call.ended_at, done_at)
    ]
    key = f"work/{call.uniqueid}/{call.queue}"
    return [
        Planned(call.ended_at, _draft(call.agent, call.ended_at, key, (shifts[0], begun))),
        Planned(
            done_at,
            _draft(call.agent, done_at, f"{key}/done", (shifts[1], done)),
            frees=call.agent,
        ),
    ]


def _types_of(directory: Directory, group: AnswerGroup) -> list[tuple[str, str]]:
    """(case type, owner) that a group registers: those with a step of its own, else its owners'.

    A type of any authority gets one of the group's own; the crisis line has none and gets one of
    the usual.
    """
    owners = group.partition or tuple(code for code in _USUAL_OWNERS if directory.authority(code))
    found, own = [], []
    for code, row in sorted(directory.rows("case_type").items()):
        owner = str(row.get("authority"))
        chosen = owners if owner == ANY_AUTHORITY else (owner,)
        pairs = [(code, one) for one in chosen if one in owners and row.get("excluded") is not True]
        found += pairs
        own += pairs if _has_step(row, group.id) else []
    return own or found


def _has_step(row: Mapping[str, object], group: str) -> bool:
    steps = row.get("steps")
    return isinstance(steps, list | tuple) and any(step.get("group") == group for step in steps)


def _case(
    call: Answered, at: datetime, typed: tuple[str, str], dice: random.Random
) -> list[Planned]:
    case_type, authority = typed
    case_id = f"demo-{call.uniqueid}"
    stream = case_stream(authority, case_id)
    complaint = dice.random() < _COMPLAINTS
    registered = CaseRegistered(
        number=f"{authority}-{call.uniqueid.replace('.', '-')}",
        authority=authority,
        agent=call.agent,
        channel=Channel.PHONE,
        contact=call_stream(EXCHANGE, call.uniqueid),
    )
    categorised = CaseCategorised(case_type, agent=call.agent, complaint=complaint)
    key = f"case/{call.uniqueid}/{call.queue}"
    plans = [Planned(at, _draft(call.agent, at, key, (stream, registered), (stream, categorised)))]
    at_once = not complaint and dice.random() < _SOLVED_AT_ONCE
    closed_at = at if at_once else at + timedelta(seconds=dice.uniform(*_LATER_S))
    closed = CaseClosed(
        outcome=WrapUpOutcome.SOLVED if at_once else WrapUpOutcome.HANDED_OVER,
        agent=call.agent,
        first_contact=at_once,
    )
    plans.append(
        Planned(closed_at, _draft(call.agent, closed_at, f"{key}/closed", (stream, closed)))
    )
    return plans
