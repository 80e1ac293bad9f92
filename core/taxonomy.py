"""The catalogue's entries: authorities, answer groups, case types and the rest of the taxonomy.

One stream for each entry, `catalogue/<section>/<key>`, so that a change is an event and nothing is
rewritten. `Directory` is the whole catalogue as it stands, folded from those events.
"""

from __future__ import annotations

import hashlib
import json
import tomllib
from dataclasses import dataclass, field
from datetime import date, datetime, time
from functools import cached_property
from typing import TYPE_CHECKING, ClassVar, Final

from core.commit import Draft, Event, Happened, import_id
from core.errors import Invalid
from core.vocabulary import WrapUpOutcome, catalogue_stream

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

ANY_AUTHORITY: Final = "*"
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


@dataclass(frozen=True)
class EntrySet(Event):
    """An entry of the catalogue was set. `fields` is its row, JSON-ready."""

    TOPIC: ClassVar[str] = "catalogue.entry_set"
    section: str
    key: str
    fields: dict[str, object] = field(default_factory=dict)


@dataclass(frozen=True)
class EntryRemoved(Event):
    """An entry of the catalogue was withdrawn; what was recorded under it stays."""

    TOPIC: ClassVar[str] = "catalogue.entry_removed"
    section: str
    key: str


@dataclass(frozen=True)
class AnswerGroup:
    """An answer group (*svarsgrupp*).

    `partition` is the codes of the authorities whose matters it answers.
    """

    id: str
    queue: str
    name: str
    centre: str
    partition: tuple[str, ...]
    excluded: bool = False
    known: bool = True


@dataclass(frozen=True)
class Authority:
    """A board or company that owns matters (*nämnd, bolag*).

    `excluded`: recognise, connect, keep nothing (R11).
    """

    code: str
    name: str
    excluded: bool = False


@dataclass(frozen=True)
class CaseType:
    """A case type. `authority` is its owner's code, or `ANY_AUTHORITY`."""

    code: str
    name: str
    authority: str
    complaint: bool = False
    excluded: bool = False


@dataclass(frozen=True)
class Directory:
    """The catalogue as it stands: `entries[section][key]` is a row.

    Groups by the exchange's queue name.

    `revisions[section][key]` counts how often the entry was set or withdrawn.
    """

    entries: dict[str, dict[str, dict[str, object]]] = field(default_factory=dict)
    revisions: dict[str, dict[str, int]] = field(default_factory=dict)

    @classmethod
    def of(cls, events: Iterable[Event], start: Directory | None = None) -> Directory:
        """The catalogue after `events`, in their order, on top of `start`.

        Other events change nothing.
        """
        before = start or cls()
        entries = {section: dict(rows) for section, rows in before.entries.items()}
        revisions = {section: dict(counts) for section, counts in before.revisions.items()}
        for event in events:
            if isinstance(event, EntrySet):
                entries.setdefault(event.section, {})[event.key] = event.fields
            elif isinstance(event, EntryRemoved):
                entries.setdefault(event.section, {}).pop(event.key, None)
            else:
                continue
            counts = revisions.setdefault(event.section, {})
            counts[event.key] = counts.get(event.key, 0) + 1
        return cls(entries, revisions)

    def rows(self, section: str) -> Mapping[str, Mapping[str, object]]:
        """The rows of a section by key; empty where there are none."""
        return self.entries.get(section, {})

    @cached_property
    def _excluded(self) -> frozenset[str]:
        rows = self.rows("authority").items()
        return frozenset(code for code, row in rows if row.get("excluded") is True)

    @cached_property
    def groups(self) -> Mapping[str, AnswerGroup]:
        """The answer groups of the catalogue by id."""
        found = {}
        for key, row in self.rows("answer_group").items():
            partition = _texts(row.get("partition"))
            found[key] = AnswerGroup(
                id=key,
                queue=str(row.get("queue", key)),
                name=str(row.get("name", key)),
                centre=str(row.get("centre", "")),
                partition=partition,
                excluded=row.get("excluded") is True or not self._excluded.isdisjoint(partition),
            )
        return found

    @cached_property
    def _by_queue(self) -> Mapping[str, AnswerGroup]:
        return {group.queue: group for group in self.groups.values()}

    def group_of_queue(self, queue: str) -> AnswerGroup:
        """The answer group of a queue.

        An unknown queue gets a group of its own name, `known=False`.
        """
        known = self._by_queue.get(queue)
        return known or AnswerGroup(queue, queue, queue, "", (), known=False)

    def group(self, group: str) -> AnswerGroup | None:
        """The answer group with that id."""
        return self.groups.get(group)

    def groups_of_choice(self, dialled: str | None, ivr_choice: str | None) -> list[AnswerGroup]:
        """The groups that a dialled number and a key may lead to (R22, R26).

        Empty where nobody knows.

        Before the key is known these are all the groups of the menu.
        """
        wanted = _digits(dialled or "")
        found: list[AnswerGroup | None] = []
        for row in self.rows("dialled_number").values():
            if not wanted or _digits(str(row.get("number", ""))) != wanted:
                continue
            target = str(row.get("target", ""))
            menu = self.rows("ivr").get(target)
            names = [target] if menu is None else _choices(menu, ivr_choice)
            found += [self.group(name) for name in names]
        return [group for group in found if group is not None]

    def is_excluded(self, group: str) -> bool:
        """Whether nothing about callers may be kept for this group.

        An authority of its partition is excluded.

        `group` is a group's id or a queue's name, because a source may know only the latter.
        """
        found = self.groups.get(group) or self._by_queue.get(group)
        return found is not None and found.excluded

    def authority(self, code: str) -> Authority | None:
        """The authority with that code."""
        row = self.rows("authority").get(code)
        if row is None:
            return None
        return Authority(code, str(row.get("name", code)), row.get("excluded") is True)

    def case_type(self, code: str) -> CaseType | None:
        """The case type with that code."""
        row = self.rows("case_type").get(code)
        if row is None:
            return None
        return CaseType(
            code=code,
            name=str(row.get("name", code)),
            authority=str(row.get("authority", "")),
            complaint=row.get("complaint") is True,
            excluded=row.get("excluded") is True,
        )

    @cached_property
    def levels(self) -> frozenset[str]:
        """The levels of answering (R8); empty where the catalogue has none."""
        return frozenset(_texts(self.rows("enums").get("level", {}).get("value")))

    @cached_property
    def outcomes(self) -> frozenset[str]:
        """What a contact may be wrapped up with: the vocabulary's own words and the city's."""
        return frozenset(WrapUpOutcome) | frozenset(self.rows("wrap_up"))


def _texts(value: object) -> tuple[str, ...]:
    return tuple(str(item) for item in value) if isinstance(value, list | tuple) else ()


def _choices(menu: Mapping[str, object], key: str | None) -> list[str]:
    """The groups that a menu leads to by `key`; all of them where it is not known."""
    options = menu.get("options")
    rows = [o for o in options if isinstance(o, dict)] if isinstance(options, list) else []
    chosen = [str(o.get("group", "")) for o in rows if key is None or o.get("key") == key]
    return chosen if chosen and key is not None else [*chosen, str(menu.get("default", ""))]


def _digits(number: str) -> str:
    return "".join(filter(str.isdigit, number))


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
                for code in _texts(row.get("partition"))
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
    revision = standing.revisions.get(section, {}).get(key, 0)
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
