"""`kontaktcenter erasure`, `retention`, `archive`: for the archivist and the registrar."""

from __future__ import annotations

import sys
from pathlib import Path  # noqa: TC003 -- Typer reads annotations
from typing import TYPE_CHECKING, Annotated, Any

import typer

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

erasures = group(_("Erase by a recorded decision, with a protocol."))
retention = group(_("What retention rules propose; a person decides."))
archives = group(_("Archives of closed periods."))

Authority = Annotated[
    str, typer.Option("--authority", metavar="CODE", help=_("Whose cases, as TK."))
]
Cases = Annotated[
    list[str] | None,
    typer.Option("--case", metavar="ID", help=_("A case's id; may be repeated.")),
]
Rule = Annotated[
    str, typer.Option("--rule", metavar="TEXT", help=_("The rule that it rests on; no names."))
]
Reference = Annotated[
    str,
    typer.Option("--reference", metavar="TEXT", help=_("The decision on paper, as its number.")),
]
Purpose = Annotated[str, typer.Option("--purpose", metavar="TEXT", help=_("Why; no names."))]
Html = Annotated[bool, typer.Option("--html", help=_("As a page in Swedish."))]


@erasures.command(help=_("Decide to erase closed cases, or a caller with all his or her cases."))
def decide(  # noqa: PLR0913 -- its flags
    authority: Authority,
    rule: Rule,
    reference: Reference,
    purpose: Purpose,
    by: As,
    cases: Cases = None,
    caller: Annotated[
        bool,
        typer.Option("--caller", help=_("A caller: the number is asked for, or read from stdin.")),
    ] = False,
    data: Data = None,
    config: File = None,
    as_json: Json = False,
) -> int:
    """Decide, and carry it out at once."""
    args = {
        "authority": authority, "rule": rule, "reference": reference, "purpose": purpose,
        "as": by, "cases": cases or [], "caller": _number() if caller else None,
    }  # fmt: skip
    return answer(asked(configured(data, config), "erasure.decide", args), as_json, _decided)


def _number() -> str:
    """A telephone number that stands in no list of processes and no history of a shell."""
    if sys.stdin.isatty():
        hint(_("The caller's number:"))
    return sys.stdin.readline().strip()


def _decided(found: Mapping[str, Any]) -> None:
    if found["status"] != "accepted":
        say(_("The very same decision is being carried out."))
        return
    say(_("Protocol {number}").format(number=found["number"]))
    say(plural("{n} case", "{n} cases", found["cases"]))
    say(plural("{n} key destroyed", "{n} keys destroyed", found["keys"] or 0))
    say(plural("{n} file removed", "{n} files removed", found["attachments"] or 0))
    from kontaktcenter.erased_everywhere import waits_for  # noqa: PLC0415 -- for `--help`

    if found["complete"]:
        say(_("The keys are gone from every node."))
    else:
        say(_("Not complete yet, waiting for: {what}").format(what=", ".join(waits_for(found))))
    say(_("Keep the protocol: kontaktcenter erasure protocol {number} --json").format(
        number=found["number"]
    ))  # fmt: skip


@erasures.command("again", help=_("Carry a kept protocol out once more, after a restore."))
def carry_out_again(
    protocol: Annotated[
        Path, typer.Argument(metavar="FILE", help=_("A protocol that was kept as JSON."))
    ],
    by: As,
    data: Data = None,
    config: File = None,
    as_json: Json = False,
) -> int:
    """Decide what a protocol holds again."""
    args = {"protocol": str(protocol.absolute()), "as": by}
    return answer(asked(configured(data, config), "erasure.again", args), as_json, _decided)


@erasures.command("protocol", help=_("Print a protocol, as it was."))
def show_protocol(  # noqa: PLR0913 -- its flags
    number: Annotated[str, typer.Argument(metavar="NUMBER", help=_("The protocol's number."))],
    by: As,
    html: Html = False,
    data: Data = None,
    config: File = None,
    as_json: Json = False,
) -> int:
    """Print one protocol: Markdown, or HTML, or JSON."""
    args = {"number": number, "as": by, "form": _form(html, as_json)}
    return answer(asked(configured(data, config), "erasure.protocol", args), as_json, _text)


def _form(html: bool, as_json: bool) -> str:
    return "json" if as_json else "html" if html else "markdown"


def _text(found: Mapping[str, Any]) -> None:
    sys.stdout.write(found["text"])


@erasures.command("list", help=_("The protocols of the authorities that the account opens."))
def list_protocols(by: As, data: Data = None, config: File = None, as_json: Json = False) -> int:
    """List protocols."""
    found = asked(configured(data, config), "erasure.protocols", {"as": by})
    return answer(found, as_json, _listed)


@erasures.command("sweep", help=_("Remove files that no case names, and those of erased cases."))
def sweep(data: Data = None, config: File = None, as_json: Json = False) -> int:
    """Sweep attachments; a running node does it at its start."""
    found = asked(configured(data, config), "attachment.sweep", {})
    return answer(found, as_json, _swept)


def _swept(found: Mapping[str, Any]) -> None:
    say(plural("{n} file removed", "{n} files removed", found["removed"]))


def _listed(found: Mapping[str, Any]) -> None:
    rows = [
        [
            p["number"], p["decided_at"], p["carried_out_at"] or "-",
            _("yes") if p["complete"] else _("no"), str(p["cases"]), p["rule"],
        ]
        for p in found["protocols"]
    ]  # fmt: skip
    columns = [_("protocol"), _("decided"), _("carried out"), _("complete"), _("cases"), _("rule")]
    table(columns, rows, 4)


