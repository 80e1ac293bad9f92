"""Cases recounted in plain Python from what was told, with nothing of the product's folds.

Written from the words of the rules, not from their code: what is open, whose turn it is, what is
awaited, and who may see it in a list.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

from core import cases as c

if TYPE_CHECKING:
    from collections.abc import Iterable

    from core.access import Sight

ORDER = {"sent": 1, "received": 2, "accepted": 3}


@dataclass
class Recounted:
    """One case."""

    stream: str
    authority: str
    number: str | None = None
    kind: str | None = None
    due: datetime | None = None
    level: str = "1"
    officer: str | None = None
    outcome: str | None = None
    protected: bool = False
    registry: str | None = None
    opened_by: str | None = None
    callers: set[str | None] = field(default_factory=set)
    handovers: dict[str, dict[str, Any]] = field(default_factory=dict)
    complaints: dict[str, dict[str, Any]] = field(default_factory=dict)
    callbacks: dict[str, dict[str, Any]] = field(default_factory=dict)
    questions: dict[str, dict[str, Any]] = field(default_factory=dict)

    def receivers(self) -> set[str]:
        return {h["who"] for h in self.handovers.values() if h["receipt"] != "returned"}

    def in_sight(self, sight: Sight) -> bool:
        own = sight.rooms & ({self.authority} | self.receivers())
        if not own or self.authority in sight.closed:
            return False
        return not self.protected or bool(own & sight.protected)

    def awaited(self, kind: str) -> dict[str, dict[str, Any]]:
        """What is still awaited of a kind."""
        if kind == "handover":
            return {
                k: h
                for k, h in self.handovers.items()
                if h["receipt"] not in {"accepted", "returned"}
            }
        if kind == "complaint":
            return {k: w for k, w in self.complaints.items() if not w["answered"]}
        if kind == "callback":
            return {k: w for k, w in self.callbacks.items() if not w["kept"]}
        if self.outcome is not None:
            return {}
        return {k: w for k, w in self.questions.items() if not w["answered"]}


def recount(told: Iterable[tuple[str, Any, datetime]]) -> dict[str, Recounted]:
    """The cases by stream, from events in the order in which they were told."""
    found: dict[str, Recounted] = {}
    for stream, event, _at in told:
        case = found.setdefault(stream, Recounted(stream, stream.split("/")[1]))
        _take(case, event)
    return found


def _take(case: Recounted, event: Any) -> None:
    match event:
        case c.CaseRegistered():
            if case.number is None:
                case.number, case.opened_by = event.number, event.agent
                case.protected = event.protected
                case.callers |= {event.caller_ref} - {None}
        case c.CaseContactAdded():
            case.callers |= {event.caller_ref} - {None}
        case c.CaseCategorised():
            case.kind, case.due = event.case_type, event.due_at
        case c.CaseEscalated():
            case.level = event.to_level
        case c.CaseTaken():
            case.officer = event.officer
        case c.CaseClosed():
            case.outcome = event.outcome
        case c.CaseReopened():
            case.outcome = None
        case c.CaseProtected():
            case.protected = event.protected
        case c.RegistryDecided():
            case.registry = event.outcome
        case c.CaseHandedOver():
            case.handovers[event.handover] = {
                "who": event.receiver, "due": event.receipt_due_at, "receipt": "sent",
                "silent": False, "came": False,
            }  # fmt: skip
            if event.receiver == case.authority:
                case.officer = None
        case c.HandoverReceiptNoted() if event.handover in case.handovers:
            _receipt(case, case.handovers[event.handover], event.receipt)
        case c.HandoverSilent() if event.handover in case.handovers:
            case.handovers[event.handover]["silent"] = True
        case c.ComplaintSent():
            case.complaints[event.delivery] = {
                "who": event.system, "due": event.receipt_due_at, "came": False,
                "answered": False, "silent": False,
            }  # fmt: skip
        case c.ComplaintReceiptNoted() if event.delivery in case.complaints:
            case.complaints[event.delivery]["came"] = True
        case c.ComplaintSilent() if event.delivery in case.complaints:
            case.complaints[event.delivery]["silent"] = True
        case c.ComplaintAnswered() if event.delivery in case.complaints:
            case.complaints[event.delivery] |= {"answered": True, "came": True}
        case c.CallbackPromised():
            case.callbacks[event.promise] = {"due": event.promised_at, "kept": False}
        case c.CallbackKept() if event.promise in case.callbacks:
            case.callbacks[event.promise]["kept"] = True
        case c.CaseQuestionAsked():
            case.questions[event.question] = {"answered": False}
        case c.CaseQuestionAnswered() if event.question in case.questions:
            case.questions[event.question]["answered"] = True
        case _:
            pass


def _receipt(case: Recounted, handover: dict[str, Any], receipt: str) -> None:
    """A receipt goes forward only; accepted and returned are the end."""
    before = handover["receipt"]
    if before in {"accepted", "returned"}:
        return
    if receipt != "returned" and ORDER[receipt] <= ORDER[before]:
        return
    handover["receipt"], handover["came"] = receipt, True
    if receipt == "returned":
        case.level = case.level if case.level == "1" else "2"
        if handover["who"] == case.authority:
            case.officer = None
