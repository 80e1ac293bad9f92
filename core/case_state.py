"""A case as its events tell it. Total: a fact that does not fit is taken and marked."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import TYPE_CHECKING

from core.access import Place
from core.cases import CaseCategorised, CaseClosed, CaseRegistered
from core.commands import Contradiction, contradicted

if TYPE_CHECKING:
    from core.commit import Recorded


@dataclass(frozen=True, slots=True)
class Handover:
    """One hand-over: who is to receive it, how far it has come (`Receipt`; None until sent)."""

    id: str
    receiver: str
    group: str | None = None
    receipt: str | None = None
    due_at: datetime | None = None
    silent: bool = False
    safety: bool = False


@dataclass(frozen=True, slots=True)
class Delivery:
    """A complaint's way to its system: waiting for the receipt, then for the answer."""

    id: str
    system: str
    due_at: datetime | None = None
    reference: str | None = None
    answered: bool = False
    silent: bool = False


@dataclass(frozen=True)
class CaseState:
    """One case. `outcome` is None while it is open; `step` is the next step of its chain, from 0.

    `registered_by` is None when somebody else has taken the case over: what that person writes is
    not for the one who registered it.
    """

    number: str | None = None
    authority: str | None = None
    contact: str | None = None
    contacts: int = 0
    case_type: str | None = None
    type_version: int = 0
    complaint: bool = False
    due_at: datetime | None = None
    level: str = "1"
    step: int = 0
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
    questions: tuple[str, ...] = ()
    callbacks: tuple[str, ...] = ()
    links: dict[str, str] = field(default_factory=dict)
    attachments: tuple[str, ...] = ()
    contradictions: tuple[Contradiction, ...] = ()

    @property
    def place(self) -> Place:
        """Where the case is, for `core.access`."""
        receivers = frozenset(h.receiver for h in self.handovers.values())
        return Place(self.authority, receivers, self.registered_by, self.protected)


def evolve(state: CaseState, recorded: Recorded) -> CaseState:
    """The case after one more event. Total: a fact that does not fit is taken and marked."""
    event = recorded.event
    why = None
    match event:
        case CaseRegistered():
            if state.number is not None:
                why = f"registered again as {event.number}"
                after = state  # the first registration stands: the number was told to somebody
            else:
                after = replace(
                    state,
                    number=event.number,
                    authority=event.authority,
                    contact=event.contact,
                    registered_by=event.agent,
                    protected=event.protected,
                )
        case CaseCategorised():
            after = replace(state, case_type=event.case_type, complaint=event.complaint)
            why = _why_not_open(state, "categorised")
        case CaseClosed():
            after = replace(state, outcome=event.outcome, first_contact=event.first_contact)
            why = _why_not_open(state, "closed")
            if why is None and state.case_type is None:
                why = "closed without a type"
        case _:
            return state
    if why is None:
        return after
    return replace(after, contradictions=contradicted(state.contradictions, recorded, why))


def _why_not_open(state: CaseState, what: str) -> str | None:
    if state.number is None:
        return f"{what} before it was registered"
    return f"{what} after it was closed" if state.outcome is not None else None
