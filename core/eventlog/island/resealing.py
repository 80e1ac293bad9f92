"""An event under another commit's id: what is sealed is bound to the id, and is sealed anew."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from core.errors import NeedsUpgrade
from core.eventlog.codec import decode_event, open_event, seal_event

if TYPE_CHECKING:
    from datetime import datetime
    from uuid import UUID

    from core.eventlog.keyring import Keyring


class Place(NamedTuple):
    """The `nth` event of a commit: the id that it had, the id that it gets, when it happened."""

    had: UUID
    gets: UUID
    nth: int
    occurred_at: datetime


def seal_again(
    type: str,  # noqa: A002 -- the log's own word
    schema: int,
    data: bytes | msgspec.Raw,
    place: Place,
    ring: Keyring,
) -> msgspec.Raw:
    """The event's data for its new place.

    Raises: Invalid where something in it was erased; Corrupt, NeedsUpgrade, Unavailable.
    """
    event = decode_event(type, schema, data)
    if event is None:
        raise NeedsUpgrade(f"the unknown event {type}: upgrade this program", type=type)
    opened = open_event(event, place.had, place.nth, ring.by_id_protected)
    key_for = partial(ring.for_subject, occurred_at=place.occurred_at)
    return msgspec.Raw(seal_event(opened, place.gets, place.nth, key_for, ring.nonce))
