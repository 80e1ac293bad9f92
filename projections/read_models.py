"""The read models for those who ask: read-only, each answer from one moment of its file."""

from __future__ import annotations

import contextlib
import sqlite3
import threading
from typing import TYPE_CHECKING

from sqlite_utils import Database

from core.errors import Unavailable
from projections.agent_states import AgentStates
from projections.case_figures import CaseFigures
from projections.case_keeping import CaseKeeping
from projections.case_search import CaseSearch
from projections.case_work import CaseWork
from projections.handlers import Handlers
from projections.looks import Looks
from projections.persons import Persons
from projections.queue_entries import QueueEntries
from projections.reviews import Reviews
from projections.store import is_trouble

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from core.eventlog.codec import KeyOf
    from projections.base import Projection

_RETRY_S = 2.0
_BUSY_S = 2.0
_ATTEMPTS = 5  # a file that is swapped again and again is still opened


def all_projections(key_of: KeyOf | None = None) -> Sequence[Projection]:
    """A new one of each projection of the product, for a runner.

    `key_of` opens what the text index and the directory hold; without it they name nobody.
    """
    return (
        QueueEntries(),
        AgentStates(),
        CaseFigures(),
        CaseWork(),
        CaseSearch(key_of),
        CaseKeeping(),
        Handlers(key_of),
        Looks(),
        Persons(),
        Reviews(),
    )


class ReadModels:
    """Opens the files in `folder` for reading, and again when one was swapped. Any thread may ask.

    `versions` are those that the queries are written for, by name; by default the product's own.
    """

    def __init__(self, folder: Path, versions: Mapping[str, int] | None = None) -> None:
        self.folder = folder
        self._versions = versions or {each.name: each.version for each in all_projections()}
        self._local = threading.local()
        self._all: set[sqlite3.Connection] = set()
        self._lock = threading.Lock()

    @contextlib.contextmanager
    def snapshot(self, name: str, beside: str | None = None) -> Iterator[Database]:
        """One moment of the file `name`; `beside` is attached under its own name.

        Raises: Unavailable where there is no such file yet, or it cannot be read now.
        """
        try:
            db = self._moment(name, beside)
            try:
                yield db
            finally:
                db.rollback()
        except sqlite3.Error as e:
            if not is_trouble(e):
                raise
            msg = f"the read model {name} cannot be read ({e})"
            raise Unavailable(msg, neighbour=name, retry_after_s=_RETRY_S) from e

    def as_of(self, name: str) -> dict[str, int]:
        """How far a read model has come, by shard."""
        with self.snapshot(name) as db:
            return positions_of(db)

    def file(self, name: str) -> Path:
        """The file in use. Raises: Unavailable where there is none of this version."""
        return self._path(name)

    def close(self) -> None:
        """Close every thread's connections."""
        with self._lock:
            for connection in self._all:
                connection.close()
            self._all.clear()
        self._local = threading.local()

    def _moment(self, name: str, beside: str | None) -> Database:
        """A transaction on the file in use; looked up again where that was swapped meanwhile."""
        for attempt in range(_ATTEMPTS):
            db: Database | None = None
            try:
                db = self._database(name, beside)
                db.begin()
                db.execute("SELECT count(*) FROM positions").fetchone()
                if db is self._database(name, beside):
                    return db
            except sqlite3.OperationalError:  # the file went between the look and the opening
                if attempt == _ATTEMPTS - 1:
                    raise
                with contextlib.suppress(sqlite3.ProgrammingError):  # it may be closed by now
                    if db is not None:
                        db.rollback()
        msg = f"the read model {name} is being swapped again and again"
        raise Unavailable(msg, neighbour=name, retry_after_s=_RETRY_S)

    def _database(self, name: str, beside: str | None) -> Database:
        names = (name,) if beside is None else (name, beside)
        paths = tuple(self._path(part) for part in names)
        opened: dict[tuple[str, ...], tuple[tuple[Path, ...], Database]]
        opened = self._local.__dict__.setdefault("opened", {})
        known = opened.get(names)
        if known is not None:
            if known[0] == paths:
                return known[1]
            self._shut(opened.pop(names)[1])
        connection = sqlite3.connect(
            f"{paths[0].as_uri()}?mode=ro", uri=True, timeout=_BUSY_S, check_same_thread=False
        )
        with self._lock:
            self._all.add(connection)
        db = Database(connection)
        if beside is not None:
            db.attach(beside, str(paths[1]))
        opened[names] = (paths, db)
        return db

    def _path(self, name: str) -> Path:
        link = self.folder / f"{name}.db"
        if not link.is_file():
            msg = f"the read model {name} is not there yet"
            raise Unavailable(msg, neighbour=name, retry_after_s=_RETRY_S)
        path = link.resolve()
        version = self._versions.get(name)
        if version is not None and f".v{version}." not in path.name:
            msg = f"the read model {name} is being built in its new version"
            raise Unavailable(msg, neighbour=name, retry_after_s=_RETRY_S)
        return path

    def _shut(self, db: Database) -> None:
        with self._lock:
            self._all.discard(db.conn)
        db.close()


def positions_of(db: Database) -> dict[str, int]:
    """The positions that a read model's file stands at."""
    rows = db.query("SELECT shard, position FROM positions ORDER BY shard")
    return {row["shard"]: row["position"] for row in rows}
