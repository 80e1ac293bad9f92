"""A disk that is too small for a snapshot: it says so, leaves nothing, and the rest goes on."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from cli_here import kc, kc_json
from index_world import World
from small_disks import small_disk

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [pytest.mark.fault, pytest.mark.root]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    return World(tmp_path_factory.mktemp("world"))


@pytest.mark.parametrize("size", ["64k", "1200k", "2500k"])
@pytest.mark.parametrize("name", ["snapshot", "snapshot.tar"])
def test_a_snapshot_that_finds_no_room_leaves_nothing(
    world: World, tmp_path: Path, size: str, name: str
) -> None:
    with small_disk(tmp_path / "small", size) as small:
        said = kc(world.home, "index", "snapshot", "--to", small / name, code=4).stderr
        assert "space" in said
        assert list(small.iterdir()) == []
    assert kc_json(world.home, "log", "verify")["ok"]


@pytest.mark.parametrize("size", ["64k", "600k", "1200k"])
def test_a_restore_that_finds_no_room_leaves_the_folder_as_it_was(
    world: World, tmp_path: Path, size: str
) -> None:
    new = world.new_node(tmp_path / "new")
    log = new / "data" / "log.db"
    with small_disk(tmp_path / "small", size) as small:
        # the new node's folder is on the small disk; its log is elsewhere
        for name in ("city.key", "protected.key"):
            (small / name).write_bytes((new / "data" / name).read_bytes())
            (small / name).chmod(0o600)
        url = f'log = "sqlite:{log}"\n'
        (small / "kontaktcenter.toml").write_text(url)
        before = {path.name for path in small.iterdir()}
        args = ("index", "restore", "--from", world.folder, "--data", small)
        said = kc(new, *args, code=4).stderr
        assert "space" in said
        assert {path.name for path in small.iterdir()} - before <= {"node.lock"}
