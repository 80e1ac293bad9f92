"""The contract of a log: what the three kinds (memory, SQLite, Kafka) have in common.

One suite, `tests/contract/test_log.py`, runs on all of them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


class Record(NamedTuple):
    """One envelope at its offset; the first is 0 and there are no gaps."""

    offset: int
    body: bytes


class Log(Protocol):
    """One shard of one book."""

    shared: bool  # others may append too, so somebody has to keep reading
    in_flight_max: int  # appends that are worth having under way at once
    identity: str | None  # what tells this log from a later one by its name; None where none could

    def pin(self, identity: str | None) -> None:
        """Be that log and no other; None: whichever is found first.

        Where it was replaced, `append`, `read` and `end` raise Corrupt.
        """
        ...

    async def append(self, body: bytes) -> int:
        """Append one envelope; its offset once it is durable.

        Raises: Unavailable where it certainly was not recorded, Unknown where that is not certain.
        """
        ...

    def append_now(self, body: bytes) -> int | None:
        """As `append`, on the caller's thread; None, nothing done, where that might take long."""
        ...

    async def read(self, offset: int, limit: int, wait_s: float) -> Sequence[Record]:
        """Records from `offset` on, at most `limit`; waits up to `wait_s` for the first.

        Raises: Corrupt on a damaged record or a gap, Unavailable.
        """
        ...

    async def end(self) -> int:
        """The offset that the next record will get."""
        ...


class LogStore(Protocol):
    """All books of a deployment."""

    shared: bool  # other nodes may make books too

    async def open_shard(self, book: str, shard: int) -> Log:
        """The log of one shard, made if the store may make it."""
        ...

    def known_shard(self, book: str, shard: int) -> Log:
        """As `open_shard`, of one that was there before, while a shared log may be away."""
        ...

    async def books(self) -> Mapping[str, int]:
        """The books that exist, with their number of shards."""
        ...

    async def close(self) -> None:
        """Let go of files and threads; what was acknowledged is there."""
        ...
