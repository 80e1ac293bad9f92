"""Cases in the read models: counted, found, tied to their calls, with nothing personal."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from figures_world import NOW, Figures, Told, figures_at

from core.calls import CallAnswered, CallQueued
from core.cases import CaseCategorised, CaseClosed, CaseContactAdded, CaseRegistered
from core.errors import Invalid
from core.personal import Personal
from core.taxonomy import EntryRemoved, EntrySet
from core.vocabulary import call_stream, case_stream, catalogue_stream
from projections.case_queries import (
    CasePeriod,
    case_counts,
    first_contact_of,
    search_types,
)
from projections.key_figures import key_figures
from projections.statistics import StatisticsQuery, statistics

if TYPE_CHECKING:
    from collections.abc import Iterator

ORACLE: dict[str, Any] = json.loads(
    (Path(__file__).parent.parent / "data" / "kpi-oracle.json").read_text(encoding="utf-8")
)
CALL = call_stream("lab", "1.1")
MINUTE = timedelta(minutes=1)


@pytest.fixture
def figures(tmp_path: Path) -> Iterator[Figures]:
    with figures_at(tmp_path) as world:
        yield world


def registered(
    number: str,
    authority: str = "TK",
    case_type: str = "TK-AVF-01",
    at: datetime = NOW,
    caller: str | None = None,
    contact: str | None = None,
    *,
    complaint: bool = False,
) -> list[Told]:
    stream = case_stream(authority, number)
    title = Personal("en hemlig rubrik", f"case/{number}")
    event = CaseRegistered(
        number, authority, "anna", "phone", contact, title, title, caller_ref=caller
    )
    return [
        (stream, event, at),
        (stream, CaseCategorised(case_type, "anna", complaint), at + timedelta(seconds=1)),
    ]


def closed(number: str, at: datetime, *, first: bool, authority: str = "TK") -> Told:
    return case_stream(authority, number), CaseClosed("solved", "anna", first), at


def case_type(code: str, name: str) -> Told:
    fields: dict[str, object] = {"name": name, "english": "Waste", "authority": "TK"}
    return catalogue_stream("case_type", code), EntrySet("case_type", code, fields), NOW


@pytest.mark.requirement("R9")
def test_cases_are_counted_by_type_owner_and_outcome(figures: Figures) -> None:
    figures.tell(registered("K-1") + registered("K-2", complaint=True))
    figures.tell(registered("K-3", "MF", "MF-LIV-01"))
    figures.tell([closed("K-1", NOW + timedelta(minutes=5), first=True)])
    _, types = case_counts(figures.models, CasePeriod())
    assert [
        (c.about, c.registered, c.closed, c.complaints, c.closed_at_first_contact) for c in types
    ] == [("MF-LIV-01", 1, 0, 0, 0), ("TK-AVF-01", 2, 1, 1, 1)]
    _, outcomes = case_counts(figures.models, CasePeriod(), "outcome")
    assert [(c.about, c.registered) for c in outcomes] == [(None, 2), ("solved", 1)]
    with pytest.raises(Invalid):
        case_counts(figures.models, CasePeriod(), "agent")


@pytest.mark.requirement("R40")
def test_an_owner_gets_its_own_figures_alone(figures: Figures) -> None:
    figures.tell(registered("K-1") + registered("K-2", "MF", "MF-LIV-01"))
    as_of, own = case_counts(figures.models, CasePeriod(authority="MF"), "authority")
    assert [(c.about, c.registered) for c in own] == [("MF", 1)]
    assert as_of == {"cases.MF/0": 2, "cases.TK/0": 2}


@pytest.mark.requirement("R39")
def test_the_complaint_level_of_no_contacts_is_no_value(figures: Figures) -> None:
    def level() -> tuple[float | None, str]:
        found = {f.id: f for f in key_figures(figures.models, NOW - hour, NOW + hour, NOW)}
        return found["complaint_level"].value, found["complaint_level"].formula

    hour = timedelta(hours=1)
    assert level() == (None, "complaints / contacts * 1000")
    figures.tell([(CALL, CallQueued("kris", "g"), NOW), (CALL, CallAnswered("kris", "A1"), NOW)])
    for n in range(4):
        contact = CALL if n == 0 else None
        figures.tell(registered(f"K-{n}", contact=contact, complaint=n == 0))
    assert level()[0] == 250  # one of a call and three that came in writing
    everything = key_figures(figures.models, NOW - hour, NOW + hour, NOW)
    assert all(figure.formula and figure.as_json()["name_sv"] for figure in everything)
    assert {"fcr", "occupancy_clipped", "aht_s", "sl_5"} <= {figure.id for figure in everything}


@pytest.mark.requirement("R7")
@pytest.mark.parametrize("backwards", [False, True])
def test_first_contact_resolution_of_the_example_comes_out_of_real_cases(
    figures: Figures, backwards: bool
) -> None:
    example = ORACLE["fcr"]
    told: list[Told] = []
    for case in example["inputs"]["cases"]:
        number, when = case["case"], datetime.fromisoformat(case["closed"])
        told += registered(number, at=when - timedelta(minutes=5), caller=case["caller"])
        told.append(closed(number, when, first=case["closed_at_first_contact"]))
        for n, contact in enumerate(case["later_contacts"]):
            same = contact["case_type"] == "same"
            later = datetime.fromisoformat(contact["at"])
            kind = "TK-AVF-01" if same else "TK-TRA-01"
            told += registered(f"{number}-{n}", "TK", kind, later, case["caller"])
    figures.tell(told[::-1] if backwards else told)
    now = datetime.fromisoformat(example["inputs"]["report_time"])
    got = first_contact_of(figures.models, CasePeriod(), now)
    assert example["expected"] == {
        "first_contact_resolved": got.resolved,
        "window_over": got.window_over,
        "window_open": got.window_open,
        "fcr": got.value,
    }


@pytest.mark.requirement("R7")
@pytest.mark.parametrize(("caller", "resolved"), [("a", 0), ("b", 1), (None, 1)])
def test_the_same_caller_about_the_same_case_again_is_a_return(
    figures: Figures, caller: str | None, resolved: int
) -> None:
    figures.tell([*registered("K-1", caller="a"), closed("K-1", NOW + MINUTE, first=True)])
    again = CaseContactAdded("bo", "phone", caller_ref=caller)
    figures.tell([(case_stream("TK", "K-1"), again, NOW + timedelta(days=2))])
    got = first_contact_of(figures.models, CasePeriod(), NOW + timedelta(days=30))
    assert (got.resolved, got.window_over) == (resolved, 1)


def test_statistics_by_case_type_count_the_calls_that_cases_came_from(figures: Figures) -> None:
    figures.tell(
        [
            (CALL, CallQueued("avfall", "tnh_avfall"), NOW),
            (CALL, CallAnswered("avfall", "A1", 3.0), NOW + timedelta(seconds=3)),
            (call_stream("lab", "2.1"), CallQueued("avfall", "tnh_avfall"), NOW),
        ]
    )
    figures.tell(registered("K-1", contact=CALL))
    answer = statistics(figures.models, StatisticsQuery(by="case_type")).as_json()
    assert [(row["case_type"], row["offered"], row["answered"]) for row in answer["total"]] == [
        (None, 1, 0),
        ("TK-AVF-01", 1, 1),
    ]


def test_a_case_type_is_found_by_a_word_of_its_name_however_accented(figures: Figures) -> None:
    figures.tell([case_type("TK-AVF-01", "Fråga om avfall och hämtning")])
    assert [t["code"] for t in search_types(figures.models, "hamtning")] == ["TK-AVF-01"]
    assert search_types(figures.models, "") == []
    figures.tell([case_type("TK-AVF-01", "Sopor")])
    assert search_types(figures.models, "hämtning") == []
    assert [t["name"] for t in search_types(figures.models, "sopor")] == ["Sopor"]
    removed = EntryRemoved("case_type", "TK-AVF-01")
    figures.tell([(catalogue_stream("case_type", "TK-AVF-01"), removed, NOW)])
    assert search_types(figures.models, "sopor") == []


def test_an_odd_search_is_a_search_and_no_error(figures: Figures) -> None:
    for text in ('"', "a OR b", "NEAR(", "' ; --", "***"):
        search_types(figures.models, text)


@pytest.mark.requirement("R11")
def test_nothing_that_a_person_wrote_is_in_the_files_but_the_text_index(figures: Figures) -> None:
    figures.tell(registered("K-1"))
    figures.runner.close()
    for path in figures.folder.iterdir():
        assert (b"hemlig" in path.read_bytes()) == path.name.startswith("case_search")
