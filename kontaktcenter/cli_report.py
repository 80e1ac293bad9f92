"""`kontaktcenter report`: a month of one administration, as a page to print and a table."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from core.errors import Unavailable
from kontaktcenter.cli_common import (
    As,
    Data,
    File,
    Json,
    answer,
    asked,
    configured,
    hint,
    say,
    table,
)
from kontaktcenter.words import _

if TYPE_CHECKING:
    from collections.abc import Mapping


def report(  # noqa: PLR0913 -- its flags
    authority: Annotated[str, typer.Option("--authority", metavar="CODE", help=_("Whose, as TK."))],
    month: Annotated[str, typer.Option("--month", metavar="YYYY-MM", help=_("Which month."))],
    by: As,
    out: Annotated[
        Path, typer.Option("--out", metavar="DIR", help=_("Where the two files are written."))
    ] = Path(),
    public: Annotated[
        bool,
        typer.Option("--public", help=_("For others than the authority: without small numbers.")),
    ] = False,
    data: Data = None,
    config: File = None,
    as_json: Json = False,
) -> int:
    """Make the report of a month: HTML and CSV."""
    args = {"authority": authority, "month": month, "as": by, "public": public}
    found = asked(configured(data, config), "report.report", args)
    name = found["number"]
    files = {kind: out / f"{name}.{kind}" for kind in ("html", "csv")}
    try:
        out.mkdir(parents=True, exist_ok=True)
        for kind, path in files.items():
            path.write_bytes(found.pop(kind).encode())
    except OSError as e:
        said = _("{path} cannot be written ({why}): choose another folder with --out")
        raise Unavailable(said.format(path=out, why=e.strerror)) from e
    told = {**found, "files": {kind: str(path.absolute()) for kind, path in files.items()}}
    return answer(told, as_json, _made)


def _made(found: Mapping[str, Any]) -> None:
    rows = [[row["name"], row["value"]] for row in found["rows"]]
    table([_("figure"), _("value")], rows)
    say("")
    for path in found["files"].values():
        say(path)
    if not found["whole"]:
        hint(_("The month is not over in the log: the figures will change."))
