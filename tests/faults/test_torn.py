"""The last page torn: files as a crash or a broken disk leaves them, at every length."""

from __future__ import annotations

import asyncio
import os
import random
import shutil
import time
from typing import TYPE_CHECKING

import pytest
from fault_world import assert_kept, settings_at, told, zygote
from fault_zygote import Run
from log_world import opened

from core.errors import Corrupt, KontaktcenterError, Unavailable
from core.eventlog.index.index import Index
from core.eventlog.verify import refold

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.fault


def killed_under_load(folder: Path, seed: int = 3) -> Path:
    """A data folder as kill -9 left it, with a write-ahead log; its ledger lies beside it."""
    data, ledger = folder / "data", folder / "ledger"
    data.mkdir()
    with zygote() as nodes:
        pid = nodes.start(Run(str(data / "log.db"), str(data), str(ledger), seed))
        until = time.monotonic() + 20
        while len(told(ledger).accepted) < 150 and time.monotonic() < until:
            time.sleep(0.02)
        nodes.end(pid)
    assert (data / "log.db-wal").stat().st_size > 0
    return data


async def digests_by_position(data: Path) -> dict[int, str]:
    """The digest of the calls at each of their positions."""
    async with opened(settings_at(data / "log.db", data)) as node:
        shard = node.shard("calls/0")
        found = {0: bytes(32).hex()}
        for upto in range(1, await shard.log.end() + 1):
            state = await refold(shard.log, shard.genesis, upto)
            found[state.position] = state.digest.hex()
        return found


async def opened_or_stopped(data: Path) -> tuple[int, str] | None:
    try:
        async with opened(settings_at(data / "log.db", data)) as node:
            return node.digests()["calls/0"]
    except (Corrupt, Unavailable):
        return None


def test_a_half_written_record_at_the_end_is_as_if_it_never_was(
    tmp_path: Path, whole: bool
) -> None:
    """A crash within an append leaves a frame that is not whole; all before it is there."""
    data, dice = killed_under_load(tmp_path), random.Random(5)
    for n in range(60 if whole else 6):
        copy = tmp_path / f"copy{n}"
        shutil.copytree(data, copy / "data")
        shutil.copy(tmp_path / "ledger", copy / "ledger")
        with (copy / "data" / "log.db-wal").open("ab") as file:
            file.write(dice.randbytes(dice.randrange(1, 9_000)))
        assert_kept(
            settings_at(copy / "data" / "log.db", copy / "data"), copy / "ledger", anew=True
        )
        shutil.rmtree(copy)


def test_wherever_the_last_file_is_cut_the_node_stops_or_stands_at_an_earlier_position(
    tmp_path: Path, whole: bool
) -> None:
    """A disk that lost what it had promised: the node stops by its index, or has a prefix."""
    data = killed_under_load(tmp_path)
    plain = tmp_path / "plain"
    shutil.copytree(data, plain)
    index = Index(plain / "index" / "calls-0.db")
    known = index.mark.position  # what is younger than the index's last write, nobody else knows of
    index.close()
    right = asyncio.run(digests_by_position(plain))
    dice, outcomes = random.Random(11), {"stopped": 0, "prefix": 0, "whole": 0}
    for n in range(120 if whole else 12):
        name = dice.choice(["log.db-wal", "log.db-wal", "log.db"])
        copy = tmp_path / f"cut{n}"
        shutil.copytree(data, copy)
        size = (copy / name).stat().st_size
        os.truncate(copy / name, dice.randrange(size))
        if n % 2:
            shutil.rmtree(copy / "index")
        found = asyncio.run(opened_or_stopped(copy))
        if found is None:
            outcomes["stopped"] += 1
        else:
            position, digest = found
            assert right[position] == digest, (n, name)
            outcomes["whole" if position == max(right) else "prefix"] += 1
            assert n % 2 or position >= known, "the index knew better, and nothing was said"
        shutil.rmtree(copy)
    assert outcomes["stopped"] > 0, outcomes


def test_a_lost_write_ahead_log_of_the_log_is_noticed_by_the_index(tmp_path: Path) -> None:
    data = killed_under_load(tmp_path)
    (data / "log.db-wal").unlink()
    with pytest.raises(KontaktcenterError):
        asyncio.run(_open_once(data))


async def _open_once(data: Path) -> None:
    async with opened(settings_at(data / "log.db", data)):
        pass


def test_wherever_the_indexs_last_file_is_cut_it_is_right_again(
    tmp_path: Path, whole: bool
) -> None:
    data, dice = killed_under_load(tmp_path), random.Random(17)
    for n in range(60 if whole else 6):
        copy = tmp_path / f"cut{n}"
        shutil.copytree(data, copy / "data")
        shutil.copy(tmp_path / "ledger", copy / "ledger")
        files = [p for p in (copy / "data" / "index").glob("calls-0.db*") if p.suffix != ".db-shm"]
        path = dice.choice(files)
        os.truncate(path, dice.randrange(path.stat().st_size + 1))
        assert_kept(settings_at(copy / "data" / "log.db", copy / "data"), copy / "ledger")
        shutil.rmtree(copy)
