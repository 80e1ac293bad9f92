"""The SQL of the index, all of it.

A row of `judged` is always fetched with all that its checksum covers.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from core.limits import INDEX_CACHE_KIB, INDEX_WAL_PAGES

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable

_N = TypeVar("_N")
_ROWS_PER_STATEMENT = 3_600
_IDS_PER_QUERY = 400

# STRICT, so that SQLite's own check also sees a value whose type a flipped bit changed.
SQL_SCHEMA = (
    (
        "CREATE TABLE judged (position INTEGER PRIMARY KEY, id TEXT NOT NULL, intent TEXT NOT NULL,"
        " first_seq INTEGER NOT NULL, events INTEGER NOT NULL, stale_stream TEXT,"
        " stale_head INTEGER, raw BLOB NOT NULL, crc INTEGER NOT NULL) STRICT"
    ),
    (
        "CREATE TABLE event (seq INTEGER PRIMARY KEY, stream TEXT NOT NULL,"
        " version INTEGER NOT NULL, position INTEGER NOT NULL, nth INTEGER NOT NULL) STRICT"
    ),
    (
        "CREATE TABLE tracking (name TEXT PRIMARY KEY, position INTEGER NOT NULL,"
        " crc INTEGER NOT NULL) WITHOUT ROWID, STRICT"
    ),
    (
        "CREATE TABLE aside (log_offset INTEGER NOT NULL, nth INTEGER NOT NULL,"
        " kind TEXT NOT NULL, reason TEXT, raw BLOB,"
        " crc INTEGER NOT NULL, PRIMARY KEY (log_offset, nth)) STRICT"
    ),
    (
        "CREATE TABLE state (one INTEGER PRIMARY KEY CHECK (one = 1), next_offset INTEGER NOT NULL,"
        " position INTEGER NOT NULL, seq INTEGER NOT NULL, digest BLOB NOT NULL,"
        " format INTEGER NOT NULL, genesis BLOB, last_crc INTEGER, identity TEXT,"
        " crc INTEGER NOT NULL) STRICT"
    ),
)
SQL_INDEXES = (
    "CREATE UNIQUE INDEX IF NOT EXISTS judged_id ON judged (id)",
    "CREATE UNIQUE INDEX IF NOT EXISTS event_stream ON event (stream, version)",
)
SQL_JUDGED = "INSERT INTO judged VALUES "
SQL_EVENT = "INSERT INTO event VALUES "
SQL_STATE = "INSERT OR REPLACE INTO state VALUES (1, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
SQL_TRACKING = "INSERT OR REPLACE INTO tracking VALUES (?, ?, ?)"
SQL_ASIDE = "INSERT OR REPLACE INTO aside VALUES (?, ?, ?, ?, ?, ?)"
SQL_PROOF = "{0}position, {0}first_seq, {0}events, {0}stale_stream, {0}stale_head, {0}raw, {0}crc"
_OF_COMMIT = SQL_PROOF.format("")
SQL_STREAM = (
    "SELECT version, seq, position, nth FROM event"
    " WHERE stream = ? AND version > ? AND version <= ? ORDER BY version {} LIMIT ?"
)
SQL_STREAM_UP, SQL_STREAM_DOWN = SQL_STREAM.format("ASC"), SQL_STREAM.format("DESC")
SQL_POSITIONS = f"SELECT {_OF_COMMIT} FROM judged WHERE position IN ({{}})"
SQL_COMMITS = (
    f"SELECT position, first_seq, {_OF_COMMIT} FROM judged"
    " WHERE position > ? AND stale_stream IS NULL AND events > 0 ORDER BY position LIMIT ?"
)
SQL_COMMITS_FROM = (
    f"SELECT position, first_seq, {_OF_COMMIT} FROM judged"
    " WHERE position >= (SELECT position FROM event WHERE seq = ?) AND stale_stream IS NULL"
    " AND events > 0 ORDER BY position LIMIT ?"
)
SQL_HEADS = "SELECT stream, max(version) FROM event WHERE stream IN ({}) GROUP BY stream"
SQL_IDS = f"SELECT id, intent, {_OF_COMMIT} FROM judged WHERE id IN ({{}})"
SQL_FORKS = (
    "SELECT log_offset, nth, kind, reason, raw, crc FROM aside WHERE kind = 'fork' AND reason = ?"
)
SQL_ENDS = (
    "SELECT (SELECT count(*) FROM judged), (SELECT ifnull(max(position), 0) FROM judged),"
    " (SELECT count(*) FROM event), (SELECT ifnull(max(seq), 0) FROM event)"
)


def prepare_writing(conn: sqlite3.Connection) -> None:
    """Keep more of the index in memory, and write it back more seldom.

    Names come in no order, so every batch changes pages all over the index: with SQLite's own
    bounds most of them are read and written back again and again.
    """
    conn.execute(f"PRAGMA cache_size=-{INDEX_CACHE_KIB}")
    conn.execute(f"PRAGMA wal_autocheckpoint={INDEX_WAL_PAGES}")


def insert_rows(conn: sqlite3.Connection, sql: str, columns: int, flat: list[object]) -> None:
    """Insert rows that are given as one flat list, thousands to a statement.

    sqlite3 lets go of the interpreter at every step, and a step for each row would wait for the
    busy loop each time.
    """
    row = "(" + ",".join("?" * columns) + ")"
    step = columns * _ROWS_PER_STATEMENT
    full = sql + ",".join([row] * _ROWS_PER_STATEMENT)
    for start in range(0, len(flat), step):
        part = flat[start : start + step]
        conn.execute(
            full if len(part) == step else sql + ",".join([row] * (len(part) // columns)), part
        )


def in_parts(names: list[_N]) -> Iterable[tuple[list[_N], str]]:
    """The names some hundreds at a time, each part with its question marks."""
    for start in range(0, len(names), _IDS_PER_QUERY):
        part = names[start : start + _IDS_PER_QUERY]
        yield part, ",".join("?" * len(part))
