"""An archive of a closed period: JSON Lines with a schema for each kind, a manifest with checksums.

Pure: rows, schemas and the manifest's text. The same positions of the log give the same bytes: no
clock, no order of a dictionary, no name of a machine goes into it.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import fields
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from core.catalogue import EVENTS, fields_of, json_schema
from core.personal import Erased, Personal, Sealed

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from core.commit import Event, Recorded

LAYOUT: Final = 1
CASES: Final = "cases.jsonl"
EVENTS_FILE: Final = "events.jsonl"
ATTACHMENTS: Final = "attachments.jsonl"
MANIFEST: Final = "manifest.json"
README: Final = "LÄS_MIG.md"
PROTECTED_NOTE: Final = (
    "Ärenden med skyddade personuppgifter ingår aldrig i detta uttag. De lämnas särskilt, efter "
    "beslut av myndigheten. Denna text står här vare sig det finns sådana eller inte."
)
_PERSONAL: Final[dict[str, Any]] = {
    "description": "Personal text: in clear, or erased by a decision.",
    "anyOf": [
        {"type": "string"},
        {
            "type": "object",
            "properties": {"erased": {"type": "boolean"}},
            "required": ["erased"],
        },
        {
            "type": "object",
            "properties": {"withheld": {"type": "string"}},
            "required": ["withheld"],
        },
    ],
}
_LEFT_OUT: Final = frozenset({"caller_ref", "key"})
_TEXT: Final = {"type": "string"}
_MAYBE: Final = {"anyOf": [{"type": "string"}, {"type": "null"}]}
_COUNT: Final = {"type": "integer", "minimum": 0}
FORMULAS: Final[Mapping[str, str]] = {
    "cases": f"lines of {CASES}",
    "events": f"lines of {EVENTS_FILE}",
    "attachments": f"lines of {ATTACHMENTS}",
    "erased_fields": f'fields in {EVENTS_FILE} that are {{"erased": true}}',
    "by_type": f"lines of {EVENTS_FILE}, by type",
    "by_case_type": f"lines of {CASES}, by case_type ('' where there is none)",
}


def line(row: Mapping[str, object]) -> bytes:
    """One record: canonical JSON in UTF-8 and a line feed."""
    text = json.dumps(row, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    return text.encode() + b"\n"


def event_row(case: str, recorded: Recorded) -> dict[str, object]:
    """One event of a case as the archive holds it; personal text opened, or marked as erased.

    What somebody noted for himself alone is not part of the case's documents; a caller's keyed hash
    means nothing without the city's secret.
    """
    private = getattr(recorded.event, "private", False) is True
    data: dict[str, object] = {}
    for item in fields(recorded.event):
        value = getattr(recorded.event, item.name)
        if value is None or item.name in _LEFT_OUT:
            continue
        withheld = private and isinstance(value, Personal)
        data[item.name] = {"withheld": "private"} if withheld else _plain(value)
    return {
        "kind": recorded.event.TOPIC,
        "case": case,
        "version": recorded.version,
        "position": recorded.position,
        "commit": str(recorded.commit_id),
        "actor": recorded.actor,
        "origin": recorded.origin,
        "occurred_at": recorded.occurred_at.isoformat(),
        "recorded_at": recorded.recorded_at.isoformat(),
        "data": data,
    }


def _plain(value: object) -> object:
    if isinstance(value, Personal):
        return value.value
    if isinstance(value, Erased):
        return {"erased": True}
    if isinstance(value, Sealed):  # closed while the archive was being written
        return {"withheld": "protected"}
    if isinstance(value, datetime):
        return value.isoformat()
    return list(value) if isinstance(value, tuple) else value


def case_row(case: str, about: Mapping[str, object]) -> dict[str, object]:
    """One case as the archive lists it."""
    return {"kind": "case", "case": case, **about}


def attachment_row(case: str, about: Mapping[str, object]) -> dict[str, object]:
    """One file of a case; `file` is its name in the archive, None where it was not asked for."""
    return {"kind": "attachment", "case": case, **about}


def schemas(kinds: Iterable[str]) -> dict[str, dict[str, object]]:
    """The JSON Schema (2020-12) of each kind of record, by kind."""
    found = {"case": _case_schema(), "attachment": _attachment_schema()}
    for kind in kinds:
        if kind in EVENTS:
            found[kind] = _event_schema(EVENTS[kind])
    return dict(sorted(found.items()))


def _of(
    kind: str, properties: Mapping[str, object], optional: Iterable[str] = ()
) -> dict[str, Any]:
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": kind,
        "type": "object",
        "properties": {"kind": {"const": kind}, **properties},
        "required": ["kind", *(name for name in properties if name not in set(optional))],
        "additionalProperties": False,
    }


def _case_schema() -> dict[str, object]:
    return _of(
        "case",
        {
            "case": _TEXT, "number": _MAYBE, "authority": _TEXT, "case_type": _MAYBE,
            "outcome": _MAYBE, "closed_at": _TEXT, "registry": _MAYBE, "registry_number": _MAYBE,
            "complaint": {"type": "boolean"}, "events": _COUNT,
        },
    )  # fmt: skip


def _attachment_schema() -> dict[str, object]:
    return _of(
        "attachment",
        {
            "case": _TEXT, "address": _TEXT, "media_type": _TEXT, "size_bytes": _COUNT,
            "name": {"anyOf": [*_PERSONAL["anyOf"], {"type": "null"}]}, "file": _MAYBE,
            "sha256": _MAYBE, "erased": {"type": "boolean"},
        },
    )  # fmt: skip


def _event_schema(event_class: type[Event]) -> dict[str, object]:
    data: dict[str, Any] = dict(json_schema(event_class))
    data.pop("$schema")
    personal = {item.name for item in fields_of(event_class) if item.personal}
    data["properties"] = {
        name: _PERSONAL if name in personal else schema
        for name, schema in data["properties"].items()
        if name not in _LEFT_OUT
    }
    data["required"] = [name for name in data["required"] if name not in _LEFT_OUT]
    return _of(
        event_class.TOPIC,
        {
            "case": _TEXT, "version": _COUNT, "position": _COUNT, "commit": _TEXT, "actor": _TEXT,
            "origin": _TEXT, "occurred_at": _TEXT, "recorded_at": _TEXT, "data": data,
        },
    )  # fmt: skip


def manifest(about: Mapping[str, object], files: Mapping[str, tuple[str, int]]) -> bytes:
    """The manifest: what it is, and the SHA-256 and bytes of every other file."""
    whole = {
        "layout": LAYOUT,
        **about,
        "formulas": FORMULAS,
        "protected": PROTECTED_NOTE,
        "files": {
            name: {"sha256": sha256, "bytes": size}
            for name, (sha256, size) in sorted(files.items())
        },
    }
    return (json.dumps(whole, ensure_ascii=False, indent=2, sort_keys=True) + "\n").encode()


def sha256_of(content: bytes) -> str:
    """The checksum of a file, hexadecimal."""
    return hashlib.sha256(content).hexdigest()
