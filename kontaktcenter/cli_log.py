"""`kontaktcenter log`: ask the log itself."""

from __future__ import annotations

import json
from pathlib import Path  # noqa: TC003 -- Typer reads annotations
from typing import TYPE_CHECKING, Annotated, Any

import typer

from core.errors import Invalid
from kontaktcenter.cli_common import (
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
from kontaktcenter.edge import Exit
from kontaktcenter.words import _, plural

if TYPE_CHECKING:
    from collections.abc import Mapping

app = group(_("Ask the log itself."))
Shard = Annotated[
    str | None, typer.Option("--shard", metavar="NAME", help=_("Only this shard, such as calls/0."))
]


def _nothing(_result: Mapping[str, Any]) -> None:
    """What there was to tell has been told line by line."""


@app.command(
    help=_("Show commits as JSON lines, as the log holds them: personal data stay sealed.")
)
def show(
    data: Data = None,
    config: File = None,
    shard: Shard = None,
    after: Annotated[int, typer.Option(min=0, help=_("Only later positions."))] = 0,
    limit: Annotated[int, typer.Option(min=1, help=_("At most so many commits."))] = 100,
) -> int:
    """Print commits in the order of each shard."""
    args = {"shard": shard, "after": after, "limit": limit}
    return answer(asked(configured(data, config), "log.show", args), False, _nothing)


@app.command(help=_("Show the last commits and then each new one, until Ctrl-C."))
def tail(
    data: Data = None,
    config: File = None,
    shard: Shard = None,
    lines: Annotated[
        int, typer.Option("--lines", "-n", min=0, help=_("How many to begin with."))
    ] = 10,
) -> int:
    """Follow the log."""
    args = {"shard": shard, "lines": lines}
    return answer(asked(configured(data, config), "log.tail", args), False, _nothing)


@app.command(help=_("Read the whole log again and compare it with the index."))
def verify(data: Data = None, config: File = None, as_json: Json = False) -> int:
    """Compare log and index, record by record."""
    return answer(asked(configured(data, config), "log.verify", {}), as_json, _verified)


def _verified(result: Mapping[str, Any]) -> None:
    rows = [
        [
            name,
            str(found["position"]),
            found["digest"],
            _("agrees") if found["ok"] else _("DIFFERS"),
        ]
        for name, found in result["shards"].items()
    ]
    table([_("shard"), _("position"), _("digest"), ""], rows)


@app.command(
    help=_("Position and digest of each shard: two nodes at one position have one digest.")
)
def digest(  # noqa: PLR0913 -- its flags
    data: Data = None,
    config: File = None,
    shard: Shard = None,
    at: Annotated[
        int | None,
        typer.Option("--at", min=0, help=_("As it was at this position of the --shard.")),
    ] = None,
    compare: Annotated[
        typer.FileText | None,
        typer.Option(
            "--compare",
            metavar="FILE",
            help=_("What another node answered with --json; - is stdin. Exit code 1: they differ."),
        ),
    ] = None,
    as_json: Json = False,
) -> int:
    """Print the digests at the log's end, or compare them with another node's."""
    if at is not None and shard is None:
        raise Invalid(_("--at is a position of one shard: name it with --shard"))
    args = {"shard": shard, "at": at, "compare": None if compare is None else _answered(compare)}
    return answer(asked(configured(data, config), "log.digest", args), as_json, _digests)


def _answered(file: typer.FileText) -> object:
    try:
        return json.load(file)
    except ValueError as e:
        raise Invalid(_("--compare takes what kontaktcenter log digest --json answered")) from e


def _digests(result: Mapping[str, Any]) -> None:
    if "compared" not in result:
        rows = [[name, str(at["position"]), at["digest"]] for name, at in result["shards"].items()]
        table([_("shard"), _("position"), _("digest")], rows)
        return
    rows = [
        [name, *("-" if one[side] is None else str(one[side]) for side in ("ours", "theirs")),
         _outcome(one["outcome"])]
        for name, one in sorted(result["compared"].items())
    ]  # fmt: skip
    table([_("shard"), _("here"), _("there"), ""], rows)


def _outcome(outcome: str) -> str:
    if outcome == "equal":
        return _("agrees")
    return _("DIFFERS") if outcome == "differs" else _("not compared")


@app.command(help=_("Write every commit to a file as JSON lines; personal data stay sealed."))
def export(
    to: Annotated[Path, typer.Argument(metavar="FILE", help=_("The file to make; - is stdout."))],
    data: Data = None,
    config: File = None,
    shard: Shard = None,
) -> int:
    """Export the log."""
    found = configured(data, config)
    if str(to) == "-":
        return answer(asked(found, "log.export", {"shard": shard}), False, _nothing)
    result = asked(found, "log.export", {"shard": shard, "to": str(to.absolute())})
    hint(plural("{n} commit written", "{n} commits written", result["commits"]))
    say(str(to))
    return Exit.DONE
