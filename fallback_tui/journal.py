"""The reserve journal: one SQLite file to which entries are added, each chained to the one before.

What `append` has returned is on the disk: WAL with `synchronous=FULL`, and anything less is
refused. Nothing is ever changed or removed, which triggers hold; one process writes, which a lock
holds.
"""

from __future__ import annotations

import fcntl
import os
import sqlite3
from typing import TYPE_CHECKING, Final, Self

from core.errors import Corrupt, InUse, Unavailable
from core.reserve import ChainBroken, Entry, Head, entry_bytes, entry_of, evolve, hash_of, start

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

FORMAT: Final = 1
FULL: Final = 2  # what SQLite answers for synchronous=FULL; EXTRA, which is 3, is stricter still
BUSY_TIMEOUT_MS: Final = 5_000

_CREATE: Final = f"""
BEGIN IMMEDIATE;
CREATE TABLE device (device TEXT NOT NULL, epoch INTEGER NOT NULL) STRICT;
CREATE TABLE entry (
    seq INTEGER PRIMARY KEY CHECK (seq >= 1),
    prev_hash TEXT NOT NULL,
    hash TEXT NOT NULL UNIQUE,
    packed BLOB NOT NULL
) STRICT;
CREATE TRIGGER device_once BEFORE INSERT ON device WHEN (SELECT count(*) FROM device) > 0
    BEGIN SELECT RAISE(ABORT, 'a journal has one device'); END;
CREATE TRIGGER device_kept BEFORE UPDATE ON device
    BEGIN SELECT RAISE(ABORT, 'the journal only grows'); END;
CREATE TRIGGER device_stays BEFORE DELETE ON device
    BEGIN SELECT RAISE(ABORT, 'the journal only grows'); END;
CREATE TRIGGER entry_kept BEFORE UPDATE ON entry
    BEGIN SELECT RAISE(ABORT, 'the journal only grows'); END;
CREATE TRIGGER entry_stays BEFORE DELETE ON entry
    BEGIN SELECT RAISE(ABORT, 'the journal only grows'); END;
CREATE TRIGGER entry_follows BEFORE INSERT ON entry
    WHEN NEW.seq <> (SELECT coalesce(max(seq), 0) + 1 FROM entry)
    BEGIN SELECT RAISE(ABORT, 'an entry must be the next'); END;
INSERT INTO device VALUES (:device, :epoch);
PRAGMA user_version = {FORMAT};
COMMIT;
"""
_READ_DEVICE: Final = "SELECT device, epoch FROM device"
_READ_ENTRIES: Final = "SELECT seq, prev_hash, hash, packed FROM entry ORDER BY seq"
_ADD_ENTRY: Final = "INSERT INTO entry (seq, prev_hash, hash, packed) VALUES (?, ?, ?, ?)"


class NotSaved(Unavailable):
    """the computer could not save: nothing was registered."""


class NotDurable(Unavailable):
    """the disk does not promise that what is saved stays: the journal is not opened."""


