"""What identifies a fact within its stream, told from the event alone.

A row is made an event first and then gets its key from it, and what is read back from the log gets
its key in the same way: so the two can never disagree, and each event type has one kind, its
own name.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from core.calls import CallNoted, ExchangeNoted
from core.shifts import AgentSignedOff, AgentSignedOn, ShiftNoted
from telephony.rows import NONE

if TYPE_CHECKING:
    from core.commit import Event

_NOTED = (CallNoted, ShiftNoted, ExchangeNoted)
_OF_GROUPS = (AgentSignedOn, AgentSignedOff)


def key_of(event: Event) -> str:
    """The key of any event: `queue/kind/member`, the middle of `telephony_key`.

    `NONE` stands where a part does not apply. `kind` is the event's type. Noted events of different
    names are different things, so theirs is `call.noted:NAME`. Signing on to one queue is that
    queue's; to several or none it is nobody's.
    """
    kind = event.TOPIC
    queue = getattr(event, "queue", None)
    if isinstance(event, _NOTED):
        kind = f"{kind}:{event.name}"
    elif isinstance(event, _OF_GROUPS) and len(event.groups) == 1:
        queue = event.groups[0]
    return f"{queue or NONE}/{kind}/{getattr(event, 'agent', None) or NONE}"
