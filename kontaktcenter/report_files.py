"""A report as files: one page of HTML to read and print, and CSV to count on with.

The same report gives the same bytes. What stands in it is escaped, for HTML and for spreadsheets.
"""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass
from importlib.resources import files
from typing import Final

from jinja2 import Environment

_BOM: Final = "\N{ZERO WIDTH NO-BREAK SPACE}"  # by which a spreadsheet knows UTF-8
_FORMULA_SIGNS: Final = ("=", "+", "-", "@", "\t", "\r")


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a part; `bars`: drawn beside its numbers."""

    name: str
    number: bool = True
    bars: bool = False


@dataclass(frozen=True, slots=True)
class Cell:
    """What stands in a table: `text` for people, `plain` for programs. `bar` is in pixels."""

    text: str
    plain: str
    number: bool = True
    words: bool = False
    formula: bool = False
    bars: bool = False
    bar: int | None = None
    label: str = ""


@dataclass(frozen=True, slots=True)
class Row:
    """A row; its first cell names it. `key` is the code that it is about, for programs."""

    key: str
    cells: tuple[Cell, ...]
    sum: bool = False


@dataclass(frozen=True, slots=True)
class Part:
    """A numbered part of the report: a table and notes. `key` names it for programs."""

    key: str
    heading: str
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Report:
    """The whole of it, in words."""

    number: str
    title: str
    authority: str
    intro: str
    facts: tuple[tuple[str, str], ...]
    warnings: tuple[str, ...]
    parts: tuple[Part, ...]
    no_rows: str = ""


def as_html(report: Report) -> str:
    """The report as one page that needs nothing beside it: no script, no picture to fetch."""
    source = files("kontaktcenter").joinpath("templates/report.html").read_text(encoding="utf-8")
    environment = Environment(autoescape=True, trim_blocks=False, keep_trailing_newline=True)
    return environment.from_string(source).render(r=report)


def as_csv(report: Report) -> str:
    """The report as a Swedish spreadsheet reads it: `;` between, `,` in decimals, UTF-8 with BOM.

    A row for each number: part, code, name, column, number. Empty where there is no value. A text
    that a spreadsheet would take for a formula begins with an apostrophe.
    """
    out = io.StringIO()
    write = csv.writer(out, delimiter=";", lineterminator="\r\n").writerow
    write(["rapport", "del", "kod", "namn", "mått", "värde"])
    for part in report.parts:
        for row in part.rows:
            name = row.cells[0].plain
            for column, cell in zip(part.columns[1:], row.cells[1:], strict=True):
                if not cell.formula:
                    write(
                        [_safe(text) for text in (report.number, part.key, row.key, name)]
                        + [_safe(column.name), cell.plain if cell.number else _safe(cell.plain)]
                    )
    return _BOM + out.getvalue()


def _safe(text: str) -> str:
    return f"'{text}" if text.startswith(_FORMULA_SIGNS) else text
