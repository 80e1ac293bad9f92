"""Our events to JSON and back: one codec, with sealing of personal fields and upcasting.

What is written is checked by reading it first, so that nothing enters the log that cannot be read
again. Unknown fields are ignored, a missing one fails at once, an unknown *type* is None: `judge`
never looks, and projections count and skip it.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import MISSING, dataclass, field, make_dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any, get_args

import msgspec

from core.catalogue import EVENTS, fields_of, upcasts_of
from core.commit import Event
from core.errors import Corrupt, Invalid, NeedsUpgrade
from core.personal import (
    ERASED,
    DataKey,
    Erased,
    KeyClosed,
    Personal,
    PersonalField,
    Sealed,
    open_sealed,
    seal,
)

if TYPE_CHECKING:
    from uuid import UUID


KeyFor = Callable[[str], DataKey]
KeyOf = Callable[[str], DataKey | None]
Nonce = Callable[[], bytes]

_ZONED = Annotated[datetime, msgspec.Meta(tz=True)]
_ENCODE = msgspec.json.Encoder(decimal_format="number").encode


@dataclass(frozen=True, slots=True)
class _Table:
    """What the codec knows about one event class, worked out once."""

    event_class: type[Event]
    twin: type
    decode: Callable[[bytes], Any]
    personal: tuple[str, ...]
    omitted: frozenset[str]
    defaults: dict[str, object]
    floats: tuple[str, ...]


def _logged_type(kind: object) -> object:
    """The type of a field as the log holds it: sealed, and with zones on times."""
    if kind == PersonalField:
        return Sealed
    if kind is datetime:
        return _ZONED
    args = get_args(kind)
    if type(None) in args:
        rest = [a for a in args if a is not type(None)]
        personal = set(get_args(PersonalField))
        inner = Sealed if personal <= set(rest) else _logged_type(rest[0])
        return inner | None  # type: ignore[operator]  # a type, which mypy sees as an object
    return kind


_TABLES: dict[type[Event], _Table] = {}


def _table(event_class: type[Event]) -> _Table:
    table = _TABLES.get(event_class)
    if table is None:
        table = _TABLES[event_class] = _make_table(event_class)
    return table


def _make_table(event_class: type[Event]) -> _Table:
    """The table of a class.

    Its twin has the same fields in the types of the log: msgspec fills it in C.
    """
    known = fields_of(event_class)
    spec: list[tuple[str, Any, Any]] = []
    for item in known:
        default = item.default
        if default is MISSING:
            spec.append((item.name, _logged_type(item.type), field()))
        elif isinstance(default, dict | list):
            spec.append((item.name, _logged_type(item.type), field(default_factory=type(default))))
        else:
            spec.append((item.name, _logged_type(item.type), field(default=default)))
    twin = make_dataclass(event_class.__name__, spec)
    return _Table(
        event_class,
        twin,
        msgspec.json.Decoder(twin).decode,
        tuple(item.name for item in known if item.personal),
        frozenset(item.name for item in known if item.default is None),
        {
            k.name: k.default
            for k in known
            if not isinstance(k.default, dict | list | type(MISSING))
        },
        tuple(k.name for k in known if k.type is float or float in get_args(k.type)),
    )


def encode_event(event: Event) -> dict[str, object]:
    """The event's data, JSON-ready but for its personal fields, which are still `Personal`.

    A field that is None and None by default is left out.
    """
    omitted = _table(type(event)).omitted
    return {k: v for k, v in vars(event).items() if v is not None or k not in omitted}


def personal_fields(event_class: type[Event]) -> tuple[str, ...]:
    """The fields of such events that are sealed."""
    return _table(event_class).personal


def subjects_of(event: Event) -> set[str]:
    """The subjects whose keys are needed to seal `event`."""
    values = vars(event)
    found = (values[name] for name in _table(type(event)).personal)
    return {value.subject for value in found if isinstance(value, Personal)}


def seal_event(event: Event, commit_id: UUID, nth: int, key_for: KeyFor, nonce: Nonce) -> bytes:
    """The event's JSON data as the log holds it, personal fields sealed for this very place.

    `nth` counts the commit's events from 0; `nonce` gives 12 fresh random bytes each time.
    Raises: Invalid where the data could not be read again.
    """
    table = _table(type(event))
    if type(event) is not EVENTS.get(event.TOPIC):
        msg = f"{event.TOPIC} is not in the catalogue"
        raise Invalid(msg, type=event.TOPIC)
    data = encode_event(event)
    for name in table.personal:
        value = data.get(name)
        if value is None:
            continue
        if not isinstance(value, Personal):
            msg = (
                f"{event.TOPIC}.{name} is {type(value).__name__.lower()}: only clear text is sealed"
            )
            raise Invalid(msg, type=event.TOPIC, field=name)
        sealed = seal(value, key_for(value.subject), _place(commit_id, nth, name), nonce())
        data[name] = {"key": sealed.key, "box": sealed.box}
    for name in table.floats:
        number = data.get(name)
        if isinstance(number, float) and not math.isfinite(number):
            msg = f"{event.TOPIC}.{name} is not a finite number"
            raise Invalid(msg, type=event.TOPIC, field=name)
    try:
        encoded = _ENCODE(data)
        table.decode(encoded)
    except (msgspec.MsgspecError, TypeError, UnicodeEncodeError, ValueError, OverflowError) as e:
        msg = f"{event.TOPIC} cannot be recorded: {e}"
        raise Invalid(msg, type=event.TOPIC) from e
    return encoded


def decode_event(type: str, schema: int, data: bytes | msgspec.Raw) -> Event | None:  # noqa: A002 -- the log's own word
    """The event, its personal fields still `Sealed`.

    None for a type that the catalogue does not know.

    Raises: Corrupt, naming type and field; NeedsUpgrade where the schema is newer than ours.
    """
    event_class = EVENTS.get(type)
    if event_class is None:
        return None
    return decode_as(event_class, schema, data)


def decode_as(event_class: type[Event], schema: int, data: bytes | msgspec.Raw) -> Event:
    """The event of a known class; `decode_event` looks the class up. Raises: as there."""
    table = _table(event_class)
    try:
        if schema == event_class.SCHEMA:
            filled = table.decode(data)
        else:
            filled = msgspec.convert(_upcast(event_class, schema, data), table.twin)
    except msgspec.MsgspecError as e:
        msg = f"{event_class.TOPIC} (schema {schema}) cannot be read: {e}"
        raise Corrupt(msg, type=event_class.TOPIC, schema=schema) from e
    event = object.__new__(event_class)
    # Frozen, and no second pass over the fields; msgspec leaves a missing one's default to the
    # class.
    object.__setattr__(event, "__dict__", {**table.defaults, **filled.__dict__})
    return event


def _upcast(event_class: type[Event], schema: int, data: bytes | msgspec.Raw) -> dict[str, object]:
    if schema > event_class.SCHEMA:
        known = event_class.SCHEMA
        msg = f"{event_class.TOPIC} has schema {schema}, this program knows {known}: upgrade it"
        raise NeedsUpgrade(msg, type=event_class.TOPIC, schema=schema)
    if schema < 1:
        msg = f"{event_class.TOPIC} has schema {schema}: the first is 1"
        raise Corrupt(msg, type=event_class.TOPIC, schema=schema)
    old = msgspec.json.decode(data, type=dict[str, Any])
    try:
        for step in upcasts_of(event_class)[schema - 1 :]:
            old = step(old)
    except (KeyError, TypeError, ValueError, AttributeError) as e:
        msg = f"{event_class.TOPIC} (schema {schema}) cannot be upcast: {e!r}"
        raise Corrupt(msg, type=event_class.TOPIC, schema=schema) from e
    return old


def open_event(event: Event, commit_id: UUID, nth: int, key_of: KeyOf) -> Event:
    """The event with its personal fields opened; `ERASED` where `key_of` gives None.

    Those for which it raises `KeyClosed` stay `Sealed`.

    Raises: Corrupt where a box does not fit its key or its place.
    """
    names = _table(type(event)).personal
    values = event.__dict__
    changed: dict[str, Personal | Erased] = {}
    for name in names:
        value = values[name]
        if not isinstance(value, Sealed):
            continue
        try:
            key = key_of(value.key)
        except KeyClosed:  # a protected identity's, and nobody asked: it stays sealed
            continue
        if key is None:
            changed[name] = ERASED
            continue
        try:
            changed[name] = open_sealed(value, key, _place(commit_id, nth, name))
        except ValueError as e:
            msg = f"{event.TOPIC}.{name} in commit {commit_id}: {e}"
            raise Corrupt(msg, type=event.TOPIC, field=name) from e
    if not changed:
        return event
    opened = object.__new__(type(event))
    object.__setattr__(opened, "__dict__", {**values, **changed})
    return opened


def _place(commit_id: UUID, nth: int, name: str) -> str:
    return f"{commit_id}/{nth}/{name}"
