"""Every event type, its version and its upcasts: the one table that reads and writes go by.

An event class that is not listed in `EVENT_CLASSES` cannot be recorded. Types are never renamed nor
taken out: what was written once must be read for as long as the log is kept.
"""

from __future__ import annotations

import inspect
import json
import sys
import typing
from collections.abc import Callable, Mapping
from dataclasses import MISSING, dataclass, fields
from datetime import datetime
from types import MappingProxyType
from typing import Final

from core import (
    accounts,
    calls,
    cases,
    entries,
    erasure,
    looks,
    nodes,
    retention,
    reviews,
    shifts,
)
from core.personal import PersonalField
from core.vocabulary import book_of

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
    *cases.CASE_EVENTS,
    *accounts.ACCOUNT_EVENTS,
    *entries.CATALOGUE_EVENTS,
    erasure.ErasureDecided,
    erasure.ErasureOrdered,
    erasure.ErasureCarriedOut,
    erasure.ErasureCompleted,
    retention.ArchiveExported,
    looks.PersonLookedAt,
    *nodes.NODE_EVENTS,
    *reviews.REVIEW_EVENTS,
)

EVENTS: Final[Mapping[str, type[Event]]] = MappingProxyType({c.TOPIC: c for c in EVENT_CLASSES})
assert len(EVENTS) == len(EVENT_CLASSES), "two event classes have one type"

Upcast = Callable[[dict[str, object]], dict[str, object]]


@dataclass(frozen=True, slots=True)
class FieldOf:
    """One field of an event.

    Its resolved type, whether a reader may find it missing, and its default.
    """

    name: str
    type: object
    required: bool
    default: object
    personal: bool


_FIELDS: Final[dict[type[Event], tuple[FieldOf, ...]]] = {}


def fields_of(event_class: type[Event]) -> tuple[FieldOf, ...]:
    """The fields of an event class, in order, with their types resolved."""
    if event_class in _FIELDS:
        return _FIELDS[event_class]
    hints = typing.get_type_hints(event_class)
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
    """The steps from schema 1 to the class's own, in order.

    Raises: AttributeError where one is missing.
    """
    return tuple(
        getattr(event_class, f"upcast_v{n}_v{n + 1}") for n in range(1, event_class.SCHEMA)
    )


# --- what others read -----------------------------------------------------------------------------
_SEALED: Final[Mapping[str, object]] = {
    "type": "object",
    "description": "Personal data, sealed: its key's id, and base64 of nonce and AES-256-GCM box.",
    "properties": {"key": {"type": "string"}, "box": {"type": "string"}},
    "required": ["key", "box"],
}
_PLAIN: Final[Mapping[object, Mapping[str, object]]] = {
    str: {"type": "string"},
    int: {"type": "integer"},
    float: {"type": "number"},
    bool: {"type": "boolean"},
    datetime: {"type": "string", "format": "date-time"},
}


def json_schema(event_class: type[Event]) -> dict[str, object]:
    """The JSON Schema (2020-12) of the event's data as the log holds it."""
    known = fields_of(event_class)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": event_class.TOPIC,
        "description": _meaning(event_class),
        "type": "object",
        "properties": {item.name: _schema_of(item) for item in known},
        "required": [item.name for item in known if item.required],
    }


def _schema_of(item: FieldOf) -> dict[str, object]:
    parts = typing.get_args(item.type) if item.type not in _PLAIN else ()
    optional = type(None) in parts
    if item.personal:
        schema: Mapping[str, object] = _SEALED
    else:
        schema = _schema_of_type(
            next((p for p in parts if p is not type(None)), item.type) if optional else item.type
        )
    described: dict[str, object] = dict(schema)
    if optional:
        described = {"anyOf": [schema, {"type": "null"}]}
    if not item.required:
        default = item.default
        described["default"] = list(default) if isinstance(default, tuple) else default
    return described


