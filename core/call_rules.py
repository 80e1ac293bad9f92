"""What may be done with a call from a desk: commands, refusals, and the decider.

Exchanges report facts; these commands ask for permission. Each is quiet where what it asks for is
so already, which makes it safe to send twice.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, ClassVar, Final

from core import call_state
from core.access import Deed, Place
from core.call_state import WITH_AGENT, CallState, Phase
from core.calls import (
    CallAnswered,
    CallbackMade,
    CallbackRequested,
    CallEnded,
    CallHeld,
    CallOffered,
    CallQueued,
    CallResumed,
    CallTransferred,
    CallWrappedUp,
    without_caller,
)
from core.commands import NOT_ASKED, Command, Decider
from core.errors import Invalid, NotFound, Refused
from core.personal import PersonalField
from core.vocabulary import Channel

if TYPE_CHECKING:
    from collections.abc import Sequence

    from core.commit import Event
    from core.taxonomy import Directory

HOW_TRANSFERRED: Final = ("blind", "warm", "person")
ENDED_BY: Final = ("agent", "caller")


class CallUnknown(NotFound):
    """There is no such call."""


class CallAlreadyAnswered(Refused):
    """Somebody else has answered the call."""


class CallOver(Refused):
    """The call is over."""


class CallNotWaiting(Refused):
    """The call does not wait in a queue."""


class CallNotYours(Refused):
    """The agent does not have the call."""


class NoCallbackPromised(Refused):
    """No callback is promised to this caller."""


class NotYetEnded(Refused):
    """The talk is still going on: it is wrapped up afterwards."""


class AlreadyWrappedUp(Refused):
    """The call was wrapped up with another outcome."""


@dataclass(frozen=True, kw_only=True)
class CallCommand(Command):
    """A command about one call; `call` is its stream, `call/<exchange>/<uniqueid>`."""

    DEED: ClassVar[Deed] = Deed.WORK_CALL

    call: str

    @property
    def stream(self) -> str:
        """The call's stream."""
        return self.call

    @property
    def place(self) -> Place:
        """The call of the agent whom the command names."""
        return Place(person=getattr(self, "agent", None))

    def check(self, directory: Directory) -> None:
        """See `Command.check`."""
        super().check(directory)
        kind, _, rest = self.call.partition("/")
        if kind != "call" or not all(rest.partition("/")[::2]):
            raise Invalid(
                f"{self.call!r} is not a call's stream, call/EXCHANGE/UNIQUEID", field="call"
            )


@dataclass(frozen=True, kw_only=True)
class OfferCall(CallCommand):
    """A call has come in.

    The caller is no part of the intent: of an excluded area no hash is kept either.
    """

    channel: str = Channel.PHONE
    dialled: str | None = None
    ivr_choice: str | None = None
    caller: PersonalField | None = field(default=None, metadata=NOT_ASKED)
    caller_ref: str | None = field(default=None, metadata=NOT_ASKED)

    def check(self, directory: Directory) -> None:
        """See `Command.check`."""
        super().check(directory)
        _one_of("channel", self.channel, tuple(Channel))


@dataclass(frozen=True, kw_only=True)
class QueueCall(CallCommand):
    """Put the call into a queue."""

    queue: str
    caller: PersonalField | None = field(default=None, metadata=NOT_ASKED)
    caller_ref: str | None = field(default=None, metadata=NOT_ASKED)


@dataclass(frozen=True, kw_only=True)
class TakeCall(CallCommand):
    """Take a call by hand: one that reached the agent without the exchange's queues."""

    agent: str
    queue: str
    channel: str = Channel.PHONE
    caller: PersonalField | None = field(default=None, metadata=NOT_ASKED)
    caller_ref: str | None = field(default=None, metadata=NOT_ASKED)

    def check(self, directory: Directory) -> None:
        """See `Command.check`."""
        super().check(directory)
        _one_of("channel", self.channel, tuple(Channel))


@dataclass(frozen=True, kw_only=True)
class AnswerCall(CallCommand):
    """Answer the waiting call."""

    agent: str


