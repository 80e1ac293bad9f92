"""What comes of a command about a case: its rules, with the law's borders."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from core import case_commands as ask
from core import case_desk_rules as desk
from core import case_office_rules as office
from core import case_onward_rules as onward
from core import case_state
from core.case_refusals import CaseUnknown
from core.case_state import CaseState
from core.commands import Decider

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import Any

    from core.access import Place
    from core.commands import Command
    from core.commit import Event
    from core.taxonomy import Directory


def decide(state: CaseState, command: Command, directory: Directory) -> Sequence[Event]:
    """The events that the command leads to; none where it is so already. Raises: Refused."""
    kind = type(command)
    if kind is not ask.RegisterCase and state.number is None:
        raise CaseUnknown
    by_catalogue = _BY_CATALOGUE.get(kind)
    if by_catalogue is not None:
        return by_catalogue(state, command, directory)
    by_state = _BY_STATE.get(kind)
    assert by_state is not None, f"no rule of cases for {kind.__name__}"
    return by_state(state, command)


def place(state: CaseState, command: Command) -> Place:
    """Where the command is done; a case that is not there yet is in the room that it names.

    Who promised to call back may say that it was done, also where somebody else has taken the case
    over since: it is that person's own, as a case is that one registered, and shows nothing.
    """
    if state.number is None:
        return command.place
    if isinstance(command, ask.KeepCallback):
        promise = state.callbacks.get(command.promise)
        if promise is not None and command.asker.id in {promise.agent, promise.officer}:
            return replace(state.place, registered_by=command.asker.id)
    return state.place


_BY_CATALOGUE: Final[Mapping[type[Any], Callable[..., Sequence[Event]]]] = {
    ask.CategoriseCase: desk.categorise,
    ask.EscalateCase: desk.escalate,
    ask.GuideCaller: desk.guide,
    ask.AnswerCase: desk.answer,
    ask.NoteCase: desk.note,
    ask.ConnectCaller: onward.connect,
    ask.HandOverCase: onward.hand_over,
    ask.SendComplaint: onward.send_complaint,
    ask.PromiseCallback: onward.promise_callback,
    ask.DecideCase: office.decide_matter,
    ask.AnswerComplaint: office.answer_complaint,
    ask.CloseCase: office.close,
}
_BY_STATE: Final[Mapping[type[Any], Callable[..., Sequence[Event]]]] = {
    ask.RegisterCase: desk.register,
    ask.AddContact: desk.add_contact,
    ask.AnswerQuestion: desk.answer_question,
    ask.KeepCallback: onward.keep_callback,
    ask.LinkCases: onward.link,
    ask.UnlinkCases: onward.unlink,
    ask.NoteReceipt: office.note_receipt,
    ask.TakeCase: office.take,
    ask.AskQuestion: office.ask,
    ask.NoteComplaintReceipt: office.note_complaint_receipt,
    ask.ProtectCase: office.protect,
    ask.DecideRegistry: office.decide_registry,
    ask.AddAttachment: office.add_attachment,
    ask.DiscloseCase: office.disclose,
    ask.ReopenCase: office.reopen,
}

CASES: Final = Decider("case", CaseState(), case_state.evolve, decide, place)
