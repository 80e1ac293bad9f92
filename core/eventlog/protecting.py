"""Protected identities: whose keys are closed, as the log says it, at once and after a restore.

A case that is registered as protected, or becomes so, has its keys wrapped with the secret of
protected identities. Nothing of the log is written anew: whoever has the right opens the same boxes
with the same keys, and all others find them sealed (decision 0008).
"""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING

from core.cases import CaseProtected, CaseRegistered
from core.commit import Accepted, Kept, first_of
from core.errors import Unavailable
from core.eventlog.codec import decode_event
from core.eventlog.envelope import decode_commit
from core.personal import PROTECTED
from core.vocabulary import CASES_PREFIX

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from core.commit import Answer, Draft, Event
    from core.eventlog.index.index import Index
    from core.eventlog.keyring import Keyring
    from core.eventlog.keys import KeyBook

_COMMITS = 1_000  # read at once
_PASSES = 20  # a node that records meanwhile is caught up with long before
_SIGNS = (b'"case.protected"', b'"protected":true')


def wanted_of(happened: Iterable[tuple[str, Event]]) -> dict[str, bool]:
    """The subjects that events (with their streams) close, or (False) open again; the last counts.

    Both subjects of a case: what was written before it was protected, and since.
    """
    wanted: dict[str, bool] = {}
    for stream, event in happened:
        if isinstance(event, CaseProtected) or (
            isinstance(event, CaseRegistered) and event.protected
        ):
            wanted[stream] = wanted[f"{PROTECTED}{stream}"] = event.protected
    return wanted


async def close_keys(
    ring: Keyring, drafts: Sequence[Draft], answers: Sequence[Answer | None]
) -> None:
    """Close (or open) the keys that accepted drafts are about, before anybody hears of it.

    Raises: Unavailable; the drafts are recorded then, and asking again closes the keys.
    """
    wanted = wanted_of(
        (happened.stream, happened.event)
        for draft, answer in zip(drafts, answers, strict=True)
        if answer is not None and _is_accepted(answer)
        for happened in draft.events
    )
    if wanted:
        await asyncio.get_running_loop().run_in_executor(None, ring.protect, wanted)


def _is_accepted(answer: Answer) -> bool:
    verdict = answer.verdict
    return not isinstance(verdict, Kept) and isinstance(first_of(verdict), Accepted)


async def close_again(ring: Keyring, raws: Iterable[bytes]) -> None:
    """As `close_keys`, for commits as the log holds them. Raises: Unavailable, Corrupt."""
    wanted = wanted_of(_events(raws))
    if wanted:
        await asyncio.get_running_loop().run_in_executor(None, ring.protect, wanted)


async def follow(
    ring: Keyring,
    keys: KeyBook,
    indexes: Mapping[str, Index],
    ends: Callable[[], dict[str, int]],
    looked: dict[str, int] | None = None,
) -> int:
    """Close and open all keys as the cases in the log say; how many subjects changed.

    `indexes` are the shards', `ends` gives the last position of each. How far it has come is kept
    with the keys, so that older keys that were put back follow the log again. Who asks from time to
    time gives the same `looked` each time, and only what is new since is read. Without the secret
    of protected identities nothing is done, and all else goes on.
    Raises: Corrupt, NeedsUpgrade.
    """
    changed, upto, looked = 0, ends(), {} if looked is None else looked
    for _ in range(_PASSES):
        changed += await _follow(ring, keys, indexes, upto, looked)
        # What was recorded meanwhile closed its keys at once, and may have been undone since by
        # what stands before it in the log: it is followed as well.
        before, upto = upto, ends()
        if upto == before:
            break
    return changed


async def _follow(
    ring: Keyring,
    keys: KeyBook,
    indexes: Mapping[str, Index],
    ends: Mapping[str, int],
    looked: dict[str, int],
) -> int:
    loop = asyncio.get_running_loop()
    changed = 0
    for shard, end in ends.items():
        if not shard.startswith(CASES_PREFIX):
            continue
        name = f"protections {shard}"
        reached = keys.reached(name)
        after = max(reached, looked.get(shard, 0))
        after = after if after <= end else 0  # the log is an older copy
        # The last word of all of it: nobody sees a case closed that was opened again long ago.
        wanted: dict[str, bool] = {}
        while after < end:
            rows = await asyncio.to_thread(indexes[shard].commits, after, _COMMITS)
            after = rows[-1].position if len(rows) == _COMMITS else end
            wanted |= wanted_of(_events(row.raw for row in rows))
        if not wanted and shard in looked and end < reached + _COMMITS:
            looked[shard] = end  # soon read again at the next start
            continue
        try:
            if reached != end:
                closing = partial(ring.protect, wanted, (name, end))
                changed += len(await loop.run_in_executor(None, closing))
            looked[shard] = end
        except Unavailable:
            continue  # told by `doctor`, and to whoever asks for such a case
    return changed


def _events(raws: Iterable[bytes]) -> Iterator[tuple[str, Event]]:
    for raw in raws:
        if any(sign in raw for sign in _SIGNS):  # most commits need not be decoded
            for logged in decode_commit(raw).events:
                event = decode_event(logged.type, logged.schema, logged.data)
                if event is not None:
                    yield logged.stream, event
