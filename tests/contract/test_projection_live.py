"""The queues as they stand, and what each agent is doing."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from figures_world import NOW, Figures, Told, figures_at

from core.calls import CallAbandoned, CallAnswered, CallEnded, CallQueued, CallRefused
from core.shifts import (
    AgentAvailable,
    AgentPaused,
    AgentSignedOff,
    AgentSignedOn,
    AgentUnpaused,
    WrapUpStarted,
)
from core.taxonomy import EntryRemoved, EntrySet
from core.vocabulary import AgentState, call_stream, catalogue_stream, shift_stream
from projections.live import Goal, queues_now
from projections.workload import agent_times

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from core.commit import Event


@pytest.fixture
def figures(tmp_path: Path) -> Iterator[Figures]:
    with figures_at(tmp_path) as world:
        yield world


def ago(seconds: float) -> datetime:
    return NOW - timedelta(seconds=seconds)


def queued(n: int, at: datetime, queue: str = "kris") -> Told:
    return call_stream("lab", f"{n}.1"), CallQueued(queue, f"g_{queue}"), at


def told(n: int, event: Event, at: datetime) -> Told:
    return call_stream("lab", f"{n}.1"), event, at


def shift(agent: str, event: Event, at: datetime) -> Told:
    return shift_stream("lab", agent, at.date().isoformat()), event, at


def group(name: str, queue: str) -> Told:
    fields: dict[str, object] = {"queue": queue, "name": name, "centre": "tnh", "partition": ["TK"]}
    entry = EntrySet("answer_group", f"g_{queue}", fields)
    return catalogue_stream("answer_group", f"g_{queue}"), entry, NOW


def now(figures: Figures, **more: Any) -> dict[str, Any]:
    return queues_now(figures.models, NOW, **more).as_json()


@pytest.mark.requirement("R2")
def test_it_says_who_waits_since_when_and_who_talks(figures: Figures) -> None:
    figures.tell([group("Kristelefon", "kris"), group("Bygga", "bygg")])
    figures.tell([queued(1, ago(90)), queued(2, ago(30)), queued(3, ago(60))])
    figures.tell([told(3, CallAnswered("kris", "A1", 20.0), ago(40))])
    board = now(figures)
    kris, bygg = {g["queue"]: g for g in board["groups"]}["kris"], board["groups"][0]
    assert (
        kris["name"],
        kris["waiting"],
        kris["longest_wait_s"],
        kris["talking"],
    ) == ("Kristelefon", 2, 90, 1)
    assert kris["oldest_entered"] == "2026-11-22T12:58:30+01:00"
    assert (
        bygg["queue"],
        bygg["waiting"],
        bygg["longest_wait_s"],
        bygg["last_hour"]["availability"],
    ) == ("bygg", 0, None, None)
    assert (
        board["total"]["waiting"],
        board["total"]["longest_wait_s"],
        board["total"]["talking"],
    ) == (2, 90, 1)
    assert board["as_of"] == {"centre/0": 2, "calls/0": 4}


def test_the_last_hour_is_held_against_the_limits_that_are_aimed_for(figures: Figures) -> None:
    for n, wait in enumerate((5, 25, 4000)):
        figures.tell([queued(n, ago(wait + 100))])
        figures.tell([told(n, CallAnswered("kris", "A1", float(wait)), ago(100))])
    hour = now(figures)["total"]["last_hour"]
    assert (
        hour["offered"],
        hour["answered_within"],
        hour["service_level"]["of_offered"],
    ) == (2, 1, 0.5)
    assert now(figures, goal=Goal(answer_within_s=30))["total"]["last_hour"]["answered_within"] == 2


def test_the_chart_counts_who_waited_at_the_end_of_each_minute(figures: Figures) -> None:
    figures.tell([queued(1, ago(600)), queued(2, ago(500)), queued(3, ago(10))])
    figures.tell([told(1, CallAbandoned("kris", 200.0), ago(400))])
    refused = CallRefused("kris", "g_kris")
    figures.tell([told(4, refused, ago(300))])
    series = {minute["at"][11:16]: minute for minute in now(figures)["series"]}
    assert len(series) == 60
    assert [
        series[f"{at}"]["waiting"]
        for at in ("12:49", "12:50", "12:51", "12:53", "12:54", "12:55", "12:59", "13:00")
    ] == [0, 1, 2, 1, 1, 1, 2, 2]
    assert (series["12:50"]["offered"], series["12:50"]["abandoned"]) == (1, 1)
    assert series["12:55"]["offered"] == 1


def test_an_entry_whose_end_was_never_told_does_not_wait_for_ever(figures: Figures) -> None:
    figures.tell([queued(1, ago(5 * 3600)), queued(2, ago(60)), queued(2, ago(20), "bygg")])
    board = now(figures)
    assert (
        board["total"]["waiting"],
        board["total"]["longest_wait_s"],
        board["total"]["without_end"],
    ) == (1, 20, 1)


def test_old_figures_say_how_old_they_are(figures: Figures) -> None:
    figures.tell([queued(1, ago(60))])
    assert now(figures)["age_s"] == 0
    assert queues_now(figures.models, NOW + timedelta(seconds=75)).as_json()["age_s"] == 75
    assert now(figures, age_s=3.0)["age_s"] == 3


def test_a_group_that_was_withdrawn_goes_on_under_its_id(figures: Figures) -> None:
    figures.tell([group("Kristelefon", "kris"), queued(1, ago(60))])
    stream = catalogue_stream("answer_group", "g_kris")
    figures.tell([(stream, EntryRemoved("answer_group", "g_kris"), NOW)])
    (kris,) = now(figures)["groups"]
    assert (
        kris["name"],
        kris["queue"],
        kris["known"],
        kris["waiting"],
    ) == ("g_kris", "kris", False, 1)


# --- agents ---------------------------------------------------------------------------------------
def states(figures: Figures) -> dict[str, str]:
    return {agent["agent"]: agent["state"] for agent in now(figures)["agent_list"]}


@pytest.mark.requirement("R4")
def test_each_agent_is_in_one_state(figures: Figures) -> None:
    figures.tell([group("Kristelefon", "kris")])
    for n, name in enumerate(("free", "talks", "paused", "writes", "gone", "member")):
        figures.tell(
            [shift(name, AgentSignedOn(name, ("kris",)), ago(3000))] if name != "member" else []
        )
        figures.tell([queued(n, ago(500)), told(n, CallAnswered("kris", name, 5.0), ago(495))])
        if name != "talks":
            figures.tell([told(n, CallEnded("kris", name, "caller", 5.0, 50.0), ago(445))])
    figures.tell(
        [
            shift("paused", AgentPaused("paused", "rast"), ago(100)),
            shift("writes", WrapUpStarted("writes"), ago(100)),
            shift("gone", AgentSignedOff("gone"), ago(100)),
        ]
    )
    expected = {
        "free": AgentState.AVAILABLE,
        "talks": AgentState.TALKING,
        "paused": AgentState.PAUSED,
        "writes": AgentState.WRAP_UP,
        "gone": AgentState.OFF,
        "member": AgentState.AVAILABLE,
    }
    assert expected == states(figures)
    board = now(figures)
    assert board["agents"] == {
        "available": 2,
        "talking": 1,
        "paused": 1,
        "wrap_up": 1,
        "off": 1,
        "ringing": 0,
    }
    reasons = {agent["agent"]: agent["reason"] for agent in board["agent_list"]}
    assert reasons["paused"] == "rast"
    assert (
        board["groups"][0]["agents"]["available"],
        board["groups"][0]["agents"]["talking"],
    ) == (2, 1)


def test_who_has_not_been_heard_of_for_half_a_day_is_not_at_work(figures: Figures) -> None:
    figures.tell([shift("A1", AgentUnpaused("A1"), ago(13 * 3600))])
    assert states(figures) == {}


def test_wrap_up_and_pause_end_when_the_agent_can_take_calls(figures: Figures) -> None:
    figures.tell(
        [shift("A1", AgentSignedOn("A1"), ago(300)), shift("A1", WrapUpStarted("A1"), ago(200))]
    )
    figures.tell([shift("A1", AgentPaused("A1", "rast"), ago(100))])
    figures.tell([shift("A1", AgentAvailable("A1"), ago(50))])
    assert states(figures) == {"A1": "available"}
    (times,) = agent_times(figures.models, ago(300), NOW)
    assert (
        times.staffed_s,
        times.paused_s,
        times.work_s,
        times.by_reason,
    ) == (300, 50, 100, {"rast": 50})


@pytest.mark.parametrize("backwards", [False, True])
def test_a_shift_over_midnight_is_one_and_a_late_fact_corrects_what_came_after(
    figures: Figures, backwards: bool
) -> None:
    evening = datetime.fromisoformat("2026-11-20T23:00:00+00:00")
    hour = timedelta(hours=1)
    facts = [
        shift("A1", AgentSignedOn("A1", ("kris",)), evening),
        shift("A1", AgentPaused("A1", "lunch", "kris"), evening + 0.5 * hour),
        shift("A1", AgentPaused("A1", "lunch", "bygg"), evening + 0.5 * hour),
        shift("A1", AgentUnpaused("A1", "x", "bygg"), evening + 1.5 * hour),
        shift("A1", AgentUnpaused("A1", "x", "kris"), evening + 2 * hour),
        shift("A1", AgentPaused("A1", "rast"), evening + 26 * hour),
        shift("A1", AgentSignedOff("A1"), evening + 27 * hour),
    ]
    for fact in facts[::-1] if backwards else facts:
        figures.tell([fact])
    (times,) = agent_times(figures.models, evening, evening + 48 * hour)
    assert (times.staffed_s, times.paused_s) == (27 * 3600, 2.5 * 3600)
    assert times.by_reason == {"lunch": 1.5 * 3600, "rast": 3600}
    assert states(figures) == {"A1": "off"}
