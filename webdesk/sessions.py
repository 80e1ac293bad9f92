"""Sessions on the server: a file in the data folder, from which no browser's cookie can be made.

The cookie holds 32 random bytes; the file holds their SHA-256 alone, beside whose session it is and
when it was begun and used. An idle session locks itself: the password opens it again, and it goes
on under another id. It ends for good after its life, at sign-out, and with its account.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
import sqlite3
import threading
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

import structlog

from core.errors import Corrupt, Unavailable
from core.limits import SESSIONS_MAX

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from core.commit import Clock

COOKIE: Final = "__Host-kontaktcenter"
_ID_BYTES: Final = 32
_ID_CHARS: Final = 43  # of base64 without padding
_WRITE_EVERY_S: Final = 15.0  # how exactly it is known when a session was used last
_OTHERS: Final = 0o077
_LOG: Final = structlog.get_logger("webdesk.sessions")
_TABLE: Final = (
    "CREATE TABLE IF NOT EXISTS session (digest TEXT PRIMARY KEY, account TEXT NOT NULL,"
    " method TEXT NOT NULL, started REAL NOT NULL, used REAL NOT NULL, locked INTEGER NOT NULL"
    ") STRICT, WITHOUT ROWID"
)
_INSERT: Final = "INSERT INTO session VALUES (?, ?, ?, ?, ?, 0)"
_SELECT: Final = "SELECT account, method, started, used, locked FROM session WHERE digest = ?"
_USE: Final = "UPDATE session SET used = max(used, ?) WHERE digest = ?"
_LOCK: Final = "UPDATE session SET locked = 1 WHERE digest = ?"
_MOVE: Final = "UPDATE session SET digest = ?, used = ?, locked = 0 WHERE digest = ?"
_DELETE: Final = "DELETE FROM session WHERE digest = ?"
_DELETE_OF: Final = "DELETE FROM session WHERE account = ?"
_SWEEP: Final = "DELETE FROM session WHERE started < ?"
_TRIM: Final = (
    "DELETE FROM session WHERE digest IN"
    " (SELECT digest FROM session ORDER BY used DESC LIMIT -1 OFFSET ?)"
)


@dataclass(frozen=True, slots=True)
class Session:
    """One session. `method` says how it was begun: `password`, `sign-on`, `demo`."""

    account: str
    method: str
    started_at: datetime
    locked: bool


@dataclass(frozen=True, slots=True)
class SessionTimes:
    """How long a session may be idle before it locks, and live at all. Units: seconds."""

    idle_s: float = 900.0
    life_s: float = 43_200.0


class Sessions:
    """The sessions of one server; safe from any thread. `path` None keeps them in memory alone.

    Raises: Corrupt where others than the owner may read the file.
    """

    def __init__(
        self,
        path: Path | None,
        clock: Clock,
        entropy: Callable[[int], bytes],
        times: SessionTimes | None = None,
    ) -> None:
        self._path, self._clock, self._entropy = path, clock, entropy
        self._times = times or SessionTimes()
        self._lock = threading.Lock()
        self._db = self._open()

    def begin(self, account: str, method: str) -> str:
        """Begin a session; what its cookie holds. Raises: Unavailable where it cannot be kept."""
        made = base64.urlsafe_b64encode(self._entropy(_ID_BYTES)).rstrip(b"=").decode()
        now = self._clock().timestamp()
        with self._lock:
            self._run(_SWEEP, now - self._times.life_s)
            self._run(_INSERT, _digest(made), account, method, now, now)
            self._run(_TRIM, SESSIONS_MAX)
        return made

    def find(self, cookie: str | None) -> Session | None:
        """The session of a cookie; None where there is none, or its life is over."""
        if cookie is None or len(cookie) != _ID_CHARS or not cookie.isascii():
            return None
        now = self._clock().timestamp()
        with self._lock:
            try:
                row = self._db.execute(_SELECT, (_digest(cookie),)).fetchone()
            except sqlite3.DatabaseError as e:
                self._broken(e)
                return None
            if row is None:
                return None
            account, method, started, used, locked = row
            if now >= started + self._times.life_s:
                self._run(_DELETE, _digest(cookie))
                return None
            if not locked and now >= used + self._times.idle_s:
                self._run(_LOCK, _digest(cookie))
                locked = 1
        return Session(account, method, datetime.fromtimestamp(started, UTC), bool(locked))

    def use(self, cookie: str) -> None:
        """A person did something: the session is not idle."""
        now = self._clock().timestamp()
        with self._lock:
            try:
                row = self._db.execute(_SELECT, (_digest(cookie),)).fetchone()
                if row is not None and now >= row[3] + min(_WRITE_EVERY_S, self._times.idle_s / 4):
                    self._db.execute(_USE, (now, _digest(cookie)))
            except sqlite3.DatabaseError as e:
                _LOG.warning("session.not_marked", error=type(e).__name__)

    def lock(self, cookie: str) -> None:
        """Lock it, until its owner proves again who he or she is."""
        with self._lock:
            self._run(_LOCK, _digest(cookie))

    def unlock(self, cookie: str) -> str:
        """Go on with the session under a new id; what its cookie holds now."""
        made = base64.urlsafe_b64encode(self._entropy(_ID_BYTES)).rstrip(b"=").decode()
        with self._lock:
            self._run(_MOVE, _digest(made), self._clock().timestamp(), _digest(cookie))
        return made

    def end(self, cookie: str) -> None:
        """End it for good."""
        with self._lock:
            self._run(_DELETE, _digest(cookie))

    def end_all(self, account: str) -> None:
        """End all sessions of an account."""
        with self._lock:
            self._run(_DELETE_OF, account)

    def close(self) -> None:
        """Let the file go; what it holds is there at the next start."""
        with self._lock:
            self._db.close()

    def _run(self, sql: str, *values: object) -> None:
        try:
            self._db.execute(sql, values)
        except sqlite3.OperationalError as e:
            raise Unavailable("the session cannot be kept: is the disk full?") from e
        except sqlite3.DatabaseError as e:
            self._broken(e)
            raise Unavailable("the sessions were damaged: sign in again", retry_after_s=1) from e

    def _broken(self, error: sqlite3.Error) -> None:
        """The file is damaged: it is set aside, and everybody signs in again."""
        _LOG.error("sessions.damaged", error=type(error).__name__)
        self._db.close()
        self._set_aside()
        self._db = self._open()

    def _open(self) -> sqlite3.Connection:
        if self._path is None:
            return _connected(":memory:")
        try:
            os.close(os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
            mode = self._path.stat().st_mode
        except OSError as e:
            raise Unavailable(f"the sessions {self._path} cannot be opened: {e.strerror}") from e
        if mode & _OTHERS:
            raise Corrupt(f"the sessions {self._path} can be read by others: run chmod 600 on it")
        try:
            return _connected(str(self._path))
        except sqlite3.DatabaseError as e:
            _LOG.error("sessions.damaged", error=type(e).__name__)
            self._set_aside()
            return _connected(str(self._path))

    def _set_aside(self) -> None:
        if self._path is None:
            return
        for suffix in ("-wal", "-shm"):
            self._path.with_name(self._path.name + suffix).unlink(missing_ok=True)
        aside = self._path.with_name(self._path.name + ".damaged")
        self._path.replace(aside)
        os.close(os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))


def token_of(cookie: str) -> str:
    """The token that a page sends with what it asks for; known only to whoever has the cookie."""
    made = hmac.digest(cookie.encode(), b"kontaktcenter form", "sha256")
    return base64.urlsafe_b64encode(made).rstrip(b"=").decode()


def is_token_of(given: str, cookie: str) -> bool:
    """Whether a page of this session sent `given`; takes the same time for all wrong ones."""
    return hmac.compare_digest(given.encode("utf-8", "surrogateescape"), token_of(cookie).encode())


def cookie_header(cookie: str) -> str:
    """`Set-Cookie` for a session's cookie; it goes when the browser is closed."""
    return f"{COOKIE}={cookie}; Path=/; Secure; HttpOnly; SameSite=Strict"


def no_cookie_header() -> str:
    """`Set-Cookie` that takes it away."""
    return f"{COOKIE}=; Path=/; Max-Age=0; Secure; HttpOnly; SameSite=Strict"


def _digest(cookie: str) -> str:
    return hashlib.sha256(cookie.encode()).hexdigest()


def _check(db: sqlite3.Connection) -> None:
    (found,) = db.execute("PRAGMA quick_check(1)").fetchone()
    if found != "ok":
        raise sqlite3.DatabaseError(found)


def _connected(address: str) -> sqlite3.Connection:
    db = sqlite3.connect(address, isolation_level=None, check_same_thread=False, timeout=5)
    try:
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("PRAGMA synchronous = NORMAL")  # a session lost with the power: sign in again
        db.execute("PRAGMA secure_delete = ON")
        _check(db)
        db.execute(_TABLE)
        db.execute(_SELECT, ("",))  # a table of another shape is damage too
    except sqlite3.DatabaseError:
        db.close()
        raise
    return db
