"""Shifts: an agent's working day, in the stream `shift/<exchange>/<agent>/<UTC date>`.

Exchanges report facts; a desk asks with commands.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date
from typing import TYPE_CHECKING, ClassVar, Final

from core.access import Deed, Place
from core.commands import Command, Contradiction, Decider, contradicted
from core.commit import Event, Recorded
from core.errors import Invalid, Refused
from core.vocabulary import AgentState, shift_stream

if TYPE_CHECKING:
    from collections.abc import Sequence

    from core.taxonomy import Directory


@dataclass(frozen=True)
class AgentSignedOn(Event):
    """The agent signed on to `groups` (an exchange's queues or our groups) with `levels` (R8)."""

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


class NotSignedOn(Refused):
    """The agent has not signed on today."""


class StillPaused(Refused):
    """The agent is paused: the pause is ended first."""


@dataclass(frozen=True)
class ShiftState:
    """One agent's day. `pauses` pairs a queue, None for all of them at once, with the reason.

    `wrap_up` is the call in after-call work; `""` where no call was named. `ready` is False from
    signing on, and from the end of a call, until the agent says that the next may come.
    """

    signed_on: bool = False
    groups: tuple[str, ...] = ()
    levels: tuple[str, ...] = ()
    pauses: tuple[tuple[str | None, str], ...] = ()
    wrap_up: str | None = None
    ready: bool = False
    contradictions: tuple[Contradiction, ...] = ()

    @property
    def state(self) -> AgentState:
        """What the agent is doing, as far as the shift alone tells."""
        if not self.signed_on:
            return AgentState.OFF
        if self.pauses:
            return AgentState.PAUSED
        return AgentState.WRAP_UP if self.wrap_up is not None else AgentState.AVAILABLE


def evolve(state: ShiftState, recorded: Recorded) -> ShiftState:
    """The shift after one more event. Total: a fact that does not fit is taken and marked.

    An exchange tells of pauses without a sign-on, because its members are configured: no
    contradiction.
    """
    event = recorded.event
    why = None
    match event:
        case AgentSignedOn():
            groups = _joined(state.groups, event.groups)
            after = replace(state, signed_on=True, groups=groups)
            after = replace(after, levels=_joined(state.levels, event.levels))
        case AgentSignedOff():
            left = tuple(g for g in state.groups if g not in event.groups) if event.groups else ()
            after = replace(state, groups=left) if left else ShiftState()
            after = replace(after, contradictions=state.contradictions)
            strangers = set(event.groups) - set(state.groups)
            why = f"signed off from {', '.join(sorted(strangers))}" if strangers else None
        case AgentAvailable():
            after = replace(state, signed_on=True, pauses=(), wrap_up=None, ready=True)
        case AgentPaused():
            others = tuple(pair for pair in state.pauses if pair[0] != event.queue)
            after = replace(state, signed_on=True, pauses=(*others, (event.queue, event.reason)))
        case AgentUnpaused():
            rest = tuple(p for p in state.pauses if event.queue is not None and p[0] != event.queue)
            after = replace(
                state, signed_on=True, pauses=rest, ready=not rest and state.wrap_up is None
            )
            why = None if state.pauses or event.queue else "unpaused without a pause"
        case WrapUpStarted():
            after = replace(state, signed_on=True, wrap_up=event.call or "", ready=False)
        case _:
            return state
    if why is None:
        return after
    return replace(after, contradictions=contradicted(state.contradictions, recorded, why))


def _joined(before: tuple[str, ...], more: tuple[str, ...]) -> tuple[str, ...]:
    return before + tuple(item for item in more if item not in before)


@dataclass(frozen=True, kw_only=True)
class ShiftCommand(Command):
    """A command about one agent's day. `on` is the UTC date on which the shift began, ISO 8601.

    It is the client's to say, because a night shift goes on after midnight.
    """

    DEED: ClassVar[Deed] = Deed.WORK_SHIFT

    agent: str
    on: str
    exchange: str = "desk"

    @property
    def stream(self) -> str:
        """The shift's stream."""
        return shift_stream(self.exchange, self.agent, self.on)

    @property
    def place(self) -> Place:
        """The agent's own day."""
        return Place(person=self.agent)

    def check(self, directory: Directory) -> None:
        """See `Command.check`."""
        super().check(directory)
        try:
            date.fromisoformat(self.on)
        except ValueError as e:
            raise Invalid(f"on is {self.on!r}, not a date such as 2026-11-22", field="on") from e


def _must_exist(groups: tuple[str, ...], directory: Directory) -> None:
    strangers = [group for group in groups if directory.group(group) is None]
    if strangers:
        raise Invalid(f"no answer group {', '.join(strangers)}", field="groups")


@dataclass(frozen=True, kw_only=True)
class SignOn(ShiftCommand):
    """Sign on to answer groups (their ids) with levels (R8)."""

    groups: tuple[str, ...]
    levels: tuple[str, ...] = ()

    def check(self, directory: Directory) -> None:
        """See `Command.check`."""
        super().check(directory)
        if not self.groups:
            raise Invalid("groups is empty: say which groups to answer", field="groups")
        _must_exist(self.groups, directory)
        levels = directory.levels
        strangers = [level for level in self.levels if levels and level not in levels]
        if strangers:
            raise Invalid(f"no level {', '.join(strangers)}", field="levels")


@dataclass(frozen=True, kw_only=True)
class BecomeAvailable(ShiftCommand):
    """Be ready for the next call; after-call work ends."""


@dataclass(frozen=True, kw_only=True)
class Pause(ShiftCommand):
    """Pause in all groups, with a reason of the city's list."""

    reason: str

    def check(self, directory: Directory) -> None:
        """See `Command.check`."""
        super().check(directory)
        reasons = directory.rows("pause_reason")
        if reasons and self.reason not in reasons:
            listed = ", ".join(reasons)
            raise Invalid(f"reason is {self.reason!r}; it may be one of: {listed}", field="reason")


@dataclass(frozen=True, kw_only=True)
class Unpause(ShiftCommand):
    """End the pause."""


@dataclass(frozen=True, kw_only=True)
class StartWrapUp(ShiftCommand):
    """Begin after-call work of a call (its stream)."""

    call: str | None = None


@dataclass(frozen=True, kw_only=True)
class SignOff(ShiftCommand):
    """Sign off from `groups` (their ids), or from all of them where none is named."""

    groups: tuple[str, ...] = ()

    def check(self, directory: Directory) -> None:
        """See `Command.check`."""
        super().check(directory)
        _must_exist(self.groups, directory)


def decide(state: ShiftState, command: Command, directory: Directory) -> Sequence[Event]:
    """The events that the command leads to; none where it is so already. Raises: Refused."""
    del directory  # commands of shifts look things up in `check`, before anything is loaded
    match command:
        case SignOn(agent=agent, groups=groups, levels=levels):
            new = tuple(group for group in groups if group not in state.groups)
            new_levels = tuple(level for level in levels if level not in state.levels)
            if state.signed_on and not new and not new_levels:
                return []
            return [AgentSignedOn(agent, new, new_levels)]
        case SignOff(groups=groups):
            return _sign_off(state, command.agent, groups)
        case ShiftCommand() if not state.signed_on:
            raise NotSignedOn
        case BecomeAvailable(agent=agent):
            if state.pauses:
                raise StillPaused(f"{agent} is paused ({state.pauses[-1][1]}).")
            return [] if state.ready else [AgentAvailable(agent)]
        case Pause(agent=agent, reason=reason):
            return [] if (None, reason) in state.pauses else [AgentPaused(agent, reason)]
        case Unpause(agent=agent):
            return [AgentUnpaused(agent)] if state.pauses else []
        case StartWrapUp(agent=agent, call=call):
            return [] if state.wrap_up == (call or "") else [WrapUpStarted(agent, call)]
        case _:
            raise AssertionError(f"no rule of shifts for {type(command).__name__}")


def _sign_off(state: ShiftState, agent: str, groups: tuple[str, ...]) -> Sequence[Event]:
    held = tuple(group for group in groups if group in state.groups)
    if not state.signed_on or (groups and not held):
        return []
    return [AgentSignedOff(agent, held)]


SHIFTS: Final = Decider("shift", ShiftState(), evolve, decide)
