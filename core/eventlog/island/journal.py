"""The journal of a node: facts that the log could not take, on this disk until the log has them.

One SQLite file in the data folder, WAL with `synchronous=FULL`, one writing thread. Rows are as the
log will hold them: personal data is sealed. Each row carries a CRC-32, and the file says how many
rows it should hold, so that damage is found and told. A row is removed only when this node has
judged its commit; what was proposed and not removed is proposed again, a duplicate.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Final

from core.errors import Corrupt, NeedsUpgrade, Unavailable, Unknown
from core.eventlog.island.journal_file import (
    FILE,
    RETRY_S,
    SQL_ROW,
    Entry,
    Row,
    connect,
    crc_of,
    damaged,
    damaged_journals,
    error_of,
    row_of,
    salvaged,
    set_aside,
)
from core.eventlog.island.telling import same_commit
from core.eventlog.sqlite_errors import SqliteErrors
from core.limits import JOURNAL_ROWS_MAX, MIB

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from datetime import datetime
    from pathlib import Path

_CHECKED_BYTES_MAX: Final = 128 * MIB  # a start must not wait for the whole of a large one
_EMPTY_BYTES_MAX: Final = 16 * MIB
_HOLDS: Final = "rows"  # the note of how many rows there should be
_SQL_KEEP: Final = (
    "INSERT INTO kept (n, book, place, id, intent, raw, crc) VALUES (?, ?, ?, ?, ?, ?, ?)"
)
_SQL_TOUCH: Final = "INSERT OR IGNORE INTO touched (stream, n) VALUES (?, ?)"
_SQL_SAME: Final = "SELECT n, raw FROM kept WHERE id = ? AND intent = ? ORDER BY n"
_SQL_FIRST: Final = (
    "SELECT n, book, place, id, intent, raw, crc FROM kept "
    "WHERE n > ? AND book = ? AND place % ? = ? ORDER BY n LIMIT ?"
)
_SQL_COUNT: Final = "SELECT count(*) FROM kept WHERE book = ? AND place % ? = ?"
_SQL_OF_STREAM: Final = (
    "SELECT k.n, k.book, k.place, k.id, k.intent, k.raw, k.crc FROM touched t "
    "JOIN kept k ON k.n = t.n WHERE t.stream = ? ORDER BY k.n"
)
_SQL_NOTE: Final = "INSERT OR REPLACE INTO note (name, value) VALUES (?, ?)"
_SQL_FORGET: Final = "DELETE FROM note WHERE name = ?"
_SQL_HOLDS: Final = (
    "INSERT INTO note (name, value) VALUES (?, ?) "
    "ON CONFLICT (name) DO UPDATE SET value = CAST(value AS INTEGER) + excluded.value"
)
_SQL_SET_ASIDE: Final = "INSERT OR REPLACE INTO aside (n, why, book, raw) VALUES (?, ?, ?, ?)"


class Journal:
    """The file. `keep`, `remove` and `put_aside` from one thread; the rest from any.

    Raises, when opened: Corrupt (damage; see `open_journal`), NeedsUpgrade, Unavailable.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._reading = threading.Lock()
        try:
            self.fresh = not path.exists()
            self._writer = connect(path)
            try:
                self._reader = connect(path)
                self._check()
            except BaseException:
                self._writer.close()
                raise
        except SqliteErrors as e:
            raise error_of(path, e) from e

    def _check(self) -> None:
        conn = self._writer
        small = self.path.stat().st_size <= _CHECKED_BYTES_MAX  # every row has its checksum too
        if small and conn.execute("PRAGMA quick_check(1)").fetchone()[0] != "ok":
            raise damaged(self.path, "its pages contradict themselves")
        self._last, self._count = conn.execute(
            "SELECT coalesce(max(n), 0), count(*) FROM kept"
        ).fetchone()
        if not self._count and self.path.stat().st_size > _EMPTY_BYTES_MAX:
            conn.execute("VACUUM")  # what a long island took of the disk
        aside = conn.execute("SELECT coalesce(max(n), 0) FROM aside").fetchone()[0]
        self._last = max(self._last, aside)
        if int(self.note(_HOLDS) or 0) != self._count:
            raise damaged(self.path, "rows are missing")

    # --- what is in it ----------------------------------------------------------------------------
    def __len__(self) -> int:
        return int(self._count)

    def first(self, book: str, shards: int, shard: int, after: int, limit: int) -> list[Row]:
        """The first rows of a shard beyond row `after`, in order. Raises: Corrupt, Unavailable."""
        return self._rows(_SQL_FIRST, (after, book, shards, shard, limit))

    def count(self, book: str, shards: int, shard: int) -> int:
        """How many rows there are for a shard. Raises: Corrupt, Unavailable."""
        with self._reading:
            try:
                return int(self._reader.execute(_SQL_COUNT, (book, shards, shard)).fetchone()[0])
            except SqliteErrors as e:
                raise error_of(self.path, e) from e

    def of_stream(self, stream: str) -> list[Row]:
        """The rows that touch a stream, in order. Raises: Corrupt, Unavailable."""
        return self._rows(_SQL_OF_STREAM, (stream,)) if self._count else []

    def _rows(self, sql: str, values: tuple[object, ...]) -> list[Row]:
        with self._reading:
            try:
                found = self._reader.execute(sql, values).fetchall()
            except SqliteErrors as e:
                raise error_of(self.path, e) from e
        return [row_of(each) for each in found]

    def note(self, name: str) -> str | None:
        """What was noted under a name. Raises: Corrupt, Unavailable."""
        with self._reading:
            try:
                row = self._reader.execute(
                    "SELECT value FROM note WHERE name = ?", (name,)
                ).fetchone()
            except SqliteErrors as e:
                raise error_of(self.path, e) from e
        return None if row is None else str(row[0])

    def asides(self) -> int:
        """How many commits were put aside: somebody must look at them."""
        with self._reading:
            try:
                return int(self._reader.execute("SELECT count(*) FROM aside").fetchone()[0])
            except SqliteErrors as e:
                raise error_of(self.path, e) from e

    # --- writing ----------------------------------------------------------------------------------
    def keep(
        self, entries: Sequence[Entry], notes: Mapping[str, str | None] | None = None
    ) -> list[tuple[int, bool]]:
        """Keep commits in one transaction, durably; each one's number, and whether it is new.

        One that is there already is not kept twice: by its id, its intent, and `same_commit`.
        `notes` are set with them; None removes one.
        Raises: Unavailable, and then none is kept; Unknown where that is not certain; Corrupt.
        """
        if self._count + len(entries) > JOURNAL_ROWS_MAX:
            msg = f"this node's journal holds {self._count} facts and takes no more"
            raise Unavailable(msg, neighbour="journal", retry_after_s=RETRY_S)
        numbers: list[tuple[int, bool]] = []
        last = self._last

        def work(conn: sqlite3.Connection) -> int:
            nonlocal last
            added = 0
            for entry in entries:
                same = _same(conn, entry)
                if same is not None:
                    numbers.append((same, False))
                    continue
                last += 1
                added += 1
                _insert(conn, last, entry)
                numbers.append((last, True))
            _note(conn, notes or {})
            return added

        self._change(work)
        self._last = last
        return numbers

    def remove(self, numbers: Iterable[int], notes: Mapping[str, str | None] | None = None) -> None:
        """Remove rows whose commits this node has judged. Raises: as `keep`."""
        gone = [(n,) for n in numbers]

        def work(conn: sqlite3.Connection) -> int:
            removed = conn.executemany("DELETE FROM kept WHERE n = ?", gone).rowcount
            conn.executemany("DELETE FROM touched WHERE n = ?", gone)
            _note(conn, notes or {})
            return -max(removed, 0)

        self._change(work)

    def put_aside(self, n: int, why: str) -> None:
        """Move a row to those that somebody must look at. Raises: as `keep`."""

        def work(conn: sqlite3.Connection) -> int:
            found = conn.execute(SQL_ROW, (n,)).fetchone()
            if found is None:
                return 0
            conn.execute(_SQL_SET_ASIDE, (n, why, found[1], found[5]))
            conn.execute("DELETE FROM kept WHERE n = ?", (n,))
            conn.execute("DELETE FROM touched WHERE n = ?", (n,))
            return -1

        self._change(work)

    def _change(self, work: Callable[[sqlite3.Connection], int]) -> None:
        conn = self._writer
        committing = False
        try:
            conn.execute("BEGIN IMMEDIATE")
            grown = work(conn)
            if grown:
                conn.execute(_SQL_HOLDS, (_HOLDS, grown))
            committing = True
            conn.execute("COMMIT")
        except SqliteErrors as e:
            self._undo(e, committing=committing)
        except BaseException:
            conn.execute("ROLLBACK")
            raise
        self._count += grown

    def _undo(self, error: Exception, *, committing: bool) -> None:
        """After an error: begin again on a fresh connection, and say what is certain."""
        try:
            self._writer.close()
            self._writer = connect(self.path)
            self._check_count()
        except (*SqliteErrors, Unavailable) as again:
            msg = f"this node's journal cannot be written ({again}): it is not known what it holds"
            raise Unknown(msg, neighbour="journal", retry_after_s=RETRY_S) from error
        wanted = error_of(self.path, error)
        if committing and isinstance(wanted, Unavailable):
            msg = f"{wanted.message}; it is not known whether this was kept"
            raise Unknown(msg, neighbour="journal", retry_after_s=RETRY_S) from error
        raise wanted from error

    def _check_count(self) -> None:
        self._last, self._count = self._writer.execute(
            "SELECT max((SELECT coalesce(max(n), 0) FROM kept), "
            "(SELECT coalesce(max(n), 0) FROM aside)), (SELECT count(*) FROM kept)"
        ).fetchone()

    def close(self) -> None:
        """Let go of the file."""
        with self._reading:
            self._reader.close()
        self._writer.close()


