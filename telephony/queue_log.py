"""Asterisk's `queue_log` into the log: read once, or followed while it grows."""

from __future__ import annotations

import asyncio
import gc
import os
from pathlib import Path
from typing import TYPE_CHECKING

from telephony.follower import follow
from telephony.importer import Importer, ImportReport, MalformedRow
from telephony.reading import CutShortError, Reader, check_source

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from core.commit import Port
    from core.taxonomy import Directory

__all__ = ["ImportReport", "MalformedRow", "follow", "import_files"]

# Every row makes objects that stay until its batch is judged; walking them each 700 costs a third.
_COLLECT_AFTER = 50_000


async def import_files(  # noqa: PLR0913 -- the edges are arguments
    port: Port,
    paths: Sequence[Path | str],
    exchange: str,
    directory: Directory,
    *,
    progress: Callable[[int, int, int], None] | None = None,
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
) -> ImportReport:
    """Record every row of the files, in their order; what is known already stays as it is.

    Run it on the port's own loop. Files may be plain or gzip, and may overlap. `progress` gets
    lines done, and bytes done and in all (on disk) after each batch. Nothing is recorded before all
    files have been looked at. A run that was broken off is simply run again.
    Raises: Refused (a path, or no queue_log at all), Invalid (the exchange's name), Unavailable,
    Corrupt.
    """
    importer = Importer(port, exchange, directory, sleep)
    thresholds = gc.get_threshold()
    sources = [check_source(Path(path)) for path in paths]
    bytes_total = sum(source.size_bytes for source in sources)
    bytes_before = 0
    report = importer.report
    try:
        gc.set_threshold(_COLLECT_AFTER)
        for path, source in zip(paths, sources, strict=True):
            reader, name, next_no = Reader(source), os.fspath(path), 1
            try:
                for batch in reader.batches():
                    await importer.take(name, batch.first_no, batch.lines)
                    next_no = batch.first_no + len(batch.lines)
                    if progress is not None:
                        progress(report.lines, bytes_before + batch.bytes_done, bytes_total)
            except CutShortError:
                report.lines += 1
                importer.malformed(name, next_no, "the gzip file is damaged or cut here")
            if reader.unfinished:
                report.unfinished.append(name)
            bytes_before += source.size_bytes
        await importer.settle()
    finally:
        gc.set_threshold(*thresholds)
        await importer.close()
    if progress is not None:
        progress(report.lines, bytes_total, bytes_total)
    return report