@dataclass(frozen=True, kw_only=True)
class HoldCall(CallCommand):
    """Put the caller on hold."""

    agent: str


@dataclass(frozen=True, kw_only=True)
class ResumeCall(CallCommand):
    """Come back to the caller on hold."""

    agent: str


@dataclass(frozen=True, kw_only=True)
class TransferCall(CallCommand):
    """Pass the call on: `blind` or `warm` to a group, or to a `person`."""

    agent: str
    how: str
    to: str

    def check(self, directory: Directory) -> None:
        """See `Command.check`."""
        super().check(directory)
        _one_of("how", self.how, HOW_TRANSFERRED)


@dataclass(frozen=True, kw_only=True)
class RequestCallback(CallCommand):
    """Promise the waiting caller a call back; the place in the queue is kept."""

    promised_at: datetime | None = None


@dataclass(frozen=True, kw_only=True)
class MakeCallback(CallCommand):
    """The promised call was made; `reached` says whether somebody answered."""

    agent: str
    reached: bool


@dataclass(frozen=True, kw_only=True)
class EndCall(CallCommand):
    """End the talk. `by` is `agent` or `caller`."""

    agent: str
    by: str = "agent"

    def check(self, directory: Directory) -> None:
        """See `Command.check`."""
        super().check(directory)
        _one_of("by", self.by, ENDED_BY)


@dataclass(frozen=True, kw_only=True)
class WrapUpCall(CallCommand):
    """Finish the after-call work with an outcome of the vocabulary or of the city's own list."""

    agent: str
    outcome: str

    def check(self, directory: Directory) -> None:
        """See `Command.check`."""
        super().check(directory)
        _one_of("outcome", self.outcome, tuple(sorted(directory.outcomes)))


def decide(state: CallState, command: Command, directory: Directory) -> Sequence[Event]:
    """The events that the command leads to; none where it is so already. Raises: Refused."""
    match command:
        case OfferCall():
            events = _offer(state, command)
        case QueueCall():
            events = _queue(state, command, directory)
        case TakeCall():
            events = _take(state, command, directory)
        case AnswerCall():
            events = _answer(state, command)
        case HoldCall() | ResumeCall():
            events = _hold_or_resume(state, command)
        case TransferCall():
            events = _transfer(state, command)
        case RequestCallback():
            events = _request_callback(state, command)
        case MakeCallback():
            events = _make_callback(state, command)
        case EndCall():
            events = _end(state, command)
        case WrapUpCall():
            events = _wrap_up(state, command)
        case _:
            raise AssertionError(f"no rule of calls for {type(command).__name__}")
    return [without_caller(event, directory) for event in events]


def _offer(state: CallState, command: OfferCall) -> list[Event]:
    if state.offered:
        return []
    if state.phase is not Phase.UNKNOWN:
        raise Refused(f"The call is {state.phase} already.")
    offered = CallOffered(
        command.channel, command.dialled, command.ivr_choice, command.caller, command.caller_ref
    )
    return [offered]


def _queue(state: CallState, command: QueueCall, directory: Directory) -> list[Event]:
    if state.phase is Phase.WAITING and state.queue == command.queue:
        return []
    if state.phase is Phase.ENDED:
        raise CallOver
    if state.phase in WITH_AGENT:
        raise CallAlreadyAnswered(f"{state.agent} has the call: it is transferred, not queued.")
    if state.phase is Phase.WAITING:
        raise Refused(f"The call waits in {state.queue}.", queue=state.queue)
    return [_queued(command, directory)]


def _queued(command: QueueCall | TakeCall, directory: Directory) -> CallQueued:
    group = directory.group_of_queue(command.queue)
    return CallQueued(command.queue, group.id, group.known, command.caller, command.caller_ref)


