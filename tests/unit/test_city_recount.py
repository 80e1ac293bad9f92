"""The recount of a city's day by itself: it counts what is there, and notices what is not."""

from __future__ import annotations

import ast
import json
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from city_recount import recount

T0 = datetime(2026, 11, 23, 8, 0, tzinfo=UTC)
CASE, CALL = "case/TK/k1", "call/tnh/1.1"


def line(n: int, kind: str, stream: str = CASE, minutes: int = 0, **data: Any) -> str:
    at = (T0 + timedelta(minutes=minutes)).isoformat()
    event = {"type": kind, "stream": stream, "occurred_at": at, "data": data}
    return json.dumps({"id": f"id {n}", "seq": n, "events": [event]})


DAY = [
    line(1, "call.queued", CALL, queue="avfall", group="tnh_avfall", caller_ref="ref"),
    line(2, "call.answered", CALL, 1, queue="avfall", agent="anna", wait_s=60.0),
    line(3, "call.ended", CALL, 3, queue="avfall", agent="anna", talk_s=120.0),
    line(4, "case.registered", minutes=1, agent="anna", channel="phone", contact=CALL,
         caller_ref="ref", group="tnh_avfall"),
    line(5, "case.categorised", minutes=1, agent="anna", case_type="TK-AVF-02", type_version=1),
    line(6, "case.handed_over", minutes=2, handover="h", receiver="TK", agent="anna",
         receipt_due_at=(T0 + timedelta(minutes=5)).isoformat()),
    line(7, "case.handover_silent", minutes=5, handover="h"),
    line(8, "case.handover_receipt_noted", minutes=9, handover="h", receipt="accepted"),
    line(9, "case.closed", minutes=20, agent="olle", outcome="solved", first_contact=False),
]  # fmt: skip


def test_it_counts_a_call_and_its_case() -> None:
    city = recount(DAY)
    queue = city.queues()["tnh_avfall"]
    assert (queue["offered"], queue["answered"], queue["answered_within"]) == (1, 1, 0)
    assert (queue["talk_s_sum"], queue["unique_callers"]) == (120.0, 1)
    assert city.counted("case_type") == {"TK-AVF-02": (1, 1, 0, 0)}
    assert city.of_case_types() == {"TK-AVF-02": (1, 1)}
    volume = city.volumes("authority")["TK"]
    assert (volume["passed_on"], volume["outcome solved"], volume["contacts"]) == (1, 1, 1)
    (handover,) = city.cases[CASE].handovers.values()
    assert (handover.alarms, handover.is_silent) == (1, False)


def test_a_line_that_is_lost_or_doubled_shows() -> None:
    whole = recount(DAY)
    for n, kept in enumerate(DAY):
        doubled = recount([*DAY, kept])
        assert doubled.types != whole.types
        assert max(doubled.ids.values()) == 2
        rest = DAY[:n] + DAY[n + 1 :]
        if "case.handed_over" in kept:
            with pytest.raises(KeyError):  # what came back was never sent
                recount(rest)
        else:
            assert recount(rest).types != whole.types


def test_a_case_that_was_reopened_is_open_and_keeps_its_first_ending() -> None:
    again = line(10, "case.reopened", minutes=30, agent="olle")
    (case,) = recount([*DAY, again]).cases.values()
    assert (case.is_open, case.outcome, case.reopened) == (True, "solved", 1)


def test_who_comes_back_within_a_week_was_not_helped_at_once() -> None:
    solved = [*DAY[:5], line(9, "case.closed", minutes=2, outcome="solved", first_contact=True)]
    later = T0 + timedelta(days=30)
    back = line(11, "case.contact_added", minutes=60, caller_ref="ref")
    assert recount(solved).first_contact(later) == (1, 1, 0)
    assert recount([*solved, back]).first_contact(later) == (0, 1, 0)
    assert recount(solved).first_contact(T0) == (0, 0, 1)


def test_it_knows_nothing_of_ours() -> None:
    tree = ast.parse((Path(__file__).parents[1] / "city_recount.py").read_text(encoding="utf-8"))
    imported = {
        name.name.partition(".")[0]
        for node in ast.walk(tree)
        if isinstance(node, ast.Import)
        for name in node.names
    } | {
        (node.module or "").partition(".")[0]
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom)
    }
    assert imported <= set(sys.stdlib_module_names)
