"""A node's index lost, damaged, changed; and what `verify` and `rebuild` make of it."""

from __future__ import annotations

import asyncio
import os
import shutil
import sqlite3
from typing import TYPE_CHECKING

import pytest
from log_world import (
    At,
    Ticks,
    commit,
    decided,
    flips,
    opened,
    queued,
    rows,
    sqlite_settings,
    story,
)

from core.commit import Accepted, Duplicate
from core.errors import Corrupt, Unavailable
from core.eventlog.index.index import Index
from core.eventlog.node import Node
from core.eventlog.verify import FAULTS_TOLD_MAX, rebuild, verify_shard

if TYPE_CHECKING:
    from pathlib import Path

A = "call/x/1.1"


async def filled(folder: Path, calls: int = 300) -> dict[str, tuple[int, str]]:
    """A log with facts, decisions, duplicates, a fork, stale ones and trackings; its digests."""
    async with opened(sqlite_settings(folder)) as node:
        await node.propose_many([queued(n, stream=n % 40) for n in range(calls)])
        await node.propose_many([queued(n) for n in range(10)])
        for n in range(30):
            await node.propose(decided(f"d{n}", f"call/x/{n % 5}.9", n % 7 + 1))
        await node.propose_commit("calls", commit("t", At(A), tracking=("p", 3)))
        await node.propose_commit("calls", commit("t", At(A), intent="another"))
        await node.settle()
        return node.digests()


@story
async def test_an_index_that_is_lost_comes_back_with_the_same_digest(tmp_path: Path) -> None:
    digests = await filled(tmp_path)
    async with opened(sqlite_settings(tmp_path)) as node:
        before = rows(node)
        assert node.digests() == digests
    shutil.rmtree(tmp_path / "index")
    async with opened(sqlite_settings(tmp_path)) as node:
        assert node.digests() == digests
        assert rows(node) == before
        assert node.shard("calls/0").state.counts["fork"] == 1


@story
async def test_rebuild_drops_the_index_and_reads_the_log(tmp_path: Path) -> None:
    digests = await filled(tmp_path, 20)
    (tmp_path / "index" / "calls-0.db").write_bytes(b"of no use")
    assert await rebuild(sqlite_settings(tmp_path)) == digests
    assert not list((tmp_path / "index").glob("*.damaged*"))


@story
async def test_a_lost_index_may_be_made_while_facts_are_taken(tmp_path: Path) -> None:
    await filled(tmp_path, 2_000)
    shutil.rmtree(tmp_path / "index")
    node = await Node.open(sqlite_settings(tmp_path), wait_for_index=False)
    try:
        answers = await asyncio.gather(*(node.propose(queued(n)) for n in range(5_000, 5_050)))
        assert all(isinstance(a.verdict, Accepted) for a in answers)
        again = await node.propose(queued(5))
        assert isinstance(again.verdict, Duplicate)  # judged by memory alone
        await node.settle()
        digests = node.digests()
        assert [r.version for r in node.load("call/x/5001.1")] == [1]
    finally:
        await node.close()
    async with opened(sqlite_settings(tmp_path)) as anew:
        assert anew.digests() == digests
    assert await rebuild(sqlite_settings(tmp_path)) == digests


@story
async def test_an_index_being_made_is_never_read_as_if_it_were_whole(tmp_path: Path) -> None:
    index = Index(tmp_path / "calls-0.db")
    assert index.bulk
    for ask in (
        lambda: index.heads([A]),
        lambda: index.verdicts(["x"]),
        lambda: index.stream(A),
        lambda: index.commits_from(1, 9),
    ):
        with pytest.raises(Unavailable, match="being built"):
            ask()
    index.close()


@story
async def test_an_index_without_its_write_ahead_log_is_right_again(tmp_path: Path) -> None:
    """As after a crash: the -wal held what the index had last, and somebody removed it."""
    digests = await filled(tmp_path / "a")
    settings = sqlite_settings(tmp_path / "a")
    async with opened(settings) as node:
        await node.propose_many([queued(n) for n in range(1_000, 1_200)])
        await node.settle()
        shutil.copytree(tmp_path / "a", tmp_path / "b")
        digests = node.digests()
    (tmp_path / "b" / "index" / "calls-0.db-wal").unlink()
    async with opened(sqlite_settings(tmp_path / "b")) as node:
        assert node.digests() == digests
        assert (await verify_shard(node, "calls/0")).ok


