"""A new node begins with another's index and reads only what came after."""

from __future__ import annotations

import hashlib
import json
import shutil
import sqlite3
import tarfile
import time
from typing import TYPE_CHECKING

import pytest
from cli_here import kc, kc_json
from cli_process import RECORDING, Running
from log_world import SECRET, opened, queued, sqlite_settings, story
from nodes_world import assert_same_digests

from core.eventlog.index_file import index_files
from core.eventlog.index_snapshot import check_copy, copy_whole
from core.eventlog.memory_log import MemoryLog, MemoryStore
from core.eventlog.parts import index_path
from kontaktcenter.index_snapshot import MANIFEST

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from core.eventlog.log import Record

MODELS = {"queue_entries", "agent_states", "case_figures", "case_work", "case_keeping", "looks",
          "persons"}  # fmt: skip


class World:
    """A node whose log goes on after its snapshot; and new nodes on the same log."""

    def __init__(self, home: Path) -> None:
        self.home = home / "first"
        self.home.mkdir()
        self.folder, self.file = home / "snapshot", home / "snapshot.tar"
        part = home / "part.queue_log"
        part.write_text("".join(RECORDING.read_text().splitlines(keepends=True)[:600]))
        kc(self.home, "import", "queue-log", part, "--exchange", "tnh")
        kc(self.home, "projection", "list")  # the read models catch up
        self.made = kc_json(self.home, "index", "snapshot", "--to", self.folder)
        kc(self.home, "index", "snapshot", "--to", self.file)
        kc(self.home, "import", "queue-log", RECORDING, "--exchange", "tnh")

    def new_node(self, home: Path) -> Path:
        """A data folder with the same log and keys, and nothing worked out of it yet."""
        (home / "data").mkdir(parents=True)
        for name in ("log.db", "keys.db", "city.key", "protected.key"):
            shutil.copy(self.home / "data" / name, home / "data" / name)
        return home


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    return World(tmp_path_factory.mktemp("world"))


def _names(data: Path) -> set[str]:
    return {str(path.relative_to(data)) for path in data.rglob("*")}


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


# --- what is refused ------------------------------------------------------------------------------
def _flip(path: Path, at: int) -> None:
    body = bytearray(path.read_bytes())
    body[at] ^= 1
    path.write_bytes(body)


def _rewrite(snapshot: Path, **changes: object) -> None:
    path = snapshot / MANIFEST
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def _seal(snapshot: Path) -> None:
    """Whoever changes a file can also change its checksum."""
    found = json.loads((snapshot / MANIFEST).read_text())
    for name, file in found["files"].items():
        body = (snapshot / name).read_bytes()
        file.update(sha256=hashlib.sha256(body).hexdigest(), bytes=len(body))
    _rewrite(snapshot, files=found["files"])


def _sql(path: Path, *statements: str) -> None:
    conn = sqlite3.connect(path)
    for statement in statements:
        conn.execute(statement)
    conn.commit()
    conn.close()


def _change_row(snapshot: Path) -> None:
    _sql(
        snapshot / "index" / "calls-0.db",
        "UPDATE judged SET raw = CAST(raw || ' ' AS BLOB) WHERE position = 9",
    )
    _seal(snapshot)


def _forge_row(snapshot: Path) -> None:
    """A row taken out, and those after it moved up, with checksums that fit."""
    path = snapshot / "index" / "calls-0.db"
    _sql(path, "DELETE FROM judged WHERE position = (SELECT max(position) FROM judged)")
    _seal(snapshot)


def _forge_digest(snapshot: Path) -> None:
    shards = json.loads((snapshot / MANIFEST).read_text())["shards"]
    shards["calls/0"]["digest"] = "0" * 64
    _rewrite(snapshot, shards=shards)


def _move_model(snapshot: Path) -> None:
    model = next((snapshot / "read_models").glob("queue_entries*"))
    _sql(model, "UPDATE positions SET position = 1")
    _seal(snapshot)


def _model_ahead(snapshot: Path) -> None:
    model = next((snapshot / "read_models").glob("queue_entries*"))
    _sql(model, "UPDATE positions SET position = 99999 WHERE shard = 'calls/0'")
    models = json.loads((snapshot / MANIFEST).read_text())["read_models"]
    models["queue_entries"]["positions"]["calls/0"] = 99999
    _rewrite(snapshot, read_models=models)
    _seal(snapshot)


def _escape(snapshot: Path) -> None:
    found = json.loads((snapshot / MANIFEST).read_text())
    found["shards"]["calls/0"]["file"] = "index/../../x.db"
    found["files"]["index/../../x.db"] = found["files"].pop("index/calls-0.db")
    _rewrite(snapshot, **found)


def _lengthen(snapshot: Path) -> None:
    with (snapshot / "index" / "calls-0.db").open("ab") as file:
        file.write(b"more")


