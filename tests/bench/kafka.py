"""The log on Kafka, beside bare clients, the library on databases, and the disk, in one run.

Every contender is measured once a round in a process of its own, in another order each round.
BENCH_ROUNDS (5 here) says how many rounds, BENCH_SCALE what share of the commits, BENCH_KAFKA which
broker where it is not to be one of the bench's own.
"""

from __future__ import annotations

import os
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import msgspec
from bench.common import Figure
from bench.kafka_drive import Results, Setting
from bench.kafka_one import CONTENDERS
from bench.kafka_servers import Brokers, Postgres, brokers, postgres

if TYPE_CHECKING:
    from collections.abc import Iterable

ROUNDS = int(os.environ.get("BENCH_ROUNDS", "5"))
SCALE = float(os.environ.get("BENCH_SCALE", "1"))
ROOT = Path(__file__).parent.parent.parent
PAGE_CACHE = "page cache of one broker"
FLUSHED = "fsync of one broker, each record"
FSYNC = "fsync, each commit"
BARE, FAST, CLASSIC = "kafka-python, bare", "ours, over aiokafka", "ours, over kafka-python"
LARGEST = "`eventsourcing` on PostgreSQL 15"
_ONE_S = 180

COLUMNS = {
    "p50_ms": "1 caller, p50 ms",
    "p99_ms": "p99 ms",
    "callers_8_per_s": "8 callers, commits/s",
    "callers_64_per_s": "64 callers, commits/s",
    "pipelined_per_s": "pipelined, commits/s",
    "large_per_s": "1,000-event commits, events/s",
}
COSTS = {
    "callers_64_cpu_s": "CPU s per 1,000 commits, 64 callers: client",
    "callers_64_server_cpu_s": "server",
    "pipelined_cpu_s": "CPU s per 1,000 commits, pipelined: client",
    "pipelined_server_cpu_s": "server",
    "large_cpu_s": "CPU s per 1,000 events, 1,000 a commit: client",
    "large_server_cpu_s": "server",
    "peak_mb": "peak memory of the client, MB",
}


class Aim(NamedTuple):
    """A ratio of two medians that was aimed at."""

    what: str
    wanted: str
    name: str
    column: str
    base: str
    base_column: str
    durability: str = ""
    base_durability: str = ""


P50, P99, BY_64 = "p50_ms", "p99_ms", "callers_64_per_s"
PIPELINED, OF_1000 = "pipelined_per_s", "large_per_s"
AIMS = (
    Aim("aiokafka: one caller's p50", "≤ 0.50", FAST, P50, BARE, P50),
    Aim("aiokafka: one caller's p99", "≤ 0.80", FAST, P99, BARE, P99),
    Aim("aiokafka: 64 callers, to kafka-python pipelined", "≥ 2.0", FAST, BY_64, BARE, PIPELINED),
    Aim("aiokafka: 1,000-event commits", "≥ 5", FAST, OF_1000, BARE, OF_1000),
    Aim("kafka-python: one caller's p50", "≤ 1.3", CLASSIC, P50, BARE, P50),
    Aim("aiokafka: 64 callers, to PostgreSQL", "≥ 12", FAST, BY_64, LARGEST, BY_64, "", FSYNC),
    Aim("the same, fsync on both", "≥ 5", FAST, BY_64, LARGEST, BY_64, FLUSHED, FSYNC),
)


class Row(NamedTuple):
    """A contender and how durable its acknowledgement is."""

    name: str
    durability: str


ROWS = [
    Row(name, durability)
    for durability in (PAGE_CACHE, FLUSHED)
    for name in CONTENDERS
    if "bare" in name or "ours" in name
] + [Row(name, FSYNC) for name in CONTENDERS if "bare" not in name and "ours" not in name]


