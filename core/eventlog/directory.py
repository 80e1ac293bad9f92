"""The catalogue as it stands now, followed from the centre's book."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Protocol

from core.commit import Recorded
from core.directory import Directory
from core.entries import CATALOGUE_EVENTS
from core.eventlog.codec import decode_event
from core.limits import PROJECTION_BATCH_COMMITS
from core.vocabulary import CENTRE

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from core.commit import Clock
    from core.eventlog.settings import FeedCommit

_TYPES = frozenset(event_class.TOPIC for event_class in CATALOGUE_EVENTS)


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

    `clock` says what time it is, for changes that take effect later; without one it is the time of
    the last change. What is recorded counts also where another node's clock is ahead of ours. Safe
    from any thread.
    """

    def __init__(self, feed: Feed, clock: Clock | None = None) -> None:
        self._feed, self._clock = feed, clock
        self._seen: dict[str, int] = {}
        self._whole = Directory()  # as of the last recording
        self._directory = Directory()
        self._lock = threading.Lock()

    def __call__(self) -> Directory:
        """The catalogue up to the node's positions, as of now."""
        with self._lock:
            for shard, position in self._feed.positions().items():
                if shard.startswith(f"{CENTRE}/") and position > self._seen.get(shard, 0):
                    self._read(shard, position)
            now = self._whole.as_of
            if self._clock is not None:
                now = max(now, self._clock())
            self._directory = self._directory.at(now)
            return self._directory

    def _read(self, shard: str, upto: int) -> None:
        after = self._seen.get(shard, 0)
        told: list[Recorded] = []
        while after < upto:
            batch = self._feed.read(shard, after, PROJECTION_BATCH_COMMITS)
            if not batch:
                break
            for fed in batch:
                told += _catalogue_events(shard, fed)
            after = batch[-1].position
        self._seen[shard] = max(upto, after)
        if told:
            self._whole = self._directory = Directory.of(told, self._whole)


def _catalogue_events(shard: str, fed: FeedCommit) -> list[Recorded]:
    found, commit = [], fed.commit
    for n, logged in enumerate(commit.events):
        if logged.type not in _TYPES:
            continue
        event = decode_event(logged.type, logged.schema, logged.data)
        assert event is not None
        recorded = Recorded(
            stream=logged.stream,
            version=logged.version or 0,
            shard=shard,
            position=fed.position,
            seq=fed.first_seq + n,
            commit_id=commit.id,
            actor=commit.actor,
            origin=commit.origin,
            recorded_at=commit.recorded_at,
            occurred_at=logged.occurred_at,
            event=event,
        )
        found.append(recorded)
    return found