@pytest.mark.parametrize("keep", [0, 1, 100, 4096, 20_000])
@story
async def test_a_truncated_index_is_set_aside_and_made_again(tmp_path: Path, keep: int) -> None:
    digests = await filled(tmp_path)
    path = tmp_path / "index" / "calls-0.db"
    os.truncate(path, keep)
    async with opened(sqlite_settings(tmp_path)) as node:
        assert node.digests() == digests
        assert (await verify_shard(node, "calls/0")).ok
        assert len(node.set_aside) == (keep > 1)  # an empty file is a new one


@pytest.mark.parametrize(
    "damage",
    [
        "UPDATE judged SET intent = 'x' WHERE position = 9",
        "UPDATE judged SET first_seq = 77 WHERE position = 9",
        "UPDATE judged SET raw = CAST(replace(raw, 'queue', 'quEue') AS BLOB) WHERE position = 9",
        "UPDATE event SET nth = 1 WHERE seq = 9",
        "UPDATE event SET position = 10 WHERE seq = 9",
        "UPDATE event SET version = 77 WHERE seq = 9",
        "DELETE FROM event WHERE seq = 9",
        "DELETE FROM judged WHERE position = 9",
        "INSERT INTO judged SELECT 999, 'x', '', 1, 1, NULL, NULL, raw, crc FROM judged LIMIT 1",
        "UPDATE tracking SET position = 1",
        "UPDATE state SET digest = zeroblob(32)",
        "UPDATE state SET position = position - 1",
        "UPDATE state SET next_offset = next_offset - 1",
        "DELETE FROM state",
        "DROP INDEX judged_id",
        "DROP TABLE aside",
        "UPDATE aside SET raw = zeroblob(9)",
    ],
)
@story
async def test_a_changed_index_never_gives_other_answers(tmp_path: Path, damage: str) -> None:
    """It is set aside at the start, or `verify` says so, or reading stops; never another digest."""
    digests = await filled(tmp_path, 60)
    conn = sqlite3.connect(tmp_path / "index" / "calls-0.db")
    conn.execute(damage)
    conn.commit()
    conn.close()
    async with opened(sqlite_settings(tmp_path)) as node:
        assert node.digests() == digests
        report = await verify_shard(node, "calls/0")
        found = bool(node.set_aside) or not report.ok
        assert found or damage == "DROP INDEX judged_id"  # made again at the start
        assert report.faults == [] or all(":" in fault for fault in report.faults)


@story
async def test_damage_that_is_met_while_reading_stops_the_reader_and_heals_at_the_next_start(
    tmp_path: Path,
) -> None:
    digests = await filled(tmp_path, 60)
    path = tmp_path / "index" / "calls-0.db"
    conn = sqlite3.connect(path)
    changed = "UPDATE judged SET raw = CAST(raw || ' ' AS BLOB) WHERE position = 9"
    conn.execute(changed)
    conn.commit()
    conn.close()
    async with opened(sqlite_settings(tmp_path)) as node:
        with pytest.raises(Corrupt, match="Start the node again"):
            node.read("calls/0", 0, 100)
        with pytest.raises(Corrupt):
            node.load("call/x/8.1")
        assert node.load("call/x/30.1")  # the rest is usable
    async with opened(sqlite_settings(tmp_path)) as node:
        assert len(node.set_aside) == 1
        assert node.digests() == digests
        assert len(node.read("calls/0", 0, 100)) > 60


