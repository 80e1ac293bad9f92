"""The rows of an index: what is read from it, what is written to it, and their checksums."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple
from zlib import crc32


class StreamRow(NamedTuple):
    """One event of a stream: its numbers, and the commit's bytes that it is the `nth` event of."""

    version: int
    seq: int
    position: int
    nth: int
    raw: bytes


class CommitRow(NamedTuple):
    """One accepted commit with events."""

    position: int
    first_seq: int
    raw: bytes


@dataclass(slots=True)
class Mark:
    """How far a shard has been judged. `genesis` is the record at offset 0 as it was read.

    `last_crc` is the checksum of the last commit in the record before `next_offset`, by which
    another log with the same genesis is known; None where that record was void. `identity` is the
    log's own, such as a topic's id; None where it has none.
    """

    next_offset: int = 0
    position: int = 0
    seq: int = 0
    digest: bytes = bytes(32)
    format: int = 1
    genesis: bytes | None = None
    last_crc: int | None = None
    identity: str | None = None

    def row(self) -> tuple[int | bytes | str | None, ...]:
        """The columns of the index's state, and their checksum."""
        columns = (
            self.next_offset, self.position, self.seq, self.digest, self.format, self.genesis,
            self.last_crc, self.identity,
        )  # fmt: skip
        return *columns, crc32(repr(columns).encode())


@dataclass(slots=True)
class Batch:
    """Rows that wait for the index: flat parameters, in the order of the columns."""

    judged: list[object] = field(default_factory=list)
    events: list[object] = field(default_factory=list)
    fresh: dict[str, list[StreamRow]] = field(default_factory=dict)  # read until they are there
    trackings: dict[str, int] = field(default_factory=dict)
    asides: list[tuple[int, int, str, str | None, bytes | None]] = field(default_factory=list)


def row_crc(  # noqa: PLR0913 -- a row has these columns
    position: int, first_seq: int, events: int, stream: str | None, head: int | None, raw: bytes
) -> int:
    """The checksum of a row of `judged`, cheap where accepted; id and intent stand in `raw`."""
    if stream is not None:
        raw += f" {stream} {head}".encode()
    return crc32(raw, (position * 2654435761 + first_seq * 40503 + events) & 0xFFFFFFFF)


def crc_of(*columns: object) -> int:
    """The checksum of any other row."""
    return crc32(repr(columns).encode())
