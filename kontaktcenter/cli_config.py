"""`kontaktcenter config`: what the configuration is, and whether it can be used."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kontaktcenter.cli_common import Data, File, Json, answer, configured, group, hint, say, table
from kontaktcenter.config import NONE, foreign
from kontaktcenter.edge import Exit
from kontaktcenter.words import _

if TYPE_CHECKING:
    from collections.abc import Mapping

app = group(_("The configuration: defaults < kontaktcenter.toml < KC_* < flags."))


@app.command(help=_("Every setting, its value and where it comes from; secrets are masked."))
def show(data: Data = None, config: File = None, as_json: Json = False) -> int:
    """Show the configuration."""
    return answer({"settings": configured(data, config).shown()}, as_json, _shown)


def _shown(result: Mapping[str, Any]) -> None:
    rows = [
        [name, "–" if row["value"] is None else str(row["value"]), row["source"], row["env"]]
        for name, row in result["settings"].items()
    ]
    table([_("setting"), _("value"), _("source"), _("environment")], rows, numbers_from=9)


@app.command(help=_("Check the configuration without starting anything."))
def check(data: Data = None, config: File = None, as_json: Json = False) -> int:
    """Check values, and the files that they name; exit code 2 on a mistake, 3 with remarks."""
    from core.taxonomy import read_entries  # noqa: PLC0415 -- `--help` starts without it
    from kontaktcenter import log_parts  # noqa: PLC0415 -- `--help` starts without it
    from kontaktcenter.catalogue import text_of  # noqa: PLC0415 -- `--help` starts without it

    found = configured(data, config)
    if found.taxonomy != NONE:
        read_entries(text_of(found.taxonomy))
    log_parts.kafka_settings(found)
    remarks = log_parts.remarks(found)
    remarks += [
        _("{key}: there is no file {file}").format(key=key, file=file)
        for key, file in (
            ("master_key_file", found.master_key_file),
            ("protected_key_file", found.protected_key_file),
            ("facts_token_file", found.facts_token_file),
        )
        if file is not None and not file.is_file()
    ]
    remarks += [
        _("{name} is set in the environment and nothing here reads it").format(name=name)
        for name in foreign()
    ]
    result = {"ok": True, "remarks": remarks, "exit": Exit.DEGRADED if remarks else Exit.DONE}
    return answer(result, as_json, _checked)


def _checked(result: Mapping[str, Any]) -> None:
    for remark in result["remarks"]:
        hint(remark)
    say(_("The configuration can be used."))
