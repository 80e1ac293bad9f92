"""The rule of the log, row by row, and what a test would miss if a row were gone."""

from __future__ import annotations

import pytest
from judging import MUTANTS, Folded, Mutant, Rule
from log_world import At, claim

from core.commit import Accepted, Duplicate, Fork, StaleVerdict
from core.judge import judge

A, B = "call/x/1", "call/x/2"
FIRST = Accepted(1, range(1, 2))


def test_a_new_fact_is_accepted_and_starts_its_stream_at_one() -> None:
    shard = Folded()
    assert shard.take(claim("a", At(A))) == FIRST
    assert shard.heads == {A: 1}


def test_the_next_fact_follows_whatever_is_there() -> None:
    shard = Folded()
    shard.take_all([claim("a", At(A, 7)), claim("b", At(A))])
    assert shard.heads == {A: 8}


def test_a_fact_is_never_stale() -> None:
    shard = Folded()
    verdicts = shard.take_all([claim(n, At(A)) for n in range(50)])
    assert [Accepted(n + 1, range(n + 1, n + 2)) for n in range(50)] == verdicts


def test_a_decision_on_the_next_version_is_accepted() -> None:
    shard = Folded()
    shard.take(claim("a", At(A)))
    assert shard.take(claim("b", At(A, 2))) == Accepted(2, range(2, 3))


def test_a_decision_on_a_version_that_is_taken_is_stale_and_told_the_head() -> None:
    shard = Folded()
    shard.take_all([claim("a", At(A)), claim("b", At(A))])
    assert shard.take(claim("c", At(A, 2))) == StaleVerdict(3, A, 2)


def test_a_decision_that_leaves_a_gap_is_stale() -> None:
    shard = Folded()
    shard.take(claim("a", At(A)))
    assert shard.take(claim("b", At(A, 3))) == StaleVerdict(2, A, 1)


@pytest.mark.parametrize("version", [0, 1, 2, 700])
def test_a_stream_never_seen_may_start_at_any_version(version: int) -> None:
    shard = Folded()
    assert shard.take(claim("a", At(A, version))) == FIRST
    assert shard.heads == {A: version}


def test_a_stream_never_seen_does_not_start_below_zero() -> None:
    assert Folded().take(claim("a", At(A, -1))) == StaleVerdict(1, A, -1)


def test_several_events_of_one_stream_follow_one_another_in_a_commit() -> None:
    shard = Folded()
    assert shard.take(claim("a", At(A, 3), At(A, 4), At(A))) == Accepted(1, range(1, 4))
    assert shard.heads == {A: 5}
    assert shard.take(claim("b", At(A, 6), At(A, 6))) == StaleVerdict(2, A, 6)


def test_one_stale_event_makes_the_whole_commit_stale() -> None:
    shard = Folded()
    shard.take(claim("a", At(A)))
    assert shard.take(claim("b", At(B), At(A, 1))) == StaleVerdict(2, A, 1)
    assert shard.heads == {A: 1}
    assert shard.seq == 1


def test_numbers_and_positions_are_dense_and_stale_commits_have_no_numbers() -> None:
    shard = Folded()
    verdicts = shard.take_all(
        [
            claim("a", At(A), At(B)),
            claim("b", At(A, 9)),
            claim("c"),
            claim("d", At(A), At(A)),
        ]
    )
    assert verdicts == [
        Accepted(1, range(1, 3)),
        StaleVerdict(2, A, 1),
        Accepted(3, range(3, 3)),
        Accepted(4, range(3, 5)),
    ]


def test_a_commit_without_events_is_accepted_and_uses_up_its_id() -> None:
    """Small print 4: a "no" is recorded by such a commit."""
    shard = Folded()
    assert shard.take(claim("no", intent="x")) == Accepted(1, range(1, 1))
    assert shard.take(claim("no", At(A), intent="x")) == Duplicate(Accepted(1, range(1, 1)))


def test_the_same_id_and_intent_is_a_duplicate_of_the_first_verdict() -> None:
    shard = Folded()
    shard.take_all([claim("a", At(A)), claim("b", At(B))])
    assert shard.take(claim("a", At(A))) == Duplicate(FIRST)
    assert shard.take(claim("a", At(A))) == Duplicate(FIRST)
    assert shard.position == 2


def test_a_duplicate_is_one_whatever_its_events_and_versions_are_now() -> None:
    """An honest retry was decided again: its intent is the same, its content need not be."""
    shard = Folded()
    shard.take(claim("a", At(A)))
    assert shard.take(claim("a", At(B, 4), At(B, 5))) == Duplicate(FIRST)


