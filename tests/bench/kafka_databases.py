"""What else keeps events: the library on SQLite and on PostgreSQL, and the disk by itself."""

from __future__ import annotations

import os
import random
from pathlib import Path
from typing import TYPE_CHECKING

from bench.kafka_drive import LARGE_EVENTS
from bench.kafka_material import EVENT, name
from eventsourcing.persistence import StoredEvent
from eventsourcing.sqlite import SQLiteApplicationRecorder, SQLiteDatastore

if TYPE_CHECKING:
    from bench.kafka_drive import Setting
    from eventsourcing.persistence import ApplicationRecorder

TOPIC = "call.ended"
POOL = 16  # faster than a connection for each of 64 callers: the table is locked for each insert


class _Library:
    commits = 2_000
    recorder: ApplicationRecorder

    def __init__(self, setting: Setting) -> None:
        self._chance = random.Random(setting.prefix)

    def make(self, _number: int) -> list[StoredEvent]:
        return [StoredEvent(name(self._chance), 1, TOPIC, EVENT)]

    def commit(self, made: list[StoredEvent]) -> None:
        self.recorder.insert_events(made)

    def pipeline(self, many: list[list[StoredEvent]]) -> None:
        for one in many:  # it has no way of asking without waiting
            self.recorder.insert_events(one)

    def make_large(self, _number: int) -> list[StoredEvent]:
        this = name(self._chance)
        return [StoredEvent(this, n, TOPIC, EVENT) for n in range(1, LARGE_EVENTS + 1)]

    commit_large = commit


class LibrarySqlite(_Library):
    """`eventsourcing` with its SQLite recorder: WAL, `synchronous=FULL`."""

    def __init__(self, setting: Setting) -> None:
        super().__init__(setting)
        path = Path(setting.folder) / "library.db"
        self._store = SQLiteDatastore(str(path), pool_size=64, lock_timeout=30)
        recorder = SQLiteApplicationRecorder(self._store)
        recorder.create_table()
        self.recorder = recorder

    def close(self) -> None:
        self._store.close()


class LibraryPostgres(_Library):
    """`eventsourcing[postgres]` with its database functions on; the server as Debian sets it."""

    commits = 2_000

    def __init__(self, setting: Setting) -> None:
        from eventsourcing.postgres import PostgresApplicationRecorder, PostgresDatastore

        super().__init__(setting)
        self._store = PostgresDatastore(
            "postgres", "127.0.0.1", setting.postgres, "bench", "bench",
            pool_size=POOL, enable_db_functions=True, connect_timeout=60,
        )  # fmt: skip
        table = "bench_" + "".join(c for c in setting.prefix if c.isalnum()).lower()
        recorder = PostgresApplicationRecorder(self._store, events_table_name=table)
        recorder.create_table()
        self.recorder = recorder

    def close(self) -> None:
        self._store.close()


class Fdatasync:
    """The event's bytes appended to a file, then `fdatasync`, by each caller for itself."""

    commits = 2_000

    def __init__(self, setting: Setting) -> None:
        self._file = os.open(Path(setting.folder) / "file", os.O_WRONLY | os.O_CREAT | os.O_APPEND)

    def make(self, _number: int) -> bytes:
        return EVENT

    def commit(self, made: bytes) -> None:
        os.write(self._file, made)
        os.fdatasync(self._file)

    def pipeline(self, many: list[bytes]) -> None:
        for one in many:
            self.commit(one)

    def make_large(self, _number: int) -> bytes:
        return EVENT * LARGE_EVENTS

    commit_large = commit

    def close(self) -> None:
        os.close(self._file)
