"""The book of keys: one wrapped key for each record, tombstoned by an erasure.

Not judged, no digest.

On one machine it is a SQLite file of its own beside the log, so that a backup can keep keys apart.
`secure_delete` overwrites what is erased, and the write-ahead log is emptied at once.
"""

from __future__ import annotations

import sqlite3
import threading
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, Protocol

from core.errors import Corrupt, Unavailable
from core.eventlog.sqlite_errors import SqliteErrors, is_surroundings, schema_differs
from core.personal import PROTECTED_WRAPPED_BYTES, is_protected, subject_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

_SUBJECTS_PER_QUERY = 400
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_US: Final = timedelta(microseconds=1)

_PROTECTED: Final = f"length(wrapped) = {PROTECTED_WRAPPED_BYTES}"
_SQL_SCHEMA = (
    "CREATE TABLE IF NOT EXISTS key (id TEXT PRIMARY KEY, subject TEXT NOT NULL, wrapped BLOB)",
    "CREATE INDEX IF NOT EXISTS key_subject ON key (subject)",
    f"CREATE INDEX IF NOT EXISTS key_protected ON key (id) WHERE {_PROTECTED}",
    "CREATE TABLE IF NOT EXISTS progress (name TEXT PRIMARY KEY, position INTEGER NOT NULL)",
    "CREATE TABLE IF NOT EXISTS erased (subject TEXT PRIMARY KEY, decided_us INTEGER NOT NULL)",
)
# Files of before it was kept when an erasure was decided: they follow the log anew.
_SQL_BEFORE_ERASED = (
    "DELETE FROM progress WHERE NOT EXISTS (SELECT 1 FROM sqlite_master WHERE name = 'erased')"
)


class KeyBook(Protocol):
    """Where wrapped keys are kept."""

    def of_subjects(self, subjects: Iterable[str]) -> dict[str, tuple[str, bytes]]:
        """A live key, id and wrapped bytes, for each of `subjects` that has one."""
        ...

    def wrapped(self, key_id: str) -> bytes | None:
        """The wrapped key, None where it was erased.

        Raises: Corrupt where the book never had it: a lost key must not look like an erasure.
        """
        ...

    def add(self, keys: list[tuple[str, bytes]]) -> None:
        """Keep new keys; durable when this returns."""
        ...

    def erase(self, decided: Mapping[str, datetime], upto: int) -> int:
        """Tombstone all keys of the subjects, note the position `upto`; how many keys went.

        It is kept when each was decided, and each has a tombstone from now on, whether it had a key
        or not: what was written down before and arrives late is sealed with none.
        """
        ...

    def decided(self, subjects: Iterable[str]) -> dict[str, datetime]:
        """When the last erasure of each of `subjects` was decided, where there was one."""
        ...

    def tombstones(self, subjects: Iterable[str]) -> int:
        """How many keys of `subjects` were destroyed."""
        ...

    def erased_upto(self) -> int:
        """The position in the centre's book up to which erasures have been carried out."""
        ...

    def live(self, subjects: Iterable[str]) -> list[tuple[str, bytes]]:
        """Every live key of `subjects`, id and wrapped bytes."""
        ...

    def rewrap(self, keys: list[tuple[str, bytes]], progress: tuple[str, int] | None) -> None:
        """Put keys that are there in another wrapping, leaving no copy of the former one.

        `progress` is a name and a position that is reached with it. Durable when this returns.
        """
        ...

    def reached(self, name: str) -> int:
        """The position that was given to `rewrap` under `name`; 0 where there was none."""
        ...

    def one_protected(self) -> tuple[str, bytes] | None:
        """Some live key of a protected identity; None where there is none."""
        ...

    def close(self) -> None:
        """Let go of files."""
        ...


