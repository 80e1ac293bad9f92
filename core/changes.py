"""What may be asked of the catalogue's entries; what comes of it stands in `core.change_rules`.

What an authority owns (its case types, articles, areas …) is changed by a proposal that the owner
approves (R45); the centre sets what is its own.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, ClassVar

from core.access import Deed
from core.commands import Command
from core.entries import Row
from core.errors import Invalid, NotFound, Refused
from core.section_rules import faults_of
from core.sections import SECTIONS, TABLES, faults_of_entry
from core.taxonomy import entry_name
from core.vocabulary import catalogue_stream

if TYPE_CHECKING:
    from core.taxonomy import Directory


class ChangeUnknown(NotFound):
    """There is no such proposed change."""


class EntryUnknown(NotFound):
    """There is no such entry in the catalogue."""


class ChangeIsRefused(Refused):
    """The change was refused, or taken back: propose it anew."""


class ChangeOutOfDate(Refused):
    """The entry was changed after this was proposed: propose it anew, on what stands now."""


class OwnProposal(Refused):
    """Nobody approves what he or she proposed: somebody else of the owner's has to."""


class NotYourProposal(Refused):
    """Only who proposed a change takes it back; the owner refuses it."""


class OwnersMatter(Refused):
    """This is its owner's matter: propose the change, and the owner approves it (R45)."""


class CentresMatter(Refused):
    """This is the centre's own: set it, there is nobody to propose it to."""


class OwnerIsFixed(Refused):
    """An entry does not change its owner: withdraw it, and let the new owner propose its own."""


class DecisionNeeded(Refused):
    """This needs the reference of a recorded decision."""


class TooManyProposals(Refused):
    """Too many proposals wait for this entry already: have them approved or refused first."""


@dataclass(frozen=True, kw_only=True)
class EntryCommand(Command):
    """A command about one entry of the catalogue."""

    section: str
    key: str

    @property
    def stream(self) -> str:
        """The entry's stream."""
        return catalogue_stream(self.section, self.key)

    def check(self, directory: Directory) -> None:
        """See `Command.check`."""
        super().check(directory)
        if self.section not in SECTIONS and self.section not in TABLES:
            known = ", ".join([*SECTIONS, *sorted(TABLES)])
            raise Invalid(f"there is no section {self.section}; there are {known}", field="section")


@dataclass(frozen=True, kw_only=True)
class ChangingCommand(EntryCommand):
    """A command that gives an entry another row, or with `fields` None withdraws it.

    `effective_from` is when it is to take effect; None, or what is past by then: at once.
    `decision` is the reference of a recorded decision. `whole` says that the file it comes of was
    checked as a whole, so that one row need not fit without the others.
    """

    fields: Row | None
    effective_from: datetime | None = None
    decision: str | None = None
    whole: bool = False

    def check(self, directory: Directory) -> None:
        """See `Command.check`. Raises: Invalid, listing every fault."""
        super().check(directory)
        if self.effective_from is not None and self.effective_from.tzinfo is None:
            raise Invalid("effective_from has no time zone", field="effective_from")
        found = faults_with(directory, self.section, self.key, self.fields, whole=self.whole)
        if found:
            listed = "; ".join(found)
            raise Invalid(f"{self.section} {self.key}: {listed}", field="fields", faults=found)


@dataclass(frozen=True, kw_only=True)
class ProposeChange(ChangingCommand):
    """Propose to change an entry that an authority owns."""

    DEED: ClassVar[Deed] = Deed.PROPOSE_CHANGE

    note: str | None = None


@dataclass(frozen=True, kw_only=True)
class SetEntry(ChangingCommand):
    """Set or withdraw an entry of the centre's own.

    What an authority owns only where it has approved it outside this system: `approved_by` names
    it, and `decision` where that is recorded.
    """

    DEED: ClassVar[Deed] = Deed.SET_CATALOGUE

    approved_by: str | None = None


@dataclass(frozen=True, kw_only=True)
class WithdrawEntry(SetEntry):
    """Withdraw an entry; what was recorded under it stays."""

    fields: Row | None = None


@dataclass(frozen=True, kw_only=True)
class ApproveChange(EntryCommand):
    """The owner approves a proposed change; `decision` where it was not proposed with one."""

    DEED: ClassVar[Deed] = Deed.APPROVE_CHANGE

    change: str
    decision: str | None = None


@dataclass(frozen=True, kw_only=True)
class RefuseChange(EntryCommand):
    """The owner refuses a proposed change, and says why."""

    DEED: ClassVar[Deed] = Deed.APPROVE_CHANGE

    change: str
    reason: str


@dataclass(frozen=True, kw_only=True)
class TakeBackChange(EntryCommand):
    """Who proposed a change takes it back."""

    DEED: ClassVar[Deed] = Deed.PROPOSE_CHANGE

    change: str
    reason: str


def faults_with(
    directory: Directory, section: str, key: str, row: Row | None, *, whole: bool = False
) -> tuple[str, ...]:
    """What would be wrong with the catalogue if that row stood in it, and is not wrong now.

    With `whole` only the row by itself is looked at.
    """
    found = [] if row is None else [why for _, why in faults_of_entry(section, key, row)]
    if row is not None and section in SECTIONS and entry_name(section, row) != key:
        found.append(f"its fields say {entry_name(section, row)}")
    if not whole and not found:
        rows = {name: dict(known) for name, known in directory.entries.items()}
        if row is None:
            rows.get(section, {}).pop(key, None)
        else:
            rows.setdefault(section, {})[key] = row
        before = set(faults_of(directory.entries))
        found = [str(fault) for fault in faults_of(rows) if fault not in before]
    return tuple(found)