def open_journal(data: Path, now: datetime) -> tuple[Journal, list[Path]]:
    """The journal of a data folder; a damaged one is set aside whole, and what is whole in it kept.

    The second value are damaged ones that lie there: somebody must look. What is proposed again
    from them is a duplicate. A kill at any moment leaves a start that does it again.
    Raises: NeedsUpgrade, Unavailable.
    """
    path = data / FILE
    try:
        journal = Journal(path)
    except NeedsUpgrade:
        raise
    except Corrupt:
        set_aside(path, now)
        journal = Journal(path)
    lying = damaged_journals(data)
    try:
        for aside in lying:
            mark = f"salvaged {aside.name}"
            if journal.note(mark) is None:
                journal.keep(salvaged(aside), {mark: now.isoformat()})
    except BaseException:
        journal.close()
        raise
    return journal, lying


def _same(conn: sqlite3.Connection, entry: Entry) -> int | None:
    for n, raw in conn.execute(_SQL_SAME, (entry.id, entry.intent)):
        if same_commit(raw, entry.raw):
            return int(n)
    return None


def _insert(conn: sqlite3.Connection, n: int, entry: Entry) -> None:
    crc = crc_of(n, (entry.book, entry.place, entry.id, entry.intent), entry.raw)
    values = (n, entry.book, entry.place, entry.id, entry.intent, entry.raw, crc)
    conn.execute(_SQL_KEEP, values)
    conn.executemany(_SQL_TOUCH, [(stream, n) for stream in entry.streams])


def _note(conn: sqlite3.Connection, notes: Mapping[str, str | None]) -> None:
    for name, value in notes.items():
        if value is None:
            conn.execute(_SQL_FORGET, (name,))
        else:
            conn.execute(_SQL_NOTE, (name, value))