class MemoryKeys:
    """Keys in memory, for the memory log."""

    def __init__(self) -> None:
        self._wrapped: dict[str, bytes | None] = {}
        self._live: dict[str, str] = {}
        self._decided: dict[str, datetime] = {}
        self._upto = 0
        self._reached: dict[str, int] = {}

    def of_subjects(self, subjects: Iterable[str]) -> dict[str, tuple[str, bytes]]:
        """A live key for each subject that has one."""
        found = {}
        for subject in subjects:
            key_id = self._live.get(subject)
            wrapped = self._wrapped.get(key_id) if key_id else None
            if key_id and wrapped:
                found[subject] = (key_id, wrapped)
        return found

    def wrapped(self, key_id: str) -> bytes | None:
        """The wrapped key."""
        if key_id not in self._wrapped:
            raise _lost(key_id)
        return self._wrapped[key_id]

    def add(self, keys: list[tuple[str, bytes]]) -> None:
        """Keep new keys."""
        for key_id, wrapped in keys:
            self._wrapped[key_id] = wrapped
            self._live[subject_of(key_id)] = key_id

    def erase(self, decided: Mapping[str, datetime], upto: int) -> int:
        """Tombstone."""
        gone = [k for k, w in self._wrapped.items() if w is not None and subject_of(k) in decided]
        for key_id in gone:
            self._wrapped[key_id] = None
            self._live.pop(subject_of(key_id), None)
        for subject, at in decided.items():
            self._wrapped.setdefault(tombstone_of(subject))
            self._decided[subject] = max(at, self._decided.get(subject, at))
        self._upto = upto
        return len(gone)

    def decided(self, subjects: Iterable[str]) -> dict[str, datetime]:
        """When erasures were decided."""
        return {s: self._decided[s] for s in subjects if s in self._decided}

    def tombstones(self, subjects: Iterable[str]) -> int:
        """How many keys were destroyed."""
        asked = set(subjects)
        return sum(
            wrapped is None and subject_of(k) in asked and k != tombstone_of(subject_of(k))
            for k, wrapped in self._wrapped.items()
        )

    def erased_upto(self) -> int:
        """The position up to which erasures have been carried out."""
        return self._upto

    def live(self, subjects: Iterable[str]) -> list[tuple[str, bytes]]:
        """Every live key."""
        asked = set(subjects)
        return [(k, w) for k, w in self._wrapped.items() if w and subject_of(k) in asked]

    def rewrap(self, keys: list[tuple[str, bytes]], progress: tuple[str, int] | None) -> None:
        """Another wrapping."""
        self._wrapped.update(keys)
        self._reached.update([progress] if progress else [])

    def reached(self, name: str) -> int:
        """The position under a name."""
        return self._reached.get(name, 0)

    def one_protected(self) -> tuple[str, bytes] | None:
        """Some live key of a protected identity."""
        return next(((k, w) for k, w in self._wrapped.items() if w and is_protected(w)), None)

    def close(self) -> None:
        """Nothing to let go of."""


