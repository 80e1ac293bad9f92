"""What the contact centre may ask of a case. What comes of it stands in `core.case_desk_rules`."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, ClassVar, Final

from core.access import Deed
from core.case_asking import CaseCommand, known_authority, known_group, one_of
from core.case_refusals import AuthorityExcluded
from core.errors import Invalid
from core.limits import CALLBACK_AHEAD_DAYS_MAX
from core.personal import PersonalField
from core.vocabulary import CallerType, Channel, Level, LinkKind

if TYPE_CHECKING:
    from core.taxonomy import Directory

ESERVICE: Final = "eservice"
EXCLUDED: Final = "excluded"  # an outcome of calls: no case says that its person went there
SAFETY_GROUP: Final = "samverkan"  # round the clock (R6); its partition's authority gives receipts


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
        if self.group is not None:
            known_group(directory, self.group)


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

    def check(self, directory: Directory) -> None:
        """See `Command.check`."""
        super().check(directory)
        case_type = directory.case_type(self.case_type)
        if case_type is not None and case_type.excluded:
            raise AuthorityExcluded(authority=case_type.authority)


@dataclass(frozen=True, kw_only=True)
class EscalateCase(CaseCommand):
    """Take the case to a higher level, for a group where one is named (R8)."""

    to_level: str
    group: str | None = None

    def check(self, directory: Directory) -> None:
        """See `Command.check`."""
        super().check(directory)
        one_of("to_level", self.to_level, Level)
        if self.to_level == Level.ROUTE_ONLY:
            raise Invalid("nobody handles a route-only step here: connect", field="to_level")
        if self.group is not None:
            group = known_group(directory, self.group)
            if group.levels and self.to_level not in group.levels:
                raise Invalid(f"{self.group} does not answer at {self.to_level}", field="group")


@dataclass(frozen=True, kw_only=True)
class GuideCaller(CaseCommand):
    """Show the right way, deciding nothing (R18): `to` is an authority, a group or `eservice`."""

    to: str
    article: str | None = None
    article_version: int | None = None

    def check(self, directory: Directory) -> None:
        """See `Command.check`."""
        super().check(directory)
        if self.to == ESERVICE:
            return
        if directory.group(self.to) is not None:
            known_group(directory, self.to)
        elif directory.authority(self.to) is not None:
            known_authority(directory, self.to)
        else:
            raise Invalid(f"to is {self.to!r}: an authority, a group or {ESERVICE}", field="to")


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
        if self.article is None and self.text is None:
            raise Invalid("say what was answered: an article, or a text", field="text")
        if self.article is None and self.article_version is not None:
            raise Invalid("article_version without an article", field="article_version")


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
        if self.group is not None:
            known_group(directory, self.group)


@dataclass(frozen=True, kw_only=True)
class HandOverCase(CaseCommand):
    """Hand the case over to those who act on it; a receipt is awaited.

    `group` is by default the one that the chain names next; `receiver` the authority, by default
    the group's, else the owner. `officer` is whom the caller asked for there (R16); others may
    take it. `safety` goes to the round-the-clock centre, whatever the type.
    """

    group: str | None = None
    receiver: str | None = None
    safety: bool = False
    note: PersonalField | None = None
    officer: str | None = None

    def check(self, directory: Directory) -> None:
        """See `Command.check`."""
        super().check(directory)
        if self.receiver is not None:
            known_authority(directory, self.receiver)
        if self.group is not None:
            group = known_group(directory, self.group)
            if self.safety and self.group != SAFETY_GROUP:
                raise Invalid(f"safety goes to {SAFETY_GROUP}, not {self.group}", field="group")
            if self.receiver is not None and group.partition:
                _belongs(group.partition, self.receiver)


def _belongs(partition: tuple[str, ...], receiver: str) -> None:
    if receiver not in partition:
        listed = ", ".join(partition)
        raise Invalid(f"the group is {listed}'s, not {receiver}'s", field="receiver")


@dataclass(frozen=True, kw_only=True)
class NoteCase(CaseCommand):
    """Write something down; `private` for oneself alone."""

    text: PersonalField
    private: bool = False


@dataclass(frozen=True, kw_only=True)
class AnswerQuestion(CaseCommand):
    """Answer a question that stands in the case."""

    question: str
    text: PersonalField


@dataclass(frozen=True, kw_only=True)
class SendComplaint(CaseCommand):
    """Send the complaint to the owner's complaint system (R36)."""


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
        if self.promised_at - self.now > timedelta(days=CALLBACK_AHEAD_DAYS_MAX):
            raise Invalid(
                f"promised_at is more than {CALLBACK_AHEAD_DAYS_MAX} days ahead",
                field="promised_at",
            )
        if self.group is not None:
            known_group(directory, self.group)


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
        if self.outcome == EXCLUDED:
            raise AuthorityExcluded(outcome=self.outcome)


@dataclass(frozen=True, kw_only=True)
class ReopenCase(CaseCommand):
    """Go on with a closed case."""

    DEED: ClassVar[Deed] = Deed.CLOSE_CASE

    reason: PersonalField | None = None
