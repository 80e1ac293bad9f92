"""One read model's file: built beside, swapped, and written in one transaction with its position.

`FOLDER/<name>.db` is a link to the file in use, `<name>.v<version>.g<generation>.db`. Swapping
replaces the link at one stroke; a reader that has the former file open keeps it until it looks
again. A file of its own for each generation, because a database that is renamed over another would
meet the other's write-ahead log.
"""

from __future__ import annotations

import re
import sqlite3
from typing import TYPE_CHECKING, Final

from sqlite_utils import Database
from sqlite_utils.migrations import Migrations

from core.errors import Corrupt, KontaktcenterError, Unavailable
from core.limits import MIB, PROJECTION_PARKED_MAX
from projections.base import HoldsClearText

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from projections.base import Fed, Projection

_BUSY_S: Final = 2.0  # somebody else's lock is waited for so long; then the projection pauses
_REASON_CHARS_MAX: Final = 200
_CHECKED_BYTES_MAX: Final = 64 * MIB  # at opening; a larger file would keep a board waiting for it

_runner_migrations = Migrations("runner")


@_runner_migrations()
def m001_runner(db: Database) -> None:
    """How far the file has come, what could not be handled, and what nobody here knows."""
    db.table("positions").create({"shard": str, "position": int, "recorded_us": int}, pk="shard")
    db.table("parked").create(
        {"shard": str, "position": int, "nth": int, "type": str, "reason": str},
        pk=("shard", "position", "nth"),
    )
    db.table("unknown_types").create({"type": str, "events": int}, pk="type")


class TooMuchParked(Corrupt):
    """More was parked than can be the fault of events: the program is at fault, and stops."""


