"""The taxonomy: the catalogue read from a TOML file, and the front door to its rooms.

`Directory` is the whole catalogue as it stands (`core.directory`), folded from the events of its
entries (`core.entries`), whose rows `core.entry_views` reads. What a file may say stands in
`core.sections` and `core.section_rules`: a file with a fault is refused whole, each with its line.
"""

from __future__ import annotations

import codecs
import hashlib
import json
import re
import tomllib
from dataclasses import dataclass
from datetime import date, datetime, time
from typing import TYPE_CHECKING, Final

from core.commit import Draft, Happened, import_id
from core.directory import Directory
from core.entries import ANY_AUTHORITY, EntryRemoved, EntrySet, Row
from core.entry_views import AnswerGroup, Article, Authority, Calendar, CaseType, Step
from core.errors import Invalid
from core.section_rules import faults_of
from core.sections import SECTIONS, TABLES, faults_of_entry
from core.shapes import meant, shown
from core.toml_lines import Lines
from core.vocabulary import catalogue_stream

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

__all__ = [
    "ANY_AUTHORITY", "AnswerGroup", "Article", "Authority", "Calendar", "CaseType", "Directory",
    "Entry", "EntryRemoved", "EntrySet", "Fault", "Step", "decoded", "entry_name", "plain",
    "read_entries",
    "read_taxonomy",
]  # fmt: skip

BYTES_MAX: Final = 4 * 1024 * 1024  # a city's catalogue is a twentieth of it
FAULTS_TOLD_MAX: Final = 1_000  # more is not a catalogue with faults but another file
_SCHEMA: Final = 1  # of taxonomy files that this program reads
_IMPORT: Final = "taxonomy"


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry of a file: its row, JSON-ready, and the line where it begins."""

    section: str
    key: str
    row: Row
    line: int | None = None


# Python's reader needs the square of a dotted key's parts: 100,000 of them would take minutes.
_DEEP_KEY: Final = re.compile(r"""(?:(?:[A-Za-z0-9_-]+|"[^"]*"|'[^']*')[ \t]*\.[ \t]*){32}""")


@dataclass(frozen=True, slots=True)
class Fault:
    """Something wrong with a file: where, and what."""

    line: int | None
    why: str

    def __str__(self) -> str:
        return self.why if self.line is None else f"line {self.line}: {self.why}"


def decoded(data: bytes) -> str:
    """The text of a taxonomy file. Raises: Invalid, with every line that is no UTF-8."""
    if len(data) > BYTES_MAX:
        raise _refused([Fault(None, f"{len(data)} bytes; at most {BYTES_MAX} are read")])
    for mark, name in ((codecs.BOM_UTF8, "UTF-8"), (codecs.BOM_UTF16_LE, "UTF-16"),
                       (codecs.BOM_UTF16_BE, "UTF-16")):  # fmt: skip
        if data.startswith(mark):
            said = f"begins with a byte-order mark of {name}; save it as UTF-8 without one"
            raise _refused([Fault(1, said)])
    faults = []
    for n, line in enumerate(data.split(b"\n"), start=1):
        try:
            line.decode()
        except UnicodeDecodeError as e:
            byte = f"byte {e.start + 1}, 0x{line[e.start]:02x}"
            faults.append(Fault(n, f"is not UTF-8 ({byte}); save the file as UTF-8"))
        if b"\0" in line:
            faults.append(Fault(n, "holds a NUL byte; this is not a text file, or not UTF-8"))
    if faults:
        raise _refused(faults)
    return data.decode()


def read_entries(
    text: str, standing: Directory | None = None, *, replacing: bool = False
) -> list[Entry]:
    """The entries of a taxonomy file, in its order.

    What it does not define may stand in the catalogue already (`standing`); where it is `replacing`
    the sections that it has, nothing of these.
    Raises: Invalid, listing every fault with its line.
    """
    deep = [n for n, line in enumerate(text.split("\n"), start=1) if _DEEP_KEY.search(line)]
    if deep:
        raise _refused([Fault(n, "a key of too many parts; no section is so deep") for n in deep])
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as e:
        raise Invalid(f"the taxonomy is not TOML: {e}", faults=(str(e),)) from e
    except RecursionError as e:
        said = "nests deeper than any catalogue"
        raise Invalid(f"the taxonomy is not TOML: {said}", faults=(said,)) from e
    reading = _Reading(text)
    found = list(reading.entries(document))
    reading.together(found, standing or Directory(), replacing=replacing)
    if reading.faults:
        raise _refused(reading.faults)
    return found


def _refused(faults: list[Fault]) -> Invalid:
    faults = sorted(faults, key=lambda fault: fault.line or 0)
    told = [str(fault) for fault in faults[:FAULTS_TOLD_MAX]]
    if len(faults) > FAULTS_TOLD_MAX:
        told.append(f"and {len(faults) - FAULTS_TOLD_MAX} more")
    many = "a fault" if len(faults) == 1 else f"{len(faults)} faults"
    listed = "\n".join(f"- {fault}" for fault in told)
    return Invalid(f"the taxonomy has {many}:\n{listed}", faults=tuple(told))


