"""The demo's people: agents who sign on, and what they register after a call, by seeded dice.

Nobody here exists; no name, number or text of a person is made up for them.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

from core.calls import CallWrappedUp
from core.commit import Draft, Event, Happened, import_id
from core.shifts import AgentAvailable, AgentSignedOff, AgentSignedOn, WrapUpStarted
from core.taxonomy import ANY_AUTHORITY
from core.vocabulary import WrapUpOutcome, call_stream, shift_stream
from kontaktcenter.demo_cases import Opened, play

if TYPE_CHECKING:
    import random
    from collections.abc import Mapping

    from core.taxonomy import AnswerGroup, Directory

EXCHANGE: Final = "demo"
ORIGIN: Final = "import:demo"
_REGISTERED: Final = 0.55  # share of answered calls that lead to a case
_WRAP_UP_S: Final = (4.0, 25.0)
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
        plans += _case(call, done_at, dice.choice(types), directory, dice)
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
    call: Answered, at: datetime, typed: tuple[str, str], directory: Directory, dice: random.Random
) -> list[Planned]:
    case_type, authority = typed
    opened = Opened(
        agent=call.agent,
        group=directory.group_of_queue(call.queue).id,
        contact=call_stream(EXCHANGE, call.uniqueid),
        case=f"demo-{call.uniqueid.replace('.', '-')}",
        authority=authority,
        case_type=case_type,
        at=at,
    )
    return [Planned(when, draft) for when, draft in play(opened, directory, dice, ORIGIN)]
