"""A call as its events tell it: the state on which commands about the call are decided."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from core.calls import (
    CallAbandoned,
    CallAnswered,
    CallbackMade,
    CallbackRequested,
    CallDeflected,
    CallDiverted,
    CallEnded,
    CallHeld,
    CallLeft,
    CallOffered,
    CallQueued,
    CallRefused,
    CallResumed,
    CallTimedOut,
    CallTransferred,
    CallWrappedUp,
)
from core.commands import Contradiction, contradicted

if TYPE_CHECKING:
    from core.commit import Recorded


class Phase(StrEnum):
    """Where a call is."""

    UNKNOWN = "unknown"
    OFFERED = "offered"
    WAITING = "waiting"
    TALKING = "talking"
    HELD = "held"
    TRANSFERRED = "transferred"
    CALLBACK = "callback"
    LEFT = "left"
    ENDED = "ended"


WITH_AGENT: Final = frozenset({Phase.TALKING, Phase.HELD})


@dataclass(frozen=True)
class CallState:
    """One call. `agent` has it now or had it last; `talked` are all who had a part, in order.

    `outcomes` pairs an agent with the wrap-up's outcome; `passed` is the last transfer (agent, how,
    to).
    """

    phase: Phase = Phase.UNKNOWN
    offered: bool = False
    queue: str | None = None
    group: str | None = None
    agent: str | None = None
    talked: tuple[str, ...] = ()
    passed: tuple[str, str, str | None] | None = None
    promised_at: datetime | None = None
    callbacks_made: tuple[tuple[str, bool], ...] = ()
    outcomes: tuple[tuple[str, str], ...] = ()
    contradictions: tuple[Contradiction, ...] = ()

    def outcome_of(self, agent: str) -> str | None:
        """What `agent` wrapped up with, None where that is still to be done."""
        return dict(self.outcomes).get(agent)


def evolve(state: CallState, recorded: Recorded) -> CallState:
    """The call after one more event. Total: a fact that does not fit is taken and marked."""
    event = recorded.event
    match event:
        case CallOffered():
            after = _offered(state)
            why = "offered twice" if state.offered else None
        case CallQueued():
            after = replace(state, phase=Phase.WAITING, queue=event.queue, group=event.group)
            why = _why_not_queued(state, event.queue)
        case CallRefused():
            after = replace(state, phase=Phase.LEFT, queue=event.queue, group=event.group)
            why = f"refused by a queue while {state.phase}" if state.phase in WITH_AGENT else None
        case CallAnswered():
            after = _with_agent(replace(state, phase=Phase.TALKING, queue=event.queue), event.agent)
            why = _why_not_answered(state, event.agent)
        case CallHeld() | CallResumed():
            held = isinstance(event, CallHeld)
            after = _with_agent(
                replace(state, phase=Phase.HELD if held else Phase.TALKING), event.agent
            )
            why = _why_not_with(state, event.agent, Phase.TALKING if held else Phase.HELD)
        case CallTransferred():
            after = _with_agent(replace(state, phase=Phase.TRANSFERRED), event.agent)
            after = replace(after, passed=(event.agent, event.how, event.to))
            why = _why_not_with(state, event.agent, *WITH_AGENT)
        case CallEnded():
            after = _with_agent(replace(state, phase=Phase.ENDED), event.agent)
            why = _why_not_with(state, event.agent, *WITH_AGENT)
        case CallAbandoned() | CallTimedOut() | CallDeflected() | CallDiverted() | CallLeft():
            after = replace(state, phase=Phase.LEFT, queue=event.queue)
            why = _why_not_waiting(state, event.queue)
        case CallbackRequested():
            after = replace(state, phase=Phase.CALLBACK, queue=event.queue)
            after = replace(after, promised_at=event.promised_at)
            why = _why_not_waiting(state, event.queue)
        case CallbackMade():
            after = _called_back(state, event)
            why = None if state.phase is Phase.CALLBACK else f"called back while {state.phase}"
        case CallWrappedUp():
            after, why = _wrapped_up(state, event)
        case _:
            return state
    if why is None:
        return after
    return replace(after, contradictions=contradicted(state.contradictions, recorded, why))


def _offered(state: CallState) -> CallState:
    phase = Phase.OFFERED if state.phase is Phase.UNKNOWN else state.phase
    return replace(state, phase=phase, offered=True)


def _with_agent(state: CallState, agent: str) -> CallState:
    talked = state.talked if agent in state.talked else (*state.talked, agent)
    return replace(state, agent=agent, talked=talked)


def _called_back(state: CallState, event: CallbackMade) -> CallState:
    made = replace(state, callbacks_made=(*state.callbacks_made, (event.agent, event.reached)))
    if not event.reached:
        return made
    return _with_agent(replace(made, phase=Phase.ENDED), event.agent)


def _wrapped_up(state: CallState, event: CallWrappedUp) -> tuple[CallState, str | None]:
    why = None
    if event.agent not in state.talked:
        why = f"wrapped up by {event.agent}, who had no part in it"
    elif state.outcome_of(event.agent) not in {None, event.outcome}:
        why = f"wrapped up again by {event.agent} with another outcome"
    others = tuple(pair for pair in state.outcomes if pair[0] != event.agent)
    return replace(state, outcomes=(*others, (event.agent, event.outcome))), why


def _why_not_queued(state: CallState, queue: str) -> str | None:
    if state.phase is Phase.WAITING:
        return f"entered {queue} while waiting in {state.queue}"
    if state.phase in WITH_AGENT:
        return f"entered {queue} while {state.phase} with {state.agent}"
    return None


def _why_not_answered(state: CallState, agent: str) -> str | None:
    if state.phase in WITH_AGENT and state.agent != agent:
        return f"answered by {agent} while {state.phase} with {state.agent}"
    if state.phase is not Phase.WAITING:
        return f"answered while {state.phase}"
    return None


def _why_not_waiting(state: CallState, queue: str) -> str | None:
    if state.phase is not Phase.WAITING:
        return f"left {queue} while {state.phase}"
    if state.queue != queue:
        return f"left {queue} while waiting in {state.queue}"
    return None


def _why_not_with(state: CallState, agent: str, *phases: Phase) -> str | None:
    if state.phase not in phases:
        return f"{agent} acted on it while {state.phase}"
    if state.agent != agent:
        return f"{agent} acted on it while {state.phase} with {state.agent}"
    return None
