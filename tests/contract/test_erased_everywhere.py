"""An erasure on several nodes: each does its own part, and it is complete when all have told."""

from __future__ import annotations

import asyncio
import contextlib
from datetime import timedelta
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest
from keys_world import keys_settings, quickly_compacted
from log_world import SECRET as CITY
from log_world import story
from privacy_world import (
    SECRET,
    WHY,
    add_file,
    close,
    closed_case,
    opened_case,
    post,
    registrar,
    texts,
)
from web_house import NOON, WebHouse, web_house

from core.commit import Draft, Happened
from core.erasure import ErasureCompleted
from core.eventlog.node import NodeSettings
from core.eventlog.nodes import KnownNode, evolve
from core.nodes import (
    NodeErasuresCarriedOut,
    NodeJoined,
    NodeRetired,
    NodeReturned,
    node_stream,
)
from core.personal import ERASED, Personal

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from deploy.kafka_lab import SharedBroker

pytestmark = pytest.mark.kafka

ERASED_TEXT = "Exempel Exempelssons granne hörde det"


@contextlib.asynccontextmanager
async def a_house(
    broker: SharedBroker, prefix: str, folder: Path, name: str
) -> AsyncIterator[WebHouse]:
    """One node of several, with all around it."""
    (folder / "data").mkdir(parents=True, exist_ok=True)
    settings = NodeSettings(
        f"kafka://{broker.servers}/{prefix}", folder / "data", lambda: NOON, secret=CITY,
        kafka=keys_settings(broker.servers, prefix), name=name,
        protected_file=folder / "data" / "protected.key",
    )  # fmt: skip
    protected = folder / "data" / "protected.key"
    if not protected.exists():
        protected.write_text("ab" * 32 + "\n")
        protected.chmod(0o600)
    async with web_house(folder, settings=settings) as house:
        # Topics that are being made may take longer than an island waits: it comes later then.
        for _ in range(600):
            if house.privacy.around.directory().authority("TK") is not None:
                break
            await asyncio.sleep(0.05)
        await house.caught_up()
        yield house


async def reached(*houses: WebHouse) -> None:
    """All nodes have judged what the log holds."""
    for _ in range(600):
        ends = [
            {name: await house.node.shard(name).log.end() for name in house.node.shards()}
            for house in houses
        ]
        positions = [house.node.judged() for house in houses]
        if all(at == positions[0] for at in positions) and all(e == ends[0] for e in ends):
            for house in houses:
                await house.caught_up()
            return
        await asyncio.sleep(0.05)
    raise AssertionError(f"the nodes stand apart: {positions}")


async def erase(house: WebHouse, case: str) -> dict[str, Any]:
    async with house.as_(registrar()) as client:
        answer = await post(client, "erasures", authority="TK", cases=[case], **WHY)
        assert answer.status_code == 200, answer.text
        told: dict[str, Any] = answer.json()
        return told


async def protocol(house: WebHouse, number: str) -> dict[str, Any]:
    async with house.as_(registrar()) as client:
        told: dict[str, Any] = (await client.get(f"/api/v1/erasures/{number}")).json()
        return told


@story
async def test_an_erasure_is_complete_when_every_node_has_done_its_part(
    kafka_broker: SharedBroker, kafka_prefix: str, tmp_path: Path
) -> None:
    quickly_compacted(kafka_broker, kafka_prefix)
    async with (
        a_house(kafka_broker, kafka_prefix, tmp_path / "a", "Norr") as a,
        a_house(kafka_broker, kafka_prefix, tmp_path / "b", "Söder") as b,
    ):
        case = await opened_case(a)
        address = (await add_file(a, case)).json()["address"]
        await close(a, case)
        await reached(a, b)
        assert all(isinstance(text, Personal) for text in texts(b, case))

        told = await erase(b, case)
        await reached(a, b)
        number = told["number"]
        assert told["complete"] is False
        assert "nodes" in told["waiting_for"]
        assert [n["name"] for n in told["nodes"] if n["carried_out_at"] is None] == ["Norr"]
        assert set(texts(a, case)) == {ERASED}, "its key is gone from the topic already"
        assert a.privacy.around.store.path(address).is_file()

        assert await a.privacy.erasures.carry_out() == []
        assert not a.privacy.around.store.path(address).exists()
        await reached(a, b)
        for _ in range(200):
            told = await protocol(b, number)
            if told["complete"]:
                break
            assert told["waiting_for"] == ["compaction"]
            assert told["compaction_s"] == 0.5
            await asyncio.sleep(0.2)
        assert told["complete"], told
        assert [n["name"] for n in told["nodes"]] == ["Norr", "Söder"]
        assert all(n["carried_out_at"] for n in told["nodes"])
        assert told["completed_at"] is None
        assert await b.privacy.erasures.everywhere.complete() == [number]
        await reached(a, b)
        assert await a.privacy.erasures.everywhere.complete() == []
        assert (await protocol(a, number))["completed_at"] is not None
        events = [r.event for r in a.node.load("erasure/TK")]
        assert [e for e in events if isinstance(e, ErasureCompleted)] == [
            ErasureCompleted(number, 2)
        ]
        assert a.node.digests() == b.node.digests()


