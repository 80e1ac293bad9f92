"""Erasures that were decided, carried out on the keys: at once, after a crash, after a restore."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from core.erasure import ErasureDecided
from core.eventlog.codec import decode_event

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
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
    gone = 0
    while batch := await asyncio.to_thread(read, keys.erased_upto(), _COMMITS):
        decided: dict[str, datetime] = {}
        for commit in batch:
            for subject, at in _decided(commit):
                decided[subject] = max(at, decided.get(subject, at))
        gone += await loop.run_in_executor(None, ring.erase, decided, batch[-1].position)
    return gone


def _decided(commit: FeedCommit) -> list[tuple[str, datetime]]:
    events = [
        (decode_event(logged.type, logged.schema, logged.data), logged.occurred_at)
        for logged in commit.commit.events
        if logged.type == ErasureDecided.TOPIC
    ]
    return [(event.subject, at) for event, at in events if isinstance(event, ErasureDecided)]
