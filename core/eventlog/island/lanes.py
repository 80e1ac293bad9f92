"""The lanes of an island: one for each shard, with who waits there and how much is kept for it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol
from zlib import crc32

from core.commit import Draft, Kept, Verdict
from core.eventlog.envelope import Claim, decode_commit, encode_commit
from core.eventlog.island.journal_file import Entry
from core.eventlog.shard import Shard


class Encoding(Protocol):
    """What makes a commit of a draft: its bytes, and what judging needs of them."""

    def __call__(self, draft: Draft) -> tuple[bytes, Claim]:
        """Seal and encode; the keys that it needs are there."""
        ...


@dataclass(frozen=True, slots=True)
class Notice:
    """What people are told: since when, how many commits wait here, and for which shards.

    `cut_off` is False where the log is back and what was kept is on its way.
    """

    since: datetime
    cut_off: bool
    kept: int
    shards: tuple[str, ...]


@dataclass(eq=False, slots=True)
class Asked:
    """Commits that were proposed and are not judged yet."""

    raws: Sequence[bytes]
    claims: Sequence[Claim]
    may_be_kept: bool
    future: asyncio.Future[list[Verdict | Kept]]
    keeping: asyncio.Future[list[Kept]] | None = None


@dataclass(eq=False)
class Lane:
    """The way into one shard: who waits, whether it is cut off, how many rows wait for it."""

    shard: Shard
    rows: int = 0
    cut_s: float | None = None  # on the loop's clock
    silent_s: float = 0.0  # how long something has waited and nothing was judged
    awaited: dict[Asked, None] = field(default_factory=dict)
    returning: asyncio.Task[None] | None = None
    waiters: dict[int, asyncio.Future[Verdict]] = field(default_factory=dict)  # by journal number

    @property
    def closed(self) -> bool:
        """Whether facts go to the journal: cut off, or behind others that wait there."""
        return self.cut_s is not None or self.rows > 0


def as_fact(raw: bytes, claim: Claim) -> tuple[bytes, Claim]:
    """A commit without its versions: what is kept must not be stale when it arrives."""
    if all(event.version is None for event in claim.events):
        return raw, claim
    commit = decode_commit(raw)
    events = [
        type(e)(e.stream, e.type, e.schema, e.occurred_at, e.data, None) for e in commit.events
    ]
    fact = type(commit)(
        commit.id, commit.intent, commit.recorded_at, commit.actor, commit.origin, events,
        commit.cause, commit.correlation,
    )  # fmt: skip
    bare = [type(e)(e.stream, None) for e in claim.events]
    return encode_commit(fact), Claim(claim.id, claim.intent, bare)


def place_of(shard: Shard) -> tuple[str, int, int]:
    """Book, number of its shards, and which of them."""
    return shard.genesis.book, shard.genesis.shards, shard.genesis.shard


def entry_of(book: str, raw: bytes, claim: Claim) -> Entry:
    """A commit on its way into the journal."""
    raw, claim = as_fact(raw, claim)
    streams = tuple(dict.fromkeys(event.stream for event in claim.events))
    return Entry(book, crc32(streams[0].encode()), claim.id, claim.intent, raw, streams)
