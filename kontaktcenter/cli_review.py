"""`kontaktcenter review`: what contradicts the rest of the log, and what came of looking at it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from core.reviews import ReviewOutcome  # noqa: TC001 -- Typer reads annotations
from kontaktcenter.cli_common import (
    As,
    Data,
    File,
    Json,
    answer,
    asked,
    configured,
    group,
    say,
    table,
)
from kontaktcenter.words import _, plural

if TYPE_CHECKING:
    from collections.abc import Mapping

app = group(_("What contradicts the rest of the log: a person looks at it, and closes it."))
Item = Annotated[str, typer.Argument(metavar="ID", help=_("The item, as `list` names it."))]


@app.command("list", help=_("The items that the account's rights open, the oldest first."))
def list_all(  # noqa: PLR0913 -- its flags
    by: As,
    state: Annotated[
        str, typer.Option("--state", metavar="WORD", help=_("open, closed or all."))
    ] = "open",
    limit: Annotated[int, typer.Option(min=1, max=500, help=_("How many at most."))] = 100,
    data: Data = None,
    config: File = None,
    as_json: Json = False,
) -> int:
    """List review items."""
    args = {"as": by, "state": state, "limit": limit}
    return answer(asked(configured(data, config), "review.list_all", args), as_json, _listed)


def _listed(result: Mapping[str, Any]) -> None:
    say(plural("{n} to review", "{n} to review", len(result["reviews"])))
    rows = [
        [item["id"], item["opened_at"][:16].replace("T", " "), item["about"], item["event"],
         item["outcome"] or "–", item["reason"]]
        for item in result["reviews"]
    ]  # fmt: skip
    if rows:
        head = ["id", _("since"), _("stream"), _("event"), _("outcome"), _("why")]
        table(head, rows, numbers_from=len(head))
    if result["more"]:
        say(_("There is more: close some, or raise --limit."))


@app.command(help=_("Show one item: where to look, why, and what came of it."))
def show(
    review: Item, by: As, data: Data = None, config: File = None, as_json: Json = False
) -> int:
    """Show a review item; of a case the look is recorded."""
    args = {"as": by, "review": review}
    return answer(asked(configured(data, config), "review.show", args), as_json, _shown)


def _shown(item: Mapping[str, Any]) -> None:
    for name in (
        "about", "version", "event", "reason", "shard", "position", "offset", "opened_at",
        "closed_at", "closed_by", "outcome", "note",
    ):  # fmt: skip
        if item[name] is not None:
            say(f"{name:10} {item[name]}")


@app.command(help=_("Close an item with what came of it."))
def close(  # noqa: PLR0913 -- its flags
    review: Item,
    by: As,
    outcome: Annotated[
        ReviewOutcome,
        typer.Option("--outcome", help=_("It was so; it was put right; it was a mistake.")),
    ],
    note: Annotated[
        str | None,
        typer.Option("--note", metavar="TEXT", help=_("For an item about a case: sealed with it.")),
    ] = None,
    data: Data = None,
    config: File = None,
    as_json: Json = False,
) -> int:
    """Close a review item."""
    args = {"as": by, "review": review, "outcome": outcome.value, "note": note}
    return answer(asked(configured(data, config), "review.close", args), as_json, _closed)


def _closed(result: Mapping[str, Any]) -> None:
    said = _("{id} is closed: {outcome}") if result["changed"] else _("{id} was closed so before")
    say(said.format(id=result["id"], outcome=result["outcome"]))
