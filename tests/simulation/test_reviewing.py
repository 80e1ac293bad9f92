"""What contradicts the rest is opened for review once: by many nodes, and after restarts."""

from __future__ import annotations

import json
import sqlite3
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from given import city, officer
from log_world import SECRET, T0, an_id, opened, sqlite_settings, story
from nodes_world import assert_same_digests
from structlog.testing import capture_logs

from core.application import Application
from core.calls import CallAnswered, CallEnded, CallQueued
from core.cases import CaseClosed, CaseProtected, CaseRegistered
from core.commit import Draft, Fork, Happened
from core.erasure import ErasureDecided, erasure_stream
from core.errors import Unavailable
from core.eventlog.memory_log import MemoryLog, MemoryStore
from core.personal import Personal
from core.reviews import CloseCaseReview, ReviewClosed, ReviewOpened, review_id, review_stream
from core.vocabulary import case_stream
from kontaktcenter.reviewing import Reviewing

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from core.commit import Event
    from core.eventlog.node import Node

CALL = "call/x/1"
CASE = case_stream("TK", "k1")
NAME = "Agent/anna.svensson"
NUMBER = "0700000001"


def fact(name: str, stream: str, *events: Event) -> Draft:
    happened = tuple(Happened(stream, event, T0) for event in events)
    return Draft(an_id(name), f"asking {name}", "telephony", "telephony:x", happened)


def odd_call(name: str = "odd", stream: str = CALL) -> Draft:
    """A call that is ended by somebody who never had it, and answered afterwards."""
    ref = SECRET.caller_ref(NUMBER)
    queued = CallQueued(
        "avfall", "tnh_avfall", caller=Personal(NUMBER, f"caller/{ref}"), caller_ref=ref
    )
    ended, answered = CallEnded("avfall", NAME, "agent"), CallAnswered("avfall", NAME)
    return fact(name, stream, queued, ended, answered)


def process(node: Node, folder: Path) -> Reviewing:
    return Reviewing(node, lambda: T0, folder / "reviews.seen")


async def looked(reviewing: Reviewing) -> None:
    """Until all that is in the index has been looked at."""
    await reviewing.node.settle()
    while not await reviewing.step():
        pass
    await reviewing.node.settle()


def items(node: Node) -> list[ReviewOpened]:
    return [
        one.event
        for fed in node.read("centre/0", 0, 1_000)
        for event in fed.commit.events
        if event.type == ReviewOpened.TOPIC
        for one in node.load(event.stream)
        if isinstance(one.event, ReviewOpened)
    ]


@asynccontextmanager
async def two_nodes(folder: Path) -> AsyncIterator[tuple[Node, Node]]:
    store = MemoryStore()
    one, two = (
        sqlite_settings(folder / name, log="memory:", store=store, secret=SECRET)
        for name in ("one", "two")
    )
    async with opened(one) as first, opened(two) as second:
        yield first, second


@story
async def test_each_fact_that_contradicts_the_rest_becomes_an_item(tmp_path: Path) -> None:
    async with opened(sqlite_settings(tmp_path)) as node:
        (answer,) = await node.propose_many([odd_call()])
        await looked(process(node, tmp_path))
        found = items(node)
        assert [(i.event, i.about, i.version, i.reason) for i in found] == [
            ("call.ended", CALL, 2, "somebody acted on it while waiting"),
            ("call.answered", CALL, 3, "answered while ended"),
        ]
        assert {(i.kind, i.shard, i.position, i.authority) for i in found} == {
            ("contradicted", answer.shard, 1, None)
        }
        assert node.load(review_stream(str(review_id(CALL, 2))))[0].event == found[0]


@story
async def test_what_fits_makes_no_item(tmp_path: Path) -> None:
    async with opened(sqlite_settings(tmp_path)) as node:
        fine = fact("fine", CALL, CallQueued("avfall", "tnh_avfall"), CallAnswered("avfall", NAME),
                    CallEnded("avfall", NAME, "agent"))  # fmt: skip
        await node.propose_many([fine])
        await looked(process(node, tmp_path))
        assert items(node) == []


@story
async def test_a_stream_that_grows_bit_by_bit_is_judged_as_a_whole(tmp_path: Path) -> None:
    async with opened(sqlite_settings(tmp_path)) as node:
        reviewing = process(node, tmp_path)
        draft = odd_call()
        for n, happened in enumerate((*draft.events, *draft.events)):
            await node.propose(replace(draft, id=an_id(n), asking=str(n), events=(happened,)))
            await looked(reviewing)
        found = [(i.version, i.reason) for i in items(node)]
        assert [version for version, _ in found] == [2, 3, 4, 5, 6]
        before = node.judged()
        (tmp_path / "reviews.seen").unlink()
        await looked(process(node, tmp_path))  # with nothing kept it comes to the same
        assert node.judged() == before


@story
async def test_two_nodes_open_one_item(tmp_path: Path) -> None:
    async with two_nodes(tmp_path) as (one, two):
        await one.propose_many([odd_call()])
        mine, theirs = process(one, tmp_path / "one"), process(two, tmp_path / "two")
        for node in (one, two):
            while node.positions().get("calls/0", 0) < 1:
                await node.changed({}, 1.0)
                await node.settle()
        # Both have found it before either was told of the other's.
        found = [mine._look("calls/0", 0, 1)[0], theirs._look("calls/0", 0, 1)[0]]
        assert [f.id for f in found[0]] == [f.id for f in found[1]]
        answers = [
            await node.propose_many([p._draft(f) for f in each])
            for node, p, each in ((one, mine, found[0]), (two, theirs, found[1]))
        ]
        assert not any(isinstance(a.verdict, Fork) for each in answers for a in each)
        await looked(mine)
        await looked(theirs)
        await one.settle()
        await two.settle()
        assert len(items(one)) == len(items(two)) == 2
        assert_same_digests(one, two)


