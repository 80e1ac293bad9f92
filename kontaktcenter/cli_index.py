"""`kontaktcenter index`: a new node begins with another's index and reads only what came after."""

from __future__ import annotations

from pathlib import Path  # noqa: TC003 -- Typer reads annotations
from typing import TYPE_CHECKING, Annotated, Any

import typer

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
from kontaktcenter.words import _

if TYPE_CHECKING:
    from collections.abc import Mapping

app = group(_("Let a new node begin with another node's index of the log."))


@app.command(help=_("Write this node's index and read models, for another node to begin with."))
def snapshot(
    to: Annotated[
        Path,
        typer.Option("--to", metavar="FILE", help=_("A new folder, or a new file that ends .tar.")),
    ],
    data: Data = None,
    config: File = None,
    without_read_models: Annotated[
        bool,
        typer.Option(
            "--without-read-models", help=_("Only the index: the new node makes its own figures.")
        ),
    ] = False,
    as_json: Json = False,
) -> int:
    """Write a snapshot; also while the node runs."""
    args = {"to": str(to.absolute()), "read_models": not without_read_models}
    return answer(asked(configured(data, config), "index.snapshot", args), as_json, _written)


def _written(result: Mapping[str, Any]) -> None:
    say(_("The snapshot is {file}.").format(file=result["to"]))
    _shards(result)


@app.command(help=_("Bring a snapshot into a data folder without an index, verified."))
def restore(
    source: Annotated[
        Path, typer.Option("--from", metavar="FILE", help=_("The snapshot: its folder or file."))
    ],
    data: Data = None,
    config: File = None,
    replace: Annotated[
        bool,
        typer.Option("--replace", help=_("Put it in the place of the index that is there.")),
    ] = False,
    as_json: Json = False,
) -> int:
    """Restore a snapshot; the node must not run."""
    from kontaktcenter.index_restore import restore as work  # noqa: PLC0415 -- `--help` starts without it
    from kontaktcenter.terminal import Terminal  # noqa: PLC0415 -- likewise

    found = configured(data, config)
    with Terminal() as terminal:
        result = work(found, source.absolute(), terminal.progress, replace=replace)
    return answer(result, as_json, _restored)


def _restored(result: Mapping[str, Any]) -> None:
    say(_("Restored into {folder}.").format(folder=result["data"]))
    _shards(result)
    missing = sorted(result["read_models"].keys() - set(result["read_models_kept"]))
    if missing:
        said = _("Of another version, so the node makes them itself: {names}")
        hint(said.format(names=", ".join(missing)))
    hint(_("Start the node: it compares the log with the index and reads what came after."))


def _shards(result: Mapping[str, Any]) -> None:
    rows = [[name, str(at["position"]), at["digest"]] for name, at in result["shards"].items()]
    table([_("shard"), _("position"), _("digest")], rows)
