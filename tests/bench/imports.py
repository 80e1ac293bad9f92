"""Lines of a `queue_log` into the log, a second, beside parsing them alone."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
import time
from pathlib import Path

from bench.common import rounds, table
from bench.material import clock, crisis

from core.eventlog.node import Node, NodeSettings
from core.taxonomy import Directory
from telephony.queue_log import import_files
from telephony.rows import parse

TIMES = 20


async def _imported(path: Path) -> float:
    folder = Path(tempfile.mkdtemp(prefix="bench-"))
    node = await Node.open(NodeSettings(f"sqlite:{folder}/log.db", folder, clock))
    try:
        started = time.perf_counter()
        report = await import_files(node, [path], "bench", Directory())
        took = time.perf_counter() - started
        assert report.facts == report.lines, report
        return report.lines / took
    finally:
        await node.close()
        shutil.rmtree(folder)


def _parsed(path: Path) -> float:
    lines = path.read_bytes().splitlines()
    started = time.perf_counter()
    for number, line in enumerate(lines, start=1):
        parse(line, number)
    return len(lines) / (time.perf_counter() - started)


def measure() -> None:
    """All tables of this file."""
    folder = Path(tempfile.mkdtemp(prefix="bench-"))
    path = folder / "queue_log"
    crisis(path, TIMES)
    base = "parsing alone"
    figures = rounds({
        base: ("lines/s", lambda: _parsed(path)),
        "into the log (sealed, judged, durable)": ("lines/s", lambda: asyncio.run(_imported(path))),
    })  # fmt: skip
    table(f"queue_log, the recorded crisis {TIMES} times over", figures, base)
    shutil.rmtree(folder)
