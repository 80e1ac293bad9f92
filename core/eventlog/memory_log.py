"""The log in memory: for tests and trials; gone with the process.

Real code under the same contract.

Several nodes may share one `MemoryStore`, which is how races between proposers are tested on one
machine.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from core.eventlog.keys import MemoryKeys
from core.eventlog.log import Record

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


class MemoryLog:
    """One shard in memory."""

    shared = True
    in_flight_max = 2
    identity: str | None = None

    def __init__(self) -> None:
        self._bodies: list[bytes] = []
        self._grown = asyncio.Event()

    def pin(self, identity: str | None) -> None:
        """Nothing: nobody can put another log in its place."""

    async def append(self, body: bytes) -> int:
        """Append; durable as long as the process lives."""
        self._bodies.append(body)
        self._grown.set()
        self._grown = asyncio.Event()
        return len(self._bodies) - 1

    def append_now(self, body: bytes) -> int | None:  # noqa: ARG002 -- the contract's
        """None: the loop takes its turns as with a log that is far away."""
        return None

    async def read(self, offset: int, limit: int, wait_s: float) -> Sequence[Record]:
        """Records from `offset` on."""
        if offset >= len(self._bodies) and wait_s > 0:
            try:
                async with asyncio.timeout(wait_s):
                    await self._grown.wait()
            except TimeoutError:
                return ()
        bodies = self._bodies[offset : offset + limit]
        return [Record(offset + i, body) for i, body in enumerate(bodies)]

    async def end(self) -> int:
        """The offset that the next record will get."""
        return len(self._bodies)


class MemoryStore:
    """All books in memory. Usable from one event loop."""

    shared = True

    def __init__(self) -> None:
        self._shards: dict[tuple[str, int], MemoryLog] = {}
        self.keys = MemoryKeys()  # the book of keys is one for all nodes of a deployment

    async def open_shard(self, book: str, shard: int) -> MemoryLog:
        """The log of one shard, made at the first call."""
        return self._shards.setdefault((book, shard), MemoryLog())

    def known_shard(self, book: str, shard: int) -> MemoryLog:
        """The log of one shard."""
        return self._shards.setdefault((book, shard), MemoryLog())

    async def books(self) -> Mapping[str, int]:
        """The books that exist, with their number of shards."""
        counted: dict[str, int] = {}
        for book, _ in self._shards:
            counted[book] = counted.get(book, 0) + 1
        return counted

    async def close(self) -> None:
        """Nothing to let go of."""
