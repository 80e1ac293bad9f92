"""Snapshots for the library: a table beside the index, no part of the log, made again when lost."""

from __future__ import annotations

import sqlite3
import threading
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

from eventsourcing import persistence
from eventsourcing.persistence import AggregateRecorder, StoredEvent

from core.eventlog.index.index import VERSION_MAX
from core.eventlog.recorder.stored import stream_of

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path
    from uuid import UUID

_SQL_SCHEMA: Final = (
    "CREATE TABLE IF NOT EXISTS snapshot (stream TEXT NOT NULL, version INTEGER NOT NULL,"
    " topic TEXT NOT NULL, state BLOB NOT NULL, PRIMARY KEY (stream, version)) WITHOUT ROWID"
)
_SQL_INSERT: Final = "INSERT INTO snapshot VALUES (?, ?, ?, ?)"
_SQL_SELECT: Final = (
    "SELECT version, topic, state FROM snapshot WHERE stream = ? AND version > ? AND version <= ?"
    " ORDER BY version {} LIMIT ?"
)


class SnapshotRecorder(AggregateRecorder):
    """Snapshots of an application in `index/NAME.snapshots.db`: with the index they are deleted.

    A damaged file is made anew. Safe from any thread.
    """

    def __init__(self, folder: Path, name: str) -> None:
        super().__init__()
        self.path = folder / "index" / f"{quote(name, safe='')}.snapshots.db"
        self._lock = threading.Lock()
        self.path.parent.mkdir(parents=True, exist_ok=True)
        try:
            self._conn = self._open()
        except sqlite3.DatabaseError:
            for suffix in ("", "-wal", "-shm"):
                self.path.with_name(self.path.name + suffix).unlink(missing_ok=True)
            self._conn = self._open()

    def _open(self) -> sqlite3.Connection:
        conn = sqlite3.connect(self.path, isolation_level=None, check_same_thread=False)
        try:
            conn.execute("PRAGMA journal_mode=WAL")
            conn.execute("PRAGMA synchronous=NORMAL")
            conn.execute(_SQL_SCHEMA)
        except sqlite3.DatabaseError:
            conn.close()
            raise
        return conn

    def stop(self) -> None:
        """Close the file; called when the factory is closed."""
        with self._lock:
            self._conn.close()

    def insert_events(
        self,
        stored_events: Sequence[StoredEvent],
        **kwargs: Any,  # noqa: ARG002 -- the library's signature
    ) -> Sequence[int] | None:
        """Keep these snapshots. Raises: IntegrityError where one of a version is there already."""
        rows = [
            (stream_of(s.originator_id), s.originator_version, s.topic, s.state)
            for s in stored_events
        ]
        with self._lock:
            try:
                self._conn.execute("BEGIN IMMEDIATE")
                self._conn.executemany(_SQL_INSERT, rows)
                self._conn.execute("COMMIT")
            except sqlite3.Error as e:
                if self._conn.in_transaction:
                    self._conn.execute("ROLLBACK")
                raise _library_error(e) from e
        return None

    def select_events(
        self,
        originator_id: UUID | str,
        *,
        gt: int | None = None,
        lte: int | None = None,
        desc: bool = False,
        limit: int | None = None,
    ) -> Sequence[StoredEvent]:
        """The snapshots of an aggregate."""
        params = (
            stream_of(originator_id),
            -1 if gt is None else gt,
            VERSION_MAX if lte is None else lte,
            -1 if limit is None else limit,
        )
        with self._lock:
            try:
                sql = _SQL_SELECT.format("DESC" if desc else "ASC")
                rows = self._conn.execute(sql, params).fetchall()
            except sqlite3.Error as e:
                raise _library_error(e) from e
        return [StoredEvent(originator_id, *row) for row in rows]


def _library_error(error: sqlite3.Error) -> persistence.PersistenceError:
    if isinstance(error, sqlite3.IntegrityError):
        return persistence.IntegrityError(str(error))
    return persistence.OperationalError(str(error))
