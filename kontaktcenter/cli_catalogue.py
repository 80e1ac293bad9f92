"""`kontaktcenter catalogue`: authorities, groups, case types, articles and the rest, as a file."""

from __future__ import annotations

import json
import sys
from pathlib import Path
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
    moment,
    say,
    table,
)
from kontaktcenter.edge import Exit
from kontaktcenter.words import _, plural

if TYPE_CHECKING:
    from collections.abc import Mapping

app = group(
    _("The catalogue: authorities, groups, case types, articles; as a file and as changes.")
)

_ONE = Annotated[Path, typer.Argument(metavar="FILE", help=_("A TOML file."))]
_By = Annotated[
    str | None,
    typer.Option(
        "--as", metavar="ACCOUNT", help=_("Do it with this account's rights, and in its name.")
    ),
]
_From = Annotated[
    str | None,
    typer.Option(
        "--effective-from", metavar="ISO", help=_("When it takes effect; without it, at once.")
    ),
]
_ApprovedBy = Annotated[
    str | None,
    typer.Option(
        "--approved-by",
        metavar="AUTHORITY",
        help=_("The owner that has approved its part outside this system; needs --decision."),
    ),
]
_Decision = Annotated[
    str | None,
    typer.Option("--decision", metavar="REF", help=_("The recorded decision that this rests on.")),
]
_Missing = Annotated[
    bool,
    typer.Option(
        "--withdraw-missing",
        help=_("Withdraw what the file's sections no longer have."),
    ),
]
_Change = Annotated[
    str, typer.Argument(metavar="CHANGE", help=_("A proposal's id, or how it begins."))
]
_Reason = Annotated[str, typer.Option("--reason", help=_("Why; it is recorded."))]


@app.command("import", help=_("Bring a TOML file in; a file with a fault is refused whole."))
def import_file(  # noqa: PLR0913 -- its flags
    file: _ONE,
    effective_from: _From = None,
    approved_by: _ApprovedBy = None,
    decision: _Decision = None,
    withdraw_missing: _Missing = False,
    by: _By = None,
    data: Data = None,
    config: File = None,
    as_json: Json = False,
) -> int:
    """Import a file: the first as it is, later ones by the rules of changes."""
    args = {
        "file": str(file.absolute()),
        "withdraw_missing": withdraw_missing,
        **_terms(effective_from, approved_by, decision, by),
    }
    found = configured(data, config)
    return answer(asked(found, "catalogue.import_file", args), as_json, _imported)


@app.command(help=_("What an import of a file would change, field by field."))
def diff(  # noqa: PLR0913 -- its flags
    file: _ONE,
    effective_from: _From = None,
    withdraw_missing: _Missing = False,
    data: Data = None,
    config: File = None,
    as_json: Json = False,
) -> int:
    """Show what differs; nothing is recorded."""
    args = {
        "file": str(file.absolute()),
        "withdraw_missing": withdraw_missing,
        "effective_from": moment(effective_from, "--effective-from"),
    }
    return answer(asked(configured(data, config), "catalogue.diff", args), as_json, _differs)


@app.command(help=_("Every fault of a TOML file, with its line; nothing is recorded."))
def check(
    file: _ONE,
    standing: Annotated[
        bool,
        typer.Option(
            "--standing", help=_("The file is a part: what it does not have stands already.")
        ),
    ] = False,
    data: Data = None,
    config: File = None,
    as_json: Json = False,
) -> int:
    """Check a file by itself, or on top of what stands; exit code 1 where it has a fault."""
    from core.taxonomy import read_entries  # noqa: PLC0415 -- `--help` starts without it
    from kontaktcenter.catalogue import text_of  # noqa: PLC0415 -- `--help` starts without it

    found = configured(data, config)
    try:
        if standing:
            result = asked(found, "catalogue.check", {"file": str(file.absolute())})
        else:
            result = {"entries": len(read_entries(text_of(str(file))))}
    except Invalid as e:
        if not as_json:
            hint(e.message)
            return Exit.ERROR
        faults = {"faults": e.details.get("faults", [e.message]), "exit": Exit.ERROR}
        return answer(faults, as_json, _checked)
    return answer({**result, "faults": []}, as_json, _checked)


