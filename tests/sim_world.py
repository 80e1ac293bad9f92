"""Nodes, clients and what they were told, on brokers that a simulation makes.

The nodes are the product's own: `Node`, its shards, `judge`, the index in files, `Application`.
Made up are time, the disk's slowness and the brokers (`sim_loop`, `sim_log`).
"""

from __future__ import annotations

import asyncio
import os
import shutil
from collections import defaultdict
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import UUID

from given import city, staff
from log_world import SECRET, T0, Ticks
from sim_log import CALM, Brokers, SimStore
from sim_loop import Life, SimLoop

from core.access import Asker
from core.application import Application, fact_draft
from core.call_rules import (
    AnswerCall,
    EndCall,
    HoldCall,
    QueueCall,
    RequestCallback,
    TransferCall,
    WrapUpCall,
)
from core.calls import CallEnded, CallQueued
from core.commit import first_of, judged
from core.errors import KontaktcenterError, Refused, Stale, Unavailable
from core.eventlog.memory_log import MemoryStore
from core.eventlog.node import Node, NodeSettings
from core.personal import Personal

if TYPE_CHECKING:
    from random import Random

    from core.commands import Command
    from core.commit import Answer, Draft

STREAMS = ("call/sim/1", "call/sim/2", "call/sim/3")
AGENTS = ("anna", "bo", "cia")
COMMANDS, FACTS = 60, 30
RPC_S = 12.0
_KINDS: tuple[tuple[type[Any], dict[str, str]], ...] = (
    (AnswerCall, {}),
    (EndCall, {}),
    (HoldCall, {}),
    (AnswerCall, {}),
    (TransferCall, {"how": "warm", "to": "tnh_avfall"}),
    (QueueCall, {"queue": "avfall"}),
    (WrapUpCall, {"outcome": "solved"}),
    (EndCall, {}),
    (RequestCallback, {}),
    (AnswerCall, {}),
)


