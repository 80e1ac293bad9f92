"""Each node's own index of one shard: a SQLite file that may be deleted and rebuilt from the log.

It holds the judged commits, which events are in which stream, trackings, and the shard's position and digest;
rows and position are one transaction. `synchronous=NORMAL`: the log is the truth, and what is lost here is
read from it again.

Rows are written some hundreds to a statement. sqlite3 lets go of the interpreter at every step, and a step
for each row would wait for the busy loop each time.
"""

from __future__ import annotations

import sqlite3
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple
from zlib import crc32

from core.commit import Accepted, StaleVerdict
from core.errors import Corrupt, Unavailable

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

LAYOUT = 1
_ROWS_PER_STATEMENT = 3_600
_IDS_PER_QUERY = 400

_SQL_SCHEMA = (
    (
        "CREATE TABLE judged (position INTEGER PRIMARY KEY, id TEXT NOT NULL, intent TEXT NOT NULL,"
        " first_seq INTEGER NOT NULL, events INTEGER NOT NULL, stale_stream TEXT, stale_head INTEGER, raw BLOB NOT NULL,"
        " crc INTEGER NOT NULL)"
    ),
    (
        "CREATE TABLE event (seq INTEGER PRIMARY KEY, stream TEXT NOT NULL, version INTEGER NOT NULL,"
        " position INTEGER NOT NULL, nth INTEGER NOT NULL)"
    ),
    "CREATE TABLE tracking (name TEXT PRIMARY KEY, position INTEGER NOT NULL) WITHOUT ROWID",
    (
        "CREATE TABLE aside (log_offset INTEGER NOT NULL, nth INTEGER NOT NULL, kind TEXT NOT NULL, reason TEXT,"
        " raw BLOB, PRIMARY KEY (log_offset, nth))"
    ),
    (
        "CREATE TABLE state (one INTEGER PRIMARY KEY CHECK (one = 1), next_offset INTEGER NOT NULL,"
        " position INTEGER NOT NULL, seq INTEGER NOT NULL, digest BLOB NOT NULL, format INTEGER NOT NULL, genesis BLOB)"
    ),
)
_SQL_INDEXES = (
    "CREATE UNIQUE INDEX IF NOT EXISTS judged_id ON judged (id)",
    "CREATE UNIQUE INDEX IF NOT EXISTS event_stream ON event (stream, version)",
)
_SQL_JUDGED = "INSERT INTO judged VALUES "
_SQL_EVENT = "INSERT INTO event VALUES "
_SQL_STATE = "INSERT OR REPLACE INTO state VALUES (1, ?, ?, ?, ?, ?, ?)"
_SQL_TRACKING = "INSERT OR REPLACE INTO tracking VALUES (?, ?)"
_SQL_ASIDE = "INSERT OR REPLACE INTO aside VALUES (?, ?, ?, ?, ?)"
_SQL_STREAM = (
    "SELECT e.version, e.seq, e.position, e.nth, j.raw, j.crc FROM event e JOIN judged j USING (position)"
    " WHERE e.stream = ? AND e.version > ? AND e.version <= ? ORDER BY e.version {} LIMIT ?"
)
_SQL_STREAM_UP, _SQL_STREAM_DOWN = _SQL_STREAM.format("ASC"), _SQL_STREAM.format("DESC")
_SQL_COMMITS = (
    "SELECT position, first_seq, raw, crc FROM judged WHERE position > ? AND stale_stream IS NULL AND events > 0"
    " ORDER BY position LIMIT ?"
)
_SQL_COMMITS_FROM = (
    "SELECT position, first_seq, raw, crc FROM judged"
    " WHERE position >= (SELECT position FROM event WHERE seq = ?) AND stale_stream IS NULL AND events > 0"
    " ORDER BY position LIMIT ?"
)
_SQL_SEQS = (
    "SELECT e.seq, e.stream, e.version, e.nth, j.raw, j.crc FROM event e JOIN judged j USING (position)"
    " WHERE e.seq >= ? AND e.seq <= ? ORDER BY e.seq LIMIT ?"
)
_SQL_HEADS = "SELECT stream, max(version) FROM event WHERE stream IN ({}) GROUP BY stream"
_SQL_IDS = "SELECT id, intent, position, first_seq, events, stale_stream, stale_head FROM judged WHERE id IN ({})"

JUDGED_COLUMNS = 9
EVENT_COLUMNS = 5
VERSION_MAX = 2**62


class StreamRow(NamedTuple):
    """One event of a stream: its numbers, and the commit's bytes that it is the `nth` event of."""

    version: int
    seq: int
    position: int
    nth: int
    raw: bytes