@pytest.mark.parametrize("how", ["written to", "rotten"])
@story
async def test_whichever_byte_of_the_index_is_flipped_it_never_gives_wrong_data(
    tmp_path: Path, whole: bool, how: str
) -> None:
    """Also where the disk changed it and nobody wrote: the file's time of change says nothing."""
    source = tmp_path / "source"
    digests = await filled(source, 60)
    async with opened(sqlite_settings(source)) as node:
        feed = node.read("calls/0", 0, 1_000)
        streams = {s: node.load(s) for s in (f"call/x/{n}.1" for n in range(40)) if s != A}
        heads = node.heads(streams)
    path = source / "index" / "calls-0.db"
    size = path.stat().st_size
    outcomes = {"same": 0, "set aside": 0, "stopped": 0}
    for n, place in enumerate(flips(size, 1_500 if whole else 40)):
        folder = tmp_path / f"flipped{n}"
        shutil.copytree(source, folder)
        with (folder / "index" / path.name).open("r+b") as file:
            file.seek(place)
            byte = file.read(1)[0]
            file.seek(place)
            file.write(bytes([byte ^ (1 << n % 8)]))
        if how == "rotten":
            as_before = path.stat().st_mtime_ns
            os.utime(folder / "index" / path.name, ns=(as_before, as_before))
        why = f"byte {place} of {size}, bit {n % 8}"
        try:
            async with opened(sqlite_settings(folder)) as node:
                assert digests == node.digests(), why
                assert feed == node.read("calls/0", 0, 1_000), why
                assert streams == {s: node.load(s) for s in streams}, why
                assert heads == node.heads(streams), why
                again = await node.propose(queued(3, stream=3))
                assert isinstance(again.verdict, Duplicate), why
                outcomes["set aside" if node.set_aside else "same"] += 1
        except (Corrupt, Unavailable):
            outcomes["stopped"] += 1
            async with opened(sqlite_settings(folder)) as node:  # and the next start heals it
                assert digests == node.digests(), why
                assert feed == node.read("calls/0", 0, 1_000), why
        shutil.rmtree(folder)
    assert outcomes["set aside"] > 0, outcomes


@story
async def test_an_index_of_another_layout_is_made_again(tmp_path: Path) -> None:
    digests = await filled(tmp_path, 20)
    conn = sqlite3.connect(tmp_path / "index" / "calls-0.db")
    conn.execute("PRAGMA user_version=77")
    conn.close()
    async with opened(sqlite_settings(tmp_path)) as node:
        assert node.digests() == digests


@story
async def test_an_index_set_aside_twice_in_a_second_keeps_both(tmp_path: Path) -> None:
    await filled(tmp_path, 5)
    path = tmp_path / "index" / "calls-0.db"
    for _ in range(3):
        path.write_bytes(b"x" * 5_000)
        settings = sqlite_settings(tmp_path, clock=lambda: Ticks().now)
        async with opened(settings):
            pass
    assert len(list(path.parent.glob("calls-0.db.damaged-*"))) == 3


# --- verify ---------------------------------------------------------------------------------------
@story
async def test_verify_agrees_with_an_index_that_is_right(tmp_path: Path) -> None:
    digests = await filled(tmp_path)
    async with opened(sqlite_settings(tmp_path)) as node:
        steps: list[tuple[int, int]] = []
        report = await verify_shard(node, "calls/0", lambda *step: steps.append(step))
        assert (report.ok, report.faults) == (True, [])
        assert (report.position, report.digest) == digests["calls/0"]
        assert steps[-1][0] == steps[-1][1] == report.records
        with pytest.raises(KeyError):
            await verify_shard(node, "calls/7")


@story
async def test_verify_may_run_while_the_node_works(tmp_path: Path) -> None:
    await filled(tmp_path)
    async with opened(sqlite_settings(tmp_path)) as node:

        async def work() -> None:
            for n in range(500, 700):
                await node.propose(queued(n))

        working = asyncio.ensure_future(work())
        reports = [await verify_shard(node, "calls/0") for _ in range(3)]
        await working
        assert all(r.ok for r in reports), reports
        final = await verify_shard(node, "calls/0")
        assert (final.position, final.digest) == node.digests()["calls/0"]


@story
async def test_verify_tells_a_bounded_number_of_faults(tmp_path: Path) -> None:
    await filled(tmp_path)
    async with opened(sqlite_settings(tmp_path)) as node:
        conn = sqlite3.connect(tmp_path / "index" / "calls-0.db")
        conn.execute("UPDATE judged SET crc = 0")
        conn.commit()
        conn.close()
        report = await verify_shard(node, "calls/0")
        assert not report.ok
        assert len(report.faults) == FAULTS_TOLD_MAX