class Journal:
    """An open journal. `head` is where it stands; only `append` moves it."""

    def __init__(self, database: sqlite3.Connection, lock: int, head: Head) -> None:
        self._database = database
        self._lock = lock
        self.head = head

    @classmethod
    def open(
        cls,
        folder: Path,
        device: str,
        connect: Callable[[Path], sqlite3.Connection] | None = None,
    ) -> Self:
        """The journal in `folder`, made for `device` when there is none; its whole chain is read.

        Raises: InUse, NotDurable, NotSaved (the folder cannot be written), Corrupt, ChainBroken.
        """
        start(device, 1)
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            lock = _lock(folder / "journal.lock")
        except OSError as e:
            raise NotSaved(
                "the folder cannot be written", folder=str(folder), reason=e.strerror
            ) from e
        try:
            database = (connect or _connect)(folder / "journal.db")
            try:
                return cls(database, lock, _prepare(database, folder, device))
            except BaseException:
                database.close()
                raise
        except BaseException:
            os.close(lock)
            raise

    def append(self, entry: Entry) -> str:
        """Add `entry`, which must be the next; its hash, when it is on the disk.

        Raises: NotSaved, ChainBroken.
        """
        head = evolve(self.head, entry)
        packed = entry_bytes(entry)
        try:
            self._database.execute("BEGIN IMMEDIATE")
            self._database.execute(_ADD_ENTRY, (entry.seq, entry.prev_hash, head.hash, packed))
            self._database.execute("COMMIT")
        except sqlite3.Error as e:
            self._give_up()
            raise NotSaved(reason=str(e)) from e
        self.head = head
        return head.hash

    def entries(self) -> Iterator[Entry]:
        """All entries in order."""
        for _, _, _, packed in self._database.execute(_READ_ENTRIES):
            yield entry_of(packed)

    def close(self) -> None:
        """Close the file and let another window have it."""
        self._database.close()
        os.close(self._lock)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _give_up(self) -> None:
        """After an error: whether the entry is there is read from the file, never guessed."""
        try:
            if self._database.in_transaction:
                self._database.execute("ROLLBACK")
            self.head = _fold(self._database)
        except (sqlite3.Error, Corrupt):
            # the head stays: an append that does not follow the file is refused by its triggers
            pass


def _connect(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(path, isolation_level=None, timeout=BUSY_TIMEOUT_MS / 1000)


def _lock(path: Path) -> int:
    lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as e:
        os.close(lock)
        raise InUse("the journal is open in another window") from e
    return lock


def _prepare(database: sqlite3.Connection, folder: Path, device: str) -> Head:
    try:
        (mode,) = database.execute("PRAGMA journal_mode=WAL").fetchone()
        database.execute("PRAGMA synchronous=FULL")
        (level,) = database.execute("PRAGMA synchronous").fetchone()
        if mode != "wal" or level < FULL:
            raise NotDurable(journal_mode=mode, synchronous=level)
        (found,) = database.execute("PRAGMA user_version").fetchone()
        if found not in {0, FORMAT}:
            raise Corrupt(
                "the journal is of another format: it needs another version of this program"
            )
        if found == 0:
            _create(database, folder, device)
        head = _fold(database)
    except sqlite3.DatabaseError as e:
        if isinstance(e, sqlite3.OperationalError):
            raise NotSaved(reason=str(e)) from e
        raise Corrupt("the journal's file is damaged", reason=str(e)) from e
    if head.device != device:
        raise Corrupt(f"the journal is device {head.device}'s, not {device}'s")
    return head


def _create(database: sqlite3.Connection, folder: Path, device: str) -> None:
    (tables,) = database.execute("SELECT count(*) FROM sqlite_schema").fetchone()
    if tables:
        raise Corrupt("the file is a database, but not a journal")
    script = _CREATE.replace(":device", f"'{device}'").replace(
        ":epoch", "1"
    )  # `start` saw three digits
    database.executescript(script)
    (folder / "journal.db").chmod(0o600)
    _sync_folder(folder)


def _sync_folder(folder: Path) -> None:
    """A new file's name is on the disk only when its folder is."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _fold(database: sqlite3.Connection) -> Head:
    """The head, with every entry checked against its own hash and the one before.

    Raises: ChainBroken, with how many entries hold as `intact`.
    """
    head = start(*database.execute(_READ_DEVICE).fetchone())
    for row in database.execute(_READ_ENTRIES):
        try:
            head = evolve(head, _checked(*row))
        except ChainBroken as e:
            raise ChainBroken(e.message, seq=row[0], intact=head.seq) from e
    return head


def _checked(seq: int, prev_hash: str, hash_: str, packed: bytes) -> Entry:
    entry = entry_of(packed)
    if (entry.seq, entry.prev_hash, hash_of(packed)) != (seq, prev_hash, hash_):
        raise ChainBroken(f"entry {seq} is not what its hash says")
    return entry
