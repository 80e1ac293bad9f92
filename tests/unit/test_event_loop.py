"""Which event loop and reader of HTTP a node runs on."""

from __future__ import annotations

import asyncio

import pytest
import uvloop

from kontaktcenter import event_loop


@pytest.mark.parametrize(
    ("log", "fast"),
    [
        ("kafka://127.0.0.1:9092/city", True),
        ("kafka://127.0.0.1:9092/city?client=aiokafka", True),
        ("kafka://127.0.0.1:9092/city?client=kafka-python", False),
        ("sqlite:log.db", False),
        ("memory:", False),
    ],
)
def test_the_quicker_loop_is_taken_with_the_client_that_runs_on_it(log: str, *, fast: bool) -> None:
    async def kind() -> bool:
        return isinstance(asyncio.get_running_loop(), uvloop.Loop)

    assert event_loop.run(kind(), log) is fast
    assert event_loop.is_fast(log) is fast


def test_without_the_extra_a_node_on_kafka_runs_on_the_standard_librarys_loop(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(event_loop, "find_spec", lambda _name: None)
    assert event_loop.loop_factory("kafka://127.0.0.1:9092/city?client=aiokafka") is None