def test_a_late_copy_of_a_stale_commit_stays_stale_when_its_version_would_fit_by_then() -> None:
    shard = Folded()
    shard.take(claim("a", At(A)))
    late = claim("late", At(A, 3))
    assert shard.take(late) == StaleVerdict(2, A, 1)
    shard.take(claim("b", At(A)))
    assert shard.take(late) == Duplicate(StaleVerdict(2, A, 1))
    assert shard.heads == {A: 2}


def test_the_same_id_with_another_intent_is_a_fork_and_is_not_applied() -> None:
    shard = Folded()
    shard.take(claim("a", At(A)))
    assert shard.take(claim("a", At(B), intent="another")) == Fork(FIRST)
    assert shard.heads == {A: 1}
    assert shard.take(claim("a", At(A))) == Duplicate(FIRST)


def test_a_fork_of_a_stale_commit_tells_the_stale_verdict() -> None:
    shard = Folded()
    shard.take_all([claim("a", At(A)), claim("b", At(A, 1))])
    assert shard.take(claim("b", intent="another")) == Fork(StaleVerdict(2, A, 1))


def test_tracking_must_go_forward() -> None:
    shard = Folded()
    assert shard.take(claim("a", tracking=("p", 5))) == Accepted(1, range(1, 1))
    assert shard.take(claim("b", tracking=("p", 5))) == StaleVerdict(2, "tracking/p", 5)
    assert shard.take(claim("c", tracking=("p", 4))) == StaleVerdict(3, "tracking/p", 5)
    assert shard.take(claim("d", tracking=("q", 1))) == Accepted(4, range(1, 1))
    assert shard.take(claim("e", tracking=("p", 9))) == Accepted(5, range(1, 1))
    assert shard.trackings == {"p": 9, "q": 1}


def test_a_first_tracking_may_be_anything() -> None:
    assert Folded().take(claim("a", tracking=("p", 0))) == Accepted(1, range(1, 1))


def test_a_stale_tracking_leaves_its_events_out() -> None:
    shard = Folded()
    shard.take_all([claim("a", tracking=("p", 5)), claim("b", At(A), tracking=("p", 5))])
    assert shard.heads == {}


def test_a_stale_commit_does_not_move_its_tracking() -> None:
    shard = Folded()
    shard.take_all([claim("a", At(A)), claim("b", At(A, 1), tracking=("p", 5))])
    assert shard.trackings == {}


def test_judging_leaves_the_state_alone() -> None:
    shard = Folded()
    shard.take(claim("a", At(A)))
    before = (shard.position, shard.seq, dict(shard.heads), dict(shard.verdicts))
    for asked in (claim("a", At(A)), claim("b", At(A), At(B, 4)), claim("c", At(A, 9))):
        judge(shard, asked)
    assert before == (shard.position, shard.seq, shard.heads, shard.verdicts)


def everything_above(rule: Rule) -> None:
    """The table in one run; a variant of the rule must not come through it."""
    shard = Folded(rule)
    steps = [
        (claim("a", At(A), At(A), At(B, 0)), Accepted(1, range(1, 4))),
        (claim("b", At(A, 3), At(A)), Accepted(2, range(4, 6))),
        (claim("c", At(A, 9)), StaleVerdict(3, A, 4)),
        (claim("d", At(A, 4)), StaleVerdict(4, A, 4)),
        (claim("e", At("call/x/3", -1)), StaleVerdict(5, "call/x/3", -1)),
        (claim("f", At("call/x/4", 7)), Accepted(6, range(6, 7))),
        (claim("a", At(A)), Duplicate(Accepted(1, range(1, 4)))),
        (claim("c", At(A, 5)), Duplicate(StaleVerdict(3, A, 4))),
        (claim("a", At(A), intent="another"), Fork(Accepted(1, range(1, 4)))),
        (claim("g", tracking=("p", 3)), Accepted(7, range(7, 7))),
        (claim("h", tracking=("p", 3)), StaleVerdict(8, "tracking/p", 3)),
        (claim("i", tracking=("p", 2)), StaleVerdict(9, "tracking/p", 3)),
        (claim("j", At(B)), Accepted(10, range(7, 8))),
    ]
    for asked, expected in steps:
        assert expected == shard.take(asked)
    assert shard.heads == {A: 4, B: 1, "call/x/4": 7}


def test_the_rule_as_it_is_comes_through_the_table() -> None:
    everything_above(judge)


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda m: m.rule)
def test_without_any_one_rule_the_table_fails(mutant: Mutant) -> None:
    with pytest.raises(AssertionError):
        everything_above(mutant.judge())