class Store:
    """The file of one projection, for writing. One thread at a time.

    Raises: Unavailable where the file cannot be opened or made: no space, no right, another's lock.
    """

    def __init__(self, folder: Path, projection: Projection) -> None:
        self.folder = folder
        self.projection = projection
        self.link = folder / f"{projection.name}.db"
        self.published = True
        self.set_aside: Path | None = None
        self.scrub_due = isinstance(projection, HoldsClearText)  # a crash may have left a log
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self.path, self.db = self._start()
        except (sqlite3.Error, OSError) as e:
            msg = f"the read model {self.link} cannot be opened ({e}); check its folder and space"
            raise Unavailable(msg, neighbour=projection.name, retry_after_s=_BUSY_S) from e
        self.positions = self._read_positions()

    # --- the file ---------------------------------------------------------------------------------
    def _start(self) -> tuple[Path, Database]:
        """The file in use, where it is of this version and whole; else a new one."""
        current = self.link.resolve() if self.link.is_symlink() else None
        self._remove_leftovers(current)
        if current is not None and current.is_file() and self._version_of(current) == self._version:
            try:
                return current, self._open(current)
            except sqlite3.OperationalError:
                raise  # locked or full: not the file's fault
            except sqlite3.DatabaseError:
                self.set_aside = _set_aside(current)
                current = None
        path = self._next_path()
        db = self._open(path)
        self.published = False
        if current is None or not current.is_file():
            self.path = path
            self.publish()
        return path, db

    def _open(self, path: Path) -> Database:
        # sqlite-utils keeps sqlite3's check of the thread; the runner's lock does its work here.
        conn = sqlite3.connect(path, timeout=_BUSY_S, check_same_thread=False)
        try:
            db = Database(conn)
            if isinstance(self.projection, HoldsClearText):
                path.chmod(0o600)  # the files beside it get its rights
            db.enable_wal()
            db.execute("PRAGMA synchronous=NORMAL")
            db.execute("PRAGMA secure_delete=ON")  # what an erasure takes out is in no free page
            if path.stat().st_size <= _CHECKED_BYTES_MAX:
                _check(db)
            _runner_migrations.apply(db)
            self.projection.migrations.apply(db)
        except BaseException:
            conn.close()
            raise
        return db

    @property
    def _version(self) -> int:
        return self.projection.version

    def _version_of(self, path: Path) -> int | None:
        found = self._parts(path)
        return found[0] if found else None

    def _parts(self, path: Path) -> tuple[int, int] | None:
        name = re.escape(self.projection.name)
        found = re.fullmatch(rf"{name}\.v(\d+)\.g(\d+)\.db", path.name)
        return (int(found[1]), int(found[2])) if found else None

    def _used(self) -> set[int]:
        """Generations whose files are there, damaged ones too: a name is never used again."""
        name = re.escape(self.projection.name)
        pattern = re.compile(rf"{name}\.v\d+\.g(\d+)\.db(\.damaged)?")
        return {int(f[1]) for p in self.folder.iterdir() if (f := pattern.fullmatch(p.name))}

    def _files(self) -> list[Path]:
        return [path for path in self.folder.iterdir() if self._parts(path) is not None]

    def _next_path(self) -> Path:
        number = max(self._used(), default=0) + 1
        return self.folder / f"{self.projection.name}.v{self._version}.g{number:06d}.db"

    def _remove_leftovers(self, current: Path | None) -> None:
        """What an earlier process was building when it was stopped."""
        for path in self._files():
            if path.resolve() != current:
                path.unlink(missing_ok=True)
                _remove_companions(path)

    def publish(self) -> None:
        """Make this file the one that readers open; the former one is removed."""
        former = self.link.resolve() if self.link.is_symlink() else None
        beside = self.link.with_name(f"{self.link.name}.new")
        beside.unlink(missing_ok=True)
        beside.symlink_to(self.path.name)
        beside.replace(self.link)
        self.published = True
        if former is not None and former != self.path and former.exists():
            former.unlink()
            _remove_companions(former)

    def renew(self) -> Store:
        """A new, empty file beside this one, not yet published."""
        fresh = object.__new__(Store)
        fresh.folder, fresh.projection, fresh.link = self.folder, self.projection.fresh(), self.link
        fresh.published, fresh.set_aside = False, None
        fresh.scrub_due = False
        fresh.path = self._next_path()
        fresh.db = fresh._open(fresh.path)
        fresh.positions = {}
        return fresh

    def replaced(self) -> Store:
        """A new, empty file for this one, which is damaged: it is closed and set aside."""
        self.close()
        fresh = self.renew()
        fresh.set_aside = _set_aside(self.path)
        fresh.scrub_due = isinstance(fresh.projection, HoldsClearText)
        return fresh

    def close(self) -> None:
        """Close the file."""
        self.db.close()

    def scrub(self) -> bool:
        """Leave no copy of former rows: empty the write-ahead log, remove damaged files.

        False where a reader still looks at a former moment, or there is no space: ask again.
        """
        self.scrub_due = True
        for path in self.folder.glob(f"{self.projection.name}.v*.damaged"):
            path.unlink(missing_ok=True)
        try:
            if isinstance(self.projection, HoldsClearText):
                self.projection.scrub(self.db)
            busy, *_ = self.db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        except sqlite3.Error as e:
            if not is_trouble(e):
                raise
            return False
        self.scrub_due = bool(busy)
        return not busy

    def discard(self) -> None:
        """Close the file and remove it: it was being built and is not wanted."""
        self.close()
        self.path.unlink(missing_ok=True)
        _remove_companions(self.path)

    # --- what is in it ----------------------------------------------------------------------------
    def _read_positions(self) -> dict[str, int]:
        rows = self.db.table("positions").rows_where(select="shard, position")
        return {row["shard"]: row["position"] for row in rows}

    def write(
        self,
        shard: str,
        events: list[Fed],
        unknown: Mapping[str, int],
        position: int,
        recorded_us: int | None,
    ) -> list[tuple[Fed, str]]:
        """Rows and position in one transaction; the events that were parked, with the reason.

        Raises: sqlite3.OperationalError where the disk is full or the file locked, TooMuchParked;
        nothing of the batch is then written.
        """
        parked: list[tuple[Fed, str]] = []
        try:
            with self.db.atomic():
                if events and not self._handle_all(events):
                    parked = self._handle_each(events)
                self._count_unknown(unknown)
                self._move(shard, position, recorded_us)
        except BaseException:
            self.projection.forget()
            raise
        self.positions[shard] = position
        if isinstance(self.projection, HoldsClearText) and self.projection.removed(self.db):
            self.scrub_due = True
        return parked

    def _handle_all(self, events: list[Fed]) -> bool:
        try:
            with self.db.atomic():
                self.projection.handle(self.db, events)
        except Exception as e:
            if is_trouble(e):
                raise
            self.projection.forget()
            return False
        return True

    def _handle_each(self, events: list[Fed]) -> list[tuple[Fed, str]]:
        parked = []
        for fed in events:
            try:
                with self.db.atomic():
                    self.projection.handle(self.db, [fed])
            except Exception as e:
                if is_trouble(e):
                    raise
                self.projection.forget()
                reason = _reason(e)
                parked.append((fed, reason))
                self._park(fed, reason)
        if parked and self.db.table("parked").count > PROJECTION_PARKED_MAX:
            raise TooMuchParked
        return parked

    def _park(self, fed: Fed, reason: str) -> None:
        self.db.table("parked").upsert(
            {
                "shard": fed.shard,
                "position": fed.position,
                "nth": fed.nth,
                "type": fed.event.type,
                "reason": reason,
            },
            pk=("shard", "position", "nth"),
        )

    def _count_unknown(self, unknown: Mapping[str, int]) -> None:
        for name, events in unknown.items():
            self.db.execute(
                "INSERT INTO unknown_types VALUES (?, ?)"
                " ON CONFLICT (type) DO UPDATE SET events = events + excluded.events",
                [name, events],
            )

    def _move(self, shard: str, position: int, recorded_us: int | None) -> None:
        self.db.execute(
            "INSERT INTO positions VALUES (?, ?, ?) ON CONFLICT (shard) DO UPDATE SET"
            " position = excluded.position,"
            " recorded_us = coalesce(excluded.recorded_us, recorded_us)",
            [shard, position, recorded_us],
        )

    def parked(self) -> list[dict[str, object]]:
        """The parked events: shard, position, nth, type, reason."""
        return list(self.db.table("parked").rows_where(order_by="shard, position, nth"))

    def unknown_types(self) -> dict[str, int]:
        """How many events of which type nobody here knows."""
        return {row["type"]: row["events"] for row in self.db.table("unknown_types").rows}


