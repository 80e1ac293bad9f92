"""Envelopes and commits as bytes: JSON that a person can read in thirty years (design §2).

One record of the log is an envelope: the commits that were waiting when the writer became free. Judging
needs little of a commit (`Claim`); whoever reads it later decodes the whole (`LoggedCommit`).
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING
from uuid import UUID

import msgspec

from core.errors import Refused
from core.limits import COMMIT_BYTES_MAX, COMMIT_EVENTS_MAX, FORMAT, STREAM_NAME_CHARS_MAX

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
    """One commit as the log holds it. `raises_format` is set by the commit that raises the format."""

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


class Genesis(msgspec.Struct, frozen=True):
    """What a shard is, in its record at offset 0."""

    book: str
    shard: int
    shards: int
    format: int
    key_fingerprint: str


class Envelope(msgspec.Struct, frozen=True, omit_defaults=True):
    """One record: the commits as raw JSON, or the genesis."""

    format: int
    book: str
    shard: int
    commits: list[msgspec.Raw] = []
    genesis: Genesis | None = None


_encoder = msgspec.json.Encoder()
_envelope = msgspec.json.Decoder(Envelope)
_claim = msgspec.json.Decoder(Claim)
_commit = msgspec.json.Decoder(LoggedCommit)


class _Claims(msgspec.Struct, frozen=True, gc=False):
    commits: list[Claim]


_claims = msgspec.json.Decoder(_Claims)


class Unreadable(Exception):
    """A record or commit that is not ours: void and counted, never guessed at."""


def encode_commit(commit: LoggedCommit) -> bytes:
    """The commit's bytes. Raises: Refused where it is beyond a bound."""
    if len(commit.events) > COMMIT_EVENTS_MAX:
        msg = (
            f"a commit holds at most {COMMIT_EVENTS_MAX} events; this one has {len(commit.events)}"
        )
        raise Refused(msg)
    if any(len(event.stream) > STREAM_NAME_CHARS_MAX for event in commit.events):
        msg = f"a stream's name has at most {STREAM_NAME_CHARS_MAX} characters"
        raise Refused(msg)
    raw = _encoder.encode(commit)
    if len(raw) > COMMIT_BYTES_MAX:
        msg = f"a commit is at most {COMMIT_BYTES_MAX} bytes; this one has {len(raw)}"
        raise Refused(msg)
    return raw


def decode_commit(raw: bytes | msgspec.Raw) -> LoggedCommit:
    """The whole commit. Raises: Unreadable."""
    try:
        return _commit.decode(raw)
    except (msgspec.MsgspecError, UnicodeDecodeError) as e:
        raise Unreadable(str(e)) from e


def decode_claim(raw: bytes | msgspec.Raw) -> Claim:
    """What judging needs of a commit. Raises: Unreadable."""
    try:
        return _claim.decode(raw)
    except (msgspec.MsgspecError, UnicodeDecodeError) as e:
        raise Unreadable(str(e)) from e


def decode_claims(body: bytes) -> list[Claim] | None:
    """The claims of all commits of a record at once; None where some are not commits."""
    try:
        return _claims.decode(body).commits
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return None


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
    except (msgspec.MsgspecError, UnicodeDecodeError) as e:
        raise Unreadable(str(e)) from e


def _quoted(text: str) -> str:
    return _encoder.encode(text).decode()
