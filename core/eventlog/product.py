"""The persistence module's side for our own streams: what every decision's load reads through.

The library's repository asks this recorder; its stored events are in the form of the log, and
`core.eventlog.mapper` makes them ours: upcast, opened, or refused.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from eventsourcing.persistence import AggregateRecorder, EventStore, StoredEvent

from core.eventlog.index.index import VERSION_MAX, with_commits
from core.eventlog.recorder.mapper import EventMapper, stored_event

if TYPE_CHECKING:
    from collections.abc import Sequence
    from uuid import UUID

    from core.eventlog.node import Node


class ProductRecorder(AggregateRecorder):
    """Our own streams for the library, as this node has judged them. From any thread."""

    def __init__(self, node: Node) -> None:
        super().__init__()
        self._node = node

    def insert_events(
        self,
        stored_events: Sequence[StoredEvent],  # noqa: ARG002 -- the library's signature
        **kwargs: Any,  # noqa: ARG002
    ) -> Sequence[int] | None:
        """Raises: AssertionError, always.

        A commit of ours has an id, an intent and sealed fields, which a stored event has not, and
        the node's loop must not block on its own verdict: it is proposed through the port.
        """
        raise AssertionError("commits are proposed through the port")

    def select_events(
        self,
        originator_id: UUID | str,
        *,
        gt: int | None = None,
        lte: int | None = None,
        desc: bool = False,
        limit: int | None = None,
    ) -> Sequence[StoredEvent]:
        """The stream's events, also those that are not in the index yet.

        Raises: Unavailable, Corrupt.
        """
        stream = str(originator_id)
        shard = self._node.books.opened(stream)
        if shard is None:
            return []
        rows = shard.state.stream(
            stream,
            -1 if gt is None else gt,
            VERSION_MAX if lte is None else lte,
            desc=desc,
            limit=-1 if limit is None else limit,
        )
        return [
            stored_event(commit, row.nth, row.version, shard.name, row.position, row.seq)
            for row, commit in with_commits(rows)
        ]


def product_events(node: Node) -> EventStore[str]:
    """The library's event store of our own streams, to load from."""
    return EventStore(EventMapper(node.keyring.by_id), ProductRecorder(node))
