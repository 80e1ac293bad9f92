"""The accounts as they stand, followed from the centre's book: rights take effect at once."""

from __future__ import annotations

import threading
from datetime import datetime
from typing import TYPE_CHECKING, Final

from core.account_rules import ACCOUNTS
from core.accounts import ACCOUNT_EVENTS, Account, Accounts
from core.commit import Recorded
from core.eventlog.codec import decode_event
from core.limits import PROJECTION_BATCH_COMMITS
from core.vocabulary import CENTRE, kind_of

if TYPE_CHECKING:
    from core.eventlog.directory import Feed
    from core.eventlog.settings import FeedCommit

_TYPES: Final = frozenset(event_class.TOPIC for event_class in ACCOUNT_EVENTS)


class AccountsFollower:
    """Call it for the accounts as this node has them now; it reads only what is new.

    Safe from any thread. Names and passwords stay sealed in it.
    """

    def __init__(self, feed: Feed) -> None:
        self._feed = feed
        self._seen: dict[str, int] = {}
        self._accounts = Accounts()
        self._lock = threading.Lock()

    def __call__(self) -> Accounts:
        """The accounts up to the node's positions."""
        with self._lock:
            for shard, position in self._feed.positions().items():
                if shard.startswith(f"{CENTRE}/") and position > self._seen.get(shard, 0):
                    self._read(shard, position)
            return self._accounts

    def _read(self, shard: str, upto: int) -> None:
        after = self._seen.get(shard, 0)
        changed: dict[str, Account] = {}
        while after < upto:
            batch = self._feed.read(shard, after, PROJECTION_BATCH_COMMITS)
            if not batch:
                break
            for fed in batch:
                self._take(fed, changed)
            after = batch[-1].position
        self._seen[shard] = max(upto, after)
        if changed:
            self._accounts = Accounts({**self._accounts.by_id, **changed})

    def _take(self, fed: FeedCommit, changed: dict[str, Account]) -> None:
        for nth, logged in enumerate(fed.commit.events):
            if logged.type not in _TYPES or kind_of(logged.stream) != ACCOUNTS.name:
                continue
            event = decode_event(logged.type, logged.schema, logged.data)
            assert event is not None
            account = logged.stream.partition("/")[2]
            before = changed.get(account) or self._accounts.by_id.get(account) or Account()
            recorded = Recorded(
                stream=logged.stream, version=logged.version or 0, shard=fed.shard,
                position=fed.position, seq=fed.first_seq + nth, commit_id=fed.commit.id,
                actor=fed.commit.actor, origin=fed.commit.origin,
                recorded_at=_time(fed.commit.recorded_at), occurred_at=_time(logged.occurred_at),
                event=event,
            )  # fmt: skip
            changed[account] = ACCOUNTS.evolve(before, recorded)


def _time(at: datetime | str) -> datetime:
    return at if isinstance(at, datetime) else datetime.fromisoformat(at)
