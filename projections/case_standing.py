"""How a case stands: the rules' own state, and when what is waited for began and ended.

The state is folded by `core.case_state`, so that a list never says anything else of a case than its
rules do. A case's events are in one shard, so the log's order is the same wherever it is read.
"""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Final

import msgspec

from core.case_state import CaseState, evolve
from core.cases import (
    CallbackKept,
    CallbackPromised,
    CaseContactAdded,
    CaseEscalated,
    CaseHandedOver,
    CaseQuestionAnswered,
    CaseQuestionAsked,
    CaseRegistered,
    ComplaintAnswered,
    ComplaintReceiptNoted,
    ComplaintSent,
    ComplaintSilent,
    HandoverReceiptNoted,
    HandoverSilent,
)
from core.vocabulary import Receipt
from projections.times import micros

if TYPE_CHECKING:
    from datetime import datetime

    from core.commit import Event, Recorded


class CaseWord(StrEnum):
    """How a case stands, in one word."""

    NOT_CATEGORISED = "not_categorised"
    OPEN = "open"
    WAITS_FOR_RECEIPT = "waits_for_receipt"
    WAITS_FOR_ANSWER = "waits_for_answer"
    AT_WORK = "at_work"
    CLOSED = "closed"


HANDOVER: Final = "handover"
COMPLAINT: Final = "complaint"
CALLBACK: Final = "callback"
QUESTION: Final = "question"


class Wait(msgspec.Struct):
    """Something that somebody waits for.

    `who` is the authority or the complaint system that is to give the receipt, or who is asked.
    `receipt_us` is when the first receipt came back, `done_us` when nothing is waited for any more.
    `receipt` is a hand-over's `Receipt`, or the complaint system's reference.
    """

    kind: str
    key: str
    since_us: int
    who: str | None = None
    group: str | None = None
    officer: str | None = None
    due_us: int | None = None
    receipt: str | None = None
    receipt_us: int | None = None
    done_us: int | None = None
    silent: bool = False
    safety: bool = False


class Standing(msgspec.Struct):
    """One case as it stands after the event `seq` of its shard.

    `group` is who was told to act, while the chain's step does not say it; `at_us` the last event.
    """

    state: CaseState = msgspec.field(default_factory=CaseState)
    seq: int = 0
    channel: str | None = None
    registered_us: int | None = None
    registered_by: str | None = None
    registered_group: str | None = None
    group: str | None = None
    closed_us: int | None = None
    at_us: int = 0
    callers: dict[str, int] = {}
    waits: list[Wait] = []

    @property
    def live(self) -> bool:
        """Whether the case is open, or something is still awaited in it."""
        if self.state.outcome is None:
            return True
        return any(wait.done_us is None and wait.kind != QUESTION for wait in self.waits)


def follow(standing: Standing, recorded: Recorded) -> None:
    """Take one more event of the case in, in the order of the log."""
    event, at_us = recorded.event, micros(recorded.occurred_at)
    before = standing.state
    standing.state = state = evolve(before, recorded)
    standing.seq, standing.at_us = recorded.seq, max(standing.at_us, at_us)
    if state.step != before.step or state.case_type != before.case_type:
        standing.group = None
    if state.outcome is None:
        standing.closed_us = None
    elif before.outcome is None:
        standing.closed_us = at_us
    match event:
        case CaseRegistered() if standing.registered_us is None:
            standing.registered_us, standing.registered_by = at_us, event.agent
            standing.channel, standing.registered_group = event.channel, event.group
            _called(standing, event.caller_ref, at_us)
        case CaseContactAdded():
            _called(standing, event.caller_ref, at_us)
        case CaseEscalated():
            standing.group = event.group or standing.group
        case _:
            _waits(standing, event, at_us)


def _called(standing: Standing, caller_ref: str | None, at_us: int) -> None:
    if caller_ref is not None:
        known = standing.callers.get(caller_ref, at_us)
        standing.callers[caller_ref] = max(known, at_us)


