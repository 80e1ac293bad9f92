"""The log in one SQLite file: the embedded default. One row an envelope, WAL, `synchronous=FULL`.

The file belongs to one process (an OS lock beside it). Writes run on one thread, one statement a
record, so that each append is one transaction and one fsync. Every record carries a CRC-32: SQLite
has no checksums of its own, and a flipped bit must stop the node, not become a fact.
"""

from __future__ import annotations

import asyncio
import os
import sqlite3
import threading
from concurrent.futures import ThreadPoolExecutor
from time import perf_counter
from typing import TYPE_CHECKING, TypeVar
from zlib import crc32

from core.errors import (
    Corrupt,
    KontaktcenterError,
    NeedsUpgrade,
    Refused,
    Unavailable,
    Unknown,
)
from core.eventlog.locks import hold
from core.eventlog.log import Record
from core.eventlog.sqlite_errors import SqliteErrors, is_surroundings, schema_differs
from core.limits import APPEND_NOW_S_MAX

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

APPLICATION_ID = 0x4B434C47  # "KCLG": what `file` and we tell the log by
LAYOUT = 1  # of the file; the format of envelopes is in their genesis
_SYNCHRONOUS_FULL = 2
_LATELY = 8  # appends over which the time is averaged
_T = TypeVar("_T")

_SQL_SCHEMA = """
CREATE TABLE shard (
  id INTEGER PRIMARY KEY, book TEXT NOT NULL, number INTEGER NOT NULL, UNIQUE (book, number)
)"""
_SQL_TABLE = (
    "CREATE TABLE {} (offset INTEGER PRIMARY KEY, body BLOB NOT NULL, crc INTEGER NOT NULL)"
)
_SQL_ADD_SHARD = "INSERT INTO shard (book, number) VALUES (?, ?)"
_SQL_SHARD = "SELECT id FROM shard WHERE book = ? AND number = ?"
_SQL_BOOKS = "SELECT book, count(*) FROM shard GROUP BY book ORDER BY book"


class SqliteLog:
    """One shard in the file: the table `record_<id>` of offsets, bodies and checksums."""

    shared = False
    in_flight_max = 1  # a second append would wait for the first one's fsync
    identity: str | None = None

    def __init__(self, store: SqliteStore, table: str, end: int) -> None:
        self._store = store
        self._sql_append = f"INSERT INTO {table} (offset, body, crc) VALUES (?, ?, ?)"
        self._sql_read = (
            f"SELECT offset, body, crc FROM {table} WHERE offset >= ? ORDER BY offset LIMIT ?"
        )
        self._sql_end = f"SELECT max(offset) FROM {table}"
        self._end = end
        self._doubtful = False  # an append ended in an error, and the file could not be asked

    def pin(self, identity: str | None) -> None:
        """Nothing: the file is held open, and its genesis and tail are compared at the start."""

    async def append(self, body: bytes) -> int:
        """Append; the answer comes after the fsync."""
        return await self._store.on_writer(lambda: self._timed_append(body))

    def append_now(self, body: bytes) -> int | None:
        """Append at once where this disk has lately been quicker than a thread and back."""
        store = self._store
        if store.append_s > APPEND_NOW_S_MAX or not store.writing.acquire(blocking=False):
            return None
        try:
            return self._timed_append(body)
        finally:
            store.writing.release()

    def _timed_append(self, body: bytes) -> int:
        started = perf_counter()
        try:
            return self._append(body)
        finally:
            self._store.append_s += (perf_counter() - started - self._store.append_s) / _LATELY

    def _append(self, body: bytes) -> int:
        if self._doubtful:
            self._end = self._end_in_file()
            self._doubtful = False
        offset = self._end
        try:
            self._store.writer.execute(self._sql_append, (offset, body, crc32(body)))
        except SqliteErrors as e:
            self._settle(e, offset, body)
        self._end = offset + 1
        return offset

    def _end_in_file(self) -> int:
        """Where the file ends, after an append of which nobody knew the outcome.

        Raises: Unavailable.
        """
        try:
            self._store.reopen_writer()
            last = self._store.writer.execute(self._sql_end).fetchone()[0]
        except SqliteErrors as e:
            raise unavailable(e) from e
        return 0 if last is None else int(last) + 1

    def _settle(self, error: Exception, offset: int, body: bytes) -> None:
        """After an error, ask the file itself whether the record is there; returns if it is."""
        try:
            self._store.reopen_writer()
            found = self._store.writer.execute(self._sql_read, (offset, 1)).fetchone()
        except (*SqliteErrors, KontaktcenterError) as again:
            self._doubtful = True
            msg = f"the log cannot be written ({again}); it is not known whether this was recorded"
            raise Unknown(msg, neighbour="log", retry_after_s=5) from error
        if found is None:
            raise unavailable(error) from error
        if found != (offset, body, crc32(body)):
            raise damaged(self._store.path, f"record {offset} is not what was written") from error

    async def read(self, offset: int, limit: int, wait_s: float) -> Sequence[Record]:  # noqa: ARG002 -- nobody else appends
        """Records from `offset` on."""
        return await self._store.on_reader(lambda: self._read(offset, limit))

    def _read(self, offset: int, limit: int) -> list[Record]:
        end = self._end  # before the rows: the end may move while they are fetched
        try:
            rows = self._store.reader.execute(self._sql_read, (offset, limit)).fetchall()
        except SqliteErrors as e:
            raise _unreadable(self._store.path, e) from e
        if not rows and offset < end:
            raise damaged(self._store.path, f"record {offset} is missing")
        records = []
        for expected, (found, body, crc) in enumerate(rows, start=offset):
            if found != expected:
                raise damaged(self._store.path, f"record {expected} is missing")
            if not isinstance(body, bytes) or crc32(body) != crc:
                raise damaged(self._store.path, f"record {found} does not match its checksum")
            records.append(Record(found, body))
        return records

    async def end(self) -> int:
        """The offset that the next record will get."""
        return self._end