class SqliteKeys:
    """Keys in a SQLite file with `synchronous=FULL`.

    Raises: Corrupt where the file is missing and must not be made (`may_make`), or is damaged;
    Unavailable.
    """

    def __init__(self, path: Path, *, may_make: bool = True) -> None:
        self._path = path
        self._lock = threading.Lock()
        if not may_make and not (path.exists() and path.stat().st_size):
            msg = (
                f"the file of keys {path} is missing, and the log was made with one: restore it "
                "from the keys' "
                "backup (kontaktcenter backup restore). Without it nothing that is sealed can be "
                "read again"
            )
            raise Corrupt(msg)
        try:
            self._conn = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        except sqlite3.Error as e:
            raise self._error(e) from e
        try:
            path.chmod(0o600)
            self._conn.execute("PRAGMA journal_mode=WAL")
            self._conn.execute("PRAGMA synchronous=FULL")
            self._conn.execute("PRAGMA secure_delete=ON")
            # A crash between an erasure and the emptying of the write-ahead log left a copy there.
            self._conn.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            if self._conn.execute("PRAGMA integrity_check(1)").fetchone()[0] != "ok":
                self._conn.close()
                raise self._damaged("it contradicts itself")
            for statement in _SQL_SCHEMA[:-1]:
                self._conn.execute(statement)
            self._conn.execute(_SQL_BEFORE_ERASED)
            self._conn.execute(_SQL_SCHEMA[-1])
            differing = schema_differs(self._conn, _SQL_SCHEMA)
        except (*SqliteErrors, OSError) as e:
            self._conn.close()
            raise self._error(e) from e
        if differing is not None:
            self._conn.close()
            raise self._damaged(f"its description of itself is not ours: {differing}")

    def of_subjects(self, subjects: Iterable[str]) -> dict[str, tuple[str, bytes]]:
        """A live key for each subject that has one."""
        sql = "SELECT subject, id, wrapped FROM key WHERE wrapped IS NOT NULL AND subject IN ({})"
        return {s: (key_id, wrapped) for s, key_id, wrapped in self._in_parts(sql, subjects)}

    def wrapped(self, key_id: str) -> bytes | None:
        """The wrapped key."""
        rows = self._run("SELECT wrapped FROM key WHERE id = ?", [key_id])
        if not rows:
            raise _lost(key_id)
        found: bytes | None = rows[0][0]
        return found

    def add(self, keys: list[tuple[str, bytes]]) -> None:
        """Keep new keys, in one transaction."""
        with self._lock:
            try:
                self._conn.execute("BEGIN IMMEDIATE")
                self._conn.executemany(
                    "INSERT INTO key VALUES (?, ?, ?)", [(k, subject_of(k), w) for k, w in keys]
                )
                self._conn.execute("COMMIT")
            except SqliteErrors as e:
                self._rollback()
                raise self._error(e) from e

    def erase(self, decided: Mapping[str, datetime], upto: int) -> int:
        """Tombstone, and empty the write-ahead log so that no copy stays behind."""
        with self._lock:
            try:
                self._conn.execute("BEGIN IMMEDIATE")
                gone = sum(
                    self._conn.execute(
                        "UPDATE key SET wrapped = NULL WHERE subject = ? AND wrapped IS NOT NULL",
                        (subject,),
                    ).rowcount
                    for subject in decided
                )
                for subject, at in decided.items():
                    self._conn.execute(
                        "INSERT OR IGNORE INTO key VALUES (?, ?, NULL)",
                        (tombstone_of(subject), subject),
                    )
                    self._conn.execute(
                        "INSERT INTO erased VALUES (?, ?) ON CONFLICT (subject) DO UPDATE SET"
                        " decided_us = max(decided_us, excluded.decided_us)",
                        (subject, (at - _EPOCH) // _US),
                    )
                self._conn.execute(
                    "INSERT OR REPLACE INTO progress VALUES ('erasures', ?)", (upto,)
                )
                self._conn.execute("COMMIT")
                if gone:
                    self._conn.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            except SqliteErrors as e:
                self._rollback()
                raise self._error(e) from e
        return gone

    def decided(self, subjects: Iterable[str]) -> dict[str, datetime]:
        """When erasures were decided."""
        sql = "SELECT subject, decided_us FROM erased WHERE subject IN ({})"
        return {s: _EPOCH + us * _US for s, us in self._in_parts(sql, subjects)}

    def tombstones(self, subjects: Iterable[str]) -> int:
        """How many keys were destroyed."""
        sql = "SELECT subject, id FROM key WHERE wrapped IS NULL AND subject IN ({})"
        return sum(key_id != tombstone_of(s) for s, key_id in self._in_parts(sql, subjects))

    def erased_upto(self) -> int:
        """The position up to which erasures have been carried out."""
        return self.reached("erasures")

    def live(self, subjects: Iterable[str]) -> list[tuple[str, bytes]]:
        """Every live key."""
        sql = "SELECT id, wrapped FROM key WHERE wrapped IS NOT NULL AND subject IN ({})"
        return self._in_parts(sql, subjects)

    def rewrap(self, keys: list[tuple[str, bytes]], progress: tuple[str, int] | None) -> None:
        """Another wrapping, and empty the write-ahead log so that no copy stays behind."""
        with self._lock:
            try:
                self._conn.execute("BEGIN IMMEDIATE")
                self._conn.executemany(
                    "UPDATE key SET wrapped = ? WHERE id = ? AND wrapped IS NOT NULL",
                    [(wrapped, key_id) for key_id, wrapped in keys],
                )
                if progress is not None:
                    self._conn.execute("INSERT OR REPLACE INTO progress VALUES (?, ?)", progress)
                self._conn.execute("COMMIT")
                if keys:
                    self._conn.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            except SqliteErrors as e:
                self._rollback()
                raise self._error(e) from e

    def reached(self, name: str) -> int:
        """The position under a name."""
        rows = self._run("SELECT position FROM progress WHERE name = ?", [name])
        return rows[0][0] if rows else 0

    def one_protected(self) -> tuple[str, bytes] | None:
        """Some live key of a protected identity."""
        rows = self._run(f"SELECT id, wrapped FROM key WHERE {_PROTECTED} LIMIT 1", [])
        return (rows[0][0], rows[0][1]) if rows else None

    def _rollback(self) -> None:
        if self._conn.in_transaction:
            self._conn.execute("ROLLBACK")

    def _in_parts(self, sql: str, subjects: Iterable[str]) -> list[tuple[Any, ...]]:
        """The rows of a query about `subjects`, as many at once as SQLite takes."""
        names, rows = list(subjects), []
        for start in range(0, len(names), _SUBJECTS_PER_QUERY):
            part = names[start : start + _SUBJECTS_PER_QUERY]
            rows += self._run(sql.format(",".join("?" * len(part))), part)
        return rows

    def _run(self, sql: str, params: list[str]) -> list[tuple[Any, ...]]:
        with self._lock:
            try:
                return self._conn.execute(sql, params).fetchall()
            except SqliteErrors as e:
                raise self._error(e) from e

    def _error(self, error: Exception) -> Unavailable | Corrupt:
        if isinstance(error, SqliteErrors) and not is_surroundings(error):
            return self._damaged(str(error))
        return Unavailable(
            f"the file of keys {self._path} cannot be used ({error}): nothing was recorded; "
            "check the disk, the folder and its rights",
            neighbour="keys",
            retry_after_s=5,
        )

    def _damaged(self, what: str) -> Corrupt:
        return Corrupt(
            f"the file of keys {self._path} is damaged ({what}): restore it from the keys' backup"
        )

    def close(self) -> None:
        """Close the file."""
        self._conn.close()


def tombstone_of(subject: str) -> str:
    """The id of the key that an erased subject never had: what is sealed with it is erased."""
    return f"{subject}/none"


def _lost(key_id: str) -> Corrupt:
    msg = (
        f"the key {key_id} is not in the file of keys, and was not erased there: restore that "
        "file from the "
        "keys' backup (kontaktcenter backup restore)"
    )
    return Corrupt(msg, key=key_id)
