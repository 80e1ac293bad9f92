"""`import queue-log`: Asterisk's own record of its calls into the log, once or as it grows."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING

from core.errors import Refused
from kontaktcenter.words import _
from telephony.queue_log import ImportReport, follow, import_files

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from core.taxonomy import Directory
    from kontaktcenter.out import Out
    from kontaktcenter.wiring import House
    from telephony.queue_log import MalformedRow


async def queue_log(house: House, args: Mapping[str, object], out: Out) -> dict[str, object]:
    """Import `files` of `exchange`; with `follow`, go on with the last one for ever.

    A malformed row is told by file and line and kept aside; the rest goes on.
    """
    files = args["files"]
    assert isinstance(files, list)
    exchange = str(args["exchange"])
    directory = await asyncio.to_thread(house.directory)
    whole = files[:-1] if args.get("follow") else files
    report = ImportReport()
    if whole:
        report = await import_files(
            house.node,
            whole,
            exchange,
            directory,
            progress=lambda _lines, done, total: out.progress("import", done, total),
        )
        await _tell([*report.malformed, *report.forks], out)
        for name in report.unfinished:
            said = _(
                "{file}: the last row has no line end and was not read; import the file again "
                "when it is whole"
            )
            await out.warn(said.format(file=name))
    if args.get("follow"):
        await _follow(house, Path(str(files[-1])), exchange, directory, out)
    await _catch_up(house)
    return report.as_json()


async def _catch_up(house: House) -> None:
    """Bring the read models to the log's end: whoever asks their files next finds it all there."""
    await house.node.settle()
    await asyncio.to_thread(house.catch_up)


async def _follow(house: House, file: Path, exchange: str, directory: Directory, out: Out) -> None:
    told = 0

    async def renewed() -> Directory:
        return await asyncio.to_thread(house.directory)

    async for report in follow(house.node, file, exchange, directory, renewed=renewed):
        await _tell(report.malformed[told:], out)
        told = len(report.malformed)
        await _catch_up(house)
        await out.line({**report.as_json(), "malformed": told})
    raise Refused(_("{file}: following it has ended").format(file=file))


async def _tell(rows: Sequence[MalformedRow], out: Out) -> None:
    for row in rows:
        await out.warn(f"{row.file}:{row.line}: {row.reason}")
