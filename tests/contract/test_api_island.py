"""A node that is cut off, as programs and people meet it: facts, looks, the board, `/readyz`."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from cut_log import Wire
from import_world import DIRECTORY
from island_world import cut_settings, island_of, node_on, returned, until
from log_world import story
from web_house import EXCHANGE, NOON, WebHouse, fact, web_house

from core.access import Asker, Purpose
from core.eventlog.memory_log import MemoryStore
from core.eventlog.product import product_events
from core.looks import Look, Seen, verify
from core.read_log import ChainedReadLog
from telephony.importer import Importer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

S = timedelta(seconds=1)
CALL = f"call/{EXCHANGE}/1700000000.1"


@asynccontextmanager
async def house_on(folder: Path, wire: Wire) -> AsyncIterator[WebHouse]:
    settings = cut_settings(folder / "data", MemoryStore(), wire)
    async with web_house(folder, settings=settings) as house:
        await house.results(fact("offered", NOON - 60 * S, channel="phone"))
        await until(lambda: len(house.node.load(f"node/{island_of(house.node).node}")) == 1)
        yield house


@pytest.mark.requirement("R3")
@story
async def test_facts_are_answered_kept_and_numbered_by_what_is_kept_too(tmp_path: Path) -> None:
    wire = Wire()
    async with house_on(tmp_path, wire) as house:
        await house.results(fact("queued"))
        wire.cut("hangs")
        (first,) = await house.results(fact("queued", NOON + 60 * S))
        assert (first["status"], first["durability"], first["position"]) == ("kept", "local", None)
        (again,) = await house.results(fact("queued", NOON + 60 * S))
        (later,) = await house.results(fact("queued", NOON + 90 * S))
        assert (again["status"], again["commit_id"]) == ("kept", first["commit_id"])
        assert later["status"] == "kept"
        assert len({first["commit_id"], later["commit_id"]}) == 2
        (known,) = await house.results(fact("queued"))
        assert (known["status"], known["durability"]) == ("duplicate", "log")
        wire.mend()
        await returned(house.node)
        (known,) = await house.results(fact("queued", NOON + 90 * S))
        assert (known["status"], known["commit_id"]) == ("duplicate", later["commit_id"])
        queued = [r for r in house.node.load(CALL) if r.event.TOPIC == "call.queued"]
        assert [r.occurred_at for r in queued] == [NOON, NOON + 60 * S, NOON + 90 * S]


@story
async def test_readyz_and_the_board_say_it_in_words_after_some_seconds(tmp_path: Path) -> None:
    wire = Wire()
    async with house_on(tmp_path, wire) as house:
        await house.caught_up()
        ready = (await house.client.get("/readyz")).json()
        assert ready["island"] is None
        wire.cut("fails")
        await house.results(*(fact("queued", NOON + n * S, uniqueid=f"{n}.1") for n in range(12)))
        body = (await house.client.get("/api/v1/queues")).json()
        assert body["island"] is None  # a change of leader takes as long
        house.clock.forward(30)
        await asyncio.sleep(0.1)
        ready = (await house.client.get("/readyz")).json()
        assert ready["status"] == "degraded"
        assert ready["island"]["cut_off"] is True
        assert ready["island"]["kept"] >= 12
        (told,) = [part["detail"] for part in ready["degraded"] if part["part"] == "island"]
        assert "calls/0" in told
        page = (await house.client.get("/?lang=sv")).text
        notice = page.partition('id="island" role="status">')[2].partition("</p>")[0]
        assert notice.startswith("Avskuren från loggen sedan ")
        assert f". {ready['island']['kept']} uppgifter är sparade på den här noden" in notice
        wire.mend()
        await returned(house.node)
        await asyncio.sleep(0.1)
        page = (await house.client.get("/?lang=sv")).text
        assert 'id="island" role="status" hidden></p>' in page
        assert (await house.client.get("/readyz")).json()["island"] is None


@story
async def test_figures_of_a_node_that_is_cut_off_grow_old(tmp_path: Path) -> None:
    wire = Wire()
    async with house_on(tmp_path, wire) as house:
        await house.caught_up()
        feed = house.app.state.feed
        wire.cut("hangs")
        await house.results(fact("queued"))
        assert island_of(house.node).cut_off
        ages = []
        for _ in range(2):
            await asyncio.sleep(0.1)
            ages.append((await feed.now()).state["age_s"])
        assert 0 < ages[0] < ages[1]


@pytest.mark.requirement("R52")
@story
async def test_looks_go_on_in_their_chain_and_a_start_finds_its_kept_end(tmp_path: Path) -> None:
    store, wire = MemoryStore(), Wire()
    anna = Asker("anna")

    async def look(node_log: ChainedReadLog, *cases: str) -> None:
        await node_log.record(anna, "read_case", Purpose.CASEWORK, [Seen(case) for case in cases])

    node = await node_on(tmp_path / "a", store, wire)
    log = ChainedReadLog(node, product_events(node), node.settings.clock, "a", "1")
    await look(log, "case/TK/1", "case/TK/2")
    wire.cut("lands")
    await look(log, "case/TK/3")
    await look(log, "case/TK/4")
    await log.close()
    await node.close()
    node = await node_on(tmp_path / "a", store, wire)
    log = ChainedReadLog(node, product_events(node), node.settings.clock, "a", "2")
    await look(log, "case/TK/5")
    wire.mend()
    await returned(node)
    await look(log, "case/TK/6")
    found = node.load("look/a")
    assert [r.event.case for r in found] == [f"case/TK/{n}" for n in range(1, 7)]  # type: ignore[attr-defined]  # looks alone
    made = [Look(r.stream, r.version, r.occurred_at, r.event) for r in found]  # type: ignore[arg-type]  # likewise
    assert verify(made).faults == []
    await log.close()
    await node.close()


@story
async def test_an_importer_goes_on_and_a_second_run_knows_what_was_kept(tmp_path: Path) -> None:
    wire = Wire()
    async with house_on(tmp_path, wire) as house:
        rows = [
            b"1795321177|7.1|avfall|NONE|ENTERQUEUE||0700000001|1",
            b"1795321180|7.1|avfall|NONE|ABANDON|1|1|3",
            b"1795321190|7.1|avfall|NONE|ENTERQUEUE||0700000001|1",
        ]
        wire.cut("fails")
        importer = Importer(house.node, "huvud", DIRECTORY)
        await importer.take("q", 1, rows[:2])
        await importer.settle()
        await importer.close()
        assert (importer.report.kept, importer.report.facts) == (2, 0)
        second = Importer(house.node, "huvud", DIRECTORY)
        await second.take("q", 1, rows)
        await second.settle()
        await second.close()
        assert (second.report.kept, second.report.already_known) == (1, 2)
        wire.mend()
        await returned(house.node)
        found = house.node.load("call/huvud/7.1")
        assert [r.event.TOPIC for r in found] == ["call.queued", "call.abandoned", "call.queued"]
        third = Importer(house.node, "huvud", DIRECTORY)
        await third.take("q", 1, rows)
        await third.settle()
        await third.close()
        assert (third.report.kept, third.report.already_known) == (0, 3)
