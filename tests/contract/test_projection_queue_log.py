"""A queue_log through import, log and projection against an independent recount."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import queue_log_maker
from figures_world import Figures, figures_at
from import_world import DIRECTORY
from queue_log_recount import Recount, recount

from core.taxonomy import EntrySet
from core.vocabulary import catalogue_stream
from projections.statistics import StatisticsQuery, statistics
from telephony.queue_log import import_files

if TYPE_CHECKING:
    from collections.abc import Iterator

RECORDING = Path(__file__).parent.parent / "data" / "crisis.queue_log"
SECRET_GROUPS = ("miljo",)  # excluded in the tests' directory: no callers are kept


@pytest.fixture
def figures(tmp_path: Path) -> Iterator[Figures]:
    with figures_at(tmp_path) as world:
        yield world


def bring_in(figures: Figures, *paths: Path) -> None:
    figures.node.call(import_files(figures.node.node, paths, "lab", DIRECTORY))
    figures.node.settle()
    figures.runner.catch_up()


def rows_of(figures: Figures, interval_s: int) -> dict[tuple[str, int], dict[str, Any]]:
    from datetime import datetime

    answer = statistics(figures.models, StatisticsQuery(interval_s=interval_s)).as_json()
    return {
        (row["queue"], int(datetime.fromisoformat(row["from"]).timestamp())): row
        for row in answer["rows"]
    }


def compare(figures: Figures, oracle: Recount, interval_s: int) -> None:
    expected = oracle.by_interval(interval_s, SECRET_GROUPS)
    got = rows_of(figures, interval_s)
    assert set(expected) == set(got)
    for key, counts in expected.items():
        row = counts.as_row()
        assert (key, row) == (key, {name: got[key][name] for name in row})


@pytest.mark.requirement("R38", "R42")
@pytest.mark.parametrize("interval_s", [1, 60, 300, 900, 1800, 3600])
def test_the_recorded_crisis_comes_out_as_recounted(figures: Figures, interval_s: int) -> None:
    bring_in(figures, RECORDING)
    compare(figures, recount(RECORDING.read_bytes()), interval_s)
    answer = statistics(figures.models, StatisticsQuery()).as_json()
    totals = {row["queue"]: row for row in answer["total"]}
    assert [
        sum(row[name] for row in totals.values())
        for name in ("offered", "answered", "abandoned", "timed_out")
    ] == [1352, 349, 756, 247]
    assert (totals["kris"]["offered"], totals["kris"]["answered"]) == (809, 163)


@pytest.mark.parametrize("seed", range(6))
def test_any_queue_log_comes_out_as_recounted(figures: Figures, tmp_path: Path, seed: int) -> None:
    data = queue_log_maker.make(seed, 200, restarts=seed % 3)
    path = tmp_path / "queue_log"
    path.write_bytes(data)
    bring_in(figures, path)
    compare(figures, recount(data), 900)
    compare(figures, recount(data), 60)


@pytest.mark.parametrize("seed", range(3))
def test_files_read_in_the_wrong_order_come_out_as_in_the_right_one(
    figures: Figures, tmp_path: Path, seed: int
) -> None:
    data = queue_log_maker.make(seed + 100, 150, restarts=1)
    lines = data.splitlines(keepends=True)
    parts = [
        b"".join(lines[n::1][: len(lines) // 3 + 1])
        for n in range(0, len(lines), len(lines) // 3 + 1)
    ]
    paths = [tmp_path / f"queue_log.{n}" for n in range(len(parts))]
    for path, part in zip(paths, parts, strict=True):
        path.write_bytes(part)
    for path in reversed(paths):
        bring_in(figures, path)
    compare(figures, recount(data), 900)


def test_a_catalogue_that_comes_later_names_the_groups(figures: Figures) -> None:
    bring_in(figures, RECORDING)
    group: dict[str, object] = {
        "queue": "avfall",
        "name": "Avfall",
        "centre": "tnh",
        "partition": ["TK"],
    }
    stream = catalogue_stream("answer_group", "tnh_avfall")
    from figures_world import NOW

    figures.tell([(stream, EntrySet("answer_group", "tnh_avfall", group), NOW)])
    answer = statistics(figures.models, StatisticsQuery(by="centre")).as_json()
    assert {("tnh", 182), (None, 1170)} == {(r["centre"], r["offered"]) for r in answer["total"]}