def command(n: int, asker: Asker | None = None, *, other: bool = False) -> Command:
    """The command of number `n`; the `other` has its id and asks for something else."""
    kind, more = _KINDS[(n + other) % len(_KINDS)]
    agent = AGENTS[(n // 2 + other) % len(AGENTS)]
    named = {} if kind in {QueueCall, RequestCallback} else {"agent": agent}
    made: Command = kind(
        id=UUID(int=1_000 + n), now=T0, actor=agent, asker=asker or staff(agent),
        call=STREAMS[n % len(STREAMS)], **named, **more,
    )  # fmt: skip
    return made


def fact(n: int) -> Draft:
    """The fact of number `n`: somebody calls, or a talk has ended."""
    number = f"07000000{n % 5:02d}"
    event = (
        CallQueued("avfall", "tnh_avfall", caller=Personal(number, f"caller/{number}"))
        if n % 3
        else CallEnded("avfall", AGENTS[n // 3 % len(AGENTS)], "caller")
    )
    return fact_draft(
        id=UUID(int=5_000 + n), asking=f"fact {n}", actor="telephony", origin="telephony:x",
        stream=STREAMS[n // 2 % len(STREAMS)], events=[event], occurred_at=T0,
    )  # fmt: skip


@dataclass
class Place:
    """One node's machine: its disk, its clock, what it knows of rights, and the node itself."""

    n: int
    store: SimStore
    folder: Path
    clock: Ticks
    withdrawn: set[str] = field(default_factory=set)
    life: Life | None = None
    node: Node | None = None
    application: Application | None = None
    images: list[Path] = field(default_factory=list)


class World:
    """All of it. Rules of the model call the methods without `async`."""

    def __init__(self, dice: Random, folder: Path, nodes: int = 3) -> None:
        self.dice, self.folder = dice, folder
        self.loop = SimLoop(dice)
        self.brokers = Brokers(self.loop, dice)
        self.keys = MemoryStore()
        self.places: list[Place] = []
        self.clients: list[asyncio.Task[None]] = []
        self.told: dict[tuple[UUID, str], set[str]] = defaultdict(set)
        self.verdicts: dict[UUID, set[str]] = defaultdict(set)
        self.digests: dict[tuple[str, int], bytes] = {}
        self.wrong: list[str] = []
        self.withdrawn: set[str] = set()
        self._copies = 0
        for n in range(nodes):
            clock = Ticks(T0 + timedelta(hours=dice.choice([-2, 0, 0, 2])))
            place = Place(n, SimStore(self.brokers, self.keys), self._new_folder(), clock)
            self.places.append(place)
            self.start(place)

    def _new_folder(self) -> Path:
        self._copies += 1
        return self.folder / str(self._copies)

    # --- nodes ------------------------------------------------------------------------------------
    def start(self, place: Place) -> None:
        """A node begins on the disk that its place has."""
        place.life, place.node, place.application = Life(), None, None
        place.withdrawn = set(self.withdrawn)
        place.life.start(self.loop, self._open(place))

    async def _open(self, place: Place) -> None:
        settings = NodeSettings(
            "memory:", place.folder, place.clock, secret=SECRET, store=place.store, books=("calls",)
        )
        while True:
            try:
                node = await Node.open(settings, wait_for_index=self.dice.random() < 0.5)
            except Unavailable:
                await asyncio.sleep(0.5)
            except Exception as e:  # noqa: BLE001 -- the model says what is wrong
                self.wrong.append(f"node {place.n} does not start: {type(e).__name__}: {e}")
                return
            else:
                place.application = Application(node, city)
                place.node = node
                return

    def kill(self, place: Place) -> None:
        """kill -9: what is on the disk stays, as it is at this moment."""
        assert place.life is not None
        place.life.kill()
        _let_go(place.node)
        place.node, place.application = None, None
        image = self._new_folder()
        if place.folder.exists():
            shutil.copytree(place.folder, image, ignore=shutil.ignore_patterns("*-shm", "lock"))
        place.images.append(image)

    def restart(self, place: Place, disk: str) -> None:
        """After a kill: on the disk as it was (`kept`), an `older` copy of it, or an empty one."""
        self.kill(place)
        place.folder = self._new_folder()
        if disk != "lost":
            image = place.images[-1] if disk == "kept" else self.dice.choice(place.images)
            if image.exists():
                shutil.copytree(image, place.folder)
        self.start(place)

    def withdraw(self, agent: str) -> None:
        """Somebody loses all rights; each node learns of it in its own time."""
        self.withdrawn.add(agent)
        for place in self.places:
            self.loop.call_later(self.dice.uniform(0, 5), place.withdrawn.add, agent)

    # --- clients ----------------------------------------------------------------------------------
    def ask(self, n: int, at: int, *, other: bool = False) -> None:
        """A client wants command `n` done and asks until it has an answer, here or elsewhere."""
        self.clients.append(self.loop.create_task(self._asking(n, at, other=other)))

    async def _asking(self, n: int, at: int, *, other: bool) -> None:
        wanted = command(n, other=other)
        while True:
            place = self.places[at % len(self.places)]
            try:
                said = await self._handled(place, n, other=other)
            except (Unavailable, TimeoutError):
                at = self.dice.randrange(len(self.places))
                await asyncio.sleep(self.dice.uniform(0.1, 2))
            else:
                self.told[wanted.id, wanted.asking()].add(said)
                return

    async def _handled(self, place: Place, n: int, *, other: bool) -> str:
        agent = command(n, other=other).actor
        asker = Asker(agent) if agent in place.withdrawn else staff(agent)
        try:
            answer = await self._rpc(place, command(n, asker, other=other))
        except (Refused, Stale) as no:
            return f"no {type(no).__name__} {no}"
        except Unavailable:
            raise
        except KontaktcenterError as e:
            return f"no {type(e).__name__}"
        assert place.node is not None
        here = [r.event for r in place.node.load(STREAMS[n % len(STREAMS)])]
        if any(event not in here for event in answer.recorded):
            self.wrong.append(f"node {place.n} does not read what it wrote: {answer}")
        return f"yes {answer.recorded}"

    def tell(self, n: int, at: int) -> None:
        """An exchange tells fact `n` until somebody has taken it."""
        self.clients.append(self.loop.create_task(self._telling(n, at)))

    async def _telling(self, n: int, at: int) -> None:
        draft = fact(n)
        while True:
            try:
                answer = await self._rpc(self.places[at % len(self.places)], draft)
            except (Unavailable, TimeoutError):
                at = self.dice.randrange(len(self.places))
                await asyncio.sleep(self.dice.uniform(0.1, 2))
            else:
                self.told[draft.id, draft.asking].add(f"yes {first_of(judged(answer))}")
                self.verdicts[draft.id].add(str(first_of(judged(answer))))
                return

    async def _rpc(self, place: Place, wanted: Command | Draft) -> Answer:
        """Ask a node from outside of it: its death is silence."""
        node, application, life = place.node, place.application, place.life
        if node is None or application is None or life is None:
            raise Unavailable("nobody there", neighbour="node", retry_after_s=1)
        asked: Any = wanted
        work = application.handle(asked) if hasattr(asked, "actor") and hasattr(asked, "now") else (
            node.propose(asked)
        )  # fmt: skip
        async with asyncio.timeout(RPC_S):
            return await asyncio.shield(life.start(self.loop, work))

    # --- time -------------------------------------------------------------------------------------
    def run(self, seconds: float) -> None:
        """Time goes by."""
        self.loop.run_until_complete(asyncio.sleep(seconds))

    def settle(self) -> None:
        """All is well again: everything lands, everybody reads, everybody has an answer."""
        self.brokers.weather, self.loop.disk_s_max = CALM, 0.05
        for place in self.places:
            place.store.cut, place.store.lag_s = False, 0.0
        for _ in range(60):
            self.run(5)
            if (
                not self.brokers.on_the_way
                and all(c.done() for c in self.clients)
                and all(self.has_read_all(p) for p in self.places)
            ):
                return
        left = [str(c.get_coro()) for c in self.clients if not c.done()]
        behind = [p.n for p in self.places if not self.has_read_all(p)]
        self.wrong.append(
            f"five calm minutes, and there are {left} without an answer, {behind} behind"
        )

    def has_read_all(self, place: Place) -> bool:
        """Whether the node is up and has judged and indexed to the log's end."""
        if place.node is None:
            return False
        return all(
            shard.state.next_offset
            == len(self.brokers.partitions[shard.genesis.book, number].bodies)
            and shard.state.indexed == shard.state.position
            for name in place.node.shards()
            for shard, number in [(place.node.shard(name), int(name.rpartition("/")[2]))]
        )

    def look(self) -> None:
        """Equal digests at equal positions, always; and whatever was found wrong meanwhile."""
        for place in self.places:
            if place.node is None:
                continue
            for name, (position, digest) in place.node.digests().items():
                known = self.digests.setdefault((name, position), bytes.fromhex(digest))
                assert known.hex() == digest, f"node {place.n} differs at {name} {position}"
                stopped = place.node.shard(name).stopped
                assert stopped is None, f"node {place.n} stopped: {stopped}"
        assert self.wrong == [], self.wrong

    def end(self) -> None:
        """Let go of everything."""
        for place in self.places:
            if place.life is not None:
                place.life.kill()
            _let_go(place.node)
        self.loop.end()
        _let_go_of_locks(self.folder)


def _let_go(node: Node | None) -> None:
    """What the end of a process lets go of."""
    if node is None:
        return
    for name in node.shards():
        node.shard(name).state.index._drop()


def _let_go_of_locks(folder: Path) -> None:
    """The locks of nodes that were killed, some of them while they began."""
    ours = f"{folder.resolve()}/"
    for link in Path("/proc/self/fd").iterdir():
        try:
            at = str(link.readlink())
            if at.startswith(ours) and at.endswith("/lock"):  # SQLite closes its files itself
                os.close(int(link.name))
        except OSError:
            continue
