"""A snapshot that is damaged, of another version or another log is refused, and leaves nothing."""

from __future__ import annotations

import hashlib
import json
import shutil
import sqlite3
import tarfile
from typing import TYPE_CHECKING

import pytest
from cli_here import kc
from cli_process import RECORDING
from index_world import World, names

from kontaktcenter.index_snapshot import MANIFEST

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    return World(tmp_path_factory.mktemp("world"))


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
    before = names(new / "data")
    assert said in kc(new, "index", "restore", "--from", snapshot, code=code).stderr
    assert names(new / "data") - before == {"node.lock"}


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
