"""A node: several on one log, its index lost or damaged, its folder in use, its loop."""

from __future__ import annotations

import asyncio
import random
import threading
from collections.abc import Callable
from itertools import cycle
from pathlib import Path

import pytest
from kafka_kinds import CLIENTS, KAFKA_KINDS, kafka_settings
from log_world import (
    SECRET,
    Ticks,
    decided,
    opened,
    positions,
    queued,
    rows,
    sqlite_settings,
    story,
)

from core.commit import Accepted, Duplicate, StaleVerdict, Verdict, judged
from core.errors import Refused, Unavailable
from core.eventlog.kafka_log.admin import ensure_topics
from core.eventlog.memory_log import MemoryStore
from core.eventlog.node import Node, NodeSettings
from core.eventlog.recorder.blocking import BlockingNode

A = "call/x/1.1"


On = Callable[[Path], NodeSettings]


@pytest.fixture(params=["memory", *KAFKA_KINDS, pytest.param("both", marks=pytest.mark.kafka)])
def on(request: pytest.FixtureRequest) -> On:
    """The settings of one more node on the log of the test, with its index in a folder."""
    if request.param == "memory":
        store = MemoryStore()
        return lambda folder: NodeSettings("memory:", folder, Ticks(), secret=SECRET, store=store)
    ensure_topics(kafka_settings(request, CLIENTS[0]), {"calls": 1})
    clients = cycle(CLIENTS if request.param == "both" else [request.param])

    def on_kafka(folder: Path) -> NodeSettings:
        kafka = kafka_settings(request, next(clients))
        return NodeSettings(str(kafka.address), folder, Ticks(), secret=SECRET, kafka=kafka)

    return on_kafka


async def caught_up(*nodes: Node) -> None:
    """Until every node has read all that there is."""
    while True:
        ends = [await n.shard(name).log.end() for n in nodes for name in n.shards()]
        here = [n.shard(name).state.next_offset for n in nodes for name in n.shards()]
        if ends == here:
            break
        await asyncio.sleep(0.002)
    for node in nodes:
        await node.settle()


# --- several nodes --------------------------------------------------------------------------------
@story
async def test_two_nodes_that_race_end_with_equal_digests_and_indexes(
    on: On, tmp_path: Path
) -> None:
    async with opened(on(tmp_path / "a")) as a, opened(on(tmp_path / "b")) as b:

        async def race(node: Node, seed: int) -> list[Verdict]:
            dice = random.Random(seed)
            verdicts: list[Verdict] = []
            for n in range(150):
                stream = f"call/x/{dice.randrange(4)}.1"
                version = node.heads([stream]).get(stream, 0) + 1
                answer = await node.propose(decided(f"{seed} {n}", stream, version))
                verdicts.append(judged(answer))
            return verdicts

        outcomes = [v for both in await asyncio.gather(race(a, 1), race(b, 2)) for v in both]
        await caught_up(a, b)
        assert a.digests() == b.digests()
        assert rows(a) == rows(b)
        kinds = {type(v) for v in outcomes}
        assert kinds == {Accepted, StaleVerdict}, "the race was none"
        accepted = [v.position for v in outcomes if isinstance(v, Accepted)]
        assert len(set(accepted)) == len(accepted)
    async with opened(on(tmp_path / "c")) as c:
        assert c.digests() == a.digests()
        assert rows(c) == rows(a)


@story
async def test_one_id_at_two_nodes_has_one_effect_and_one_answer(on: On, tmp_path: Path) -> None:
    async with opened(on(tmp_path / "a")) as a, opened(on(tmp_path / "b")) as b:
        drafts = [queued(n) for n in range(50)]
        first, second = await asyncio.gather(
            asyncio.gather(*(a.propose(d) for d in drafts)),
            asyncio.gather(*(b.propose(d) for d in reversed(drafts))),
        )
        for x, y in zip(first, reversed(second), strict=True):
            kinds = {type(x.verdict), type(y.verdict)}
            assert kinds == {Accepted, Duplicate}
        await caught_up(a, b)
        assert a.positions()["calls/0"] == b.positions()["calls/0"] == 50
        assert a.digests() == b.digests()


@story
async def test_a_node_sees_what_another_recorded_and_opens_what_it_sealed(
    on: On, tmp_path: Path
) -> None:
    async with opened(on(tmp_path / "a")) as a, opened(on(tmp_path / "b")) as b:
        await a.propose(queued(1))
        await caught_up(a, b)
        (here,), (there,) = a.load(A), b.load(A)
        assert here == there
        assert here.event.caller.value == "0700000001"  # type: ignore[attr-defined]


# --- proposing ------------------------------------------------------------------------------------
@story
async def test_a_node_reads_its_own_writes(tmp_path: Path) -> None:
    async with opened(sqlite_settings(tmp_path)) as node:
        for n in range(1, 20):
            answer = await node.propose(decided(n, A, n))
            assert isinstance(answer.verdict, Accepted)
            assert [r.version for r in node.load(A)] == list(range(1, n + 1))
            assert node.heads([A, "call/x/unseen"]) == {A: n}


