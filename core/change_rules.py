"""What comes of a proposed or recorded change: the decider `CATALOGUE`.

What loosens a border of the law rests on a recorded decision: a step that is no longer exercise of
authority (R14), an authority that is no longer excluded (R11), a conflict of interest that is no
longer enforced (R54).
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

from core.access import Place
from core.changes import (
    ApproveChange,
    CentresMatter,
    ChangeIsRefused,
    ChangeOutOfDate,
    ChangeUnknown,
    ChangingCommand,
    DecisionNeeded,
    EntryUnknown,
    NotYourProposal,
    OwnerIsFixed,
    OwnersMatter,
    OwnProposal,
    ProposeChange,
    RefuseChange,
    SetEntry,
    TakeBackChange,
    TooManyProposals,
    faults_with,
)
from core.commands import Command, Decider
from core.directory import change_of, with_version
from core.entries import (
    ANY_AUTHORITY,
    Change,
    ChangeProposed,
    ChangeRefused,
    EntryRemoved,
    EntrySet,
    EntryVersion,
)
from core.entry_views import case_type_of
from core.errors import Invalid
from core.sections import SECTIONS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from core.changes import EntryCommand
    from core.commit import Event, Recorded
    from core.entries import Row
    from core.taxonomy import Directory

PENDING_MAX: Final = 50  # proposals that wait for one entry: more is a program that has run wild
# Flags that are a border of the law while they are true: in which sections, and what is said.
_BORDERS: Final = (
    ("excluded", {"case_type", "authority"}, "the area would no longer be excluded (R11)"),
    ("enforced", {"conflict_pair"}, "a conflict of interest would no longer be enforced (R54)"),
)


@dataclass(frozen=True)
class EntryState:
    """One entry: all its versions, and the proposals that wait."""

    versions: tuple[EntryVersion, ...] = ()
    pending: dict[str, Change] = field(default_factory=dict)
    refused: frozenset[str] = frozenset()

    def row(self, at: datetime) -> Row | None:
        """The row that stands at a time; None where there is none."""
        found = [version for version in self.versions if version.effective_at <= at]
        return found[-1].fields if found else None

    def last_row(self, at: datetime) -> Row | None:
        """The row that stands, or the last that stood: what was withdrawn is not forgotten."""
        found = [v.fields for v in self.versions if v.effective_at <= at and v.fields is not None]
        return found[-1] if found else None

    def approved(self, change: str) -> bool:
        """Whether a version comes of that proposal."""
        return any(version.change == change for version in self.versions)


def evolve(state: EntryState, recorded: Recorded) -> EntryState:
    """The entry after one more event. Total."""
    match recorded.event:
        case EntrySet() | EntryRemoved() as event:
            pending = {k: v for k, v in state.pending.items() if k != event.change}
            versions = with_version(state.versions, event, recorded.recorded_at)
            return replace(state, versions=versions, pending=pending)
        case ChangeProposed() as event:
            change = change_of(event, recorded.recorded_at, recorded.actor)
            return replace(state, pending={**state.pending, event.change: change})
        case ChangeRefused() as event:
            pending = {k: v for k, v in state.pending.items() if k != event.change}
            return replace(state, pending=pending, refused=state.refused | {event.change})
    return state


def place(state: EntryState, command: Command) -> Place:
    """Where it is done: a proposal is judged in its owner's room."""
    if isinstance(command, ApproveChange | RefuseChange):
        change = state.pending.get(command.change)
        if change is not None:
            return Place(authority=change.owner)
    return command.place


def decide(state: EntryState, command: Command, directory: Directory) -> Sequence[Event]:
    """The events that the command leads to; none where it is so already. Raises: Refused."""
    match command:
        case ProposeChange():
            return _propose(state, command, directory)
        case SetEntry():
            return _set(state, command, directory)
        case ApproveChange():
            return _approve(state, command, directory)
        case RefuseChange() | TakeBackChange():
            return _refuse(state, command)
        case _:
            raise AssertionError(f"no rule of the catalogue for {type(command).__name__}")


def owner_of(section: str, row: Mapping[str, object], directory: Directory) -> str | None:
    """The authority that approves changes of a row; None where it is the centre's own.

    What belongs to everybody, and what an excluded authority owns (nobody of it works here), the
    centre sets.
    """
    shape = SECTIONS.get(section)
    if shape is None or shape.owner is None:
        return None
    code = str(row.get(shape.owner, ANY_AUTHORITY))
    authority = directory.authority(code)
    return code if authority is not None and not authority.excluded else None


def _propose(state: EntryState, command: ProposeChange, directory: Directory) -> Sequence[Event]:
    before = _before(state, command)
    if before == command.fields:
        return []
    owner = _owner(command, before, directory)
    if owner is None:
        raise CentresMatter
    wanted = (command.fields, command.effective_from)
    if wanted in [(c.fields, c.effective_from) for c in state.pending.values()]:
        return []
    if len(state.pending) >= PENDING_MAX:
        raise TooManyProposals
    return [
        ChangeProposed(
            change=str(command.id),
            section=command.section,
            key=command.key,
            owner=owner,
            fields=command.fields or {},
            withdraw=command.fields is None,
            base=len(state.versions),
            effective_from=command.effective_from,
            decision=command.decision,
            note=command.note,
        )
    ]


