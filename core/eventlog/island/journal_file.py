"""The file of a journal: how it is made, trusted, and read where it is damaged."""

from __future__ import annotations

import os
import shutil
import sqlite3
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Final, NamedTuple
from zlib import crc32

from core.errors import Corrupt, NeedsUpgrade, Refused, Unavailable
from core.eventlog.sqlite_errors import SqliteErrors, is_surroundings, schema_differs

if TYPE_CHECKING:
    from datetime import datetime

FILE: Final = "journal.db"
_DAMAGED: Final = ".damaged-"
_PAGE_BYTES: Final = 4096
_VALID_FOR: Final = slice(92, 96)  # of the first page: when its idea of the file's size was right
APPLICATION_ID: Final = 0x4B434C4A  # "KCLJ"
LAYOUT: Final = 1
_SYNCHRONOUS_FULL: Final = 2
RETRY_S: Final = 5

_SQL_SCHEMA: Final = (
    """CREATE TABLE kept (
  n INTEGER PRIMARY KEY, book TEXT NOT NULL, place INTEGER NOT NULL, id TEXT NOT NULL,
  intent TEXT NOT NULL, raw BLOB NOT NULL, crc INTEGER NOT NULL
)""",
    "CREATE INDEX kept_id ON kept (id)",
    """CREATE TABLE touched (
  stream TEXT NOT NULL, n INTEGER NOT NULL, PRIMARY KEY (stream, n)
) WITHOUT ROWID""",
    "CREATE INDEX touched_n ON touched (n)",
    """CREATE TABLE aside (
  n INTEGER PRIMARY KEY, why TEXT NOT NULL, book TEXT NOT NULL, raw BLOB NOT NULL
)""",
    "CREATE TABLE note (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID",
)
SQL_ROW: Final = "SELECT n, book, place, id, intent, raw, crc FROM kept WHERE n = ?"


class Entry(NamedTuple):
    """A commit on its way into the journal: `place` is the CRC-32 of its first stream's name."""

    book: str
    place: int
    id: str
    intent: str
    raw: bytes
    streams: tuple[str, ...]


class Row(NamedTuple):
    """A commit in the journal, at place `n`; `whole` is False where it is not what was written."""

    n: int
    book: str
    place: int
    id: str
    intent: str
    raw: bytes
    whole: bool


def set_aside(path: Path, now: datetime) -> Path:
    """Copy a damaged journal to a free name, and only then remove it; its new path.

    In this order: a write-ahead log without its file, or the file without it, must never be taken
    for a journal.
    """
    name = f"{FILE}{_DAMAGED}{now:%Y%m%dT%H%M%S}"
    aside, n = path.with_name(name), 1
    while aside.exists():
        n += 1
        aside = path.with_name(f"{name}-{n}")
    wal, unfinished = (
        path.with_name(path.name + "-wal"),
        aside.with_name(f"{aside.name}.unfinished"),
    )
    if wal.exists():
        _copy(wal, aside.with_name(f"{aside.name}-wal"))
    _copy(path, unfinished)
    unfinished.replace(aside)
    for suffix in ("-shm", "-wal", ""):
        path.with_name(path.name + suffix).unlink(missing_ok=True)
    return aside


def _copy(source: Path, target: Path) -> None:
    shutil.copyfile(source, target)
    target.chmod(0o600)
    with target.open("rb") as file:
        os.fsync(file.fileno())


def damaged_journals(data: Path) -> list[Path]:
    """Journals that were set aside in a data folder, and lie there still."""
    found = data.glob(f"{FILE}{_DAMAGED}*")
    return sorted(p for p in found if not p.name.endswith(("-wal", "-shm", ".unfinished")))


def salvaged(path: Path) -> list[Entry]:
    """The rows of a damaged journal that are as they were written, in order; never an error."""
    found = _rows_in(path)
    try:  # what describes the file may be what is damaged: it is the same in every journal
        with TemporaryDirectory(dir=path.parent, prefix="journal-") as folder:
            mended = Path(folder) / FILE
            _mend(path, mended)
            found |= _rows_in(mended)
    except (OSError, *SqliteErrors):
        pass
    return [found[n] for n in sorted(found)]


def _mend(path: Path, mended: Path) -> None:
    """Make a copy of a journal with the first page of a new one: its tables lie where they do."""
    connect(mended).close()
    page = bytearray(mended.read_bytes()[:_PAGE_BYTES])
    page[_VALID_FOR] = b"\0\0\0\0"  # its size is that of the file
    shutil.copyfile(path, mended)
    with mended.open("r+b") as file:
        file.write(page)


