"""No room for the journal while the log is away: a clear refusal, and nothing kept is lost."""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING

import pytest
from cut_log import Wire
from island_world import alike, island_of, node_on, returned
from log_world import decided, queued, story
from small_disks import enlarge, small_disk

from core.commit import Accepted, Kept
from core.errors import Unavailable
from core.eventlog.memory_log import MemoryStore

if TYPE_CHECKING:
    from pathlib import Path

    from core.eventlog.node import Node

pytestmark = [pytest.mark.fault, pytest.mark.root]


async def kept_until_full(node: Node, first: int) -> tuple[int, str]:
    """Record facts until one is refused; its number, and what was said."""
    for n in range(first, first + 20_000):
        try:
            answer = await node.propose(queued(n))
        except Unavailable as e:
            return n, e.message
        assert isinstance(answer.verdict, Kept), answer
    raise AssertionError("the disk did not fill up")


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting a small disk needs root")
@story
async def test_a_journal_that_finds_no_room_refuses_and_goes_on_with_space(tmp_path: Path) -> None:
    store, wire = MemoryStore(), Wire()
    other = await node_on(tmp_path / "other", store, Wire())
    with small_disk(tmp_path / "small", "1M") as small:
        node = await node_on(small, store, wire)
        await node.propose(queued(1))
        await node.settle()
        wire.cut()
        refused, said = await kept_until_full(node, 2)
        assert "full" in said
        assert refused > 2, "it must have kept something first"
        for again in range(3):  # it stays a refusal, and reads go on
            with pytest.raises(Unavailable):
                await asyncio.gather(*(node.propose(queued(refused + n)) for n in range(again, 9)))
        assert len(node.load("call/x/1.1")) == 1
        assert len(node.kept(f"call/x/{refused}.1")) == 0
        with pytest.raises(Unavailable):
            await node.propose(decided(1, "call/x/1.1", 5))
        enlarge(small, "64M")
        assert isinstance((await node.propose(queued(refused))).verdict, Kept)
        wire.mend()
        await returned(node)
        assert isinstance((await node.propose(queued(refused + 20))).verdict, Accepted)
        await alike(node, other)
        for n in range(1, refused + 1):
            assert len(other.load(f"call/x/{n}.1")) == 1, n
        assert not island_of(node).asides
        await node.close()
        await other.close()
