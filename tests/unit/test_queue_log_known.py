"""Which row is a fact that the log holds already."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from core.calls import CallNotTaken, CallQueued
from core.commit import Event, Recorded
from telephony.kinds import key_of
from telephony.known import StreamState, fact_id
from telephony.mapping import Fact

T0 = datetime(2026, 11, 22, 4, 19, 37, tzinfo=UTC)
ORIGIN = "telephony:huvud"
STREAM = "call/huvud/1.1"
RING = CallNotTaken("bygg", "A", "no_answer", 0.0)


def state_of(*recorded: Recorded) -> StreamState:
    state = StreamState("huvud", "1.1")
    state.read(recorded, ORIGIN)
    return state


def fact(at_s: float = 0, event: Event = RING) -> Fact:
    return Fact(STREAM, "1.1", key_of(event), (event,), T0 + timedelta(seconds=at_s))


def recorded(at_s: float = 0, event: Event = RING, *, n: int = 1, origin: str = ORIGIN) -> Recorded:
    at = T0 + timedelta(seconds=at_s)
    commit = fact_id("huvud", fact(at_s, event), n)
    return Recorded(STREAM, n, "calls/0", n, n, commit, "telephony", origin, at, at, event)


def test_a_row_that_was_recorded_before_is_known_once() -> None:
    state = state_of(recorded())
    assert state.number(fact()) is None
    assert state.number(fact()) == 2, "one recorded fact is one row"


def test_two_rows_a_second_apart_are_two_facts_and_both_are_known_again() -> None:
    state = state_of()
    assert [state.number(fact(0)), state.number(fact(1))] == [1, 2]
    again = state_of(recorded(0, n=1), recorded(1, n=2))
    assert [again.number(fact(1)), again.number(fact(0))] == [None, None]


def test_a_row_a_second_after_a_recorded_one_of_another_file_is_new() -> None:
    state = state_of(recorded(0))
    assert [state.number(fact(1)), state.number(fact(0))] == [2, None]


def test_a_row_is_known_within_two_seconds_of_what_a_live_adapter_told() -> None:
    for apart_s in (-1.999, -0.742, 0.258, 1.999):
        assert state_of(recorded(apart_s)).number(fact()) is None
    assert state_of(recorded(2.001)).number(fact()) == 2
    assert state_of(recorded(-2.001)).number(fact()) == 2


def test_the_nearest_live_fact_is_taken_and_each_only_once() -> None:
    state = state_of(recorded(0.3, n=1), recorded(1.3, n=2))
    assert [state.number(fact(at)) for at in (1, 0, 2)] == [None, None, 3]


def test_rows_of_one_second_with_other_figures_are_other_facts() -> None:
    other = CallNotTaken("bygg", "A", "no_answer", 0.1)
    assert state_of(recorded()).number(fact(0, other)) == 2


def test_a_group_that_the_catalogue_has_learnt_since_does_not_make_a_new_fact() -> None:
    then, now = (
        CallQueued("bygg", "bygg", False, place=1),
        CallQueued("bygg", "tnh_bygg", True, place=1),
    )
    assert state_of(recorded(0, then)).number(fact(0, now)) is None


def test_a_fact_of_a_desk_is_another_fact() -> None:
    assert state_of(recorded(origin="desk")).number(fact()) == 1


def test_what_another_import_recorded_meanwhile_is_known() -> None:
    state = state_of()
    n = state.number(fact())
    assert n == 1
    assert state.renumber(fact(), n, [recorded(0)], ORIGIN) is None


def test_another_row_that_took_the_number_meanwhile_leaves_the_next_one() -> None:
    state = state_of()
    n = state.number(fact(50))
    assert n == 1
    assert state.renumber(fact(50), n, [recorded(0, n=1)], ORIGIN) == 2


def test_what_we_recorded_ourselves_is_never_taken_for_anothers() -> None:
    state = state_of()
    assert [state.number(fact(0)), state.number(fact(0.25))] == [1, 2]
    seen = [recorded(0, n=1), recorded(90, n=2)]
    assert state.renumber(fact(0.25), 2, seen, ORIGIN) == 3


def test_a_stream_is_behind_only_when_somebody_else_has_written() -> None:
    state = state_of(recorded(0, n=1))
    assert state.number(fact(5)) == 2
    assert [state.is_behind(head) for head in (1, 2, 3)] == [False, False, True]
    state.read([recorded(0, n=1), recorded(5, n=2), recorded(9, n=3)], ORIGIN)
    assert not state.is_behind(3)
    assert [state.number(fact(9)), state.number(fact(9))] == [None, 4]
