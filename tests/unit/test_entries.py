"""The fold of one call's facts into entries: every outcome, every disorder."""

from __future__ import annotations

from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from projections.call_facts import (
    ANSWER,
    END,
    ENTER,
    EXIT,
    LATE,
    LIVE,
    LOCAL,
    NOT_TAKEN,
    OFFER,
    OUTCOME_OF,
    PAPER,
    REFUSE,
    RESTART,
    WRAP,
    CallFact,
    worse,
)
from projections.entries import Entry, Folded, fold_call
from projections.times import SECOND_US

KIND = {outcome: kind for kind, outcome in OUTCOME_OF.items()}
S = SECOND_US


def enter(at: int, seq: int, queue: str = "kris", ref: str | None = "c1") -> CallFact:
    return CallFact(at * S, seq, ENTER, queue, word=f"g_{queue}", flag=True, caller_ref=ref)


def answer(at: int, seq: int, wait: float, queue: str = "kris", agent: str = "A1") -> CallFact:
    return CallFact(at * S, seq, ANSWER, queue, agent, wait)


def end(
    at: int, seq: int, wait: float, talk: float, queue: str = "kris", *, transfer: bool = False
) -> CallFact:
    return CallFact(at * S, seq, END, queue, "A1", wait, talk, flag=transfer)


def leave(
    at: int, seq: int, wait: float, outcome: str = "abandoned", queue: str = "kris"
) -> CallFact:
    return CallFact(at * S, seq, KIND[outcome], queue, None, wait)


def restart(at: int, seq: int) -> CallFact:
    return CallFact(at * S, seq, RESTART)


def outcomes(folded: Folded) -> list[tuple[str, str]]:
    return [(entry.queue, entry.outcome) for entry in folded.entries]


def test_a_call_that_is_answered_and_ended_is_one_entry() -> None:
    (entry,) = fold_call([enter(0, 1), answer(4, 2, 4), end(64, 3, 4, 60)]).entries
    assert (
        entry.outcome,
        entry.wait_s,
        entry.talk_s,
        entry.agent,
        entry.transferred,
    ) == ("answered", 4, 60, "A1", False)
    assert (entry.entered_us, entry.left_us, entry.ended_us) == (0, 4 * S, 64 * S)


@pytest.mark.parametrize("outcome", list(KIND))
def test_each_way_out_of_a_queue_has_its_outcome(outcome: str) -> None:
    (entry,) = fold_call([enter(0, 1), leave(9, 2, 9, outcome)]).entries
    assert (outcome, 9, 9 * S) == (entry.outcome, entry.wait_s, entry.ended_us)


def test_an_entry_that_nothing_ended_is_in_progress() -> None:
    (entry,) = fold_call([enter(0, 1)]).entries
    assert (entry.outcome, entry.wait_s, entry.ended_us) == ("in_progress", None, None)


def test_a_refusal_is_an_entry_by_itself_at_its_own_time() -> None:
    full = CallFact(7 * S, 2, REFUSE, "kris", word="g_kris", flag=True)
    folded = fold_call([full, enter(9, 3, "avfall")])
    assert outcomes(folded) == [("kris", "refused"), ("avfall", "in_progress")]
    assert folded.entries[0].caller_ref is None


def test_a_call_through_two_queues_counts_in_both() -> None:
    facts = [
        enter(0, 1),
        leave(45, 2, 45, "timed_out"),
        enter(45, 3, "avfall"),
        answer(50, 4, 5, "avfall"),
    ]
    assert outcomes(fold_call(facts)) == [("kris", "timed_out"), ("avfall", "answered")]


def test_the_same_queue_twice_is_two_entries() -> None:
    facts = [enter(0, 1), leave(45, 2, 45, "timed_out"), enter(45, 3), leave(50, 4, 5)]
    assert outcomes(fold_call(facts)) == [("kris", "timed_out"), ("kris", "abandoned")]


