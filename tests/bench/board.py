"""From a fact handed in over HTTP to the board's event stream: how long a coordinator waits."""

from __future__ import annotations

import http.client
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
from datetime import UTC, datetime
from pathlib import Path

from bench.common import Figure, percentile, table

FACTS = 200
EVERY_S = 0.05
TOKEN = "bench-token-bench-token-bench"


def _serve(folder: Path) -> tuple[subprocess.Popen[str], int]:
    server = subprocess.Popen(
        [sys.executable, "-m", "kontaktcenter", "serve", "--data", str(folder), "--port", "0"],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env={**os.environ, "KC_FACTS_TOKEN": TOKEN, "KC_PUBLIC_BOARD": "true"},
    )
    assert server.stdout is not None
    for line in server.stdout:
        found = re.search(r"http://[^:]+:(\d+)", line)
        if found:
            return server, int(found[1])
    raise RuntimeError("the server did not say where it is")


def _watch(port: int, seen: dict[int, float], until: threading.Event) -> None:
    """Note when the stream first shows each position of the calls."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    connection.request("GET", "/api/v1/stream")
    stream = connection.getresponse()
    while not until.is_set():
        line = stream.readline()
        if line.startswith(b"id:"):
            found = re.search(rb"calls\.0:(\d+)", line)
            if found:
                seen.setdefault(int(found[1]), time.perf_counter())


def _round() -> tuple[float, float]:
    folder = Path(tempfile.mkdtemp(prefix="bench-"))
    server, port = _serve(folder)
    seen: dict[int, float] = {}
    until = threading.Event()
    watcher = threading.Thread(target=_watch, args=(port, seen, until), daemon=True)
    watcher.start()
    time.sleep(1)
    asked: dict[int, float] = {}
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    headers = {"Authorization": f"Bearer {TOKEN}", "Content-Type": "application/json"}
    for n in range(FACTS):
        fact = {
            "exchange": "bench",
            "uniqueid": f"{1_795_000_000 + n}.1",
            "queue": "kris",
            "kind": "queued",
            "member": "NONE",
            "n": 1,
            "occurred_at": datetime.now(UTC).isoformat(),
            "data": {},
        }
        started = time.perf_counter()
        connection.request("POST", "/api/v1/calls/facts", json.dumps({"facts": [fact]}), headers)
        answer = json.loads(connection.getresponse().read())
        asked[answer["results"][0]["position"]] = started
        time.sleep(EVERY_S)
    time.sleep(1)
    until.set()
    server.send_signal(signal.SIGTERM)
    server.wait(30)
    times = []
    for position, started in asked.items():
        shown = min((at for upto, at in seen.items() if upto >= position), default=None)
        assert shown is not None, position
        times.append((shown - started) * 1_000)
    return percentile(times, 0.5), percentile(times, 0.99)


def measure() -> None:
    """All tables of this file."""
    figures = {"p50": Figure("p50", "ms"), "p99": Figure("p99", "ms")}
    for _ in range(3):
        p50, p99 = _round()
        figures["p50"].rounds.append(p50)
        figures["p99"].rounds.append(p99)
    table(f"From a fact asked over HTTP to the board's stream, {1 / EVERY_S:.0f} facts/s", figures)
