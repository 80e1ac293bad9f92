"""Read models when the machine fails them, and while everybody asks at once."""

from __future__ import annotations

import asyncio
import os
import subprocess
import threading
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from figures_world import NOW, Told, draft, figures_at
from small_disks import small_disk

from core.calls import CallAnswered, CallQueued, ExchangeRestarted
from core.errors import Unavailable
from core.eventlog.node import FeedCommit, Node, NodeSettings
from core.personal import CitySecret
from core.vocabulary import call_stream, exchange_stream
from projections.live import queues_now
from projections.queue_entries import QueueEntries
from projections.read_models import ReadModels, all_projections
from projections.runner import Runner
from projections.statistics import StatisticsQuery, statistics

if TYPE_CHECKING:
    from pathlib import Path


def queued(n: int) -> Told:
    event = CallQueued("kris", "tnh_kris", caller_ref=f"{n:032x}")
    return call_stream("lab", f"{n}.1"), event, NOW + timedelta(seconds=n)


def answered(n: int) -> Told:
    at = NOW + timedelta(seconds=n + 5)
    return call_stream("lab", f"{n}.1"), CallAnswered("kris", "A1", 5.0), at


@pytest.mark.root
@pytest.mark.fault
@pytest.mark.skipif(os.geteuid() != 0, reason="mounting a small disk needs root")
def test_on_a_disk_that_is_full_the_figures_stand_still_and_go_on_when_there_is_space(
    tmp_path: Path,
) -> None:
    with small_disk(tmp_path / "disk", "2m") as disk, figures_at(tmp_path / "data") as world:
        world.runner.close()
        models = ReadModels(disk)
        world.runner = Runner(world.node, disk, [QueueEntries()])
        world.tell([queued(1)])
        (disk / "ballast").write_bytes(bytes(_free(disk) - 300_000))
        with pytest.raises(Unavailable, match="paused"):
            world.tell([queued(n) for n in range(2, 6_000)])
        stood = world.runner.status("queue_entries")
        assert (stood.state, stood.parked) == ("paused", 0)
        assert stood.behind > 0
        counted = sum(row.counts.offered for row in statistics(models, StatisticsQuery()).total)
        assert stood.positions["calls/0"] == counted
        (disk / "ballast").unlink()
        world.node.propose_many([draft([answered(1)])])
        world.node.settle()
        if _free(disk) < 1_900_000:
            subprocess.run(["mount", "-o", "remount,size=64m", str(disk)], check=True)
        world.runner.catch_up()
        assert (
            sum(row.counts.offered for row in statistics(models, StatisticsQuery()).total) == 5_999
        )
        models.close()


def _free(folder: Path) -> int:
    found = os.statvfs(folder)
    return found.f_bavail * found.f_frsize


@pytest.mark.fault
def test_a_file_that_breaks_while_it_is_used_is_set_aside_and_built_again(tmp_path: Path) -> None:
    with figures_at(tmp_path) as world:
        world.tell([queued(n) for n in range(300)])
        path = (world.folder / "queue_entries.db").resolve()
        world.runner._slots["queue_entries"].store.db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        size = path.stat().st_size
        with path.open("r+b") as file:
            file.seek(4096)
            file.write(b"\xff" * (size - 4096))
        world.runner._slots["queue_entries"].store.db.execute("PRAGMA shrink_memory")
        world.tell([answered(n) for n in range(300)])
        (row,) = statistics(world.models, StatisticsQuery()).total
        assert (row.counts.offered, row.counts.answered) == (300, 300)
        assert path.with_name(f"{path.name}.damaged").is_file()
        assert world.runner.status("queue_entries").state == "current"


@pytest.mark.fault
def test_a_folder_that_cannot_be_written_is_said_clearly(tmp_path: Path) -> None:
    (tmp_path / "projections").write_text("in the way")
    with pytest.raises(Unavailable, match="cannot be opened"), figures_at(tmp_path):
        pass