@app.command(help=_("The catalogue as a TOML file; an import of it changes nothing."))
def export(
    to: Annotated[
        Path | None,
        typer.Option("--to", metavar="FILE", help=_("A new file; without it, stdout.")),
    ] = None,
    at: Annotated[
        str | None, typer.Option("--at", metavar="ISO", help=_("As it stood at this time."))
    ] = None,
    data: Data = None,
    config: File = None,
) -> int:
    """Write the catalogue."""
    result = asked(configured(data, config), "catalogue.export", {"at": moment(at, "--at")})
    if to is None:
        sys.stdout.write(result["toml"])
        return 0
    try:
        with to.open("x", encoding="utf-8") as out:
            out.write(result["toml"])
    except OSError as e:
        said = _("{file} cannot be written: {why}")
        raise Invalid(said.format(file=to, why=e.strerror or e)) from e
    hint(plural("{n} entry written", "{n} entries written", result["entries"]))
    return 0


@app.command(help=_("An entry with all its versions, or the keys of a section."))
def show(
    section: Annotated[str, typer.Argument(metavar="SECTION", help=_("As case_type."))],
    key: Annotated[
        str | None, typer.Argument(metavar="KEY", help=_("The entry's id or code."))
    ] = None,
    data: Data = None,
    config: File = None,
    as_json: Json = False,
) -> int:
    """Show an entry."""
    args = {"section": section, "key": key}
    return answer(asked(configured(data, config), "catalogue.show", args), as_json, _showed)


@app.command(help=_("Proposed changes that wait for their owners."))
def changes(data: Data = None, config: File = None, as_json: Json = False) -> int:
    """List what waits."""
    return answer(asked(configured(data, config), "catalogue.changes", {}), as_json, _waiting)


@app.command(help=_("Approve a proposed change, for the authority that owns the matter."))
def approve(  # noqa: PLR0913 -- its flags
    change: _Change,
    by: _By = None,
    decision: _Decision = None,
    data: Data = None,
    config: File = None,
    as_json: Json = False,
) -> int:
    """Approve a change."""
    args = {"change": change, "as": by, "decision": decision}
    found = configured(data, config)
    return answer(asked(found, "catalogue.approve", args), as_json, _said(_("approved")))


@app.command(help=_("Refuse a proposed change, for the authority that owns the matter."))
def refuse(  # noqa: PLR0913 -- its flags
    change: _Change,
    reason: _Reason,
    by: _By = None,
    data: Data = None,
    config: File = None,
    as_json: Json = False,
) -> int:
    """Refuse a change."""
    args = {"change": change, "as": by, "reason": reason}
    found = configured(data, config)
    return answer(asked(found, "catalogue.refuse", args), as_json, _said(_("refused")))


@app.command("take-back", help=_("Take back what you proposed yourself."))
def take_back(  # noqa: PLR0913 -- its flags
    change: _Change,
    reason: _Reason,
    by: _By = None,
    data: Data = None,
    config: File = None,
    as_json: Json = False,
) -> int:
    """Take a proposal back."""
    args = {"change": change, "as": by, "reason": reason}
    found = configured(data, config)
    return answer(asked(found, "catalogue.take_back", args), as_json, _said(_("taken back")))


@app.command("import-lathundar", help=_("Bring in a folder of lathundar (.md and .toml)."))
def import_lathundar(  # noqa: PLR0913 -- its flags
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help=_("One file for each."))],
    effective_from: _From = None,
    approved_by: _ApprovedBy = None,
    decision: _Decision = None,
    by: _By = None,
    data: Data = None,
    config: File = None,
    as_json: Json = False,
) -> int:
    """Import lathundar, by the rules of changes."""
    args = {
        "folder": str(folder.absolute()),
        **_terms(effective_from, approved_by, decision, by),
    }
    found = configured(data, config)
    return answer(asked(found, "catalogue.import_lathundar", args), as_json, _imported)


@app.command(help=_("How far each authority's routines are mapped."))
def lathundar(data: Data = None, config: File = None, as_json: Json = False) -> int:
    """Show the mapping status."""
    return answer(asked(configured(data, config), "catalogue.lathundar", {}), as_json, _mapped)


