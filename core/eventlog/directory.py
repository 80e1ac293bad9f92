"""The catalogue as it stands, followed from the centre's book."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Protocol

from core.eventlog.codec import decode_event
from core.limits import PROJECTION_BATCH_COMMITS
from core.taxonomy import Directory, EntryRemoved, EntrySet
from core.vocabulary import CENTRE

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from core.commit import Event
    from core.eventlog.settings import FeedCommit

_TYPES = frozenset({EntrySet.TOPIC, EntryRemoved.TOPIC})


class Feed(Protocol):
    """What a node lets others read: accepted commits by shard and position."""

    def positions(self) -> Mapping[str, int]:
        """The last position of each shard."""
        ...

    def read(self, shard: str, after: int, limit: int) -> Sequence[FeedCommit]:
        """At most `limit` commits after a position, ascending."""
        ...


class DirectoryFollower:
    """Call it for the catalogue as this node has it now; it reads only what is new.

    Safe from any thread.
    """

    def __init__(self, feed: Feed) -> None:
        self._feed = feed
        self._seen: dict[str, int] = {}
        self._directory = Directory()
        self._lock = threading.Lock()

    def __call__(self) -> Directory:
        """The catalogue up to the node's positions."""
        with self._lock:
            for shard, position in self._feed.positions().items():
                if shard.startswith(f"{CENTRE}/") and position > self._seen.get(shard, 0):
                    self._read(shard, position)
            return self._directory

    def _read(self, shard: str, upto: int) -> None:
        after = self._seen.get(shard, 0)
        events: list[Event] = []
        while after < upto:
            batch = self._feed.read(shard, after, PROJECTION_BATCH_COMMITS)
            if not batch:
                break
            for fed in batch:
                for logged in fed.commit.events:
                    if logged.type in _TYPES:
                        event = decode_event(logged.type, logged.schema, logged.data)
                        assert event is not None
                        events.append(event)
            after = batch[-1].position
        self._seen[shard] = max(upto, after)
        if events:
            self._directory = Directory.of(events, self._directory)