def _waits(standing: Standing, event: Event, at_us: int) -> None:
    match event:
        case CaseHandedOver():
            standing.group = event.group
            wait = Wait(HANDOVER, event.handover, at_us, event.receiver, event.group)
            wait.due_us, wait.safety = _us(event.receipt_due_at), event.safety
            wait.receipt = Receipt.SENT
            _begun(standing, wait)
        case HandoverReceiptNoted() | HandoverSilent():
            _handover(standing, event.handover, at_us)
        case ComplaintSent():
            wait = Wait(COMPLAINT, event.delivery, at_us, event.system)
            wait.due_us = _us(event.receipt_due_at)
            _begun(standing, wait)
        case ComplaintReceiptNoted() | ComplaintSilent() | ComplaintAnswered():
            _delivery(standing, event.delivery, at_us)
        case CallbackPromised():
            wait = Wait(CALLBACK, event.promise, at_us, None, event.group, event.officer)
            wait.due_us = _us(event.promised_at)
            _begun(standing, wait)
        case CallbackKept():
            if event.promise in standing.state.callbacks:
                _ended(standing, CALLBACK, event.promise, at_us)
        case CaseQuestionAsked():
            _begun(standing, Wait(QUESTION, event.question, at_us, event.to))
        case CaseQuestionAnswered():
            if event.question in standing.state.questions:
                _ended(standing, QUESTION, event.question, at_us)


def _begun(standing: Standing, wait: Wait) -> None:
    if _found(standing, wait.kind, wait.key) is None:
        standing.waits.append(wait)


def _found(standing: Standing, kind: str, key: str) -> Wait | None:
    return next((w for w in standing.waits if w.kind == kind and w.key == key), None)


def _handover(standing: Standing, key: str, at_us: int) -> None:
    wait, known = _found(standing, HANDOVER, key), standing.state.handovers.get(key)
    if wait is None or known is None:
        return
    wait.silent, wait.receipt = known.silent, known.receipt or wait.receipt
    if wait.receipt != Receipt.SENT and wait.receipt_us is None:
        wait.receipt_us = at_us
    if wait.receipt in {Receipt.ACCEPTED, Receipt.RETURNED} and wait.done_us is None:
        wait.done_us = at_us
    if wait.receipt == Receipt.RETURNED:
        standing.group = standing.registered_group  # back to where it came from


def _delivery(standing: Standing, key: str, at_us: int) -> None:
    wait, known = _found(standing, COMPLAINT, key), standing.state.deliveries.get(key)
    if wait is None or known is None:
        return
    wait.silent, wait.receipt = known.silent, known.reference
    if not known.awaited and wait.receipt_us is None:
        wait.receipt_us = at_us
    if known.answered and wait.done_us is None:
        wait.done_us = at_us


def _ended(standing: Standing, kind: str, key: str, at_us: int) -> None:
    wait = _found(standing, kind, key)
    if wait is not None and wait.done_us is None:
        wait.done_us = at_us


def word_of(standing: Standing) -> str:
    """The one word for how a case stands, the most pressing first (`CaseWord`)."""
    state = standing.state
    if state.outcome is not None:
        return CaseWord.CLOSED
    if any(h.awaited for h in state.handovers.values()):
        return CaseWord.WAITS_FOR_RECEIPT
    if any(d.awaited for d in state.deliveries.values()):
        return CaseWord.WAITS_FOR_RECEIPT
    if any(not q.answered for q in state.questions.values()):
        return CaseWord.WAITS_FOR_ANSWER
    if state.officer is not None:
        return CaseWord.AT_WORK
    if any(h.receipt == Receipt.ACCEPTED for h in state.handovers.values()):
        return CaseWord.AT_WORK
    return CaseWord.NOT_CATEGORISED if state.case_type is None else CaseWord.OPEN


def _us(at: datetime | None) -> int | None:
    return None if at is None else micros(at)
