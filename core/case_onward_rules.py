"""What comes of sending a case onward: connecting, handing over, complaints, promises and links."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from core import case_border as border
from core import cases
from core.case_desk import (
    SAFETY_GROUP,
    ConnectCaller,
    HandOverCase,
    KeepCallback,
    LinkCases,
    PromiseCallback,
    SendComplaint,
    UnlinkCases,
)
from core.case_desk_rules import require_not_taken, require_open, unless_just_so
from core.case_refusals import (
    AuthorityExcluded,
    CallbackIsKept,
    CallbackUnknown,
    CaseNotCategorised,
    LinkedOtherwise,
    NoComplaintSystem,
    NoSafetyCentre,
    NotAComplaint,
)
from core.errors import Invalid
from core.taxonomy import ANY_AUTHORITY
from core.vocabulary import StepAction, case_stream

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from core.case_state import CaseState
    from core.commit import Event
    from core.taxonomy import Directory


# --- onward ---------------------------------------------------------------------------------------
def connect(state: CaseState, command: ConnectCaller, directory: Directory) -> Sequence[Event]:
    """See `ConnectCaller`."""
    require_open(state)
    step = border.routed(state, directory, command.group)
    if step is None:
        step = border.undone_by(state, directory, border.CONNECTS, command.asker)
    event = cases.CaseConnected(
        command.agent, command.group, command.officer, command.warm, step=step
    )
    return unless_just_so(state, event)


def hand_over(state: CaseState, command: HandOverCase, directory: Directory) -> Sequence[Event]:
    """See `HandOverCase`. The same again, while it is not returned, is nothing more."""
    if str(command.id) in state.handovers:
        return []
    require_open(state)
    group = _group_of(state, command, directory)
    receiver = _receiver_of(command, group, directory)
    going = {
        (h.receiver, h.group, h.safety, h.officer)
        for h in state.handovers.values()
        if not h.returned
    }
    if (receiver, group, command.safety, command.officer) in going:
        return []
    if not command.safety:  # danger waits for nobody
        require_not_taken(state, command.asker)
    border.require_same_side(state, {receiver}, directory)
    step = border.routed(state, directory, group)
    if step is None and not command.safety and not state.complaint:
        step = border.undone_by(state, directory, {StepAction.HAND_OVER}, command.asker)
    return [
        cases.CaseHandedOver(
            handover=str(command.id),
            agent=command.agent,
            receiver=receiver,
            group=group,
            receipt_due_at=_receipt_due_at(receiver, group, command.now, directory),
            safety=command.safety,
            note=command.note,
            step=step,
            officer=command.officer,
        )
    ]


def _group_of(state: CaseState, command: HandOverCase, directory: Directory) -> str | None:
    """Where it goes: safety to the round-the-clock centre, else as said, else as the chain says."""
    if command.safety:
        if directory.group(SAFETY_GROUP) is None:
            raise NoSafetyCentre
        return SAFETY_GROUP
    if command.group is not None or command.receiver not in {None, command.authority}:
        return command.group
    steps = border.chain_of(state, directory)
    onward = (n for n, step in enumerate(steps) if step.level not in border.CENTRE_LEVELS)
    named = next((steps[n].group for n in onward if n not in state.done), None)
    found = None if named is None else directory.group(named)
    return None if found is None or found.excluded else named


def _receiver_of(command: HandOverCase, group: str | None, directory: Directory) -> str:
    """Who is to give the receipt: as said, else the owner, else the only one whose group it is."""
    if command.receiver is not None:
        return command.receiver
    found = None if group is None else directory.group(group)
    partition = () if found is None else found.partition
    if not partition or command.authority in partition:
        return command.authority
    if len(partition) > 1:
        listed = ", ".join(partition)
        raise Invalid(f"say who receives it: {group} is for {listed}", field="receiver")
    return partition[0]


def _receipt_due_at(
    receiver: str, group: str | None, now: datetime, directory: Directory
) -> datetime | None:
    """By when the receipt is to be back: by the group's limit, else by the receiver's own."""
    found = None if group is None else directory.group(group)
    if found is not None and found.receipt_within_s is not None:
        return now + timedelta(seconds=found.receipt_within_s)
    authority = directory.authority(receiver)
    system = None if authority is None else authority.complaint_system
    hours = _hours(directory, system)
    return now + timedelta(hours=hours) if hours else None


def _hours(directory: Directory, system: str | None) -> float:
    row = directory.rows("complaint_system").get(system or "", {})
    hours = row.get("receipt_within_h")
    return float(hours) if isinstance(hours, int | float) else 0.0


def send_complaint(
    state: CaseState, command: SendComplaint, directory: Directory
) -> Sequence[Event]:
    """See `SendComplaint`: always to the owner's own system. Sent once, until it is answered."""
    if str(command.id) in state.deliveries:
        return []
    if any(not delivery.answered for delivery in state.deliveries.values()):
        return []
    require_open(state)
    case_type = border.type_of(state, directory)
    if case_type is None:
        raise CaseNotCategorised
    step = border.undone_by(state, directory, {StepAction.HAND_OVER}, command.asker)
    if not state.complaint and (case_type.authority != ANY_AUTHORITY or step is None):
        raise NotAComplaint
    owner = directory.authority(command.authority)
    rows = directory.rows("complaint_system")
    named = rows.get(case_type.complaint_route or "", {})
    own = None if owner is None else owner.complaint_system
    system = case_type.complaint_route if named.get("authority") == command.authority else own
    row = rows.get(system or "")
    if row is None or system is None:
        raise NoComplaintSystem(authority=command.authority)
    if row.get("transport") == "none":
        raise AuthorityExcluded(authority=command.authority)
    hours = _hours(directory, system)
    due = command.now + timedelta(hours=hours) if hours else None
    return [cases.ComplaintSent(str(command.id), system, command.agent, due, step)]


