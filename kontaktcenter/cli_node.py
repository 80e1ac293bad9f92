"""`kontaktcenter node`: the nodes that have this log in common."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from kontaktcenter.cli_common import Data, File, Json, answer, asked, configured, group, say, table
from kontaktcenter.words import _

if TYPE_CHECKING:
    from collections.abc import Mapping

app = group(_("The nodes that have one log in common."))


@app.command("list", help=_("All nodes that ever joined, and what is waited for from each."))
def list_nodes(data: Data = None, config: File = None, as_json: Json = False) -> int:
    """List nodes."""
    return answer(asked(configured(data, config), "node.list_all", {}), as_json, _listed)


def _listed(result: Mapping[str, Any]) -> None:
    if not result["nodes"]:
        say(_("No other node has this log: it is on this machine alone."))
        return
    rows = [
        [
            node["node"],
            node["name"] or "-",
            node["joined_at"],
            _state(node),
            ", ".join(node["erasures_waiting"]) or "-",
        ]
        for node in result["nodes"]
    ]
    columns = [_("node"), _("name"), _("joined"), _("state"), _("erasures to carry out")]
    table(columns, rows, len(columns))


def _state(node: Mapping[str, Any]) -> str:
    if node["retired_at"] is not None:
        return _("retired {at}").format(at=node["retired_at"])
    if node["cut_off_at"] is not None:
        return _("cut off since {at}").format(at=node["cut_off_at"])
    return _("this node") if node["here"] else _("joined")


@app.command(help=_("Say that a node is gone for good: nobody waits for it any more."))
def retire(
    node: Annotated[
        str, typer.Argument(metavar="NODE", help=_("Its id, the beginning of it, or its name."))
    ],
    reason: Annotated[
        str, typer.Option("--reason", metavar="TEXT", help=_("Why; no names of persons."))
    ] = "",
    data: Data = None,
    config: File = None,
    as_json: Json = False,
) -> int:
    """Retire a node; its data folder holds keys, and has to be destroyed with its disk."""
    args = {"node": node, "reason": reason}
    return answer(asked(configured(data, config), "node.retire", args), as_json, _retired)


def _retired(result: Mapping[str, Any]) -> None:
    say(_("The node {node} is retired.").format(node=result["name"] or result["node"]))
    say(_("Destroy its data folder, with its backups: it holds keys of persons."))
    for number in result["completed"]:
        say(_("The erasure {number} is complete now.").format(number=number))


@app.command(
    "refill-keys",
    help=_(
        "Fill the topic of keys from this node's copy, after it was deleted. Stop the node first."
    ),
)
def refill_keys(data: Data = None, config: File = None, as_json: Json = False) -> int:
    """Write what the topic of keys lacks; on each node, one after another."""
    from kontaktcenter.commands import refilling  # noqa: PLC0415 -- `--help` starts without it

    return answer(refilling.refill_keys(configured(data, config)), as_json, _refilled)


def _refilled(result: Mapping[str, Any]) -> None:
    said = _("Keys: {live} written, {destroyed} destroyed ones noted as such.")
    say(said.format(live=result["live"], destroyed=result["destroyed"]))
    say(_("Do the same on every other node, then start them all."))
