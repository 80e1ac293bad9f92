"""Whether a file is as we left it, so that a start need not read all of a large one to trust it.

When we close it, its time of change is set back a second and noted beside it with its size and its
checksum. Whoever writes to it afterwards, if only one byte, moves that time; what changes without a
write (bit rot) does not fit the checksum, which is read in a quarter of the time that SQLite's own
check takes. A crash leaves no note.
"""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING, Final
from zlib import crc32

from core.limits import MIB

if TYPE_CHECKING:
    from pathlib import Path

CLOSED: Final = ".closed"  # the suffix of the note
_BACK_NS: Final = 1_000_000_000


def note_close(path: Path) -> None:
    """Note that `path` was closed whole. Where that cannot be written, the next start reads all."""
    with contextlib.suppress(OSError):
        before = path.stat().st_mtime_ns - _BACK_NS
        os.utime(path, ns=(before, before))
        _note_of(path).write_text(_state_of(path), encoding="ascii")


def take_note(path: Path) -> bool:
    """Whether `path` is as it was closed; the note is gone then, until it is closed again."""
    note = _note_of(path)
    try:
        noted = note.read_text(encoding="ascii")
        note.unlink()
        return noted == _state_of(path) and not path.with_name(path.name + "-wal").exists()
    except (OSError, UnicodeDecodeError):
        return False


def _note_of(path: Path) -> Path:
    return path.with_name(path.name + CLOSED)


def _state_of(path: Path) -> str:
    found, crc = path.stat(), 0
    with path.open("rb") as file:
        while part := file.read(MIB):
            crc = crc32(part, crc)
    return f"{found.st_size} {found.st_mtime_ns} {crc}\n"