def _rows_in(path: Path) -> dict[int, Entry]:
    found: dict[int, Entry] = {}
    try:
        conn = sqlite3.connect(path, isolation_level=None)
    except SqliteErrors:
        return found
    try:
        for n in _numbers(conn):
            entry = _salvaged_row(conn, n)
            if entry is not None:
                found[n] = entry
    finally:
        conn.close()
    return found


def _numbers(conn: sqlite3.Connection) -> list[int]:
    """The numbers that rows may have, as far as they can be read."""
    found: set[int] = set()
    for sql in (
        "SELECT n FROM kept",
        "SELECT n FROM kept ORDER BY n DESC",
        "SELECT n FROM touched",
    ):
        try:
            for (n,) in conn.execute(sql):
                if isinstance(n, int):
                    found.add(n)
        except SqliteErrors:
            continue  # what was read up to there counts; the next way may reach the rest
    return sorted(found)


def _salvaged_row(conn: sqlite3.Connection, n: int) -> Entry | None:
    try:
        values = conn.execute(SQL_ROW, (n,)).fetchone()
        row = None if values is None else row_of(values)
        if row is None or not row.whole:
            return None
        streams = [s for (s,) in conn.execute("SELECT stream FROM touched WHERE n = ?", (n,))]
    except (*SqliteErrors, TypeError, ValueError):
        return None
    return Entry(row.book, row.place, row.id, row.intent, row.raw, tuple(streams))


def row_of(values: tuple[object, ...]) -> Row:
    """A row as it was read by `SQL_ROW`, or by what selects the same columns."""
    n, book, place, commit_id, intent, raw, crc = values
    whole = (
        isinstance(raw, bytes)
        and isinstance(n, int)
        and isinstance(place, int)
        and crc_of(n, (book, place, commit_id, intent), raw) == crc
    )
    return Row(n, str(book), place, str(commit_id), str(intent), raw, whole)  # type: ignore[arg-type]  # `whole` says so


def crc_of(n: object, frame: tuple[object, ...], raw: bytes) -> int:
    """The checksum of a row; `frame` is its book, place, id and intent."""
    return crc32(raw, crc32(" ".join(map(str, (n, *frame))).encode()))


def connect(path: Path) -> sqlite3.Connection:
    """A connection to the file, which is made where there is none.

    Raises: Corrupt, NeedsUpgrade, Refused, what SQLite raises.
    """
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
        raise damaged(path, "it does not say that it is a journal")
    if tables and layout > LAYOUT:
        msg = f"{path} was written by a newer program (layout {layout}): upgrade this one"
        raise NeedsUpgrade(msg)
    if tables:
        differing = schema_differs(conn, _SQL_SCHEMA)
        if differing is not None:
            raise damaged(path, f"its description of itself is not ours: {differing}")
    mode = conn.execute("PRAGMA journal_mode=WAL").fetchone()[0]
    conn.execute("PRAGMA synchronous=FULL")
    synchronous = conn.execute("PRAGMA synchronous").fetchone()[0]
    if mode != "wal" or synchronous != _SYNCHRONOUS_FULL:
        msg = f"{path}: the disk does not allow WAL with synchronous=FULL: use a local disk"
        raise Refused(msg)
    if not tables:
        conn.execute("BEGIN IMMEDIATE")
        conn.execute(f"PRAGMA application_id={APPLICATION_ID}")
        conn.execute(f"PRAGMA user_version={LAYOUT}")
        for sql in _SQL_SCHEMA:
            conn.execute(sql)
        conn.execute("COMMIT")
        path.chmod(0o600)  # sealed, but whose calls came when is nobody else's business


def error_of(path: Path, error: Exception) -> Unavailable | Corrupt:
    """What an error of SQLite means: the surroundings, or the file itself."""
    if is_surroundings(error):
        full = "its disk is full: free some space" if "full" in str(error) else str(error)
        msg = f"this node's journal {path} cannot be used ({full}): nothing was kept"
        return Unavailable(msg, neighbour="journal", retry_after_s=RETRY_S)
    return damaged(path, str(error))


def damaged(path: Path, what: str) -> Corrupt:
    """The journal is not what was written."""
    msg = (
        f"the journal {path} is damaged: {what}. Start the node again: it sets the file aside and "
        "proposes every row that is whole; see docs/operating/island.md"
    )
    return Corrupt(msg)
