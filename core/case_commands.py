"""What may be asked of a case: commands and refusals. What comes of them stands in `case_rules`."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, ClassVar

from core.access import Deed, NoSuchCase, Place
from core.commands import Command
from core.errors import Invalid, NotFound, Refused
from core.personal import PersonalField
from core.vocabulary import CallerType, Channel, Level, LinkKind, Receipt, case_stream

if TYPE_CHECKING:
    from enum import StrEnum

    from core.taxonomy import Directory


class AuthorityUnknown(NotFound):
    """There is no such authority."""


class AuthorityExcluded(Refused):
    """This area is excluded: connect the caller warmly; nothing about the matter is kept here."""


class CaseIsClosed(Refused):
    """The case is closed."""


class CaseExists(Refused):
    """The case is registered already, with other particulars."""


class CaseTypeUnknown(Refused):
    """There is no such case type."""


class CaseTypeOfAnother(Refused):
    """The case type belongs to another authority."""


class CaseNotCategorised(Refused):
    """The case has no type yet: it is categorised before it is closed (R9)."""


CaseUnknown = NoSuchCase  # one and the same answer: what is not there, and what one may not see


@dataclass(frozen=True, kw_only=True)
class CaseCommand(Command):
    """A command about one case of `authority`; `case` is its id within that authority's room.

    `agent` is who does it: the asker, or whom a program speaks for.
    """

    DEED: ClassVar[Deed] = Deed.WORK_CASE

    authority: str
    case: str
    agent: str

    @property
    def stream(self) -> str:
        """The case's stream, in the authority's own book."""
        return case_stream(self.authority, self.case)

    @property
    def place(self) -> Place:
        """The room; who registered and received the case is the state's to tell."""
        return Place(authority=self.authority)

    def check(self, directory: Directory) -> None:
        """See `Command.check`."""
        super().check(directory)
        authority = directory.authority(self.authority)
        if authority is None:
            raise AuthorityUnknown(
                f"There is no authority {self.authority}.", authority=self.authority
            )
        if authority.excluded:
            raise AuthorityExcluded(authority=self.authority)
        if "/" in self.case:
            raise Invalid(f"case is {self.case!r}; an id has no slash", field="case")


def one_of(field: str, value: str, allowed: type[StrEnum]) -> None:
    """Raises: Invalid where `value` is no member of `allowed`, listing them."""
    if value not in set(allowed):
        listed = ", ".join(allowed)
        raise Invalid(f"{field} is {value!r}; it may be one of: {listed}", field=field)


@dataclass(frozen=True, kw_only=True)
class RegisterCase(CaseCommand):
    """Open a case, from the call in `contact` (its stream) or without one.

    `number` is what people are told; where it is None it is made of the authority and the id.
    """

    DEED: ClassVar[Deed] = Deed.REGISTER_CASE

    channel: str = Channel.PHONE
    contact: str | None = None
    number: str | None = None
    title: PersonalField | None = None
    text: PersonalField | None = None
    caller_ref: str | None = None
    caller_type: str | None = None
    group: str | None = None
    protected: bool = False

    def check(self, directory: Directory) -> None:
        """See `Command.check`."""
        super().check(directory)
        one_of("channel", self.channel, Channel)
        if self.caller_type is not None:
            one_of("caller_type", self.caller_type, CallerType)
        if self.group is not None and directory.group(self.group) is None:
            raise Invalid(f"there is no answer group {self.group}", field="group")


@dataclass(frozen=True, kw_only=True)
class AddContact(CaseCommand):
    """Somebody got in touch about the case again."""

    channel: str = Channel.PHONE
    contact: str | None = None
    caller_ref: str | None = None

    def check(self, directory: Directory) -> None:
        """See `Command.check`."""
        super().check(directory)
        one_of("channel", self.channel, Channel)


@dataclass(frozen=True, kw_only=True)
class CategoriseCase(CaseCommand):
    """Give the case a type of the taxonomy; `complaint` where the resident complains."""

    case_type: str
    complaint: bool = False


@dataclass(frozen=True, kw_only=True)
class EscalateCase(CaseCommand):
    """Take the case to a higher level, for a group where one is named (R8)."""

    to_level: str
    group: str | None = None

    def check(self, directory: Directory) -> None:
        """See `Command.check`."""
        super().check(directory)
        one_of("to_level", self.to_level, Level)


@dataclass(frozen=True, kw_only=True)
class GuideCaller(CaseCommand):
    """Show the right way, deciding nothing (R18): `to` is an authority, a group or `eservice`."""

    to: str
    article: str | None = None
    article_version: int | None = None


