"""What comes of officers' and registrars' commands about a case, and how a case ends."""

from __future__ import annotations

from typing import TYPE_CHECKING

from core import case_border as border
from core import cases
from core.case_desk import SAFETY_GROUP, CloseCase, ReopenCase
from core.case_desk_rules import require_not_taken, require_open, unless_just_so
from core.case_parts import Handover, follows
from core.case_refusals import (
    CaseIsClosed,
    CaseIsDecided,
    CaseIsTaken,
    CaseNotCategorised,
    CaseOfOfficer,
    ComplaintUnknown,
    ExerciseOfAuthority,
    HandoverUnknown,
    NotTheReceiver,
    ReceiptAwaited,
    ReceiptOutOfOrder,
    RegistryNumberStands,
)
from core.vocabulary import Receipt, StepAction, WrapUpOutcome

if TYPE_CHECKING:
    from collections.abc import Sequence

    from core.case_office import (
        AddAttachment,
        AnswerComplaint,
        AskQuestion,
        DecideCase,
        DecideRegistry,
        DiscloseCase,
        NoteComplaintReceipt,
        NoteReceipt,
        ProtectCase,
        TakeCase,
    )
    from core.case_state import CaseState
    from core.commit import Event
    from core.taxonomy import Directory


# --- hand-overs received --------------------------------------------------------------------------
def note_receipt(state: CaseState, command: NoteReceipt) -> Sequence[Event]:
    """See `NoteReceipt`. A case that comes back closed goes on: it is the centre's again."""
    handover = state.handovers.get(command.handover)
    if handover is None:
        raise HandoverUnknown(handover=command.handover)
    if command.receipt != Receipt.SENT and not border.speaks_for(command.asker, handover.receiver):
        raise NotTheReceiver(receiver=handover.receiver)
    if handover.receipt == command.receipt:
        return []
    if not follows(handover.receipt, command.receipt):
        raise ReceiptOutOfOrder(
            f"The hand-over is {handover.receipt} already; it does not become {command.receipt}.",
            receipt=handover.receipt,
        )
    told = cases.HandoverReceiptNoted(
        command.handover, command.receipt, command.agent, command.reason
    )
    if command.receipt == Receipt.RETURNED and state.outcome is not None:
        return [told, cases.CaseReopened(command.agent, command.reason)]
    return [told]


def take(state: CaseState, command: TakeCase) -> Sequence[Event]:
    """See `TakeCase`. Who takes a case accepts what was handed over to his or her authority.

    The centre may have closed it when the receipt came: for those who received it, it goes on.
    """
    _officers_alone(state, command)
    if state.officer == command.agent and state.outcome is None:
        return []
    waiting = _waiting_for(state, command)
    if not waiting:
        require_open(state)
    if state.officer not in {None, command.agent, command.instead_of}:
        raise CaseIsTaken(f"{state.officer} has the case.", officer=state.officer)
    again = [] if state.outcome is None else [cases.CaseReopened(command.agent)]
    accepted = [
        cases.HandoverReceiptNoted(handover.id, Receipt.ACCEPTED.value, command.agent)
        for handover in waiting
    ]
    return [*again, *accepted, cases.CaseTaken(command.agent)]


def _waiting_for(state: CaseState, command: TakeCase) -> list[Handover]:
    return [
        handover
        for handover in state.handovers.values()
        if follows(handover.receipt, Receipt.ACCEPTED)
        and command.asker.is_officer_of(handover.receiver)
    ]


def _officers_alone(state: CaseState, command: TakeCase | AskQuestion) -> None:
    if not border.works_for_it(state, command.asker):
        raise NotTheReceiver(owner=state.authority)


def ask(state: CaseState, command: AskQuestion) -> Sequence[Event]:
    """See `AskQuestion`."""
    if str(command.id) in state.questions:
        return []
    _officers_alone(state, command)
    require_open(state)
    event = cases.CaseQuestionAsked(command.agent, str(command.id), command.to, command.text)
    return unless_just_so(state, event)


def decide_matter(state: CaseState, command: DecideCase, directory: Directory) -> Sequence[Event]:
    """See `DecideCase`. For the owner alone, save a step that the owner has handed over (R14)."""
    if state.decided is not None:
        if state.decided == command.outcome:
            return []
        raise CaseIsDecided(f"It was decided already: {state.decided}.", outcome=state.decided)
    require_open(state)
    if state.case_type is None:
        raise CaseNotCategorised
    step = border.step_to_do(state, command.asker, {StepAction.DECIDE}, directory)
    if step is None and not border.acts_for_owner(state, command.asker):
        raise ExerciseOfAuthority
    require_not_taken(state, command.asker)
    return [cases.CaseDecided(command.agent, command.outcome, command.text, step)]


