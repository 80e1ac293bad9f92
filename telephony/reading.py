"""Bytes of a `queue_log`, plain or gzip, to whole lines in bounded memory."""

from __future__ import annotations

import gzip
import zlib
from contextlib import contextmanager
from io import BufferedReader
from typing import IO, TYPE_CHECKING, Final, NamedTuple, cast

from core.errors import Refused
from core.limits import IMPORT_BATCH_LINES, LINE_CHARS_MAX, MIB

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

READ_BYTES: Final = MIB // 4
_GZIP_MAGIC: Final = b"\x1f\x8b"


class Source(NamedTuple):
    """A file that can be read: its size on disk, and whether it is compressed."""

    path: Path
    size_bytes: int
    compressed: bool


class Batch(NamedTuple):
    """Lines without their ends, the number of the first, and how far into the file they reach."""

    first_no: int
    lines: list[bytes]
    bytes_done: int


def check_source(path: Path) -> Source:
    """Look at a file before anything is read. Raises: Refused, saying what is wrong with it."""
    if path.is_dir():
        raise Refused(f"{path} is a folder: name the queue_log files in it")
    if not path.exists():
        raise Refused(f"{path}: there is no such file")
    if not path.is_file():
        raise Refused(f"{path} is not a file")
    try:
        with path.open("rb") as file:
            compressed = file.read(len(_GZIP_MAGIC)) == _GZIP_MAGIC
        return Source(path, path.stat().st_size, compressed)
    except OSError as e:
        raise Refused(f"{path} cannot be read: {e.strerror or e}") from e


class Lines:
    """Splits what is fed to it into lines; the last one waits for its end.

    Bound: of a line that is too long only so much is kept that it is seen to be too long.
    """

    def __init__(self) -> None:
        self.rest = b""

    def feed(self, chunk: bytes) -> list[bytes]:
        """The lines that `chunk` completes, without their ends."""
        lines = (self.rest + chunk).split(b"\n")
        self.rest = lines.pop()[: LINE_CHARS_MAX + 1]
        return lines


class CutShortError(Exception):
    """A compressed file ends too early or is damaged; what came before has been given."""


class Reader:
    """The lines of one file in batches; one without its end is `unfinished` and not given."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self.unfinished = False
        self._damaged = False

    def batches(self) -> Iterator[Batch]:
        """Every whole line. Raises: CutShortError, Refused where the disk fails."""
        lines, waiting, first_no = Lines(), list[bytes](), 1
        try:
            with self._opened() as (file, raw):
                for chunk in self._chunks(file):
                    waiting += lines.feed(chunk)
                    while len(waiting) >= IMPORT_BATCH_LINES:
                        part, waiting = waiting[:IMPORT_BATCH_LINES], waiting[IMPORT_BATCH_LINES:]
                        yield Batch(first_no, part, raw.tell())
                        first_no += len(part)
                yield Batch(first_no, waiting, raw.tell())
        except OSError as e:
            raise Refused(f"{self.source.path} cannot be read: {e.strerror or e}") from e
        if self._damaged:
            raise CutShortError
        self.unfinished = bool(lines.rest)

    def _chunks(self, file: IO[bytes]) -> Iterator[bytes]:
        """What the file holds; a damaged compressed one as far as it can be unpacked."""
        read = cast(BufferedReader, file).read1
        try:
            while chunk := read(READ_BYTES):
                yield chunk
        except (EOFError, zlib.error, gzip.BadGzipFile):
            self._damaged = True

    @contextmanager
    def _opened(self) -> Iterator[tuple[IO[bytes], IO[bytes]]]:
        with self.source.path.open("rb") as raw:
            if not self.source.compressed:
                yield raw, raw
                return
            with gzip.open(raw, "rb") as unpacked:
                yield cast(IO[bytes], unpacked), raw
