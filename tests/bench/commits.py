"""Commits: bare sqlite3, the library's recorder and ours, equally durable, in the same run."""

from __future__ import annotations

import asyncio
import shutil
import sqlite3
import tempfile
import threading
import time
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import UUID, uuid4

import msgspec
from bench.common import percentile, rounds, table
from eventsourcing.persistence import StoredEvent
from eventsourcing.sqlite import SQLiteApplicationRecorder, SQLiteDatastore

from core.eventlog.envelope import LoggedCommit, LoggedEvent
from core.eventlog.node import Node, NodeSettings

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

STATE = (
    b'{"queue":"kris","agent":"Agent 101","by":"agent","wait_s":12.0,"talk_s":100.0,"note":"'
    + b"x" * 200
    + b'"}'
)
COMMITS = 3_000
SERIAL = 600
WARM_UP = 2_500  # until the write-ahead log has wrapped once each fsync also grows the file
LARGE, LARGE_EVENTS = 20, 1_000
_DATA = msgspec.Raw(STATE)


def _clock() -> datetime:
    return datetime.now(UTC)


def _commit(events: int = 1) -> LoggedCommit:
    now = _clock()
    stream = f"call/bench/{uuid4()}"
    return LoggedCommit(
        uuid4(), "0" * 32, now, "bench", "import:bench",
        [LoggedEvent(stream, "call.ended", 1, now, _DATA) for _ in range(events)],
    )  # fmt: skip


def _ours(work: Callable[[Node], Awaitable[float]]) -> float:
    async def main() -> float:
        folder = Path(tempfile.mkdtemp(prefix="bench-"))
        node = await Node.open(NodeSettings(f"sqlite:{folder}/log.db", folder, _clock))
        try:
            return await work(node)
        finally:
            await node.close()
            shutil.rmtree(folder)

    return asyncio.run(main())


def ours_per_second(callers: int, events: int = 1, commits: int = COMMITS) -> float:
    """Commits a second with so many callers, each waiting for its verdict before the next."""

    async def work(node: Node) -> float:
        async def caller() -> None:
            for _ in range(commits // callers):
                await node.propose_commit("calls", _commit(events))

        started = time.perf_counter()
        await asyncio.gather(*(caller() for _ in range(callers)))
        return (commits // callers) * callers / (time.perf_counter() - started)

    return _ours(work)


def ours_p50_ms() -> float:
    """One caller's median time from asking to verdict."""

    async def work(node: Node) -> float:
        for _ in range(WARM_UP):
            await node.propose_commit("calls", _commit())
        times = []
        for _ in range(SERIAL):
            started = time.perf_counter()
            await node.propose_commit("calls", _commit())
            times.append(time.perf_counter() - started)
        return percentile(times, 0.5) * 1_000

    return _ours(work)


def _library(work: Callable[[SQLiteApplicationRecorder], float]) -> float:
    folder = Path(tempfile.mkdtemp(prefix="bench-"))
    store = SQLiteDatastore(str(folder / "events.db"), pool_size=64, lock_timeout=30)
    recorder = SQLiteApplicationRecorder(store)
    recorder.create_table()
    try:
        return work(recorder)
    finally:
        store.close()
        shutil.rmtree(folder)


def _stored(originator: UUID, version: int) -> StoredEvent:
    return StoredEvent(originator, version, "call.ended", STATE)


def in_threads(callers: int, each: Callable[[], object]) -> float:
    """Run `each` in so many threads at once; seconds until all are done."""
    threads = [threading.Thread(target=each) for _ in range(callers)]
    started = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return time.perf_counter() - started


def library_per_second(callers: int, events: int = 1, commits: int = COMMITS) -> float:
    """Commits a second of the library's own SQLite recorder, a thread for each caller."""

    def work(recorder: SQLiteApplicationRecorder) -> float:
        def caller() -> None:
            for _ in range(commits // callers):
                originator = uuid4()
                recorder.insert_events([_stored(originator, v) for v in range(1, events + 1)])

        return (commits // callers) * callers / in_threads(callers, caller)

    return _library(work)


def library_p50_ms() -> float:
    """One caller's median time in the library's own SQLite recorder."""

    def work(recorder: SQLiteApplicationRecorder) -> float:
        for _ in range(WARM_UP):
            recorder.insert_events([_stored(uuid4(), 1)])
        times = []
        for _ in range(SERIAL):
            event = _stored(uuid4(), 1)
            started = time.perf_counter()
            recorder.insert_events([event])
            times.append(time.perf_counter() - started)
        return percentile(times, 0.5) * 1_000

    return _library(work)


def _bare(work: Callable[[sqlite3.Connection], float]) -> float:
    folder = Path(tempfile.mkdtemp(prefix="bench-"))
    conn = sqlite3.connect(folder / "bare.db", isolation_level=None)
    conn.execute("PRAGMA journal_mode=WAL")
    conn.execute("PRAGMA synchronous=FULL")
    conn.execute("CREATE TABLE record (offset INTEGER PRIMARY KEY, body BLOB NOT NULL)")
    try:
        return work(conn)
    finally:
        conn.close()
        shutil.rmtree(folder)


def bare_per_second(events: int = 1, commits: int = COMMITS) -> float:
    """Transactions a second of bare `sqlite3`, so many rows in each; nothing is checked."""

    def work(conn: sqlite3.Connection) -> float:
        started = time.perf_counter()
        for _ in range(commits):
            conn.execute("BEGIN")
            conn.executemany("INSERT INTO record (body) VALUES (?)", [(STATE,)] * events)
            conn.execute("COMMIT")
        return commits / (time.perf_counter() - started)

    return _bare(work)


def bare_p50_ms() -> float:
    """The median time of one bare insert."""

    def work(conn: sqlite3.Connection) -> float:
        for _ in range(WARM_UP):
            conn.execute("INSERT INTO record (body) VALUES (?)", (STATE,))
        times = []
        for _ in range(SERIAL):
            started = time.perf_counter()
            conn.execute("INSERT INTO record (body) VALUES (?)", (STATE,))
            times.append(time.perf_counter() - started)
        return percentile(times, 0.5) * 1_000

    return _bare(work)


def measure() -> None:
    """All tables of this file."""
    library = "the library's SQLite recorder"
    for callers in (1, 8, 64):
        figures = rounds({
            library: ("commits/s", partial(library_per_second, callers, 1, COMMITS // 3)),
            "bare sqlite3, one row a transaction": ("commits/s", bare_per_second),
            "ours": ("commits/s", partial(ours_per_second, callers, 1, COMMITS * min(callers, 8))),
        })  # fmt: skip
        table(f"One-event commits, {callers} caller{'s' if callers > 1 else ''}", figures, library)
    figures = rounds({
        library: ("ms", library_p50_ms),
        "bare sqlite3, one row a transaction": ("ms", bare_p50_ms),
        "ours": ("ms", ours_p50_ms),
    })  # fmt: skip
    table(f"One caller's p50, after {WARM_UP:,} commits", figures, library)
    figures = rounds({
        library: ("events/s", lambda: LARGE_EVENTS * library_per_second(1, LARGE_EVENTS, LARGE)),
        "bare sqlite3": ("events/s", lambda: LARGE_EVENTS * bare_per_second(LARGE_EVENTS, LARGE)),
        "ours": ("events/s", lambda: LARGE_EVENTS * ours_per_second(1, LARGE_EVENTS, LARGE)),
    })  # fmt: skip
    table("1,000-event commits, one caller", figures, library)