def test_a_transfer_ends_the_agents_part_and_what_is_logged_after_it_changes_nothing() -> None:
    facts = [
        enter(0, 1),
        answer(4, 2, 4),
        end(30, 3, 4, 26, transfer=True),
        end(31, 4, 4, 27, transfer=True),
        end(90, 5, 4, 86),
    ]
    (entry,) = fold_call(facts).entries
    assert (entry.transferred, entry.talk_s, entry.ended_us) == (True, 26, 30 * S)
    assert fold_call(facts).orphans == []


def test_the_first_way_out_wins() -> None:
    (entry,) = fold_call([enter(0, 1), leave(9, 2, 9), leave(45, 3, 45, "timed_out")]).entries
    assert (entry.outcome, entry.wait_s) == ("abandoned", 9)


def test_an_end_without_the_answers_row_says_that_somebody_answered() -> None:
    (entry,) = fold_call([enter(0, 1), end(64, 3, 4, 60)]).entries
    assert (entry.outcome, entry.wait_s, entry.talk_s, entry.left_us) == ("answered", 4, 60, 4 * S)


def test_a_ring_that_was_not_taken_belongs_to_the_entry_that_is_open() -> None:
    missed = [CallFact(at * S, seq, NOT_TAKEN, "kris", "A2") for at, seq in ((3, 2), (5, 3))]
    folded = fold_call([enter(0, 1), *missed, answer(9, 4, 9)])
    assert folded.entries[0].not_taken == 2
    assert folded.not_taken == [(0, "A2", 2)]


def test_after_call_work_belongs_to_the_last_entry_that_the_agent_answered() -> None:
    facts = [
        enter(0, 1),
        answer(4, 2, 4),
        end(30, 3, 4, 26, transfer=True),
        CallFact(60 * S, 4, WRAP, "", "A1", 30.0, word="solved"),
    ]
    (entry,) = fold_call(facts).entries
    assert (entry.wrap_up_s, entry.wrapped_us, entry.wrap_up_outcome) == (30, 60 * S, "solved")


def test_the_channel_is_that_of_the_offer_and_else_the_telephone() -> None:
    assert fold_call([enter(0, 1)]).entries[0].channel == "phone"
    offered = CallFact(0, 2, OFFER, word="sms")
    assert fold_call([offered, enter(0, 1)]).entries[0].channel == "sms"


# --- restarts -------------------------------------------------------------------------------------
def test_an_entry_without_an_answer_is_lost_at_a_restart() -> None:
    (entry,) = fold_call([enter(0, 1)], [restart(10, 2)]).entries
    assert (entry.outcome, entry.wait_s, entry.ended_us) == ("other", None, 10 * S)


def test_an_entry_that_ended_before_a_restart_or_began_after_it_is_not_lost() -> None:
    facts = [enter(0, 1), leave(9, 2, 9), enter(20, 4)]
    assert outcomes(fold_call(facts, [restart(10, 3)])) == [
        ("kris", "abandoned"),
        ("kris", "in_progress"),
    ]


@pytest.mark.parametrize(
    ("entered", "restarted", "outcome"), [(1, 2, "other"), (2, 1, "in_progress")]
)
def test_in_one_second_the_log_says_whether_the_restart_was_first(
    entered: int, restarted: int, outcome: str
) -> None:
    folded = fold_call([enter(10, entered)], [restart(10, restarted)])
    assert [("kris", outcome)] == outcomes(folded)


def test_what_is_told_after_a_restart_does_not_bring_a_lost_entry_back() -> None:
    facts = [enter(0, 1), leave(20, 3, 20)]
    assert outcomes(fold_call(facts, [restart(10, 2)])) == [("kris", "other")]


def test_a_talk_that_a_restart_seemed_to_end_keeps_the_end_that_was_told() -> None:
    facts = [enter(0, 1), answer(4, 2, 4), end(30, 4, 4, 26)]
    (entry,) = fold_call(facts, [restart(10, 3)]).entries
    assert (entry.outcome, entry.talk_s, entry.ended_us) == ("answered", 26, 30 * S)


# --- what does not fit ----------------------------------------------------------------------------
def test_a_fact_of_a_queue_that_was_never_entered_is_kept_apart() -> None:
    folded = fold_call([answer(4, 2, 4), end(64, 3, 4, 60)])
    assert (folded.entries, len(folded.orphans)) == ([], 2)


