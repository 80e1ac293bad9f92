"""The rules of shifts: each command does, refuses, and stays quiet."""

from __future__ import annotations

from typing import Any

import pytest
from given import ID, T0, folded, given

from core.errors import Invalid
from core.shifts import (
    SHIFTS,
    AgentAvailable,
    AgentPaused,
    AgentSignedOff,
    AgentSignedOn,
    AgentUnpaused,
    BecomeAvailable,
    NotSignedOn,
    Pause,
    SignOff,
    SignOn,
    StartWrapUp,
    StillPaused,
    Unpause,
    WrapUpStarted,
)
from core.vocabulary import AgentState

ANNA = "anna"
ASKED: dict[str, Any] = {"id": ID, "now": T0, "actor": ANNA, "agent": ANNA, "on": "2026-11-22"}
ON = AgentSignedOn(ANNA, ("tnh_trafik",), ("1",))
PAUSED = AgentPaused(ANNA, "rast")
WRAPPING = WrapUpStarted(ANNA, "call/desk/1")


@pytest.mark.requirement("R8")
def test_an_agent_signs_on_to_groups_with_levels() -> None:
    command = SignOn(**ASKED, groups=("tnh_trafik",), levels=("1",))
    given(SHIFTS).when(command).then(ON)


def test_an_agent_signs_on_to_more_groups_later() -> None:
    command = SignOn(**ASKED, groups=("tnh_trafik", "tnh_avfall"), levels=("1", "2"))
    given(SHIFTS, ON).when(command).then(AgentSignedOn(ANNA, ("tnh_avfall",), ("2",)))


def test_nobody_signs_on_to_an_unknown_group_or_level_or_to_none() -> None:
    shift = given(SHIFTS)
    shift.when(SignOn(**ASKED, groups=("nix",))).then_refused(Invalid, "nix")
    shift.when(SignOn(**ASKED, groups=())).then_refused(Invalid, "groups")
    shift.when(SignOn(**ASKED, groups=("tnh_trafik",), levels=("9",))).then_refused(Invalid, "9")


def test_signing_on_to_what_one_has_does_nothing() -> None:
    command = SignOn(**ASKED, groups=("tnh_trafik",), levels=("1",))
    given(SHIFTS, ON).when(command).then_nothing_happened()


def test_after_call_work_ends_when_the_agent_becomes_available() -> None:
    given(SHIFTS, ON, WRAPPING).when(BecomeAvailable(**ASKED)).then(AgentAvailable(ANNA))


def test_a_paused_agent_does_not_become_available_by_itself() -> None:
    given(SHIFTS, ON, PAUSED).when(BecomeAvailable(**ASKED)).then_refused(StillPaused, "rast")


def test_who_has_signed_on_says_when_the_first_call_may_come() -> None:
    given(SHIFTS, ON).when(BecomeAvailable(**ASKED)).then(AgentAvailable(ANNA))


@pytest.mark.parametrize("events", [(ON, AgentAvailable(ANNA)), (ON, PAUSED, AgentUnpaused(ANNA))])
def test_becoming_available_when_one_is_does_nothing(events: Any) -> None:
    given(SHIFTS, *events).when(BecomeAvailable(**ASKED)).then_nothing_happened()


def test_an_agent_pauses_with_a_reason() -> None:
    given(SHIFTS, ON).when(Pause(**ASKED, reason="rast")).then(PAUSED)


def test_an_agent_changes_the_reason_of_a_pause() -> None:
    given(SHIFTS, ON, PAUSED).when(Pause(**ASKED, reason="mote")).then(AgentPaused(ANNA, "mote"))


def test_a_reason_that_is_not_on_the_list_is_refused() -> None:
    given(SHIFTS, ON).when(Pause(**ASKED, reason="sol")).then_refused(Invalid, "lunch")


def test_pausing_twice_for_the_same_reason_does_nothing() -> None:
    given(SHIFTS, ON, PAUSED).when(Pause(**ASKED, reason="rast")).then_nothing_happened()


def test_a_pause_ends() -> None:
    given(SHIFTS, ON, PAUSED).when(Unpause(**ASKED)).then(AgentUnpaused(ANNA))


def test_ending_a_pause_that_is_none_does_nothing() -> None:
    given(SHIFTS, ON).when(Unpause(**ASKED)).then_nothing_happened()


def test_after_call_work_of_a_call_begins() -> None:
    given(SHIFTS, ON).when(StartWrapUp(**ASKED, call="call/desk/1")).then(WRAPPING)