def _schema_of_type(kind: object) -> Mapping[str, object]:
    if kind in _PLAIN:
        return _PLAIN[kind]
    origin = typing.get_origin(kind)
    if origin is tuple:
        return {"type": "array", "items": _schema_of_type(typing.get_args(kind)[0])}
    assert origin is dict, f"no JSON Schema for {kind}"
    return {"type": "object"}


def book_of_type(event_class: type[Event]) -> str:
    """The book that events of a type are in; a case's is its authority's own."""
    noun = event_class.TOPIC.partition(".")[0]
    return book_of(f"{noun}/{{authority}}/key")


def asyncapi() -> dict[str, object]:
    """The AsyncAPI 3 document of the books and their events."""
    books: dict[str, list[type[Event]]] = {}
    for event_class in EVENT_CLASSES:
        books.setdefault(book_of_type(event_class), []).append(event_class)
    channels = {
        _channel(book): {
            "address": book,
            "description": "Records are envelopes of commits; a message is an event of one.",
            "messages": {c.TOPIC: {"$ref": f"#/components/messages/{c.TOPIC}"} for c in classes},
            **(
                {"parameters": {"authority": {"description": "The authority's code."}}}
                if "{authority}" in book
                else {}
            ),
        }
        for book, classes in books.items()
    }
    return {
        "asyncapi": "3.0.0",
        "info": {"title": "Kontaktcenter", "version": "1", "description": "The events of the log."},
        "defaultContentType": "application/json",
        "channels": channels,
        "operations": {
            f"read_{name}": {"action": "receive", "channel": {"$ref": f"#/channels/{name}"}}
            for name in channels
        },
        "components": {
            "messages": {
                c.TOPIC: {
                    "name": c.TOPIC,
                    "summary": _meaning(c).partition("\n")[0],
                    "payload": json_schema(c),
                }
                for c in EVENT_CLASSES
            }
        },
    }


def _channel(book: str) -> str:
    return book.partition(".")[0]


def _meaning(event_class: type[Event]) -> str:
    return inspect.cleandoc(event_class.__doc__ or "")


def events_page() -> str:
    """The page `docs/events.md`: every type, its version, its meaning and its fields."""
    lines = [
        "# Events",
        "",
        "Made by `python -m core.catalogue events-page`; do not edit.",
        "Types are never renamed nor reused.",
        "A field marked *personal* is sealed in the log with a key of its subject.",
    ]
    by_book = sorted(EVENT_CLASSES, key=book_of_type)
    for book in dict.fromkeys(map(book_of_type, by_book)):
        lines += ["", f"## Book `{book}`"]
        for event_class in filter(lambda c: book_of_type(c) == book, by_book):
            lines += ["", f"### `{event_class.TOPIC}` (schema {event_class.SCHEMA})", ""]
            lines += [
                _meaning(event_class),
                "",
                "| field | type | default |",
                "| --- | --- | --- |",
            ]
            lines += [_row(item) for item in fields_of(event_class)]
    return "\n".join(lines) + "\n"


def _row(item: FieldOf) -> str:
    schema = _schema_of(item)
    options = schema.get("anyOf")
    kind = options[0] if isinstance(options, list) else schema
    name = "*personal*" if item.personal else str(kind.get("format", kind["type"]))
    default = "" if item.required else f"`{json.dumps(schema['default'])}`"
    return f"| `{item.name}` | {name} | {default} |"


def main(arguments: list[str]) -> int:
    """Print `events-page`, `json-schema` (all, by type) or `asyncapi`."""
    if arguments == ["events-page"]:
        sys.stdout.write(events_page())
    elif arguments == ["json-schema"]:
        schemas = {c.TOPIC: json_schema(c) for c in EVENT_CLASSES}
        sys.stdout.write(json.dumps(schemas, ensure_ascii=False, indent=2) + "\n")
    elif arguments == ["asyncapi"]:
        sys.stdout.write(json.dumps(asyncapi(), ensure_ascii=False, indent=2) + "\n")
    else:
        sys.stderr.write("usage: python -m core.catalogue events-page|json-schema|asyncapi\n")
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