def test_it_becomes_right_when_what_went_before_is_read() -> None:
    folded = fold_call([answer(4, 2, 4), end(64, 3, 4, 60), enter(0, 9)])
    assert (outcomes(folded), folded.orphans) == ([("kris", "answered")], [])


def test_an_entry_whose_end_was_never_told_is_marked_when_the_call_goes_on() -> None:
    first, second = fold_call([enter(0, 1), enter(60, 2, "avfall")]).entries
    assert (first.superseded, second.superseded) == (True, False)
    assert first.outcome == "in_progress"


def test_of_two_marks_the_worse_stays_and_lateness_is_kept() -> None:
    assert [
        worse(LOCAL, PAPER),
        worse(LOCAL, LATE),
        worse(LIVE, LIVE),
    ] == [PAPER, LOCAL | LATE, LIVE]


# --- order ----------------------------------------------------------------------------------------
def told(facts: list[CallFact]) -> list[CallFact]:
    """The facts as if they had been told in this order."""
    return [replace(fact, seq=seq) for seq, fact in enumerate(facts, start=1)]


def rows(folded: Folded) -> list[Entry]:
    return sorted((replace(entry, seq=0, n=0) for entry in folded.entries), key=repr)


ONE_SECOND = [
    [enter(0, 1), answer(0, 2, 0), end(0, 3, 0, 0)],
    [enter(0, 1), leave(0, 2, 0), enter(0, 3, "avfall"), answer(0, 4, 0, "avfall")],
    [enter(0, 1), leave(45, 2, 45, "timed_out"), enter(45, 3), answer(45, 4, 0), end(60, 5, 0, 15)],
    [enter(0, 1), answer(9, 2, 9), end(12, 3, 9, 3, transfer=True), enter(12, 4), leave(12, 5, 0)],
]


@pytest.mark.parametrize("facts", ONE_SECOND, ids=range(len(ONE_SECOND)))
def test_facts_of_one_second_give_the_same_rows_in_whatever_order_they_are_told(
    facts: list[CallFact],
) -> None:
    expected = rows(fold_call(told(facts)))
    assert all(entry.outcome != "in_progress" for entry in expected)
    for order in permutations(facts):
        assert expected == rows(fold_call(told(list(order))))


@st.composite
def histories(draw: st.DrawFn) -> list[CallFact]:
    """What one call may go through: up to four queues in turn, in whole seconds."""
    at = draw(st.integers(0, 5))
    facts: list[CallFact] = []
    for queue in draw(
        st.lists(st.sampled_from(["kris", "avfall", "bygg"]), min_size=1, max_size=4)
    ):
        facts.append(enter(at, 0, queue))
        wait = draw(st.integers(0, 40))
        at += wait
        way = draw(
            st.sampled_from(["abandoned", "timed_out", "other", "answered", "moved", "open"])
        )
        if way in KIND:
            facts.append(leave(at, 0, wait, way, queue))
        elif way in {"answered", "moved"}:
            talk = draw(st.integers(1, 40))
            facts.append(answer(at, 0, wait, queue))
            at += talk
            facts.append(end(at, 0, wait, talk, queue, transfer=way == "moved"))
        else:
            break
        at += draw(st.integers(3, 9))
    return facts


@given(histories(), st.randoms(use_true_random=False))
def test_any_order_of_arrival_gives_the_same_rows(facts: list[CallFact], random: object) -> None:
    shuffled = list(facts)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    assert rows(fold_call(told(facts))) == rows(fold_call(told(shuffled)))


@given(histories(), st.data())
def test_a_call_that_is_told_piece_by_piece_ends_as_one_that_is_told_at_once(
    facts: list[CallFact], data: st.DataObject
) -> None:
    known: list[CallFact] = []
    for fact in data.draw(st.permutations(told(facts))):
        known.append(fact)
        folded = fold_call(known)
        assert len(folded.entries) == sum(f.kind == ENTER for f in known)
    assert fold_call(told(facts)) == fold_call(known)


def test_kinds_of_ways_out_are_beyond_the_others() -> None:
    assert min(OUTCOME_OF) == EXIT
