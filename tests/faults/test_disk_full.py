"""Disks that fill up: the log's, the keys', the index's. Nothing acknowledged is lost."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from fault_world import assert_kept, settings_at
from fault_zygote import Ledger, draft_of
from log_world import opened, queued, story
from small_disks import enlarge, small_disk

from core.commit import Accepted, first_of, judged
from core.errors import KontaktcenterError, Unavailable
from core.eventlog.node import Node

if TYPE_CHECKING:
    from pathlib import Path

    from core.eventlog.shard import Shard

pytestmark = [pytest.mark.fault, pytest.mark.root]


def why(shard: Shard) -> str | None:
    """Why the index is behind, now."""
    return shard.index_error


async def filled_up(node: Node, ledger: Ledger, start: int) -> tuple[int, KontaktcenterError]:
    """Propose until the node says no; the number that was refused, and what it said."""
    for n in range(start, start + 100_000):
        ledger.write(f"I {n}")
        try:
            answer = await node.propose(draft_of(n))
        except KontaktcenterError as e:
            ledger.write(f"E {n} {type(e).__name__}")
            return n, e
        first = first_of(judged(answer))
        ledger.write(f"{'A' if isinstance(first, Accepted) else 'S'} {n} {first.position}")
    raise AssertionError("the disk did not fill up")


@pytest.mark.parametrize("size", ["256k", "512k", "2M"])
@story
async def test_a_full_disk_of_the_log_is_a_clear_refusal_and_ends_with_space(
    tmp_path: Path, size: str
) -> None:
    """The keys lie beside the log, so either may be the first that finds no room."""
    ledger = tmp_path / "ledger"
    written = Ledger(str(ledger))
    with small_disk(tmp_path / "small", size) as small:
        settings = settings_at(small / "log.db", tmp_path / "data")
        async with opened(settings) as node:
            n, error = await filled_up(node, written, 1)
            assert isinstance(error, Unavailable)
            assert "nothing was recorded" in str(error)
            assert "full" in str(error)
            assert n > 1, "it must have taken something first"
            for again in range(3):  # it stays a refusal, and reads go on
                with pytest.raises(Unavailable):
                    await node.propose_many(
                        [queued(10_000 + k) for k in range(again * 100, again * 100 + 100)]
                    )
            assert node.load("call/x/1.1")
            enlarge(small, "16M")
            for m in range(n, n + 20):
                written.write(f"I {m}")
                first = first_of(judged(await node.propose(draft_of(m))))
                written.write(f"{'A' if isinstance(first, Accepted) else 'S'} {m} {first.position}")
            await node.settle()
        found = await asyncio.to_thread(assert_kept, settings, ledger, anew=True)
        assert found.doubtful == ()


@story
async def test_a_disk_too_full_to_begin_is_a_clear_refusal(tmp_path: Path) -> None:
    with small_disk(tmp_path / "small", "16k") as small:
        (small / "ballast").write_bytes(b"x" * 12_288)
        settings = settings_at(small / "log.db", tmp_path / "data")
        with pytest.raises(Unavailable, match=r"full|space|disk"):
            await Node.open(settings)
        (small / "ballast").unlink()
        enlarge(small, "4M")
        async with opened(settings) as node:
            assert isinstance((await node.propose(queued(1))).verdict, Accepted)


@pytest.mark.parametrize("size", ["256k", "1M"])
@story
async def test_a_full_disk_of_the_index_leaves_the_position_and_takes_facts(
    tmp_path: Path, size: str
) -> None:
    """The log is elsewhere: facts go on, the position stays and says why, until there is space."""
    ledger = tmp_path / "ledger"
    written = Ledger(str(ledger))
    with small_disk(tmp_path / "index", size) as small:
        (tmp_path / "data").mkdir()
        (tmp_path / "data" / "index").symlink_to(small)
        settings = settings_at(tmp_path / "log.db", tmp_path / "data")
        async with opened(settings) as node:
            shard = node.shard("calls/0")
            n = 0
            while why(shard) is None:
                n += 1
                written.write(f"I {n}")
                first = first_of(judged(await node.propose(draft_of(n))))
                written.write(f"{'A' if isinstance(first, Accepted) else 'S'} {n} {first.position}")
                assert n < 20_000, "the disk did not fill up"
            assert "free some space" in str(why(shard))
            stood = node.positions()["calls/0"]
            answers = await node.propose_many([queued(50_000 + k) for k in range(100)])
            assert all(isinstance(a.verdict, Accepted) for a in answers)
            with pytest.raises(Unavailable, match="free some space"):
                await node.settle()
            assert node.positions()["calls/0"] == stood < shard.state.position
            assert len(node.read("calls/0", 0, 1_000_000)) <= stood
            its_own = "call/x/50099.1"
            assert node.heads([its_own]) == {its_own: 1}
            enlarge(small, "64M")
            await node.settle()
            assert why(shard) is None
            assert node.positions()["calls/0"] == shard.state.position
        await asyncio.to_thread(assert_kept, settings, ledger, anew=True)


@story
async def test_a_node_that_stops_with_a_full_index_disk_starts_when_there_is_space(
    tmp_path: Path,
) -> None:
    with small_disk(tmp_path / "index", "256k") as small:
        (tmp_path / "data").mkdir()
        (tmp_path / "data" / "index").symlink_to(small)
        settings = settings_at(tmp_path / "log.db", tmp_path / "data")
        async with opened(settings) as node:
            await node.propose_many([queued(n) for n in range(2_000)])
            digests = node.digests()
        with pytest.raises(Unavailable, match="free some space"):
            await Node.open(settings)
        enlarge(small, "64M")
        async with opened(settings) as node:
            assert node.digests() == digests
            assert node.positions()["calls/0"] == 2_000
