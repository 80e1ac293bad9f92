"""The catalogue as a TOML file: what an import of it would find standing already."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Final

from core.entry_views import date_of
from core.sections import SECTIONS, TABLES

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from core.directory import Directory
    from core.shapes import Field

_BARE: Final = re.compile(r"[A-Za-z0-9_-]+")
_NONE: Final[Mapping[str, Field]] = {}


def to_toml(directory: Directory) -> str:
    """The catalogue as it stands: tables first, then sections, each by key; always the same text.

    An import of it into this catalogue changes nothing, and into an empty one makes the same.
    """
    return "\n".join(_lines(directory)) + "\n"


def _lines(directory: Directory) -> Iterator[str]:
    yield "# The catalogue, written by `kontaktcenter catalogue export`."
    for section in ("meta", "enums", "labels"):
        for key, row in sorted(directory.rows(section).items()):
            value = row["value"] if set(row) == {"value"} else row
            yield f"{section}.{_key(key)} = {_value(value, _NONE)}"
    assert {"meta", "enums", "labels"} == TABLES
    for section, shape in SECTIONS.items():
        for _unused, row in sorted(directory.rows(section).items()):
            yield ""
            yield f"[[{section}]]"
            for name in [n for n in shape.fields if n in row] + sorted(
                set(row) - set(shape.fields)
            ):
                field = shape.fields.get(name)
                yield f"{_key(name)} = {_field(row[name], field)}"


def _field(value: object, field: Field | None) -> str:
    day = date_of(value) if field is not None and field.kind == "date" else None
    if day is not None and day.isoformat() == value:  # else as it was recorded, right or wrong
        return day.isoformat()
    fields = field.fields if field is not None and field.fields is not None else _NONE
    if isinstance(value, list) and any(isinstance(item, dict) for item in value):
        inner = "".join(f"  {_value(item, fields)},\n" for item in value)
        return f"[\n{inner}]"
    return _value(value, fields)


def _value(value: object, fields: Mapping[str, Field]) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, dict):
        pairs = (f"{_key(name)} = {_field(item, fields.get(name))}" for name, item in value.items())
        return f"{{ {', '.join(pairs)} }}" if value else "{}"
    if isinstance(value, list | tuple):
        return f"[{', '.join(_value(item, fields) for item in value)}]"
    return repr(value)


def _text(text: str) -> str:
    """A basic string; what JSON leaves as it is and TOML does not allow is escaped too."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def _key(name: str) -> str:
    return name if _BARE.fullmatch(name) else _text(name)