@dataclass(frozen=True, kw_only=True)
class AnswerCase(CaseCommand):
    """Give an answer (R19, R20).

    `article` with the `article_version` that was on the screen; None is the one that stands. A
    guarded article is answered with its fixed text alone: then `text` must be None.
    """

    DEED: ClassVar[Deed] = Deed.ANSWER_CASE

    channel: str = Channel.PHONE
    article: str | None = None
    article_version: int | None = None
    text: PersonalField | None = None

    def check(self, directory: Directory) -> None:
        """See `Command.check`."""
        super().check(directory)
        one_of("channel", self.channel, Channel)


@dataclass(frozen=True, kw_only=True)
class ConnectCaller(CaseCommand):
    """Connect the caller to a group or to a person; `warm` with the matter told first."""

    group: str | None = None
    officer: str | None = None
    warm: bool = False

    def check(self, directory: Directory) -> None:
        """See `Command.check`."""
        super().check(directory)
        if (self.group is None) == (self.officer is None):
            raise Invalid("name a group or an officer, one of them", field="group")


@dataclass(frozen=True, kw_only=True)
class HandOverCase(CaseCommand):
    """Hand the case over to those who act on it; a receipt is awaited.

    `group` where the chain names one; `receiver` is the authority, by default the owner.
    """

    group: str | None = None
    receiver: str | None = None
    safety: bool = False
    note: PersonalField | None = None


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
    """An officer takes the case on."""

    DEED: ClassVar[Deed] = Deed.HANDLE_CASE


@dataclass(frozen=True, kw_only=True)
class NoteCase(CaseCommand):
    """Write something down; `private` for oneself alone."""

    text: PersonalField
    private: bool = False


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
class AnswerQuestion(CaseCommand):
    """Answer a question that stands in the case."""

    question: str
    text: PersonalField


@dataclass(frozen=True, kw_only=True)
class DecideCase(CaseCommand):
    """Decide the matter: exercise of authority, for an officer of the owner alone (R13)."""

    DEED: ClassVar[Deed] = Deed.DECIDE_CASE

    outcome: str
    text: PersonalField | None = None


@dataclass(frozen=True, kw_only=True)
class SendComplaint(CaseCommand):
    """Send the complaint to the owner's complaint system (R36)."""


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
class PromiseCallback(CaseCommand):
    """Promise to call back at a time, by a group or a named officer (R16)."""

    promised_at: datetime
    group: str | None = None
    officer: str | None = None
    number: PersonalField | None = None

    def check(self, directory: Directory) -> None:
        """See `Command.check`."""
        super().check(directory)
        if self.promised_at.tzinfo is None:
            raise Invalid("promised_at has no time zone", field="promised_at")
        if self.promised_at <= self.now:
            raise Invalid("promised_at is in the past", field="promised_at")


@dataclass(frozen=True, kw_only=True)
class KeepCallback(CaseCommand):
    """The promised call was made."""

    promise: str
    reached: bool = False


@dataclass(frozen=True, kw_only=True)
class LinkCases(CaseCommand):
    """Link the case to another of the same authority (its id): a duplicate, or one incident."""

    other: str
    kind: str

    def check(self, directory: Directory) -> None:
        """See `Command.check`."""
        super().check(directory)
        one_of("kind", self.kind, LinkKind)
        if "/" in self.other or self.other == self.case:
            raise Invalid("other is the id of another case of the authority", field="other")


@dataclass(frozen=True, kw_only=True)
class UnlinkCases(CaseCommand):
    """Take a link away again."""

    other: str


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


@dataclass(frozen=True, kw_only=True)
class CloseCase(CaseCommand):
    """Close the case with an outcome of the vocabulary or of the city's own list."""

    DEED: ClassVar[Deed] = Deed.CLOSE_CASE

    outcome: str
    first_contact: bool = False

    def check(self, directory: Directory) -> None:
        """See `Command.check`."""
        super().check(directory)
        if self.outcome not in directory.outcomes:
            listed = ", ".join(sorted(directory.outcomes))
            raise Invalid(
                f"outcome is {self.outcome!r}; it may be one of: {listed}", field="outcome"
            )


@dataclass(frozen=True, kw_only=True)
class ReopenCase(CaseCommand):
    """Go on with a closed case."""

    DEED: ClassVar[Deed] = Deed.CLOSE_CASE

    reason: PersonalField | None = None
