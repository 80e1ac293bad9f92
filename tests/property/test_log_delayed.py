"""Real nodes on a log that delivers late, twice and out of turn, and nodes that are lost meanwhile.

Each client asks until it has an answer, at whichever node. Whatever happens in between: one answer
for one id, everywhere, and the same index on every node that has read to the end.
"""

from __future__ import annotations

import asyncio
import os
import tempfile
from pathlib import Path

from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from log_world import SECRET, Ticks, decided, rows

from core.commit import first_of, judged
from core.eventlog.memory_log import MemoryLog, MemoryStore
from core.eventlog.node import Node, NodeSettings
from core.eventlog.verify import verify_shard

WHOLE = settings.default is not None and settings.default.max_examples >= 1_000
NODES, IDS = 3, 8
STREAMS = ["call/x/1", "call/x/2"]


class LateLog(MemoryLog):
    """What is appended is on its way until the test lets it land."""

    def __init__(self) -> None:
        super().__init__()
        self.on_the_way: list[tuple[bytes, asyncio.Future[int]]] = []
        self.held = False

    async def append(self, body: bytes) -> int:
        if not self.held:
            return await super().append(body)
        landed: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self.on_the_way.append((body, landed))
        return await landed

    async def land(self, n: int, *, copy: bool = False) -> None:
        """The n-th record on its way lands; as a copy it stays on its way, to land once more."""
        body, landed = self.on_the_way[n]
        offset = await super().append(body)
        if not copy:
            del self.on_the_way[n]
            if not landed.done():
                landed.set_result(offset)


class LateStore(MemoryStore):
    """One late log for the calls."""

    def __init__(self) -> None:
        super().__init__()
        self.calls = LateLog()
        self._shards[("calls", 0)] = self.calls


class World:
    """Nodes, and what every asking was told."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.store = folder, LateStore()
        self.nodes: list[Node] = []
        self.asking: list[tuple[Node, asyncio.Task[None]]] = []
        self.told: dict[int, set[str]] = {}
        self.started = 0

    async def start(self, n: int, *, keep_index: bool = False) -> None:
        """A node, or in its place another; the lost one hears no more and answers no more."""
        old = self.nodes[n] if n < len(self.nodes) else None
        self.started += not keep_index
        where = self.folder / f"{n}-{0 if keep_index else self.started}"
        if old is not None:
            lose(old)
            for task in [t for node, t in self.asking if node is old]:
                task.cancel()  # its client hears no more from there
            where = old.settings.data if keep_index else where
        made = NodeSettings(
            "memory:", where, Ticks(), secret=SECRET, store=self.store, books=("calls",)
        )
        self.nodes[n : n + 1] = [await Node.open(made)]

    def ask(self, n: int, node: Node, stream: str, off: int) -> None:
        task = asyncio.ensure_future(self._ask(n, node, stream, off))
        self.asking.append((node, task))

    async def _ask(self, n: int, node: Node, stream: str, off: int) -> None:
        version = node.heads([stream]).get(stream, 0) + 1 + off
        verdict = judged(await node.propose(decided(n, stream, version)))
        self.told.setdefault(n, set()).add(str(first_of(verdict)))

    async def settle(self) -> None:
        """Everything lands and is read by everybody."""
        while self.store.calls.on_the_way:
            await self.store.calls.land(0)
            await rest()
        end = await self.store.calls.end()
        for node in self.nodes:
            shard = node.shard("calls/0")
            while shard.state.next_offset < end and shard.stopped is None:  # noqa: ASYNC110
                await asyncio.sleep(0.001)
            await node.settle()


def lose(node: Node) -> None:
    """As a kill: nothing is written any more, nobody who asked there is answered."""
    for name in node.shards():
        shard = node.shard(name)
        shard._outbox._waiting.clear()
        for task in [*shard._tasks, *shard._outbox._appends, *shard.writer._tasks]:
            task.cancel()
        if shard.writer._timer is not None:
            shard.writer._timer.cancel()
        shard._closed = shard.writer._closed = True
        shard.writer._thread.shutdown(wait=True)
        shard._index.close()
    os.close(node._folder)


async def rest() -> None:
    for _ in range(8):
        await asyncio.sleep(0)


async def play(data: st.DataObject, folder: Path) -> None:
    world = World(folder)
    for n in range(NODES):
        await world.start(n)
    log = world.store.calls
    for _ in range(data.draw(st.integers(1, 30))):
        log.held = True
        kind = data.draw(st.sampled_from(["ask", "ask", "ask", "land", "land", "rest", "lose"]))
        n = data.draw(st.integers(0, NODES - 1))
        if kind == "ask":
            asked, stream = data.draw(st.integers(0, IDS - 1)), data.draw(st.sampled_from(STREAMS))
            world.ask(asked, world.nodes[n], stream, data.draw(st.integers(-1, 1)))
        elif kind == "land" and log.on_the_way:
            which = data.draw(st.integers(0, len(log.on_the_way) - 1))
            await log.land(which, copy=data.draw(st.booleans()))
        elif kind == "lose" and data.draw(st.integers(0, 2)) == 0:
            log.held = False
            await world.start(n, keep_index=data.draw(st.booleans()))
        await rest()
    await world.settle()
    log.held = False
    for asked in range(IDS):  # everybody asks again, everywhere
        for node in world.nodes:
            world.ask(asked, node, STREAMS[0], 0)
        await rest()
    await world.settle()
    await asyncio.gather(*(t for node, t in world.asking if node in world.nodes))
    await check(world)


async def check(world: World) -> None:
    assert set(world.told) == set(range(IDS))
    assert all(len(answers) == 1 for answers in world.told.values()), world.told
    assert len({str(node.digests()["calls/0"]) for node in world.nodes}) == 1
    whole = [rows(node) for node in world.nodes]
    assert whole[0] == whole[1] == whole[2]
    for node in world.nodes:
        assert (await verify_shard(node, "calls/0")).ok
        assert node.positions()["calls/0"] == IDS
        await node.close()


@settings(
    max_examples=60 * (15 if WHOLE else 1),
    phases=[Phase.explicit, Phase.reuse, Phase.generate],  # shrinking what hangs takes an hour
)
@given(data=st.data())
def test_one_id_has_one_answer_at_real_nodes_whatever_the_log_and_they_go_through(
    data: st.DataObject,
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(asyncio.wait_for(play(data, Path(folder)), 10))


def test_the_late_log_does_deliver_out_of_turn() -> None:
    """The control: a record lands before one that was sent earlier, and one lands twice."""

    async def deliver() -> list[bytes]:
        log = LateLog()
        log.held = True
        first, second = (asyncio.ensure_future(log.append(b)) for b in (b"first", b"second"))
        await rest()
        await log.land(1)
        await log.land(0, copy=True)
        await log.land(0)
        assert (await second, await first) == (0, 2)
        return [record.body for record in await log.read(0, 9, 0)]

    assert asyncio.run(deliver()) == [b"second", b"first", b"first"]