# --- complaints -----------------------------------------------------------------------------------
def note_complaint_receipt(state: CaseState, command: NoteComplaintReceipt) -> Sequence[Event]:
    """See `NoteComplaintReceipt`. The first reference stands."""
    delivery = state.deliveries.get(command.delivery)
    if delivery is None:
        raise ComplaintUnknown(delivery=command.delivery)
    if not border.speaks_for(command.asker, command.authority):
        raise NotTheReceiver(receiver=command.authority)
    if delivery.reference == command.reference:
        return []
    if delivery.reference is not None:
        raise ReceiptOutOfOrder(
            f"The complaint has a receipt already: {delivery.reference}.",
            reference=delivery.reference,
        )
    return [cases.ComplaintReceiptNoted(command.delivery, command.reference)]


def answer_complaint(
    state: CaseState, command: AnswerComplaint, directory: Directory
) -> Sequence[Event]:
    """See `AnswerComplaint`. The answer may come long after the case was closed."""
    delivery = state.deliveries.get(command.delivery)
    if delivery is None:
        raise ComplaintUnknown(delivery=command.delivery)
    if not border.speaks_for(command.asker, command.authority):
        raise NotTheReceiver(receiver=command.authority)
    if delivery.answered:
        return []
    step = border.undone_by(state, directory, border.ANSWERS, command.asker)
    return [cases.ComplaintAnswered(command.delivery, command.agent, command.text, step)]


# --- the registrar's work -------------------------------------------------------------------------
def protect(state: CaseState, command: ProtectCase) -> Sequence[Event]:
    """See `ProtectCase`."""
    if state.protected == command.protected:
        return []
    return [cases.CaseProtected(command.agent, command.protected)]


def decide_registry(state: CaseState, command: DecideRegistry) -> Sequence[Event]:
    """See `DecideRegistry`. What was kept unregistered may be registered; a number stands."""
    number = command.registry_number if command.outcome == "registered" else None
    if (state.registry, state.registry_number) == (command.outcome, number):
        return []
    if state.registry_number is not None:
        raise RegistryNumberStands(
            f"The case is registered as {state.registry_number}.", number=state.registry_number
        )
    return [cases.RegistryDecided(command.agent, command.outcome, number, command.rule)]


def add_attachment(state: CaseState, command: AddAttachment) -> Sequence[Event]:
    """See `AddAttachment`. The same file is there once."""
    if command.address in state.attachments:
        return []
    return [
        cases.AttachmentAdded(
            agent=command.agent,
            address=command.address,
            key=command.key,
            size_bytes=command.size_bytes,
            media_type=command.media_type,
            name=command.name,
        )
    ]


def disclose(state: CaseState, command: DiscloseCase) -> Sequence[Event]:
    """See `DiscloseCase`. A copy for each asking: only the same one at once is a repeat."""
    event = cases.CaseDisclosed(command.agent, command.purpose, command.masked, command.recipient)
    return unless_just_so(state, event)


# --- the end --------------------------------------------------------------------------------------
def close(state: CaseState, command: CloseCase, directory: Directory) -> Sequence[Event]:
    """See `CloseCase`. Never without a type, nor before the receipts are back."""
    if state.outcome is not None:
        if (state.outcome, state.first_contact) == (command.outcome, command.first_contact):
            return []
        raise CaseIsClosed(f"The case was closed as {state.outcome}.", outcome=state.outcome)
    if state.case_type is None:
        raise CaseNotCategorised
    require_not_taken(state, command.asker)
    _receipts(state, command, directory)
    if command.outcome == WrapUpOutcome.SOLVED:
        border.require_may_solve(state, command.asker, directory)
        if state.receivers and not border.works_for_it(state, command.asker):
            raise CaseOfOfficer("The case was handed over: it is the receiver's to solve.")
    return [cases.CaseClosed(command.outcome, command.agent, command.first_contact)]


def _receipts(state: CaseState, command: CloseCase, directory: Directory) -> None:
    """Raises: ReceiptAwaited where something is sent and nobody has said that it came."""
    for handover in state.handovers.values():
        if handover.awaited and not command.asker.is_officer_of(handover.receiver):
            raise ReceiptAwaited(
                f"{handover.receiver} has not given its receipt yet: wait, or telephone.",
                handover=handover.id,
            )
    if any(delivery.awaited for delivery in state.deliveries.values()):
        raise ReceiptAwaited("The complaint system has not given its receipt yet: wait.")
    if state.complaint and not state.deliveries:
        raise ReceiptAwaited("A complaint is sent to the owner's complaint system first (R36).")
    needed = command.outcome == WrapUpOutcome.HANDED_OVER
    row = directory.rows("wrap_up").get(command.outcome)
    if row is not None:
        needed = row.get("receipt_required") is True
    if not needed:
        return
    back = [h for h in state.handovers.values() if not h.awaited and not h.returned]
    if command.outcome == "safety":
        back = [h for h in back if h.safety or h.group == SAFETY_GROUP]
    sent = bool(state.deliveries) and command.outcome != "safety"
    if not back and not sent:
        raise ReceiptAwaited(f"{command.outcome} needs a receipt: hand over first (R9, R36).")


def reopen(state: CaseState, command: ReopenCase) -> Sequence[Event]:
    """See `ReopenCase`."""
    return [] if state.outcome is None else [cases.CaseReopened(command.agent, command.reason)]
