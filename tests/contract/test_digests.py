"""The digest of a node at any position, and nodes that are compared by it."""

from __future__ import annotations

import asyncio
import sqlite3
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from log_world import SECRET, opened, positions, queued, sqlite_settings, story
from nodes_world import assert_same_digests

from core.errors import Corrupt, NotFound
from core.eventlog.index.file import IndexFile, index_files
from core.eventlog.memory_log import MemoryStore
from core.eventlog.verify import rebuild

if TYPE_CHECKING:
    from pathlib import Path


async def _one_by_one(folder: Path, calls: int) -> list[tuple[int, str]]:
    """A node that has recorded calls one by one; its position and digest after each."""
    seen = []
    async with opened(sqlite_settings(folder)) as node:
        for n in range(calls):
            await node.propose(queued(n))
            seen.append(node.digests()["calls/0"])
    return seen


@story
async def test_the_digest_at_an_earlier_position_comes_from_the_rows_of_the_index(
    tmp_path: Path,
) -> None:
    seen = await _one_by_one(tmp_path, 7)
    with IndexFile(index_files(tmp_path)["calls/0"]) as file:
        assert [(at, file.digest_at(at)) for at, _ in seen] == seen
        assert file.digest_at(0) == bytes(32).hex()
        for outside in (-1, 8):
            with pytest.raises(NotFound):
                file.digest_at(outside)
        file.check()


@story
async def test_nodes_of_one_log_agree_wherever_they_stand(tmp_path: Path) -> None:
    store = MemoryStore()
    one, two, three = (
        sqlite_settings(
            tmp_path / name, log="memory:", store=store, books=("calls",), secret=SECRET
        )
        for name in ("one", "two", "three")
    )
    async with opened(one) as first, opened(two) as second:
        positions(await first.propose_many([queued(n) for n in range(5)]))
        positions(await second.propose_many([queued(n) for n in range(5, 9)]))
        for node in (first, second):
            while node.judged()["calls/0"] < 9:  # noqa: ASYNC110 -- what the other appended
                await asyncio.sleep(0.01)
            await node.settle()
        compared = assert_same_digests(first, second)
        assert compared.keys() == {"calls/0"}
        assert compared["calls/0"] == 9
        position, digest = second.digests()["calls/0"]
    told = {"shards": {"calls/0": {"position": position, "digest": digest}}}
    await rebuild(three)
    folders = [tmp_path / name for name in ("one", "three")]
    assert assert_same_digests(*folders, told) == {"calls/0": 9}
    assert assert_same_digests(*folders, alike=True) == {"calls/0": 9}
    with pytest.raises(AssertionError, match=r"\[8, 9\] can be compared with nobody"):
        assert_same_digests({"calls/0": (8, digest)}, told)


@story
async def test_nodes_that_differ_are_told_from_where_on(tmp_path: Path) -> None:
    for name, numbers in (("one", (1, 2, 3, 4)), ("two", (1, 2, 5))):
        async with opened(sqlite_settings(tmp_path / name)) as node:
            for n in numbers:
                await node.propose(queued(n))
    # two cities: their secrets differ, and so does every sealed byte
    with pytest.raises(AssertionError, match="calls/0 differs at position 3, from 1 on"):
        assert_same_digests(tmp_path / "one", tmp_path / "two")
    with pytest.raises(AssertionError, match="'calls/0': 4"):
        assert_same_digests(tmp_path / "one", tmp_path / "two", alike=True)


@story
async def test_an_index_whose_rows_do_not_give_its_digest_is_told(tmp_path: Path) -> None:
    await _one_by_one(tmp_path, 4)
    path = index_files(tmp_path)["calls/0"]
    conn = sqlite3.connect(path)
    conn.execute("DELETE FROM judged WHERE position = 3")
    conn.commit()
    conn.close()
    with IndexFile(path) as file, pytest.raises(Corrupt, match="row 3 is missing"):
        file.check()
    conn = sqlite3.connect(path)
    conn.execute("UPDATE judged SET raw = x'7b7d' WHERE position = 2")
    conn.commit()
    conn.close()
    with IndexFile(path) as file, pytest.raises(Corrupt, match="row 2 does not match"):
        file.digest_at(2)
    conn = sqlite3.connect(path)
    conn.execute("UPDATE state SET position = 2")
    conn.commit()
    conn.close()
    with pytest.raises(Corrupt, match="its state does not match its checksum"):
        IndexFile(path)


@story
async def test_rows_that_do_not_give_the_digest_of_the_state_are_told(tmp_path: Path) -> None:
    """Each row is as it was written, and so is the state, but one is not of the other."""
    await _one_by_one(tmp_path, 3)
    path = index_files(tmp_path)["calls/0"]
    with IndexFile(path) as file:
        *columns, crc = replace(file.mark, digest=b"1" * 32).row()
    conn = sqlite3.connect(path)
    conn.execute("UPDATE state SET digest = ?, crc = ?", [columns[3], crc])
    conn.commit()
    conn.close()
    with IndexFile(path) as file:
        with pytest.raises(Corrupt, match="do not give the digest"):
            file.check()
        with pytest.raises(Corrupt, match="do not give the digest"):
            file.digest_at(3)
        assert len(file.digest_at(2)) == 64