@retention.command(help=_("What is due, by which rule, and what is lacking; nothing is done."))
def propose(
    authority: Authority,
    by: As,
    data: Data = None,
    config: File = None,
    as_json: Json = False,
) -> int:
    """List what rules propose."""
    args = {"authority": authority, "as": by}
    return answer(asked(configured(data, config), "retention.propose", args), as_json, _proposed)


def _proposed(found: Mapping[str, Any]) -> None:
    lacking = {"registry": _("the registrar's decision"), "archive": _("an archive"), None: ""}
    rows = [
        [p["case"], p["number"] or "", p["rule"], p["due_at"][:10], p["what"], lacking[p["lacks"]]]
        for p in found["proposals"]
    ]
    columns = [_("case"), _("number"), _("rule"), _("due"), _("what"), _("lacks")]
    table(columns, rows, len(columns))


@retention.command("decide", help=_("Decide what a rule proposes: all of it, or named cases."))
def decide_due(  # noqa: PLR0913 -- its flags
    authority: Authority,
    rule: Annotated[str, typer.Option("--rule", metavar="ID", help=_("The rule's id."))],
    reference: Reference,
    purpose: Purpose,
    by: As,
    cases: Cases = None,
    data: Data = None,
    config: File = None,
    as_json: Json = False,
) -> int:
    """Turn proposals into one decision."""
    args = {
        "authority": authority, "rule": rule, "reference": reference, "purpose": purpose,
        "as": by, "cases": cases,
    }  # fmt: skip
    return answer(asked(configured(data, config), "retention.decide_due", args), as_json, _decided)


@archives.command(help=_("Write an archive of the cases that were closed in a period."))
def export(  # noqa: PLR0913 -- its flags
    to: Annotated[
        Path, typer.Argument(metavar="PATH", help=_("A new folder, or a new file .zip."))
    ],
    authority: Authority,
    from_: Annotated[str, typer.Option("--from", metavar="ISO", help=_("Closed from this time."))],
    until: Annotated[str, typer.Option("--to", metavar="ISO", help=_("Closed before this time."))],
    by: As,
    attachments: Annotated[
        bool, typer.Option("--attachments", help=_("With the files of the cases, in clear."))
    ] = False,
    data: Data = None,
    config: File = None,
    as_json: Json = False,
) -> int:
    """Export an archive."""
    args = {
        "file": str(to.absolute()), "authority": authority, "from": moment(from_, "--from"),
        "to": moment(until, "--to"), "as": by, "attachments": attachments,
    }  # fmt: skip
    return answer(asked(configured(data, config), "archive.export", args), as_json, _exported)


def _exported(found: Mapping[str, Any]) -> None:
    say(_("The archive is in {place}.").format(place=found["to"]))
    say(plural("{n} case", "{n} cases", found["cases"]))
    say(plural("{n} event", "{n} events", found["events"]))
    say(_("The manifest's SHA-256: {sha256}").format(sha256=found["sha256"]))


@archives.command(help=_("Read an archive through: checksums, schemas, counts."))
def verify(
    place: Annotated[Path, typer.Argument(metavar="PATH", help=_("The folder, or the zip."))],
    as_json: Json = False,
) -> int:
    """Verify an archive; exit code 1 where something differs."""
    from kontaktcenter.archive import verify as work  # noqa: PLC0415 -- `--help` starts without it

    found = work(place.absolute())
    code = Exit.DONE if found["ok"] else Exit.ERROR
    return answer({**found, "exit": code}, as_json, _verified)


def _verified(found: Mapping[str, Any]) -> None:
    if found["ok"]:
        say(_("The archive is whole."))
    for fault in found["faults"]:
        say(fault)


def disclose(  # noqa: PLR0913 -- its flags
    authority: Annotated[str, typer.Argument(metavar="CODE", help=_("Whose case, as TK."))],
    case: Annotated[str, typer.Argument(metavar="ID", help=_("The case's id."))],
    purpose: Purpose,
    by: As,
    recipient: Annotated[
        bool,
        typer.Option("--recipient", help=_("Who gets it: asked for, or read from stdin; sealed.")),
    ] = False,
    mask: Annotated[
        list[str] | None,
        typer.Option(
            "--mask",
            metavar="WHAT=WHY",
            help=_("Mask numbers, words, parts or other_persons, with the reason."),
        ),
    ] = None,
    word: Annotated[
        list[str] | None,
        typer.Option("--word", metavar="TEXT", help=_("A word to mask; may be repeated.")),
    ] = None,
    part: Annotated[
        list[str] | None,
        typer.Option(
            "--part", metavar="N.FIELD", help=_("A text to mask whole, as 3.text; * is all.")
        ),
    ] = None,
    html: Html = False,
    data: Data = None,
    config: File = None,
    as_json: Json = False,
) -> int:
    """Make a copy of a case to give out: Markdown, or HTML, or JSON."""
    who = None
    if recipient:
        if sys.stdin.isatty():
            hint(_("Who gets the copy:"))
        who = sys.stdin.readline().strip() or None
    args = {
        "authority": authority, "case": case, "purpose": purpose, "recipient": who, "as": by,
        "mask": mask or [], "words": word or [], "parts": part or [],
        "form": _form(html, as_json),
    }  # fmt: skip
    return answer(asked(configured(data, config), "case.disclose", args), as_json, _text)
