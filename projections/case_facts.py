"""A case's events as compact facts for figures, and what a case comes to, told in any order.

Figures go by when things happened, so a case is folded by time; work lists go by the log.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from core.cases import (
    CaseCategorised,
    CaseClosed,
    CaseConnected,
    CaseContactAdded,
    CaseEscalated,
    CaseGuided,
    CaseHandedOver,
    CaseRegistered,
    CaseReopened,
    ComplaintSent,
)
from core.vocabulary import Level
from projections.call_facts import mark_of, worse
from projections.times import micros

if TYPE_CHECKING:
    from collections.abc import Sequence

    from core.commit import Event
    from projections.base import Fed

REGISTER, CATEGORISE, CLOSE, CONTACT, ESCALATE, GUIDE, PASS_ON, REOPEN = range(8)
FIGURE_EVENTS: Final[tuple[type[Event], ...]] = (
    CaseRegistered, CaseCategorised, CaseClosed, CaseContactAdded, CaseEscalated, CaseGuided,
    CaseConnected, CaseHandedOver, ComplaintSent, CaseReopened,
)  # fmt: skip
FIGURE_TOPICS: Final = frozenset(event.TOPIC for event in FIGURE_EVENTS)
# Whoever takes it on at these levels is no longer the centre.
_BEYOND: Final = frozenset({Level.SPECIALIST, Level.ON_CALL_EXPERT, Level.ROUTE_ONLY})


class CaseFact(NamedTuple):
    """One event of a case.

    `word` is its type, outcome, level or how it was passed on; `flag` complaint or first contact.
    """

    at_us: int
    seq: int
    kind: int
    mark: int
    flag: bool = False
    number: str | None = None
    authority: str | None = None
    agent: str | None = None
    channel: str | None = None
    contact: str | None = None
    caller_ref: str | None = None
    word: str | None = None
    group: str | None = None


class Case(NamedTuple):
    """One case.

    Times are microseconds since the epoch; `contact` is the stream of the call it came from.
    `level` is the highest that it was escalated to, `contacts` how often somebody got in touch.
    `passed_on`: it was connected, handed over, sent to a complaint system or escalated beyond the
    centre's two levels, and did not stay here.
    """

    number: str | None
    authority: str
    channel: str | None
    contact: str | None
    caller_ref: str | None
    case_type: str | None
    complaint: bool
    outcome: str | None
    first_contact: bool
    registered_us: int | None
    closed_us: int | None
    registered_by: str | None
    closed_by: str | None
    mark: int
    level: str
    answer_group: str | None
    contacts: int
    guided: bool
    passed_on: bool
    reopened: bool


def fold_case(stream: str, facts: Sequence[CaseFact]) -> Case:
    """What a case comes to: first registration, last type, first close, highest level."""
    told: dict[int, list[CaseFact]] = {}
    mark = 0
    for fact in sorted(facts):
        mark = worse(mark, fact.mark)
        told.setdefault(fact.kind, []).append(fact)
    registered = told[REGISTER][0] if REGISTER in told else None
    categorised = told[CATEGORISE][-1] if CATEGORISE in told else None
    closed = told[CLOSE][0] if CLOSE in told else None
    levels = [fact.word for fact in told.get(ESCALATE, ()) if fact.word in _ORDER]
    level = max(levels, key=_ORDER.index, default=None) or Level.ONE.value
    return Case(
        number=registered.number if registered else None,
        authority=stream.split("/", 2)[1],
        channel=registered.channel if registered else None,
        contact=registered.contact if registered else None,
        caller_ref=registered.caller_ref if registered else None,
        case_type=categorised.word if categorised else None,
        complaint=categorised.flag if categorised else False,
        outcome=closed.word if closed else None,
        first_contact=closed.flag if closed else False,
        registered_us=registered.at_us if registered else None,
        closed_us=closed.at_us if closed else None,
        registered_by=registered.agent if registered else None,
        closed_by=closed.agent if closed else None,
        mark=mark,
        level=level,
        answer_group=registered.group if registered else None,
        contacts=len(told.get(CONTACT, ())) + (registered is not None),
        guided=GUIDE in told,
        passed_on=PASS_ON in told or level in _BEYOND,
        reopened=REOPEN in told,
    )


_ORDER: Final = [level.value for level in Level]


def case_fact(fed: Fed, event: Event) -> CaseFact | None:
    """The fact that an event tells; None where figures do not need it."""
    at, seq = micros(fed.event.occurred_at), fed.seq
    mark = mark_of(fed.commit.origin, fed.event.occurred_at, fed.commit.recorded_at)
    match event:
        case CaseRegistered():
            return CaseFact(
                at, seq, REGISTER, mark, False, event.number, event.authority, event.agent,
                event.channel, event.contact, event.caller_ref, None, event.group,
            )  # fmt: skip
        case CaseCategorised():
            return CaseFact(
                at, seq, CATEGORISE, mark, event.complaint, agent=event.agent, word=event.case_type
            )
        case CaseClosed():
            return CaseFact(
                at, seq, CLOSE, mark, event.first_contact, agent=event.agent, word=event.outcome
            )
        case CaseContactAdded():
            return CaseFact(
                at, seq, CONTACT, mark, agent=event.agent, contact=event.contact,
                caller_ref=event.caller_ref,
            )  # fmt: skip
        case CaseEscalated():
            return CaseFact(at, seq, ESCALATE, mark, word=event.to_level, group=event.group)
        case CaseGuided():
            return CaseFact(at, seq, GUIDE, mark, word=event.to)
        case CaseConnected() | CaseHandedOver() | ComplaintSent():
            return CaseFact(at, seq, PASS_ON, mark, word=event.TOPIC)
        case CaseReopened():
            return CaseFact(at, seq, REOPEN, mark)
        case _:
            return None
