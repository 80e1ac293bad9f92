"""Whether two commits tell one fact of an exchange: alike in all but `n`, and close in time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from core.eventlog.codec import decode_event
from core.eventlog.envelope import Unreadable, decode_commit
from core.limits import EXCHANGE_SAME_FACT_S
from core.personal import Sealed
from core.vocabulary import Origin

if TYPE_CHECKING:
    from datetime import datetime

    from core.commit import Event
    from core.eventlog.envelope import LoggedCommit, LoggedEvent

# Not the caller, whose text is sealed anew each time, nor the group, which is ours to say.
_NOT_THE_EXCHANGES = frozenset({"caller", "caller_ref", "group", "group_known"})


def comparable(event: Event) -> dict[str, Any]:
    """What two tellings of one fact have alike: not caller nor group, which are ours to say.

    What is sealed is sealed anew each time: of it only that it is there.
    """
    return {
        name: isinstance(value, Sealed) or value
        for name, value in vars(event).items()
        if name not in _NOT_THE_EXCHANGES
    }


def near(at: datetime, other: datetime) -> bool:
    """Whether two times may be of one fact.

    Two times in whole seconds are from a source that tells a row the same way for ever: they must
    be equal.
    """
    apart_s = abs((at - other).total_seconds())
    whole = not at.microsecond and not other.microsecond
    return apart_s == 0 if whole else apart_s <= EXCHANGE_SAME_FACT_S


def same_commit(one: bytes, other: bytes) -> bool:
    """Whether two commits with one id and intent, as the log holds them, record the same.

    Only facts of an exchange have ids with a number that two nodes may have given to two of them.
    Raises: Corrupt, NeedsUpgrade.
    """
    if one == other:
        return True
    try:
        ours, theirs = decode_commit(one), decode_commit(other)
    except Unreadable:
        return False
    return not ours.origin.startswith(f"{Origin.TELEPHONY}:") or same_telling(ours, theirs)


def same_telling(one: LoggedCommit, other: LoggedCommit) -> bool:
    """Whether the two commits tell the same, event by event. Raises: Corrupt, NeedsUpgrade."""
    return len(one.events) == len(other.events) and all(map(_same_event, one.events, other.events))


def _same_event(one: LoggedEvent, other: LoggedEvent) -> bool:
    if (one.stream, one.type) != (other.stream, other.type):
        return False
    if not near(one.occurred_at, other.occurred_at):
        return False
    ours = decode_event(one.type, one.schema, one.data)
    theirs = decode_event(other.type, other.schema, other.data)
    if ours is None or theirs is None:
        return one.data == other.data
    return comparable(ours) == comparable(theirs)