class _Reading:
    """One reading of a file: what is wrong with it gathers in `faults`."""

    def __init__(self, text: str) -> None:
        self.faults: list[Fault] = []
        self._lines = Lines(text)
        self._places: dict[tuple[str, str], tuple[str | int, ...]] = {}

    def _fault(self, why: str, *path: str | int) -> None:
        self.faults.append(Fault(self._lines.of(*path), why))

    def entries(self, document: Mapping[str, object]) -> Iterator[Entry]:
        """Every entry that has a key."""
        for section, content in document.items():
            if section in TABLES:
                yield from self._table(section, content)
            elif section not in SECTIONS:
                close = meant(section, frozenset({*SECTIONS, *TABLES}))
                self._fault(f"{section}: no such section{close}", section)
            elif not isinstance(content, list):
                kind = type(content).__name__
                self._fault(f"{section}: is an array of tables, not {kind}", section)
            else:
                for n, item in enumerate(content):
                    yield from self._row(section, n, item)

    def _table(self, section: str, content: object) -> Iterator[Entry]:
        if not isinstance(content, dict):
            self._fault(f"{section}: is a table, not {type(content).__name__}", section)
            return
        for key, value in content.items():
            made = plain(value)
            row = made if isinstance(made, dict) else {"value": made}
            self._places[section, key] = (section, key)
            for place, why in faults_of_entry(section, key, row):
                self._fault(f"{section} {key}: {why}", section, key, *place[1:])
            if (section, key) == ("meta", "schema") and value != _SCHEMA:
                why = f"is {shown(value)}; this program reads {_SCHEMA}"
                self._fault(f"meta schema: {why}", section, key)
            yield Entry(section, key, row, self._lines.of(section, key))

    def _row(self, section: str, n: int, item: object) -> Iterator[Entry]:
        if not isinstance(item, dict):
            self._fault(f"{section}, row {n + 1}: is not a table", section, n)
            return
        row = {name: plain(value) for name, value in item.items()}
        key = entry_name(section, row)
        told = key or f"row {n + 1}"
        for place, why in faults_of_entry(section, key or "", row):
            self._fault(f"{section} {told}: {why}", section, n, *place)
        if key is None:
            return
        if (section, key) in self._places:
            before = self._lines.of(*self._places[section, key])
            self._fault(f"{section} {key}: stands there already, on line {before}", section, n)
            return
        self._places[section, key] = (section, n)
        yield Entry(section, key, row, self._lines.of(section, n))

    def together(self, entries: list[Entry], standing: Directory, *, replacing: bool) -> None:
        """What the rows must be to each other, and to what stands already."""
        gone = {entry.section for entry in entries} if replacing else set()
        rows: dict[str, dict[str, Mapping[str, object]]] = {
            section: dict(found)
            for section, found in standing.entries.items()
            if section not in gone
        }
        for entry in entries:
            rows.setdefault(entry.section, {})[entry.key] = entry.row
        before = set(faults_of(standing.entries))
        for fault in faults_of(rows):
            place = self._places.get((fault.section, fault.key))
            if place is not None:
                self._fault(str(fault), *place, *fault.place)
            elif fault not in before:  # what the file breaks elsewhere has no line in it
                self.faults.append(Fault(None, str(fault)))


def entry_name(section: str, row: Mapping[str, object]) -> str | None:
    """The key of a row in its section; None where the row lacks a part of it."""
    parts = [row.get(name) for name in SECTIONS[section].key]
    if all(isinstance(part, str) and part.strip() for part in parts):
        return "/".join(map(str, parts))
    return None


def read_taxonomy(
    toml_text: str, now: datetime, *, actor: str = "import", directory: Directory | None = None
) -> list[Draft]:
    """The drafts that bring the catalogue to what a taxonomy file says: one for each difference.

    Facts, as a first import records them. An entry's id comes from its section, key and content, so
    a second import changes nothing; `directory`, the catalogue as it stands, lets an entry go back
    to a content that it once had. Raises: Invalid, listing every fault with its line.
    """
    standing = directory or Directory()
    return [
        _draft(entry, now, actor, standing)
        for entry in read_entries(toml_text, standing)
        if standing.entry(entry.section, entry.key) != entry.row
    ]


def plain(value: object) -> object:
    """A TOML value as JSON knows it; dates and times become ISO 8601."""
    if isinstance(value, time):
        whole = not (value.second or value.microsecond)
        return value.isoformat("minutes") if whole else value.isoformat()
    if isinstance(value, datetime | date):
        return value.isoformat()
    if isinstance(value, dict):
        return {name: plain(item) for name, item in value.items()}
    if isinstance(value, list):
        return [plain(item) for item in value]
    return value


def content_name(entry: Entry, standing: Directory) -> str:
    """What identifies the asking for an entry: its content, and how often it was changed before."""
    text = json.dumps(entry.row, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    digest = hashlib.sha256(text.encode()).hexdigest()[:32]
    name = f"{entry.section}/{entry.key}@{digest}"
    revision = standing.recorded(entry.section, entry.key)
    return f"{name}/{revision}" if revision else name


def _draft(entry: Entry, now: datetime, actor: str, standing: Directory) -> Draft:
    name = content_name(entry, standing)
    event = EntrySet(entry.section, entry.key, entry.row)
    return Draft(
        id=import_id(_IMPORT, name),
        asking=name,
        actor=actor,
        origin=f"import:{_IMPORT}",
        events=(Happened(catalogue_stream(entry.section, entry.key), event, now),),
    )
