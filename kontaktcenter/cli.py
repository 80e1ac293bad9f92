"""The command line: one verb, one function; the work is done in `kontaktcenter.commands`."""

from __future__ import annotations

import io
import os
import sys
from pathlib import Path  # noqa: TC003 -- Typer reads annotations
from typing import TYPE_CHECKING, Annotated, Any

import typer

from kontaktcenter import (
    __version__,
    cli_backup,
    cli_case,
    cli_catalogue,
    cli_config,
    cli_index,
    cli_log_kafka,
    cli_looks,
    cli_node,
    cli_privacy,
    cli_projection,
    cli_report,
    cli_review,
    cli_user,
)
from kontaktcenter.cli_common import (
    Data,
    File,
    Json,
    answer,
    asked,
    configured,
    folder_of_errors,
    group,
    hint,
    moment,
    say,
)
from kontaktcenter.edge import Exit, ReaderGone, exit_code, told
from kontaktcenter.words import _, plural

if TYPE_CHECKING:
    from collections.abc import Mapping

app = typer.Typer(
    name="kontaktcenter",
    help=_("The contact centre: calls and cases go into the log, queues and statistics come out."),
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    epilog=_("Exit codes: 0 done, 1 error, 2 usage, 3 degraded, 4 unavailable, 130 interrupted."),
)
imports = group(_("Bring recorded calls into the log."))
app.add_typer(imports, name="import")
app.add_typer(cli_looks.looks, name="looks")
app.add_typer(cli_looks.person, name="person")
app.add_typer(cli_log_kafka.app, name="log")
app.add_typer(cli_index.app, name="index")
app.add_typer(cli_projection.app, name="projection")
app.add_typer(cli_review.app, name="review")
app.add_typer(cli_backup.app, name="backup")
app.add_typer(cli_config.app, name="config")
app.add_typer(cli_catalogue.app, name="catalogue")
app.add_typer(cli_case.app, name="case")
app.add_typer(cli_user.users, name="user")
app.add_typer(cli_user.tokens, name="token")
app.add_typer(cli_privacy.erasures, name="erasure")
app.add_typer(cli_privacy.retention, name="retention")
app.add_typer(cli_privacy.archives, name="archive")
app.add_typer(cli_node.app, name="node")


def _version(asked_for: bool) -> None:
    if asked_for:
        say(f"kontaktcenter {__version__}")
        raise typer.Exit


@app.callback()
def root(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_version, is_eager=True, help=_("Show the version.")),
    ] = False,
) -> None:
    """Nothing of its own: the verbs follow."""


@app.command(help=_("Run the node, the board and the API, until Ctrl-C."))
def serve(
    data: Data = None,
    config: File = None,
    host: Annotated[str | None, typer.Option(help=_("The address to listen on."))] = None,
    port: Annotated[int | None, typer.Option(help=_("The port; 0 is any free one."))] = None,
    insecure: Annotated[
        bool,
        typer.Option(
            "--insecure",
            help=_("Listen on other addresses than loopback; TLS must stand in front."),
        ),
    ] = False,
) -> int:
    """Start the server and stay until a signal comes."""
    from kontaktcenter.server import run  # noqa: PLC0415 -- `--help` starts without it

    return run(configured(data, config, host=host, port=port), insecure=insecure)


@app.command(help=_("Play a recorded crisis as if live, with simulated agents and cases."))
def demo(
    data: Annotated[
        Path | None, typer.Option("--data", metavar="DIR", help=_("The demo's own data folder."))
    ] = None,
    port: Annotated[
        int | None, typer.Option(help=_("The port; a busy one is passed over for the next free."))
    ] = None,
    speed: Annotated[
        float, typer.Option(min=0.1, max=1000, help=_("How many times as fast as it happened."))
    ] = 10.0,
    once: Annotated[bool, typer.Option("--once", help=_("Play it once, and stop."))] = False,
    log: Annotated[
        str | None,
        typer.Option(
            "--log",
            metavar="kafka://…",
            help=_("Play into a log on Kafka that other nodes show; its prefix begins with demo."),
        ),
    ] = None,
) -> int:
    """Start the demo and stay until a signal comes."""
    from kontaktcenter.demo import run  # noqa: PLC0415 -- `--help` starts without it

    return run(data, port=port, speed=speed, once=once, log=log)


@imports.command("queue-log", help=_("Import Asterisk's queue_log; a second time changes nothing."))
def queue_log(  # noqa: PLR0913 -- its flags
    files: Annotated[
        list[Path], typer.Argument(metavar="FILE…", help=_("The files, oldest first."))
    ],
    exchange: Annotated[
        str,
        typer.Option(
            "--exchange", metavar="NAME", help=_("The exchange that wrote them; part of every id.")
        ),
    ],
    data: Data = None,
    config: File = None,
    follow: Annotated[
        bool,
        typer.Option("--follow", help=_("Go on reading as the last file grows, until Ctrl-C.")),
    ] = False,
    as_json: Json = False,
) -> int:
    """Import files; malformed rows are told on stderr and the rest goes on."""
    args = {
        "files": [str(file.absolute()) for file in files],
        "exchange": exchange,
        "follow": follow,
    }
    return answer(asked(configured(data, config), "import.queue_log", args), as_json, _imported)


