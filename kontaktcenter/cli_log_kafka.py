"""`kontaktcenter log create|describe|check|acls`: the topics of a log on Kafka."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from kontaktcenter.cli_common import Data, File, Json, answer, configured, hint, say, table
from kontaktcenter.cli_log import app
from kontaktcenter.words import _, plural

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ("app",)
Unsafe = Annotated[
    bool,
    typer.Option(
        "--allow-unsafe",
        help=_("For tests and trials: a cluster that can lose data, such as a single broker."),
    ),
]


@app.command(
    help=_("Make the topics of a log on Kafka; changes nothing that is there. Needs no node.")
)
def create(
    data: Data = None,
    config: File = None,
    shards: Annotated[
        list[str] | None,
        typer.Option(
            "--shards", metavar="BOOK=N", help=_("Another number of shards, such as calls=8.")
        ),
    ] = None,
    allow_unsafe: Unsafe = False,
    as_json: Json = False,
) -> int:
    """Make every topic that is missing."""
    from kontaktcenter.commands import topics  # noqa: PLC0415 -- `--help` starts without it

    found = configured(data, config)
    asked = topics.shards_asked(shards or [])
    return answer(topics.create(found, asked, allow_unsafe=allow_unsafe), as_json, _created)


def _created(result: Mapping[str, Any]) -> None:
    _faults(result)
    n = len(result["made"])
    say(plural("{n} topic made", "{n} topics made", n) + (": " if n else ""))
    for book in result["made"]:
        say(f"  {book}")
    say(_("{n} were there already").format(n=len(result["there"])))


def _faults(result: Mapping[str, Any]) -> None:
    words = {
        "loses": _("COULD LOSE DATA"),
        "broken": _("FAULT"),
        "degraded": _("warning"),
        "differs": _("differs"),
    }
    for remark in result["remarks"]:
        hint(remark)
    alike: dict[tuple[str, str], list[Mapping[str, Any]]] = {}
    for fault in result["faults"]:
        shape = (fault["weight"], fault["what"].replace(fault["where"] or "\0", "", 1))
        alike.setdefault(shape, []).append(fault)
    for first, *others in alike.values():
        hint(f"{words[first['weight']]}: {first['what']}. {first['do']}")
        if others:
            hint("  " + _("the same: {where}").format(where=", ".join(o["where"] for o in others)))


@app.command(help=_("Show cluster, topics, leaders, copies and ends of a log on Kafka."))
def describe(data: Data = None, config: File = None, as_json: Json = False) -> int:
    """Show what the brokers hold."""
    from kontaktcenter.commands import topics  # noqa: PLC0415 -- `--help` starts without it

    return answer(topics.describe(configured(data, config)), as_json, _described)


def _described(result: Mapping[str, Any]) -> None:
    brokers = result["cluster"]["brokers"]
    rows = [
        [str(b["id"]), b["address"], b["rack"] or "–", _("runs") if b["running"] else _("AWAY")]
        for b in brokers
    ]
    table([_("broker"), _("address"), _("rack"), ""], rows, numbers_from=9)
    say("")
    rows = [
        [
            partition["shard"],
            "–" if partition["leader"] is None else str(partition["leader"]),
            _list(partition["replicas"]),
            _list(partition["in_sync"]),
            "–" if partition["end"] is None else str(partition["end"]),
            topic["id"],
        ]
        for topic in result["topics"]
        for partition in topic["partitions"]
    ]
    columns = [_("shard"), _("leader"), _("copies"), _("in sync"), _("records"), _("topic's id")]
    table(columns, rows, numbers_from=9)


def _list(numbers: list[int]) -> str:
    return ",".join(map(str, numbers))


@app.command(help=_("Check that a log on Kafka can lose nothing; each fault says what to do."))
def check(
    data: Data = None, config: File = None, allow_unsafe: Unsafe = False, as_json: Json = False
) -> int:
    """Check cluster and topics; exit code 0, 3 with warnings, 1 with faults."""
    from kontaktcenter.commands import topics  # noqa: PLC0415 -- `--help` starts without it

    return answer(
        topics.check(configured(data, config), allow_unsafe=allow_unsafe), as_json, _checked
    )


def _checked(result: Mapping[str, Any]) -> None:
    _faults(result)
    n = result["topics"]
    if result["ok"]:
        say(plural("{n} topic, all as it should be", "{n} topics, all as they should be", n))
    else:
        say(plural("{n} topic looked at", "{n} topics looked at", n))


@app.command(help=_("Print the rights that each role needs at the brokers, as commands to type."))
def acls(
    data: Data = None,
    config: File = None,
    tools_config: Annotated[
        str,
        typer.Option(
            "--tools-config", metavar="FILE", help=_("The file that Kafka's tools sign in with.")
        ),
    ] = "admin.properties",
    as_json: Json = False,
) -> int:
    """Print kafka-acls commands."""
    from kontaktcenter.commands import topics  # noqa: PLC0415 -- `--help` starts without it

    return answer(topics.acls(configured(data, config), tools_config), as_json, _rights)


def _rights(result: Mapping[str, Any]) -> None:
    for rule in result["rules"]:
        say(rule["command"])


@app.command(
    "copy",
    help=_("Copy a log, record by record, from a file to Kafka or back; goes on where it ended."),
)
def copy_log(  # noqa: PLR0913 -- its flags
    source: Annotated[
        str, typer.Option("--from", metavar="LOG", help=_("sqlite:PATH or kafka://…, as KC_LOG."))
    ],
    target: Annotated[
        str, typer.Option("--to", metavar="LOG", help=_("Where to: empty, or begun by this copy."))
    ],
    keys: Annotated[
        str, typer.Option("--keys", help=_("The wrapped keys: with, without or only."))
    ] = "with",
    data: Data = None,
    config: File = None,
    as_json: Json = False,
) -> int:
    """Copy, and compare both by their digests."""
    from kontaktcenter.commands import copies  # noqa: PLC0415 -- `--help` starts without it

    found = configured(data, config)
    return answer(copies.copy(found, source, target, keys), as_json, _copied)


def _copied(result: Mapping[str, Any]) -> None:
    if result["shards"]:
        rows = [
            [name, str(at["records"]), str(at["position"]), at["digest"]]
            for name, at in result["shards"].items()
        ]
        table([_("shard"), _("records"), _("position"), _("digest")], rows)
        say(_("The copy has the same digests as the source, up to these positions."))
    if result["keys"] is not None:
        said = _("Keys: {live} copied, {destroyed} destroyed ones noted as such.")
        say(said.format(**result["keys"]))
