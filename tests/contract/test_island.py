"""A node that is cut off from the log goes on with facts, and gives them to the log afterwards."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from cut_log import HANG_S, Wire
from island_world import AFTER_S, alike, island_of, node_on, returned, told_of, topics, until
from log_world import T0, Ticks, decided, queued, story

from core.commit import Accepted, Duplicate, Kept, attempt_id
from core.errors import Unavailable
from core.eventlog.memory_log import MemoryStore
from core.nodes import NodeCutOff, NodeReturned

if TYPE_CHECKING:
    from pathlib import Path

KINDS = ("fails", "hangs", "lands", "late")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.requirement("R3")
@story
async def test_facts_are_kept_while_the_log_is_away_and_are_in_it_once_afterwards(
    tmp_path: Path, kind: str
) -> None:
    store, wire, calm = MemoryStore(), Wire(), Wire()
    node, other = (
        await node_on(tmp_path / "a", store, wire),
        await node_on(tmp_path / "b", store, calm),
    )
    assert isinstance((await node.propose(queued(1))).verdict, Accepted)
    wire.cut(kind)
    answers = await asyncio.gather(*(node.propose(queued(n)) for n in range(2, 30)))
    assert all(isinstance(answer.verdict, Kept) for answer in answers)
    assert {answer.durability for answer in answers} == {"local"}
    assert island_of(node).cut_off
    assert isinstance((await other.propose(queued(100))).verdict, Accepted)
    wire.mend()
    await returned(node)
    await wire.land()
    assert isinstance((await node.propose(queued(5))).verdict, Duplicate)
    await alike(node, other)
    for n in (*range(1, 30), 100):
        assert len(node.load(f"call/x/{n}.1")) == 1
    assert not island_of(node).cut_off
    await node.close()
    await other.close()


@story
async def test_entering_and_leaving_are_events_also_where_the_island_is_short(
    tmp_path: Path,
) -> None:
    store, wire = MemoryStore(), Wire()
    node = await node_on(tmp_path / "a", store, wire)
    await until(lambda: topics(node) == ["node.joined"])
    for flap in range(3):
        wire.cut("hangs")
        assert isinstance((await node.propose(queued(flap))).verdict, Kept)
        wire.mend()
        await returned(node)
        await until(lambda: len(topics(node)) == 1 + 2 * (flap + 1))  # noqa: B023 -- awaited here
    assert topics(node) == ["node.joined", *["node.cut_off", "node.returned"] * 3]
    for cut, back in zip(told_of(node)[1::2], told_of(node)[2::2], strict=True):
        went, came = cut[1].event, back[1].event
        assert isinstance(went, NodeCutOff)
        assert isinstance(came, NodeReturned)
        assert (came.since, came.facts) == (cut[1].occurred_at.isoformat(), 1)
        assert cut[1].occurred_at < back[1].occurred_at
    assert island_of(node).notice() is None
    await node.close()


@story
async def test_a_decision_waits_while_the_cut_is_young_and_is_refused_clearly_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, wire = MemoryStore(), Wire()
    node = await node_on(tmp_path / "a", store, wire)
    wire.cut("fails")
    asked = asyncio.ensure_future(node.propose(decided("first", "call/x/1", 1)))
    await until(lambda: island_of(node).cut_off)
    assert not asked.done()
    wire.mend()
    assert isinstance((await asked).verdict, Accepted)
    await returned(node)
    monkeypatch.setattr("core.eventlog.island.island.ANSWER_S_MAX", 0.1)
    wire.cut("fails")
    assert isinstance((await node.propose(queued(2))).verdict, Kept)
    await asyncio.sleep(0.15)
    with pytest.raises(Unavailable, match="cut off"):
        await node.propose(decided("second", "call/x/1", 2))
    wire.mend()
    await returned(node)
    assert isinstance((await node.propose(decided("second", "call/x/1", 2))).verdict, Accepted)
    await node.close()


@story
async def test_the_order_within_a_stream_is_kept_over_an_island_and_back(tmp_path: Path) -> None:
    store, wire = MemoryStore(), Wire()
    node = await node_on(tmp_path / "a", store, wire)
    going: list[asyncio.Task[object]] = []

    async def tell(n: int) -> None:
        await node.propose(queued(n, stream=1, number="0700000001"))

    await tell(0)  # the caller's key is made: from here on nobody waits before he is in the queue
    for n in range(1, 600):
        if n == 100:
            wire.cut("hangs")
        if n == 400:
            wire.mend()
        going.append(asyncio.ensure_future(tell(n)))
        await asyncio.sleep(AFTER_S / 100)
    await asyncio.gather(*going)
    await returned(node)
    found = [r.occurred_at for r in node.load("call/x/1.1")]
    assert len(found) == 600
    assert found == sorted(found)
    await node.close()


@story
async def test_a_node_that_starts_without_the_log_keeps_facts_and_gives_them_later(
    tmp_path: Path,
) -> None:
    store, wire = MemoryStore(), Wire()
    node = await node_on(tmp_path / "a", store, wire)
    await node.propose(queued(1))
    await node.close()
    wire.cut("fails")
    node = await node_on(tmp_path / "a", store, wire)
    assert len(node.load("call/x/1.1")) == 1
    assert isinstance((await node.propose(queued(2))).verdict, Kept)
    assert [fact.stream for fact in node.kept("call/x/2.1")] == ["call/x/2.1"]
    await node.close()
    later = Ticks(T0 + timedelta(hours=1))
    node = await node_on(tmp_path / "a", store, wire, clock=later)  # the same island goes on
    assert len(node.kept("call/x/2.1")) == 1
    wire.mend()
    await returned(node)
    assert len(node.load("call/x/2.1")) == 1
    assert node.kept("call/x/2.1") == []
    await until(lambda: "node.returned" in topics(node))
    assert topics(node) == ["node.joined", "node.cut_off", "node.returned"]
    (returned_at,) = [r.event for topic, r in told_of(node) if topic == "node.returned"]
    assert isinstance(returned_at, NodeReturned)
    assert returned_at.seconds > 3_000
    await node.close()


@story
async def test_facts_that_wait_when_the_node_closes_are_kept(tmp_path: Path) -> None:
    store, wire = MemoryStore(), Wire()
    node = await node_on(tmp_path / "a", store, wire)
    wire.cut("fails")
    asked = asyncio.ensure_future(node.propose(queued(1)))
    await asyncio.sleep(0.02)
    await node.close()
    assert isinstance((await asked).verdict, Kept)
    wire.mend()
    node = await node_on(tmp_path / "a", store, wire)
    await returned(node)
    assert len(node.load("call/x/1.1")) == 1
    await node.close()


@story
async def test_what_another_node_recorded_under_our_id_is_not_taken_for_our_own_copy(
    tmp_path: Path,
) -> None:
    store, wire = MemoryStore(), Wire()
    node = await node_on(tmp_path / "a", store, wire, island_after_s=60.0)
    other = await node_on(tmp_path / "b", store, Wire())
    await node.propose(queued(0, number="0700000001"))
    wire.cut("late")
    ours = queued(1, number="0700000001")
    asked = asyncio.ensure_future(node.propose(ours))
    await until(lambda: bool(wire.late))
    await asyncio.sleep(2 * HANG_S)  # it is not known now whether it landed
    theirs = replace(queued(2, stream=1, number="0700000001"), id=ours.id, asking=ours.asking)
    assert isinstance((await other.propose(theirs)).verdict, Accepted)
    wire.late.clear()
    wire.mend()
    assert isinstance((await asked).verdict, Duplicate)
    await node.close()
    await other.close()


@story
async def test_two_nodes_that_gave_one_number_to_two_facts_lose_neither(tmp_path: Path) -> None:
    store, wires = MemoryStore(), (Wire(), Wire())
    nodes = [await node_on(tmp_path / str(n), store, wire) for n, wire in enumerate(wires)]
    one = queued(1, number="0700000001")
    two = replace(queued(300, stream=1, number="0700000002"), id=one.id, asking=one.asking)
    for node in nodes:
        await returned(node)
    for wire in wires:
        wire.cut("fails")
    for node, draft in zip(nodes, (one, two), strict=True):
        assert isinstance((await node.propose(draft)).verdict, Kept)
        assert isinstance((await node.propose(draft)).verdict, Kept)  # asked again: kept once
        assert len(node.kept("call/x/1.1")) == 1
    for node, wire in zip(nodes, wires, strict=True):
        wire.mend()
        await returned(node)
    await alike(*nodes)
    found = nodes[0].load("call/x/1.1")
    assert [r.occurred_at for r in found] == [d.events[0].occurred_at for d in (one, two)]
    assert [r.event.caller for r in found] == [d.events[0].event.caller for d in (one, two)]  # type: ignore[attr-defined]  # both are CallQueued
    assert found[1].commit_id == attempt_id(one.id, 1)
    for node in nodes:
        await node.close()


@story
async def test_what_was_withdrawn_does_not_count_for_who_asks_later(tmp_path: Path) -> None:
    store, wire = MemoryStore(), Wire()
    node = await node_on(tmp_path / "a", store, wire, island_after_s=60.0)
    await node.propose(decided("first", "call/x/1", 1))
    lane = island_of(node).lanes["calls/0"]
    wire.cut("hangs")
    asked = asyncio.ensure_future(node.propose(decided("second", "call/x/1", 2)))
    await asyncio.sleep(0)
    lane.silent_s = 59.0
    asked.cancel()
    await asyncio.gather(asked, return_exceptions=True)
    asked = asyncio.ensure_future(node.propose(decided("third", "call/x/1", 2)))
    await asyncio.sleep(0)
    assert lane.silent_s == 0
    wire.mend()
    await asked
    await node.close()
