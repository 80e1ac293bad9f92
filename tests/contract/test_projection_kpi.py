"""The worked example of key figures, driven through facts, log and projections."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from figures_world import Figures, Told, figures_at

from core.calls import (
    CallAbandoned,
    CallAnswered,
    CallEnded,
    CallQueued,
    CallTransferred,
    CallWrappedUp,
)
from core.shifts import AgentPaused, AgentSignedOff, AgentSignedOn, AgentUnpaused
from core.vocabulary import call_stream, shift_stream
from projections.kpi import BY_ID, KPIS, value
from projections.statistics import StatisticsQuery, statistics
from projections.workload import agent_times, figures_of_period

if TYPE_CHECKING:
    from collections.abc import Iterator

ORACLE: dict[str, Any] = json.loads(
    (Path(__file__).parent.parent / "data" / "kpi-oracle.json").read_text(encoding="utf-8")
)
EXAMPLE = ORACLE["interval_example"]
CLOSE = 1e-9


def at(text: str) -> datetime:
    return datetime.fromisoformat(text)


def facts_of_call(call: dict[str, Any]) -> list[Told]:
    stream = call_stream("lab", f"{call['n']}.1")
    told: list[Told] = [
        (stream, CallQueued("kris", "tnh_kris", caller_ref=call["caller"]), at(call["arrival"]))
    ]
    wait_s = float(call["wait_s"])
    if call["outcome"] == "abandoned":
        return [*told, (stream, CallAbandoned("kris", wait_s), at(call["abandoned_at"]))]
    agent, talk_s = call["agent"], float(call["talk_s"])
    told.append((stream, CallAnswered("kris", agent, wait_s), at(call["answered_at"])))
    end = (
        CallTransferred("kris", agent, "blind", None, wait_s, talk_s)
        if call["transferred"]
        else CallEnded("kris", agent, "caller", wait_s, talk_s)
    )
    told.append((stream, end, at(call["talk_end"])))
    wrapped = CallWrappedUp(agent, "solved", float(call["acw_s"]))
    return [*told, (stream, wrapped, at(call["acw_end"]))]


def facts_of_agent(agent: dict[str, Any]) -> list[Told]:
    name = agent["id"]
    begin, end = map(at, agent["logged_in"])
    stream = shift_stream("lab", name, "2026-03-10")
    told: list[Told] = [(stream, AgentSignedOn(name, ("kris",)), begin)]
    for since, upto in agent["pauses"]:
        # as an exchange writes it: one row for all queues and one for each, ended with another
        # reason
        for queue in (None, "kris", "bygg"):
            told.append((stream, AgentPaused(name, "rast", queue), at(since)))
            told.append((stream, AgentUnpaused(name, "tillbaka", queue), at(upto)))
    return [*told, (stream, AgentSignedOff(name), end)]


@pytest.fixture(params=["in order", "backwards"])
def figures(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Figures]:
    with figures_at(tmp_path) as world:
        told = [fact for call in EXAMPLE["calls"] for fact in facts_of_call(call)]
        told += [fact for agent in EXAMPLE["agents"] for fact in facts_of_agent(agent)]
        world.tell(told if request.param == "in order" else told[::-1])
        yield world


def period(figures: Figures, interval: dict[str, Any]) -> Any:
    return figures_of_period(
        figures.models,
        at(interval["start"]),
        at(interval["end"]),
        answer_within_s=EXAMPLE["T_s"],
        short_abandon_s=EXAMPLE["S_s"],
    )


@pytest.mark.requirement("R38", "R42")
@pytest.mark.parametrize("case", EXAMPLE["expected"], ids=lambda case: case["id"])
def test_each_key_figure_of_the_example_comes_out(figures: Figures, case: dict[str, Any]) -> None:
    counts = period(figures, EXAMPLE["interval"])
    assert case["value"] == pytest.approx(value(case["id"], counts), abs=CLOSE)
    kpi = BY_ID[case["id"]]
    assert case["unit"] == kpi.unit
    assert kpi.formula
    assert kpi.name_sv
    assert kpi.name_en


def test_the_counts_of_the_example_come_out(figures: Figures) -> None:
    counts = period(figures, EXAMPLE["interval"])
    same = {"timeout": "timed_out", "full": "refused", "lost": "other"}
    same |= {"answered_within_T": "answered_within", "abandoned_within_T": "abandoned_within"}
    expected = {same.get(name, name): n for name, n in EXAMPLE["counts"].items()}
    assert expected == {name: getattr(counts, name) for name in expected}


@pytest.mark.requirement("R38")
@pytest.mark.parametrize("length", ["30", "15"])
def test_each_interval_of_the_example_comes_out_with_work_clipped(
    figures: Figures, length: str
) -> None:
    same = {
        "answered_within_T": "answered_within",
        "work_clipped_s": "work_s",
        "pause_s": "paused_s",
    }
    for expected in EXAMPLE[f"intervals_{length}_min"]:
        counts = period(figures, expected)
        for name, wanted in expected.items():
            if name in {"start", "end"}:
                continue
            got = value(name, counts) if name in BY_ID else getattr(counts, same.get(name, name))
            assert (name, wanted) == (name, got if got is None else pytest.approx(got, abs=CLOSE))


def test_the_statistics_command_gives_the_same_figures(figures: Figures) -> None:
    answer = statistics(figures.models, StatisticsQuery(interval_s=1800)).as_json()
    (row,) = answer["rows"]
    expected = {case["id"]: case["value"] for case in EXAMPLE["expected"]}
    levels = row["service_level"]
    assert [expected[f"sl_{n}"] for n in range(1, 6)] == pytest.approx(list(levels.values()))
    assert list(levels) == [
        "of_answered",
        "of_offered",
        "with_abandoned",
        "without_early_abandons",
        "without_short_abandons",
    ]
    assert [expected[n] for n in ("availability_raw", "availability_net")] == pytest.approx(
        [row["availability"], row["availability_net"]]
    )
    assert [expected[n] for n in ("abandonment_raw", "abandonment_net")] == pytest.approx(
        [row["abandonment"], row["abandonment_net"]]
    )
    assert (
        row["asa_s"],
        row["wait_s_answered_sum"],
        row["wait_s_max"],
        row["talk_s_sum"],
        row["unique_callers"],
    ) == (23, 161, 70, 1280, 8)
    assert row["from"] == "2026-03-10T09:00:00+01:00"
    assert row["to"] == "2026-03-10T09:30:00+01:00"


def test_pause_time_is_the_union_of_its_rows_by_the_reason_that_began_it(figures: Figures) -> None:
    begin, end = at(EXAMPLE["interval"]["start"]), at(EXAMPLE["interval"]["end"])
    times = {time.agent: time for time in agent_times(figures.models, begin, end)}
    assert times["A1"].by_reason == {"rast": 200}
    assert times["A2"].by_reason == {}
    assert (times["A3"].staffed_s, times["A3"].paused_s) == (1800, 100)


def test_the_figures_of_a_local_day_have_as_many_quarter_hours_as_the_day(figures: Figures) -> None:
    from projections.times import ZONE, intervals

    for day, quarters in ORACLE["quarter_hours_per_local_day"].items():
        begin = datetime.fromisoformat(day).replace(tzinfo=ZONE)
        end = (datetime.fromisoformat(day) + timedelta(days=1)).replace(tzinfo=ZONE)
        assert (day, quarters) == (day, len(intervals(begin, end, 900)))


def test_every_key_figure_is_no_value_where_there_were_no_calls() -> None:
    from projections.kpi import Counts

    assert {kpi.id: None for kpi in KPIS} == {kpi.id: kpi.of(Counts()) for kpi in KPIS}
