"""Statistics asked of real read models: intervals, limits, order, marks, no value."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from figures_world import NOW, Figures, Told, figures_at
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from core.calls import (
    CallAbandoned,
    CallAnswered,
    CallbackRequested,
    CallDeflected,
    CallDiverted,
    CallEnded,
    CallLeft,
    CallNotTaken,
    CallOffered,
    CallQueued,
    CallRefused,
    CallTimedOut,
)
from core.errors import Invalid
from core.taxonomy import EntrySet
from core.vocabulary import call_stream, catalogue_stream
from projections.kpi import OUTCOMES
from projections.statistics import DIMENSIONS, StatisticsQuery, statistics
from projections.times import ZONE

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from core.commit import Event

KEYS = [
    "answer_group", "queue", "from", "to", "offered", "answered", "abandoned", "timed_out",
    "refused", "callback", "deflected", "diverted", "other", "in_progress", "answered_within",
    "abandoned_within", "short_abandoned", "wait_s_answered_sum", "wait_s_max", "talk_s_sum",
    "transferred", "not_taken", "unique_callers", "service_level", "availability",
    "availability_net", "abandonment", "abandonment_net", "asa_s", "quality",
]  # fmt: skip


@pytest.fixture
def figures(tmp_path: Path) -> Iterator[Figures]:
    with figures_at(tmp_path) as world:
        yield world


def call(
    n: int,
    at: datetime = NOW,
    *after: tuple[float, Event],
    queue: str = "kris",
    ref: str | None = None,
    known: bool = True,
) -> list[Told]:
    stream = call_stream("lab", f"{n}.1")
    entered = CallQueued(queue, f"g_{queue}", known, caller_ref=ref)
    return [(stream, entered, at), *((stream, e, at + timedelta(seconds=s)) for s, e in after)]


def ask(figures: Figures, **query: Any) -> dict[str, Any]:
    return statistics(figures.models, StatisticsQuery(**query)).as_json()


def test_an_empty_log_has_no_rows_and_no_total(figures: Figures) -> None:
    answer = ask(figures)
    assert (answer["rows"], answer["total"], answer["orphans"]) == ([], [], {})


def test_a_row_has_the_keys_that_other_programs_expect_in_their_order(figures: Figures) -> None:
    figures.tell(call(1))
    answer = ask(figures)
    assert list(answer["rows"][0]) == KEYS
    assert list(answer["total"][0]) == KEYS
    assert answer["as_of"] == {"calls/0": 1}
    levels = answer["rows"][0]["service_level"]
    assert all(answer["formulas"][f"service_level.{key}"] for key in levels)


def test_each_outcome_has_its_own_counter_and_they_add_up(figures: Figures) -> None:
    ways: list[Event] = [
        CallAnswered("kris", "A1", 9.0),
        CallAbandoned("kris", 9.0),
        CallTimedOut("kris", 9.0),
        CallbackRequested("kris", 9.0),
        CallDeflected("kris", None, 9.0),
        CallDiverted("kris"),
        CallLeft("kris", "key", "1", 9.0),
        CallLeft("kris", "empty", None, 9.0),
        CallLeft("kris", "withdrawn", None, 9.0),
    ]
    told = [fact for n, way in enumerate(ways) for fact in call(n, NOW, (9, way))]
    told += call(20)
    for n, reason in ((21, "full"), (22, "empty")):
        told.append((call_stream("lab", f"{n}.1"), CallRefused("kris", "g_kris", reason), NOW))
    figures.tell(told)
    (row,) = ask(figures)["total"]
    assert 12 == row["offered"] == sum(row[name] for name in OUTCOMES)
    expected = dict.fromkeys(OUTCOMES, 1) | {"other": 3, "refused": 2}
    assert expected == {name: row[name] for name in OUTCOMES}


def test_a_wait_of_exactly_t_is_in_time_and_one_of_exactly_s_is_not_short(figures: Figures) -> None:
    told: list[Told] = []
    for n, wait in enumerate((19.5, 20.0, 20.5)):
        told += call(n, NOW, (wait, CallAnswered("kris", "A1", wait)))
    for n, wait in enumerate((4.5, 5.0, 20.0, 21.0), start=10):
        told += call(n, NOW, (wait, CallAbandoned("kris", wait)))
    figures.tell(told)
    (row,) = ask(figures)["total"]
    assert (row["answered_within"], row["abandoned_within"], row["short_abandoned"]) == (2, 3, 1)
    (row,) = ask(figures, answer_within_s=0, short_abandon_s=0)["total"]
    assert (row["answered_within"], row["abandoned_within"], row["short_abandoned"]) == (0, 0, 0)


def test_where_nothing_was_measured_there_is_no_value_and_sums_are_0(figures: Figures) -> None:
    figures.tell(call(1))
    (row,) = ask(figures)["total"]
    assert (
        row["wait_s_answered_sum"],
        row["wait_s_max"],
        row["talk_s_sum"],
        row["asa_s"],
    ) == (0, None, 0, None)
    levels = list(row["service_level"].values())
    assert levels == [None, 0, None, 0, 0]
    assert (row["availability"], row["abandonment"]) == (0, 0)


def test_an_entry_belongs_to_the_interval_in_which_it_entered(figures: Figures) -> None:
    at = NOW + timedelta(minutes=14, seconds=59)
    figures.tell(
        call(
            1,
            at,
            (30, CallAnswered("kris", "A1", 30.0)),
            (90, CallEnded("kris", "A1", "caller", 30.0, 60.0)),
        )
    )
    (row,) = ask(figures)["rows"]
    assert (
        row["from"],
        row["to"],
        row["answered"],
        row["talk_s_sum"],
    ) == ("2026-11-22T13:00:00+01:00", "2026-11-22T13:15:00+01:00", 1, 60)


def test_a_late_fact_corrects_the_old_interval_and_is_marked(figures: Figures) -> None:
    figures.tell(call(1, NOW - timedelta(days=2)))
    (before,) = ask(figures)["rows"]
    assert (before["in_progress"], before["answered"]) == (1, 0)
    told = call(1, NOW - timedelta(days=2), (9, CallAnswered("kris", "A1", 9.0)))[1:]
    figures.tell(told, origin="reserve:T1")
    (after,) = ask(figures)["rows"]
    assert (after["in_progress"], after["answered"]) == (0, 1)
    assert after["quality"] == {"live": 0, "local": 1, "paper": 0, "late": 1, "unknown_group": 0}


def test_rows_come_by_interval_and_then_by_group(figures: Figures) -> None:
    told: list[Told] = []
    for n, (minute, queue) in enumerate([(20, "b"), (0, "c"), (20, "a"), (0, "a")]):
        told += call(n, NOW + timedelta(minutes=minute), queue=queue)
    figures.tell(told)
    rows = ask(figures)["rows"]
    assert [(row["from"][11:16], row["queue"]) for row in rows] == [
        ("13:00", "a"),
        ("13:00", "c"),
        ("13:15", "a"),
        ("13:15", "b"),
    ]


def test_from_and_to_bound_what_is_counted(figures: Figures) -> None:
    told = [fact for n in range(4) for fact in call(n, NOW + timedelta(minutes=15 * n))]
    figures.tell(told)
    begin, end = NOW + timedelta(minutes=15), NOW + timedelta(minutes=45)
    answer = ask(figures, begin=begin, end=end)
    assert len(answer["rows"]) == 2
    (total,) = answer["total"]
    assert (
        total["from"],
        total["to"],
        total["offered"],
    ) == ("2026-11-22T13:15:00+01:00", "2026-11-22T13:45:00+01:00", 2)


def test_callers_are_people_and_not_calls(figures: Figures) -> None:
    told = call(1, ref="anna") + call(2, ref="anna") + call(3, ref="bo") + call(4, ref=None)
    told += call(5, NOW + timedelta(hours=1), ref="anna")
    figures.tell(told)
    answer = ask(figures, interval_s=3600)
    assert [row["unique_callers"] for row in answer["rows"]] == [2, 1]
    assert [row["unique_callers"] for row in answer["total"]] == [2]


def test_an_unknown_queue_has_a_group_of_its_own_name_and_is_flagged(figures: Figures) -> None:
    figures.tell(call(1, known=False))
    (row,) = ask(figures)["total"]
    assert row["quality"]["unknown_group"] == 1


def test_facts_without_their_entry_are_shown_apart_until_it_is_told(figures: Figures) -> None:
    told = call(1, NOW, (9, CallAnswered("kris", "A1", 9.0)))
    figures.tell(told[1:])
    answer = ask(figures)
    assert (answer["rows"], answer["orphans"]) == ([], {"kris": 1})
    figures.tell(told[:1])
    answer = ask(figures)
    assert ([row["answered"] for row in answer["total"]], answer["orphans"]) == ([1], {})


def test_by_agent_a_ring_that_was_not_taken_is_counted_at_who_did_not_take_it(
    figures: Figures,
) -> None:
    missed = CallNotTaken("kris", "A2", "no_answer", 8.0)
    cancelled = CallNotTaken("kris", "A3", "cancelled", 2.0)
    told = call(1, NOW, (8, missed), (9, cancelled), (12, CallAnswered("kris", "A1", 12.0)))
    figures.tell(told)
    assert [row["not_taken"] for row in ask(figures)["total"]] == [1]
    rows = ask(figures, by="agent")["total"]
    assert [(row["agent"], row["answered"], row["not_taken"]) for row in rows] == [
        ("A1", 1, 0),
        ("A2", 0, 1),
    ]


def test_by_owner_and_centre_the_catalogue_says_whose_a_group_is(figures: Figures) -> None:
    for name, owners in (("g_kris", ["TK"]), ("g_projekt", ["TK", "SBK"])):
        fields: dict[str, object] = {"queue": name, "centre": "tnh", "partition": owners}
        entry = EntrySet("answer_group", name, fields)
        figures.tell([(catalogue_stream("answer_group", name), entry, NOW)])
    figures.tell(call(1) + call(2, queue="projekt") + call(3, queue="other"))
    assert [
        (row["authority"], row["offered"]) for row in ask(figures, by="authority")["total"]
    ] == [(None, 2), ("TK", 1)]
    assert [(row["centre"], row["offered"]) for row in ask(figures, by="centre")["total"]] == [
        (None, 1),
        ("tnh", 2),
    ]


@pytest.mark.requirement("R24")
def test_every_channel_counts(figures: Figures) -> None:
    stream = call_stream("desk", "7")
    figures.tell([(stream, CallOffered("sms"), NOW), (stream, CallQueued("kris", "g_kris"), NOW)])
    figures.tell(call(1))
    assert [(row["channel"], row["offered"]) for row in ask(figures, by="channel")["total"]] == [
        ("phone", 1),
        ("sms", 1),
    ]


@pytest.mark.parametrize("by", DIMENSIONS)
def test_every_entry_is_counted_by_whatever_it_is_asked_by(figures: Figures, by: str) -> None:
    figures.tell(call(1) + call(2, queue="bygg"))
    answer = ask(figures, by=by)
    assert sum(row["offered"] for row in answer["total"]) == 2
    assert by == next(iter(answer["total"][0]))


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ({"interval_s": 7}, "interval"),
        ({"interval_s": 0}, "interval"),
        ({"interval_s": -900}, "interval"),
        ({"interval_s": 7200}, "interval"),
        ({"by": "weather"}, "by"),
        ({"begin": datetime(2026, 1, 1)}, "from"),
        ({"begin": NOW, "end": NOW}, "from"),
        ({"answer_within_s": -1}, "answer_within"),
        ({"short_abandon_s": float("nan")}, "short_abandon"),
        ({"answer_within_s": float("inf")}, "answer_within"),
    ],
)
def test_a_question_that_cannot_be_answered_says_which_field_is_wrong(
    figures: Figures, query: dict[str, Any], field: str
) -> None:
    with pytest.raises(Invalid) as caught:
        ask(figures, **query)
    assert field == caught.value.details["field"]


@pytest.mark.parametrize(("day", "quarters"), [("2026-03-29", 92), ("2026-10-25", 100)])
def test_a_day_of_a_clock_change_has_its_own_number_of_quarter_hours(
    figures: Figures, day: str, quarters: int
) -> None:
    begin = datetime.fromisoformat(day).replace(tzinfo=ZONE)
    end = (datetime.fromisoformat(day) + timedelta(days=1)).replace(tzinfo=ZONE)
    at, told, n = begin.astimezone(UTC), [], 0
    while at < end.astimezone(UTC):
        told += call(n, at)
        at, n = at + timedelta(minutes=15), n + 1
    figures.tell(told)
    rows = ask(figures, begin=begin, end=end)["rows"]
    assert quarters == len(rows) == len({row["from"] for row in rows})
    assert (begin.isoformat(), end.isoformat()) == (rows[0]["from"], rows[-1]["to"])


@settings(
    max_examples=15,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(st.data())
def test_in_whatever_order_facts_are_told_the_statistics_are_the_same(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    facts: list[Told] = []
    for n in range(data.draw(st.integers(1, 6))):
        wait = data.draw(st.integers(0, 3))
        way: Event = data.draw(
            st.sampled_from(
                [CallAnswered("kris", "A1", float(wait)), CallAbandoned("kris", float(wait))]
            )
        )
        facts += call(n, NOW + timedelta(seconds=n * 400), (wait, way), ref=f"c{n % 2}")
    shuffled = data.draw(st.permutations(facts))
    answers = []
    for told in (facts, shuffled):
        with figures_at(tmp_path_factory.mktemp("order")) as world:
            half = len(told) // 2
            world.tell(told[:half])
            world.tell(told[half:])
            answer = ask(world, interval_s=300)
            answers.append((answer["rows"], answer["total"]))
    assert answers[0] == answers[1]
