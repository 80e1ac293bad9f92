"""Whatever the log and the nodes do: no chain of looks forks or has a hole, and none is lost."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

from eventsourcing.persistence import EventStore
from hypothesis import given
from hypothesis import strategies as st
from lagging import T0, LaggingNode, SharedLog

from core.access import Asker, Purpose
from core.errors import Unavailable
from core.held import HeldMapper, PortRecorder
from core.looks import Look, PersonLookedAt, Seen, verify
from core.read_log import ChainedReadLog

NODES = 3
CHAINS = ("a", "a", "b")  # two processes with one chain, as after a folder was copied


@dataclass
class World:
    """Nodes, their read logs, and which looks were answered for: those the data was shown of."""

    log: SharedLog = field(default_factory=SharedLog)
    nodes: list[LaggingNode] = field(default_factory=list)
    read_logs: list[ChainedReadLog] = field(default_factory=list)
    starts: int = 0
    asked: int = 0
    shown: list[str] = field(default_factory=list)
    asking: list[asyncio.Task[None]] = field(default_factory=list)

    def start(self, n: int) -> None:
        """A node (again): it reads the log from its beginning; what it was doing is lost."""
        node = LaggingNode(self.log)
        self.starts += 1
        events: EventStore[str] = EventStore(HeldMapper(), PortRecorder(node))
        read_log = ChainedReadLog(node, events, lambda: T0, CHAINS[n], str(self.starts))
        self.nodes[n : n + 1] = [node]
        self.read_logs[n : n + 1] = [read_log]

    def look(self, n: int, count: int) -> None:
        """Somebody looks at so many cases at a node."""
        cases = [f"case/TK/{self.asked + k}" for k in range(count)]
        self.asked += count
        self.asking.append(asyncio.ensure_future(self._look(self.read_logs[n], cases)))

    async def _look(self, read_log: ChainedReadLog, cases: list[str]) -> None:
        seen = [Seen(case) for case in cases]
        try:
            await read_log.record(Asker("anna"), "read_case", Purpose.CASEWORK, seen)
        except Unavailable:
            return
        self.shown += cases

    async def settle(self) -> None:
        """Everything lands and is read; whoever still waits belongs to a node that was lost."""
        for _ in range(200):
            await asyncio.sleep(0)
            while self.log.on_the_way:
                self.log.land(0)
            for node in self.nodes:
                while node.read():
                    pass
        for task in self.asking:
            task.cancel()
        await asyncio.gather(*self.asking, return_exceptions=True)


LOOK = st.tuples(st.just("look"), st.integers(0, NODES - 1), st.integers(1, 3))
LAND = st.tuples(st.sampled_from(["land", "copy"]), st.integers(0, 5), st.just(0))
READ = st.tuples(st.just("read"), st.integers(0, NODES - 1), st.integers(1, 4))
CRASH = st.tuples(st.just("crash"), st.integers(0, NODES - 1), st.just(0))


@given(st.lists(st.one_of(LOOK, LOOK, LAND, READ, READ, CRASH), max_size=40))
def test_every_chain_is_whole_and_holds_all_that_was_shown(
    steps: list[tuple[str, int, int]],
) -> None:
    async def run() -> None:
        world = World()
        for n in range(NODES):
            world.start(n)
        for step, n, count in steps:
            if step == "look":
                world.look(n, count)
            elif step == "read":
                for _ in range(count):
                    world.nodes[n].read()
            elif step == "crash":
                world.start(n)
            elif n < len(world.log.on_the_way):
                world.log.land(n, copy=step == "copy")
            for _ in range(4):
                await asyncio.sleep(0)
        await world.settle()
        last = LaggingNode(world.log)
        while last.read():
            pass
        looks = [
            Look(r.stream, r.version, r.occurred_at, r.event)
            for chain in sorted(set(CHAINS))
            for r in last.load(f"look/{chain}")
            if isinstance(r.event, PersonLookedAt)
        ]
        assert verify(looks).faults == []
        cases = [look.event.case for look in looks]
        assert len(set(cases)) == len(cases), "no look stands twice"
        assert set(world.shown) <= set(cases), "what was shown is in the log"

    asyncio.run(run())
