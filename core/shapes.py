"""What a row may look like: fields, their kinds and bounds, and the faults of a row that is not so.

A shape judges one value at a time. What rows must be to each other stands in `core.section_rules`.
"""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from difflib import get_close_matches
from functools import lru_cache
from typing import TYPE_CHECKING, Final, Literal

from core.limits import NAME_CHARS_MAX, NUMBER_MAX, TEXT_CHARS_MAX

if TYPE_CHECKING:
    from collections.abc import Iterator

ITEMS_MAX: Final = 500  # in one list of a row; the longest of a city has some tens
DEPTH_MAX: Final = 8  # tables within tables of a label
MEANT_AMONG_MAX: Final = 1_000  # words that one may have been meant for; to compare takes time
ID_CHARS_MAX: Final = 100  # a stream's name holds section and key with room to spare
_ID: Final = re.compile(r"[^\W_][\w .+:-]*")
_TIME: Final = re.compile(r"([01]\d|2[0-3]):[0-5]\d|24:00")
_NUMBER: Final = re.compile(r"\+?[\d -]{2,30}")

Kind = Literal[
    "id", "name", "text", "flag", "whole", "number", "date", "moment", "time", "phone", "list",
    "tables", "any",
]  # fmt: skip
Place = tuple[str | int, ...]
Found = tuple[Place, str]  # where in the row, and what is wrong


@dataclass(frozen=True, slots=True)
class Field:
    """One field of a row.

    `enum` is the key in the section `enums` that lists the words allowed, `words` these words
    themselves; `refers` the sections one of which has the key that stands here. `items` is what a
    `list` holds; `fields` are those of the tables of a `tables`.
    """

    kind: Kind
    required: bool = False
    enum: str | None = None
    words: frozenset[str] = frozenset()
    refers: tuple[str, ...] = ()
    also: frozenset[str] = frozenset()  # words beside the keys of `refers`
    least: float = 0
    most: float = NUMBER_MAX
    items: Field | None = None
    fields: Mapping[str, Field] | None = None
    at_least_one: bool = False


@dataclass(frozen=True, slots=True)
class Section:
    """One section: the fields that make its key, all its fields, and whose matter its rows are.

    `owner` is the field that names the authority which approves changes (R45); None: the centre's.
    """

    key: tuple[str, ...]
    fields: Mapping[str, Field]
    owner: str | None = None


def faults_of_row(row: Mapping[str, object], fields: Mapping[str, Field]) -> Iterator[Found]:
    """What is wrong with a row by itself: fields that lack, that nobody knows, of another kind."""
    for name, field in fields.items():
        if field.required and name not in row:
            yield (), f"has no {name}"
    for name, value in row.items():
        if name in fields:
            yield from _value((name,), value, fields[name])
        else:
            yield (name,), f"no field {shown(name)}{meant(name, fields)}"


def _value(place: Place, value: object, field: Field) -> Iterator[Found]:
    name = str(place[-1]) if isinstance(place[-1], str) else f"{place[-2]}, item {place[-1] + 1}"
    match field.kind:
        case "tables":
            yield from _tables(place, name, value, field)
        case "list":
            yield from _list(place, name, value, field)
        case "flag":
            if not isinstance(value, bool):
                yield place, f"{name} is true or false, not {shown(value)}"
        case "whole" | "number":
            yield from _number(place, name, value, field)
        case "date" | "moment":
            if not _is_time(value, field.kind):
                wanted = "a date" if field.kind == "date" else "a time with its zone"
                yield place, f"{name} is {wanted}, not {shown(value)}"
        case "any":
            yield from faults_of_anything(place, value)
        case _:
            yield from _text(place, name, value, field)


def _text(place: Place, name: str, value: object, field: Field) -> Iterator[Found]:
    if not isinstance(value, str):
        yield place, f"{name} is a text, not {shown(value)}"
        return
    chars_max = {"text": TEXT_CHARS_MAX, "id": ID_CHARS_MAX}.get(field.kind, NAME_CHARS_MAX)
    if not value.strip():
        yield place, f"{name} is empty"
    elif len(value) > chars_max:
        yield place, f"{name} has {len(value)} characters; at most {chars_max} are kept"
    elif why := unprintable(value, lines=field.kind == "text"):
        yield place, f"{name} holds {why}"
    elif (
        field.kind == "id"
        and value not in field.also
        and not (_ID.fullmatch(value) and unicodedata.is_normalized("NFC", value))
    ):
        yield place, f"{name} {shown(value)} is no id: letters, digits and _ - . + : only"
    elif field.kind == "time" and not _TIME.fullmatch(value):
        yield place, f"{name} is a time of day such as 08:30, not {shown(value)}"
    elif field.kind == "phone" and not _NUMBER.fullmatch(value):
        yield place, f"{name} is a telephone number, not {shown(value)}"
    elif field.words and value not in field.words:
        yield place, f"{name} is {shown(value)}{meant(value, field.words, list_all=True)}"


def _number(place: Place, name: str, value: object, field: Field) -> Iterator[Found]:
    kinds = (int,) if field.kind == "whole" else (int, float)
    if isinstance(value, bool) or not isinstance(value, kinds):
        wanted = "a whole number" if field.kind == "whole" else "a number"
        yield place, f"{name} is {wanted}, not {shown(value)}"
    elif not math.isfinite(value):
        yield place, f"{name} is {value}; a number is finite"
    elif not field.least <= value <= field.most:
        yield place, f"{name} is {shown(value)}; it may be {field.least:g} to {field.most:g}"


