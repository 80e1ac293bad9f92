"""What an error of SQLite means: trouble around a file, or a file that is not what was written."""

from __future__ import annotations

import sqlite3

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


def is_surroundings(error: sqlite3.Error) -> bool:
    """True for a full disk, missing rights and the like; False where the file itself is to blame.

    The class of the exception does not tell: a missing table and a full disk are both OperationalError.
    """
    code = getattr(error, "sqlite_errorcode", None)
    if code is None:  # raised by the module itself: a closed connection, an unfit parameter
        return isinstance(error, sqlite3.ProgrammingError | sqlite3.InterfaceError)
    return code & _PRIMARY in _SURROUNDINGS
