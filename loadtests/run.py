"""`make loadtest`: a server of its own, a surge, and the verdict of ledger against log.

    python -m loadtests.run --locust .venv-load/bin/locust --server .venv/bin/kontaktcenter

The results stay in the folder given with --results. Exit code 0 where the verdict is a pass.
`--brokers 1` or `3` starts Kafka for the run, `--kafka HOST:PORT[,…]` uses one that is there; else
the log is SQLite. The surge of a big city is `--calls-per-s 50 --factor 1 --whole --seconds 600`.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shlex
import signal
import subprocess
import sys
import threading
import time
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from loadtests import verify

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parents[1]
READY_S = 60.0
EXCHANGE = "load"
# The lab's brokers save on compiling, for they live for minutes; this one is measured.
JVM = ("-Xmx1g", "-XX:-UseSerialGC", "-XX:+UseG1GC", "-XX:TieredStopAtLevel=4")


def main(arguments: list[str] | None = None) -> int:
    """Run it all."""
    given = _parser().parse_args(arguments)
    results = Path(given.results) / time.strftime("%Y%m%dT%H%M%S")
    results.mkdir(parents=True)
    with _kafka(given, results) as log:
        return _run(given, results, {**os.environ, **log})


def _run(given: argparse.Namespace, results: Path, environment: dict[str, str]) -> int:
    data = results / "data"
    command = [*shlex.split(given.server), "serve", "--data", str(data), "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as server:
        try:
            address = _address(server)
            print(f"· the server answers at {address}; {given.seconds:g} s of surge", flush=True)
            generator = _surge(given, address, data / "facts.token", results)
        finally:
            server.send_signal(signal.SIGTERM)
            server.wait(READY_S)
    export = results / "log.jsonl"
    subprocess.run(
        [*shlex.split(given.server), "log", "export", str(export), "--data", str(data)],
        check=True, env=environment,
    )  # fmt: skip
    verdict = verify.main([str(results / "ledger.jsonl"), str(export), EXCHANGE])
    summary = json.loads((results / "summary.json").read_text(encoding="utf-8"))
    for key in (
        "facts",
        "acknowledged",
        "errors",
        "latency_ms",
        "generators_own_ms",
        "late_starts",
        "valid",
    ):
        print(f"  {key}: {summary[key]}")
    if not summary["valid"]:
        print("! too many late starts: the generator was too slow here, the latencies say nothing")
    print(f"· results in {results}")
    return verdict or generator


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="loadtests.run")
    parser.add_argument("--locust", required=True)
    parser.add_argument("--server", required=True, help="the command of the product")
    parser.add_argument("--results", default=str(ROOT / "loadtests" / "results"))
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--calls-per-s", type=float, default=20.0)
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--factor", type=float, default=3.0)
    parser.add_argument("--whole", action="store_true", help="six facts of every call")
    parser.add_argument("--brokers", type=int, choices=(1, 3), help="start so many of Kafka")
    parser.add_argument("--kafka", help="HOST:PORT[,…] of a Kafka that is there")
    return parser


@contextmanager
def _kafka(given: argparse.Namespace, results: Path) -> Iterator[dict[str, str]]:
    """The environment of a server whose log is on Kafka, with topics of this run's own."""
    if given.kafka is None and given.brokers is None:
        yield {}
        return
    made, servers = "unsafe", given.kafka
    with ExitStack() as stack:
        if servers is None:
            from deploy.kafka_lab import Broker, Cluster, software  # noqa: PLC0415 -- not without Kafka

            found, folder = software(print), results / "kafka"
            lab = Broker(found, folder, jvm=JVM) if given.brokers == 1 else Cluster(found, folder)
            stack.callback(lab.close)
            lab.start()
            servers, made = lab.servers, "unsafe" if given.brokers == 1 else "safe"
        prefix = f"load{results.name}"
        yield {"KC_LOG": f"kafka://{servers}/{prefix}", "KC_LOG_CREATE": made}


def _address(server: subprocess.Popen[str]) -> str:
    """What the server prints when it answers; the rest of its output is read and let go."""
    assert server.stdout is not None
    said = ""
    for line in server.stdout:
        said += line
        found = re.search(r"http://\S+", line)
        if found:
            threading.Thread(target=server.stdout.read, daemon=True).start()
            return found[0].rstrip("/")
    raise SystemExit(f"the server ended before it answered:\n{said}")


def _surge(given: argparse.Namespace, address: str, token: Path, results: Path) -> int:
    command = [
        given.locust, "-f", str(ROOT / "loadtests" / "locustfile.py"),
        "--headless", "--only-summary", "-u", "1", "-r", "1",
        "--host", address, "--exchange", EXCHANGE,
        "--token-file", str(token), "--ledger", str(results / "ledger.jsonl"),
        "--summary", str(results / "summary.json"), "--seed", str(given.seed),
        "--calls-per-s", str(given.calls_per_s), "--seconds", str(given.seconds),
        "--factor", str(given.factor), *(["--whole"] if given.whole else []),
    ]  # fmt: skip
    with (results / "locust.log").open("wb") as log:
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        return subprocess.run(
            command, stdout=log, stderr=log, env=environment, check=False
        ).returncode


if __name__ == "__main__":
    sys.exit(main())
