"""Envelopes and commits as bytes: JSON that a person can read in thirty years (design §2).

One record of the log is an envelope: the commits that were waiting when the writer became free.
Judging needs little of a commit (`Claim`); whoever reads it later decodes the whole
(`LoggedCommit`).
"""

from __future__ import annotations

import re
from datetime import datetime
from typing import TYPE_CHECKING, Annotated
from uuid import UUID

import msgspec

from core.errors import Invalid, Refused
from core.limits import (
    COMMIT_BYTES_MAX,
    COMMIT_EVENTS_MAX,
    FORMAT,
    NUMBER_MAX,
    STREAM_NAME_CHARS_MAX,
)

if TYPE_CHECKING:
    from collections.abc import Iterable


class LoggedEvent(msgspec.Struct, frozen=True, gc=False):
    """One event as the log holds it. `version` is None for a fact; `data` is its JSON, sealed."""

    stream: str
    type: str
    schema: int
    occurred_at: datetime
    data: msgspec.Raw
    version: int | None = None


class LoggedTracking(msgspec.Struct, frozen=True, gc=False):
    """How far the process `name` has come elsewhere; must be greater than the last of its name."""

    name: str
    position: int


class LoggedCommit(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """One commit as the log holds it.

    `raises_format` is set by the commit that raises the format.
    """

    id: UUID
    intent: str
    recorded_at: datetime
    actor: str
    origin: str
    events: list[LoggedEvent]
    cause: str | None = None
    correlation: str | None = None
    tracking: LoggedTracking | None = None
    raises_format: int | None = None


class ClaimEvent(msgspec.Struct, frozen=True, gc=False):
    """What judging needs of an event."""

    stream: str
    version: int | None = None


class Claim(msgspec.Struct, frozen=True, gc=False):
    """What judging needs of a commit; `id` stays the text that the log holds."""

    id: str
    intent: str
    events: list[ClaimEvent]
    tracking: LoggedTracking | None = None
    raises_format: int | None = None


_Zoned = Annotated[datetime, msgspec.Meta(tz=True)]
_Storable = Annotated[int, msgspec.Meta(ge=-NUMBER_MAX, le=NUMBER_MAX)]
_ID = "[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"
_ids = re.compile(f"(?:{_ID})*")


class _ReadEvent(ClaimEvent, frozen=True, gc=False, kw_only=True):
    """An event as anyone may have written it: all that a reader will need of its frame."""

    version: _Storable | None = None
    type: str
    schema: int
    occurred_at: _Zoned
    data: msgspec.Raw


class _ReadTracking(LoggedTracking, frozen=True, gc=False):
    position: _Storable


class _ReadClaim(Claim, frozen=True, gc=False, kw_only=True):
    """A commit as anyone may have written it.

    What does not have this frame is void, on every node.
    """

    events: list[_ReadEvent]  # type: ignore[assignment]  # frozen: nobody puts another kind of event in
    tracking: _ReadTracking | None = None
    recorded_at: _Zoned
    actor: str
    origin: str
    cause: str | None = None
    correlation: str | None = None


class Genesis(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a shard is, in its record at offset 0.

    `trial_secret` (hex) stands in that of the centre's book where nobody gave a city secret: fit
    for trials, for whoever reads the log can open everything in it.
    """

    book: str
    shard: int
    shards: int
    format: int
    key_fingerprint: str
    trial_secret: str | None = None


class Envelope(msgspec.Struct, frozen=True, omit_defaults=True):
    """One record: the commits as raw JSON, or the genesis."""

    format: int
    book: str
    shard: int
    commits: list[msgspec.Raw] = []
    genesis: Genesis | None = None


_encoder = msgspec.json.Encoder()
_envelope = msgspec.json.Decoder(Envelope)
_claim = msgspec.json.Decoder(_ReadClaim)
_commit = msgspec.json.Decoder(LoggedCommit)


class _Claims(msgspec.Struct, frozen=True, gc=False):
    commits: list[_ReadClaim]


_claims = msgspec.json.Decoder(_Claims)


_NOT_OURS = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)
_ID_CHARS = 36


class Unreadable(Exception):
    """A record or commit that is not ours: void and counted, never guessed at."""


def encode_commit(commit: LoggedCommit) -> bytes:
    """The commit's bytes.

    Raises: Refused where it is beyond a bound, Invalid where it is no commit.
    """
    if len(commit.events) > COMMIT_EVENTS_MAX:
        msg = (
            f"a commit holds at most {COMMIT_EVENTS_MAX} events; this one has {len(commit.events)}"
        )
        raise Refused(msg)
    for event in commit.events:
        if len(event.stream) > STREAM_NAME_CHARS_MAX:
            msg = f"a stream's name has at most {STREAM_NAME_CHARS_MAX} characters"
            raise Refused(msg)
    try:
        raw = _encoder.encode(commit)
    except UnicodeEncodeError as e:
        msg = f"a commit holds text that is not Unicode: {e.reason}"
        raise Invalid(msg) from e
    if len(raw) > COMMIT_BYTES_MAX:
        msg = f"a commit is at most {COMMIT_BYTES_MAX} bytes; this one has {len(raw)}"
        raise Refused(msg)
    _check_numbers_and_times(commit)
    return raw


def _check_numbers_and_times(commit: LoggedCommit) -> None:
    """What others would find void must not be proposed: we would have judged it otherwise."""
    zoned = commit.recorded_at.tzinfo is not None
    bounded = commit.tracking is None or abs(commit.tracking.position) <= NUMBER_MAX
    for event in commit.events:  # a plain loop: this is done for each commit
        zoned = zoned and event.occurred_at.tzinfo is not None
        bounded = bounded and (event.version is None or abs(event.version) <= NUMBER_MAX)
    if not zoned:
        raise Invalid("a time has no zone: it could be any of two hours")
    if not bounded:
        msg = f"a version or position is beyond {NUMBER_MAX}"
        raise Invalid(msg)


def decode_commit(raw: bytes | msgspec.Raw) -> LoggedCommit:
    """The whole commit. Raises: Unreadable."""
    try:
        return _commit.decode(raw)
    except _NOT_OURS as e:
        raise Unreadable(str(e)) from e


def decode_claim(raw: bytes | msgspec.Raw) -> Claim:
    """What judging needs of a commit. Raises: Unreadable."""
    try:
        claim = _claim.decode(raw)
    except _NOT_OURS as e:
        raise Unreadable(str(e)) from e
    if not claim.id or _ids.fullmatch(claim.id) is None or len(claim.id) != _ID_CHARS:
        raise Unreadable("its id is not a UUID as we write it")
    return claim


def decode_claims(body: bytes) -> list[Claim] | None:
    """The claims of all commits of a record at once; None where some are not commits."""
    try:
        claims = _claims.decode(body).commits
    except _NOT_OURS:
        return None
    # All ids in one go, each of the right length: a look at each by itself would cost as much as
    # the decoding.
    ids = [claim.id for claim in claims]
    if any(len(one) != _ID_CHARS for one in ids) or _ids.fullmatch("".join(ids)) is None:
        return None
    return claims  # type: ignore[return-value]  # a list of a subclass, which nobody adds to


def encode_envelope(book: str, shard: int, raws: Iterable[bytes], fmt: int = FORMAT) -> bytes:
    """One record of already encoded commits, joined byte for byte so that their digests stay."""
    head = f'{{"format":{fmt},"book":{_quoted(book)},"shard":{shard},"commits":['
    return b"".join((head.encode(), b",".join(raws), b"]}"))


def encode_genesis(genesis: Genesis) -> bytes:
    """The record at offset 0."""
    return _encoder.encode(
        Envelope(format=genesis.format, book=genesis.book, shard=genesis.shard, genesis=genesis)
    )


def decode_envelope(body: bytes) -> Envelope:
    """One record. Raises: Unreadable."""
    try:
        return _envelope.decode(body)
    except _NOT_OURS as e:
        raise Unreadable(str(e)) from e


def _quoted(text: str) -> str:
    return _encoder.encode(text).decode()
