"""What is common to all deciders: a command, a decider, and what becomes of both.

A command is what somebody asks for; it carries its id, the time and who asks, so that a decider
needs no clock. A decider is three pure functions: `initial`, `evolve(state, recorded)` and
`decide(state, command)`. The same ones run in the server, in the reserve terminal and in a
simulation.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, fields, is_dataclass
from datetime import datetime
from enum import Enum
from typing import TYPE_CHECKING, ClassVar, Generic, TypeVar
from uuid import UUID

from core.access import NOBODY, Asker, Deed, Place
from core.commit import Event, Recorded
from core.errors import Invalid
from core.limits import COMMAND_ITEMS_MAX, CONTRADICTIONS_KEPT_MAX, NAME_CHARS_MAX, TEXT_CHARS_MAX
from core.personal import Personal

if TYPE_CHECKING:
    from core.taxonomy import Directory

State = TypeVar("State")
_NOT_ASKED = frozenset({"id", "now"})
NOT_ASKED = {"asked": False}  # metadata of a field whose value is no part of the intent


@dataclass(frozen=True, kw_only=True)
class Command:
    """Something asked for. `id` is the client's for all its attempts, `actor` who asks.

    `asker` is who asks, with all rights; it is no part of the intent, because rights may change
    between two honest repeats. `expected_version` is the version of the stream that the asker has
    seen: where it is at another, nothing is done. Subclasses say in `stream` which stream decides
    it (one id always goes to the same stream) and in `DEED` what is done, which `core.access`
    judges.
    """

    DEED: ClassVar[Deed]

    id: UUID
    now: datetime
    actor: str
    asker: Asker = field(default=NOBODY, metadata=NOT_ASKED)
    expected_version: int | None = field(default=None, metadata=NOT_ASKED)

    @property
    def stream(self) -> str:
        """The stream whose state decides this command."""
        raise NotImplementedError

    @property
    def place(self) -> Place:
        """Where it is done, as far as the command itself tells; the state may tell more."""
        return Place()

    def check(self, directory: Directory) -> None:  # noqa: ARG002 -- subclasses look things up in it
        """Look at the command by itself, before anything is loaded or proposed.

        Raises: Refused where it can never be done, whatever the stream's state: such a "no" leaves
        no trace in the log, so that of an excluded area not even a hash is kept.
        """
        if self.now.tzinfo is None:
            raise Invalid("now has no time zone", field="now")
        for item in fields(self):
            value = getattr(self, item.name)
            if isinstance(value, Personal):
                _bounded(item.name, value.value, TEXT_CHARS_MAX)
            elif isinstance(value, str):
                _bounded(item.name, value, NAME_CHARS_MAX)
            elif isinstance(value, tuple):
                if len(value) > COMMAND_ITEMS_MAX:
                    raise Invalid(f"{item.name} has more than {COMMAND_ITEMS_MAX}", field=item.name)
                for one in value:
                    _bounded(item.name, str(one), NAME_CHARS_MAX)

    def asking(self) -> str:
        """What identifies the asking: the command as the client sent it, as canonical JSON.

        Without `id` and `now`, which differ between honest repeats or are the id itself.
        """
        asked = {
            item.name: _plain(getattr(self, item.name))
            for item in fields(self)
            if item.name not in _NOT_ASKED and item.metadata.get("asked", True)
        }
        named = {"command": type(self).__name__, **asked}
        return json.dumps(named, ensure_ascii=False, sort_keys=True, separators=(",", ":"))


def _bounded(name: str, text: str, chars_max: int) -> None:
    if not text.strip():
        raise Invalid(f"{name} is empty", field=name)
    if not text.isascii() and any("\ud800" <= character <= "\udfff" for character in text):
        raise Invalid(f"{name} holds half a character (a lone surrogate)", field=name)
    if len(text) > chars_max:
        raise Invalid(
            f"{name} has {len(text)} characters; at most {chars_max} are kept", field=name
        )


def _plain(value: object) -> object:
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, UUID):
        return str(value)
    if isinstance(value, tuple | list):
        return [_plain(item) for item in value]
    if isinstance(value, Personal):
        return {"value": value.value}  # whose key seals it may change between two honest repeats
    if is_dataclass(value) and not isinstance(value, type):
        return {item.name: _plain(getattr(value, item.name)) for item in fields(value)}
    return value


def place_of_command(state: object, command: Command) -> Place:  # noqa: ARG001 -- a decider's `place`
    """Where a command is done, by the command alone."""
    return command.place


@dataclass(frozen=True, slots=True)
class Decider(Generic[State]):
    """The rules of one kind of stream.

    `evolve` is total: what contradicts the state is marked in it, never raised. `decide` gives the
    events that the command leads to, none where there is nothing to do, or raises `Refused`.
    `place` says where a command is done, for `core.access`: by itself, or by the state it meets.
    """

    name: str
    initial: State
    evolve: Callable[[State, Recorded], State]
    decide: Callable[..., Sequence[Event]]
    place: Callable[[State, Command], Place] = place_of_command


@dataclass(frozen=True, slots=True)
class Contradiction:
    """A recorded fact that does not fit what was recorded before: a person has to look at it."""

    version: int
    type: str
    why: str


def contradicted(
    before: tuple[Contradiction, ...], recorded: Recorded, why: str
) -> tuple[Contradiction, ...]:
    """`before` with one more; the oldest are kept, because later ones often follow from them."""
    if len(before) >= CONTRADICTIONS_KEPT_MAX:
        return before
    return (*before, Contradiction(recorded.version, recorded.event.TOPIC, why))