class CommitRow(NamedTuple):
    """One accepted commit with events."""

    position: int
    first_seq: int
    raw: bytes


class SeqRow(NamedTuple):
    """One event by its number in the shard."""

    seq: int
    stream: str
    version: int
    nth: int
    raw: bytes


@dataclass(slots=True)
class Mark:
    """How far a shard has been judged. `genesis` is the record at offset 0 as it was read."""

    next_offset: int = 0
    position: int = 0
    seq: int = 0
    digest: bytes = bytes(32)
    format: int = 1
    genesis: bytes | None = None


@dataclass(slots=True)
class Batch:
    """Rows that wait for the index: flat parameters, in the order of the columns."""

    judged: list[object] = field(default_factory=list)
    events: list[object] = field(default_factory=list)
    fresh: list[str] = field(default_factory=list)  # the streams whose rows memory holds meanwhile
    trackings: dict[str, int] = field(default_factory=dict)
    asides: list[tuple[int, int, str, str | None, bytes | None]] = field(default_factory=list)


class Index:
    """One shard's index file. Writes from one thread at a time; reads from any."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.bulk = False
        self._connections: dict[int, sqlite3.Connection] = {}
        self._opening = threading.Lock()
        path.parent.mkdir(parents=True, exist_ok=True)
        self.mark = self._start()

    def _connection(self) -> sqlite3.Connection:
        known = self._connections.get(threading.get_ident())
        if known is not None:
            return known
        conn = sqlite3.connect(self.path, isolation_level=None, check_same_thread=False)
        conn.execute("PRAGMA journal_mode=WAL")
        conn.execute("PRAGMA synchronous=NORMAL")
        with self._opening:
            self._connections[threading.get_ident()] = conn
        return conn

    def _start(self) -> Mark:
        """Open or make the file. Raises: Corrupt where it cannot be trusted; it is then set aside."""
        try:
            conn = self._connection()
            layout = conn.execute("PRAGMA user_version").fetchone()[0]
            if layout == 0:
                self._make(conn)
            elif layout != LAYOUT:
                msg = f"the index {self.path} has layout {layout}, not {LAYOUT}"
                raise Corrupt(msg)
            elif conn.execute("PRAGMA quick_check(1)").fetchone()[0] != "ok":
                msg = f"the index {self.path} is damaged"
                raise Corrupt(msg)
            row = conn.execute("SELECT * FROM state").fetchone()
        except sqlite3.OperationalError as e:
            self.close()
            msg = f"the index {self.path} cannot be opened ({e}); check the folder, its rights and free space"
            raise Unavailable(msg, neighbour="index") from e
        except sqlite3.DatabaseError as e:
            self.close()
            msg = f"the index {self.path} is damaged ({e})"
            raise Corrupt(msg) from e
        if row is None:
            self.bulk = True
            return Mark()
        self.make_lookups()  # a bulk load may have been cut off
        return Mark(*row[1:])

    def _make(self, conn: sqlite3.Connection) -> None:
        conn.execute("BEGIN IMMEDIATE")
        for statement in _SQL_SCHEMA:
            conn.execute(statement)
        conn.execute(f"PRAGMA user_version={LAYOUT}")
        conn.execute("COMMIT")

    def make_lookups(self) -> None:
        """Make the look-up indexes after a bulk load; before that only judging by memory is right."""
        conn = self._connection()
        for statement in _SQL_INDEXES:
            conn.execute(statement)

    def write(self, batch: Batch, mark: Mark) -> None:
        """Rows and mark in one transaction. Raises: sqlite3.Error, and then nothing was written."""
        conn = self._connection()
        conn.execute("BEGIN IMMEDIATE")
        try:
            _insert(conn, _SQL_JUDGED, JUDGED_COLUMNS, batch.judged)
            _insert(conn, _SQL_EVENT, EVENT_COLUMNS, batch.events)
            for tracking in batch.trackings.items():
                conn.execute(_SQL_TRACKING, tracking)
            for aside in batch.asides:
                conn.execute(_SQL_ASIDE, aside)
            conn.execute(
                _SQL_STATE,
                (mark.next_offset, mark.position, mark.seq, mark.digest, mark.format, mark.genesis),
            )
            conn.execute("COMMIT")
        except sqlite3.Error:
            if conn.in_transaction:
                conn.execute("ROLLBACK")
            raise

    def stream(
        self,
        stream: str,
        gt: int = -1,
        lte: int = VERSION_MAX,
        *,
        desc: bool = False,
        limit: int = -1,
    ) -> list[StreamRow]:
        """The stream's events with `gt` < version <= `lte`, in order or back to front, at most `limit`."""
        sql = _SQL_STREAM_DOWN if desc else _SQL_STREAM_UP
        return [StreamRow(*row) for row in self._checked(sql, (stream, gt, lte, limit))]

    def commits(self, after: int, limit: int) -> list[CommitRow]:
        """Accepted commits with events after a position, in order."""
        return [CommitRow(*row) for row in self._checked(_SQL_COMMITS, (after, limit))]

    def commits_from(self, seq: int, limit: int) -> list[CommitRow]:
        """Accepted commits from the one that holds event number `seq` on; none where it is not here yet."""
        return [CommitRow(*row) for row in self._checked(_SQL_COMMITS_FROM, (seq, limit))]

    def events(self, start: int, stop: int, limit: int) -> list[SeqRow]:
        """Events by number, `start` <= seq <= `stop`."""
        return [SeqRow(*row) for row in self._checked(_SQL_SEQS, (start, stop, limit))]

    def heads(self, streams: Iterable[str]) -> dict[str, int]:
        """The last versions of those of `streams` that are in the index."""
        self._must_be_whole()
        found: dict[str, int] = {}
        for part, marks in _parts(list(streams)):
            found.update(self._query(_SQL_HEADS.format(marks), part))
        return found

    def verdicts(self, ids: Iterable[str]) -> dict[str, tuple[str, Accepted | StaleVerdict]]:
        """Intent and first verdict of those of `ids` that are in the index."""
        self._must_be_whole()
        found: dict[str, tuple[str, Accepted | StaleVerdict]] = {}
        for part, marks in _parts(list(ids)):
            for name, intent, position, seq, events, stream, head in self._query(
                _SQL_IDS.format(marks), part
            ):
                verdict = (
                    Accepted(position, range(seq, seq + events))
                    if stream is None
                    else StaleVerdict(position, stream, head)
                )
                found[name] = (intent, verdict)
        return found

    def _must_be_whole(self) -> None:
        if self.bulk:
            msg = "the index is being built from the log: try again in a few seconds"
            raise Unavailable(msg, neighbour="index", retry_after_s=5)

    def tracked(self, name: str) -> int | None:
        """The last tracking position of a name."""
        rows = self._query("SELECT position FROM tracking WHERE name = ?", (name,))
        return rows[0][0] if rows else None

    def asides(self) -> list[tuple[int, int, str, str | None]]:
        """Forks and void records: offset, place in the record, kind, reason."""
        return self._query("SELECT log_offset, nth, kind, reason FROM aside ORDER BY 1, 2", ())

    def _checked(self, sql: str, params: Sequence[object]) -> Iterable[tuple]:  # type: ignore[type-arg]  # as `_query`
        """Rows whose last two columns are a commit's bytes and their checksum; without the checksum."""
        for *row, raw, crc in self._query(sql, params):
            if crc32(raw) != crc:
                msg = f"the index {self.path} is damaged: stop the node and delete the file; it is rebuilt from the log"
                raise Corrupt(msg)
            yield (*row, raw)

    def _query(self, sql: str, params: Sequence[object]) -> list[tuple]:  # type: ignore[type-arg]  # rows as sqlite3 gives them
        try:
            return self._connection().execute(sql, params).fetchall()
        except sqlite3.OperationalError as e:
            msg = f"the index {self.path} cannot be read ({e})"
            raise Unavailable(msg, neighbour="index", retry_after_s=5) from e
        except sqlite3.DatabaseError as e:
            msg = f"the index {self.path} is damaged ({e}): stop the node and start it again; it rebuilds the index"
            raise Corrupt(msg) from e

    def close(self) -> None:
        """Close every thread's connection."""
        with self._opening:
            for conn in self._connections.values():
                conn.close()
            self._connections.clear()


def _insert(conn: sqlite3.Connection, sql: str, columns: int, flat: list[object]) -> None:
    row = "(" + ",".join("?" * columns) + ")"
    step = columns * _ROWS_PER_STATEMENT
    full = sql + ",".join([row] * _ROWS_PER_STATEMENT)
    for start in range(0, len(flat), step):
        part = flat[start : start + step]
        conn.execute(
            full if len(part) == step else sql + ",".join([row] * (len(part) // columns)), part
        )


def _parts(names: list[str]) -> Iterable[tuple[list[str], str]]:
    for start in range(0, len(names), _IDS_PER_QUERY):
        part = names[start : start + _IDS_PER_QUERY]
        yield part, ",".join("?" * len(part))