def test_readers_never_fail_while_files_are_swapped_under_them(tmp_path: Path) -> None:
    with figures_at(tmp_path) as world:
        world.tell([queued(n) for n in range(100)])
        done = threading.Event()
        wrong: list[object] = []

        def ask() -> None:
            while not done.is_set():
                try:
                    (row,) = statistics(world.models, StatisticsQuery(interval_s=3600)).total
                    board = queues_now(world.models, NOW + timedelta(seconds=100)).as_json()
                    if row.counts.offered != 100 or board["total"]["waiting"] != 100:
                        wrong.append((row.counts.offered, board["total"]["waiting"]))
                except Exception as e:  # noqa: BLE001 -- whatever it is, it is wrong
                    wrong.append(e)

        readers = [threading.Thread(target=ask) for _ in range(3)]
        for reader in readers:
            reader.start()
        for _ in range(8):
            for name in world.runner.names():
                world.runner.rebuild(name)
        done.set()
        for reader in readers:
            reader.join()
        assert wrong == []


def test_a_node_on_its_own_loop_is_followed_from_the_runners_thread(tmp_path: Path) -> None:
    async def live() -> tuple[int, bool]:
        settings = NodeSettings("memory:", tmp_path, lambda: NOW, CitySecret(bytes(range(32))))
        node = await Node.open(settings)
        runner = Runner(node, tmp_path / "projections", all_projections())
        runner.start()
        await node.propose_many([draft([queued(n)]) for n in range(20)])
        await node.settle()
        positions = node.positions()
        reached = await asyncio.to_thread(runner.wait_for, "queue_entries", positions, 5)
        models = ReadModels(tmp_path / "projections")
        (row,) = (await asyncio.to_thread(statistics, models, StatisticsQuery())).total
        await asyncio.to_thread(runner.close)
        models.close()
        await node.close()
        return row.counts.offered, reached

    assert asyncio.run(live()) == (20, True)


def test_stopping_does_not_wait_for_news(tmp_path: Path) -> None:
    from time import perf_counter

    with figures_at(tmp_path) as world:
        world.runner.start()
        world.node.propose_many([draft([queued(1)])])
        world.node.settle()
        assert world.runner.wait_for("queue_entries", {"calls/0": 1}, 5)
        began = perf_counter()
        world.runner.stop()
        assert perf_counter() - began < 2


class TwoShards:
    """Calls of one exchange in two shards, as on Kafka: no order stands between them."""

    def __init__(self, world_positions: dict[str, list[FeedCommit]]) -> None:
        self._commits = world_positions

    def shards(self) -> list[str]:
        return list(self._commits)

    def positions(self) -> dict[str, int]:
        return {name: len(commits) for name, commits in self._commits.items()}

    def read(self, shard: str, after: int, limit: int) -> list[FeedCommit]:
        return self._commits[shard][after : after + limit]


def test_sums_and_sets_of_callers_add_across_shards(tmp_path: Path) -> None:
    with figures_at(tmp_path / "one") as world:
        same = CallQueued("kris", "tnh_kris", caller_ref="anna")
        told: list[Told] = [(call_stream("lab", f"{n}.1"), same, NOW) for n in range(4)]
        restart = ExchangeRestarted("lab")
        told.append((exchange_stream("lab"), restart, NOW + timedelta(seconds=9)))
        world.tell(told)
        commits = world.node.read("calls/0", 0, 10)
        split = {
            f"calls/{shard}": [
                commit._replace(shard=f"calls/{shard}", position=n, first_seq=n)
                for n, commit in enumerate(commits[shard::2], start=1)
            ]
            for shard in range(2)
        }
        runner = Runner(TwoShards(split), tmp_path / "two", all_projections())
        runner.catch_up()
        models = ReadModels(tmp_path / "two")
        answer = statistics(models, StatisticsQuery())
        (row,) = answer.total
        assert (row.counts.offered, row.counts.other, row.counts.unique_callers) == (4, 4, 1)
        assert dict(answer.as_of) == {"calls/0": 3, "calls/1": 2}
        models.close()
        runner.close()
