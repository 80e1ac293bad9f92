"""Nodes whose log is taken away, for the tests of islands."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING

from cut_log import CutStore, Wire
from log_world import SECRET, Ticks

from core.eventlog.node import Node, NodeSettings
from core.nodes import node_stream

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from core.commit import Recorded
    from core.eventlog.island.island import Island
    from core.eventlog.memory_log import MemoryStore

AFTER_S = 0.2  # two seconds, made short


def cut_settings(folder: Path, store: MemoryStore, wire: Wire) -> NodeSettings:
    """A node in `folder` on the log in memory `store`, over `wire`."""
    return NodeSettings(
        "memory:", folder, Ticks(), secret=SECRET, store=CutStore(store, wire), island=True,
        island_after_s=AFTER_S, name=folder.name,
    )  # fmt: skip


async def node_on(folder: Path, store: MemoryStore, wire: Wire, **changes: object) -> Node:
    """Such a node, also where the log is away."""
    settings = replace(cut_settings(folder, store, wire), **changes)  # type: ignore[arg-type]
    return await Node.open(settings, may_wait=True)


def island_of(node: Node) -> Island:
    """The node's island, which it has."""
    assert node.island is not None
    return node.island


async def until(true: Callable[[], bool]) -> None:
    """Wait until something is true, however long that takes."""
    while not true():  # noqa: ASYNC110 -- from outside
        await asyncio.sleep(0.005)


async def returned(node: Node) -> None:
    """Wait until nothing is kept and no lane is closed."""
    island = island_of(node)
    await until(lambda: not any(lane.closed for lane in island.lanes.values()) and not island.kept)
    await node.settle()


async def alike(*nodes: Node) -> None:
    """Wait until the nodes have judged equally far; fails where their digests differ then."""
    await until(lambda: all(one.judged() == nodes[0].judged() for one in nodes))
    assert all(one.digests() == nodes[0].digests() for one in nodes)


def told_of(node: Node) -> list[tuple[str, Recorded]]:
    """What a node has told of itself: type and the whole."""
    stream = node_stream(island_of(node).node)
    return [(r.event.TOPIC, r) for r in node.load(stream)]


def topics(node: Node) -> Sequence[str]:
    """The types of what a node has told of itself."""
    return [topic for topic, _ in told_of(node)]
