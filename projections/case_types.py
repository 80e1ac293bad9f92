"""Case types in a read model: each version's name and chain, and the words to find it by.

Cases and the catalogue come from different shards, so a row is told of a type's version by its
number and joined here when it is asked for.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

from core.entries import EntryRemoved, EntrySet
from core.entry_views import case_type_of
from core.eventlog.codec import decode_event
from projections.times import micros
from projections.upserts import Upsert

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlite_utils import Database

    from projections.base import Fed

CATALOGUE_TOPICS: Final = frozenset({EntrySet.TOPIC, EntryRemoved.TOPIC})
LATEST: Final = 0  # the version of a case that does not say which: the last one

_TYPES: Final = Upsert(
    "types",
    ("code", "version", "name", "english", "authority", "area", "priority", "withdrawn"),
    ("code", "version"),
)
_STEPS: Final = Upsert(
    "steps",
    ("code", "version", "n", "name", "level", "answer_group", "action"),
    ("code", "version", "n"),
)
_SQL_ENTRY: Final = "INSERT OR REPLACE INTO type_entries VALUES (?, ?, ?, ?)"
_SQL_ENTRIES: Final = "SELECT fields FROM type_entries WHERE code = ? ORDER BY effective_us, seq"


def make_type_tables(db: Database) -> None:
    """Make `type_entries`, `types` and `steps`."""
    db.table("type_entries").create(
        {"code": str, "effective_us": int, "seq": int, "fields": str}, pk=("code", "seq")
    )
    db.table("types").create(
        {
            "code": str,
            "version": int,
            "name": str,
            "english": str,
            "authority": str,
            "area": str,
            "priority": int,
            "withdrawn": int,
        },
        pk=("code", "version"),
    )
    db.table("steps").create(
        {
            "code": str,
            "version": int,
            "n": int,
            "name": str,
            "level": str,
            "answer_group": str,
            "action": str,
        },
        pk=("code", "version", "n"),
    )


def write_types(db: Database, events: Sequence[Fed]) -> None:
    """Take over what the catalogue's events say of case types.

    Versions are numbered in the order in which they come into force, as `core.directory` does.
    """
    touched: dict[str, None] = {}
    for fed in events:
        event = decode_event(fed.event.type, fed.event.schema, fed.event.data)
        if not isinstance(event, EntrySet | EntryRemoved) or event.section != "case_type":
            continue
        recorded = fed.commit.recorded_at
        effective = max(event.effective_from or recorded, recorded)
        fields = json.dumps(event.fields) if isinstance(event, EntrySet) else None
        db.execute(_SQL_ENTRY, [event.key, micros(effective), fed.seq, fields])
        touched[event.key] = None
    for code in touched:
        _number(db, code)


def _number(db: Database, code: str) -> None:
    versions = [fields for (fields,) in db.execute(_SQL_ENTRIES, [code]).fetchall()]
    types: list[tuple[object, ...]] = []
    steps: list[tuple[object, ...]] = []
    known: dict[str, object] = {}
    numbered = list(enumerate(versions, start=1))
    for version, fields in [*numbered, (LATEST, versions[-1])]:
        if fields is not None:
            known = json.loads(fields)
        found = case_type_of(code, known, version)  # a withdrawn type keeps the name it had
        types.append(
            (code, version, found.name, found.english, found.authority, found.area,
             found.priority, fields is None)
        )  # fmt: skip
        steps += [
            (code, version, n, step.name, step.level, step.group, step.action)
            for n, step in enumerate(found.steps)
        ]
    db.execute("DELETE FROM steps WHERE code = ?", [code])
    _TYPES.write(db, types)
    _STEPS.write(db, steps)
