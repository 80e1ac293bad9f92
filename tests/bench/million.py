"""A million events: how soon a node whose index was lost is ready, how long the whole takes."""

from __future__ import annotations

import asyncio
import json
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from bench.common import Figure, table
from bench.material import clock, million

from core.eventlog.node import Node, NodeSettings

EVENTS = 1_000_000


def _peak_mb() -> float:
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    for line in lines:
        if line.startswith("VmHWM"):
            return float(line.split()[1]) / 1_024
    raise RuntimeError("this machine does not tell a process's peak memory")


async def _rebuild(folder: Path) -> dict[str, float]:
    started = time.perf_counter()
    settings = NodeSettings(f"sqlite:{folder}/log.db", folder, clock)
    node = await Node.open(settings, wait_for_index=False)
    ready = time.perf_counter() - started
    await node.settle()
    whole = time.perf_counter() - started
    peak = _peak_mb()
    assert node.positions()["calls/0"] == EVENTS
    await node.close()
    started = time.perf_counter()
    node = await Node.open(settings)
    again = time.perf_counter() - started
    await node.close()
    return {"ready_s": ready, "whole_s": whole, "again_s": again, "peak_mb": peak}


def _here(folder: Path) -> None:
    print(json.dumps(asyncio.run(_rebuild(folder))))


def _again(folder: Path) -> None:
    async def opened() -> float:
        node = await Node.open(NodeSettings(f"sqlite:{folder}/log.db", folder, clock))
        memory = _peak_mb()
        await node.close()
        return memory

    print(json.dumps({"mb": asyncio.run(opened())}))


def _apart(what: str, folder: Path) -> dict[str, float]:
    """Measure in a process of its own, so that its memory is its own."""
    program = (
        "import sys; sys.path[:0] = ['.', 'tests']\n"
        "from pathlib import Path\n"
        "from bench import million\n"
        f"million.{what}(Path({str(folder)!r}))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], check=True, capture_output=True, text=True
    )
    found: dict[str, float] = json.loads(done.stdout)
    return found


def measure() -> None:
    """All tables of this file."""
    folder = Path(tempfile.mkdtemp(prefix="bench-"))
    try:
        million(folder, EVENTS)
        figures = {
            "node ready (judges and takes facts)": Figure("", "s"),
            "whole index": Figure("", "s"),
            "node opened again": Figure("", "s"),
            "peak memory of the rebuild": Figure("", "MB"),
            "memory of a node opened on it": Figure("", "MB"),
        }
        for _ in range(3):
            shutil.rmtree(folder / "index", ignore_errors=True)
            found = _apart("_here", folder)
            figures["node ready (judges and takes facts)"].rounds.append(found["ready_s"])
            figures["whole index"].rounds.append(found["whole_s"])
            figures["node opened again"].rounds.append(found["again_s"])
            figures["peak memory of the rebuild"].rounds.append(found["peak_mb"])
            figures["memory of a node opened on it"].rounds.append(_apart("_again", folder)["mb"])
        size = (folder / "log.db").stat().st_size / 1e6
        what = f"{EVENTS:,} one-event commits, 100 to an envelope, {size:.0f} MB of log"
        table(f"A lost index, {what}", figures)
    finally:
        shutil.rmtree(folder)
