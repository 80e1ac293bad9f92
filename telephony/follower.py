"""Following a `queue_log` while Asterisk writes it, through rotation by rename or by truncation."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import IO, TYPE_CHECKING, Final

from core.errors import Refused
from core.limits import IMPORT_BATCH_LINES
from telephony.importer import Importer
from telephony.reading import READ_BYTES, Lines, check_source

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from core.commit import Port
    from core.taxonomy import Directory
    from telephony.importer import ImportReport

FOLLOW_POLL_S: Final = 0.5
FOLLOW_RENEW_S: Final = 60.0
_FINGERPRINT_BYTES: Final = 256


class _Tail:
    """One open file, read from its beginning. Its last line without an end waits."""

    def __init__(self, path: Path) -> None:
        self.file: IO[bytes] = path.open("rb", buffering=0)
        self.identity = _identity(os.fstat(self.file.fileno()))
        self.restart()

    def restart(self) -> None:
        """Begin the file anew."""
        self.lines, self.next_no, self._offset, self._last = Lines(), 1, 0, b""

    def read(self) -> tuple[int, list[bytes]]:
        """The number of the first line that is new, and the lines."""
        chunk = os.pread(self.file.fileno(), READ_BYTES, self._offset)
        self._offset += len(chunk)
        self._last = (self._last + chunk)[-_FINGERPRINT_BYTES:]
        found, first_no = self.lines.feed(chunk), self.next_no
        self.next_no += len(found)
        return first_no, found

    def truncated(self) -> bool:
        """Whether the file shrank, also if it has grown again: what we read last is gone."""
        fd = self.file.fileno()
        if self.size_bytes() < self._offset:
            return True
        return os.pread(fd, len(self._last), self._offset - len(self._last)) != self._last

    def size_bytes(self) -> int:
        """How large the file is now."""
        return os.fstat(self.file.fileno()).st_size

    def has_read(self, size_bytes: int) -> bool:
        """Whether it has come so far, or to the end of a file that is shorter by now."""
        return self._offset >= min(size_bytes, self.size_bytes())


async def follow(  # noqa: PLR0913 -- the edges are arguments
    port: Port,
    path: Path | str,
    exchange: str,
    directory: Directory,
    *,
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    poll_s: float = FOLLOW_POLL_S,
    renewed: Callable[[], Awaitable[Directory]] | None = None,
) -> AsyncIterator[ImportReport]:
    """Record the rows of a growing file from its beginning, for ever.

    Yields the report, always the same one, after each turn that brought news.

    A row without its line end is not read yet. After a rename the old file is read until the new
    one has something in it; a file that shrank is read anew, and what is known already stays as it
    is. A path that is away for a while is waited for. A node that is away is asked again with the
    same ids. `renewed` is asked for the catalogue every FOLLOW_RENEW_S, so that a group that
    becomes excluded meanwhile is. Close the generator to stop. After a longer stop, import the
    rotated files with `import_files`.
    Raises: Refused (the path), Invalid (the exchange's name), Corrupt.
    """
    name, path = os.fspath(path), Path(path)
    if check_source(path).compressed:
        raise Refused(f"{path} is compressed: only a plain file grows")
    importer = Importer(port, exchange, directory, sleep, endless=True)
    tail, slept_s = _Tail(path), 0.0
    try:
        while True:
            newer = _newer(path, tail)
            news = await _drain(importer, name, tail)
            if newer is not None:
                _cut(importer, name, tail, "rotated")
                tail.file.close()
                tail = newer
                news = await _drain(importer, name, tail) or news
            if news:
                yield importer.report
            await sleep(poll_s)
            slept_s += poll_s
            if renewed is not None and slept_s >= FOLLOW_RENEW_S:
                importer.use(await renewed())
                slept_s = 0.0
    except OSError as e:
        raise Refused(f"{name} cannot be read: {e.strerror or e}") from e
    finally:
        tail.file.close()
        await importer.close()


async def _drain(importer: Importer, name: str, tail: _Tail) -> bool:
    """Take all that is there now; whether there was anything."""
    before, size_bytes = importer.report.lines, tail.size_bytes()
    while True:
        if tail.truncated():
            _cut(importer, name, tail, "truncated")
            tail.restart()
        first_no, lines = tail.read()
        for start in range(0, len(lines), IMPORT_BATCH_LINES):
            part = lines[start : start + IMPORT_BATCH_LINES]
            await importer.take(name, first_no + start, part)
        if tail.has_read(size_bytes):  # not the end: that may run away for ever
            break
    await importer.settle()
    return importer.report.lines != before


def _cut(importer: Importer, name: str, tail: _Tail, how: str) -> None:
    """Report a last row whose end will never come."""
    if tail.lines.rest:
        importer.report.lines += 1
        importer.malformed(name, tail.next_no, f"the file was {how} before the row's end")


def _newer(path: Path, tail: _Tail) -> _Tail | None:
    """Another file that has the path now. While it is empty the old one may still be written to."""
    try:
        newer = _Tail(path)
    except FileNotFoundError:
        return None
    if newer.identity == tail.identity or not newer.size_bytes():
        newer.file.close()
        return None
    return newer


def _identity(status: os.stat_result) -> tuple[int, int]:
    return status.st_dev, status.st_ino
