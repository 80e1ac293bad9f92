"""A case as its events tell it. Total: a fact that does not fit is taken and marked."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field, fields, replace
from datetime import datetime
from typing import TYPE_CHECKING, Final

from core import cases
from core.access import Place
from core.case_parts import Callback, Delivery, Handover, Question, follows
from core.commands import Contradiction, contradicted
from core.personal import Personal
from core.vocabulary import Level, Receipt

if TYPE_CHECKING:
    from core.commit import Event, Recorded


@dataclass(frozen=True)
class CaseState:
    """One case. `outcome` is None while it is open; `done` are the steps of its chain that are.

    `registered_by` is None when somebody else has taken the case over: what that person writes is
    not for the one who registered it. `last` is a fingerprint of what happened last, by which an
    honest repeat under another id is known.
    """

    number: str | None = None
    authority: str | None = None
    registered_at: datetime | None = None
    contact: str | None = None
    contacts: int = 0
    calls: frozenset[str] = frozenset()
    case_type: str | None = None
    type_version: int = 0
    complaint: bool = False
    due_at: datetime | None = None
    level: str = Level.ONE.value
    done: frozenset[int] = frozenset()
    outcome: str | None = None
    first_contact: bool = False
    registered_by: str | None = None
    officer: str | None = None
    protected: bool = False
    answered: bool = False
    guided: bool = False
    decided: str | None = None
    registry_number: str | None = None
    registry: str | None = None
    handovers: dict[str, Handover] = field(default_factory=dict)
    deliveries: dict[str, Delivery] = field(default_factory=dict)
    questions: dict[str, Question] = field(default_factory=dict)
    callbacks: dict[str, Callback] = field(default_factory=dict)
    links: dict[str, str] = field(default_factory=dict)
    attachments: tuple[str, ...] = ()
    last: str | None = None
    contradictions: tuple[Contradiction, ...] = ()

    @property
    def step(self) -> int:
        """The next step of the chain, from 0: the one after the furthest that is done."""
        return max(self.done, default=-1) + 1

    @property
    def receivers(self) -> frozenset[str]:
        """The authorities that work on it because it was handed over, and not returned."""
        return frozenset(h.receiver for h in self.handovers.values() if not h.returned)

    @property
    def place(self) -> Place:
        """Where the case is, for `core.access`."""
        return Place(self.authority, self.receivers, self.registered_by, self.protected)


def evolve(state: CaseState, recorded: Recorded) -> CaseState:
    """The case after one more event. Total: a fact that does not fit is taken and marked."""
    event = recorded.event
    why = None
    if isinstance(event, cases.CaseRegistered):
        if state.number is not None:
            why = f"registered again as {event.number}"
            after = state  # the first registration stands: the number was told to somebody
        else:
            after = _registered(state, event, recorded.occurred_at)
    elif not isinstance(event, cases.CASE_EVENTS):
        return state
    else:
        what = type(event).TOPIC.removeprefix("case.").replace("_", " ")
        if state.number is None:
            why = f"{what} before it was registered"
        elif state.outcome is not None and isinstance(event, _OPEN_ONLY):
            why = f"{what} after it was closed"
        found = _on_its_way(state, event) or _awaited(state, event) or _beside(state, event)
        after, odd = found or (state, None)
        why = why or odd
        if _taken_over(state, event):
            after = replace(after, registered_by=None)
    after = replace(after, last=fingerprint(event))
    if why is None:
        return after
    return replace(after, contradictions=contradicted(state.contradictions, recorded, why))


def fingerprint(event: Event) -> str:
    """What tells an event from another: its type and what was done, without place and name."""
    said = [type(event).TOPIC]
    for item in fields(event):
        value = getattr(event, item.name)
        if item.name not in {"step", _GIVES.get(type(event))}:
            said.append(value.value if isinstance(value, Personal) else str(value))
    return hashlib.sha256("\0".join(said).encode("utf-8", "surrogatepass")).hexdigest()


# Ids that an event gives, by which alone two tellings of the same differ.
_GIVES: Final[dict[type[Event], str]] = {
    cases.CaseHandedOver: "handover",
    cases.ComplaintSent: "delivery",
    cases.CaseQuestionAsked: "question",
    cases.CallbackPromised: "promise",
}
_OPEN_ONLY: Final = (
    cases.CaseCategorised, cases.CaseEscalated, cases.CaseGuided, cases.CaseAnswered,
    cases.CaseConnected, cases.CaseHandedOver, cases.CaseTaken, cases.CaseQuestionAsked,
    cases.CaseQuestionAnswered, cases.CaseDecided, cases.ComplaintSent, cases.CallbackPromised,
    cases.CaseClosed,
)  # fmt: skip
# What somebody else may do without having taken the case over from the one who registered it.
_LEAVES_IT: Final = (
    cases.CaseRegistered, cases.CaseContactAdded, cases.HandoverSilent, cases.ComplaintSilent,
    cases.ComplaintReceiptNoted, cases.CallbackKept,
)  # fmt: skip
_Found = tuple[CaseState, str | None] | None


def _taken_over(state: CaseState, event: Event) -> bool:
    """Whether somebody else than who registered the case works on it by this.

    Even what tells nothing by itself, such as a new type, shows in what is refused afterwards.
    """
    if isinstance(event, _LEAVES_IT):
        return False
    if isinstance(event, cases.HandoverReceiptNoted) and event.receipt != Receipt.ACCEPTED:
        return False
    names = (getattr(event, name, None) for name in ("agent", "registrar"))
    who = next((name for name in names if name is not None), None)
    if isinstance(event, cases.CaseTaken | cases.CaseDecided):
        who = event.officer
    return who is not None and who != state.registered_by


def _registered(state: CaseState, event: cases.CaseRegistered, at: datetime) -> CaseState:
    return replace(
        state,
        number=event.number,
        authority=event.authority,
        registered_at=at,
        contact=event.contact,
        contacts=1,
        calls=_joined(frozenset(), event.contact),
        registered_by=event.agent,
        protected=event.protected,
    )


def _on_its_way(state: CaseState, event: Event) -> _Found:
    """What moves the case along its chain, and ends it."""
    why = None
    match event:
        case cases.CaseCategorised():
            after = replace(
                state,
                case_type=event.case_type,
                type_version=event.type_version,
                complaint=event.complaint,
                due_at=event.due_at,
                done=frozenset(),
                answered=False,  # what was answered in another chain says nothing of this one
                guided=False,
            )
            after = _done(after, event.step)
        case cases.CaseEscalated():
            after = replace(state, level=event.to_level)
        case cases.CaseGuided():
            after = _done(replace(state, guided=True), event.step)
        case cases.CaseAnswered():
            after = _done(replace(state, answered=True), event.step)
        case cases.CaseConnected() | cases.CaseNoted():
            after = _done(state, event.step)
        case cases.CaseTaken():
            after = replace(state, officer=event.officer)
        case cases.CaseDecided():
            after = _done(replace(state, decided=event.outcome), event.step)
            why = "decided again" if state.decided is not None else None
        case cases.CaseClosed():
            after = replace(state, outcome=event.outcome, first_contact=event.first_contact)
            why = "closed without a type" if state.case_type is None else None
        case cases.CaseReopened():
            after = replace(state, outcome=None, first_contact=False, decided=None)
            why = "reopened while it was open" if state.outcome is None else None
        case _:
            return None
    return after, why


def _awaited(state: CaseState, event: Event) -> _Found:
    """Hand-overs and complaints: what is awaited, and what came."""
    why = None
    after = state
    match event:
        case cases.CaseHandedOver() if event.handover in state.handovers:
            why = "handed over again under one id"
        case cases.CaseHandedOver():
            sent = Handover(
                event.handover,
                event.receiver,
                event.group,
                due_at=event.receipt_due_at,
                safety=event.safety,
                step=event.step,
                officer=event.officer,
            )
            officer = None if event.receiver == state.authority else state.officer
            handovers = {**state.handovers, event.handover: sent}
            after = _done(replace(state, handovers=handovers, officer=officer), event.step)
        case cases.HandoverReceiptNoted():
            handover = state.handovers.get(event.handover)
            if handover is None:
                why = "receipt of a hand-over that is not there"
            else:
                after = _received(state, handover, event.receipt)
                why = None if follows(handover.receipt, event.receipt) else "receipt out of order"
        case cases.HandoverSilent():
            handover = state.handovers.get(event.handover)
            if handover is None:
                why = "silence about a hand-over that is not there"
            else:
                told = replace(handover, silent=True)
                after = replace(state, handovers={**state.handovers, told.id: told})
        case cases.ComplaintSent() if event.delivery in state.deliveries:
            why = "a complaint sent again under one id"
        case cases.ComplaintSent():
            delivery = Delivery(event.delivery, event.system, event.receipt_due_at)
            deliveries = {**state.deliveries, event.delivery: delivery}
            after = _done(replace(state, deliveries=deliveries), event.step)
        case cases.ComplaintReceiptNoted():
            after, why = _delivery(state, event.delivery, reference=event.reference)
        case cases.ComplaintSilent():
            after, why = _delivery(state, event.delivery, silent=True)
        case cases.ComplaintAnswered():
            after, why = _delivery(state, event.delivery, answered=True)
            after = _done(after, event.step)
        case _:
            return None
    return after, why


def _beside(state: CaseState, event: Event) -> _Found:
    """Contacts, questions, promises, links, and the registrar's work."""
    why = None
    after = state
    match event:
        case cases.CaseContactAdded():
            calls = _joined(state.calls, event.contact)
            after = replace(state, contacts=state.contacts + 1, calls=calls)
        case cases.CaseQuestionAsked() if event.question in state.questions:
            why = "a question asked again under one id"
        case cases.CaseQuestionAsked():
            question = Question(event.question, event.to)
            after = replace(state, questions={**state.questions, event.question: question})
        case cases.CaseQuestionAnswered():
            asked = state.questions.get(event.question)
            if asked is None:
                why = "answer to a question that is not there"
            else:
                answered = replace(asked, answered=True)
                after = replace(state, questions={**state.questions, asked.id: answered})
        case cases.CallbackPromised() if event.promise in state.callbacks:
            why = "promised again under one id"
        case cases.CallbackPromised():
            promise = Callback(
                event.promise, event.promised_at, event.group, event.officer, agent=event.agent
            )
            after = replace(state, callbacks={**state.callbacks, event.promise: promise})
        case cases.CallbackKept():
            promised = state.callbacks.get(event.promise)
            if promised is None:
                why = "a promise kept that is not there"
            else:
                kept = replace(promised, kept=True, reached=event.reached)
                after = replace(state, callbacks={**state.callbacks, kept.id: kept})
        case cases.CaseLinked():
            after = replace(state, links={**state.links, event.other: event.kind})
        case cases.CaseUnlinked():
            links = {other: kind for other, kind in state.links.items() if other != event.other}
            after = replace(state, links=links)
        case cases.CaseProtected():
            after = replace(state, protected=event.protected)
        case cases.RegistryDecided():
            after = replace(state, registry=event.outcome, registry_number=event.registry_number)
        case cases.AttachmentAdded():
            after = replace(state, attachments=(*state.attachments, event.address))
        case _:
            return None
    return after, why


def _joined(calls: frozenset[str], call: str | None) -> frozenset[str]:
    return calls if call is None else calls | {call}


def _done(state: CaseState, step: int | None) -> CaseState:
    return state if step is None else replace(state, done=state.done | {step})


def _received(state: CaseState, handover: Handover, receipt: str) -> CaseState:
    """A receipt came; what is returned is back with the centre, at the step where it was."""
    if not follows(handover.receipt, receipt):
        return state
    told = replace(handover, receipt=receipt)
    after = replace(state, handovers={**state.handovers, told.id: told})
    if receipt != Receipt.RETURNED:
        return after
    back = frozenset(n for n in state.done if handover.step is None or n < handover.step)
    level = state.level if state.level == Level.ONE else Level.TWO.value
    officer = None if handover.receiver == state.authority else state.officer
    return replace(after, done=back, level=level, officer=officer)


def _delivery(state: CaseState, delivery: str, **told: object) -> tuple[CaseState, str | None]:
    found = state.deliveries.get(delivery)
    if found is None:
        return state, "news of a complaint that was not sent"
    changed: dict[str, Delivery] = {delivery: replace(found, **told)}  # type: ignore[arg-type]
    return replace(state, deliveries={**state.deliveries, **changed}), None
