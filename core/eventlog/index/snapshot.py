"""An index that another node begins with: copied while its node works, and compared with a log."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING, Final

from core.errors import Corrupt, Refused, Unavailable
from core.eventlog.index.file import IndexFile
from core.eventlog.reading import check_tail
from core.eventlog.sqlite_errors import is_surroundings

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from core.eventlog.index.rows import Mark
    from core.eventlog.log import Log

_PAGES_PER_STEP: Final = 4_096  # 16 MiB of the usual page: progress is told so often
_READ_WAIT_S: Final = 1.0


def copy_whole(
    source: Path,
    target: Path,
    progress: Callable[[int, int], None] | None = None,
    *,
    pages: int = _PAGES_PER_STEP,
) -> None:
    """A copy of a SQLite file that may be in use, as it stood at one moment, whole in one file.

    `progress` gets pages done and in all. Raises: Unavailable (no space, no right), Corrupt.
    """

    def told(_status: int, left: int, total: int) -> None:
        if progress is not None:
            progress(total - left, total)

    try:
        with (
            closing(sqlite3.connect(f"{source.absolute().as_uri()}?mode=ro", uri=True)) as old,
            closing(sqlite3.connect(target, isolation_level=None)) as new,
        ):
            # One transaction for all steps: else a writer in between would make it begin again.
            old.execute("BEGIN")
            old.execute("SELECT count(*) FROM sqlite_schema").fetchone()
            old.backup(new, pages=pages, progress=told)
            new.execute("PRAGMA journal_mode=DELETE")
    except sqlite3.Error as e:
        if is_surroundings(e):
            msg = f"{source} cannot be copied to {target} ({e}): check the folder and free space"
            raise Unavailable(msg, neighbour="index", retry_after_s=5) from e
        raise Corrupt(f"{source} is damaged: {e}") from e


def check_copy(path: Path, progress: Callable[[int, int], None] | None = None) -> Mark:
    """How far the copy of an index has come; its rows must give its digest. Raises: Corrupt."""
    with IndexFile(path) as file:
        file.check(progress)
        return file.mark


async def check_belongs(log: Log, name: str, mark: Mark) -> None:
    """An index that ends at `mark` is of this log: its beginning, and the record it ends with.

    Raises: Refused (another log, or one that was cut), Unavailable (it cannot be asked now).
    """
    why = ""
    try:
        log.pin(mark.identity)
        end = await log.end()
        first = await log.read(0, 1, _READ_WAIT_S)
        if not first or first[0].body != mark.genesis:
            why = "its genesis differs"
        elif end < mark.next_offset:
            why = f"it ends at {end}, and the snapshot has read it up to {mark.next_offset}"
        elif mark.last_crc is not None:
            before = await log.read(mark.next_offset - 1, 1, _READ_WAIT_S)
            check_tail(before[0].body if before else b"", mark.last_crc, name)
    except Corrupt as e:
        msg = f"the snapshot is not of this log of {name}: its records differ, or it was replaced"
        raise Refused(msg) from e
    if why:
        raise Refused(f"the snapshot is not of this log of {name}: {why}")
