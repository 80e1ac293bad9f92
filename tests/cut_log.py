"""A log in memory that can be taken away for real: appends and reads hang, fail, or land although
they fail. Real code under the log's contract, for the tests of islands.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from core.errors import Unavailable, Unknown
from core.eventlog.memory_log import MemoryLog, MemoryStore

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from core.eventlog.log import Record

HANG_S = 0.05  # how long what hangs takes to be given up; the contract's limits, made short


class Wire:
    """One node's connection to the brokers. `kind` is how it is cut: None, or one of the words."""

    def __init__(self) -> None:
        self.kind: str | None = None
        self.late: list[tuple[MemoryLog, bytes]] = []  # sent, and on their way for a long time

    def cut(self, kind: str = "fails") -> None:
        """`fails`: refused at once. `hangs`: no answer. `lands`: it landed, and no answer came.

        `late`: no answer, and it lands when somebody says `land`.
        """
        self.kind = kind

    def mend(self) -> None:
        """The brokers can be reached again."""
        self.kind = None

    async def land(self) -> int:
        """What was on its way for a long time arrives; how many envelopes."""
        late, self.late = self.late, []
        for log, body in late:
            await log.append(body)
        return len(late)


class CutLog:
    """One shard of a log in memory, over a wire that may be cut."""

    shared = True
    in_flight_max = 2
    identity: str | None = None

    def __init__(self, log: MemoryLog, wire: Wire) -> None:
        self._log, self._wire = log, wire

    def pin(self, identity: str | None) -> None:
        """Nothing: nobody can put another log in its place."""

    async def append(self, body: bytes) -> int:
        """As the log's, if the wire lets it."""
        match self._wire.kind:
            case None:
                return await self._log.append(body)
            case "fails":
                await asyncio.sleep(0)
                raise Unavailable("the log is away", neighbour="log", retry_after_s=1)
            case "lands":
                await self._log.append(body)
            case "late":
                self._wire.late.append((self._log, body))
        await asyncio.sleep(HANG_S)
        raise Unknown("the log did not answer", neighbour="log", retry_after_s=1)

    def append_now(self, body: bytes) -> int | None:
        """None: the loop takes its turns as with a log that is far away."""
        return self._log.append_now(body)

    async def read(self, offset: int, limit: int, wait_s: float) -> Sequence[Record]:
        """As the log's, if the wire lets it."""
        await self._reach()
        found = await self._log.read(offset, limit, min(wait_s, HANG_S))
        await self._reach()
        return found

    async def end(self) -> int:
        """As the log's, if the wire lets it."""
        await self._reach()
        return await self._log.end()

    async def _reach(self) -> None:
        if self._wire.kind is not None:
            await asyncio.sleep(HANG_S)
            raise Unavailable("the log does not answer", neighbour="log", retry_after_s=1)


class CutStore(MemoryStore):
    """The books in memory as one node reaches them; the memory is all nodes'."""

    def __init__(self, store: MemoryStore, wire: Wire) -> None:
        super().__init__()
        self._store, self._wire = store, wire
        self.keys = store.keys

    async def open_shard(self, book: str, shard: int) -> CutLog:  # type: ignore[override]
        """The log of one shard. Raises: Unavailable."""
        if self._wire.kind is not None:
            raise Unavailable("the log is away", neighbour="log", retry_after_s=1)
        return CutLog(await self._store.open_shard(book, shard), self._wire)

    def known_shard(self, book: str, shard: int) -> CutLog:  # type: ignore[override]
        """The log of one shard that was there before."""
        return CutLog(self._store.known_shard(book, shard), self._wire)

    async def books(self) -> Mapping[str, int]:
        """The books that exist. Raises: Unavailable."""
        if self._wire.kind is not None:
            raise Unavailable("the log is away", neighbour="log", retry_after_s=1)
        return await self._store.books()