@story
async def test_a_restart_opens_nothing_again_and_looks_only_at_what_is_new(tmp_path: Path) -> None:
    async with opened(sqlite_settings(tmp_path)) as node:
        await node.propose_many([odd_call()])
        await looked(process(node, tmp_path))
        before = node.judged()
        again = process(node, tmp_path)
        assert again._seen["calls/0"] == 1
        await looked(again)
        for kept in ("", "nonsense", '{"seen": {"calls/0": 99}, "forks": {}}'):
            (tmp_path / "reviews.seen").write_text(kept)  # lost, damaged, or of another log
            await looked(process(node, tmp_path))
        assert node.judged() == before
        await node.propose_many([odd_call("late", "call/x/2")])
        await looked(again)
        assert len(items(node)) == 4


@story
async def test_a_node_that_has_not_read_the_log_to_its_end_proposes_nothing(tmp_path: Path) -> None:
    class Ahead(MemoryLog):
        """Somebody has appended what has not come here yet."""

        ahead = 0

        async def end(self) -> int:
            return await super().end() + self.ahead

    store = MemoryStore()
    store._shards["centre", 0] = log = Ahead()
    settings = sqlite_settings(tmp_path, log="memory:", store=store, secret=SECRET)
    async with opened(settings) as node:
        await node.propose_many([odd_call()])
        reviewing = process(node, tmp_path)
        log.ahead = 1
        await node.settle()
        with pytest.raises(Unavailable):
            await reviewing.step()
        assert items(node) == []
        log.ahead = 0
        await looked(reviewing)
        assert len(items(node)) == 2


@story
async def test_a_case_is_told_with_its_owner_and_whether_it_is_protected(tmp_path: Path) -> None:
    async with opened(sqlite_settings(tmp_path)) as node:
        registered = CaseRegistered("TK-1", "TK", "anna", "phone")
        closed = CaseClosed("solved", "anna")
        await node.propose_many([fact("case", CASE, registered, closed)])
        await looked(process(node, tmp_path))
        await node.propose_many([fact("more", CASE, CaseProtected("olle", protected=True), closed)])
        await looked(process(node, tmp_path))
        found = items(node)
        assert [(i.authority, i.protected, i.reason) for i in found] == [
            ("TK", False, "closed without a type"), ("TK", True, "closed after it was closed"),
        ]  # fmt: skip


@story
async def test_one_id_for_two_things_is_an_item_and_once_however_many_copies(
    tmp_path: Path,
) -> None:
    async with opened(sqlite_settings(tmp_path)) as node:
        first = odd_call("twice", "call/x/9")
        other = replace(first, asking="something else")
        answers = await node.propose_many([first, other, other])
        assert [isinstance(a.verdict, Fork) for a in answers] == [False, True, True]
        await looked(process(node, tmp_path))
        await looked(process(node, tmp_path))
        forks = [item for item in items(node) if item.kind == "fork"]
        (fork,) = forks
        assert (fork.about, fork.event, fork.version) == ("call/x/9", "call.queued", None)
        assert fork.offset is not None
        assert str(first.id) in fork.reason


@pytest.mark.requirement("R55")
@story
async def test_an_item_holds_nothing_of_a_person_and_its_note_goes_with_the_case(
    tmp_path: Path,
) -> None:
    async with opened(sqlite_settings(tmp_path)) as node:
        registered = CaseRegistered("TK-1", "TK", "anna", "phone")
        closed = CaseClosed("solved", "anna")
        await node.propose_many([odd_call(), fact("case", CASE, registered, closed)])
        await looked(process(node, tmp_path))
        told = json.dumps([vars(item) for item in items(node)])
        for word in (NAME, NUMBER, SECRET.caller_ref(NUMBER)):
            assert word not in told
        item = str(review_id(CASE, 2))
        application = Application(node, city)
        by = officer("TK")
        await application.handle(
            CloseCaseReview(
                id=an_id("close"),
                now=T0,
                actor=by.id,
                asker=by,
                review=item,
                outcome="corrected",
                note=Personal("Karin Karlsson ringde", CASE),
            )
        )
        await node.settle()
        raw = sqlite3.connect(tmp_path / "log.db").execute("SELECT * FROM record_1").fetchall()
        assert b"Karlsson" not in repr(raw).encode()
        assert _note(node, item) == Personal("Karin Karlsson ringde", CASE)
        decided = ErasureDecided(CASE, "rule")
        await node.propose_many([fact("erase", erasure_stream("TK"), decided)])
        assert await node.apply_erasures() > 0
        assert not isinstance(_note(node, item), Personal)


def _note(node: Node, item: str) -> Any:
    closed = node.load(review_stream(item))[-1].event
    assert isinstance(closed, ReviewClosed)
    return closed.note


@story
async def test_what_goes_wrong_is_told_and_tried_again(tmp_path: Path) -> None:
    async with opened(sqlite_settings(tmp_path)) as node:
        unknown = fact("unknown", CALL, CallQueued("avfall", "tnh_avfall"))
        await node.propose_many([unknown, odd_call("other", "call/x/2")])
        reviewing = process(node, tmp_path)
        with capture_logs() as logs:
            await looked(reviewing)
        assert [log["event"] for log in logs] == ["reviews.opened"]
        assert logs[0]["count"] == 2
        assert NAME not in json.dumps(logs)