@story
async def test_drafts_of_several_books_are_answered_in_their_order(tmp_path: Path) -> None:
    async with opened(sqlite_settings(tmp_path)) as node:
        drafts = [decided(n, f"{'call/x' if n % 2 else 'case/TK'}/{n}", 1) for n in range(20)]
        answers = await node.propose_many(drafts)
        assert [a.shard for a in answers] == ["cases.TK/0", "calls/0"] * 10
        assert positions(answers) == [n // 2 + 1 for n in range(20)]
        assert node.shards() == ["calls/0", "cases.TK/0", "centre/0"]
    async with opened(sqlite_settings(tmp_path)) as again:  # a book once made is opened again
        assert again.shards() == ["calls/0", "cases.TK/0", "centre/0"]
        assert [r.version for r in again.load("case/TK/4")] == [1]


@story
async def test_a_commit_over_two_books_is_refused(tmp_path: Path) -> None:
    from dataclasses import replace

    async with opened(sqlite_settings(tmp_path)) as node:
        here, there = decided(1, A, 1), decided(2, "case/TK/1", 1)
        with pytest.raises(Refused, match="one shard"):
            await node.propose(replace(here, events=here.events + there.events))
        assert (await node.propose_many([])) == []


@story
async def test_a_no_is_recorded_by_an_empty_commit_about_a_stream(tmp_path: Path) -> None:
    from dataclasses import replace

    no = replace(decided("no", A, 1), events=(), about=A)
    async with opened(sqlite_settings(tmp_path)) as node:
        first = await node.propose(no)
        assert first.shard == "calls/0"
        assert isinstance(first.verdict, Accepted)
        late = await node.propose(decided("no", A, 1))  # the yes that was under way comes too late
        assert late.verdict == Duplicate(first.verdict)
        assert node.load(A) == []
        with pytest.raises(Refused, match="about"):
            await node.propose(replace(no, about=None))


@story
async def test_the_feed_gives_accepted_commits_with_events_and_nothing_else(tmp_path: Path) -> None:
    from dataclasses import replace

    async with opened(sqlite_settings(tmp_path)) as node:
        await node.propose_many(
            [
                queued(1),
                replace(decided("no", A, 1), events=(), about=A),
                decided("stale", A, 1),
                queued(1),
                queued(2),
            ]
        )
        await node.settle()
        assert [(c.position, c.first_seq) for c in node.read("calls/0", 0, 10)] == [(1, 1), (4, 2)]
        assert [c.position for c in node.read("calls/0", 1, 10)] == [4]
        assert node.positions()["calls/0"] == 4
        assert node.read("calls/0", 4, 10) == []


@story
async def test_a_wait_for_change_wakes_at_once_and_ends_in_time(tmp_path: Path) -> None:
    async with opened(sqlite_settings(tmp_path)) as node:
        seen = node.positions()
        assert not await node.changed(seen, 0.01)
        waiting = asyncio.ensure_future(node.changed(seen, 30))
        await node.propose(queued(1))
        assert await asyncio.wait_for(waiting, 5)
        assert await node.changed(seen, 0)


@story
async def test_waiters_are_woken_while_the_load_goes_on(tmp_path: Path) -> None:
    async with opened(sqlite_settings(tmp_path)) as node:
        done = asyncio.Event()

        async def load() -> None:
            n = 0
            while not done.is_set():
                n += 1
                await node.propose(queued(n))

        loading = asyncio.ensure_future(load())
        for _ in range(5):
            assert await asyncio.wait_for(node.changed(node.positions(), 20), 20)
        await asyncio.wait_for(node.settle(), 20)
        done.set()
        await loading


# --- the façade -----------------------------------------------------------------------------------
def test_the_blocking_facade_asserts_on_its_own_loop(tmp_path: Path) -> None:
    with BlockingNode(sqlite_settings(tmp_path)) as node:

        async def wrong() -> None:
            with pytest.raises(AssertionError, match="own loop"):
                node.settle()

        node.call(wrong())
        assert isinstance(node.propose(queued(1)).verdict, Accepted)
    node.close()  # again


def test_threads_may_propose_and_read_at_once(tmp_path: Path) -> None:
    with BlockingNode(sqlite_settings(tmp_path)) as node:
        failures: list[BaseException] = []

        def work(k: int) -> None:
            try:
                for n in range(40):
                    node.propose(queued(k * 100 + n, stream=k))
                    assert len(node.load(f"call/x/{k}.1")) == n + 1
                    node.read("calls/0", 0, 10)
                    node.heads([f"call/x/{k}.1"])
            except BaseException as e:  # noqa: BLE001 -- told by the test
                failures.append(e)

        threads = [threading.Thread(target=work, args=(k,)) for k in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert failures == []
        node.settle()
        assert node.positions()["calls/0"] == 240


@story
async def test_an_index_that_is_closed_says_unavailable_and_not_damaged(tmp_path: Path) -> None:
    async with opened(sqlite_settings(tmp_path)) as node:
        await node.propose(queued(1))
        await node.settle()
    with pytest.raises(Unavailable, match="closed"):
        node.read("calls/0", 0, 10)
    assert not list((tmp_path / "index").glob("*.distrusted"))
