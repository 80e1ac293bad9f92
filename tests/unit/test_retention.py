"""Retention rules propose; nothing is done."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from given import city

from core.directory import Directory
from core.entries import EntrySet
from core.retention import Kept, RetentionAct, RetentionRule, months_after, proposals, rules
from core.sections import faults_of_entry

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
CLOSED = datetime(2024, 11, 22, 12, 0, tzinfo=UTC)


def rule(months: int = 24, what: str = "erase", types: frozenset[str] = frozenset()) -> Any:
    return RetentionRule(f"r{months}", "TK", types, months, RetentionAct(what), "Plan 4.2")


def kept(**more: Any) -> Kept:
    case: dict[str, Any] = {
        "stream": "case/TK/a", "authority": "TK", "id": "a", "number": "TK-A", "case_type": "tk_x",
        "closed_at": CLOSED, "written_at": CLOSED - timedelta(days=1), "registry": "registered",
        **more,
    }  # fmt: skip
    return Kept(**case)


def due(case: Kept, *by: RetentionRule) -> list[str | None]:
    return [found.lacks for found in proposals([case], list(by), NOW)]


@pytest.mark.requirement("R55")
def test_a_case_is_due_when_its_time_is_out_and_not_before() -> None:
    assert due(kept(), rule(24)) == [None]
    assert due(kept(), rule(25)) == []
    assert due(kept()) == []


@pytest.mark.parametrize(
    ("at", "months", "after"),
    [
        ("2024-01-31T12:00:00+00:00", 1, "2024-02-29T12:00:00+00:00"),
        ("2024-12-31T23:30:00+00:00", 2, "2025-02-28T23:30:00+00:00"),
        ("2026-03-28T12:00:00+00:00", 1, "2026-04-28T11:00:00+00:00"),  # summer time began
        ("2026-11-22T12:00:00+00:00", 120, "2036-11-22T12:00:00+00:00"),
    ],
)
def test_months_are_counted_by_the_citys_clock(at: str, months: int, after: str) -> None:
    assert months_after(datetime.fromisoformat(at), months).isoformat() == after


def test_the_longest_of_several_rules_counts() -> None:
    assert due(kept(), rule(12), rule(36)) == []
    (found,) = proposals([kept()], [rule(12), rule(24)], NOW)
    assert found.rule.id == "r24"


def test_what_was_erased_is_due_again_only_for_what_was_written_since() -> None:
    assert due(kept(erased_at=NOW), rule()) == []
    assert due(kept(erased_at=CLOSED, written_at=NOW), rule()) == [None]


def test_what_has_to_be_done_before_is_said() -> None:
    archive = rule(what="archive_then_erase")
    assert due(kept(registry=None), rule()) == [None], "erasing is a decision of its own (R55)"
    (found,) = proposals([kept(registry=None)], [rule()], NOW, frozenset({"tk_x"}))
    assert found.lacks == "registry"
    assert due(kept(), archive) == ["archive"]
    assert due(kept(exported_at=CLOSED - timedelta(days=2)), archive) == ["archive"]
    assert due(kept(exported_at=NOW), archive) == [None]


def test_a_rule_is_about_its_types_or_its_area_or_all_of_its_authority() -> None:
    types = {c: row for c, row in city().rows("case_type").items() if row["authority"] == "TK"}
    code, row = next(iter(types.items()))
    rows: list[dict[str, Any]] = [
        {"id": "one", "case_types": [code]},
        {"id": "area", "area": row["area"]},
        {"id": "all"},
        {"id": "nothing", "area": "no_such_area"},
        {"id": "other", "authority": "MF"},
    ]
    common = {"authority": "TK", "months": 12, "rule": "Plan"}
    sets = [EntrySet("retention_rule", str(r["id"]), {**common, **r}) for r in rows]
    found = {each.id: each for each in rules(Directory.of(sets, city()), "TK")}
    about = {name: each.is_about("TK", code) for name, each in found.items()}
    assert about == {"one": True, "area": True, "all": True, "nothing": False}
    assert found["one"].is_about("TK", None) is False
    assert found["all"].is_about("TK", None)
    assert not found["all"].is_about("MF", code)


@pytest.mark.parametrize(
    "wrong",
    [{"months": 0}, {"months": True}, {"months": 1_201}, {"what": "burn"}, {"rule": ""}, {}],
)
def test_a_rule_that_is_not_whole_is_refused_by_the_catalogue(wrong: dict[str, Any]) -> None:
    whole = {"id": "r", "authority": "TK", "months": 12, "rule": "Plan 4.2", "what": "erase"}
    assert not list(faults_of_entry("retention_rule", "r", whole))
    lacking = {**whole, **wrong} if wrong else {"id": "r"}
    assert list(faults_of_entry("retention_rule", "r", lacking))
