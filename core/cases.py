"""Cases so far: registered from a contact, categorised, closed.

The stream is `case/<authority>/<id>`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar, Final

from core.commands import Command, Contradiction, Decider, contradicted
from core.commit import Event, Recorded
from core.errors import Invalid, NotFound, Refused
from core.personal import PersonalField
from core.taxonomy import ANY_AUTHORITY
from core.vocabulary import Channel, case_stream

if TYPE_CHECKING:
    from collections.abc import Sequence

    from core.taxonomy import Directory


@dataclass(frozen=True)
class CaseRegistered(Event):
    """A case was opened.

    `contact` is the call's stream, where there was one; `number` is shown to people.
    """

    TOPIC: ClassVar[str] = "case.registered"
    number: str
    authority: str
    agent: str
    channel: str
    contact: str | None = None
    title: PersonalField | None = None
    text: PersonalField | None = None
    caller_ref: str | None = None


@dataclass(frozen=True)
class CaseCategorised(Event):
    """The case got a type of the taxonomy (R9)."""

    TOPIC: ClassVar[str] = "case.categorised"
    case_type: str
    agent: str
    complaint: bool = False


@dataclass(frozen=True)
class CaseClosed(Event):
    """The case was closed with an outcome.

    `first_contact` says that no further contact was needed.
    """

    TOPIC: ClassVar[str] = "case.closed"
    outcome: str
    agent: str
    first_contact: bool = False


class AuthorityUnknown(NotFound):
    """There is no such authority."""


class AuthorityExcluded(Refused):
    """This area is excluded: connect the caller warmly; nothing about the matter is kept here."""


class CaseUnknown(NotFound):
    """There is no such case."""


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


@dataclass(frozen=True)
class CaseState:
    """One case. `outcome` is None while it is open."""

    number: str | None = None
    authority: str | None = None
    contact: str | None = None
    case_type: str | None = None
    complaint: bool = False
    outcome: str | None = None
    first_contact: bool = False
    contradictions: tuple[Contradiction, ...] = ()


def evolve(state: CaseState, recorded: Recorded) -> CaseState:
    """The case after one more event. Total: a fact that does not fit is taken and marked."""
    event = recorded.event
    why = None
    match event:
        case CaseRegistered():
            if state.number is not None:
                why = f"registered again as {event.number}"
                after = state  # the first registration stands: the number was told to somebody
            else:
                after = replace(state, number=event.number, authority=event.authority)
                after = replace(after, contact=event.contact)
        case CaseCategorised():
            after = replace(state, case_type=event.case_type, complaint=event.complaint)
            why = _why_not_open(state, "categorised")
        case CaseClosed():
            after = replace(state, outcome=event.outcome, first_contact=event.first_contact)
            why = _why_not_open(state, "closed")
            if why is None and state.case_type is None:
                why = "closed without a type"
        case _:
            return state
    if why is None:
        return after
    return replace(after, contradictions=contradicted(state.contradictions, recorded, why))


def _why_not_open(state: CaseState, what: str) -> str | None:
    if state.number is None:
        return f"{what} before it was registered"
    return f"{what} after it was closed" if state.outcome is not None else None


@dataclass(frozen=True, kw_only=True)
class CaseCommand(Command):
    """A command about one case of `authority`; `case` is its id within that authority's room."""

    authority: str
    case: str
    agent: str

    @property
    def stream(self) -> str:
        """The case's stream, in the authority's own book."""
        return case_stream(self.authority, self.case)

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


@dataclass(frozen=True, kw_only=True)
class RegisterCase(CaseCommand):
    """Open a case, from the call in `contact` (its stream) or without one.

    `number` is what people are told; where it is None it is made of the authority and the id.
    """

    channel: str = Channel.PHONE
    contact: str | None = None
    number: str | None = None
    title: PersonalField | None = None
    text: PersonalField | None = None
    caller_ref: str | None = None

    def check(self, directory: Directory) -> None:
        """See `Command.check`."""
        super().check(directory)
        if self.channel not in set(Channel):
            listed = ", ".join(Channel)
            raise Invalid(
                f"channel is {self.channel!r}; it may be one of: {listed}", field="channel"
            )


@dataclass(frozen=True, kw_only=True)
class CategoriseCase(CaseCommand):
    """Give the case a type of the taxonomy; `complaint` where the resident complains."""

    case_type: str
    complaint: bool = False


@dataclass(frozen=True, kw_only=True)
class CloseCase(CaseCommand):
    """Close the case with an outcome of the vocabulary or of the city's own list."""

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


def decide(state: CaseState, command: Command, directory: Directory) -> Sequence[Event]:
    """The events that the command leads to; none where it is so already. Raises: Refused."""
    match command:
        case RegisterCase():
            return _register(state, command)
        case CategoriseCase():
            return _categorise(state, command, directory)
        case CloseCase():
            return _close(state, command)
        case _:
            raise AssertionError(f"no rule of cases for {type(command).__name__}")


def _register(state: CaseState, command: RegisterCase) -> Sequence[Event]:
    number = command.number or f"{command.authority}-{command.case[:8].upper()}"
    if state.number is not None:
        if (state.number, state.contact) == (number, command.contact):
            return []
        raise CaseExists(f"The case is registered already, as {state.number}.", number=state.number)
    return [
        CaseRegistered(
            number=number,
            authority=command.authority,
            agent=command.agent,
            channel=command.channel,
            contact=command.contact,
            title=command.title,
            text=command.text,
            caller_ref=command.caller_ref,
        )
    ]


def _categorise(state: CaseState, command: CategoriseCase, directory: Directory) -> Sequence[Event]:
    if state.number is None:
        raise CaseUnknown
    case_type = directory.case_type(command.case_type)
    complaint = command.complaint or (case_type is not None and case_type.complaint)
    if (state.case_type, state.complaint) == (command.case_type, complaint):
        return []
    if state.outcome is not None:
        raise CaseIsClosed
    if case_type is None:
        raise CaseTypeUnknown(f"There is no case type {command.case_type}.")
    if case_type.authority not in {command.authority, ANY_AUTHORITY}:
        raise CaseTypeOfAnother(f"{case_type.code} belongs to {case_type.authority}.")
    return [CaseCategorised(command.case_type, command.agent, complaint)]


def _close(state: CaseState, command: CloseCase) -> Sequence[Event]:
    if state.number is None:
        raise CaseUnknown
    if state.outcome is not None:
        if (state.outcome, state.first_contact) == (command.outcome, command.first_contact):
            return []
        raise CaseIsClosed(f"The case was closed as {state.outcome}.", outcome=state.outcome)
    if state.case_type is None:
        raise CaseNotCategorised
    return [CaseClosed(command.outcome, command.agent, command.first_contact)]


CASES: Final = Decider("case", CaseState(), evolve, decide)
