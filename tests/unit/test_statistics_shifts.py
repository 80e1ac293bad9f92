"""The fold of an agent's facts into intervals: a union, in any order, day by day or at once."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from projections.shifts import (
    AVAILABLE,
    IN_WRAP_UP,
    PAUSE,
    PAUSED,
    SIGN_OFF,
    SIGN_ON,
    SIGNED_ON,
    UNPAUSE,
    WRAP_UP,
    Interval,
    ShiftFact,
    Standing,
    clipped_us,
    common,
    fold_shift,
)
from projections.times import SECOND_US as S

ON = ShiftFact(0, 1, SIGN_ON)


def fact(at: int, seq: int, kind: int, *queues: str, reason: str = "") -> ShiftFact:
    return ShiftFact(at * S, seq, kind, queues, reason)


def spans(facts: list[ShiftFact], state: str) -> list[tuple[float, float | None, str]]:
    ended, standing = fold_shift(facts, Standing())
    return [
        (part.from_us / S, None if part.to_us is None else part.to_us / S, part.reason)
        for part in [*ended, *standing.open()]
        if part.state == state
    ]


def test_one_pause_in_several_queues_is_one_interval() -> None:
    facts = [
        fact(10, 2, PAUSE, reason="rast"),
        fact(10, 3, PAUSE, "kris", reason="rast"),
        fact(10, 4, PAUSE, "bygg", reason="rast"),
        fact(70, 5, UNPAUSE),
        fact(70, 6, UNPAUSE, "kris"),
        fact(70, 7, UNPAUSE, "bygg"),
    ]
    assert spans([ON, *facts], PAUSED) == [(10, 70, "rast")]


def test_a_pause_lasts_as_long_as_it_lasts_in_any_queue() -> None:
    facts = [
        fact(10, 2, PAUSE, "kris", reason="rast"),
        fact(20, 3, PAUSE, "bygg", reason="rast"),
        fact(30, 4, UNPAUSE, "kris"),
        fact(40, 5, UNPAUSE, "bygg"),
    ]
    assert spans(facts, PAUSED) == [(10, 40, "rast")]


def test_another_reason_begins_another_interval() -> None:
    facts = [fact(10, 2, PAUSE, reason="rast"), fact(30, 3, PAUSE, reason="lunch")]
    assert spans(facts, PAUSED) == [(10, 30, "rast"), (30, None, "lunch")]


def test_signing_off_from_one_group_is_not_going_home() -> None:
    facts = [fact(0, 1, SIGN_ON, "kris", "bygg"), fact(10, 2, SIGN_OFF, "kris")]
    assert spans(facts, SIGNED_ON) == [(0, None, "")]
    assert spans([*facts, fact(20, 3, SIGN_OFF, "bygg")], SIGNED_ON) == [(0, 20, "")]
    assert spans([*facts, fact(20, 3, SIGN_OFF)], SIGNED_ON) == [(0, 20, "")]


def test_going_home_ends_a_pause_and_after_call_work() -> None:
    facts = [ON, fact(10, 2, PAUSE, reason="rast"), fact(20, 3, WRAP_UP), fact(30, 4, SIGN_OFF)]
    assert spans(facts, PAUSED) == [(10, 30, "rast")]
    assert spans(facts, IN_WRAP_UP) == [(20, 30, "")]


def test_after_call_work_ends_with_the_next_or_with_being_available() -> None:
    facts = [ON, fact(10, 2, WRAP_UP), fact(20, 3, WRAP_UP), fact(25, 4, AVAILABLE)]
    assert spans(facts, IN_WRAP_UP) == [(10, 20, ""), (20, 25, "")]


def test_an_end_without_a_beginning_is_no_interval() -> None:
    facts = [fact(10, 1, UNPAUSE), fact(20, 2, AVAILABLE), fact(30, 3, SIGN_OFF)]
    assert fold_shift(facts, Standing())[0] == []


@pytest.mark.parametrize(
    ("parts", "expected"),
    [
        ([], 0),
        ([(0, 5)], 0),
        ([(5, 15)], 5),
        ([(12, 14), (13, 16)], 4),
        ([(0, None)], 10),
        ([(12, 14), (12, 14)], 2),
        ([(20, 30)], 0),
    ],
)
def test_time_is_clipped_to_the_period_and_counted_once(
    parts: list[tuple[int, int | None]], expected: int
) -> None:
    intervals = [
        Interval(PAUSED, "", since * S, None if upto is None else upto * S) for since, upto in parts
    ]
    assert clipped_us(intervals, 10 * S, 20 * S) == expected * S


def test_only_pauses_while_signed_on_count() -> None:
    signed_on = [Interval(SIGNED_ON, "", 10, 20), Interval(SIGNED_ON, "", 30, None)]
    paused = [Interval(PAUSED, "rast", 5, 15), Interval(PAUSED, "rast", 19, None)]
    assert [(part.from_us, part.to_us) for part in common(paused, signed_on)] == [
        (10, 15),
        (19, 20),
        (30, None),
    ]


queues = st.lists(st.sampled_from(["kris", "bygg", "avfall"]), max_size=2, unique=True).map(tuple)
facts_of_days = st.lists(
    st.tuples(st.integers(0, 400), st.sampled_from(range(6)), queues, st.sampled_from("ab")),
    max_size=25,
).map(
    lambda told: [
        ShiftFact(at * S, seq, kind, names, reason)
        for seq, (at, kind, names, reason) in enumerate(told)
    ]
)


@given(facts_of_days, st.randoms(use_true_random=False), st.integers(0, 400))
def test_day_by_day_in_any_order_is_as_all_at_once(
    facts: list[ShiftFact], random: object, midnight: int
) -> None:
    shuffled = list(facts)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    whole, standing = fold_shift(facts, Standing())
    first, between = fold_shift([f for f in shuffled if f.at_us < midnight * S], Standing())
    second, after = fold_shift([f for f in shuffled if f.at_us >= midnight * S], between)
    assert ([*first, *second], after) == (whole, standing)


@given(facts_of_days)
def test_intervals_of_one_state_never_overlap(facts: list[ShiftFact]) -> None:
    ended, _ = fold_shift(facts, Standing())
    for state in (SIGNED_ON, PAUSED, IN_WRAP_UP):
        parts = [part for part in ended if part.state == state]
        total = sum((part.to_us or 0) - part.from_us for part in parts)
        assert total == clipped_us(parts, 0, 1 << 60)
