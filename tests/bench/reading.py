"""Read models: ours over the recorded crisis, bare `sqlite3` upserts, the library's runner."""

from __future__ import annotations

import asyncio
import shutil
import sqlite3
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
from bench.common import rounds, table
from bench.material import clock, crisis
from eventsourcing.application import Application
from eventsourcing.dispatch import singledispatchmethod
from eventsourcing.domain import Aggregate, event
from eventsourcing.persistence import Tracking, TrackingRecorder
from eventsourcing.projection import Projection, ProjectionRunner
from eventsourcing.sqlite import SQLiteTrackingRecorder

from core.eventlog.node import Node, NodeSettings
from core.eventlog.recorder.blocking import BlockingNode
from core.taxonomy import Directory
from projections.read_models import all_projections
from projections.runner import Runner
from telephony.queue_log import import_files

if TYPE_CHECKING:
    from eventsourcing.domain import DomainEventProtocol

TIMES = 20
LIBRARY_EVENTS = 2_000
_UPSERT = (
    "INSERT INTO {} VALUES (?, 1, ?)"
    " ON CONFLICT (name) DO UPDATE SET n = n + 1, last = excluded.last"
)


async def _fill(folder: Path, path: Path) -> int:
    node = await Node.open(NodeSettings(f"sqlite:{folder}/log.db", folder, clock))
    report = await import_files(node, [path], "bench", Directory())
    await node.close()
    return report.facts


def _ours(folder: Path, events: int) -> float:
    shutil.rmtree(folder / "projections", ignore_errors=True)
    with BlockingNode(NodeSettings(f"sqlite:{folder}/log.db", folder, clock)) as node:
        runner = Runner(node, folder / "projections", all_projections())
        started = time.perf_counter()
        runner.catch_up()
        took = time.perf_counter() - started
        runner.close()
    return events / took


def _bare(folder: Path, per_transaction: int) -> float:
    """Decode each event's data and upsert two rows; what a read model does at the very least."""
    with BlockingNode(NodeSettings(f"sqlite:{folder}/log.db", folder, clock)) as node:
        commits = [c.commit for s in node.shards() for c in node.read(s, 0, 1_000_000)]
    events = [e for c in commits for e in c.events]
    target = Path(tempfile.mkdtemp(prefix="bench-"))
    conn = sqlite3.connect(target / "bare.db", isolation_level=None)
    conn.execute("PRAGMA journal_mode=WAL")
    conn.execute("PRAGMA synchronous=NORMAL")
    for name in ("by_stream", "by_type"):
        conn.execute(f"CREATE TABLE {name} (name TEXT PRIMARY KEY, n INTEGER, last TEXT)")
    streams, types = _UPSERT.format("by_stream"), _UPSERT.format("by_type")
    started = time.perf_counter()
    for first in range(0, len(events), per_transaction):
        conn.execute("BEGIN")
        for logged in events[first : first + per_transaction]:
            data = msgspec.json.decode(logged.data)
            last = str(data.get("queue"))
            conn.execute(streams, (logged.stream, last))
            conn.execute(types, (logged.type, last))
        conn.execute("COMMIT")
    took = time.perf_counter() - started
    conn.close()
    shutil.rmtree(target)
    return len(events) / took


class _Call(Aggregate):
    @event("Queued")
    def __init__(self, queue: str) -> None:
        self.queue = queue


class _Calls(Application[Any]):
    def take(self) -> None:
        self.save(_Call("kris"))


class _View(SQLiteTrackingRecorder):
    def construct_create_table_statements(self) -> list[str]:
        return [
            *super().construct_create_table_statements(),
            "CREATE TABLE IF NOT EXISTS by_stream (name TEXT PRIMARY KEY, n INTEGER, last TEXT)",
        ]

    def note(self, name: str, tracking: Tracking) -> None:
        with self.datastore.transaction(commit=True) as cursor:
            self._insert_tracking(cursor, tracking)
            cursor.execute(_UPSERT.format("by_stream"), (name, "kris"))


class _ByStream(Projection[TrackingRecorder]):
    name = "bystream"
    topics = ()

    @singledispatchmethod
    def process_event(self, domain_event: DomainEventProtocol[Any], tracking: Tracking) -> None:
        self.view.note(str(domain_event.originator_id), tracking)  # type: ignore[attr-defined]


def _library() -> float:
    folder = Path(tempfile.mkdtemp(prefix="bench-"))
    # The library's own SQLite recorder has no subscriptions, so its application is on our log.
    env = {
        "PERSISTENCE_MODULE": "core.eventlog.recorder",
        "KC_LOG": f"sqlite:{folder}/log.db",
        "KC_DATA": str(folder),
        "BYSTREAM_PERSISTENCE_MODULE": "eventsourcing.sqlite",
        "BYSTREAM_SQLITE_DBNAME": str(folder / "view.db"),
    }
    app = _Calls(env=env)
    for _ in range(LIBRARY_EVENTS):
        app.take()
    last = app.recorder.max_notification_id()
    started = time.perf_counter()
    with ProjectionRunner(
        application_class=_Calls, projection_class=_ByStream, view_class=_View, env=env,
    ) as runner:  # fmt: skip
        runner.wait(last, timeout=120)
    took = time.perf_counter() - started
    app.close()
    shutil.rmtree(folder)
    return LIBRARY_EVENTS / took


def measure() -> None:
    """All tables of this file."""
    folder = Path(tempfile.mkdtemp(prefix="bench-"))
    crisis(folder / "queue_log", TIMES)
    events = asyncio.run(_fill(folder, folder / "queue_log"))
    base = "the library's ProjectionRunner, one upsert an event"
    figures = rounds({
        base: ("events/s", _library),
        "bare sqlite3, two upserts an event": ("events/s", lambda: _bare(folder, 1_000)),
        "ours, all three read models": ("events/s", lambda: _ours(folder, events)),
    })  # fmt: skip
    table(f"Read models, the recorded crisis {TIMES} times over ({events:,} events)", figures, base)
    shutil.rmtree(folder)
