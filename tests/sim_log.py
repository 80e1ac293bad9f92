"""Brokers that a simulation makes: a `Log` whose records come late, twice, or after their error.

What has landed stays, in one order for all (`acks=all`: a reader sees only what is replicated). All
else goes as the `Weather` says: requests and answers are lost, a leader fails over, a node is cut
off, readers lag, each by itself.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from core.errors import Unavailable, Unknown
from core.eventlog.log import Record
from core.eventlog.memory_log import MemoryStore

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from random import Random

    from sim_loop import SimLoop

APPEND_S_MAX = 5.0  # the contract of a log: so long an append, an end, a read beyond its wait
END_S_MAX = 2.0


@dataclass(frozen=True)
class Weather:
    """How often what goes wrong (of 1), and how long it takes at most (seconds)."""

    refused: float = 0.0  # certainly not sent
    lost: float = 0.0  # a request that never arrives
    unanswered: float = 0.0  # it arrived, and its answer does not
    late: float = 0.0  # it lands when its sender has given up
    twice: float = 0.0  # it lands once more
    travel_s: float = 0.01
    late_s: float = 20.0


CALM = Weather()
STORM = Weather(refused=0.1, lost=0.15, unanswered=0.25, late=0.2, twice=0.25, travel_s=0.4)
SLOW = Weather(twice=0.1, travel_s=3.0)


@dataclass
class Partition:
    """What the brokers hold of one shard."""

    bodies: list[bytes] = field(default_factory=list)
    landed_s: list[float] = field(default_factory=list)


class Brokers:
    """All brokers. A partition without a leader takes and gives nothing until `leader_at_s`."""

    def __init__(self, loop: SimLoop, dice: Random) -> None:
        self.loop, self.dice = loop, dice
        self.weather = CALM
        self.leader_at_s = 0.0
        self.partitions: dict[tuple[str, int], Partition] = {}
        self.on_the_way = 0

    def land(self, where: Partition, body: bytes) -> int:
        """The record is in the log, for ever; its offset."""
        where.bodies.append(body)
        where.landed_s.append(self.loop.time())
        return len(where.bodies) - 1

    def land_later(self, where: Partition, body: bytes, wait_s: float) -> None:
        """A copy lands by itself, whoever sent it may be dead by then."""
        self.on_the_way += 1

        def arrive() -> None:
            self.on_the_way -= 1
            self.land(where, body)

        # Not of the sender's life: it is in the net.
        self.loop.call_later(wait_s, arrive, context=self.loop.outside)

    @property
    def leaderless(self) -> bool:
        """Whether the leader is gone and no other chosen yet."""
        return self.loop.time() < self.leader_at_s


class SimStore(MemoryStore):
    """One node's way to the brokers.

    `cut`: nothing comes through; `lag_s`: so old is what it reads. The keys are one book for all.
    """

    def __init__(self, brokers: Brokers, keys: MemoryStore) -> None:
        super().__init__()
        self.brokers, self.keys = brokers, keys.keys
        self.cut = False
        self.lag_s = 0.0

    async def open_shard(self, book: str, shard: int) -> SimLog:  # type: ignore[override]  # the same contract
        """The log of one shard."""
        if self.cut or self.brokers.leaderless:
            await asyncio.sleep(END_S_MAX)
            raise Unavailable("no broker answers", neighbour="log", retry_after_s=1)
        where = self.brokers.partitions.setdefault((book, shard), Partition())
        return SimLog(self, where)

    async def books(self) -> Mapping[str, int]:
        """The books that exist."""
        if self.cut or self.brokers.leaderless:
            await asyncio.sleep(END_S_MAX)
            raise Unavailable("no broker answers", neighbour="log", retry_after_s=1)
        return {book: 1 for book, _ in self.brokers.partitions}


class SimLog:
    """One shard, as one node reaches it."""

    shared = True
    in_flight_max = 2
    identity: str | None = "the topic"

    def __init__(self, store: SimStore, where: Partition) -> None:
        self._store, self._brokers, self._where = store, store.brokers, where

    def pin(self, identity: str | None) -> None:
        """Nothing: the topic stays."""

    def append_now(self, body: bytes) -> int | None:
        """None: the brokers are far away."""
        del body
        return None

    async def append(self, body: bytes) -> int:
        """Append; what becomes of it the weather decides."""
        brokers, weather, dice = self._brokers, self._brokers.weather, self._brokers.dice
        if dice.random() < weather.refused:
            raise Unavailable("the request was not sent", neighbour="log", retry_after_s=1)
        if self._store.cut or brokers.leaderless or dice.random() < weather.lost:
            await asyncio.sleep(APPEND_S_MAX)
            raise Unknown("no answer", neighbour="log", retry_after_s=1)
        if dice.random() < weather.late:
            brokers.land_later(self._where, body, dice.uniform(0, weather.late_s))
            await asyncio.sleep(dice.uniform(0, APPEND_S_MAX))
            raise Unknown("no answer", neighbour="log", retry_after_s=1)
        if dice.random() < weather.twice:
            brokers.land_later(self._where, body, dice.uniform(0, weather.late_s))
        await asyncio.sleep(dice.uniform(0, weather.travel_s))
        if brokers.leaderless:
            raise Unknown("the leader is gone", neighbour="log", retry_after_s=1)
        offset = brokers.land(self._where, body)
        if dice.random() < weather.unanswered:
            await asyncio.sleep(dice.uniform(0, APPEND_S_MAX))
            raise Unknown("no answer", neighbour="log", retry_after_s=1)
        await asyncio.sleep(dice.uniform(0, weather.travel_s))
        if self._store.cut:
            raise Unknown("no answer", neighbour="log", retry_after_s=1)
        return offset

    async def read(self, offset: int, limit: int, wait_s: float) -> Sequence[Record]:
        """Records as this node's lag lets it see them; sometimes fewer than there are."""
        until_s = self._brokers.loop.time() + wait_s
        while True:
            await asyncio.sleep(self._brokers.dice.uniform(0.001, 0.01))
            if self._store.cut or self._brokers.leaderless:
                await asyncio.sleep(max(0.0, until_s - self._brokers.loop.time()))
                raise Unavailable("no broker answers", neighbour="log", retry_after_s=1)
            seen = self._seen()
            bodies = self._where.bodies[offset : min(seen, offset + self._some(limit))]
            if bodies or self._brokers.loop.time() >= until_s:
                return [Record(offset + nth, body) for nth, body in enumerate(bodies)]
            await asyncio.sleep(0.05)

    def _seen(self) -> int:
        oldest_s = self._brokers.loop.time() - self._store.lag_s
        landed_s = self._where.landed_s
        seen = len(landed_s)
        while seen and landed_s[seen - 1] > oldest_s:
            seen -= 1
        return seen

    def _some(self, limit: int) -> int:
        return limit if self._brokers.dice.random() < 0.5 else min(limit, 2)

    async def end(self) -> int:
        """How many have landed."""
        await asyncio.sleep(self._brokers.dice.uniform(0.001, 0.01))
        if self._store.cut or self._brokers.leaderless:
            await asyncio.sleep(END_S_MAX)
            raise Unavailable("no broker answers", neighbour="log", retry_after_s=1)
        return len(self._where.bodies)
