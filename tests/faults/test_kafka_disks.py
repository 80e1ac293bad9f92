"""The index of a node on Kafka is lost, damaged, or finds no room: the log is read again."""

from __future__ import annotations

import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest
from kafka_fault_world import (
    FaultWorld,
    fault_world,
    pytest_generate_tests,  # noqa: F401 -- pytest's: which clients
    until,
)
from log_world import flips

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from deploy.kafka_lab import SharedBroker

pytestmark = [pytest.mark.fault, pytest.mark.kafka]


@pytest.fixture
def world(
    client: str, tmp_path: Path, kafka_broker: SharedBroker, kafka_prefix: str
) -> Iterator[FaultWorld]:
    with fault_world(tmp_path, kafka_broker.servers, kafka_prefix, client) as made:
        yield made


def lost(index: Path) -> None:
    shutil.rmtree(index)


def without_wal(index: Path) -> None:
    for wal in index.glob("*.db-wal"):
        wal.unlink()


def flipped(index: Path) -> None:
    for path in index.glob("calls-*.db"):
        raw = bytearray(path.read_bytes())
        for at in flips(len(raw), 40):
            raw[at] ^= 0x55
        path.write_bytes(raw)


def test_whatever_happened_to_an_index_it_is_right_again_from_the_log(world: FaultWorld) -> None:
    damaged, whole = world.started("damaged", "whole")
    for harm in (lost, without_wal, flipped):
        until(lambda: damaged.answers("accepted") > 20, "it works")
        damaged.kill()
        harm(damaged.data / "index")
        world.start(damaged)
        damaged.wait_anew("working")
    world.finish()
    assert damaged.doubtful() == whole.doubtful() == ()


@pytest.mark.root
def test_an_index_without_room_takes_facts_and_catches_up(
    world: FaultWorld, tmp_path: Path
) -> None:
    small = tmp_path / "disk"
    small.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1M", "tmpfs", small], check=True)
    try:
        node = world.node("full")
        (node.data / "index").symlink_to(small)
        world.start(node, pace_s=0.001)
        node.wait("working")
        until(lambda: free(small) < 20_000, "it is full")
        accepted = node.answers("accepted")
        until(lambda: node.answers("accepted") > accepted + 50, "facts are taken")
        subprocess.run(["mount", "-o", "remount,size=64M", small], check=True)
        world.started("other")
        world.finish()
    finally:
        subprocess.run(["umount", "-l", small], check=True)


def free(at: Path) -> int:
    return shutil.disk_usage(at).free
