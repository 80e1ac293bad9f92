"""Silence is a fact too: the receipts that have not come by the time at which they were due."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Final
from uuid import UUID

from core.cases import ComplaintSilent, HandoverSilent
from core.commit import Event, process_id

if TYPE_CHECKING:
    from core.case_state import CaseState

PROCESS: Final = "overdue"


@dataclass(frozen=True, slots=True)
class Overdue:
    """A fact to be recorded: its id and asking are the same whichever node finds it, and when."""

    id: UUID
    asking: str
    event: Event
    due_at: datetime


def overdue(stream: str, state: CaseState, now: datetime) -> list[Overdue]:
    """What is overdue in a case at `now` and has not been told, in the order of being due.

    A receipt that comes later takes nothing back: somebody had to telephone.
    """
    found: list[Overdue] = []
    for handover in state.handovers.values():
        due = handover.due_at
        if handover.awaited and not handover.silent and due is not None and due <= now:
            found.append(_overdue(stream, HandoverSilent(handover.id, due), handover.id, due))
    for delivery in state.deliveries.values():
        due = delivery.due_at
        if delivery.awaited and not delivery.silent and due is not None and due <= now:
            found.append(_overdue(stream, ComplaintSilent(delivery.id, due), delivery.id, due))
    return sorted(found, key=lambda item: (item.due_at, str(item.id)))


def _overdue(stream: str, event: Event, of: str, due_at: datetime) -> Overdue:
    asking = f"{PROCESS}/{stream}/{of}"
    return Overdue(process_id(PROCESS, f"{stream}/{of}"), asking, event, due_at)
