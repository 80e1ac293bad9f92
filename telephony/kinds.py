"""What identifies a fact within its stream, told from the event alone.

A row is made an event first and then gets its key from it, and what is read back from the log gets
its key in the same way: so the two can never disagree, and each event type has exactly one kind,
its own name.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from core.calls import CallNoted, ExchangeNoted
from core.shifts import AgentSignedOff, AgentSignedOn, ShiftNoted
from telephony.rows import NONE

if TYPE_CHECKING:
    from core.commit import Event


class Key(NamedTuple):
    """Queue, kind and member of a fact; `NONE` where one does not apply."""

    queue: str
    kind: str
    member: str


def key_of(event: Event) -> Key:
    """The key of any event.

    `kind` is the event's type. Noted events of different names are different things, so theirs is
    `call.noted:NAME`. Signing on to one queue is that queue's; to several or none it is nobody's.
    """
    kind = event.TOPIC
    queue = getattr(event, "queue", None)
    if isinstance(event, CallNoted | ShiftNoted | ExchangeNoted):
        kind = f"{kind}:{event.name}"
    elif isinstance(event, AgentSignedOn | AgentSignedOff) and len(event.groups) == 1:
        queue = event.groups[0]
    return Key(queue or NONE, kind, getattr(event, "agent", None) or NONE)
