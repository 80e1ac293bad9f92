"""Our events for the `eventsourcing` library: stored events in the form of the log, and back.

A stored event's `topic` is the event's type and its `state` a JSON object: the data as the log
holds them, sealed, and what surrounds them. The library's own mapper would rebuild events without
looking at them; this one goes through our codec, so that upcasting, ignoring and failing are the
same everywhere.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any, cast
from uuid import UUID

import msgspec
from eventsourcing.persistence import JSONTranscoder, Mapper, StoredEvent

from core.commit import Recorded
from core.errors import Corrupt
from core.eventlog.codec import KeyOf, decode_event, open_event

if TYPE_CHECKING:
    from core.eventlog.envelope import LoggedCommit


class StoredState(msgspec.Struct, frozen=True, gc=False):
    """What the `state` of a stored event of ours holds."""

    schema: int
    commit_id: UUID
    nth: int
    shard: str
    position: int
    seq: int
    actor: str
    origin: str
    recorded_at: datetime
    occurred_at: datetime
    data: msgspec.Raw


_ENCODE = msgspec.json.Encoder().encode
_DECODE = msgspec.json.Decoder(StoredState).decode


def stored_event(  # noqa: PLR0913 -- where an event stands has these parts
    commit: LoggedCommit, nth: int, version: int, shard: str, position: int, seq: int
) -> StoredEvent:
    """The stored event of the `nth` event of a commit, accepted at `position` of `shard`."""
    logged = commit.events[nth]
    state = StoredState(
        schema=logged.schema,
        commit_id=commit.id,
        nth=nth,
        shard=shard,
        position=position,
        seq=seq,
        actor=commit.actor,
        origin=commit.origin,
        recorded_at=commit.recorded_at,
        occurred_at=logged.occurred_at,
        data=logged.data,
    )
    return StoredEvent(logged.stream, version, logged.type, _ENCODE(state))


class EventMapper(Mapper[str]):
    """The library's mapper of our stored events to `Recorded`; `key_of` opens what is sealed.

    It only reads: what is recorded is sealed by the port, for its commit's id.
    """

    def __init__(self, key_of: KeyOf) -> None:
        super().__init__(JSONTranscoder())
        self._key_of = key_of

    def to_stored_event(self, domain_event: Any) -> StoredEvent:  # noqa: ARG002 -- the library's signature
        """Raises: AssertionError, always."""
        raise AssertionError("commits are proposed through the port")

    def to_domain_event(self, stored_event: StoredEvent) -> Any:
        """The event as `Recorded`.

        Raises: Corrupt, also for a type that this program does not know.
        """
        stream = cast(str, stored_event.originator_id)
        try:
            state = _DECODE(stored_event.state)
        except msgspec.MsgspecError as e:
            raise Corrupt(f"{stream} holds a {stored_event.topic} that cannot be read: {e}") from e
        event = decode_event(stored_event.topic, state.schema, state.data)
        if event is None:
            raise Corrupt(
                f"{stream} holds a {stored_event.topic}, unknown here: upgrade this program"
            )
        return Recorded(
            stream=stream,
            version=stored_event.originator_version,
            shard=state.shard,
            position=state.position,
            seq=state.seq,
            commit_id=state.commit_id,
            actor=state.actor,
            origin=state.origin,
            recorded_at=state.recorded_at,
            occurred_at=state.occurred_at,
            event=open_event(event, state.commit_id, state.nth, self._key_of),
        )
