"""What the commands share: common flags, reading the configuration, printing an answer."""

from __future__ import annotations

import asyncio
import json
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from core.errors import Invalid
from kontaktcenter import config as configuration
from kontaktcenter import words
from kontaktcenter.edge import Exit, ReaderGone
from kontaktcenter.words import _

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

words.choose(configuration.language_asked())  # before any help text is made

Data = Annotated[
    Path | None,
    typer.Option("--data", metavar="DIR", help=_("The data folder: log, keys and read models.")),
]
File = Annotated[
    Path | None,
    typer.Option(
        "--config",
        metavar="FILE",
        help=_("Another file than kontaktcenter.toml in the data folder."),
    ),
]
As = Annotated[
    str,
    typer.Option(
        "--as",
        metavar="ACCOUNT",
        help=_("Act with this account's rights; what is seen and done is recorded as its own."),
    ),
]
Json = Annotated[bool, typer.Option("--json", help=_("Answer with JSON on stdout."))]

# The data folder of the command under way: where the edge keeps the details of an unforeseen error.
folder_of_errors: list[Path] = []


def configured(data: Path | None, file: Path | None, **flags: object) -> configuration.Config:
    """The configuration for a command; speaks its language from now on. Raises: ConfigError."""
    found = configuration.load({"data": data, **flags}, file=file)
    words.choose(found.language)
    folder_of_errors[:] = [found.data]
    return found


def group(text: str) -> typer.Typer:
    """A group of commands with the help `text`."""
    return typer.Typer(help=text, no_args_is_help=True, rich_markup_mode=None)


def asked(config: configuration.Config, verb: str, args: Mapping[str, object]) -> dict[str, Any]:
    """Have `verb` done, here or in the running node, with this terminal listening."""
    from kontaktcenter.dispatch import send  # noqa: PLC0415 -- `--help` starts without it
    from kontaktcenter.terminal import Terminal  # noqa: PLC0415 -- `--help` starts without it

    async def work() -> dict[str, object]:
        with Terminal() as terminal:
            return await send(config, verb, args, terminal)

    return asyncio.run(work())


def answer(
    result: Mapping[str, Any], as_json: bool, people: Callable[[Mapping[str, Any]], None]
) -> int:
    """Print the answer, for a program or for people; the exit code is the answer's own, else 0."""
    result = dict(result)
    code = int(result.pop("exit", Exit.DONE))
    try:
        if as_json:
            sys.stdout.write(json.dumps(result, ensure_ascii=False) + "\n")
        else:
            people(result)
    except BrokenPipeError as e:
        raise ReaderGone from e
    return code


def say(text: str) -> None:
    """A line for a person, on stdout."""
    sys.stdout.write(text + "\n")


def hint(text: str) -> None:
    """A line for a person beside the answer, on stderr."""
    sys.stderr.write(text + "\n")


def moment(text: str | None, flag: str) -> str | None:
    """A time as a person gave it, ISO 8601; without zone it is this machine's. Raises: Invalid."""
    if text is None:
        return None
    try:
        found = datetime.fromisoformat(text)
    except ValueError as e:
        said = _("{flag}: {text} is not a time; write it as 2026-11-22T04:30:00+01:00")
        raise Invalid(said.format(flag=flag, text=repr(text))) from e
    return found.astimezone(UTC).isoformat()


def table(columns: list[str], rows: list[list[str]], numbers_from: int = 1) -> None:
    """A table on stdout; columns from `numbers_from` on are set to the right. Plain where piped."""
    from rich.console import Console  # noqa: PLC0415 -- `--help` starts without it
    from rich.table import Table  # noqa: PLC0415 -- `--help` starts without it

    made = Table(box=None, pad_edge=False)
    for n, name in enumerate(columns):
        made.add_column(name, justify="right" if n >= numbers_from else "left", overflow="fold")
    for row in rows:
        made.add_row(*row)
    wide = None if sys.stdout.isatty() else 200
    Console(width=wide, highlight=False, markup=False).print(made)