class SqliteStore:
    """The file, its lock, its writing thread and its reading thread.

    Raises, when opened: InUse, Refused (a durability that could lose something), NeedsUpgrade,
    Corrupt.
    """

    shared = False

    def __init__(self, path: Path, *, synchronous: str = "FULL") -> None:
        self.path = path
        if synchronous.upper() != "FULL":
            msg = (
                f"synchronous={synchronous} can lose what was acknowledged when the power fails; "
                "the log starts only with FULL: remove the setting"
            )
            raise Refused(msg)
        self._lock = hold(
            path.resolve().with_name(path.resolve().name + ".lock"), f"the log {path}"
        )
        self._shards: dict[tuple[str, int], SqliteLog] = {}
        try:
            self.writer = self._open()
            try:
                self.reader = self._open()
            except BaseException:
                self.writer.close()
                raise
        except BaseException:
            os.close(self._lock)
            raise
        self.writing = threading.Lock()  # who holds it may use the writer
        self.append_s = (
            2 * APPEND_NOW_S_MAX
        )  # how long an append took lately; unknown disks count as slow
        self._writing = ThreadPoolExecutor(1, thread_name_prefix="log-writer")
        self._reading = ThreadPoolExecutor(1, thread_name_prefix="log-reader")

    def reopen_writer(self) -> None:
        """A fresh connection after an error: what the old one believes of the file may be wrong."""
        self.writer.close()
        self.writer = self._open()

    def _open(self) -> sqlite3.Connection:
        try:
            return _connect(self.path)
        except SqliteErrors as e:
            raise _unreadable(self.path, e) from e

    async def on_writer(self, work: Callable[[], _T]) -> _T:
        """Run `work` on the writing thread."""

        def alone() -> _T:
            with self.writing:
                return work()

        return await asyncio.get_running_loop().run_in_executor(self._writing, alone)

    async def on_reader(self, work: Callable[[], _T]) -> _T:
        """Run `work` on the reading thread."""
        return await asyncio.get_running_loop().run_in_executor(self._reading, work)

    async def open_shard(self, book: str, shard: int) -> SqliteLog:
        """The log of one shard, made at the first call."""
        known = self._shards.get((book, shard))
        if known is None:
            known = await self.on_writer(lambda: self._open_shard(book, shard))
            self._shards[book, shard] = known
        return known

    def _open_shard(self, book: str, shard: int) -> SqliteLog:
        try:
            table = self._table(book, shard)
            end = self.writer.execute(f"SELECT max(offset) FROM {table}").fetchone()[0]
        except SqliteErrors as e:
            raise _unreadable(self.path, e) from e
        return SqliteLog(self, table, 0 if end is None else end + 1)

    def _table(self, book: str, shard: int) -> str:
        row = self.writer.execute(_SQL_SHARD, (book, shard)).fetchone()
        if row is not None:
            return f"record_{row[0]}"
        self.writer.execute("BEGIN IMMEDIATE")
        try:
            table = f"record_{self.writer.execute(_SQL_ADD_SHARD, (book, shard)).lastrowid}"
            self.writer.execute(_SQL_TABLE.format(table))
            self.writer.execute("COMMIT")
        except sqlite3.Error:
            if self.writer.in_transaction:
                self.writer.execute("ROLLBACK")
            raise
        return table

    def known_shard(self, book: str, shard: int) -> SqliteLog:
        """Raises: KeyError where it was not opened: a file of this machine is never away."""
        return self._shards[book, shard]

    async def books(self) -> Mapping[str, int]:
        """The books that exist, with their number of shards."""
        return await self.on_writer(self.books_now)

    def books_now(self) -> dict[str, int]:
        """As `books`, blocking. Raises: Corrupt, Unavailable."""
        try:
            return dict(self.writer.execute(_SQL_BOOKS).fetchall())
        except SqliteErrors as e:
            raise _unreadable(self.path, e) from e

    async def close(self) -> None:
        """Let go of the file, the threads and the lock."""
        self.close_now()

    def close_now(self) -> None:
        """As `close`, where no loop runs."""
        self._writing.shutdown(wait=True)
        self._reading.shutdown(wait=True)
        self.reader.close()
        self.writer.close()
        os.close(self._lock)


