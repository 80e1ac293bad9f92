"""Calls: what an exchange and an agent tell of one call, and what may be done with it.

One stream for each call, `call/<exchange>/<uniqueid>`. A call may enter several queues, and the
same one again; the unit of statistics is the entry. Nearly all of it are facts: `evolve` is total.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, ClassVar, Final

from core.commit import Event
from core.personal import PersonalField

if TYPE_CHECKING:
    from core.taxonomy import Directory


@dataclass(frozen=True)
class CallOffered(Event):
    """A call came in.

    `dialled` is the city's own number, `ivr_choice` the key pressed (R22, R26).
    """

    TOPIC: ClassVar[str] = "call.offered"
    channel: str
    dialled: str | None = None
    ivr_choice: str | None = None
    caller: PersonalField | None = None
    caller_ref: str | None = None


@dataclass(frozen=True)
class CallQueued(Event):
    """A call entered a queue; the wait starts here, not in the menu.

    `queue` is the exchange's own name, `group` our answer group's id; `group_known` is False where
    the catalogue has no such queue and the group got its name. For an excluded group (R11) `caller`
    and `caller_ref` are None, whatever the exchange sent. `place` is the position in the queue at
    entry.
    """

    TOPIC: ClassVar[str] = "call.queued"
    queue: str
    group: str
    group_known: bool = True
    caller: PersonalField | None = None
    caller_ref: str | None = None
    place: int | None = None


@dataclass(frozen=True)
class CallNotTaken(Event):
    """A call was offered to an agent and not taken. `reason` is `no_answer` or `cancelled`."""

    TOPIC: ClassVar[str] = "call.not_taken"
    queue: str
    agent: str
    reason: str
    ring_s: float | None = None


@dataclass(frozen=True)
class CallAnswered(Event):
    """An agent answered. `wait_s` is the exchange's own figure, None where it gave none."""

    TOPIC: ClassVar[str] = "call.answered"
    queue: str
    agent: str
    wait_s: float | None = None
    ring_s: float | None = None


@dataclass(frozen=True)
class CallHeld(Event):
    """The agent put the caller on hold."""

    TOPIC: ClassVar[str] = "call.held"
    agent: str


@dataclass(frozen=True)
class CallResumed(Event):
    """The agent came back to the caller on hold."""

    TOPIC: ClassVar[str] = "call.resumed"
    agent: str


@dataclass(frozen=True)
class CallTransferred(Event):
    """The agent passed the call on; it ends the agent's part.

    `how` is `blind`, `warm` or `person`.
    """

    TOPIC: ClassVar[str] = "call.transferred"
    queue: str
    agent: str
    how: str
    to: str | None = None
    wait_s: float | None = None
    talk_s: float | None = None


@dataclass(frozen=True)
class CallAbandoned(Event):
    """The caller hung up before an answer."""

    TOPIC: ClassVar[str] = "call.abandoned"
    queue: str
    wait_s: float | None = None


@dataclass(frozen=True)
class CallTimedOut(Event):
    """The wait reached the exchange's limit."""

    TOPIC: ClassVar[str] = "call.timed_out"
    queue: str
    wait_s: float | None = None


@dataclass(frozen=True)
class CallRefused(Event):
    """The queue did not take the call. `reason` is `full` or `empty` (nobody to answer)."""

    TOPIC: ClassVar[str] = "call.refused"
    queue: str
    group: str
    reason: str = "full"
    group_known: bool = True


@dataclass(frozen=True)
class CallDeflected(Event):
    """The caller left satisfied after a recorded message."""

    TOPIC: ClassVar[str] = "call.deflected"
    queue: str
    message: str | None = None
    wait_s: float | None = None


@dataclass(frozen=True)
class CallDiverted(Event):
    """A rule sent the call elsewhere before an answer. `reason` is the rule's own short name."""

    TOPIC: ClassVar[str] = "call.diverted"
    queue: str
    to: str | None = None
    wait_s: float | None = None
    reason: str | None = None


@dataclass(frozen=True)
class CallLeft(Event):
    """The call left the queue in another way. `how` is `key`, `empty` or `withdrawn`."""

    TOPIC: ClassVar[str] = "call.left"
    queue: str
    how: str
    key: str | None = None
    wait_s: float | None = None


