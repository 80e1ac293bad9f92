"""Erasures that were decided, carried out on the keys: at once, after a crash, after a restore."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, NamedTuple

from core.erasure import ErasureDecided
from core.eventlog.codec import decode_event

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from datetime import datetime

    from core.eventlog.keyring import Keyring
    from core.eventlog.keys import KeyBook
    from core.eventlog.settings import FeedCommit

_COMMITS = 1_000  # read at once


async def carry_out(
    ring: Keyring, keys: KeyBook, read: Callable[[int, int], Sequence[FeedCommit]], ends: int
) -> int:
    """Destroy the keys of all whose erasure was decided and not carried out; how many keys went.

    `read` gives the centre's commits after a position, `ends` is the last of them. Where the keys
    have followed further than that, the log is an older copy: what is decided in it from now on
    would stand where they have been already, so they follow it from its beginning again.
    Raises: Corrupt, NeedsUpgrade, Unavailable.
    """
    loop = asyncio.get_running_loop()
    if keys.erased_upto() > ends:
        await loop.run_in_executor(None, ring.erase, {}, 0)
    gone, after = 0, keys.erased_upto()
    while batch := await asyncio.to_thread(read, after, _COMMITS):
        after = batch[-1].position
        found = decisions_of(batch)
        if found or len(batch) == _COMMITS:  # few commits without any are soon read again
            decided: dict[str, datetime] = {}
            for one in found:
                decided[one.subject] = max(one.decided_at, decided.get(one.subject, one.decided_at))
            places = {one.subject: one.position for one in found}
            gone += await loop.run_in_executor(None, ring.erase, decided, after, places)
    return gone


class Decision(NamedTuple):
    """One subject whose erasure was decided: when, and where in the centre's book that stands."""

    subject: str
    decided_at: datetime
    position: int


def decisions_of(commits: Iterable[FeedCommit]) -> list[Decision]:
    """The decisions in these commits, in their order. Raises: Corrupt, NeedsUpgrade."""
    found = []
    for commit in commits:
        for logged in commit.commit.events:
            if logged.type == ErasureDecided.TOPIC:
                event = decode_event(logged.type, logged.schema, logged.data)
                assert isinstance(event, ErasureDecided)
                found.append(Decision(event.subject, logged.occurred_at, commit.position))
    return found
