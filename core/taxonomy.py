"""The taxonomy: the catalogue read from a TOML file, and the front door to its rooms.

`Directory` is the whole catalogue as it stands (`core.directory`), folded from the events of its
entries (`core.entries`), whose rows `core.entry_views` reads.
"""

from __future__ import annotations

import hashlib
import json
import tomllib
from datetime import date, datetime, time
from typing import TYPE_CHECKING, Final

from core.commit import Draft, Happened, import_id
from core.directory import Directory
from core.entries import ANY_AUTHORITY, EntryRemoved, EntrySet
from core.entry_views import AnswerGroup, Article, Authority, Calendar, CaseType, Step, texts_of
from core.errors import Invalid
from core.vocabulary import catalogue_stream

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

__all__ = [
    "ANY_AUTHORITY", "AnswerGroup", "Article", "Authority", "Calendar", "CaseType", "Directory",
    "EntryRemoved", "EntrySet", "Step", "read_taxonomy",
]  # fmt: skip

_IMPORT: Final = "taxonomy"

# Each section's natural key. A section that is not here is a fault: a misspelt one would vanish in
# silence.
_KEYS: Final[Mapping[str, tuple[str, ...]]] = {
    "authority": ("code",),
    "conflict_pair": ("a", "b"),
    "complaint_system": ("id",),
    "system": ("id",),
    "calendar": ("id",),
    "area": ("id",),
    "dialled_number": ("number", "valid_from"),
    "dispatch": ("id",),
    "wrap_up": ("id",),
    "pause_reason": ("id",),
    "crisis_role": ("id",),
    "contact": ("id",),
    "threshold": ("id",),
    "centre": ("id",),
    "ivr": ("id",),
    "answer_group": ("id",),
    "case_type": ("code",),
    "article": ("id",),
    "crisis_action": ("id",),
    "baseline": ("id",),
}
_TABLES: Final = frozenset({"meta", "enums", "labels"})  # an entry for each of their keys


def read_taxonomy(
    toml_text: str, now: datetime, *, actor: str = "import", directory: Directory | None = None
) -> list[Draft]:
    """The drafts that bring the catalogue to what a taxonomy file says: one for each difference.

    An entry's id comes from its section, key and content, so a second import changes nothing;
    `directory`, the catalogue as it stands, lets an entry go back to a content that it once had.
    Raises: Invalid, listing every fault, where the file cannot be read.
    """
    faults: list[str] = []
    try:
        document = tomllib.loads(toml_text)
    except tomllib.TOMLDecodeError as e:
        raise Invalid(f"the taxonomy is not TOML: {e}") from e
    rows = list(_rows(document, faults))
    _check_references(rows, faults)
    if faults:
        listed = "\n".join(f"- {fault}" for fault in faults)
        raise Invalid(f"the taxonomy has {len(faults)} faults:\n{listed}", faults=tuple(faults))
    standing = directory or Directory()
    return [
        _draft(section, key, row, now, actor, standing)
        for section, key, row in rows
        if standing.entries.get(section, {}).get(key) != row
    ]


_Row = tuple[str, str, dict[str, object]]


def _rows(document: Mapping[str, object], faults: list[str]) -> Iterator[_Row]:
    """Every entry of the file with its section and key; what is wrong goes into `faults`."""
    for section, content in document.items():
        if section in _TABLES:
            if isinstance(content, dict):
                for key, value in content.items():
                    plain = _plain(value)
                    yield section, key, plain if isinstance(plain, dict) else {"value": plain}
            else:
                faults.append(f"{section}: is a table, not {type(content).__name__}")
        elif section not in _KEYS:
            faults.append(f"{section}: no such section")
        elif not isinstance(content, list):
            faults.append(f"{section}: is an array of tables, not {type(content).__name__}")
        else:
            yield from _section(section, content, faults)


def _section(section: str, content: list[object], faults: list[str]) -> Iterator[_Row]:
    seen: set[str] = set()
    for n, item in enumerate(content, start=1):
        if not isinstance(item, dict):
            faults.append(f"{section}, row {n}: is not a table")
            continue
        row = {name: _plain(value) for name, value in item.items()}
        parts = [row.get(name) for name in _KEYS[section]]
        lacking = [
            name
            for name, part in zip(_KEYS[section], parts, strict=True)
            if not isinstance(part, str) or not part
        ]
        if lacking:
            faults.append(f"{section}, row {n}: has no {' and no '.join(lacking)}")
            continue
        key = "/".join(map(str, parts))
        if key in seen:
            faults.append(f"{section}, row {n}: {key} stands there already")
            continue
        seen.add(key)
        yield section, key, row


def _check_references(rows: list[_Row], faults: list[str]) -> None:
    """Owners must exist, and a queue has one group: what is counted or closed off hangs on both."""
    codes = {key for section, key, _ in rows if section == "authority"}
    queues: dict[str, str] = {}
    for section, key, row in rows:
        if section == "answer_group":
            faults.extend(
                f"answer_group {key}: no authority {code}"
                for code in texts_of(row.get("partition"))
                if code not in codes
            )
            queue = str(row.get("queue", key))
            if queue in queues:
                faults.append(f"answer_group {key}: queue {queue} is {queues[queue]}'s already")
            queues[queue] = key
        elif section == "case_type" and row.get("authority") not in codes | {ANY_AUTHORITY}:
            faults.append(f"case_type {key}: no authority {row.get('authority')}")


def _plain(value: object) -> object:
    """A TOML value as JSON knows it; dates and times become ISO 8601."""
    if isinstance(value, datetime | date | time):
        return value.isoformat()
    if isinstance(value, dict):
        return {name: _plain(item) for name, item in value.items()}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return value


def _draft(  # noqa: PLR0913 -- an entry has these parts
    section: str, key: str, row: dict[str, object], now: datetime, actor: str, standing: Directory
) -> Draft:
    content = json.dumps(row, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    name = f"{section}/{key}@{hashlib.sha256(content.encode()).hexdigest()[:32]}"
    revision = standing.recorded(section, key)
    if revision:
        name = f"{name}/{revision}"
    event = EntrySet(section, key, row)
    return Draft(
        id=import_id(_IMPORT, name),
        asking=name,
        actor=actor,
        origin=f"import:{_IMPORT}",
        events=(Happened(catalogue_stream(section, key), event, now),),
    )
