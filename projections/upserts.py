"""The measured batch upsert: some hundred rows to a statement, on the connection itself.

sqlite3 lets go of the interpreter at every step. With a step for each row, a batch would wait for
the server's busy loop once for each row; with a hundred rows to a step it hardly waits.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlite_utils import Database

_ROWS_PER_STATEMENT: Final = 100


class Upsert:
    """An upsert of whole rows: `key` columns decide, `changing` are overwritten (all, by default).

    `merge` replaces the new value of a column by an expression.
    """

    def __init__(
        self,
        table: str,
        columns: Sequence[str],
        key: Sequence[str],
        changing: Sequence[str] | None = None,
        merge: dict[str, str] | None = None,
    ) -> None:
        over = [c for c in columns if c not in key] if changing is None else changing
        merged = merge or {}
        sets = ", ".join(f"{c} = {merged.get(c, f'excluded.{c}')}" for c in over)
        self._head = f"INSERT INTO {table} ({', '.join(columns)}) VALUES "
        self._tail = f" ON CONFLICT ({', '.join(key)}) DO UPDATE SET {sets}"
        self._row = f"({', '.join('?' * len(columns))})"

    def write(self, db: Database, rows: Sequence[Sequence[object]]) -> None:
        """Write `rows`, inside the transaction that is open."""
        for first in range(0, len(rows), _ROWS_PER_STATEMENT):
            part = rows[first : first + _ROWS_PER_STATEMENT]
            flat = [value for row in part for value in row]
            db.conn.execute(_statement(self._head, self._row, self._tail, len(part)), flat)


@lru_cache(maxsize=1_000)
def _statement(head: str, row: str, tail: str, rows: int) -> str:
    return f"{head}{', '.join([row] * rows)}{tail}"
