"""Nodes: who keeps an index of this log, and when one of them was cut off from it.

One stream for each node, `node/<node id>`, in the centre's book. All of it are facts: a node that
was cut off tells of it afterwards, with the time at which it happened.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Final

from core.commit import Event, process_id

PROCESS: Final = "nodes"  # who tells of nodes
NAME_CHARS_MAX: Final = 80


def node_stream(node: str) -> str:
    """The stream of one node; `node` is its id, which its data folder keeps."""
    return f"node/{node}"


@dataclass(frozen=True)
class NodeJoined(Event):
    """A node with a new data folder met the log. `name` is its configured name, for people."""

    TOPIC: ClassVar[str] = "node.joined"
    name: str = ""


@dataclass(frozen=True)
class NodeCutOff(Event):
    """A node lost the log, and keeps facts in its own journal. `shard` is the first that failed."""

    TOPIC: ClassVar[str] = "node.cut_off"
    shard: str
    name: str = ""


@dataclass(frozen=True)
class NodeReturned(Event):
    """A node has the log again, and all that it kept stands there.

    `since` is its `node.cut_off`'s time; `seconds` how long it lasted, `facts` how many were kept.
    """

    TOPIC: ClassVar[str] = "node.returned"
    since: str
    seconds: float
    facts: int
    name: str = ""


@dataclass(frozen=True)
class NodeErasuresCarriedOut(Event):
    """A node has destroyed all keys that were decided on up to `position` of the centre's book."""

    TOPIC: ClassVar[str] = "node.erasures_carried_out"
    position: int


@dataclass(frozen=True)
class NodeRetired(Event):
    """A node is gone for good: nobody waits for it any more. `reason` is an operator's word."""

    TOPIC: ClassVar[str] = "node.retired"
    reason: str = ""


NODE_EVENTS: Final[tuple[type[Event], ...]] = (
    NodeJoined,
    NodeCutOff,
    NodeReturned,
    NodeErasuresCarriedOut,
    NodeRetired,
)


def node_asking(node: str, kind: str, when: str) -> str:
    """What identifies one telling of a node about itself; `process_id(PROCESS, …)` makes its id."""
    return f"{node}/{kind}/{when}"


__all__ = [
    "NAME_CHARS_MAX", "NODE_EVENTS", "PROCESS", "NodeCutOff", "NodeErasuresCarriedOut",
    "NodeJoined", "NodeRetired", "NodeReturned", "node_asking", "node_stream", "process_id",
]  # fmt: skip