def _terms(
    effective_from: str | None, approved_by: str | None, decision: str | None, by: str | None
) -> dict[str, object]:
    return {
        "effective_from": moment(effective_from, "--effective-from"),
        "approved_by": approved_by,
        "decision": decision,
        "as": by,
    }


# --- for people -----------------------------------------------------------------------------------
def _imported(result: Mapping[str, Any]) -> None:
    if result["first"]:
        n = result["changed"]
        say(plural("First import: {n} entry set", "First import: {n} entries set", n))
        return
    say(plural("{n} entry set", "{n} entries set", result["changed"]))
    say(plural("{n} entry withdrawn", "{n} entries withdrawn", result["withdrawn"]))
    say(plural("{n} change proposed", "{n} changes proposed", result["proposed"]))
    if result["waiting"]:
        n = result["waiting"]
        say(plural("{n} change waits already", "{n} changes wait already", n))
    if result["proposed"] or result["waiting"]:
        hint(_("Owners approve with: kontaktcenter catalogue approve CHANGE --as ACCOUNT"))
    for name in result["refused_before"]:
        hint(_("{name}: the owner refused this very change before; it was not proposed again")
             .format(name=name))  # fmt: skip


def _differs(result: Mapping[str, Any]) -> None:
    if not result["differences"]:
        say(_("Nothing differs."))
    signs = {"new": "+", "withdrawn": "-", "changed": "~"}
    for one in result["differences"]:
        whose = one["owner"] or _("the centre")
        if one["waiting"]:
            whose += ", " + _("proposed already")
        say(f"{signs[one['what']]} {one['section']} {one['key']} ({whose})")
        if one["what"] == "changed":
            _say_fields(one["fields"])


def _say_fields(fields: list[dict[str, Any]]) -> None:
    for field in fields:
        say(f"    {field['field']}: {_value(field['before'])} → {_value(field['after'])}")


def _value(value: object) -> str:
    if value is None:
        return "–"
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _checked(result: Mapping[str, Any]) -> None:
    n = result["entries"]
    say(plural("{n} entry, no fault", "{n} entries, no fault", n))


def _showed(result: Mapping[str, Any]) -> None:
    if "keys" in result:
        for key in result["keys"]:
            say(key)
        return
    for version in result["versions"]:
        mark = "*" if version["version"] == result["version"] else " "
        words = [f"{mark} {version['version']}", version["effective_at"]]
        words += [_("withdrawn")] if version["withdrawn"] else []
        words += [f"{name}: {version[name]}" for name in ("approved_by", "decision")
                  if version[name]]  # fmt: skip
        say("  ".join(words))
    for name, value in (result["fields"] or {}).items():
        say(f"    {name}: {_value(value)}")
    _waiting({"changes": result["waiting"]}, quiet=True)


def _waiting(result: Mapping[str, Any], *, quiet: bool = False) -> None:
    if not result["changes"] and not quiet:
        say(_("Nothing waits."))
    for change in result["changes"]:
        say(f"{change['change'][:8]}  {change['owner']}  {change['section']} {change['key']}")
        if change["what"] == "withdraw":
            say("    " + _("to be withdrawn"))
        else:
            _say_fields(change["fields"])
        by = _("proposed by {by}, {at}").format(by=change["proposed_by"], at=change["proposed_at"])
        say("    " + by)
        if change["effective_from"]:
            say("    " + _("takes effect {at}").format(at=change["effective_from"]))
        if change["note"]:
            say(f"    {change['note']}")
        if change["out_of_date"]:
            say("    " + _("out of date: the entry was changed since"))


def _mapped(result: Mapping[str, Any]) -> None:
    columns = [_("authority"), _("lathundar"), _("unmapped"), _("partly"), _("mapped"),
               _("not said"), _("case types"), _("without lathund")]  # fmt: skip
    names = ("lathundar", "unmapped", "partly", "mapped", "unsaid", "case_types")
    rows = [
        [row["authority"], *(str(row[name]) for name in names), str(len(row["without"]))]
        for row in result["authorities"]
    ]
    table(columns, rows)


def _said(what: str) -> Any:
    def people(result: Mapping[str, Any]) -> None:
        quiet = "" if result["events"] else " (" + _("it was so already") + ")"
        say(f"{result['section']} {result['key']}: {what}{quiet}")

    return people
