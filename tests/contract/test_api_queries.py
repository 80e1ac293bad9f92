"""What the API answers about queues and statistics, with its position and age."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest
from web_house import NOON, WebHouse, fact, in_house

from webdesk.services import Target
from webdesk.situation import position_text, table_of
from webdesk.stream import parse_last_id

S = timedelta(seconds=1)


@pytest.mark.requirement("R2")
@in_house()
async def test_a_waiting_call_is_seen_with_its_wait_and_position(house: WebHouse) -> None:
    await house.results(fact("queued", NOON - 30 * S, data={"caller": "0700000001"}))
    await house.caught_up()
    answer = await house.client.get("/api/v1/queues")
    now = answer.json()
    (group,) = [g for g in now["groups"] if g["busy"]]
    assert (group["name"], group["waiting"], group["longest_wait_s"]) == ("Avfall", 1, 30)
    assert (now["total"]["waiting"], now["total"]["longest_group"]) == (1, "Avfall")
    assert now["as_of"]["calls/0"] == 1
    assert now["age_s"] < 1
    assert answer.headers["cache-control"] == "no-store"
    assert "0700000001" not in answer.text


@in_house()
async def test_figures_grow_old_when_the_read_models_stand_still(house: WebHouse) -> None:
    assert (await house.client.get("/api/v1/queues")).json()["age_s"] < 1
    await house.results(fact("queued"))
    await house.node.settle()
    await asyncio.sleep(0.3)
    first = (await house.client.get("/api/v1/queues")).json()
    await asyncio.sleep(0.3)
    second = (await house.client.get("/api/v1/queues")).json()
    assert second["age_s"] >= first["age_s"] + 0.25
    ready = (await house.client.get("/readyz")).json()
    assert ready["lag"] == 1
    await house.caught_up()
    await asyncio.sleep(0.06)
    assert (await house.client.get("/api/v1/queues")).json()["age_s"] < 0.2


@in_house()
async def test_a_long_wait_is_an_alarm_and_a_missed_target_is_watched(house: WebHouse) -> None:
    answered = [
        f
        for n in range(10)
        for f in (
            fact("queued", NOON - 600 * S, uniqueid=f"1.{n}"),
            fact(
                "answered", NOON - 500 * S, uniqueid=f"1.{n}", member="Anna",
                data={"wait_s": 10 if n < 7 else 90},
            ),
        )
    ]  # fmt: skip
    waits = [fact("queued", NOON - 121 * S, uniqueid="2.1", queue="kris")]
    few = [fact("queued", NOON - 5 * S, uniqueid="3.1", queue="bygg")]
    await house.results(*answered, *waits, *few)
    await house.caught_up()
    now = (await house.client.get("/api/v1/queues")).json()
    seen = {g["queue"]: (g["status"], g["reason"]) for g in now["groups"] if g["busy"]}
    assert seen == {
        "avfall": ("watch", "below"),
        "kris": ("alarm", "long_wait"),
        "bygg": ("quiet", "few_calls"),
    }
    assert now["total"]["longest_status"] == "alarm"


@pytest.mark.requirement("R38")
@in_house()
async def test_statistics_are_those_of_the_command_line_with_position_and_age(
    house: WebHouse,
) -> None:
    await house.results(fact("queued"), fact("abandoned", NOON + 3 * S, data={"wait_s": 3}))
    await house.caught_up()
    asked = {
        "from": "2026-11-22T13:00:00+01:00",
        "to": "2026-11-22T14:00:00+01:00",
        "interval": "3600",
        "by": "answer_group",
        "answer_within": "20",
        "short_abandon": "5",
    }
    answer = (await house.client.get("/api/v1/statistics", params=asked)).json()
    (row,) = answer["rows"]
    assert (row["answer_group"], row["offered"], row["short_abandoned"]) == ("tnh_avfall", 1, 1)
    assert answer["as_of"]["calls/0"] == 2
    assert answer["age_s"] >= 0


@in_house()
async def test_a_plus_in_a_query_string_may_stay_a_plus(house: WebHouse) -> None:
    path = "/api/v1/statistics?from=2026-11-22T13:00:00+01:00&to=2026-11-22T14:00:00%2B01:00"
    assert (await house.client.get(path)).status_code == 200


@in_house()
async def test_a_bad_question_is_told_which_parameter_is_wrong(house: WebHouse) -> None:
    for query, field in (
        ("interval=7", "interval"),
        ("interval=0", "interval"),
        ("interval=-900", "interval"),
        ("interval=9e9", "interval"),
        ("interval=" + "9" * 5000, "interval"),
        ("interval=%C2%B2", "interval"),
        ("by=colour", "by"),
        ("from=yesterday", "from"),
        ("from=2026-11-22T04:00:00", "from"),
        ("from=9999-12-31T23:59:59Z&to=2026-01-01T00:00:00Z", "to"),
        ("answer_within=-1", "answer_within"),
        ("answer_within=nan", "answer_within"),
        ("answer_within=inf", "answer_within"),
        ("short_abandon=x", "short_abandon"),
        ("personnummer=1", "personnummer"),
    ):
        answer = await house.client.get(f"/api/v1/statistics?{query}")
        assert answer.status_code == 422, (query, answer.text)
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.json()["field"] == field


@in_house()
async def test_times_at_the_edge_of_the_calendar_are_no_fault_of_ours(house: WebHouse) -> None:
    for query in (
        "from=0001-01-01T00:00:00%2B14:00",
        "to=9999-12-31T23:59:59-14:00",
        "from=0001-01-01T00:00:00Z&to=9999-12-31T23:59:59Z",
        "from=-0001",
    ):
        answer = await house.client.get(f"/api/v1/statistics?{query}")
        assert answer.status_code in {200, 422}, (query, answer.text)


@in_house()
async def test_no_answer_names_an_agent_or_a_caller(house: WebHouse) -> None:
    await house.results(
        fact("queued", data={"caller": "0700000001"}),
        fact("answered", member="Anna Exempel"),
    )
    await house.caught_up()
    for path in ("/", "/api/v1/queues", "/metrics", "/readyz"):
        text = (await house.client.get(path)).text
        assert "Anna" not in text
        assert "0700000001" not in text


def test_a_position_is_read_back_as_it_was_written() -> None:
    positions = {"calls/0": 812, "cases.TK/0": 3, "centre/0": 790}
    assert position_text(positions) == "calls.0:812,cases.TK.0:3,centre.0:790"
    assert parse_last_id(position_text(positions)) == positions


def test_a_strange_last_event_id_counts_as_none() -> None:
    for text in (
        None,
        "",
        "x",
        "calls.0:",
        "calls:1",
        "calls.0:-1",
        "calls.0:1,",
        "9" * 9999,
        "a.b:1",
    ):
        assert parse_last_id(text) == {}


def test_the_table_beside_the_chart_has_the_most_waiting_and_the_sums() -> None:
    series = [
        {"at": f"t{n}", "waiting": n, "offered": 1, "answered": 2, "abandoned": 3} for n in range(7)
    ]
    assert table_of(series) == [
        {"at": "t5", "waiting": 6, "offered": 2, "answered": 4, "abandoned": 6},
        {"at": "t0", "waiting": 4, "offered": 5, "answered": 10, "abandoned": 15},
    ]


def test_the_target_has_an_alarm_below_its_goal() -> None:
    target = Target()
    assert target.share_alarm < target.share
