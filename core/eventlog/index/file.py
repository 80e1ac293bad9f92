"""An index's file from outside, only read: its mark, and its digest at any position of the past.

The node that writes it may go on meanwhile: what is read is the file as it stood at the beginning.
"""

from __future__ import annotations

import sqlite3
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Final, Self
from urllib.parse import unquote

from core.errors import Corrupt, NotFound, Unavailable
from core.eventlog.index.index import LAYOUT
from core.eventlog.index.rows import Mark, row_crc
from core.eventlog.sqlite_errors import SqliteErrors, is_surroundings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

_SQL_STATE: Final = (
    "SELECT next_offset, position, seq, digest, format, genesis, last_crc, identity, crc FROM state"
)
_SQL_ROWS: Final = (
    "SELECT position, first_seq, events, stale_stream, stale_head, raw, crc FROM judged"
    " WHERE position <= ? ORDER BY position"
)
_SQL_FORKS: Final = (
    "SELECT log_offset, reason, raw FROM aside WHERE kind = 'fork' AND log_offset > ?"
    " ORDER BY log_offset, nth LIMIT ?"
)
_TELL_EVERY: Final = 10_000  # rows between two tellings of progress


class IndexFile:
    """One shard's index as it stood when this was made. Use as a context; one thread at a time.

    Raises: Corrupt where it is not an index of this program's layout or not as it was written,
    Unavailable where it cannot be read at all.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            self._conn = sqlite3.connect(
                f"{path.absolute().as_uri()}?mode=ro",
                uri=True, isolation_level=None, check_same_thread=False,
            )  # fmt: skip
        except sqlite3.Error as e:
            raise self._said(e) from e
        try:
            self.mark = self._begin()
        except BaseException:
            self._conn.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self._conn.close()

    def _begin(self) -> Mark:
        self._run("BEGIN")
        layout = self._run("PRAGMA user_version").fetchone()[0]
        if layout != LAYOUT:
            raise Corrupt(f"the index {self.path} has layout {layout}, not {LAYOUT}")
        row = self._run(_SQL_STATE).fetchone()
        if row is None:
            return Mark()
        mark = Mark(*row[:-1])
        if mark.row()[-1] != row[-1]:
            raise self._damaged("its state does not match its checksum")
        return mark

    def digest_at(self, position: int) -> str:
        """The rolling digest (hex) when `position` had been judged, from the rows up to it.

        Raises: NotFound beyond the last position, Corrupt where the rows do not give it.
        """
        if not 0 <= position <= self.mark.position:
            raise NotFound(f"the index {self.path} knows positions 0 to {self.mark.position}")
        digest = bytes(32)
        for _place, step in self.steps(position):
            digest = step
        if position == self.mark.position and digest != self.mark.digest:
            raise self._damaged("its rows do not give the digest of its state")
        return digest.hex()

    def check(self, progress: Callable[[int, int], None] | None = None) -> None:
        """Read all rows through: checksums, and the digest of the state from them. Raises: Corrupt.

        `progress` gets positions done and in all.
        """
        digest = bytes(32)
        for place, step in self.steps(self.mark.position):
            digest = step
            if progress is not None and place % _TELL_EVERY == 0:
                progress(place, self.mark.position)
        if digest != self.mark.digest:
            raise self._damaged("its rows do not give the digest of its state")

    def forks(self, after: int, limit: int) -> list[tuple[int, str, bytes]]:
        """What was kept aside because its id was used before: its offset in the log, id, bytes."""
        return self._run(_SQL_FORKS, after, limit).fetchall()

    def steps(self, upto: int) -> Iterator[tuple[int, bytes]]:
        """Each position up to `upto` with the digest after it. Raises: Corrupt."""
        digest, due = bytes(32), 1
        try:
            for position, first_seq, events, stream, head, raw, crc in self._run(_SQL_ROWS, upto):
                if position != due:
                    raise self._damaged(f"its row {due} is missing")
                if row_crc(position, first_seq, events, stream, head, raw) != crc:
                    raise self._damaged(f"its row {position} does not match its checksum")
                digest = sha256(digest + (b"A" if stream is None else b"S") + raw).digest()
                yield position, digest
                due += 1
        except SqliteErrors as e:
            raise self._said(e) from e
        if due <= upto:
            raise self._damaged(f"its row {due} is missing")

    def _run(self, sql: str, *params: Any) -> sqlite3.Cursor:
        try:
            return self._conn.execute(sql, params)
        except SqliteErrors as e:
            raise self._said(e) from e

    def _said(self, error: Exception) -> Unavailable | Corrupt:
        if is_surroundings(error):
            msg = f"the index {self.path} cannot be read ({error}); check the folder and its rights"
            return Unavailable(msg, neighbour="index", retry_after_s=5)
        return self._damaged(str(error))

    def _damaged(self, what: str) -> Corrupt:
        return Corrupt(f"the index {self.path} is damaged: {what}")


def index_files(data: Path) -> dict[str, Path]:
    """The files of the indexes in a data folder, by shard; `parts.index_path` the other way."""
    found = {}
    for path in (data / "index").glob("*.db"):
        book, _, number = path.stem.rpartition("-")
        found[f"{unquote(book)}/{number}"] = path
    return dict(sorted(found.items()))
