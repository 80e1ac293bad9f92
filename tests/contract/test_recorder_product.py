"""Our own streams through the library: from a command over HTTP to the log's rows."""

from __future__ import annotations

import asyncio
import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from uuid import UUID

import pytest
from given import city, staff
from web_house import WebHouse, in_house

from core.calls import CallQueued
from core.commit import Draft, Happened, Recorded
from core.eventlog.node import Node, NodeSettings
from core.eventlog.product import ProductRecorder, product_events
from core.personal import Personal

if TYPE_CHECKING:
    from pathlib import Path
    from types import FrameType

T0 = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
CALL = "call/desk/1"
WATCHED = {
    "Application.handle", "Repository.get", "EventStore.get", "ProductRecorder.select_events",
    "ShardState.stream", "EventMapper.to_domain_event", "evolve", "decide", "Node.propose",
    "ShardState.judge_commits",
}  # fmt: skip


class Way:
    """The functions that a piece of work goes through, in the order of their first calls."""

    def __init__(self) -> None:
        self.names: list[str] = []

    def __enter__(self) -> Way:
        sys.setprofile(self._called)
        return self

    def __exit__(self, *_: object) -> None:
        sys.setprofile(None)

    def _called(self, frame: FrameType, event: str, _: Any) -> None:
        name = frame.f_code.co_qualname
        if event == "call" and name in WATCHED and name not in self.names:
            self.names.append(name)


@pytest.mark.requirement("R1")
@in_house()
async def test_a_command_over_http_loads_through_the_library_on_our_module(
    house: WebHouse,
) -> None:
    desk = house.as_(staff())
    body = {"authority": "TK", "title": "Lampa", "caller": "0700000001"}
    registered = await desk.post("/api/v1/cases", json=body, headers={"Idempotency-Key": "k1"})
    path = f"/api/v1/cases/TK/{registered.json()['case']}/categorise"
    types = city().rows("case_type").items()
    of_tk = next(code for code, row in types if row["authority"] == "TK")
    with Way() as way:
        answer = await desk.post(path, json={"case_type": of_tk}, headers={"Idempotency-Key": "k2"})
    assert answer.status_code == 200, answer.text
    assert answer.json()["events"] == ["case.categorised"]
    assert way.names == [
        "Application.handle", "Repository.get", "EventStore.get", "ProductRecorder.select_events",
        "ShardState.stream", "EventMapper.to_domain_event", "evolve", "decide", "Node.propose",
        "ShardState.judge_commits",
    ]  # fmt: skip


def queued(n: int, *versions: int) -> Draft:
    events = tuple(
        Happened(
            CALL, CallQueued("avfall", "tnh_avfall", caller=Personal("0700000001", "c")), T0, v
        )
        for v in versions
    )
    return Draft(UUID(int=n), str(n), "anna", "desk", events)


def with_node(tmp_path: Path, work: Any) -> None:
    async def whole() -> None:
        node = await Node.open(NodeSettings("memory:", tmp_path, lambda: T0))
        try:
            await work(node)
        finally:
            await node.close()

    asyncio.run(whole())


def test_the_recorder_reads_what_the_port_recorded_also_before_it_is_indexed(
    tmp_path: Path,
) -> None:
    async def work(node: Node) -> None:
        await node.propose(queued(1, 1, 2))
        await node.propose(queued(2, 3))
        events = product_events(node)
        for _ in range(2):
            found: list[Any] = list(events.get(CALL))
            assert found == list(node.load(CALL))
            assert all(isinstance(one, Recorded) for one in found)
            assert [one.version for one in events.get(CALL, gt=1, lte=2)] == [2]  # type: ignore[attr-defined]
            assert [one.version for one in events.get(CALL, desc=True, limit=2)] == [3, 2]  # type: ignore[attr-defined]
            await node.settle()

    with_node(tmp_path, work)


def test_a_stream_or_a_book_never_seen_is_empty(tmp_path: Path) -> None:
    async def work(node: Node) -> None:
        recorder = ProductRecorder(node)
        assert recorder.select_events(CALL) == []
        assert recorder.select_events("case/TK/1") == []

    with_node(tmp_path, work)


def test_our_own_commits_go_through_the_port(tmp_path: Path) -> None:
    async def work(node: Node) -> None:
        with pytest.raises(AssertionError, match="proposed through the port"):
            ProductRecorder(node).insert_events([])

    with_node(tmp_path, work)
