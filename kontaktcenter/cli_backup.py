"""`kontaktcenter backup`: the log, and apart from it the keys."""

from __future__ import annotations

from pathlib import Path
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
from kontaktcenter.terminal import Terminal
from kontaktcenter.words import _

if TYPE_CHECKING:
    from collections.abc import Mapping

app = group(_("Keep copies: the log in one folder, the keys in another."))
From = Annotated[Path, typer.Argument(metavar="FOLDER", help=_("The folder of the log's copy."))]
Keys = Annotated[
    Path | None, typer.Option("--keys", metavar="DIR", help=_("The folder of the keys' copy."))
]
Secret = Annotated[
    Path | None,
    typer.Option(
        "--secret", metavar="FILE", help=_("The city secret, where it is kept by itself.")
    ),
]


@app.command(help=_("Copy the log and, apart, the keys; also while the node runs."))
def create(  # noqa: PLR0913 -- its flags
    to: Annotated[
        Path, typer.Argument(metavar="FOLDER", help=_("The folder to make for the log."))
    ],
    keys_to: Annotated[
        Path,
        typer.Option(
            "--keys-to",
            metavar="DIR",
            help=_("The folder to make for the keys: keep it elsewhere."),
        ),
    ],
    data: Data = None,
    config: File = None,
    without_secret: Annotated[
        bool,
        typer.Option(
            "--without-secret",
            help=_("Leave the city secret out of the keys' folder: you keep it yourself."),
        ),
    ] = False,
    as_json: Json = False,
) -> int:
    """Make a backup."""
    args = {
        "to": str(to.absolute()),
        "keys_to": str(keys_to.absolute()),
        "secret": not without_secret,
    }
    return answer(asked(configured(data, config), "backup.create", args), as_json, _created)


def _created(result: Mapping[str, Any]) -> None:
    say(_("The log is in {folder}.").format(folder=result["log"]))
    say(_("The keys are in {folder}: keep them apart from the log.").format(folder=result["keys"]))
    if not result["secret_included"]:
        hint(
            _(
                "The city secret (fingerprint {fingerprint}) is NOT in the backup. Without it no "
                "log starts and no personal data can be read again."
            ).format(fingerprint=result["secret_fingerprint"])
        )
    _shards(result)


@app.command(help=_("Read a backup through: checksums, and every digest again."))
def verify(
    folder: From,
    keys: Keys = None,
    secret: Secret = None,
    as_json: Json = False,
) -> int:
    """Verify a backup. Raises: Corrupt where something differs."""
    from kontaktcenter.backup import verify as work  # noqa: PLC0415 -- `--help` starts without it

    with Terminal() as terminal:
        found = work(folder.absolute(), _absolute(keys), _absolute(secret), terminal.progress)
    return answer(found, as_json, _verified)


def _verified(result: Mapping[str, Any]) -> None:
    say(_("The backup of {made_at} is whole.").format(made_at=result["made_at"]))
    _shards(result)


@app.command(help=_("Bring a backup into a new, empty data folder."))
def restore(  # noqa: PLR0913 -- its flags
    folder: From,
    keys: Keys = None,
    secret: Secret = None,
    data: Data = None,
    config: File = None,
    as_json: Json = False,
) -> int:
    """Restore a backup, verified first."""
    from kontaktcenter.backup import restore as work  # noqa: PLC0415 -- `--help` starts without it

    found = configured(data, config)
    with Terminal() as terminal:
        result = work(
            found, folder.absolute(), _absolute(keys), _absolute(secret), terminal.progress
        )
    return answer(result, as_json, _restored)


def _restored(result: Mapping[str, Any]) -> None:
    say(_("Restored into {folder}.").format(folder=result["data"]))
    _shards(result)


def _shards(result: Mapping[str, Any]) -> None:
    rows = [[name, str(at["position"]), at["digest"]] for name, at in result["shards"].items()]
    table([_("shard"), _("position"), _("digest")], rows)


def _absolute(path: Path | None) -> Path | None:
    return None if path is None else path.absolute()
