"""The book of keys: one wrapped key for each record, tombstoned by an erasure.

Not judged, no digest.

On one machine it is a SQLite file of its own beside the log, so that a backup can keep keys apart.
`secure_delete` overwrites what is erased, and the write-ahead log is emptied at once.
"""

from __future__ import annotations

import os
import sqlite3
import threading
from collections import OrderedDict
from typing import TYPE_CHECKING, Protocol

from core.errors import Corrupt, Unavailable
from core.eventlog.sqlite_errors import SqliteErrors, is_surroundings, schema_differs
from core.personal import CitySecret, DataKey, subject_of, unwrap, wrap

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

_OPEN_KEYS_MAX = 20_000
_KEY_ID_BYTES = 8
_SUBJECTS_PER_QUERY = 400

_SQL_SCHEMA = (
    "CREATE TABLE IF NOT EXISTS key (id TEXT PRIMARY KEY, subject TEXT NOT NULL, wrapped BLOB)",
    "CREATE INDEX IF NOT EXISTS key_subject ON key (subject)",
    "CREATE TABLE IF NOT EXISTS progress (name TEXT PRIMARY KEY, position INTEGER NOT NULL)",
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

    def erase(self, subjects: list[str], upto: int) -> int:
        """Tombstone all keys of `subjects`, note the position `upto`; how many keys went."""
        ...

    def erased_upto(self) -> int:
        """The position in the centre's book up to which erasures have been carried out."""
        ...

    def close(self) -> None:
        """Let go of files."""
        ...


class MemoryKeys:
    """Keys in memory, for the memory log."""

    def __init__(self) -> None:
        self._wrapped: dict[str, bytes | None] = {}
        self._live: dict[str, str] = {}
        self._upto = 0

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

    def erase(self, subjects: list[str], upto: int) -> int:
        """Tombstone."""
        gone = [
            k for k, w in self._wrapped.items() if w is not None and subject_of(k) in set(subjects)
        ]
        for key_id in gone:
            self._wrapped[key_id] = None
            self._live.pop(subject_of(key_id), None)
        self._upto = upto
        return len(gone)

    def erased_upto(self) -> int:
        """The position up to which erasures have been carried out."""
        return self._upto

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
            for statement in _SQL_SCHEMA:
                self._conn.execute(statement)
            differing = schema_differs(self._conn, _SQL_SCHEMA)
        except (*SqliteErrors, OSError) as e:
            self._conn.close()
            raise self._error(e) from e
        if differing is not None:
            self._conn.close()
            raise self._damaged(f"its description of itself is not ours: {differing}")

    def of_subjects(self, subjects: Iterable[str]) -> dict[str, tuple[str, bytes]]:
        """A live key for each subject that has one."""
        found: dict[str, tuple[str, bytes]] = {}
        names = list(subjects)
        for start in range(0, len(names), _SUBJECTS_PER_QUERY):
            part = names[start : start + _SUBJECTS_PER_QUERY]
            marks = ",".join("?" * len(part))
            sql = (
                "SELECT subject, id, wrapped FROM key WHERE wrapped IS NOT NULL AND subject IN "
                f"({marks})"
            )
            found.update(
                (subject, (key_id, wrapped)) for subject, key_id, wrapped in self._run(sql, part)
            )
        return found

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

    def erase(self, subjects: list[str], upto: int) -> int:
        """Tombstone, and empty the write-ahead log so that no copy stays behind."""
        with self._lock:
            try:
                self._conn.execute("BEGIN IMMEDIATE")
                gone = sum(
                    self._conn.execute(
                        "UPDATE key SET wrapped = NULL WHERE subject = ? AND wrapped IS NOT NULL",
                        (subject,),
                    ).rowcount
                    for subject in subjects
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

    def erased_upto(self) -> int:
        """The position up to which erasures have been carried out."""
        rows = self._run("SELECT position FROM progress WHERE name = 'erasures'", [])
        return rows[0][0] if rows else 0

    def _rollback(self) -> None:
        if self._conn.in_transaction:
            self._conn.execute("ROLLBACK")

    def _run(self, sql: str, params: list[str]) -> list[tuple]:  # type: ignore[type-arg]  # rows as sqlite3 gives them
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


def _lost(key_id: str) -> Corrupt:
    msg = (
        f"the key {key_id} is not in the file of keys, and was not erased there: restore that "
        "file from the "
        "keys' backup (kontaktcenter backup restore)"
    )
    return Corrupt(msg, key=key_id)


class Keyring:
    """Opened keys of a book of keys, a bounded number of them in memory."""

    def __init__(
        self, book: KeyBook, secret: CitySecret, entropy: Callable[[int], bytes] = os.urandom
    ) -> None:
        self._book, self._secret, self._entropy = book, secret, entropy
        self._by_subject: OrderedDict[str, DataKey] = OrderedDict()
        self._by_id: OrderedDict[str, DataKey] = OrderedDict()
        self._using = threading.RLock()

    def missing(self, subjects: Iterable[str]) -> list[str]:
        """Those of `subjects` that have no opened key in memory."""
        return [subject for subject in subjects if subject not in self._by_subject]

    def ensure(self, subjects: Iterable[str]) -> None:
        """Have a live key for each subject: from the book, or new and durable before this returns.

        Blocking; call it off the loop. Raises: Unavailable, Corrupt.
        """
        wanted = list(subjects)
        with self._using:
            missing = self.missing(wanted)
            found = self._book.of_subjects(missing)
            keys = [self._unwrap(*found[s]) if s in found else self._new(s) for s in missing]
            new = [
                (k.id, wrap(k, self._secret, self.nonce()))
                for k in keys
                if subject_of(k.id) not in found
            ]
            if new:
                self._book.add(new)
            for key in keys:  # only now: a key that nobody can read back must not seal anything
                self._by_subject[subject_of(key.id)] = self._by_id[key.id] = key
            for subject in wanted:
                self._by_subject.move_to_end(subject)
            _trim(self._by_subject, max(_OPEN_KEYS_MAX, len(wanted)))
            _trim(self._by_id, _OPEN_KEYS_MAX)

    def _new(self, subject: str) -> DataKey:
        return DataKey(f"{subject}/{self._entropy(_KEY_ID_BYTES).hex()}", self._entropy(32))

    def for_subject(self, subject: str) -> DataKey:
        """The key to seal with; `ensure` came first, and nothing was awaited since."""
        return self._by_subject[subject]

    def by_id(self, key_id: str) -> DataKey | None:
        """The key to open with, None where it was erased. Raises: Corrupt where it was lost."""
        with self._using:
            key = self._by_id.get(key_id)
            if key is None:
                wrapped = self._book.wrapped(key_id)
                if wrapped is None:
                    return None
                key = self._by_id[key_id] = self._unwrap(key_id, wrapped)
                _trim(self._by_id, _OPEN_KEYS_MAX)
            return key

    def nonce(self) -> bytes:
        """12 fresh random bytes."""
        return self._entropy(12)

    def erase(self, subjects: list[str], upto: int) -> int:
        """Tombstone all keys of `subjects` in the book and drop them here; how many went. Blocking.

        Dropped first, and the book held meanwhile: nothing new is sealed with a key that is on its
        way out.
        """
        with self._using:
            for subject in subjects:
                self._by_subject.pop(subject, None)
            gone = set(subjects)
            for key_id in [k for k in self._by_id if subject_of(k) in gone]:
                del self._by_id[key_id]
            return self._book.erase(subjects, upto)

    def _unwrap(self, key_id: str, wrapped: bytes) -> DataKey:
        try:
            return unwrap(key_id, wrapped, self._secret)
        except ValueError as e:
            msg = (
                f"{e} ({key_id}): put the right city.key in place (KC_MASTER_KEY_FILE), or "
                "restore the file of "
                "keys from the keys' backup"
            )
            raise Corrupt(msg, key=key_id) from e


def _trim(keys: OrderedDict[str, DataKey], entries_max: int) -> None:
    while len(keys) > entries_max:
        keys.popitem(last=False)