def run_apart(arguments: Iterable[object], seconds_max: float) -> str:
    """Run a module of the bench in a process of its own; what it printed."""
    done = subprocess.run(
        [sys.executable, "-m", *map(str, arguments)], cwd=ROOT, capture_output=True, text=True,
        check=False, timeout=seconds_max,
        env={**os.environ, "PYTHONPATH": f"{ROOT}:{ROOT / 'tests'}"},
    )  # fmt: skip
    if done.returncode:
        raise RuntimeError(done.stderr.strip()[-2_000:])
    return done.stdout


def measure() -> None:
    """All tables of the log on Kafka."""
    with brokers() as log, postgres() as database:
        if isinstance(database, str):
            print(f"\nPostgreSQL is not measured: {database}", flush=True)
        found = _rounds(log, database)
        print(
            f"\n### The log on Kafka: one event of 300 bytes a commit, {ROUNDS} rounds, {log.words}"
        )
        _table(COLUMNS, found)
        print("\n### What a commit costs")
        _table(COSTS, found)
        print("\n### Ratios, of medians")
        _ratios(found)
        for part in ("kafka_nodes", "kafka_rebuild"):
            __import__(f"bench.{part}", fromlist=["measure"]).measure(log)


def _rounds(log: Brokers, database: Postgres | str) -> dict[Row, list[Results]]:
    found: dict[Row, list[Results]] = defaultdict(list)
    chance = random.Random(5)
    rows = [row for row in ROWS if row.name != LARGEST or not isinstance(database, str)]
    for number in range(ROUNDS):
        for row in chance.sample(rows, len(rows)):
            found[row].append(_one(row, log, database, number))
            print(f"· round {number + 1}: {row.name} ({row.durability})", file=sys.stderr)
    return {row: found[row] for row in rows}


def _one(row: Row, log: Brokers, database: Postgres | str, number: int) -> Results:
    folder = Path(tempfile.mkdtemp(prefix="bench-"))
    prefix = f"bench{os.getpid()}r{number}n{ROWS.index(row)}"
    on_kafka = row.durability != FSYNC
    port = database.port if isinstance(database, Postgres) else ""
    setting = Setting(log.address, prefix, str(folder), row.durability == FLUSHED, port, SCALE)
    pids = log.pids if on_kafka else []
    if row.name == LARGEST and isinstance(database, Postgres):
        pids = [database.process.pid]
    if on_kafka:
        topics = (
            [f"{prefix}.bare"] if "bare" in row.name else [f"{prefix}.calls", f"{prefix}.centre"]
        )
        log.make_topics(topics, flushed=setting.flushed)
    try:
        told = run_apart(
            ["bench.kafka_one", row.name, msgspec.json.encode(setting).decode(), *pids], _ONE_S
        )
        return msgspec.json.decode(told, type=Results)
    finally:
        if on_kafka:
            log.drop_topics(f"{prefix}.")
        shutil.rmtree(folder, ignore_errors=True)


def _table(columns: dict[str, str], found: dict[Row, list[Results]]) -> None:
    print(f"\n| what | acknowledged from | {' | '.join(columns.values())} |")
    print("| --- " * (len(columns) + 2) + "|")
    for row, results in found.items():
        cells = [Figure("", "", [r[column] for r in results]).text() for column in columns]
        print(f"| {row.name} | {row.durability} | {' | '.join(cells)} |", flush=True)


def _ratios(found: dict[Row, list[Results]]) -> None:
    def median(name: str, durability: str, column: str) -> float:
        results = found.get(Row(name, durability))
        return statistics.median(r[column] for r in results) if results else float("nan")

    print("\n| what | ratio | aim |")
    print("| --- | --- | --- |")
    for aim in AIMS:
        mine = median(aim.name, aim.durability or PAGE_CACHE, aim.column)
        base = median(aim.base, aim.base_durability or PAGE_CACHE, aim.base_column)
        print(f"| {aim.what} | {mine / base:.2f} | {aim.wanted} |", flush=True)
