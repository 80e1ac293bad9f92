"""Entries of the catalogue and proposed changes, as people and programs are shown them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic import BaseModel

from core.changes import EntryUnknown

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from core.directory import Directory
    from core.entries import Change


class Sections(BaseModel):
    """The catalogue's sections: how many entries stand in each, as of a time."""

    as_of: str
    sections: dict[str, int]
    pending: int


class SectionRows(BaseModel):
    """The rows of one section that stand, by key."""

    section: str
    as_of: str
    rows: dict[str, dict[str, Any]]


class FieldChanged(BaseModel):
    """One field that differs, named from the outside in."""

    field: str
    before: Any
    after: Any


class ProposedChange(BaseModel):
    """A change that waits for its owner, field by field against what stands."""

    change: str
    section: str
    key: str
    owner: str
    what: str
    proposed_by: str
    proposed_at: str
    effective_from: str | None
    decision: str | None
    note: str | None
    out_of_date: bool
    fields: list[FieldChanged]


class ProposedChanges(BaseModel):
    """The changes that wait, oldest first."""

    changes: list[ProposedChange]


class EntryVersionShown(BaseModel):
    """One version of an entry; `fields` is null where it was withdrawn."""

    version: int
    effective_at: str
    recorded_at: str
    withdrawn: bool
    change: str | None
    approved_by: str | None
    decision: str | None
    fields: dict[str, Any] | None


class EntryShown(BaseModel):
    """An entry: the version that stands (0: none), all of them, and what waits."""

    section: str
    key: str
    as_of: str
    version: int
    fields: dict[str, Any] | None
    versions: list[EntryVersionShown]
    waiting: list[ProposedChange]


def versions_of(directory: Directory, section: str, key: str) -> dict[str, object]:
    """All versions of an entry, the one that stands, and what waits. Raises: EntryUnknown."""
    found = directory.versions.get(section, {}).get(key, ())
    waiting = [
        change_shown(change, directory)
        for change in directory.pending.values()
        if (change.section, change.key) == (section, key)
    ]
    if not found and not waiting:
        raise EntryUnknown
    return {
        "version": directory.version(section, key),
        "fields": directory.entry(section, key),
        "versions": [
            {
                "version": n,
                "effective_at": version.effective_at.isoformat(),
                "recorded_at": version.recorded_at.isoformat(),
                "withdrawn": version.fields is None,
                "change": version.change,
                "approved_by": version.approved_by,
                "decision": version.decision,
                "fields": version.fields,
            }
            for n, version in enumerate(found, start=1)
        ],
        "waiting": waiting,
    }


def change_shown(change: Change, directory: Directory) -> dict[str, object]:
    """A proposal as people see it: field by field against what stands."""
    before = directory.entry(change.section, change.key)
    return {
        "change": change.id,
        "section": change.section,
        "key": change.key,
        "owner": change.owner,
        "what": "withdraw" if change.fields is None else "set",
        "proposed_by": change.proposed_by,
        "proposed_at": change.proposed_at.isoformat(),
        "effective_from": change.effective_from and change.effective_from.isoformat(),
        "decision": change.decision,
        "note": change.note,
        "out_of_date": change.base != directory.recorded(change.section, change.key),
        "fields": [
            {"field": name, "before": old, "after": new}
            for name, old, new in fields_changed(before, change.fields)
        ],
    }


def fields_changed(
    before: Mapping[str, object] | None, after: Mapping[str, object] | None
) -> Iterator[tuple[str, object, object]]:
    """Each field that differs: its name (`steps, 2, level`), what it was and what it becomes."""
    old, new = dict(_flat("", before or {})), dict(_flat("", after or {}))
    for name in [*new, *(name for name in old if name not in new)]:
        if old.get(name) != new.get(name):
            yield name, old.get(name), new.get(name)


def _flat(above: str, value: object) -> Iterator[tuple[str, object]]:
    if isinstance(value, dict):
        for name, item in value.items():
            yield from _flat(f"{above}, {name}" if above else str(name), item)
    elif isinstance(value, list) and any(isinstance(item, dict) for item in value):
        for n, item in enumerate(value, start=1):
            yield from _flat(f"{above}, {n}", item)
    else:
        yield above, value
