"""A caller's history: only what the asker's rooms hold, and of calls no more than their times."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from case_world import of_case, opened, seeing
from figures_world import NOW, Figures, Told, figures_at

from core.calls import CallAbandoned, CallQueued
from core.cases import CaseContactAdded, CaseProtected
from core.entries import EntrySet
from core.vocabulary import call_stream, catalogue_stream
from projections.case_history_queries import history_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

REF, OTHER = "a" * 32, "b" * 32


@pytest.fixture
def figures(tmp_path: Path) -> Iterator[Figures]:
    with figures_at(tmp_path) as world:
        world.tell(
            [
                group("waste", "TK"),
                group("food", "MF"),
                group("project", "TK", "SBK"),
                group("crisis"),
            ]
        )
        yield world


def group(name: str, *partition: str) -> Told:
    fields: dict[str, object] = {"name": name.title(), "queue": name, "partition": [*partition]}
    return catalogue_stream("answer_group", name), EntrySet("answer_group", name, fields), NOW


def called(n: int, where: str, ref: str | None = REF) -> list[Told]:
    stream, at = call_stream("lab", f"{n}.1"), NOW + timedelta(minutes=n)
    return [
        (stream, CallQueued(where, where, caller_ref=ref), at),
        (stream, CallAbandoned(where, 30.0), at + timedelta(seconds=30)),
    ]


@pytest.mark.requirement("R53")
def test_cases_and_calls_of_ones_rooms_are_told_the_latest_first(figures: Figures) -> None:
    figures.tell(opened("1", caller_ref=REF) + opened("2", caller_ref=OTHER))
    figures.tell(opened("3", at=NOW + timedelta(days=1)))
    figures.tell(of_case("3", CaseContactAdded("bo", "phone", caller_ref=REF)))
    figures.tell(opened("4", authority="MF", caller_ref=REF))
    figures.tell(called(1, "waste") + called(2, "food") + called(3, "waste", OTHER))
    told = history_of(figures.models, seeing("TK"), [REF])
    assert [row.case for row in told.cases] == ["3", "1"]
    (call,) = told.calls
    assert (call.queue, call.group_name, call.outcome) == ("waste", "Waste", "abandoned")
    assert call.left_at == NOW + timedelta(minutes=1, seconds=30)
    assert set(call.as_json()) == {
        "entered_at", "left_at", "ended_at", "queue", "group", "group_name", "outcome", "channel",
    }  # fmt: skip
    assert history_of(figures.models, seeing(), [REF]).as_json() == {"cases": [], "calls": []}


@pytest.mark.requirement("R54")
def test_a_call_to_a_group_of_several_is_told_to_those_who_open_all_of_them(
    figures: Figures,
) -> None:
    figures.tell(called(1, "project") + called(2, "crisis"))
    assert history_of(figures.models, seeing("TK"), [REF]).calls == ()
    assert [c.queue for c in history_of(figures.models, seeing("TK", "SBK"), [REF]).calls] == [
        "project"
    ]


def test_one_number_in_several_ways_of_writing_is_one_caller(figures: Figures) -> None:
    figures.tell(opened("1", caller_ref=REF) + opened("2", caller_ref=OTHER))
    told = history_of(figures.models, seeing("TK"), [REF, OTHER])
    assert {row.case for row in told.cases} == {"1", "2"}


def test_a_protected_caller_looks_like_one_who_never_called(figures: Figures) -> None:
    nobody = history_of(figures.models, seeing("TK"), ["c" * 32]).as_json()
    figures.tell(called(1, "waste") + opened("1", authority="MF", caller_ref=REF))
    figures.tell(of_case("1", CaseProtected("olle"), authority="MF"))
    assert history_of(figures.models, seeing("TK"), [REF]).as_json() == nobody
    may = seeing("TK", "MF", protected=frozenset({"MF"}))
    told = history_of(figures.models, may, [REF])
    assert ([row.case for row in told.cases], len(told.calls)) == (["1"], 1)
