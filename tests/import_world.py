"""What the tests of import share: nodes on both logs, and the facts that a node holds."""

from __future__ import annotations

from collections import Counter
from contextlib import asynccontextmanager
from dataclasses import fields
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from core.eventlog.codec import decode_event
from core.eventlog.node import Node, NodeSettings
from core.personal import CitySecret
from core.taxonomy import Directory, EntrySet

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from core.commit import Event

SECRET = CitySecret(bytes(range(32)))
NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
DIRECTORY = Directory.of(
    [
        EntrySet("authority", "SOC", {"code": "SOC", "excluded": True}),
        EntrySet("authority", "TK", {"code": "TK"}),
        EntrySet("answer_group", "tnh_avfall", {"queue": "avfall", "partition": ["TK"]}),
        EntrySet("answer_group", "tnh_kris", {"queue": "kris", "partition": ["TK"]}),
        EntrySet("answer_group", "social", {"queue": "miljo", "partition": ["SOC"]}),
    ]
)
LOGS = ("memory", "sqlite")

Fact = tuple[str, str, datetime, tuple[object, ...]]


@asynccontextmanager
async def node_at(folder: Path, kind: str = "memory") -> AsyncIterator[Node]:
    """An open node. A `sqlite` one is the same again at the same folder."""
    folder.mkdir(exist_ok=True)  # noqa: ASYNC240 -- a test may block
    log = "memory:" if kind == "memory" else f"sqlite:{folder / 'log.db'}"
    node = await Node.open(NodeSettings(log, folder, lambda: NOW, SECRET))
    try:
        yield node
    finally:
        await node.close()


async def facts_of(node: Node) -> Counter[Fact]:
    """Every fact of the node, without what differs from run to run (ids, sealed boxes)."""
    found: Counter[Fact] = Counter()
    for stream, event, at in await told(node):
        values = tuple(getattr(event, f.name) for f in fields(event) if f.name != "caller")
        found[stream, event.TOPIC, at, values] += 1
    return found


async def told(node: Node) -> list[tuple[str, Event, datetime]]:
    """Stream, event and time of all that the node has accepted, in the order of the log."""
    await node.settle()
    found = []
    for shard in node.shards():
        after = 0
        while batch := node.read(shard, after, 1_000):
            for _, position, _, commit in batch:
                after = position
                for logged in commit.events:
                    event = decode_event(logged.type, logged.schema, logged.data)
                    assert event is not None
                    found.append((logged.stream, event, logged.occurred_at))
    return found
