"""Key figures that are pure arithmetic, against the worked examples."""

from __future__ import annotations

import json
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from projections import indices
from projections.indices import ClosedCase, Incomparable, Measurement
from projections.kpi import OUTCOMES, Counts, value

ROOT = Path(__file__).parent.parent.parent
ORACLE: dict[str, Any] = json.loads(
    (ROOT / "tests" / "data" / "kpi-oracle.json").read_text(encoding="utf-8")
)
EWT = {case["id"]: case for case in ORACLE["ewt"]}
LIKE: dict[str, Any] = {
    "definition": "availability_raw",
    "hours": "office",
    "answer_within_s": 20,
    "short_abandon_s": 5,
}


@pytest.mark.requirement("R38")
def test_what_was_offered_is_the_sum_of_its_outcomes() -> None:
    case = ORACLE["offered_identity"]
    same = {"timeout": "timed_out", "full": "refused", "lost": "other"}
    outcomes = {same.get(name, name): n for name, n in case["inputs"].items()}
    counts = Counts(offered=sum(outcomes.values()), **outcomes)
    assert set(OUTCOMES) == set(outcomes)
    assert case["expected"] == {
        "offered": counts.offered,
        "availability_raw": value("availability_raw", counts),
        "abandonment_raw": value("abandonment_raw", counts),
    }


def test_counts_of_two_parts_add_up() -> None:
    one = Counts(offered=2, answered=2, wait_s_max=4, wait_s_answered_sum=5)
    other = Counts(offered=1, abandoned=1, wait_s_max=9)
    assert Counts(offered=3, answered=2, abandoned=1, wait_s_max=9, wait_s_answered_sum=5) == (
        one + other
    )


@pytest.mark.requirement("R2")
def test_expected_waits_come_out_by_each_method() -> None:
    given = {name: case["inputs"] for name, case in EWT.items()}
    expected = {name: case["expected"] for name, case in EWT.items()}
    assert expected["ewma_asterisk"] == {
        "series_s": indices.ewma_waits(given["ewma_asterisk"]["waits_s"]),
        "ewt_s": indices.ewma_waits(given["ewma_asterisk"]["waits_s"])[-1],
    }
    assert expected["mean_of_last_two"] == {
        "ewt_s": indices.mean_of_last_two(**given["mean_of_last_two"])
    }
    average, wait = indices.smoothed_times_position(**given["smoothed_interval_times_position"])
    assert expected["smoothed_interval_times_position"] == {"average_s": average, "ewt_s": wait}
    assert expected["position_times_aht"] == {
        "ewt_s": indices.position_times_aht(**given["position_times_aht"])
    }
    little = indices.little(**given["little"])
    assert little is not None
    assert expected["little"] == {"ewt_s": little, "ewt_min": little / 60}
    now, head = (
        datetime.fromisoformat(f"2026-03-10T{given['head_of_line'][name]}+01:00")
        for name in ("now", "head_entered")
    )
    assert expected["head_of_line"] == {"ewt_s": indices.head_of_line(now, head)}
    assert expected["last_to_enter_service"] == {
        "ewt_s": indices.last_to_enter_service(**given["last_to_enter_service"])
    }
    assert expected["no_agents"] == {"ewt_s": indices.position_times_aht(**given["no_agents"])}
    band = indices.position_band(**given["position_band_80"])
    assert band is not None
    assert list(expected["position_band_80"].values()) == pytest.approx(list(band), abs=1e-5)


def test_without_agents_or_calls_there_is_no_expected_wait() -> None:
    assert indices.position_band(4, 240, 0) is None
    assert indices.little(3, 0) is None
    assert indices.head_of_line(datetime.fromisoformat("2026-03-10T09:00:00+01:00"), None) is None