def test_beginning_the_same_after_call_work_twice_does_nothing() -> None:
    command = StartWrapUp(**ASKED, call="call/desk/1")
    given(SHIFTS, ON, WRAPPING).when(command).then_nothing_happened()


@pytest.mark.parametrize(
    "command",
    [
        BecomeAvailable(**ASKED),
        Pause(**ASKED, reason="rast"),
        Unpause(**ASKED),
        StartWrapUp(**ASKED),
    ],
)
def test_who_has_not_signed_on_does_nothing_of_the_sort(command: Any) -> None:
    given(SHIFTS).when(command).then_refused(NotSignedOn)
    given(SHIFTS, ON, AgentSignedOff(ANNA)).when(command).then_refused(NotSignedOn)


def test_an_agent_signs_off_from_one_group_or_from_all() -> None:
    signed_on = given(SHIFTS, ON)
    signed_on.when(SignOff(**ASKED)).then(AgentSignedOff(ANNA))
    one = SignOff(**ASKED, groups=("tnh_trafik",))
    signed_on.when(one).then(AgentSignedOff(ANNA, ("tnh_trafik",)))


def test_nobody_signs_off_from_a_group_that_there_is_not() -> None:
    command = SignOff(**ASKED, groups=("nix",))
    given(SHIFTS, ON).when(command).then_refused(Invalid, "nix")


def test_signing_off_from_a_group_that_one_has_not_does_nothing() -> None:
    both = SignOff(**ASKED, groups=("tnh_avfall", "tnh_trafik"))
    given(SHIFTS, ON).when(both).then(AgentSignedOff(ANNA, ("tnh_trafik",)))
    other = SignOff(**ASKED, groups=("tnh_avfall",))
    given(SHIFTS, ON).when(other).then_nothing_happened()


def test_signing_off_when_one_has_not_signed_on_does_nothing() -> None:
    given(SHIFTS).when(SignOff(**ASKED)).then_nothing_happened()


def test_a_shift_that_began_on_no_date_is_invalid() -> None:
    command = Pause(**{**ASKED, "on": "i dag"}, reason="rast")
    given(SHIFTS).when(command).then_refused(Invalid, "2026-11-22")


@pytest.mark.parametrize(
    ("events", "expected"),
    [
        ((), AgentState.OFF),
        ((ON,), AgentState.AVAILABLE),
        ((ON, PAUSED), AgentState.PAUSED),
        ((ON, PAUSED, AgentPaused(ANNA, "rast", "q"), AgentUnpaused(ANNA)), AgentState.AVAILABLE),
        ((ON, WRAPPING), AgentState.WRAP_UP),
        ((ON, WRAPPING, AgentAvailable(ANNA)), AgentState.AVAILABLE),
        ((ON, AgentSignedOff(ANNA, ("tnh_trafik",))), AgentState.OFF),
        ((PAUSED,), AgentState.PAUSED),
    ],
)  # fmt: skip
def test_the_state_follows_the_events(events: Any, expected: Any) -> None:
    state = folded(SHIFTS, *events)
    assert expected == state.state
    assert state.contradictions == ()


def test_pauses_in_single_queues_end_one_by_one() -> None:
    in_two = (ON, AgentPaused(ANNA, "rast", "trafik"), AgentPaused(ANNA, "rast", "avfall"))
    one_left = folded(SHIFTS, *in_two, AgentUnpaused(ANNA, queue="trafik"))
    assert one_left.state == AgentState.PAUSED
    none_left = folded(
        SHIFTS, *in_two, AgentUnpaused(ANNA, queue="trafik"), AgentUnpaused(ANNA, queue="avfall")
    )
    assert none_left.state == AgentState.AVAILABLE


def test_facts_that_do_not_fit_are_taken_and_marked() -> None:
    strange = folded(SHIFTS, ON, AgentSignedOff(ANNA, ("tnh_avfall",)), AgentUnpaused(ANNA))
    assert [c.type for c in strange.contradictions] == ["shift.signed_off", "shift.unpaused"]


def test_a_pause_in_after_call_work_does_not_end_the_work() -> None:
    events = (ON, WRAPPING, PAUSED, AgentUnpaused(ANNA))
    assert folded(SHIFTS, *events).state == AgentState.WRAP_UP
    given(SHIFTS, *events).when(BecomeAvailable(**ASKED)).then(AgentAvailable(ANNA))