def _connect(path: Path) -> sqlite3.Connection:
    conn = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    try:
        _prepare(conn, path)
    except BaseException:
        conn.close()
        raise
    return conn


def _prepare(conn: sqlite3.Connection, path: Path) -> None:
    tables = conn.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0]
    application = conn.execute("PRAGMA application_id").fetchone()[0]
    layout = conn.execute("PRAGMA user_version").fetchone()[0]
    if tables and application != APPLICATION_ID:
        msg = (
            f"{path} is a SQLite file, but not a log of Kontaktcenter: point KC_LOG to another file"
        )
        raise Corrupt(msg)
    if tables and layout < LAYOUT:
        raise damaged(path, f"its header says layout {layout}")
    if tables and layout > LAYOUT:
        msg = (
            f"{path} was written by a newer program (layout {layout}; this one knows {LAYOUT}): "
            "upgrade this one"
        )
        raise NeedsUpgrade(msg)
    if tables:
        _check_description(conn, path)
    mode = conn.execute("PRAGMA journal_mode=WAL").fetchone()[0]
    conn.execute("PRAGMA synchronous=FULL")
    synchronous = conn.execute("PRAGMA synchronous").fetchone()[0]
    if mode != "wal" or synchronous != _SYNCHRONOUS_FULL:
        msg = (
            f"{path}: the disk does not allow WAL with synchronous=FULL (got {mode}, "
            f"{synchronous}): use a local disk"
        )
        raise Refused(msg)
    if not tables:
        conn.execute("BEGIN IMMEDIATE")
        conn.execute(f"PRAGMA application_id={APPLICATION_ID}")
        conn.execute(f"PRAGMA user_version={LAYOUT}")
        conn.execute(_SQL_SCHEMA)
        conn.execute("COMMIT")


def _check_description(conn: sqlite3.Connection, path: Path) -> None:
    if conn.execute("PRAGMA integrity_check('shard')").fetchone()[0] != "ok":
        raise damaged(path, "its table of shards contradicts itself")
    shards = conn.execute("SELECT id FROM shard").fetchall()
    made_by = [_SQL_SCHEMA, *(_SQL_TABLE.format(f"record_{row[0]}") for row in shards)]
    differing = schema_differs(conn, made_by)
    if differing is not None:
        raise damaged(path, f"its description of itself is not ours: {differing}")


def _unreadable(path: Path, error: Exception) -> Unavailable | Corrupt:
    """What an error of opening or reading means: the surroundings, or the file itself."""
    if is_surroundings(error):
        msg = f"the log {path} cannot be read ({error}); check the disk, the folder and its rights"
        return Unavailable(msg, neighbour="log", retry_after_s=5)
    return damaged(path, str(error))


def unavailable(error: Exception) -> Unavailable:
    """The log's file is as it was, and the record is not in it."""
    text = str(error)
    if "full" in text:
        msg = "the log's disk is full: nothing was recorded; free some space and try again"
    else:
        msg = (
            f"the log cannot be written ({text}): nothing was recorded; check the disk and its "
            "rights"
        )
    return Unavailable(msg, neighbour="log", retry_after_s=5)


def damaged(path: Path, what: str) -> Corrupt:
    """The log's file is not what was written."""
    msg = (
        f"the log {path} is damaged: {what}. Nothing is skipped; stop, keep a copy of the file, "
        "and restore the last backup (kontaktcenter backup restore)"
    )
    return Corrupt(msg)
