"""`kontaktcenter case`: look at cases with an account's rights; each look is recorded first."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from kontaktcenter import cli_privacy
from kontaktcenter.cli_common import (
    As,
    Data,
    File,
    Json,
    answer,
    asked,
    configured,
    group,
    hint,
    say,
    table,
)
from kontaktcenter.words import _, plural

if TYPE_CHECKING:
    from collections.abc import Mapping

app = group(_("Look at cases, with the rights of an account; every look is recorded."))
Why = Annotated[
    str | None,
    typer.Option(
        "--purpose", metavar="WORD", help=_("Why, as the read log has it; else the role's own.")
    ),
]
_STDIN: Final = "-"
_WIDE: Final = 16  # columns for the names of what is shown of a case


@app.command(help=_("Show one case: how it stands, its chain, and what happened."))
def show(  # noqa: PLR0913 -- its flags
    case: Annotated[
        str, typer.Argument(metavar="CASE", help=_("Its number, registry number, or as TK/id."))
    ],
    by: As,
    purpose: Why = None,
    data: Data = None,
    config: File = None,
    as_json: Json = False,
) -> int:
    """Show a case."""
    args = {"case": case, "as": by, "purpose": purpose}
    return answer(asked(configured(data, config), "case.show", args), as_json, _shown)


def _shown(case: Mapping[str, Any]) -> None:
    say(_clean(f"{case['number']}  {case['title'] or ''}".rstrip()))
    for name, value in (
        (_("authority"), case["authority"]),
        (_("type"), case["case_type"]),
        (_("status"), case["outcome"] or case["status"]),
        (_("level"), case["level"]),
        (_("officer"), case["officer"]),
        (_("due"), _clock(case["due_at"])),
        (_("registry"), case["registry_number"] or case["registry"]),
    ):
        say(f"  {name:{_WIDE}} {value if value is not None else '–'}")
    if case["protected"]:
        say(f"  {_('protected identity')}")
    if case["text"]:
        say("")
        say(_clean(case["text"]))
    if case["chain"]:
        say("")
        head = [_("step"), _("done"), _("level"), _("group"), _("what")]
        rows = [
            [str(s["step"] + 1), "✓" if s["done"] else "", s["level"], s["group"] or "–", s["name"]]
            for s in case["chain"]
        ]
        table(head, rows, numbers_from=len(head))
    say("")
    rows = [
        [_clock(e["occurred_at"]), e["type"].removeprefix("case."), e["by"], _text(e)]
        for e in case["events"]
    ]
    table([_("when"), _("what"), _("who"), _("text")], rows, numbers_from=9)


def _text(event: Mapping[str, Any]) -> str:
    if event["erased"]:
        return _("erased")
    data = event["data"]
    words = [data.get(name) for name in ("text", "note", "reason", "outcome", "receipt", "to")]
    return _clean(" · ".join(str(word) for word in words if word))


def _clean(text: str) -> str:
    """Text of a person for a terminal: what would steer it is shown as a mark."""
    return "".join(c if c.isprintable() or c == "\n" else "\N{REPLACEMENT CHARACTER}" for c in text)


@app.command(help=_("Search cases in the account's rooms: number, words, parts of words."))
def find(  # noqa: PLR0913 -- its flags
    text: Annotated[str, typer.Argument(metavar="TEXT", help=_("What to look for."))],
    by: As,
    limit: Annotated[int, typer.Option(min=1, max=50, help=_("How many at most."))] = 20,
    purpose: Why = None,
    data: Data = None,
    config: File = None,
    as_json: Json = False,
) -> int:
    """Search cases."""
    args = {"text": text, "as": by, "limit": limit, "purpose": purpose}
    return answer(asked(configured(data, config), "case.find", args), as_json, _hits)


def _hits(found: Mapping[str, Any]) -> None:
    if not found["rows"]:
        hint(_("Nothing was found."))
        return
    _cases(found["rows"])
    if found["more"]:
        hint(_("There is more: narrow the search, or raise --limit."))


def _cases(rows: list[Mapping[str, Any]]) -> None:
    head = [_("number"), _("type"), _("state"), _("registered"), _("due"), _("title")]
    lines = [
        [
            str(row["number"]),
            str(row["type_name"] or row["case_type"] or "–"),
            str(row["outcome"] or row["state"]),
            _clock(row["registered_at"]),
            _clock(row["due_at"]),
            _clean(str(row.get("title") or "")),
        ]
        for row in rows
    ]
    table(head, lines, numbers_from=9)


@app.command(help=_("A caller's cases and calls, as far as the account's rooms go."))
def history(  # noqa: PLR0913 -- its flags
    number: Annotated[
        str, typer.Argument(metavar="NUMBER", help=_("The telephone number; - is read from stdin."))
    ],
    by: As,
    purpose: Why = None,
    data: Data = None,
    config: File = None,
    as_json: Json = False,
) -> int:
    """Show a caller's history."""
    given = sys.stdin.readline().strip() if number == _STDIN else number
    args = {"number": given, "as": by, "purpose": purpose}
    return answer(asked(configured(data, config), "case.history", args), as_json, _told)


def _told(found: Mapping[str, Any]) -> None:
    cases, calls = found["cases"], found["calls"]
    say(plural("{n} case", "{n} cases", len(cases)))
    if cases:
        _cases(cases)
    say(plural("{n} call", "{n} calls", len(calls)))
    if calls:
        rows = [[_clock(c["entered_at"]), c["group_name"], c["outcome"]] for c in calls]
        table([_("when"), _("group"), _("outcome")], rows, numbers_from=9)


def _clock(text: str | None) -> str:
    return "–" if text is None else text[:16].replace("T", " ")


app.command("disclose", help=_("Make a copy of a case to give out, with what is masked and why."))(
    cli_privacy.disclose
)
