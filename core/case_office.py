"""What officers and registrars may ask of a case; the rules stand in `core.case_office_rules`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from core.access import Deed
from core.case_asking import CaseCommand, one_of
from core.errors import Invalid
from core.personal import PersonalField
from core.vocabulary import Receipt

if TYPE_CHECKING:
    from core.taxonomy import Directory


@dataclass(frozen=True, kw_only=True)
class NoteReceipt(CaseCommand):
    """The receiver tells how far a hand-over has come; `returned` needs a reason."""

    DEED: ClassVar[Deed] = Deed.RECEIVE_CASE

    handover: str
    receipt: str
    reason: PersonalField | None = None

    def check(self, directory: Directory) -> None:
        """See `Command.check`."""
        super().check(directory)
        one_of("receipt", self.receipt, Receipt)
        if self.receipt == Receipt.RETURNED and self.reason is None:
            raise Invalid("say why the case is returned", field="reason")


@dataclass(frozen=True, kw_only=True)
class TakeCase(CaseCommand):
    """An officer takes the case on; `instead_of` names the one who has it, to take it over."""

    DEED: ClassVar[Deed] = Deed.HANDLE_CASE

    instead_of: str | None = None


@dataclass(frozen=True, kw_only=True)
class AskQuestion(CaseCommand):
    """Ask the caller (`caller`) or the contact centre (`centre`) for what is lacking."""

    DEED: ClassVar[Deed] = Deed.HANDLE_CASE

    to: str
    text: PersonalField

    def check(self, directory: Directory) -> None:
        """See `Command.check`."""
        super().check(directory)
        if self.to not in {"caller", "centre"}:
            raise Invalid(f"to is {self.to!r}; it may be caller or centre", field="to")


@dataclass(frozen=True, kw_only=True)
class DecideCase(CaseCommand):
    """Decide the matter: exercise of authority, for an officer of the owner alone (R13)."""

    DEED: ClassVar[Deed] = Deed.DECIDE_CASE

    outcome: str
    text: PersonalField | None = None


@dataclass(frozen=True, kw_only=True)
class NoteComplaintReceipt(CaseCommand):
    """The complaint system has it, as `reference`."""

    DEED: ClassVar[Deed] = Deed.RECEIVE_CASE

    delivery: str
    reference: str


@dataclass(frozen=True, kw_only=True)
class AnswerComplaint(CaseCommand):
    """The owner answers the complaint."""

    DEED: ClassVar[Deed] = Deed.RECEIVE_CASE

    delivery: str
    text: PersonalField | None = None


@dataclass(frozen=True, kw_only=True)
class ProtectCase(CaseCommand):
    """Mark the person of the case as having a protected identity, or no longer."""

    DEED: ClassVar[Deed] = Deed.PROTECT_CASE

    protected: bool = True


@dataclass(frozen=True, kw_only=True)
class DecideRegistry(CaseCommand):
    """Register the case under a number, or keep it unregistered under a rule (R55)."""

    DEED: ClassVar[Deed] = Deed.KEEP_REGISTER

    outcome: str
    registry_number: str | None = None
    rule: str | None = None

    def check(self, directory: Directory) -> None:
        """See `Command.check`."""
        super().check(directory)
        if self.outcome not in {"registered", "kept_unregistered"}:
            raise Invalid(
                f"outcome is {self.outcome!r}; it may be registered or kept_unregistered",
                field="outcome",
            )
        if self.outcome == "registered" and self.registry_number is None:
            raise Invalid("a registered case has a registry number", field="registry_number")
        if self.outcome == "kept_unregistered" and self.rule is None:
            raise Invalid("say under which rule it is kept unregistered", field="rule")


@dataclass(frozen=True, kw_only=True)
class AddAttachment(CaseCommand):
    """A file that was sealed and stored belongs to the case."""

    address: str
    key: str
    size_bytes: int
    media_type: str
    name: PersonalField | None = None


@dataclass(frozen=True, kw_only=True)
class DiscloseCase(CaseCommand):
    """A copy is given out, with what was masked and why."""

    DEED: ClassVar[Deed] = Deed.DISCLOSE_CASE

    purpose: str
    masked: tuple[str, ...] = ()
    recipient: PersonalField | None = None
