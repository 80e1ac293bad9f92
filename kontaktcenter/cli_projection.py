"""`kontaktcenter projection`: the read models, each a fold of the log that may be made anew."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from kontaktcenter.cli_common import Data, File, Json, answer, asked, configured, group, say, table
from kontaktcenter.words import _

if TYPE_CHECKING:
    from collections.abc import Mapping

app = group(_("The read models, each of which can be made anew from the log."))
Name = Annotated[str, typer.Argument(metavar="NAME", help=_("A read model, as `list` names it."))]


@app.command("list", help=_("Each read model: version, how far it has read, parked events."))
def list_all(data: Data = None, config: File = None, as_json: Json = False) -> int:
    """List the read models."""
    return answer(asked(configured(data, config), "projection.list_all", {}), as_json, _listed)


def _listed(result: Mapping[str, Any]) -> None:
    rows = [
        [row["name"], str(row["version"]), str(row["behind"]), str(row["parked"]), row["file"]]
        for row in result["projections"]
    ]
    table([_("read model"), _("version"), _("behind"), _("parked"), _("file")], rows)


@app.command(help=_("Make a read model anew beside the old one, and swap."))
def rebuild(name: Name, data: Data = None, config: File = None, as_json: Json = False) -> int:
    """Rebuild a read model."""
    result = asked(configured(data, config), "projection.rebuild", {"name": name})
    return answer(result, as_json, lambda _result: say(_("{name}: made anew").format(name=name)))


@app.command(help=_("The events that a read model could not take, and why."))
def parked(name: Name, data: Data = None, config: File = None, as_json: Json = False) -> int:
    """List parked events; exit code 3 where there are any."""
    result = asked(configured(data, config), "projection.parked", {"name": name})
    return answer(result, as_json, _parked)


def _parked(result: Mapping[str, Any]) -> None:
    rows = [
        [row["shard"], str(row["position"]), str(row["type"]), str(row["error"])]
        for row in result["parked"]
    ]
    table([_("shard"), _("position"), _("event"), _("why")], rows, numbers_from=9)
