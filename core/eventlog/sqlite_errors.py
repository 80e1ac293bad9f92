"""What an error of SQLite means: trouble around a file, or a file that is not what was written."""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

_SURROUNDINGS = frozenset(
    {
        sqlite3.SQLITE_PERM,
        sqlite3.SQLITE_BUSY,
        sqlite3.SQLITE_LOCKED,
        sqlite3.SQLITE_NOMEM,
        sqlite3.SQLITE_READONLY,
        sqlite3.SQLITE_INTERRUPT,
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_CANTOPEN,
        sqlite3.SQLITE_PROTOCOL,
        sqlite3.SQLITE_AUTH,
    }
)
_PRIMARY = 0xFF  # extended codes carry the primary one in their low byte


SqliteErrors = (
    sqlite3.Error,
    UnicodeDecodeError,
)  # a damaged file can make the message itself unreadable


def schema_differs(conn: sqlite3.Connection, expected: Iterable[str]) -> str | None:
    """What the file's own description lacks or has beyond what it was made by; None if nothing.

    SQLite's checks go by that description: where a flipped bit makes a key a plain column, they
    find nothing.
    """
    rows = conn.execute("SELECT sql FROM sqlite_schema WHERE sql IS NOT NULL").fetchall()
    found = {" ".join(str(row[0]).split()) for row in rows}
    wanted = {" ".join(sql.replace(" IF NOT EXISTS", "").split()) for sql in expected}
    differing = sorted(found ^ wanted)
    return differing[0][:80] if differing else None


def is_surroundings(error: Exception) -> bool:
    """True for a full disk, missing rights and the like; False where the file itself is to blame.

    The class of the exception does not tell: a missing table and a full disk are both
    OperationalError.
    """
    code = getattr(error, "sqlite_errorcode", None)
    if code is None:  # raised by the module itself: a closed connection, an unfit parameter
        return isinstance(error, sqlite3.ProgrammingError | sqlite3.InterfaceError)
    return code & _PRIMARY in _SURROUNDINGS
