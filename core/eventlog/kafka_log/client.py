"""What a log needs of a client of Kafka; `classic` and `fast` are the two that give it.

Their errors are few, and say what is certain: `shard_log` makes the log's own errors of them.
"""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from core.eventlog.log import Record


class ClientError(Exception):
    """What a client met; the message says it in the broker's or the library's words."""


class Away(ClientError):
    """No broker answered in time, or none lets us in; nothing was handed over."""


class Doubtful(ClientError):
    """The record was handed over, and what became of it is not known."""


class TooLarge(ClientError):
    """The broker does not take a record of this size."""


class Gone(ClientError):
    """The topic or the partition is not there."""


class OutOfRange(ClientError):
    """The log holds no such offset, or what was read before is not in it any more."""


class Damaged(ClientError):
    """A record does not match its checksum, or cannot be unpacked."""


class Topic(NamedTuple):
    """A topic as the cluster describes it: its id is another one when it was made again."""

    identity: str
    partitions: int


class End(Enum):
    """Which end of a partition."""

    FIRST = "first"  # the first offset that it still holds
    NEXT = "next"  # the offset that its next record gets


class Reader(Protocol):
    """Reads one partition from wherever it is told; used by one caller at a time."""

    async def fetch(self, offset: int, limit: int, wait_s: float) -> Sequence[Record]:
        """Records from `offset` on, ascending; none where none came within `wait_s`.

        That none came does not say that the broker is there. A null value is an empty body.

        Raises: Away, OutOfRange, Damaged.
        """
        ...

    async def place(self, offset: int) -> int:
        """Where it reads on after a fetch from `offset` that gave nothing; `offset` if unknown.

        Beyond it, where what stands there is no record: the end of a transaction.
        """
        ...

    def close(self) -> None:
        """Let go, in the background."""
        ...


class Client(Protocol):
    """One client for all shards of a node. Used from one event loop, which it never blocks."""

    async def append(self, topic: str, partition: int, body: bytes, limit_s: float) -> int:
        """The record's offset. Raises: Away, Doubtful, TooLarge, Gone; within the limit."""
        ...

    async def end(self, topic: str, partition: int, which: End) -> int:
        """Where a partition begins or ends, asked of its leader now. Raises: Away."""
        ...

    def reader(self, topic: str, partition: int) -> Reader:
        """A reader of one partition; connects when it is first used."""
        ...

    async def close(self) -> None:
        """Let go of connections and threads, within the limit, whatever the broker does."""
        ...


class Describer(Protocol):
    """What tells which topics there are."""

    async def topics(self) -> Mapping[str, Topic]:
        """All topics that we may see. Raises: Away."""
        ...

    async def describe(self, names: Collection[str]) -> Mapping[str, Topic | Away]:
        """Those of `names` that are there; Away for one that we may not look at. Raises: Away."""
        ...

    async def close(self) -> None:
        """Let go, within the limit."""
        ...
