"""Two and three node processes on one topic: on shared streams, and each on streams of its own.

Every node has 32 callers. On shared streams each commit is a decision on one of 300 streams, at the
version after the head that this node knows; one that was stale is decided again. At the end every
node must have the same digest.

`python -m bench.kafka_nodes BROKERS PREFIX CLIENT FOLDER COMMITS shared|own SEED` is one node.
"""

from __future__ import annotations

import asyncio
import os
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
from bench.common import Figure
from bench.kafka_drive import cpu_here_s
from bench.kafka_material import AT, ENDED, draft, name
from bench.kafka_ours import settings_of

from core.commit import Accepted, Draft, Happened
from core.eventlog.node import Node
from kontaktcenter import event_loop

if TYPE_CHECKING:
    from bench.kafka_servers import Brokers

ROUNDS = int(os.environ.get("BENCH_NODE_ROUNDS", "3"))
SCALE = float(os.environ.get("BENCH_SCALE", "1"))
COMMITS = 8_000
CALLERS, STREAMS = 32, 300
ROOT = Path(__file__).parent.parent.parent
_SETTLE_S = 60.0


class _Racer:
    """One node and its callers."""

    def __init__(self, node: Node, seed: int, *, shared: bool) -> None:
        self._node, self._chance, self._shared = node, random.Random(seed), shared
        self.accepted = self.stale = 0

    async def caller(self, drafts: list[Draft]) -> None:
        for made in drafts:
            if not self._shared:
                await self._node.propose(made)
                self.accepted += 1
                continue
            while not await self._take_turn():
                self.stale += 1
            self.accepted += 1

    async def _take_turn(self) -> bool:
        stream = f"call/shared/{self._chance.randrange(STREAMS)}"
        version = self._node.heads((stream,)).get(stream, 0) + 1
        this = name(self._chance)
        happened = (Happened(stream, ENDED, AT, version),)
        answer = await self._node.propose(Draft(this, f"bench/{this}", "bench", "bench", happened))
        return isinstance(answer.verdict, Accepted)


async def _one(arguments: list[str]) -> None:
    brokers, prefix, client, folder, commits, kind, seed = arguments
    node = await Node.open(settings_of(brokers, prefix, client, Path(folder)))
    racer = _Racer(node, int(seed), shared=kind == "shared")
    chance = random.Random(int(seed) + 1_000)
    share = int(commits) // CALLERS
    drafts = [[draft(chance) for _ in range(share)] for _ in range(CALLERS)]
    print("ready", flush=True)
    await asyncio.to_thread(sys.stdin.readline)
    used, started = cpu_here_s(), time.perf_counter()
    await asyncio.gather(*(racer.caller(d) for d in drafts))
    took, used = time.perf_counter() - started, cpu_here_s() - used
    found: dict[str, Any] = {
        "took": took, "cpu": used, "accepted": racer.accepted, "stale": racer.stale,
    }  # fmt: skip
    print(msgspec.json.encode(found).decode(), flush=True)
    await asyncio.to_thread(sys.stdin.readline)  # the others are ready as well: the log is at rest
    await _read_all(node)
    position, digest = next(v for k, v in node.digests().items() if k.startswith("calls/"))
    print(f"{position} {digest}", flush=True)
    await node.close()


async def _read_all(node: Node) -> None:
    shard = node.shard(next(n for n in node.shards() if n.startswith("calls/")))
    until = time.monotonic() + _SETTLE_S
    end = await shard.log.end()
    while shard.state.next_offset < end and time.monotonic() < until:  # noqa: ASYNC110 -- no event says it
        await asyncio.sleep(0.02)


def _race(log: Brokers, client: str, nodes: int, kind: str, number: int) -> dict[str, float]:
    """So many nodes at once; commits a second of all, and what they cost."""
    prefix = f"bench{os.getpid()}x{client[:1]}{nodes}{kind}{number}"
    commits = int(COMMITS * SCALE)
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        log.make_topics([f"{prefix}.calls", f"{prefix}.centre"], flushed=False)
        racers = [
            subprocess.Popen(
                [sys.executable, "-m", "bench.kafka_nodes", log.address, prefix, client,
                 f"{folder}/{n}", str(commits), kind, str(n)],
                cwd=ROOT, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                env={**os.environ, "PYTHONPATH": f"{ROOT}:{ROOT / 'tests'}"},
            )
            for n in range(nodes)
        ]  # fmt: skip
        try:
            for racer in racers:
                _said(racer)
            found = [msgspec.json.decode(line) for line in _all(racers)]
            ends = _all(racers)
        finally:
            for racer in racers:
                racer.kill() if racer.poll() is None and sys.exc_info()[0] else racer.wait()
            log.drop_topics(f"{prefix}.")
    if len(set(ends)) != 1:
        raise RuntimeError(f"the nodes differ: {ends}")
    accepted = sum(f["accepted"] for f in found)
    return {
        "per_s": accepted / max(f["took"] for f in found),
        "cpu_s": sum(f["cpu"] for f in found) / accepted * 1_000,
        "stale": sum(f["stale"] for f in found) / accepted,
    }


def _said(racer: subprocess.Popen[str]) -> str:
    assert racer.stdout is not None
    line = racer.stdout.readline()
    if not line:
        raise RuntimeError("a node ended before its time")
    return line.strip()


def _all(racers: list[subprocess.Popen[str]]) -> list[str]:
    for racer in racers:
        assert racer.stdin is not None
        racer.stdin.write("go\n")
        racer.stdin.flush()
    return [_said(racer) for racer in racers]


def measure(log: Brokers) -> None:
    """The table of nodes that race."""
    rows = [
        (c, n, k)
        for c in ("aiokafka", "kafka-python")
        for k in ("own", "shared")
        for n in (1, 2, 3)
    ]
    found: dict[tuple[str, int, str], list[dict[str, float]]] = {row: [] for row in rows}
    chance = random.Random(7)
    for number in range(ROUNDS):
        for row in chance.sample(rows, len(rows)):
            found[row].append(_race(log, row[0], row[1], row[2], number))
            print(f"· round {number + 1}: {row}", file=sys.stderr)
    print(f"\n### Nodes on one topic, {CALLERS} callers each, {ROUNDS} rounds, page cache\n")
    print("| nodes | commits/s of all | stale per accepted | CPU s per 1,000, all nodes |")
    print("| --- | --- | --- | --- |")
    for (client, nodes, kind), results in found.items():
        streams = "streams of their own" if kind == "own" else f"{STREAMS} shared streams"
        cells = [
            Figure("", "", [r[column] for r in results]).text()
            for column in ("per_s", "stale", "cpu_s")
        ]
        print(f"| {nodes}, {streams}, {client} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    event_loop.run(_one(sys.argv[1:]), f"kafka://{sys.argv[1]}?client={sys.argv[3]}")