def _set(state: EntryState, command: SetEntry, directory: Directory) -> Sequence[Event]:
    before = _before(state, command)
    if before == command.fields:
        return []
    owner = _owner(command, before, directory)
    if command.approved_by is not None and command.approved_by != owner:
        said = f"{command.section} {command.key} is {owner or 'the centre'}'s matter"
        raise Invalid(f"{said}, not {command.approved_by}'s", field="approved_by")
    if owner is not None and command.approved_by is None:
        raise OwnersMatter(
            f"{command.section} {command.key} is {owner}'s matter: propose the change, and {owner} "
            "approves it.",
            owner=owner,
        )
    if command.decision is None:
        last = state.last_row(max(command.now, command.effective_from or command.now))
        why = why_decision(command.section, last, command.fields, directory)
        if owner is not None:
            why = f"{owner} approved it outside this system"
        if why is not None:
            raise DecisionNeeded(f"{why}: say which recorded decision this rests on.")
    return [_standing(command, command.fields, command.effective_from, None, command.approved_by,
                      command.decision)]  # fmt: skip


def _approve(state: EntryState, command: ApproveChange, directory: Directory) -> Sequence[Event]:
    if state.approved(command.change):
        return []
    change = _pending(state, command.change)
    if change.proposed_by == command.actor:
        raise OwnProposal
    if change.base != len(state.versions):
        raise ChangeOutOfDate
    at = max(command.now, change.effective_from or command.now)
    decision = command.decision or change.decision
    why = why_decision(change.section, state.last_row(at), change.fields, directory)
    if why is not None and decision is None:
        raise DecisionNeeded(f"{why}: say which recorded decision this rests on.")
    found = faults_with(directory, change.section, change.key, change.fields)
    if found:
        listed = "; ".join(found)
        raise ChangeOutOfDate(f"The change no longer fits the catalogue: {listed}", faults=found)
    return [
        _standing(
            command, change.fields, change.effective_from, change.id, change.owner, decision
        )
    ]  # fmt: skip


def _refuse(state: EntryState, command: RefuseChange | TakeBackChange) -> Sequence[Event]:
    if command.change in state.refused:
        return []
    if state.approved(command.change):
        raise ChangeOutOfDate("The change was approved already: propose the change back.")
    change = _pending(state, command.change)
    back = isinstance(command, TakeBackChange)
    if back and change.proposed_by != command.actor:
        raise NotYourProposal
    return [ChangeRefused(change.id, change.section, change.key, command.reason, back)]


def _pending(state: EntryState, change: str) -> Change:
    if change in state.refused:
        raise ChangeIsRefused
    found = state.pending.get(change)
    if found is None:
        raise ChangeUnknown
    return found


def _before(state: EntryState, command: ChangingCommand) -> Row | None:
    """The row that the command would follow on, at its effect. Raises: EntryUnknown."""
    if command.fields is None and not state.versions:
        raise EntryUnknown
    return state.row(max(command.now, command.effective_from or command.now))


def _owner(command: ChangingCommand, before: Row | None, directory: Directory) -> str | None:
    """Whose matter the change is. Raises: OwnerIsFixed."""
    if before is None:
        return owner_of(command.section, command.fields or {}, directory)
    name = SECTIONS[command.section].owner if command.section in SECTIONS else None
    if name and command.fields is not None and command.fields.get(name) != before.get(name):
        raise OwnerIsFixed
    return owner_of(command.section, before, directory)


def _standing(  # noqa: PLR0913 -- an entry's event has these parts
    command: EntryCommand,
    fields: Row | None,
    effective_from: datetime | None,
    change: str | None,
    approved_by: str | None,
    decision: str | None,
) -> Event:
    rest = (effective_from, change, approved_by, decision)
    if fields is None:
        return EntryRemoved(command.section, command.key, *rest)
    return EntrySet(command.section, command.key, fields, *rest)


def why_decision(
    section: str, before: Row | None, after: Row | None, directory: Directory
) -> str | None:
    """Why a change needs a recorded decision, in words; None where it needs none."""
    old, new = before or {}, after or {}
    if section == "case_type":
        was, now = case_type_of("", old, 0).steps, case_type_of("", new, 0).steps
        flags = {step.name: step.exercise_of_authority for step in was if step.stops_the_centre}
        moved = [s.name for s in now if s.name in flags and not s.stops_the_centre]
        if moved:
            return f"{', '.join(moved)} would no longer be exercise of authority (R14)"
        if new and sum(s.stops_the_centre for s in was) > sum(s.stops_the_centre for s in now):
            return "fewer steps would be exercise of authority (R14)"
    for name, of, why in _BORDERS:
        if section in of and old.get(name) is True and new.get(name) is not True:
            return why
    shape = SECTIONS.get(section)
    if shape is not None and shape.owner is not None:
        owner = directory.authority(str((before or new).get(shape.owner)))
        if owner is not None and owner.excluded:
            return f"{owner.code} is excluded and approves nothing here"
    return None


CATALOGUE: Final = Decider("catalogue", EntryState(), evolve, decide, place)
