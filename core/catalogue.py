"""Every event type, its version and its upcasts: the one table that reads and writes go by.

An event class that is not listed in `EVENT_CLASSES` cannot be recorded. Types are never renamed nor taken out:
what was written once must be read for as long as the log is kept.
"""

from __future__ import annotations

import typing
from collections.abc import Callable, Mapping
from dataclasses import MISSING, dataclass, fields
from datetime import datetime
from types import MappingProxyType
from typing import Final

from core import calls, cases, erasure, shifts, taxonomy
from core.personal import PersonalField

if typing.TYPE_CHECKING:
    from core.commit import Event

EVENT_CLASSES: Final[tuple[type[Event], ...]] = (
    calls.CallOffered,
    calls.CallQueued,
    calls.CallNotTaken,
    calls.CallAnswered,
    calls.CallHeld,
    calls.CallResumed,
    calls.CallTransferred,
    calls.CallAbandoned,
    calls.CallTimedOut,
    calls.CallRefused,
    calls.CallDeflected,
    calls.CallDiverted,
    calls.CallLeft,
    calls.CallbackRequested,
    calls.CallbackMade,
    calls.CallEnded,
    calls.CallWrappedUp,
    calls.CallNoted,
    calls.ExchangeRestarted,
    calls.ExchangeNoted,
    shifts.AgentSignedOn,
    shifts.AgentAvailable,
    shifts.AgentPaused,
    shifts.AgentUnpaused,
    shifts.WrapUpStarted,
    shifts.AgentSignedOff,
    shifts.ShiftNoted,
    cases.CaseRegistered,
    cases.CaseCategorised,
    cases.CaseClosed,
    taxonomy.EntrySet,
    taxonomy.EntryRemoved,
    erasure.ErasureDecided,
)

EVENTS: Final[Mapping[str, type[Event]]] = MappingProxyType({c.TOPIC: c for c in EVENT_CLASSES})
assert len(EVENTS) == len(EVENT_CLASSES), "two event classes have one type"

Upcast = Callable[[dict[str, object]], dict[str, object]]


@dataclass(frozen=True, slots=True)
class FieldOf:
    """One field of an event: its resolved type, whether a reader may find it missing, and its default."""

    name: str
    type: object
    required: bool
    default: object
    personal: bool


# The event modules import these for type checkers only, so their annotations are resolved with this help.
_NAMES: Final[dict[str, object]] = {"datetime": datetime, "PersonalField": PersonalField}


_FIELDS: Final[dict[type[Event], tuple[FieldOf, ...]]] = {}


def fields_of(event_class: type[Event]) -> tuple[FieldOf, ...]:
    """The fields of an event class, in order, with their types resolved."""
    if event_class in _FIELDS:
        return _FIELDS[event_class]
    hints = typing.get_type_hints(event_class, localns=_NAMES)
    personal = set(typing.get_args(PersonalField))
    found = []
    for item in fields(event_class):
        default = item.default_factory() if item.default_factory is not MISSING else item.default
        parts = set(typing.get_args(hints[item.name])) or {hints[item.name]}
        found.append(
            FieldOf(
                item.name, hints[item.name], default is MISSING, default, bool(parts & personal)
            )
        )
    _FIELDS[event_class] = tuple(found)
    return _FIELDS[event_class]


def upcasts_of(event_class: type[Event]) -> tuple[Upcast, ...]:
    """The steps from schema 1 to the class's own, in order. Raises: AttributeError where one is missing."""
    return tuple(
        getattr(event_class, f"upcast_v{n}_v{n + 1}") for n in range(1, event_class.SCHEMA)
    )
