"""Stores of the `eventsourcing` library for what is in memory: a port's events, and snapshots."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from eventsourcing.persistence import AggregateRecorder, JSONTranscoder, Mapper, StoredEvent

from core.limits import SNAPSHOTS_KEPT_MAX

if TYPE_CHECKING:
    from collections.abc import Sequence
    from uuid import UUID

    from core.commit import Port


@dataclass(frozen=True)
class Held(StoredEvent):
    """A stored event that holds its event: nothing is encoded to be decoded at once."""

    held: Any = None


class HeldMapper(Mapper[str]):
    """The library's mapper for what is in memory."""

    def __init__(self) -> None:
        super().__init__(JSONTranscoder())

    def to_stored_event(self, domain_event: Any) -> StoredEvent:
        """`domain_event`, held."""
        return Held(
            domain_event.originator_id, domain_event.originator_version, "", b"", domain_event
        )

    def to_domain_event(self, stored_event: StoredEvent) -> Any:
        """What is held."""
        return cast(Held, stored_event).held


class PortRecorder(AggregateRecorder):
    """The library's recorder on a port: it reads.

    Recording goes through the port, with a commit's id.
    """

    def __init__(self, port: Port) -> None:
        super().__init__()
        self._port = port

    def insert_events(
        self,
        stored_events: Sequence[StoredEvent],  # noqa: ARG002 -- the library's signature
        **kwargs: Any,  # noqa: ARG002
    ) -> Sequence[int] | None:
        """Raises: AssertionError, always."""
        raise AssertionError("commits are proposed through the port")

    def select_events(
        self,
        originator_id: UUID | str,
        *,
        gt: int | None = None,
        lte: int | None = None,
        desc: bool = False,
        limit: int | None = None,
    ) -> Sequence[StoredEvent]:
        """The stream's events, held."""
        found = [
            Held(recorded.stream, recorded.version, recorded.event.TOPIC, b"", recorded)
            for recorded in self._port.load(str(originator_id))
            if (gt is None or recorded.version > gt) and (lte is None or recorded.version <= lte)
        ]
        if desc:
            found.reverse()
        return found[:limit]


class SnapshotRecorder(AggregateRecorder):
    """The last snapshot of each of the streams in use, in memory: what is lost is read again.

    Bound: `SNAPSHOTS_KEPT_MAX` streams; those not used for longest go first.
    """

    def __init__(self) -> None:
        super().__init__()
        self._last: OrderedDict[str, StoredEvent] = OrderedDict()

    def insert_events(
        self,
        stored_events: Sequence[StoredEvent],
        **kwargs: Any,  # noqa: ARG002 -- the library's signature
    ) -> Sequence[int] | None:
        """Keep these snapshots instead of the streams' earlier ones."""
        for stored in stored_events:
            self._last[str(stored.originator_id)] = stored
            self._last.move_to_end(str(stored.originator_id))
        while len(self._last) > SNAPSHOTS_KEPT_MAX:
            self._last.popitem(last=False)
        return None

    def select_events(
        self,
        originator_id: UUID | str,
        *,
        gt: int | None = None,
        lte: int | None = None,
        desc: bool = False,  # noqa: ARG002 -- there is at most one
        limit: int | None = None,
    ) -> Sequence[StoredEvent]:
        """The stream's snapshot, where its version is wanted."""
        stored = self._last.get(str(originator_id))
        if stored is None or limit == 0:
            return []
        version = stored.originator_version
        return [stored] if (gt is None or version > gt) and (lte is None or version <= lte) else []

    def version_of(self, stream: str) -> int:
        """The version of the stream's snapshot; 0 where there is none."""
        stored = self._last.get(stream)
        return stored.originator_version if stored else 0
