"""One command followed from HTTP to the log.

Loaded through the library's repository on our module.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, ClassVar

import web_house
from eventsourcing.persistence import EventStore, StoredEvent
from web_house import AUTH, EXCHANGE, WebHouse, fact

from core.calls import CallAnswered
from core.catalogue import EVENTS
from core.eventlog import codec
from core.eventlog.product import ProductRecorder
from core.eventlog.recorder.mapper import EventMapper
from core.limits import SNAPSHOT_EVERY_VERSIONS

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

    import pytest

    from core.eventlog.node import Node

CALL = f"call/{EXCHANGE}/1700000000.1"
SHIFT = "shift/desk/anna/2026-11-22"


class Watched(ProductRecorder):
    """The product's recorder, which notes what the library asks it and gets."""

    asked: ClassVar[list[tuple[str, int | None, list[str]]]] = []

    def select_events(self, originator_id: Any, **given: Any) -> Any:
        found: Any = super().select_events(originator_id, **given)
        assert all(type(stored) is StoredEvent for stored in found)
        self.asked.append((str(originator_id), given.get("gt"), [s.topic for s in found]))
        return found


def follow(
    work: Callable[[WebHouse], Awaitable[None]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def watched(node: Node) -> EventStore[str]:
        return EventStore(EventMapper(node.keyring.by_id), Watched(node))

    async def run() -> None:
        async with web_house.web_house(tmp_path) as house:
            await work(house)

    monkeypatch.setattr(web_house, "product_events", watched)
    Watched.asked.clear()
    asyncio.run(run())


async def post(house: WebHouse, path: str, key: str, body: dict[str, Any]) -> Any:
    headers = {**AUTH, "Idempotency-Key": key}
    answer = await house.client.post(f"/api/v1{path}", json=body, headers=headers)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def talk(house: WebHouse) -> None:
    told = await house.results(
        fact("queued"),
        fact("answered", member="a1"),
        fact("ended", member="a1", data={"by": "caller"}),
    )
    assert [one["status"] for one in told] == ["accepted"] * 3


def test_a_command_is_decided_on_what_the_repository_read_from_the_log(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def work(house: WebHouse) -> None:
        await talk(house)
        path = f"/calls/{EXCHANGE}/1700000000.1/wrap-up"
        answer = await post(house, path, "k1", {"agent": "a1", "outcome": "solved"})
        assert answer["events"] == ["call.wrapped_up"]
        assert Watched.asked == [(CALL, None, ["call.queued", "call.answered", "call.ended"])]
        last = house.node.load(CALL)[-1]
        assert (last.version, last.shard, last.position) == (4, answer["shard"], answer["position"])

    follow(work, tmp_path, monkeypatch)


class AnsweredInSchema2(CallAnswered):
    """A later form of the event: agents by their names instead of the exchange's own."""

    SCHEMA: ClassVar[int] = 2

    @staticmethod
    def upcast_v1_v2(data: dict[str, object]) -> dict[str, object]:
        return {**data, "agent": {"a1": "anna"}[str(data["agent"])]}


def test_a_command_is_decided_on_old_events_in_their_present_form(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def work(house: WebHouse) -> None:
        await talk(house)
        later = {**EVENTS, CallAnswered.TOPIC: AnsweredInSchema2}
        monkeypatch.setattr(codec, "EVENTS", later)  # as if the program had been upgraded here
        path = f"/calls/{EXCHANGE}/1700000000.1/wrap-up"
        answer = await post(house, path, "k1", {"agent": "anna", "outcome": "solved"})
        assert answer["events"] == ["call.wrapped_up"], "anna had a part in the call"

    follow(work, tmp_path, monkeypatch)


def test_a_command_on_a_long_stream_is_decided_from_its_snapshot(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def work(house: WebHouse) -> None:
        path = f"/{SHIFT.replace('shift', 'shifts', 1)}"
        await post(house, f"{path}/sign-on", "k0", {"groups": ["tnh_avfall"]})
        for n in range(SNAPSHOT_EVERY_VERSIONS + 3):
            reason = ("rast", "lunch")[n % 2]
            await post(house, f"{path}/pause", f"p{n}", {"reason": reason})
        stream, after, topics = Watched.asked[-1]
        assert (stream, after) == (SHIFT, SNAPSHOT_EVERY_VERSIONS)
        assert len(topics) < SNAPSHOT_EVERY_VERSIONS
        answer = await post(house, f"{path}/pause", "last", {"reason": "rast"})
        assert answer["status"] == "nothing_to_do", "the state is that of the whole stream"

    follow(work, tmp_path, monkeypatch)