@story
async def test_a_node_that_was_away_carries_it_out_when_it_comes_back(
    kafka_broker: SharedBroker, kafka_prefix: str, tmp_path: Path
) -> None:
    async with a_house(kafka_broker, kafka_prefix, tmp_path / "a", "Norr") as a:
        cases = [await closed_case(a, text=text) for text in (ERASED_TEXT, SECRET)]
        async with a_house(kafka_broker, kafka_prefix, tmp_path / "b", "Söder") as b:
            await reached(a, b)
        number = (await erase(a, cases[0]))["number"]
        told = await protocol(a, number)
        assert (told["complete"], "nodes" in told["waiting_for"]) == (False, True)
        copy = tmp_path / "b" / "data" / "keys.db"
        assert copy.exists()
        async with a_house(kafka_broker, kafka_prefix, tmp_path / "b", "Söder") as b:
            await reached(a, b)
            assert set(texts(b, cases[0])) == {ERASED}
            await b.privacy.erasures.carry_out()
            await reached(a, b)
            assert all(isinstance(text, Personal) for text in texts(b, cases[1]))
            told = await protocol(a, number)
            assert all(n["carried_out_at"] for n in told["nodes"])
            assert told["waiting_for"] == ["compaction"]
            files = [path for path in (tmp_path / "b").rglob("*") if path.is_file()]
            assert [p for p in files if ERASED_TEXT.encode() in p.read_bytes()] == []


@story
async def test_a_node_that_never_comes_back_is_told_of_after_a_day_until_it_is_retired(
    kafka_broker: SharedBroker, kafka_prefix: str, tmp_path: Path
) -> None:
    quickly_compacted(kafka_broker, kafka_prefix)
    async with a_house(kafka_broker, kafka_prefix, tmp_path / "a", "Norr") as a:
        async with a_house(kafka_broker, kafka_prefix, tmp_path / "b", "Söder") as b:
            await reached(a, b)
            gone = b.privacy.erasures.everywhere.here
        everywhere = a.privacy.erasures.everywhere
        case = await closed_case(a)
        number = (await erase(a, case))["number"]
        assert await everywhere.complete() == []
        assert len(everywhere.late) == 0
        assert "erasures" not in await degraded(a)
        a.clock.forward(24 * 3600 + 1)
        assert await everywhere.complete() == []
        (late,) = everywhere.late
        assert late["number"] == number
        assert [n["name"] for n in late["nodes"] if n["carried_out_at"] is None] == ["Söder"]
        assert "erasures" in await degraded(a)

        event = NodeRetired("Skrotad")
        assert gone is not None
        fact = Happened(node_stream(gone), event, a.clock())
        await a.node.propose(Draft(uuid4(), "retired", "operator", "process:nodes", (fact,)))
        for _ in range(300):
            await everywhere.complete()
            if len(everywhere.late) == 0:
                break
            await asyncio.sleep(0.1)
        assert "erasures" not in await degraded(a)
        told = await protocol(a, number)
        assert told["complete"]
        assert [n["name"] for n in told["nodes"]] == ["Norr"]


async def degraded(house: WebHouse) -> list[str]:
    answer = (await house.nobody().get("/readyz")).json()
    return [part["part"] for part in answer["degraded"]]


def test_a_node_that_tells_of_itself_after_it_was_retired_is_waited_for_again() -> None:
    node = KnownNode("1", NOON, "Norr")
    retired = evolve(node, NodeRetired("Skrotad"), NOON)
    assert (retired.retired_at, retired.retired_why) == (NOON, "Skrotad")
    for event in (NodeErasuresCarriedOut(7), NodeReturned("x", 1.0, 0), NodeJoined("Norr")):
        assert evolve(retired, event, NOON).retired_at is None


def test_a_node_has_carried_out_what_stands_before_what_it_told_of() -> None:
    later = NOON + timedelta(hours=1)
    node = evolve(KnownNode("1", NOON), NodeErasuresCarriedOut(7), NOON)
    node = evolve(node, NodeErasuresCarriedOut(9), later)
    assert [node.erased_at_of(n) for n in (6, 7, 8, 9, 10)] == [NOON, NOON, later, later, None]