TAMPERED: dict[str, tuple[Callable[[Path], object], str, int]] = {
    "a byte": (lambda s: _flip(s / "index" / "calls-0.db", 5_000), "SHA-256 differs", 1),
    "more bytes": (_lengthen, "SHA-256 differs", 1),
    "a row": (_change_row, "row 9 does not match its checksum", 1),
    "a row less": (_forge_row, "is missing", 1),
    "the digest": (_forge_digest, "not the one that its manifest tells of", 1),
    "a read model": (_move_model, "does not fit the index", 1),
    "a read model that is ahead": (_model_ahead, "does not fit the index", 1),
    "a file gone": (lambda s: (s / "index" / "calls-0.db").unlink(), "missing from", 1),
    "no manifest": (lambda s: (s / MANIFEST).unlink(), "no manifest.json in it", 1),
    "half a manifest": (lambda s: (s / MANIFEST).write_text('{"layout": 1'), "not a snapshot", 1),
    "another manifest": (lambda s: (s / MANIFEST).write_text('{"layout": 1}'), "not a snapshot", 1),
    "a way out": (_escape, "not a snapshot", 1),
    "an older index": (lambda s: _rewrite(s, index_layout=3), "older program", 1),
    "a newer index": (lambda s: _rewrite(s, index_layout=99, program="9.9"), "upgrade this", 1),
    "a newer format": (lambda s: _rewrite(s, format=99), "upgrade this", 1),
}  # fmt: skip


@pytest.mark.parametrize("what", TAMPERED)
def test_a_snapshot_that_is_not_as_it_was_written_is_refused_and_leaves_nothing(
    world: World, tmp_path: Path, what: str
) -> None:
    change, said, code = TAMPERED[what]
    snapshot = tmp_path / "snapshot"
    shutil.copytree(world.folder, snapshot)
    change(snapshot)
    new = world.new_node(tmp_path / "new")
    before = _names(new / "data")
    assert said in kc(new, "index", "restore", "--from", snapshot, code=code).stderr
    assert _names(new / "data") - before == {"node.lock"}


@pytest.mark.parametrize("part", [0.0, 0.02, 0.5, 0.97])
def test_a_file_that_was_cut_off_is_refused(world: World, tmp_path: Path, part: float) -> None:
    body = world.file.read_bytes()
    cut = tmp_path / "cut.tar"
    cut.write_bytes(body[: int(len(body) * part)])
    new = world.new_node(tmp_path / "new")
    said = kc(new, "index", "restore", "--from", cut, code=1).stderr
    assert "take a new" in said or "not a snapshot" in said
    assert not (new / "data" / "index").exists()


def test_a_file_with_another_kind_of_member_is_refused(world: World, tmp_path: Path) -> None:
    packed = tmp_path / "odd.tar"
    with tarfile.open(packed, "w") as tar:
        tar.add(world.folder / MANIFEST, MANIFEST)
        link = tarfile.TarInfo("index/calls-0.db")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        tar.addfile(link)
    new = world.new_node(tmp_path / "new")
    assert "Error" in kc(new, "index", "restore", "--from", packed, code=1).stderr
    assert not (new / "data" / "index").exists()


def test_a_snapshot_of_another_log_is_refused(world: World, tmp_path: Path) -> None:
    """Another city's, and one of this city whose log was replaced."""
    other = tmp_path / "other"
    other.mkdir()
    kc(other, "import", "queue-log", RECORDING, "--exchange", "tnh")
    shutil.rmtree(other / "data" / "index")
    shutil.rmtree(other / "data" / "projections")
    said = kc(other, "index", "restore", "--from", world.folder, code=1).stderr
    assert "not of this log" in said
    assert "genesis differs" in said

    twin = tmp_path / "twin"
    (twin / "data").mkdir(parents=True)
    shutil.copy(world.home / "data" / "city.key", twin / "data")
    kc(twin, "import", "queue-log", RECORDING, "--exchange", "another")
    shutil.rmtree(twin / "data" / "index")
    shutil.rmtree(twin / "data" / "projections")
    said = kc(twin, "index", "restore", "--from", world.folder, code=1).stderr
    assert "not of this log" in said
    assert not (twin / "data" / "index").exists()


def test_a_log_that_ends_before_the_snapshot_is_told(world: World, tmp_path: Path) -> None:
    new = world.new_node(tmp_path / "new")
    kc(world.home, "index", "snapshot", "--to", tmp_path / "later")
    _sql(new / "data" / "log.db", *(
        f"DELETE FROM {table} WHERE offset > 3" for table in ("record_1", "record_2", "record_3")
        if _has(new / "data" / "log.db", table)
    ))  # fmt: skip
    said = kc(new, "index", "restore", "--from", tmp_path / "later", code=1).stderr
    assert "not of this log" in said
    assert not (new / "data" / "index").exists()


def _has(path: Path, table: str) -> bool:
    conn = sqlite3.connect(path)
    found = conn.execute("SELECT 1 FROM sqlite_schema WHERE name = ?", [table]).fetchone()
    conn.close()
    return found is not None


def test_an_index_that_is_there_is_replaced_only_when_told(world: World, tmp_path: Path) -> None:
    new = world.new_node(tmp_path / "new")
    kc(new, "statistics")
    before = _names(new / "data")
    assert "--replace" in kc(new, "index", "restore", "--from", world.folder, code=1).stderr
    assert _names(new / "data") == before
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
