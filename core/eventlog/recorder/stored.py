"""Stored events of the `eventsourcing` library as events of the log, and back, byte for byte.

The library records any bytes under any topic. What is JSON goes into the log as it is, so that a
person can read it; everything else as `{"$base64":"…"}`. Ids of aggregates become names of streams,
and come back.
"""

from __future__ import annotations

import base64
import re
from typing import TYPE_CHECKING, Final
from uuid import UUID

import msgspec
from eventsourcing.persistence import DataError, Notification, StoredEvent

from core.errors import Corrupt
from core.eventlog.envelope import LoggedEvent
from core.eventlog.index.index import VERSION_MAX
from core.limits import STORED_STATE_DEPTH_MAX

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime

    from core.eventlog.index.rows import StreamRow

_UUID: Final = "aggregate/"
_TEXT: Final = "text/"
_WRAPPED: Final = b'{"$base64":"'
_WRAPPED_END: Final = b'"}'
_SCHEMA: Final = 1
_STRINGS: Final = re.compile(rb'"(?:[^"\\]|\\.)*"')


class _Event(msgspec.Struct, frozen=True, gc=False):
    """What the library wants to know of an event."""

    stream: str
    type: str
    data: msgspec.Raw
    version: int | None = None


class _Commit(msgspec.Struct, frozen=True, gc=False):
    """What the library wants to know of a commit."""

    events: list[_Event]


_decode = msgspec.json.Decoder(_Commit).decode
_skip = msgspec.json.Decoder(msgspec.Raw).decode


def stream_of(originator_id: UUID | str) -> str:
    """The name of an aggregate's stream: `aggregate/<uuid>`, or a text as it is.

    A text that looks like a name of ours goes behind `text/`, so that no two ids share a stream.
    """
    if isinstance(originator_id, UUID):
        return f"{_UUID}{originator_id}"
    if not originator_id or originator_id.startswith((_UUID, _TEXT)):
        return _TEXT + originator_id
    return originator_id


def originator_of(stream: str) -> UUID | str:
    """The aggregate's id, from its stream's name."""
    if stream.startswith(_UUID):
        return UUID(stream[len(_UUID) :])
    return stream.removeprefix(_TEXT)


def pack_state(state: bytes) -> msgspec.Raw:
    """The state as JSON for the log; `unpack_state` gives exactly these bytes again."""
    if state.startswith(_WRAPPED) or not _is_plain(state):
        return msgspec.Raw(_WRAPPED + base64.b64encode(state) + _WRAPPED_END)
    return msgspec.Raw(state)


def _is_plain(state: bytes) -> bool:
    """Whether the state is JSON that every reader of the log gets through, and ends without blanks.

    msgspec passes over what it is not asked for without looking at its UTF-8, and nests only so
    deep: a commit that one reader cannot read would part the nodes, so nothing of the kind gets in.
    """
    try:
        state.decode()
        if len(bytes(_skip(state))) != len(state):
            return False
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return False
    opened = state.count(b"[") + state.count(b"{")
    return opened <= STORED_STATE_DEPTH_MAX or _depth(state) <= STORED_STATE_DEPTH_MAX


def _depth(state: bytes) -> int:
    depth = deepest = 0
    for byte in _STRINGS.sub(b"", state):
        if byte in b"[{":
            depth += 1
            deepest = max(deepest, depth)
        elif byte in b"]}":
            depth -= 1
    return deepest


def unpack_state(data: msgspec.Raw) -> bytes:
    """The state's bytes. Raises: Corrupt."""
    raw = bytes(data)
    if not raw.startswith(_WRAPPED):
        return raw
    try:
        return base64.b64decode(raw[len(_WRAPPED) : -len(_WRAPPED_END)], validate=True)
    except ValueError as e:
        msg = f"a stored event's base64 cannot be read: {e}"
        raise Corrupt(msg) from e


def logged_events(stored_events: Iterable[StoredEvent], now: datetime) -> list[LoggedEvent]:
    """The events of one commit. Raises: DataError for a version that is no version."""
    logged = []
    for stored in stored_events:
        if not 0 <= stored.originator_version <= VERSION_MAX:
            raise DataError(f"{stored.originator_version} is not a version: 0 to {VERSION_MAX}")
        logged.append(
            LoggedEvent(
                stream_of(stored.originator_id),
                stored.topic,
                _SCHEMA,
                now,
                pack_state(stored.state),
                stored.originator_version,
            )
        )
    return logged


def stored_events(originator_id: UUID | str, rows: Sequence[StreamRow]) -> list[StoredEvent]:
    """The stored events of a stream's rows, in their order. Raises: Corrupt."""
    found = []
    position, events = 0, list[_Event]()
    for row in rows:
        if row.position != position:  # several events of a stream often stand in one commit
            position, events = row.position, events_of(row.raw)
        event = events[row.nth]
        found.append(StoredEvent(originator_id, row.version, event.type, unpack_state(event.data)))
    return found


def events_of(raw: bytes) -> list[_Event]:
    """A commit's events. Raises: Corrupt."""
    try:
        return _decode(raw).events
    except msgspec.MsgspecError as e:
        raise Corrupt(
            f"a commit in the index cannot be read ({e}): delete the index; it is made again"
        ) from e


def notification(event: _Event, seq: int) -> Notification:
    """The notification of a recorded event. Raises: Corrupt."""
    assert event.version is not None, "the library's events carry their versions"
    return Notification(
        originator_of(event.stream), event.version, event.type, unpack_state(event.data), seq
    )
