"""The batching runner over a real node: nothing lost or doubled, one bad event stops nobody."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import threading
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from figures_world import NOW, Figures, Told, draft, figures_at

from core.calls import CallAnswered, CallQueued, ExchangeRestarted
from core.errors import NotFound, Unavailable
from core.eventlog.envelope import LoggedCommit, LoggedEvent
from core.eventlog.node import FeedCommit, NodeSettings
from core.eventlog.recorder.blocking import BlockingNode
from core.personal import CitySecret
from core.vocabulary import call_stream, exchange_stream
from projections.queue_entries import QueueEntries
from projections.read_models import ReadModels, all_projections
from projections.runner import Runner
from projections.statistics import StatisticsQuery, statistics

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from sqlite_utils import Database

    from projections.base import Fed

ROOT = Path(__file__).parent.parent.parent


@pytest.fixture
def figures(tmp_path: Path) -> Iterator[Figures]:
    with figures_at(tmp_path) as world:
        yield world


def queued(n: int, queue: str = "kris") -> Told:
    event = CallQueued(queue, f"tnh_{queue}", caller_ref=f"c{n}")
    return call_stream("lab", f"{n}.1"), event, NOW + timedelta(seconds=n)


def answered(n: int, queue: str = "kris") -> Told:
    at = NOW + timedelta(seconds=n + 5)
    return call_stream("lab", f"{n}.1"), CallAnswered(queue, "A1", 5.0), at


def rows_in(figures: Figures) -> int:
    with figures.models.snapshot("queue_entries") as db:
        return int(db.table("entries").count)


class Poisoned(QueueEntries):
    """Cannot handle what enters one queue."""

    def handle(self, db: Database, events: Sequence[Fed]) -> None:
        for fed in events:
            if b'"poison"' in bytes(fed.event.data):
                raise ZeroDivisionError("0700000001 must not be quoted")
        super().handle(db, events)

    def fresh(self) -> Poisoned:
        return Poisoned()


@pytest.mark.fault
def test_an_event_that_cannot_be_handled_is_parked_and_the_rest_go_on(tmp_path: Path) -> None:
    with figures_at(tmp_path) as figures:
        figures.runner.close()
        figures.runner = Runner(figures.node, figures.folder, [Poisoned()])
        figures.tell([queued(1), queued(2, "poison"), queued(3), answered(2, "kris")])
        assert rows_in(figures) == 2
        (parked,) = figures.runner.parked("queue_entries")
        assert parked == {
            "shard": "calls/0",
            "position": 2,
            "nth": 0,
            "type": "call.queued",
            "reason": "ZeroDivisionError",
        }
        assert (
            figures.node.positions()["calls/0"]
            == figures.runner.positions("queue_entries")["calls/0"]
        )


@pytest.mark.fault
def test_of_a_commit_with_one_bad_event_only_that_one_is_parked(tmp_path: Path) -> None:
    with figures_at(tmp_path) as figures:
        figures.runner.close()
        figures.runner = Runner(figures.node, figures.folder, [Poisoned()])
        figures.tell([queued(1), queued(1, "poison"), answered(1)], together=True)
        assert [parked["nth"] for parked in figures.runner.parked("queue_entries")] == [1]
        answer = statistics(figures.models, StatisticsQuery())
        assert [(row.queue, row.counts.answered) for row in answer.total] == [("kris", 1)]


def test_a_rebuild_tries_again_what_was_parked(tmp_path: Path) -> None:
    with figures_at(tmp_path) as figures:
        figures.runner.close()
        runner = Runner(figures.node, figures.folder, [Poisoned()])
        figures.runner = runner
        figures.tell([queued(1), queued(2, "poison")])
        assert runner.status("queue_entries").parked == 1
        runner._slots["queue_entries"].store.projection = QueueEntries()
        runner.rebuild("queue_entries")
        assert (runner.parked("queue_entries"), rows_in(figures)) == ([], 2)


class Foreign:
    """A feed that also holds a type that nobody here knows and one that is damaged."""

    def __init__(self, figures: Figures) -> None:
        self._node = figures.node

    def shards(self) -> list[str]:
        return self._node.shards()

    def positions(self) -> dict[str, int]:
        return {**self._node.positions(), "calls/0": 3}

    def read(self, shard: str, after: int, limit: int) -> list[FeedCommit]:
        if shard != "calls/0":
            return self._node.read(shard, after, limit)
        return [self._commit(n) for n in range(after + 1, 4)][:limit]

    def _commit(self, n: int) -> FeedCommit:
        import msgspec

        kinds = {1: ("call.sung", b"{}"), 2: ("call.queued", b'{"queue": 4}')}
        good = b'{"queue":"kris","group":"g"}'
        kind, data = kinds.get(n, ("call.queued", good))
        event = LoggedEvent(f"call/lab/{n}.1", kind, 1, NOW, msgspec.Raw(data))
        commit = LoggedCommit(draft([]).id, "i", NOW, "a", "telephony:lab", [event])
        return FeedCommit("calls/0", n, n, commit)


@pytest.mark.fault
def test_unknown_types_are_counted_and_what_cannot_be_decoded_is_parked(figures: Figures) -> None:
    figures.runner.close()
    figures.runner = Runner(Foreign(figures), figures.folder, [QueueEntries()])
    figures.runner.catch_up()
    status = figures.runner.status("queue_entries")
    assert (status.unknown_types, status.parked, status.state) == ({"call.sung": 1}, 1, "current")
    (parked,) = figures.runner.parked("queue_entries")
    assert (parked["position"], parked["type"]) == (2, "call.queued")
    assert rows_in(figures) == 1


def test_a_runner_that_starts_again_goes_on_where_it_was(tmp_path: Path) -> None:
    with figures_at(tmp_path) as figures:
        figures.tell([queued(n) for n in range(30)])
        figures.runner.close()
        figures.runner = Runner(figures.node, figures.folder, all_projections())
        figures.tell([answered(n) for n in range(30)])
        (row,) = statistics(figures.models, StatisticsQuery()).total
        assert (row.counts.offered, row.counts.answered) == (30, 30)


def test_a_rebuild_is_built_beside_and_swapped_in_while_readers_read(figures: Figures) -> None:
    figures.tell([queued(n) for n in range(10)])
    link = figures.folder / "queue_entries.db"
    before = link.resolve()
    steps: list[tuple[int, int]] = []

    def progress(done: int, whole: int) -> None:
        steps.append((done, whole))
        assert before == link.resolve()
        assert rows_in(figures) == 10

    figures.runner.rebuild("queue_entries", progress)
    assert steps
    assert before != link.resolve()
    assert not before.exists()
    assert rows_in(figures) == 10
    figures.tell([queued(n) for n in range(10, 12)])
    assert rows_in(figures) == 12
    with pytest.raises(NotFound):
        figures.runner.rebuild("nothing")


def test_a_new_version_is_swapped_in_when_it_has_caught_up(tmp_path: Path) -> None:
    class Next(QueueEntries):
        version = QueueEntries.version + 1

    with figures_at(tmp_path) as figures:
        figures.tell([queued(n) for n in range(5)])
        figures.runner.close()
        link = figures.folder / "queue_entries.db"
        former = link.resolve()
        runner = Runner(figures.node, figures.folder, [Next()])
        assert former == link.resolve()
        with pytest.raises(Unavailable, match="new version"):
            ReadModels(figures.folder, {"queue_entries": Next.version}).as_of("queue_entries")
        runner.catch_up()
        figures.models = ReadModels(figures.folder, {"queue_entries": Next.version})
        assert f".v{Next.version}." in link.resolve().name
        assert not former.exists()
        assert rows_in(figures) == 5
        runner.close()


@pytest.mark.fault
def test_a_locked_file_pauses_the_projection_and_it_goes_on_when_it_can(
    figures: Figures, monkeypatch: pytest.MonkeyPatch
) -> None:
    figures.tell([queued(1)])
    figures.runner._slots["queue_entries"].store.db.execute("PRAGMA busy_timeout=10")
    other = sqlite3.connect(figures.folder / "queue_entries.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(Unavailable, match="locked"):
        figures.tell([queued(2)])
    status = figures.runner.status("queue_entries")
    assert (status.state, status.behind) == ("paused", 1)
    assert rows_in(figures) == 1
    assert figures.runner.status("agent_states").state == "current"
    other.execute("ROLLBACK")
    figures.runner.catch_up()
    assert (figures.runner.status("queue_entries").state, rows_in(figures)) == ("current", 2)
    other.close()


@pytest.mark.fault
def test_a_full_disk_pauses_the_projection_and_never_leaves_half_a_batch(figures: Figures) -> None:
    figures.tell([queued(1)])
    db = figures.runner._slots["queue_entries"].store.db
    pages = db.execute("PRAGMA page_count").fetchone()[0]
    db.execute(f"PRAGMA max_page_count={pages}")
    many = [queued(n) for n in range(2, 900)]
    with pytest.raises(Unavailable, match="full"):
        figures.tell(many)
    assert (rows_in(figures), figures.models.as_of("queue_entries")["calls/0"]) == (1, 1)
    assert figures.runner.status("queue_entries").state == "paused"
    assert figures.runner.parked("queue_entries") == []
    db.execute("PRAGMA max_page_count=1000000")
    figures.runner.catch_up()
    assert rows_in(figures) == 899


@pytest.mark.fault
def test_a_damaged_file_is_set_aside_and_built_again(tmp_path: Path) -> None:
    with figures_at(tmp_path) as figures:
        figures.tell([queued(n) for n in range(200)])
        figures.runner.close()
        figures.models.close()
        path = (figures.folder / "queue_entries.db").resolve()
        damaged = bytearray(path.read_bytes())
        damaged[4096 * 2 : 4096 * 5] = b"\xff" * (4096 * 3)
        path.write_bytes(damaged)
        figures.runner = Runner(figures.node, figures.folder, all_projections())
        figures.runner.catch_up()
        assert rows_in(figures) == 200
        assert path.with_name(f"{path.name}.damaged").is_file()


def test_the_thread_wakes_when_the_node_has_news_and_tells_whoever_asked(tmp_path: Path) -> None:
    with figures_at(tmp_path) as figures:
        heard: list[tuple[str, dict[str, int]]] = []
        told = threading.Event()

        def changed(name: str, positions: Any) -> None:
            heard.append((name, positions))
            if name == "queue_entries":
                told.set()

        figures.runner.on_change(changed)
        figures.runner.start()
        figures.node.propose_many([draft([queued(n)]) for n in range(5)])
        assert told.wait(5)
        assert figures.runner.wait_for("queue_entries", {"calls/0": 5}, 5)
        assert not figures.runner.wait_for("queue_entries", {"calls/0": 6}, 0.05)
        assert rows_in(figures) == 5
        figures.runner.stop()
        figures.runner.stop()


def test_a_callback_that_fails_stops_nothing(figures: Figures) -> None:
    def fails(_name: str, _positions: object) -> None:
        raise RuntimeError

    figures.runner.on_change(fails)
    figures.tell([queued(1)])
    assert rows_in(figures) == 1


def test_a_restart_told_late_corrects_what_was_open_then(figures: Figures) -> None:
    figures.tell([queued(1), queued(2), answered(2), queued(60)])
    restart = ExchangeRestarted("lab")
    figures.tell([(exchange_stream("lab"), restart, NOW + timedelta(seconds=30))])
    (row,) = statistics(figures.models, StatisticsQuery()).total
    assert (
        row.counts.offered,
        row.counts.answered,
        row.counts.other,
        row.counts.in_progress,
    ) == (3, 1, 1, 1)


def test_calls_that_fell_out_of_memory_are_read_back(
    figures: Figures, monkeypatch: pytest.MonkeyPatch
) -> None:
    import projections.fact_store

    monkeypatch.setattr(projections.fact_store, "STREAMS_CACHED_MAX", 3)
    figures.tell([queued(n) for n in range(20)])
    figures.tell([answered(n) for n in range(20)])
    (row,) = statistics(figures.models, StatisticsQuery()).total
    assert (row.counts.offered, row.counts.answered) == (20, 20)


CHILD = """ import sys from pathlib import Path from figures_world import NOW from
core.eventlog.recorder.blocking import BlockingNode from core.eventlog.node import NodeSettings from
core.personal import CitySecret from projections.read_models import all_projections from
projections.runner import Runner import projections.runner
projections.runner.PROJECTION_BATCH_COMMITS = 7 folder = Path(sys.argv[1]) node =
BlockingNode(NodeSettings(f"sqlite:{folder / 'log.db'}", folder, lambda: NOW,
CitySecret(bytes(range(32))))) runner = Runner(node, folder / "projections", all_projections())
runner.on_change(lambda name, positions: print(name, flush=True)) runner.catch_up()
"""


@pytest.mark.fault
@pytest.mark.parametrize("batches", [1, 4, 9])
def test_kill_9_leaves_whole_batches_and_nothing_is_counted_twice(
    tmp_path: Path, batches: int
) -> None:
    settings = NodeSettings(
        f"sqlite:{tmp_path / 'log.db'}", tmp_path, lambda: NOW, CitySecret(bytes(range(32)))
    )
    told = [fact for n in range(100) for fact in (queued(n), answered(n))]
    with BlockingNode(settings) as node:
        node.propose_many([draft([fact]) for fact in told])
        node.settle()
    environment = {**os.environ, "PYTHONPATH": f"{ROOT}:{ROOT / 'tests'}"}
    child = subprocess.Popen(
        [sys.executable, "-c", CHILD, str(tmp_path)],
        env=environment,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert child.stdout is not None
    for _ in range(batches):
        child.stdout.readline()
    child.send_signal(signal.SIGKILL)
    child.wait()
    child.stdout.close()
    with BlockingNode(settings) as node:
        runner = Runner(node, tmp_path / "projections", all_projections())
        runner.catch_up()
        models = ReadModels(tmp_path / "projections")
        (row,) = statistics(models, StatisticsQuery()).total
        assert (row.counts.offered, row.counts.answered) == (100, 100)
        models.close()
        runner.close()


def test_before_there_is_a_read_model_its_readers_are_told_so(tmp_path: Path) -> None:
    models = ReadModels(tmp_path)
    with pytest.raises(Unavailable, match="not there yet"):
        statistics(models, StatisticsQuery())


def test_replay_from_zero_gives_the_same_rows_as_following(figures: Figures) -> None:
    for n in range(12):
        figures.tell([queued(n)])
        figures.tell([answered(n - 3)] if n >= 3 else [])

    def everything() -> list[dict[str, object]]:
        with figures.models.snapshot("queue_entries") as db:
            return list(db.query("SELECT * FROM entries_readable ORDER BY call, n"))

    followed = everything()
    figures.runner.rebuild("queue_entries")
    assert followed == everything()
