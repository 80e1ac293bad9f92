"""Shifts: an agent's working day, in the stream `shift/<exchange>/<agent>/<UTC date>`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from core.commit import Event


@dataclass(frozen=True)
class AgentSignedOn(Event):
    """The agent signed on to `groups` (the exchange's queue names or our groups) with `levels` (R8)."""

    TOPIC: ClassVar[str] = "shift.signed_on"
    agent: str
    groups: tuple[str, ...] = ()
    levels: tuple[str, ...] = ()


@dataclass(frozen=True)
class AgentAvailable(Event):
    """The agent can take calls."""

    TOPIC: ClassVar[str] = "shift.available"
    agent: str


@dataclass(frozen=True)
class AgentPaused(Event):
    """The agent paused. `queue` is None for a pause in all queues at once.

    One pause may come as several rows in one second; pause time is the union, never the sum.
    """

    TOPIC: ClassVar[str] = "shift.paused"
    agent: str
    reason: str
    queue: str | None = None


@dataclass(frozen=True)
class AgentUnpaused(Event):
    """The pause ended. `reason` is the exchange's own, often not the one that the pause had."""

    TOPIC: ClassVar[str] = "shift.unpaused"
    agent: str
    reason: str | None = None
    queue: str | None = None


@dataclass(frozen=True)
class WrapUpStarted(Event):
    """The agent began after-call work of the call in `call` (its stream)."""

    TOPIC: ClassVar[str] = "shift.wrap_up_started"
    agent: str
    call: str | None = None


@dataclass(frozen=True)
class AgentSignedOff(Event):
    """The agent signed off from `groups`; empty means from all."""

    TOPIC: ClassVar[str] = "shift.signed_off"
    agent: str
    groups: tuple[str, ...] = ()


@dataclass(frozen=True)
class ShiftNoted(Event):
    """Something that the exchange told of an agent and that we have no word for."""

    TOPIC: ClassVar[str] = "shift.noted"
    agent: str
    name: str
    queue: str | None = None
    parameters: tuple[str, ...] = ()
