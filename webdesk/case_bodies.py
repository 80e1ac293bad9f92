"""The table of what may be asked of a case over HTTP: verb, command, and the body made of it.

A body has the command's own fields, read from the command itself: what is added there is asked for
here. Three differ: free text comes in clear and is sealed, a caller's number comes in the body and
is kept as a keyed hash, and `agent` is left out by everybody but programs.
"""

from __future__ import annotations

import typing
from dataclasses import MISSING, dataclass, fields
from datetime import datetime
from types import NoneType
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal

import msgspec

from core import case_commands as asked
from core.limits import COMMAND_ITEMS_MAX, NAME_CHARS_MAX, NUMBER_MAX, TEXT_CHARS_MAX
from core.personal import Personal
from core.vocabulary import CallerType, Channel, Level, LinkKind, Receipt

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["NOT_VERBS", "REGISTER", "VERBS", "Verb"]

Name = Annotated[str, msgspec.Meta(min_length=1, max_length=NAME_CHARS_MAX)]
Text = Annotated[str, msgspec.Meta(min_length=1, max_length=TEXT_CHARS_MAX)]
# A call's stream and nothing else: what is not sealed must not take in a number by mistake.
_Contact = Annotated[str, msgspec.Meta(pattern="^call/[^/]+/.+$", max_length=NAME_CHARS_MAX)]
_Names = Annotated[tuple[Name, ...], msgspec.Meta(max_length=COMMAND_ITEMS_MAX)]
_Whole = Annotated[int, msgspec.Meta(ge=0, le=NUMBER_MAX)]
_Time = Annotated[datetime, msgspec.Meta(tz=True)]


@dataclass(frozen=True, slots=True)
class Verb:
    """`POST /api/v1/cases/{authority}/{case}/<name>` asks for `command`.

    `body` is the shape of the body, `clear` the fields that come in clear and are sealed.
    """

    name: str
    command: type[asked.CaseCommand]
    summary: str
    body: type[msgspec.Struct]
    clear: frozenset[str]


# What is no verb here, and why: a test holds that every other command is in the table.
NOT_VERBS: Final[Mapping[type[asked.CaseCommand], str]] = {
    asked.AddAttachment: "the file comes with it; its own route makes address and key",
    asked.DiscloseCase: "the copy comes with it; its own route says what was masked",
}

# A client does not choose what a case is called: a taken name would tell that there is such a case.
_NEVER_SENT: Final[Mapping[type[asked.CaseCommand], frozenset[str]]] = {
    asked.RegisterCase: frozenset({"case", "number"}),
}
_COMMON: Final = frozenset({"id", "now", "actor", "asker", "expected_version", "agent"})
_IN_THE_PATH: Final = frozenset({"authority", "case"})


def _words(*allowed: str) -> Any:
    return Literal[allowed]


_WORDS: Final[Mapping[str, Any]] = {
    "channel": _words(*(channel.value for channel in Channel)),
    "caller_type": _words(*(kind.value for kind in CallerType)),
    "to_level": _words(*(level.value for level in Level)),
    "NoteReceipt.receipt": _words(*(receipt.value for receipt in Receipt)),
    "LinkCases.kind": _words(*(kind.value for kind in LinkKind)),
    "AskQuestion.to": _words("caller", "centre"),
    "DecideRegistry.outcome": _words("registered", "kept_unregistered"),
    "contact": _Contact,
    "title": Name,
    "PromiseCallback.number": Name,
}


def _verb(name: str, command: type[asked.CaseCommand], summary: str) -> Verb:
    hints = typing.get_type_hints(command)
    clear = {item.name for item in fields(command) if Personal in typing.get_args(hints[item.name])}
    return Verb(name, command, summary, _body_of(command, hints), frozenset(clear))


def _body_of(command: type[asked.CaseCommand], hints: Mapping[str, Any]) -> type[msgspec.Struct]:
    """The body that asks for `command`. Unknown fields are refused: a misspelt one would vanish."""
    shapes: list[Any] = [("agent", Name | None, None)]
    for item in fields(command):
        if item.name in _COMMON | _NEVER_SENT.get(command, frozenset()):
            continue
        if command is not asked.RegisterCase and item.name in _IN_THE_PATH:
            continue
        name = "caller" if item.name == "caller_ref" else item.name
        shape = _shape(f"{command.__name__}.{item.name}", item.name, hints[item.name])
        if item.default is not MISSING:
            shapes.append((name, shape, item.default))
        else:
            assert item.default_factory is MISSING, "a body's default is a plain value"
            shapes.append((name, shape))
    return msgspec.defstruct(
        f"{command.__name__}Body",
        shapes,
        kw_only=True,
        forbid_unknown_fields=True,
        namespace={"__doc__": command.__doc__},
    )


def _shape(full_name: str, name: str, hint: Any) -> Any:
    """The body's type of a command's field."""
    parts = typing.get_args(hint)
    optional = NoneType in parts
    found: Any
    if full_name in _WORDS or name in _WORDS:
        found = _WORDS.get(full_name) or _WORDS[name]
    elif Personal in parts:
        found = Text
    elif hint == tuple[str, ...]:
        found = _Names
    else:
        plain = next(part for part in (parts or (hint,)) if part is not NoneType)
        found = {str: Name, bool: bool, int: _Whole, datetime: _Time}[plain]
    return found | None if optional else found


REGISTER: Final = _verb("register", asked.RegisterCase, "Register a case")
VERBS: Final[tuple[Verb, ...]] = (
    _verb("add-contact", asked.AddContact, "Somebody got in touch about the case again"),
    _verb("categorise", asked.CategoriseCase, "Give a case its type"),
    _verb("escalate", asked.EscalateCase, "Take a case to a higher level"),
    _verb("guide", asked.GuideCaller, "The caller was shown the right way"),
    _verb("answer", asked.AnswerCase, "Give an answer"),
    _verb("connect", asked.ConnectCaller, "Connect the caller to a group or a person"),
    _verb("hand-over", asked.HandOverCase, "Hand a case over; a receipt is awaited"),
    _verb("note-receipt", asked.NoteReceipt, "Say how far a hand-over has come"),
    _verb("take", asked.TakeCase, "Take a case on"),
    _verb("note", asked.NoteCase, "Write something down"),
    _verb("ask", asked.AskQuestion, "Ask the caller or the centre"),
    _verb("answer-question", asked.AnswerQuestion, "Answer a question that stands in the case"),
    _verb("decide", asked.DecideCase, "Decide the matter"),
    _verb("send-complaint", asked.SendComplaint, "Send a complaint to the owner's system"),
    _verb("note-complaint-receipt", asked.NoteComplaintReceipt, "The complaint system has it"),
    _verb("answer-complaint", asked.AnswerComplaint, "The owner answers the complaint"),
    _verb("promise-callback", asked.PromiseCallback, "Promise to call back at a time"),
    _verb("keep-callback", asked.KeepCallback, "The promised call was made"),
    _verb("link", asked.LinkCases, "Link a case to another of the authority"),
    _verb("unlink", asked.UnlinkCases, "Take a link away again"),
    _verb("protect", asked.ProtectCase, "Mark a protected identity, or take the mark away"),
    _verb("registry", asked.DecideRegistry, "Register a case, or keep it unregistered"),
    _verb("close", asked.CloseCase, "Close a case"),
    _verb("reopen", asked.ReopenCase, "Go on with a closed case"),
)