def _list(place: Place, name: str, value: object, field: Field) -> Iterator[Found]:
    assert field.items is not None
    if not isinstance(value, list):
        yield place, f"{name} is a list, not {shown(value)}"
        return
    if len(value) > ITEMS_MAX:
        yield place, f"{name} has {len(value)} items; at most {ITEMS_MAX} are kept"
        return
    if field.at_least_one and not value:
        yield place, f"{name} is empty"
    seen: list[object] = []
    for n, item in enumerate(value):
        yield from _value((*place, n), item, field.items)
        if item in seen:
            yield (*place, n), f"{name}: {shown(item)} stands there twice"
        seen.append(item)


def _tables(place: Place, name: str, value: object, field: Field) -> Iterator[Found]:
    assert field.fields is not None
    if not isinstance(value, list):
        yield place, f"{name} is a list of tables, not {shown(value)}"
        return
    if len(value) > ITEMS_MAX:
        yield place, f"{name} has {len(value)} tables; at most {ITEMS_MAX} are kept"
        return
    if field.at_least_one and not value:
        yield place, f"{name} is empty"
    for n, item in enumerate(value):
        if isinstance(item, dict):
            for inner, why in faults_of_row(item, field.fields):
                yield (*place, n, *inner), f"{name}, {n + 1}: {why}"
        else:
            yield (*place, n), f"{name}, {n + 1}: is a table, not {shown(item)}"


def faults_of_anything(place: Place, value: object) -> Iterator[Found]:
    """What JSON and the log cannot hold: endless numbers, texts that are none, what is too deep."""
    name = ".".join(str(part) for part in place)
    if isinstance(value, str):
        if why := unprintable(value, lines=True):
            yield place, f"{name} holds {why}"
        elif len(value) > TEXT_CHARS_MAX:
            yield place, f"{name} has {len(value)} characters; at most {TEXT_CHARS_MAX} are kept"
    elif isinstance(value, float) and not math.isfinite(value):
        yield place, f"{name} is {value}; a number is finite"
    elif isinstance(value, int) and abs(value) > NUMBER_MAX:
        yield place, f"{name} is {value}; a number is at most {NUMBER_MAX}"
    elif isinstance(value, dict | list):
        if len(place) > DEPTH_MAX or len(value) > ITEMS_MAX:
            yield place, f"{name} holds too much"
            return
        for key, item in value.items() if isinstance(value, dict) else enumerate(value):
            yield from faults_of_anything((*place, key), item)


def referring(
    row: Mapping[str, object], fields: Mapping[str, Field], above: Place = ()
) -> Iterator[tuple[Place, str, Field]]:
    """The texts of a row that are keys of other sections, or words of an enumeration."""
    for name, field in fields.items():
        value = row.get(name)
        place = (*above, name)
        if isinstance(value, str) and (field.refers or field.enum):
            yield place, value, field
        elif isinstance(value, list) and field.items is not None:
            if field.items.refers or field.items.enum:
                for n, item in enumerate(value):
                    if isinstance(item, str):
                        yield (*place, n), item, field.items
        elif isinstance(value, list) and field.fields is not None:
            for n, item in enumerate(value):
                if isinstance(item, dict):
                    yield from referring(item, field.fields, (*place, n))


def _is_time(value: object, kind: Kind) -> bool:
    try:
        if kind == "date":
            return isinstance(value, str) and date.fromisoformat(value).isoformat() == value
        return isinstance(value, str) and datetime.fromisoformat(value).tzinfo is not None
    except ValueError:
        return False


def unprintable(text: str, *, lines: bool) -> str | None:
    """Which character of a text can be neither read nor printed; None where there is none."""
    for character in text:
        code = ord(character)
        if lines and character in "\n\t":
            continue
        if unicodedata.category(character) in {"Cc", "Cs"} or code in _UNSEEN:
            name = unicodedata.name(character, "a control character")
            return f"U+{code:04X} ({name.lower()})"
    return None


# What turns the direction of writing around can make a text read otherwise than it is, and a
# byte-order mark or a space without width inside a text makes two ids that look alike.
_UNSEEN: Final = frozenset({*range(0x202A, 0x202F), *range(0x2066, 0x206A), 0xFEFF, 0x200B})


def shown(value: object, chars_max: int = 40) -> str:
    """A value as a message shows it: short, in one line."""
    text = repr(value)
    return text if len(text) <= chars_max else f"{text[: chars_max - 1]}…"


def meant(
    word: str, known: Mapping[str, object] | frozenset[str], *, list_all: bool = False
) -> str:
    """`; did you mean "x"?`, or the words that there are, or nothing."""
    close = _close(word, frozenset(known)) if len(known) <= MEANT_AMONG_MAX else None
    if close is not None:
        return f"; did you mean {close}?"
    return f"; it may be {', '.join(sorted(known))}" if list_all else ""


@lru_cache(maxsize=1024)
def _close(word: str, known: frozenset[str]) -> str | None:
    found = get_close_matches(word[:ID_CHARS_MAX], sorted(known), n=1, cutoff=0.7)
    return found[0] if found else None
