"""The two clients themselves: a producer that is broken for good is replaced, and left behind."""

from __future__ import annotations

import asyncio
import inspect
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
from kafka.future import Future
from kafka_kinds import CLIENTS, kafka_settings, opened, read_all, topic_for
from log_world import story
from project import ROOT

from core.eventlog.kafka_log import classic, fast
from core.eventlog.kafka_log.client import Away, Doubtful
from core.limits import KAFKA_PACKED_BYTES_MIN

if TYPE_CHECKING:
    from core.eventlog.kafka_log import KafkaSettings


@pytest.fixture(params=CLIENTS)
def settings(request: pytest.FixtureRequest) -> KafkaSettings:
    return kafka_settings(request, request.param)


class Hanging:
    """A producer that takes records and never says what became of them."""

    def __init__(self) -> None:
        self.closed = False

    def partitions_for(self, topic: str) -> set[int]:
        return {0}

    def send(self, topic: str, body: bytes, partition: int) -> Any:
        return Future()

    def close(self, timeout: float) -> None:
        self.closed = True


class HangingFast(Hanging):
    async def send(self, topic: str, body: bytes, partition: int) -> Any:
        return asyncio.get_running_loop().create_future()

    async def stop(self) -> None:
        self.closed = True


def writer_of(client: Any) -> Any:
    """What holds the producer of short records."""
    return client if client.name == "kafka-python" else client._plain


@pytest.mark.kafka
@story
async def test_a_producer_that_does_not_keep_its_own_time_is_replaced(
    settings: KafkaSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (classic, fast):
        monkeypatch.setattr(module, "KAFKA_DELIVERY_S_MAX", 0.3)
    async with opened(settings) as store:
        log = await store.open_shard("centre", 0)
        await log.append(b"one")
        client: Any = store.client
        writer, topic = writer_of(client), topic_for(settings)
        old = writer._producer
        hanging = Hanging() if client.name == "kafka-python" else HangingFast()
        writer._producer = hanging
        with pytest.raises(Doubtful):
            await client.append(topic, 0, b"lost", 0.2)
        while not hanging.closed:  # noqa: ASYNC110 -- in a thread, or a task of its own
            await asyncio.sleep(0.02)
        large = b"two" * KAFKA_PACKED_BYTES_MIN  # by the other producer, where there are two
        assert await log.append(large) == 1
        assert await log.append(b"three") == 2
        assert writer._producer not in {old, hanging}
        assert await read_all(log) == [b"one", large, b"three"]
        stopped = old.close(timeout=1) if client.name == "kafka-python" else old.stop()
        if inspect.isawaitable(stopped):
            await stopped


@pytest.mark.kafka
@story
async def test_a_producer_that_was_closed_behind_our_back_is_replaced(
    settings: KafkaSettings,
) -> None:
    async with opened(settings) as store:
        log = await store.open_shard("centre", 0)
        await log.append(b"one")
        client: Any = store.client
        if client.name == "kafka-python":
            await asyncio.to_thread(client._producer.close, timeout=1)
        else:
            await writer_of(client)._producer.stop()
        with pytest.raises((Away, Doubtful)):
            await client.append(topic_for(settings), 0, b"lost", 5)
        assert await log.append(b"two") == 1
        assert await read_all(log) == [b"one", b"two"]


@pytest.mark.kafka
@story
async def test_a_client_that_is_closed_takes_nothing_more(settings: KafkaSettings) -> None:
    async with opened(settings) as store:
        log = await store.open_shard("centre", 0)
        await log.append(b"one")
    with pytest.raises(Away):
        await store.client.append(topic_for(settings), 0, b"late", 2)


def test_a_town_on_sqlite_never_loads_a_client_of_kafka() -> None:
    code = (
        "import sys\n"
        "import kontaktcenter.cli, kontaktcenter.wiring, core.eventlog.recorder\n"
        "from core.eventlog.node import Node\n"
        "print(sorted({'kafka', 'aiokafka'} & set(sys.modules)))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"