# --- what is said, promised and linked ------------------------------------------------------------
def promise_callback(
    state: CaseState, command: PromiseCallback, directory: Directory
) -> Sequence[Event]:
    """See `PromiseCallback`. The same promise while it is not kept is nothing more."""
    if str(command.id) in state.callbacks:
        return []
    asked = (command.promised_at, command.group, command.officer)
    promised = {
        (c.promised_at, c.group, c.officer) for c in state.callbacks.values() if not c.kept
    }  # fmt: skip
    if asked in promised:
        return []
    require_open(state)
    border.require_group_of_side(state, command.group, directory)
    return [
        cases.CallbackPromised(
            promise=str(command.id),
            agent=command.agent,
            promised_at=command.promised_at,
            group=command.group,
            officer=command.officer,
            number=command.number,
        )
    ]


def keep_callback(state: CaseState, command: KeepCallback) -> Sequence[Event]:
    """See `KeepCallback`. Who was not reached is called again; who was is not."""
    promised = state.callbacks.get(command.promise)
    if promised is None:
        raise CallbackUnknown(promise=command.promise)
    if promised.reached:
        if command.reached:
            return []
        raise CallbackIsKept
    return unless_just_so(
        state, cases.CallbackKept(command.promise, command.agent, command.reached)
    )


def link(state: CaseState, command: LinkCases) -> Sequence[Event]:
    """See `LinkCases`. That there is such a case is looked at by whoever shows it, not here."""
    other = case_stream(command.authority, command.other)
    kind = state.links.get(other)
    if kind == command.kind:
        return []
    if kind is not None:
        raise LinkedOtherwise(f"The cases are linked as {kind}: unlink them first.", kind=kind)
    return [cases.CaseLinked(command.agent, other, command.kind)]


def unlink(state: CaseState, command: UnlinkCases) -> Sequence[Event]:
    """See `UnlinkCases`."""
    other = case_stream(command.authority, command.other)
    return [cases.CaseUnlinked(command.agent, other)] if other in state.links else []