def adopt(folder: Path, name: str, version: int, file: Path) -> None:
    """Move in a read model that another node has folded: the first generation in a new folder."""
    path = folder / f"{name}.v{version}.g{1:06d}.db"
    file.rename(path)
    (folder / f"{name}.db").symlink_to(path.name)


def is_damage(error: BaseException) -> bool:
    """Whether the file itself is broken, so that only building it anew helps."""
    code = getattr(error, "sqlite_errorcode", None)
    return code is not None and code & 0xFF in {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}


def _set_aside(path: Path) -> Path:
    aside = path.with_name(f"{path.name}.damaged")
    path.rename(aside)
    _remove_companions(path)
    return aside


def _check(db: Database) -> None:
    if db.execute("PRAGMA quick_check(1)").fetchone()[0] != "ok":
        raise sqlite3.DatabaseError("the file is damaged")


def is_trouble(error: BaseException) -> bool:
    """Whether it is the disk's or the file's fault, and no event's: full, locked, unreadable."""
    if not isinstance(error, sqlite3.DatabaseError):
        return isinstance(error, OSError | MemoryError)
    code = getattr(error, "sqlite_errorcode", None)
    return code is not None and code & 0xFF in _TROUBLE


_TROUBLE: Final = frozenset(
    {
        sqlite3.SQLITE_BUSY,
        sqlite3.SQLITE_LOCKED,
        sqlite3.SQLITE_NOMEM,
        sqlite3.SQLITE_READONLY,
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_CORRUPT,
        sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_CANTOPEN,
        sqlite3.SQLITE_NOTADB,
    }
)


def _reason(error: Exception) -> str:
    """Why an event was parked: the kind of error or, where it is one of ours, its message.

    A message of another error may quote the event's content, which may be personal.
    """
    if isinstance(error, KontaktcenterError):
        return error.message[:_REASON_CHARS_MAX]
    return type(error).__name__


def _remove_companions(path: Path) -> None:
    for suffix in ("-wal", "-shm", "-journal"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)
