"""Documents that leave the house, in readable Swedish: as HTML for a screen and a printer, as text.

The words stand in `data/documents.sv.toml`. Whatever a person wrote is escaped.
"""

from __future__ import annotations

import html
import math
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

_STYLE: Final = (
    "body{font-family:system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem}"
    "table{border-collapse:collapse;width:100%;margin:1rem 0}"
    "th,td{border:1px solid #767676;padding:.3rem .5rem;text-align:left;vertical-align:top;"
    "overflow-wrap:anywhere;white-space:pre-wrap}"
    "@media print{body{margin:0;max-width:none}}"
)
_MARKDOWN: Final = str.maketrans({c: f"\\{c}" for c in "\\`*_{}[]<>()#+-!|"})


@dataclass(frozen=True)
class Table:
    """A heading, columns and rows."""

    heading: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]


@dataclass(frozen=True)
class Document:
    """A title, what it is about, facts by their names, tables, and a last word."""

    title: str
    intro: str
    facts: Sequence[tuple[str, str]]
    tables: Sequence[Table] = ()
    footer: str = ""


@cache
def words(part: str) -> Mapping[str, str]:
    """The Swedish words of a part of `documents.sv.toml`."""
    text = files("kontaktcenter").joinpath("data/documents.sv.toml").read_text(encoding="utf-8")
    found: Mapping[str, str] = tomllib.loads(text)[part]
    return found


def as_html(document: Document) -> str:
    """One page that needs nothing beside it: no script, no picture, no address to fetch."""
    told = html.escape
    parts = [
        '<!doctype html><html lang="sv"><head><meta charset="utf-8">',
        f"<title>{told(document.title)}</title><style>{_STYLE}</style></head><body><main>",
        f"<h1>{told(document.title)}</h1><p>{told(document.intro)}</p><table><tbody>",
        *(
            f'<tr><th scope="row">{told(name)}</th><td>{told(value)}</td></tr>'
            for name, value in document.facts
        ),
        "</tbody></table>",
    ]
    for table in document.tables:
        head = "".join(f'<th scope="col">{told(name)}</th>' for name in table.columns)
        rows = (
            "<tr>" + "".join(f"<td>{told(cell)}</td>" for cell in row) + "</tr>"
            for row in table.rows
        )
        parts.append(
            f"<h2>{told(table.heading)}</h2><table><thead><tr>{head}</tr></thead><tbody>"
            f"{''.join(rows)}</tbody></table>"
        )
    parts.append(f"<p>{told(document.footer)}</p></main></body></html>\n")
    return "\n".join(parts)


def as_markdown(document: Document) -> str:
    """The same as Markdown, with what could be markup escaped."""
    lines = [f"# {_plain(document.title)}", "", _plain(document.intro), "", "| | |", "|---|---|"]
    lines += [f"| {_plain(name)} | {_plain(value)} |" for name, value in document.facts]
    for table in document.tables:
        lines += ["", f"## {_plain(table.heading)}", "", _line(table.columns)]
        lines.append("|" + "---|" * len(table.columns))
        lines += [_line(row) for row in table.rows]
    if document.footer:
        lines += ["", _plain(document.footer)]
    return "\n".join(lines) + "\n"


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(map(_plain, cells)) + " |"


def _plain(text: str) -> str:
    return " ".join(text.split()).translate(_MARKDOWN)


def protocol(found: Mapping[str, Any]) -> Document:
    """The protocol of an erasure."""
    said = words("protocol")
    shown = {
        **found,
        "carried_out_at": found["carried_out_at"] or said["not_carried_out"],
        "position": f"{found['shard']}: {found['position']}",
        "complete": _complete(found, said),
    }
    names = (
        "number", "authority", "rule", "reference", "purpose", "registrar", "decided_at",
        "carried_out_at", "complete", "cases", "callers", "keys", "attachments", "position",
        "again",
    )  # fmt: skip
    facts = [(said[name], str(shown[name])) for name in names if shown[name] is not None]
    subjects = Table(said["subjects"], [said["subject"]], [[s] for s in found["subjects"]])
    tables = [subjects]
    if found.get("nodes"):
        rows = [
            [row["name"] or row["node"], row["carried_out_at"] or said["not_carried_out"]]
            for row in found["nodes"]
        ]
        tables.append(Table(said["nodes"], [said["node"], said["node_done"]], rows))
    title = said["title"].format(number=found["number"])
    return Document(title, said["intro"], facts, tables, said["footer"])


def _complete(found: Mapping[str, Any], said: Mapping[str, str]) -> str:
    hours = math.ceil((found.get("compaction_s") or 0) / 3600)
    waits = [
        said[f"waits_{each}"].format(copies=found.get("copies"), hours=hours or "?")
        for each in found.get("waiting_for", ())
    ]
    return "; ".join(waits) or said["is_complete"]


def disclosure(copy: Mapping[str, Any]) -> Document:
    """A copy of a case that is given out."""
    said = words("disclosure")
    names = ("case", "authority", "made_at", "registrar", "purpose", "recipient")
    facts = [(said[name], str(copy[name])) for name in names if copy[name] is not None]
    rows = [
        [str(row["n"]), row["occurred_at"], words("events").get(row["type"], row["type"]),
         row["actor"], _fields(row["fields"])]
        for row in copy["rows"]
    ]  # fmt: skip
    shown = Table(said["rows"], ["#", said["at"], said["what"], said["who"], said["content"]], rows)
    masks = words("masks")
    hidden = [[m["part"], masks.get(m["mask"], m["mask"]), m["reason"]] for m in copy["masked"]]
    tables = [shown]
    if hidden:
        tables.append(Table(said["masked"], [said["part"], said["masked"], said["why"]], hidden))
    return Document(
        said["title"].format(number=copy["number"]),
        said["intro"].format(case=copy["case"]),
        facts,
        tables,
        "" if hidden else said["nothing_masked"],
    )


def _fields(shown: Mapping[str, Any]) -> str:
    names = words("fields")
    return "\n".join(f"{names.get(n, n)}: {_value(value)}" for n, value in shown.items())


def _value(value: object) -> str:
    said = words("disclosure")
    if isinstance(value, dict):
        if "masked" in value:
            return said["is_masked"].format(reason=value["reason"])
        return said["is_erased"] if value.get("erased") else str(value)
    if isinstance(value, bool):
        return said["true"] if value else said["false"]
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)
