"""A record as it is read: which of it is ours, and what `judge` is given of it."""

from __future__ import annotations

from typing import TYPE_CHECKING
from zlib import crc32

from core.errors import Corrupt, NeedsUpgrade
from core.eventlog.envelope import (
    Claim,
    Genesis,
    Unreadable,
    decode_claim,
    decode_claims,
    decode_envelope,
)
from core.limits import FORMAT
from core.vocabulary import shard_of

if TYPE_CHECKING:
    from core.commit import Verdict
    from core.eventlog.log import Record
    from core.eventlog.state import ShardState


def check_genesis(body: bytes, wanted: Genesis, known: bytes | None) -> Genesis:
    """The genesis at offset 0, if it is the one that is wanted and that the index knows (`known`).

    Raises: Corrupt, NeedsUpgrade; each says what to do.
    """
    name = f"{wanted.book}/{wanted.shard}"
    try:
        found = decode_envelope(body).genesis
    except Unreadable:
        found = None
    if found is None:
        raise Corrupt(
            f"the log of {name} does not begin with its genesis: it is not a log of Kontaktcenter"
        )
    if known is not None and known != body:
        raise Corrupt(
            f"the log of {name} is not the one that this node knows: its genesis differs. Restore "
            "the right one; to accept this one, delete the index folder"
        )
    if found.format > FORMAT:
        raise NeedsUpgrade(
            f"the log of {name} is of format {found.format} and this program knows {FORMAT}: "
            "upgrade it"
        )
    if (found.book, found.shard, found.shards) != (wanted.book, wanted.shard, wanted.shards):
        raise Corrupt(
            f"the log holds {found.book}/{found.shard} of {found.shards} shards, "
            f"not {name} of {wanted.shards}: check KC_LOG"
        )
    if found.key_fingerprint != wanted.key_fingerprint:
        raise Corrupt(
            f"the log of {name} was made with another city secret (fingerprint "
            f"{found.key_fingerprint}, here {wanted.key_fingerprint}): put the right city.key in "
            "place (KC_MASTER_KEY_FILE)"
        )
    return found


def check_tail(body: bytes, last_crc: int, name: str) -> None:
    """The record before the next one is the one that the index ends with. Raises: Corrupt."""
    try:
        commits = decode_envelope(body).commits
    except Unreadable:
        commits = []
    if not commits or crc32(bytes(commits[-1])) != last_crc:
        raise Corrupt(
            f"the log of {name} is not the one that this node has read: it was replaced by "
            "another, or by an "
            "older copy that went on. Restore the right one; to accept this one, delete the index "
            "folder"
        )


def judge_record(
    state: ShardState, shard: Genesis, record: Record, *, replay: bool = False
) -> list[Verdict | None]:
    """Judge the next record; verdicts in its order, none where the whole record is void.

    With `replay` the verdicts are not wanted, and a bulk load may do a record of plain facts at
    once.
    """
    try:
        envelope = decode_envelope(record.body)
    except Unreadable:
        state.void_record(record.offset, "not an envelope")
        return []
    if envelope.genesis is not None:
        state.void_record(record.offset, "a genesis where none belongs")
        return []
    if (envelope.format, envelope.book, envelope.shard) != (state.format, shard.book, shard.shard):
        reason = f"format {envelope.format} of {envelope.book}/{envelope.shard}"
        state.void_record(record.offset, reason)
        return []
    raws = [bytes(raw) for raw in envelope.commits]
    if replay and shard.shards == 1:
        claims = decode_claims(record.body) if state.index.bulk else None
        if state.replay_facts(record.offset, raws, claims):
            return []
    return state.judge_commits(record.offset, raws, [read_claim(raw, shard) for raw in raws])


def read_claim(raw: bytes, shard: Genesis) -> Claim | None:
    """The claim of a commit, None where it is not one of this shard."""
    try:
        claim = decode_claim(raw)
    except Unreadable:
        return None
    return claim if belongs(claim, shard) else None


def belongs(claim: Claim, shard: Genesis) -> bool:
    """Whether all streams of a commit are in this shard."""
    return shard.shards == 1 or all(
        shard_of(event.stream, shard.shards) == shard.shard for event in claim.events
    )