@dataclass(frozen=True)
class CallbackRequested(Event):
    """The caller asked to be called back and keeps the place in the queue."""

    TOPIC: ClassVar[str] = "call.callback_requested"
    queue: str
    wait_s: float | None = None
    promised_at: datetime | None = None


@dataclass(frozen=True)
class CallbackMade(Event):
    """The promised call was made. `reached` says whether somebody answered."""

    TOPIC: ClassVar[str] = "call.callback_made"
    queue: str
    agent: str
    reached: bool


@dataclass(frozen=True)
class CallEnded(Event):
    """The talk ended.

    `by` is `agent` or `caller`; waits and talks are the exchange's own figures.
    """

    TOPIC: ClassVar[str] = "call.ended"
    queue: str
    agent: str
    by: str
    wait_s: float | None = None
    talk_s: float | None = None


@dataclass(frozen=True)
class CallWrappedUp(Event):
    """The agent finished the after-call work with an outcome (`WrapUpOutcome`)."""

    TOPIC: ClassVar[str] = "call.wrapped_up"
    agent: str
    outcome: str
    wrap_up_s: float | None = None


@dataclass(frozen=True)
class CallNoted(Event):
    """Something that the exchange told and that we have no word for: its own name and parameters.

    A caller's number or a name is never among `parameters`: the adapter leaves such fields out.
    """

    TOPIC: ClassVar[str] = "call.noted"
    queue: str
    name: str
    agent: str | None = None
    parameters: tuple[str, ...] = ()


@dataclass(frozen=True)
class ExchangeRestarted(Event):
    """The exchange's queues started anew: calls that were in them are gone.

    In `exchange/<name>`.
    """

    TOPIC: ClassVar[str] = "exchange.restarted"
    exchange: str


@dataclass(frozen=True)
class ExchangeNoted(Event):
    """Something about the exchange as a whole that we have no word for."""

    TOPIC: ClassVar[str] = "exchange.noted"
    exchange: str
    name: str
    parameters: tuple[str, ...] = ()


# Kinds of fact, as every adapter and the HTTP API name them; the kind is part of a fact's id
# (`telephony_key`), so that the same fact told twice, by whatever way, is one.
KINDS: Final[dict[str, type[Event]]] = {
    event.TOPIC.removeprefix("call."): event
    for event in (
        CallOffered,
        CallQueued,
        CallNotTaken,
        CallAnswered,
        CallHeld,
        CallResumed,
        CallTransferred,
        CallAbandoned,
        CallTimedOut,
        CallRefused,
        CallDeflected,
        CallDiverted,
        CallLeft,
        CallbackRequested,
        CallbackMade,
        CallEnded,
        CallWrappedUp,
        CallNoted,
    )
}


# What is emptied in the events of an excluded group, whatever the source sent (R11). An event class
# of calls with a field of free form has to stand here or in the test that lists the harmless ones.
_NOT_KEPT: Final[dict[type[Event], dict[str, object]]] = {
    CallOffered: {"caller": None, "caller_ref": None},
    CallQueued: {"caller": None, "caller_ref": None},
    CallTransferred: {"to": None},
    CallDiverted: {"to": None},
    CallLeft: {"key": None},
    CallNoted: {"parameters": ()},
}


def without_caller(event: Event, directory: Directory) -> Event:
    """The event as it may be kept: for an excluded group without number, hash and text (R11).

    Every source of facts about calls passes its events through here; deciders do so themselves. An
    offered call names no queue: it goes by the groups that its dialled number and key may lead to.
    """
    emptied = _NOT_KEPT.get(type(event))
    if emptied is None or not _is_excluded(event, directory):
        return event
    return replace(event, **emptied)


def _is_excluded(event: Event, directory: Directory) -> bool:
    if isinstance(event, CallOffered):
        possible = directory.groups_of_choice(event.dialled, event.ivr_choice)
        return any(group.excluded for group in possible)
    named = {str(getattr(event, name)) for name in ("queue", "group") if hasattr(event, name)}
    return any(map(directory.is_excluded, named))
