"""What holds for all rules: facts in any order, then any command."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from given import ID, T0, city, recorded
from golden_events import sample
from hypothesis import given
from hypothesis import strategies as st

from core import call_rules, shifts
from core.calls import (
    KINDS,
    CallAnswered,
    CallEnded,
    CallQueued,
    CallTransferred,
    CallWrappedUp,
)
from core.errors import Refused

if TYPE_CHECKING:
    from core.commands import Command, Decider
    from core.commit import Event

AGENTS = ("anna", "bo")
QUEUES = ("trafik", "avfall", "social_vidare")
COMMON: dict[str, Any] = {"id": ID, "now": T0, "actor": "anna"}


def calls_facts() -> st.SearchStrategy[Event]:
    agents, queues = st.sampled_from(AGENTS), st.sampled_from(QUEUES)
    return st.one_of(
        st.sampled_from([sample(kind) for kind in KINDS.values()]),
        st.builds(CallQueued, queues, queues),
        st.builds(CallAnswered, queues, agents),
        st.builds(CallEnded, queues, agents, st.just("agent")),
        st.builds(CallTransferred, queues, agents, st.just("warm"), st.just("tnh_avfall")),
        st.builds(CallWrappedUp, agents, st.sampled_from(["solved", "guided"])),
    )


def calls_commands() -> st.SearchStrategy[Command]:
    agents, queues = st.sampled_from(AGENTS), st.sampled_from(QUEUES)
    call = {name: st.just(value) for name, value in {**COMMON, "call": "call/desk/1"}.items()}
    own: dict[type[Any], dict[str, Any]] = {
        call_rules.OfferCall: {},
        call_rules.QueueCall: {"queue": queues},
        call_rules.TakeCall: {"agent": agents, "queue": queues},
        call_rules.AnswerCall: {"agent": agents},
        call_rules.HoldCall: {"agent": agents},
        call_rules.ResumeCall: {"agent": agents},
        call_rules.TransferCall: {"agent": agents, "how": st.just("warm"), "to": queues},
        call_rules.RequestCallback: {},
        call_rules.MakeCallback: {"agent": agents, "reached": st.just(True)},
        call_rules.EndCall: {"agent": agents},
        call_rules.WrapUpCall: {"agent": agents, "outcome": st.sampled_from(["solved", "guided"])},
    }
    return st.one_of([st.builds(kind, **call, **given) for kind, given in own.items()])


def shifts_facts() -> st.SearchStrategy[Event]:
    queues, reasons = st.none() | st.sampled_from(QUEUES), st.sampled_from(["rast", "lunch"])
    some = st.lists(st.sampled_from(["tnh_avfall", "tnh_trafik"]), max_size=2).map(tuple)
    agent = st.just("anna")
    return st.one_of(
        st.builds(shifts.AgentSignedOn, agent, some),
        st.builds(shifts.AgentSignedOff, agent, some),
        st.builds(shifts.AgentAvailable, agent),
        st.builds(shifts.AgentPaused, agent, reasons, queues),
        st.builds(shifts.AgentUnpaused, agent, reasons, queues),
        st.builds(shifts.WrapUpStarted, agent, st.none() | st.just("call/desk/1")),
        st.builds(shifts.ShiftNoted, agent, st.just("PENALTY")),
    )


def shifts_commands() -> st.SearchStrategy[Command]:
    shift = {**COMMON, "agent": "anna", "on": "2026-11-22"}
    return st.sampled_from(
        [
            shifts.SignOn(**shift, groups=("tnh_avfall",), levels=("1",)),
            shifts.BecomeAvailable(**shift),
            shifts.Pause(**shift, reason="rast"),
            shifts.Unpause(**shift),
            shifts.StartWrapUp(**shift, call="call/desk/1"),
            shifts.SignOff(**shift),
            shifts.SignOff(**shift, groups=("tnh_avfall",)),
        ]
    )


def check(decider: Decider[Any], facts: list[Event], command: Command) -> None:
    """No facts raise; what is decided contradicts nothing.

    And asked again, nothing is left to do.
    """
    state = decider.initial
    for version, fact in enumerate(facts, start=1):
        state = decider.evolve(state, recorded(fact, version))
    command.check(city())
    try:
        decided = decider.decide(state, command, city())
    except Refused:
        return
    after = state
    for version, event in enumerate(decided, start=len(facts) + 1):
        after = decider.evolve(after, recorded(event, version))
    assert after.contradictions == state.contradictions
    assert not decider.decide(after, command, city())


@given(facts=st.lists(calls_facts(), max_size=12), command=calls_commands())
def test_calls(facts: list[Event], command: Command) -> None:
    check(call_rules.CALLS, facts, command)


@given(facts=st.lists(shifts_facts(), max_size=12), command=shifts_commands())
def test_shifts(facts: list[Event], command: Command) -> None:
    check(shifts.SHIFTS, facts, command)
