"""The book of keys: one wrapped key for each record, tombstoned by an erasure.

Not judged, no digest. Its contract is in `key_book`; on Kafka it is a topic (`kafka_log.keys`).

On one machine it is a SQLite file of its own beside the log, so that a backup can keep keys apart.
`secure_delete` overwrites what is erased, and the write-ahead log is emptied at once.
"""

from __future__ import annotations

import contextlib
import sqlite3
import threading
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, ClassVar, Final, Literal

from core.errors import Corrupt, Unavailable
from core.eventlog.key_book import KeyBook, MemoryKeys, lost, tombstone_of
from core.eventlog.sqlite_errors import SqliteErrors, is_surroundings, schema_differs
from core.personal import PROTECTED_WRAPPED_BYTES, subject_of

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

__all__ = ["KeyBook", "MemoryKeys", "SqliteKeys", "microseconds", "tombstone_of"]

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


class SqliteKeys:
    """Keys in a SQLite file with `synchronous=FULL`, or NORMAL for one that is another's copy.

    Raises: Corrupt where the file is missing and must not be made (`may_make`), or is damaged;
    Unavailable.
    """

    more_schema: ClassVar[tuple[str, ...]] = ()  # of a kind of this file that holds more

    def __init__(
        self, path: Path, *, may_make: bool = True, synchronous: Literal["FULL", "NORMAL"] = "FULL"
    ) -> None:
        self._path = path
        schema = (*self.more_schema, *_SQL_SCHEMA)
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
            self._conn.execute(f"PRAGMA synchronous={synchronous}")
            self._conn.execute("PRAGMA secure_delete=ON")
            # A crash between an erasure and the emptying of the write-ahead log left a copy there.
            self._conn.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            if self._conn.execute("PRAGMA integrity_check(1)").fetchone()[0] != "ok":
                self._conn.close()
                raise self._damaged("it contradicts itself")
            for statement in schema[:-1]:
                self._conn.execute(statement)
            self._conn.execute(_SQL_BEFORE_ERASED)
            self._conn.execute(schema[-1])
            differing = schema_differs(self._conn, schema)
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
            raise lost(key_id)
        found: bytes | None = rows[0][0]
        return found

    def add(self, keys: list[tuple[str, bytes]]) -> None:
        """Keep new keys, in one transaction."""
        with self._changing() as conn:
            conn.executemany(
                "INSERT INTO key VALUES (?, ?, ?)", [(k, subject_of(k), w) for k, w in keys]
            )

    def add_kept(self, keys: list[tuple[str, bytes]]) -> None:
        """As `add`: this machine is all there is."""
        self.add(keys)

    def send_kept(self) -> int:
        """Nothing waits."""
        return 0

    def erase(
        self,
        decided: Mapping[str, datetime],
        upto: int,
        places: Mapping[str, int] | None = None,  # noqa: ARG002 -- no other node makes keys here
    ) -> int:
        """Tombstone, and empty the write-ahead log so that no copy stays behind."""
        with self._changing() as conn:
            gone = sum(
                conn.execute(
                    "UPDATE key SET wrapped = NULL WHERE subject = ? AND wrapped IS NOT NULL",
                    (subject,),
                ).rowcount
                for subject in decided
            )
            self._note_erasures(conn, decided, upto)
        self._empty_wal(gone)
        return gone

    def _note_erasures(
        self, conn: sqlite3.Connection, decided: Mapping[str, datetime], upto: int
    ) -> None:
        for subject, at in decided.items():
            conn.execute(
                "INSERT OR IGNORE INTO key VALUES (?, ?, NULL)", (tombstone_of(subject), subject)
            )
            conn.execute(
                "INSERT INTO erased VALUES (?, ?) ON CONFLICT (subject) DO UPDATE SET"
                " decided_us = max(decided_us, excluded.decided_us)",
                (subject, microseconds(at)),
            )
        conn.execute("INSERT OR REPLACE INTO progress VALUES ('erasures', ?)", (upto,))

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

    def remaining(self, subjects: Iterable[str]) -> int:  # noqa: ARG002 -- the contract's
        """None: what is destroyed is gone."""
        return 0

    def compaction_s(self) -> float | None:
        """At once."""
        return None

    def fault(self) -> str | None:
        """Whoever uses the file is told of what is wrong with it."""
        return None

    def watch(self, told: Callable[[Collection[str]], None]) -> None:
        """No other node changes this file."""

    def rewrap(self, keys: list[tuple[str, bytes]], progress: tuple[str, int] | None) -> None:
        """Another wrapping, and empty the write-ahead log so that no copy stays behind."""
        with self._changing() as conn:
            conn.executemany(
                "UPDATE key SET wrapped = ? WHERE id = ? AND wrapped IS NOT NULL",
                [(wrapped, key_id) for key_id, wrapped in keys],
            )
            if progress is not None:
                conn.execute("INSERT OR REPLACE INTO progress VALUES (?, ?)", progress)
        self._empty_wal(len(keys))

    def reached(self, name: str) -> int:
        """The position under a name."""
        rows = self._run("SELECT position FROM progress WHERE name = ?", [name])
        return rows[0][0] if rows else 0

    def one_protected(self) -> tuple[str, bytes] | None:
        """Some live key of a protected identity."""
        rows = self._run(f"SELECT id, wrapped FROM key WHERE {_PROTECTED} LIMIT 1", [])
        return (rows[0][0], rows[0][1]) if rows else None

    @contextlib.contextmanager
    def _changing(self) -> Iterator[sqlite3.Connection]:
        """One transaction: all of it, or none where something is raised."""
        with self._lock:
            try:
                self._conn.execute("BEGIN IMMEDIATE")
                yield self._conn
                self._conn.execute("COMMIT")
            except BaseException as e:
                with contextlib.suppress(*SqliteErrors):
                    if self._conn.in_transaction:
                        self._conn.execute("ROLLBACK")
                if isinstance(e, SqliteErrors):
                    raise self._error(e) from e
                raise

    def _empty_wal(self, changed: int) -> None:
        """Leave no copy behind of what was overwritten."""
        if changed:
            self._run("PRAGMA wal_checkpoint(TRUNCATE)", [])

    def _in_parts(self, sql: str, subjects: Iterable[str]) -> list[tuple[Any, ...]]:
        """The rows of a query about `subjects`, as many at once as SQLite takes."""
        names, rows = list(subjects), []
        for start in range(0, len(names), _SUBJECTS_PER_QUERY):
            part = names[start : start + _SUBJECTS_PER_QUERY]
            rows += self._run(sql.format(",".join("?" * len(part))), part)
        return rows

    def _run(self, sql: str, params: Sequence[str | int]) -> list[tuple[Any, ...]]:
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


def microseconds(at: datetime) -> int:
    """Microseconds since 1970, exactly."""
    return (at - _EPOCH) // _US
