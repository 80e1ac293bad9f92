"""A new node begins with another's index and reads only what came after."""

from __future__ import annotations

import json
import sqlite3
import time
from typing import TYPE_CHECKING

import pytest
from cli_here import kc, kc_json
from cli_process import Running
from index_world import MODELS, World, names
from log_world import SECRET, opened, queued, sqlite_settings, story
from nodes_world import assert_same_digests

from core.eventlog.index.file import index_files
from core.eventlog.index.snapshot import check_copy, copy_whole
from core.eventlog.memory_log import MemoryLog, MemoryStore
from core.eventlog.parts import index_path
from kontaktcenter.index_snapshot import MANIFEST

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from core.eventlog.log import Record


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    return World(tmp_path_factory.mktemp("world"))


@pytest.mark.parametrize("kind", ["folder", "file"])
def test_a_new_node_reads_only_what_came_after_the_snapshot(
    world: World, tmp_path: Path, kind: str
) -> None:
    new = world.new_node(tmp_path / "new")
    said = kc_json(new, "index", "restore", "--from", getattr(world, kind))
    assert said["shards"] == world.made["shards"]
    assert set(said["read_models_kept"]) == MODELS
    assert assert_same_digests(world.home / "data", new / "data")["calls/0"] > 0
    assert kc_json(new, "log", "verify")["ok"]
    assert not list((new / "data" / "index").glob("*damaged*"))
    assert_same_digests(world.home / "data", new / "data", alike=True)
    wanted, found = (kc_json(home, "statistics") for home in (world.home, new))
    assert wanted == found


class CountingLog(MemoryLog):
    """Notes which records are read."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[int] = []

    async def read(self, offset: int, limit: int, wait_s: float) -> Sequence[Record]:
        found = await super().read(offset, limit, wait_s)
        self.seen += [record.offset for record in found]
        return found


class CountingStore(MemoryStore):
    """One shard of calls, whose log notes what is read."""

    def __init__(self) -> None:
        super().__init__()
        self._shards["calls", 0] = self.log = CountingLog()


@story
async def test_of_what_the_snapshot_holds_only_the_first_and_last_record_are_read(
    tmp_path: Path,
) -> None:
    store = CountingStore()
    one, two = (
        sqlite_settings(
            tmp_path / name, log="memory:", store=store, secret=SECRET, books=("calls",)
        )
        for name in ("one", "two")
    )
    async with opened(one) as node:
        for n in range(40):
            await node.propose(queued(n))
        await node.settle()
        shard = node.shard("calls/0")
        (two.data / "index").mkdir(parents=True)
        copy_whole(shard.state.index.path, index_path(two.data, "calls/0"))
        mark = check_copy(index_path(two.data, "calls/0"))
        for n in range(40, 45):
            await node.propose(queued(n))
        await node.settle()
    store.log.seen.clear()
    async with opened(two) as node:
        assert node.digests()["calls/0"][0] == 45
        assert sorted(set(store.log.seen)) == [
            0,
            *range(mark.next_offset - 1, await store.log.end()),
        ]
        assert mark.position == 40
    assert_same_digests(tmp_path / "one", tmp_path / "two", alike=True)


def test_an_index_that_is_there_is_replaced_only_when_told(world: World, tmp_path: Path) -> None:
    new = world.new_node(tmp_path / "new")
    kc(new, "statistics")
    before = names(new / "data")
    assert "--replace" in kc(new, "index", "restore", "--from", world.folder, code=1).stderr
    assert names(new / "data") == before
    kc(new, "index", "restore", "--from", world.folder, "--replace")
    made = json.loads((world.folder / MANIFEST).read_text())["shards"]["calls/0"]
    with_models = next((new / "data" / "projections").glob("queue_entries.v*.db"))
    assert with_models.is_file()
    assert kc_json(new, "log", "digest")["shards"]["calls/0"]["position"] > made["position"]
    assert_same_digests(world.home / "data", new / "data", alike=True)


def test_a_name_that_is_taken_is_refused(world: World, tmp_path: Path) -> None:
    for taken in (world.folder, world.file):
        assert "already" in kc(world.home, "index", "snapshot", "--to", taken, code=1).stderr
    bare = kc_json(
        world.home, "index", "snapshot", "--to", tmp_path / "bare", "--without-read-models"
    )
    assert bare["read_models"] == {}
    assert not list((tmp_path / "bare" / "read_models").iterdir())


def test_what_holds_clear_text_is_not_in_a_snapshot(world: World) -> None:
    manifest = json.loads((world.folder / MANIFEST).read_text())
    assert set(manifest["read_models"]) == MODELS
    assert {path.stat().st_mode & 0o077 for path in world.folder.rglob("*")} == {0}


# --- while others work ----------------------------------------------------------------------------
def test_a_running_node_gives_a_snapshot_and_goes_on(world: World, tmp_path: Path) -> None:
    home = world.new_node(tmp_path / "home")
    with Running(home, "serve", "--port", 0, "--data", home / "data") as serving:
        serving.address()
        said = kc_json(home, "index", "snapshot", "--to", tmp_path / "live.tar")
        assert said["shards"]["calls/0"]["position"] > 0
        refused = kc(home, "index", "restore", "--from", tmp_path / "live.tar", code=4).stderr
        assert "in use" in refused
        serving.stop()
    new = world.new_node(tmp_path / "new")
    kc(new, "index", "restore", "--from", tmp_path / "live.tar")
    kc(new, "log", "digest")
    assert_same_digests(home / "data", new / "data", alike=True)


@story
async def test_a_copy_is_of_one_moment_while_the_node_goes_on_writing(tmp_path: Path) -> None:
    async with opened(sqlite_settings(tmp_path)) as node:
        await node.propose_many([queued(n) for n in range(2_000)])
        await node.settle()
        path = node.shard("calls/0").state.index.path
        steps: list[int] = []

        def writing(done: int, _total: int) -> None:
            steps.append(done)
            conn = sqlite3.connect(path, timeout=5)  # as the node's own writer does
            conn.execute("INSERT INTO tracking VALUES (?, 1, 1)", [f"x{len(steps)}"])
            conn.commit()
            conn.close()

        copy_whole(path, tmp_path / "copy.db", writing, pages=16)
        assert len(steps) > 5
        assert steps == sorted(set(steps))  # it never began again
        assert check_copy(tmp_path / "copy.db").position == 2_000
        conn = sqlite3.connect(tmp_path / "copy.db")
        assert conn.execute("SELECT count(*) FROM tracking").fetchone() == (0,)
        conn.close()


@pytest.mark.parametrize("pause_ms", [0, 3, 10, 30, 100])
def test_a_restore_that_is_killed_leaves_an_index_that_is_whole_or_none(
    world: World, tmp_path: Path, pause_ms: int
) -> None:
    new = world.new_node(tmp_path / "new")
    data = new / "data"
    with Running(new, "index", "restore", "--from", world.folder, "--data", data) as restoring:
        until = time.monotonic() + 20
        while not (data / ".index-restoring").exists() and restoring.process.poll() is None:
            assert time.monotonic() < until
            time.sleep(0.001)
        time.sleep(pause_ms / 1_000)
        restoring.process.kill()
    found = index_files(data)
    if found:
        assert found.keys() == world.made["shards"].keys()
        for path in found.values():
            check_copy(path)
    else:
        kc(new, "index", "restore", "--from", world.folder)
    assert not (data / ".index-restoring").exists() or found
    kc(new, "log", "digest")
    assert_same_digests(world.home / "data", data, alike=True)
    assert not list((data / "index").glob("*damaged*"))