def _imported(report: Mapping[str, Any]) -> None:
    say(plural("{n} line read", "{n} lines read", report["lines"]))
    say(plural("{n} new fact recorded", "{n} new facts recorded", report["facts"]))
    say(_("{n} already known").format(n=report["already_known"]))
    if kept := report.get("kept"):
        hint(plural("{n} fact kept on this node until the log is back",
                    "{n} facts kept on this node until the log is back", kept))  # fmt: skip
    say(plural("{n} call", "{n} calls", report["calls"]))
    if report["malformed"]:
        n = len(report["malformed"])
        hint(plural("{n} malformed row kept aside", "{n} malformed rows kept aside", n))


@app.command(help=_("Figures by answer group and interval, read to the log's end first."))
def statistics(  # noqa: PLR0913 -- its flags
    data: Data = None,
    config: File = None,
    from_: Annotated[
        str | None,
        typer.Option("--from", metavar="ISO", help=_("From this time; without it, the whole log.")),
    ] = None,
    to: Annotated[
        str | None, typer.Option("--to", metavar="ISO", help=_("Up to, not including, this time."))
    ] = None,
    interval: Annotated[
        int, typer.Option(min=1, max=3600, help=_("Seconds; divides an hour."))
    ] = 900,
    by: Annotated[
        str, typer.Option(help=_("answer_group, authority, case_type, channel, centre or agent."))
    ] = "answer_group",
    answer_within: Annotated[
        float, typer.Option(min=0, help=_("Seconds; a wait equal to it is in time."))
    ] = 20,
    short_abandon: Annotated[
        float, typer.Option(min=0, help=_("Seconds; an abandonment is short below it."))
    ] = 5,
    as_json: Json = False,
) -> int:
    """Print interval statistics."""
    from kontaktcenter.tables import print_statistics  # noqa: PLC0415 -- `--help` starts without it

    args = {
        "from": moment(from_, "--from"),
        "to": moment(to, "--to"),
        "interval": interval,
        "by": by,
        "answer_within": answer_within,
        "short_abandon": short_abandon,
    }
    return answer(
        asked(configured(data, config), "statistics.statistics", args), as_json, print_statistics
    )


app.command(
    "report",
    help=_("A month of one authority: a page to print and a table, own figures alone."),
)(cli_report.report)


@app.command(help=_("Queues and figures as they stood at a time."))
def replay(
    until: Annotated[
        str,
        typer.Option(
            "--until", metavar="ISO", help=_("The time; what happened later is left out.")
        ),
    ],
    data: Data = None,
    config: File = None,
    as_json: Json = False,
) -> int:
    """Fold the log up to a time, beside the read models, and print what stood there."""
    from kontaktcenter.tables import print_replay  # noqa: PLC0415 -- `--help` starts without it

    args = {"until": moment(until, "--until")}
    return answer(asked(configured(data, config), "replay.replay", args), as_json, print_replay)


@app.command(help=_("Check this installation and its data: each line says what to do."))
def doctor(data: Data = None, config: File = None, as_json: Json = False) -> int:
    """Check everything that can be checked; exit code 0, 3 with warnings, 1 with failures."""
    from kontaktcenter.commands.doctor import examine  # noqa: PLC0415 -- `--help` starts without it
    from kontaktcenter.tables import print_doctor  # noqa: PLC0415 -- `--help` starts without it

    return answer(examine(configured(data, config)), as_json, print_doctor)


def run(argv: list[str] | None = None) -> int:
    """Run the command line; every way to end has an exit code and no traceback.

    The one place of the process that catches everything.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a terminal that has no å shows ?, and goes on
    try:
        code = app(args=argv, prog_name="kontaktcenter", standalone_mode=False)
        sys.stdout.flush()
        return int(code or Exit.DONE)
    except (BrokenPipeError, ReaderGone):
        # Nothing may be written any more while Python ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return Exit.DONE
    except typer.TyperException as e:
        _usage(e)
        return e.exit_code
    except KeyboardInterrupt:
        return Exit.INTERRUPTED
    except Exception as e:  # noqa: BLE001 -- the edge of a process: nobody is shown a traceback
        hint(_("Error: ") + told(e, folder_of_errors[0] if folder_of_errors else None))
        return exit_code(e)


def _usage(error: typer.TyperException) -> None:
    show = getattr(error, "show", None)
    if show is not None:
        show()
    else:
        hint(_("Error: ") + str(error))
