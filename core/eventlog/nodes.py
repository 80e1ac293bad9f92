"""The nodes of this log as they told of themselves, followed from the centre's book."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import TYPE_CHECKING, Final

from core.eventlog.codec import decode_event
from core.limits import PROJECTION_BATCH_COMMITS
from core.nodes import (
    NODE_EVENTS,
    NodeCutOff,
    NodeErasuresCarriedOut,
    NodeJoined,
    NodeRetired,
    NodeReturned,
)
from core.vocabulary import CENTRE

if TYPE_CHECKING:
    from core.commit import Event
    from core.eventlog.directory import Feed
    from core.eventlog.settings import FeedCommit

_TYPES: Final = frozenset(event_class.TOPIC for event_class in NODE_EVENTS)


@dataclass(frozen=True)
class KnownNode:
    """A node: since when, where it stands with erasures, whether it is gone or cut off.

    `erased_upto` is the position in the centre's book up to which it has told that all erasures are
    carried out, and `erased_at` when it told so last.
    """

    id: str
    joined_at: datetime
    name: str = ""
    erased_upto: int = 0
    erased_at: datetime | None = None
    told: Mapping[int, datetime] = field(default_factory=dict)
    cut_off_at: datetime | None = None
    retired_at: datetime | None = None
    retired_why: str = ""

    def erased_at_of(self, position: int) -> datetime | None:
        """When it told that it had carried out what was decided at `position`; None: not yet."""
        return min((at for upto, at in self.told.items() if upto >= position), default=None)


class NodesFollower:
    """Call it for the nodes as the log knows them now; it reads only what is new.

    Safe from any thread.
    """

    def __init__(self, feed: Feed) -> None:
        self._feed = feed
        self._seen = 0
        self._nodes: dict[str, KnownNode] = {}
        self._lock = threading.Lock()

    def __call__(self) -> dict[str, KnownNode]:
        """All nodes that ever joined, by their id, in that order."""
        shard = f"{CENTRE}/0"
        with self._lock:
            upto = self._feed.positions().get(shard, 0)
            while self._seen < upto:
                batch = self._feed.read(shard, self._seen, PROJECTION_BATCH_COMMITS)
                for fed in batch:
                    self._take(fed)
                self._seen = batch[-1].position if batch else upto
            return dict(self._nodes)

    def _take(self, fed: FeedCommit) -> None:
        for logged in fed.commit.events:
            if logged.type in _TYPES and logged.stream.startswith("node/"):
                event = decode_event(logged.type, logged.schema, logged.data)
                if event is not None:
                    node = logged.stream.partition("/")[2]
                    before = self._nodes.get(node) or KnownNode(node, logged.occurred_at)
                    self._nodes[node] = evolve(before, event, logged.occurred_at)


def evolve(node: KnownNode, event: Event, at: datetime) -> KnownNode:
    """The node after one more event. Total.

    One that tells of itself after it was retired is back: it may hold keys, and is waited for.
    """
    match event:
        case NodeRetired():
            return replace(node, retired_at=at, retired_why=event.reason, cut_off_at=None)
        case NodeJoined():
            node = replace(node, name=event.name or node.name)
        case NodeCutOff():
            node = replace(node, name=event.name or node.name, cut_off_at=at)
        case NodeReturned():
            node = replace(node, name=event.name or node.name, cut_off_at=None)
        case NodeErasuresCarriedOut():
            told = {**node.told, event.position: min(at, node.told.get(event.position, at))}
            upto = max(event.position, node.erased_upto)
            node = replace(node, told=told, erased_upto=upto, erased_at=at)
        case _:
            return node
    return replace(node, retired_at=None, retired_why="")
