"""`kontaktcenter looks` and `kontaktcenter person`: who looked at whom; all about one person."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path  # noqa: TC003 -- Typer reads annotations
from typing import TYPE_CHECKING, Annotated, Any

import typer

from core.errors import Refused
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
    moment,
    say,
    table,
)
from kontaktcenter.edge import Exit
from kontaktcenter.words import _, plural

if TYPE_CHECKING:
    from collections.abc import Mapping

looks = group(_("Who looked at whom, when and why: the read log."))
person = group(_("What a person has the right to know."))
_STDIN = "-"


@looks.command(help=_("Walk every chain of looks: which is missing or changed; exit code 1 if so."))
def verify(
    data: Data = None,
    config: File = None,
    file: Annotated[
        Path | None,
        typer.Option(
            "--file", metavar="FILE", help=_("An exported log, instead of the log itself.")
        ),
    ] = None,
    noted: Annotated[
        Path | None,
        typer.Option(
            "--noted", metavar="FILE", help=_("An earlier answer with --json, kept elsewhere.")
        ),
    ] = None,
    as_json: Json = False,
) -> int:
    """Verify the read log."""
    args = {
        "file": None if file is None else str(file.absolute()),
        "noted": None if noted is None else str(noted.absolute()),
    }
    return answer(asked(configured(data, config), "looks.verify", args), as_json, _verified)


def _verified(result: Mapping[str, Any]) -> None:
    rows = [[stream, str(end["n"]), end["hash"]] for stream, end in result["ends"].items()]
    if rows:
        table([_("chain"), _("looks"), _("hash of its end")], rows, len(rows[0]))
    count = plural("{n} look", "{n} looks", result["looks"])
    if result["ok"]:
        say(_("Every chain is whole: {count}.").format(count=count))
    else:
        say(plural("{n} fault found", "{n} faults found", len(result["faults"])))


@looks.command(help=_("Search the read log, the latest first; the search is recorded in it too."))
def search(  # noqa: PLR0913 -- its flags
    by: As,
    person_: Annotated[
        str | None,
        typer.Option("--person", metavar="NUMBER", help=_("A telephone number; - reads it.")),
    ] = None,
    case: Annotated[
        str | None,
        typer.Option("--case", metavar="NUMBER", help=_("A case's number, or AUTHORITY/ID.")),
    ] = None,
    who: Annotated[
        str | None, typer.Option("--who", metavar="ACCOUNT", help=_("The account that looked."))
    ] = None,
    from_: Annotated[
        str | None, typer.Option("--from", metavar="ISO", help=_("From this time."))
    ] = None,
    to: Annotated[
        str | None, typer.Option("--to", metavar="ISO", help=_("Up to, not including, this time."))
    ] = None,
    after: Annotated[
        str | None,
        typer.Option("--after", metavar="NEXT", help=_("The page after an earlier one.")),
    ] = None,
    limit: Annotated[int, typer.Option(min=1, max=200, help=_("At most so many looks."))] = 50,
    data: Data = None,
    config: File = None,
    as_json: Json = False,
) -> int:
    """Search the read log."""
    args = {
        "as": by, "person": _number(person_), "case": case, "who": who,
        "from": moment(from_, "--from"), "to": moment(to, "--to"), "after": after, "limit": limit,
    }  # fmt: skip
    return answer(asked(configured(data, config), "looks.search", args), as_json, _found)


def _found(result: Mapping[str, Any]) -> None:
    rows = [
        [look["at"], look["who"], look["deed"], look["purpose"], look["case"] or "–"]
        for look in result["looks"]
    ]
    columns = [_("time"), _("who"), _("how"), _("why"), _("case")]
    table(columns, rows, len(columns))
    if result["next"] is not None:
        hint(_("There are more: --after {next}").format(next=result["next"]))


def _number(given: str | None) -> str | None:
    """A telephone number; `-` reads it: an argument is seen by whoever lists processes."""
    return sys.stdin.readline().strip() if given == _STDIN else given


@person.command(help=_("Write all about one person to a new file, as JSON, and as a page beside."))
def export(  # noqa: PLR0913 -- its flags
    number: Annotated[
        str,
        typer.Option("--number", metavar="NUMBER", help=_("A telephone number; - reads it.")),
    ],
    by: As,
    out: Annotated[
        Path,
        typer.Option("--out", metavar="FILE", help=_("The file to make, such as person.json.")),
    ],
    mask: Annotated[
        list[str] | None,
        typer.Option("--mask", metavar="WORD", help=_("A word to mask in texts; may be repeated.")),
    ] = None,
    data: Data = None,
    config: File = None,
) -> int:
    """Export all about one person."""
    from kontaktcenter import documents, person_page  # noqa: PLC0415 -- `--help` starts without it
    from webdesk.people_shapes import json_schema  # noqa: PLC0415 -- likewise

    page = out.with_suffix(".html")
    for file in (out, page):
        if file.exists() or out == page:
            raise Refused(_("{file} is there already: choose another name").format(file=file))
    args = {"as": by, "number": _number(number), "mask": mask}
    found = asked(configured(data, config), "person.export", args)
    whole = {"json_schema": json_schema(), "person": found}
    _write(out, json.dumps(whole, ensure_ascii=False, indent=2) + "\n")
    _write(page, documents.as_html(person_page.document(found)))
    n = len(found["cases"])
    hint(plural("{n} case", "{n} cases", n))
    hint(_("Read the page through before it is handed out: only you know who else is named in it."))
    say(str(out))
    say(str(page))
    return Exit.DONE


def _write(file: Path, text: str) -> None:
    """A new file that its owner alone may read."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
    with os.fdopen(os.open(file, flags, 0o600), "w", encoding="utf-8") as made:
        made.write(text)
