"""A book of several shards, books that others make, and a log that is away at the start."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from log_world import SECRET, T0, At, Ticks, an_id, commit, decided, opened, queued, story

from core.calls import ExchangeRestarted
from core.commit import Accepted, Answer, Draft, Happened
from core.errors import Corrupt, Refused, Unavailable
from core.eventlog import books as books_module
from core.eventlog import outbox
from core.eventlog.envelope import encode_commit
from core.eventlog.memory_log import MemoryLog, MemoryStore
from core.eventlog.node import Node, NodeSettings, claim_of
from core.vocabulary import shard_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from core.eventlog.log import Record


class AwayLog(MemoryLog):
    """A log that is away when the test says so."""

    def __init__(self, store: AwayStore) -> None:
        super().__init__()
        self._store = store

    async def append(self, body: bytes) -> int:
        self._store.ask()
        return await super().append(body)

    async def read(self, offset: int, limit: int, wait_s: float) -> Sequence[Record]:
        self._store.ask()
        return await super().read(offset, limit, min(wait_s, 0.05))

    async def end(self) -> int:
        self._store.ask()
        return await super().end()


class AwayStore(MemoryStore):
    """Books with as many shards as the test says, away when it says so."""

    def __init__(self, **shards: int) -> None:
        super().__init__()
        self.away = False
        self.wanted = shards

    def ask(self) -> None:
        if self.away:
            raise Unavailable("the log is away", neighbour="log")

    async def open_shard(self, book: str, shard: int) -> MemoryLog:
        self.ask()
        for number in range(self.wanted.get(book, 1)):
            self._shards.setdefault((book, number), AwayLog(self))
        return self._shards[book, shard]

    async def books(self) -> Mapping[str, int]:
        self.ask()
        return await super().books()


def paused(n: int, stream: str) -> Draft:
    """A fact without anything personal, which goes the short way."""
    happened = Happened(stream, ExchangeRestarted("x"), T0)
    return Draft(an_id(n), f"asking {n}", "t", "t", (happened,))


def on(store: AwayStore, folder: Path, *books: str) -> NodeSettings:
    return NodeSettings(
        "memory:", folder, Ticks(), secret=SECRET, store=store, books=books or ("calls",)
    )


@story
async def test_each_stream_has_its_shard_and_two_nodes_agree(tmp_path: Path) -> None:
    store = AwayStore(calls=4)
    async with opened(on(store, tmp_path / "a")) as a, opened(on(store, tmp_path / "b")) as b:
        answers = await a.propose_many([queued(n) for n in range(60)])
        for n, answer in enumerate(answers):
            assert answer.shard == f"calls/{shard_of(f'call/x/{n}.1', 4)}"
        assert len({answer.shard for answer in answers}) == 4
        await a.settle()
        while b.judged() != a.judged():  # noqa: ASYNC110 -- from outside
            await asyncio.sleep(0.005)
        await b.settle()
        assert a.digests() == b.digests()
        assert sum(position for position, _digest in a.digests().values()) == 60
        for node in (a, b):
            streams = [f"call/x/{n}.1" for n in range(60)]
            assert node.heads(streams) == dict.fromkeys(streams, 1)
            assert [r.stream for s in streams for r in node.load(s)] == streams


@story
async def test_a_commit_over_two_shards_is_refused(tmp_path: Path) -> None:
    async with opened(on(AwayStore(calls=4), tmp_path)) as node:
        one, other = queued(1), queued(2)
        assert node.shard_name(one.events[0].stream) != node.shard_name(other.events[0].stream)
        both = Draft(one.id, "both", "t", "t", (*one.events, *other.events))
        with pytest.raises(Refused, match="one shard"):
            await node.propose(both)


@story
async def test_the_centre_has_one_shard_only(tmp_path: Path) -> None:
    with pytest.raises(Corrupt, match="only calls"):
        await Node.open(on(AwayStore(centre=2), tmp_path, "centre"))


@story
async def test_a_book_that_another_node_makes_is_opened_here_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(books_module, "BOOKS_LOOK_S", 0.02)
    store = AwayStore()
    async with opened(on(store, tmp_path / "a")) as a, opened(on(store, tmp_path / "b")) as b:
        await a.propose(decided("a case", "case/TK/1", 1))
        while b.judged().get("cases.TK/0") != 1:  # noqa: ASYNC110 -- from outside
            await asyncio.sleep(0.005)


@story
async def test_a_log_that_is_away_at_the_start_is_connected_to_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(books_module, "BOOKS_LOOK_S", 0.02)
    store = AwayStore(calls=2)
    async with opened(on(store, tmp_path, "calls")) as node:
        await node.propose_many([queued(n) for n in range(10)])
        await node.settle()
        digests = node.digests()
    store.away = True
    with pytest.raises(Unavailable, match="away"):
        await Node.open(on(store, tmp_path))
    node = await Node.open(on(store, tmp_path, "calls", "centre"), may_wait=True)
    try:
        assert node.digests() == digests  # of what its index holds
        assert node.load("call/x/3.1")
        assert all(node.shard(name).offline is not None for name in digests)
        with pytest.raises(Unavailable):  # how many shards it has nobody knows
            await node.propose(decided("centre", "account/x", 1))
        asked = asyncio.ensure_future(node.propose(queued(10)))
        await asyncio.sleep(0.05)
        assert not asked.done()
        store.away = False
        answer = await asked
        assert isinstance(answer.verdict, Accepted)
        assert node.shard(answer.shard).offline is None
        while "centre/0" not in node.shards():  # noqa: ASYNC110 -- from outside
            await asyncio.sleep(0.005)
    finally:
        await node.close()


@story
async def test_what_was_asked_of_an_absent_log_is_answered_in_time_and_was_not_recorded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outbox, "ANSWER_S_MAX", 0.2)
    store = AwayStore()
    async with opened(on(store, tmp_path)):
        pass
    store.away = True
    node = await Node.open(on(store, tmp_path), may_wait=True)
    with pytest.raises(Unavailable, match="not recorded"):
        await node.propose(queued(1))
    await node.close()
    store.away = False
    async with opened(on(store, tmp_path)) as node:
        assert node.judged() == {"calls/0": 0}


@story
async def test_another_log_in_its_place_stops_the_shard_that_was_waiting_for_it(
    tmp_path: Path,
) -> None:
    store = AwayStore()
    async with opened(on(store, tmp_path)) as node:
        await node.propose_many([queued(n) for n in range(3)])
    store.away = True
    node = await Node.open(on(store, tmp_path), may_wait=True)
    store._shards["calls", 0]._bodies[1:] = []
    store.away = False
    shard = node.shard("calls/0")
    while shard.stopped is None:  # noqa: ASYNC110 -- from outside
        await asyncio.sleep(0.005)
    with pytest.raises(Corrupt):
        await node.propose(queued(9))
    await node.close()


@story
async def test_what_is_proposed_while_a_book_is_being_opened_goes_to_its_own_shard(
    tmp_path: Path,
) -> None:
    """Of a book that is half open nobody knows how many shards it has."""
    store = AwayStore(calls=4)
    async with opened(on(store, tmp_path, "centre")) as node:
        stream = "call/y/0"
        assert shard_of(stream, 4) > 0
        opening = asyncio.ensure_future(node.books.open("calls"))
        asked: list[asyncio.Task[Answer]] = []
        while not opening.done():
            asked.append(asyncio.ensure_future(node.propose(paused(len(asked), stream))))
            await asyncio.sleep(0)
        await asyncio.gather(*asked, opening)
        assert {answer.shard for answer in (t.result() for t in asked)} == {
            f"calls/{shard_of(stream, 4)}"
        }


@story
async def test_a_shard_takes_no_commit_of_another_shards_streams(tmp_path: Path) -> None:
    """It would judge what is void for every node that reads it."""
    async with opened(on(AwayStore(calls=4), tmp_path)) as node:
        wrong = commit("wrong", At("call/y/0"))  # in the third of them
        with pytest.raises(Refused, match="not all in calls/1"):
            node.shard("calls/1").propose([encode_commit(wrong)], [claim_of(wrong)])
        mixed = commit("mixed", At("call/y/0"), At("call/y/1"))
        with pytest.raises(Refused, match="not all in"):
            await node.propose_commit("calls", mixed)
        assert set(node.judged().values()) == {0}
