"""Lathundar, the owners' routines on paper, read from a folder (R59).

A file is a lathund: `.toml` with the fields of an article, or `.md` with these fields as TOML
between two lines of `+++`, and its text below. What a file leaves out: `id` is the file's name,
`title` the first heading, `mapping` is `unmapped` where no case type is named, else `mapped`.
"""

from __future__ import annotations

import tomllib
from typing import TYPE_CHECKING, Any, Final

from core.errors import Invalid
from core.section_rules import faults_of
from core.sections import faults_of_entry
from core.taxonomy import Entry, decoded, plain
from core.toml_lines import Lines
from kontaktcenter.words import _

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from core.directory import Directory

FILES_MAX: Final = 2_000
MAPPINGS: Final = ("unmapped", "partly", "mapped")
_MARK: Final = "+++"
_SUFFIXES: Final = frozenset({".md", ".toml"})


def read_lathundar(folder: Path, standing: Directory) -> list[Entry]:
    """The articles of a folder's files, in the order of their names.

    Raises: Invalid, listing every fault with its file and line; then nothing of the folder counts.
    """
    try:
        files = sorted(f for f in folder.iterdir() if f.suffix.lower() in _SUFFIXES)
    except OSError as e:
        said = _("{folder} cannot be read: {why}")
        raise Invalid(said.format(folder=folder, why=e.strerror or e)) from e
    if not files or len(files) > FILES_MAX:
        said = _("{folder} holds {n} files of .md and .toml; 1 to {most} are read at once")
        raise Invalid(said.format(folder=folder, n=len(files), most=FILES_MAX))
    reading = _Reading()
    for file in files:
        reading.read(file)
    reading.together(standing)
    if reading.faults:
        listed = "\n".join(f"- {fault}" for fault in reading.faults)
        said = _("the lathundar have {n} faults, nothing was read:\n{listed}")
        raise Invalid(
            said.format(n=len(reading.faults), listed=listed), faults=tuple(reading.faults)
        )
    return list(reading.entries.values())


class _Reading:
    """One reading of a folder; what is wrong gathers in `faults`."""

    def __init__(self) -> None:
        self.entries: dict[str, Entry] = {}
        self.faults: list[str] = []
        self._files: dict[str, tuple[str, Lines, int]] = {}

    def read(self, file: Path) -> None:
        """Read one file."""
        try:
            head, body, first = _parts(file.suffix.lower(), decoded(file.read_bytes()))
            row = {name: plain(value) for name, value in tomllib.loads(head).items()}
        except (OSError, tomllib.TOMLDecodeError, RecursionError) as e:
            self.faults.append(f"{file.name}: {e}")
            return
        except Invalid as e:
            found = e.details.get("faults")
            told = found if isinstance(found, tuple) else (e.message,)
            self.faults += [f"{file.name}: {fault}" for fault in told]
            return
        row = _filled(row, file.stem, body)
        key, lines = str(row["id"]), Lines(head)
        if key in self.entries:
            self.faults.append(f"{file.name}: {key} is {self._files[key][0]} already")
            return
        self._files[key] = (file.name, lines, first)
        self.entries[key] = Entry("article", key, row, first)
        for place, why in faults_of_entry("article", key, row):
            self._fault(key, place, why)

    def _fault(self, key: str, place: tuple[str | int, ...], why: str) -> None:
        name, lines, first = self._files[key]
        line = (lines.of(*place) or 1) + first - 1
        self.faults.append(f"{name}, line {line}: {why}")

    def together(self, standing: Directory) -> None:
        """What the lathundar must be to what stands."""
        rows: dict[str, dict[str, Mapping[str, object]]] = {
            section: dict(found) for section, found in standing.entries.items()
        }
        rows.setdefault("article", {}).update({k: e.row for k, e in self.entries.items()})
        for fault in faults_of(rows):
            if fault.section == "article" and fault.key in self._files:
                self._fault(fault.key, fault.place, fault.why)


def _parts(suffix: str, text: str) -> tuple[str, str | None, int]:
    """The TOML of a file, its text, and the line where the TOML begins. Raises: Invalid."""
    if suffix == ".toml":
        return text, None, 1
    lines = text.splitlines(keepends=True)
    marks = [n for n, line in enumerate(lines) if line.rstrip() == _MARK][:2]
    if len(marks) < 2 or marks[0] != 0:  # noqa: PLR2004 -- one before and one after
        said = _("line 1: a lathund begins with its fields between two lines of +++")
        raise Invalid(said, faults=(said,))
    return "".join(lines[1 : marks[1]]), "".join(lines[marks[1] + 1 :]).strip(), 2


def _filled(row: dict[str, Any], stem: str, body: str | None) -> dict[str, Any]:
    """The row with what a file may leave out."""
    title = stem
    if body is not None:
        heading = next((x for x in body.splitlines() if x.startswith("#")), "")
        title = heading.lstrip("#").strip() or stem
    filled = {
        "id": stem,
        "kind": "lathund",
        "title": title,
        "read_out_level1": False,
        "guarded": False,
        "mapping": "mapped" if row.get("case_types") else "unmapped",
        **({"body": body} if body else {}),
        **row,
    }
    if not isinstance(filled["id"], str):
        filled["id"] = stem
    return filled


def mapping_status(directory: Directory) -> list[dict[str, Any]]:
    """For each authority that owns case types or lathundar: how far its routines are mapped.

    `case_types` is how many it has, `without` those that no lathund of its own tells about.
    """
    found = []
    for code, row in sorted(directory.rows("authority").items()):
        own = [
            article
            for key in directory.rows("article")
            if (article := directory.article(key)) is not None
            and article.owner == code
            and article.kind == "lathund"
        ]
        types = sorted(
            key for key, t in directory.rows("case_type").items() if t.get("authority") == code
        )
        told = {name for article in own for name in article.case_types}
        if own or types:
            counts = {name: sum(a.mapping == name for a in own) for name in MAPPINGS}
            found.append(
                {
                    "authority": code,
                    "name": str(row.get("name", code)),
                    "lathundar": len(own),
                    **counts,
                    "unsaid": sum(a.mapping is None for a in own),
                    "case_types": len(types),
                    "without": [name for name in types if name not in told],
                }
            )
    return found