@pytest.mark.requirement("R39")
def test_the_satisfaction_index_is_the_mean_of_three_answers() -> None:
    case = ORACLE["nki"]
    answers = list(case["inputs"]["answers"].values())
    assert case["expected"]["parts"] == pytest.approx(indices.nki_parts(answers))
    assert case["expected"]["nki"] == pytest.approx(indices.nki(answers, case["inputs"]["weights"]))
    assert indices.nki([]) is None


@pytest.mark.requirement("R39")
def test_the_service_survey_is_the_mean_of_all_answers() -> None:
    case = ORACLE["servicematning"]
    counts = {int(name[-1]): n for name, n in case["inputs"].items()}
    assert case["expected"] == {
        "answers": sum(counts.values()),
        "index": indices.service_survey(counts),
    }
    assert indices.service_survey({}) is None


@pytest.mark.requirement("R37")
def test_a_baseline_is_compared_with_its_confidence_interval() -> None:
    case = ORACLE["baseline"]
    before, after = (
        Measurement(case["inputs"][when]["answered"], case["inputs"][when]["offered"], **LIKE)
        for when in ("before", "after")
    )
    got = asdict(indices.compare(before, after))
    assert case["expected"] == {name: pytest.approx(got[name]) for name in case["expected"]}


@pytest.mark.requirement("R37")
@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"definition": "sl_1"}, "definition differs"),
        ({"hours": "always"}, "opening hours differ"),
        ({"answer_within_s": 30}, "T_s differs"),
        ({"short_abandon_s": 10}, "S_s differs"),
        ({"offered": None}, "sample size unknown"),
        ({"offered": 0}, "sample size unknown"),
    ],
)
def test_unlike_figures_are_not_compared(change: dict[str, Any], reason: str) -> None:
    assert reason in ORACLE["baseline"]["refuse"]
    before = Measurement(160, 400, **LIKE)
    after = Measurement(**{**asdict(before), **change})
    with pytest.raises(Incomparable) as caught:
        indices.compare(before, after)
    assert (reason,) == caught.value.details["reasons"]


def cases_of_the_example() -> list[ClosedCase]:
    return [
        ClosedCase(
            datetime.fromisoformat(case["closed"]),
            case["closed_at_first_contact"],
            tuple(
                datetime.fromisoformat(contact["at"])
                for contact in case["later_contacts"]
                if contact["case_type"] == "same"
            ),
        )
        for case in ORACLE["fcr"]["inputs"]["cases"]
    ]


@pytest.mark.requirement("R7")
def test_first_contact_resolution_leaves_open_windows_apart() -> None:
    case = ORACLE["fcr"]
    now = datetime.fromisoformat(case["inputs"]["report_time"])
    got = indices.first_contact(cases_of_the_example(), now, case["inputs"]["N_days"])
    assert case["expected"] == {
        "first_contact_resolved": got.resolved,
        "window_over": got.window_over,
        "window_open": got.window_open,
        "fcr": got.value,
    }


@pytest.mark.requirement("R7")
def test_before_any_window_is_over_there_is_no_first_contact_resolution() -> None:
    now = datetime.fromisoformat("2026-03-02T12:00:01+01:00")
    got = indices.first_contact(cases_of_the_example(), now)
    assert (got.window_open, got.value) == (7, None)


@pytest.mark.requirement("R39")
def test_the_complaint_level_is_for_a_thousand_contacts() -> None:
    case = ORACLE["complaint_level"]
    assert case["expected"]["complaint_level"] == indices.complaint_level(**case["inputs"])
    assert indices.complaint_level(3, 0) is None


@pytest.mark.requirement("R60")
def test_the_seed_volumes_come_out() -> None:
    case = ORACLE["seed_volumes"]
    given = case["inputs"]
    got = indices.passed_on(given["calls_per_year"], given["passed_on"], given["working_days"])
    assert case["expected"] == asdict(got)


@pytest.mark.requirement("R38")
def test_the_page_of_key_figures_is_up_to_date() -> None:
    page = ROOT / "docs" / "reference" / "kpi.md"
    assert indices.catalogue_page() == page.read_text(encoding="utf-8")
