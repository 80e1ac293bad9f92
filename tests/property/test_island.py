"""Two nodes on one log, each cut off, killed and started again as it comes: nothing is lost.

What a node acknowledged, from the log or from its journal, is in the log exactly once at the end;
facts of one call that one node took in one after the other keep their order; both nodes have the
same digest.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cut_log import Wire
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from island_world import alike, island_of, node_on, returned
from killing import Killable
from killing import killable as a_killable
from log_world import T0, an_id, story

from core.calls import CallQueued
from core.commit import Accepted, Draft, Duplicate, Happened, Kept
from core.errors import KontaktcenterError
from core.eventlog.memory_log import MemoryStore

if TYPE_CHECKING:
    from core.eventlog.node import Node

STREAMS = 3
_which = st.integers(0, 1)
_acts = st.one_of(
    st.tuples(st.just("tell"), _which, st.integers(0, STREAMS - 1), st.integers(1, 4)),
    st.tuples(st.just("same"), st.integers(0, STREAMS - 1)),
    st.tuples(st.just("cut"), _which, st.sampled_from(["fails", "hangs", "lands", "late"])),
    st.tuples(st.just("mend"), _which),
    st.tuples(st.just("land"), _which),
    st.tuples(st.just("kill"), _which),
    st.tuples(st.just("rest"), st.sampled_from([0.0, 0.03, 0.3])),
)


def fact(n: int, stream: int, number: object) -> Draft:
    """Fact `n`, known by its place; `number` makes the id."""
    event = CallQueued(queue="avfall", group="tnh_avfall", place=n)
    happened = Happened(f"call/x/{stream}.1", event, T0 + timedelta(minutes=n))
    return Draft(an_id(number), f"key {number}", "telephony", "telephony:x", (happened,))


@dataclass
class _World:
    """Two nodes, what they acknowledged, and what they may have sent."""

    folder: Path
    store: MemoryStore = field(default_factory=MemoryStore)
    wires: list[Wire] = field(default_factory=lambda: [Wire(), Wire()])
    nodes: list[Killable] = field(default_factory=list)
    told: int = 0
    acked: dict[tuple[int, int], list[int]] = field(default_factory=dict)
    under_way: set[asyncio.Task[Any]] = field(default_factory=set)

    async def start(self, which: int) -> Killable:
        """Node `which` on its files, as they are."""
        opening = node_on(self.folder / str(which), self.store, self.wires[which])
        return await a_killable(opening)

    async def tell(self, which: int, stream: int, count: int) -> None:
        """Facts of one call, one after the other, beside all that goes on."""
        news = range(self.told, self.told + count)
        self.told += count
        killable = self.nodes[which]
        task = killable.begin(self._tell(killable.node, which, stream, news))
        self.under_way.add(task)
        task.add_done_callback(self.under_way.discard)
        await asyncio.sleep(0)

    async def _tell(self, node: Node, which: int, stream: int, news: range) -> None:
        with suppress(KontaktcenterError, RuntimeError):  # not acknowledged, then
            for n in news:
                answer = await node.propose(fact(n, stream, n))
                assert isinstance(answer.verdict, Accepted | Kept), answer
                self.acked.setdefault((which, stream), []).append(n)

    async def same(self, stream: int) -> None:
        """Both nodes give one number to two facts of a call; what they keep must stand."""
        first, second, number = self.told, self.told + 1, f"same {self.told}"
        self.told += 2
        for which, n in ((0, first), (1, second)):
            with suppress(KontaktcenterError):
                killable = self.nodes[which]
                answer = await killable.begin(killable.node.propose(fact(n, stream, number)))
                if not isinstance(answer.verdict, Duplicate):
                    self.acked.setdefault((2 + n, stream), []).append(n)

    async def act(self, act: tuple[Any, ...]) -> None:
        """One thing that happens."""
        match act:
            case ("tell", which, stream, count):
                await self.tell(which, stream, count)
            case ("same", stream):
                await self.same(stream)
            case ("cut", which, kind):
                self.wires[which].cut(kind)
            case ("mend", which):
                self.wires[which].mend()
            case ("land", which):
                await self.wires[which].land()
            case ("kill", which):
                await self.nodes[which].kill()
                self.nodes[which] = await self.start(which)
            case ("rest", seconds):
                await asyncio.sleep(seconds)

    async def end(self) -> None:
        """All is well again: everything arrives."""
        for wire in self.wires:
            wire.mend()
        await asyncio.gather(*self.under_way, return_exceptions=True)
        for each in self.nodes:
            await returned(each.node)
        for wire in self.wires:
            await wire.land()
        await alike(*(each.node for each in self.nodes))

    def check(self) -> None:
        """What the test is about."""
        for stream in range(STREAMS):
            found = [r.event.place for r in self.nodes[0].node.load(f"call/x/{stream}.1")]  # type: ignore[attr-defined]  # all are CallQueued
            assert len(found) == len(set(found)), "a fact stands there twice"
            for (_, where), acked in self.acked.items():
                if where == stream:
                    assert set(acked) <= set(found), "an acknowledged fact is lost"
                    assert [n for n in found if n in acked] == acked, "the order is another"


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(acts=st.lists(_acts, min_size=3, max_size=25))
def test_whatever_is_cut_and_killed_what_was_acknowledged_is_in_the_log_once(
    tmp_path_factory: Any, acts: list[tuple[Any, ...]]
) -> None:
    @story
    async def run() -> None:
        world = _World(tmp_path_factory.mktemp("island"))
        world.nodes = [await world.start(0), await world.start(1)]
        try:
            for act in acts:
                await world.act(act)
            await world.end()
            world.check()
            assert not any(island_of(each.node).asides for each in world.nodes)
        finally:
            for each in world.nodes:
                await each.kill()

    run()
