"""What comes of a command about a case: its rules, with the law's borders."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from core import case_state
from core.case_commands import (
    CaseExists,
    CaseIsClosed,
    CaseNotCategorised,
    CaseTypeOfAnother,
    CaseTypeUnknown,
    CaseUnknown,
    CategoriseCase,
    CloseCase,
    RegisterCase,
)
from core.case_state import CaseState
from core.cases import CaseCategorised, CaseClosed, CaseRegistered
from core.commands import Decider
from core.taxonomy import ANY_AUTHORITY

if TYPE_CHECKING:
    from collections.abc import Sequence

    from core.access import Place
    from core.commands import Command
    from core.commit import Event
    from core.taxonomy import Directory


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


def place(state: CaseState, command: Command) -> Place:
    """Where the command is done; a case that is not there yet is in the room that it names."""
    return command.place if state.number is None else state.place


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
            caller_type=command.caller_type,
            group=command.group,
            protected=command.protected,
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


CASES: Final = Decider("case", CaseState(), case_state.evolve, decide, place)
