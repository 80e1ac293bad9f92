"""Erlang's formulas against values that two other methods gave and simulation checked."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from projections import erlang

ORACLE: dict[str, Any] = json.loads(
    (Path(__file__).parent.parent / "data" / "kpi-oracle.json").read_text(encoding="utf-8")
)
CLOSE = 1e-7


def _ids(case: dict[str, Any]) -> str:
    return str(case["id"])


@pytest.mark.requirement("R2")
@pytest.mark.parametrize("case", ORACLE["erlang"]["erlang_b"], ids=_ids)
def test_erlang_b_gives_the_share_that_is_blocked(case: dict[str, Any]) -> None:
    got = erlang.erlang_b(case["inputs"]["offered_erlang"], case["inputs"]["agents"])
    assert case["expected"]["p_block"] == pytest.approx(got, abs=CLOSE)


@pytest.mark.requirement("R2")
@pytest.mark.parametrize("case", ORACLE["erlang"]["erlang_c"], ids=_ids)
def test_erlang_c_gives_the_wait_or_no_value_at_full_load(case: dict[str, Any]) -> None:
    given = case["inputs"]
    got = asdict(
        erlang.erlang_c(
            given["calls"], given["period_s"], given["aht_s"], given["agents"], given["T_s"]
        )
    )
    for name, value in case["expected"].items():
        assert (value, name) == (pytest.approx(got[name], abs=CLOSE) if value else got[name], name)


@pytest.mark.requirement("R2")
@pytest.mark.parametrize("case", ORACLE["erlang"]["erlang_a"], ids=_ids)
def test_erlang_a_lets_callers_give_up(case: dict[str, Any]) -> None:
    given = case["inputs"]
    got = asdict(
        erlang.erlang_a(
            given["calls"],
            given["period_s"],
            given["aht_s"],
            given["agents"],
            given["patience_s"],
            given["T_s"],
        )
    )
    got["served_within_T_of_offered"] = got["served_within"]
    for name, value in case["expected"].items():
        assert (name, pytest.approx(got[name], abs=CLOSE)) == (name, value)


@pytest.mark.requirement("R4")
@pytest.mark.parametrize("case", ORACLE["erlang"]["staffing"], ids=_ids)
def test_staffing_is_the_smallest_that_reaches_the_target(case: dict[str, Any]) -> None:
    given = case["inputs"]
    got = erlang.staffing(
        given["calls"],
        given["period_s"],
        given["aht_s"],
        given["target_service_level"],
        given["T_s"],
        given["max_occupancy"],
        given["shrinkage"],
    )
    assert got is not None
    for name, value in case["expected"].items():
        assert (name, pytest.approx(asdict(got)[name], abs=CLOSE)) == (name, value)


@pytest.mark.requirement("R2")
def test_in_overload_the_fluid_view_and_erlang_a_agree() -> None:
    case = ORACLE["overload"][0]
    given, expected = case["inputs"], case["expected"]
    load = (given["calls"], given["period_s"], given["aht_s"], given["agents"])
    fluid = erlang.overload(*load, given["patience_s"])
    chain = erlang.erlang_a(*load, given["patience_s"], 20)
    assert expected == {
        "offered_erlang": pytest.approx(fluid.offered_erlang),
        "p_abandon_fluid": pytest.approx(fluid.p_abandon),
        "mean_queue_fluid": pytest.approx(fluid.mean_queue),
        "mean_wait_all_fluid_s": pytest.approx(fluid.mean_wait_all_s),
        "p_abandon_erlang_a": pytest.approx(chain.p_abandon, abs=1e-6),
        "mean_queue_erlang_a": pytest.approx(chain.mean_queue, abs=1e-5),
        "mean_wait_all_erlang_a_s": pytest.approx(chain.mean_wait_all_s, abs=1e-4),
    }


@pytest.mark.requirement("R2")
def test_redialling_makes_raw_counts_overstate_people() -> None:
    case = ORACLE["overload"][1]
    given, expected = case["inputs"], case["expected"]
    got = erlang.redial(
        given["first_attempts_per_s"],
        given["served_per_s"],
        given["redial_probability"],
        given["patience_s"],
    )
    assert expected == {
        "raw_calls_per_s": pytest.approx(got.raw_calls_per_s),
        "raw_calls_per_30_min": pytest.approx(got.raw_calls_per_s * 1800),
        "p_abandon_of_raw_calls": pytest.approx(got.p_abandon_of_raw_calls),
        "mean_queue": pytest.approx(got.mean_queue),
        "unique_callers_per_30_min": pytest.approx(given["first_attempts_per_s"] * 1800),
        "raw_calls_per_unique_caller": pytest.approx(got.raw_calls_per_unique_caller),
        "share_of_callers_answered_in_the_end": pytest.approx(got.share_answered_in_the_end),
    }


def test_no_staff_at_all_gives_no_value_for_occupancy() -> None:
    assert erlang.erlang_c(10, 1800, 180, 0, 20).occupancy is None


def test_a_target_that_cannot_be_reached_has_no_staffing() -> None:
    assert erlang.staffing(1, 3600, 180, 1.1, 20) is None