def _take(state: CallState, command: TakeCall, directory: Directory) -> list[Event]:
    if state.phase in WITH_AGENT and state.agent == command.agent:
        return []
    if state.phase is not Phase.UNKNOWN:
        _must_be_known_and_open(state)
        raise CallAlreadyAnswered(
            f"{state.agent} has the call."
            if state.agent
            else f"The call is {state.phase} already.",
            agent=state.agent,
        )
    queued = _queued(command, directory)
    offered = CallOffered(command.channel)  # the number stands once, where the group is known
    return [offered, queued, CallAnswered(command.queue, command.agent, wait_s=0.0)]


def _answer(state: CallState, command: AnswerCall) -> list[Event]:
    if state.phase in WITH_AGENT:
        if state.agent == command.agent:
            return []
        raise CallAlreadyAnswered(f"{state.agent} has answered the call.", agent=state.agent)
    _must_wait(state)
    return [CallAnswered(state.queue or "", command.agent)]


def _hold_or_resume(state: CallState, command: HoldCall | ResumeCall) -> list[Event]:
    _must_have(state, command.agent)
    if isinstance(command, HoldCall):
        return [] if state.phase is Phase.HELD else [CallHeld(command.agent)]
    return [] if state.phase is Phase.TALKING else [CallResumed(command.agent)]


def _transfer(state: CallState, command: TransferCall) -> list[Event]:
    if (
        state.phase is Phase.TRANSFERRED
        and state.passed is not None
        and state.passed[:2] == (command.agent, command.how)
        and state.passed[2] in {command.to, None}  # None where the group was excluded
    ):
        return []
    _must_have(state, command.agent)
    return [CallTransferred(state.queue or "", command.agent, command.how, command.to)]


def _request_callback(state: CallState, command: RequestCallback) -> list[Event]:
    if state.phase is Phase.CALLBACK:
        return []
    _must_wait(state)
    return [CallbackRequested(state.queue or "", promised_at=command.promised_at)]


def _make_callback(state: CallState, command: MakeCallback) -> list[Event]:
    if state.phase is not Phase.CALLBACK:
        if (command.agent, True) in state.callbacks_made and command.reached:
            return []
        _must_be_known(state)
        raise NoCallbackPromised
    return [CallbackMade(state.queue or "", command.agent, command.reached)]


def _end(state: CallState, command: EndCall) -> list[Event]:
    if state.phase is Phase.ENDED and state.agent == command.agent:
        return []
    _must_have(state, command.agent)
    return [CallEnded(state.queue or "", command.agent, command.by)]


def _wrap_up(state: CallState, command: WrapUpCall) -> list[Event]:
    before = state.outcome_of(command.agent)
    if before == command.outcome:
        return []
    _must_be_known(state)
    if before is not None:
        raise AlreadyWrappedUp(f"The call was wrapped up as {before}.", outcome=before)
    if command.agent not in state.talked:
        raise CallNotYours(f"{command.agent} had no part in the call.", agent=state.agent)
    if state.phase in WITH_AGENT and state.agent == command.agent:
        raise NotYetEnded
    return [CallWrappedUp(command.agent, command.outcome)]


def _must_be_known(state: CallState) -> None:
    if state.phase is Phase.UNKNOWN:
        raise CallUnknown


def _must_be_known_and_open(state: CallState) -> None:
    _must_be_known(state)
    if state.phase in {Phase.ENDED, Phase.LEFT}:
        raise CallOver


def _must_wait(state: CallState) -> None:
    _must_be_known_and_open(state)
    if state.phase is not Phase.WAITING:
        raise CallNotWaiting(f"The call is {state.phase}.")


def _must_have(state: CallState, agent: str) -> None:
    _must_be_known_and_open(state)
    if state.phase not in WITH_AGENT or state.agent != agent:
        raise CallNotYours(f"{agent} does not have the call.", agent=state.agent)


def _one_of(name: str, value: str, allowed: Sequence[str]) -> None:
    if value not in allowed:
        listed = ", ".join(map(str, allowed))
        raise Invalid(f"{name} is {value!r}; it may be one of: {listed}", field=name)


CALLS: Final = Decider("call", CallState(), call_state.evolve, decide)
