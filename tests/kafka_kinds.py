"""Logs on a real Kafka for suites that run on every kind of log, through both clients."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from core.eventlog.kafka_log import KafkaSettings, parse_address, topic_of
from core.eventlog.kafka_log.admin import ensure_topics
from core.eventlog.kafka_log.store import KafkaStore

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from core.eventlog.kafka_log.shard_log import KafkaLog
    from deploy.kafka_lab import SharedBroker

CLIENTS = ("kafka-python", "aiokafka")
KAFKA_KINDS = [pytest.param(client, marks=pytest.mark.kafka) for client in CLIENTS]


def kafka_settings(request: pytest.FixtureRequest, client: str, **changes: Any) -> KafkaSettings:
    """Settings for a log of this test's own on the run's broker; its topics go with the test."""
    broker: SharedBroker = request.getfixturevalue("kafka_broker")
    prefix: str = request.getfixturevalue("kafka_prefix")
    return replace(settings_on(broker.servers, prefix, client), **changes)


def settings_on(servers: str, prefix: str, client: str) -> KafkaSettings:
    """Settings for a log of tests: missing topics are made."""
    address = parse_address(f"kafka://{servers}/{prefix}?client={client}")
    return KafkaSettings(address, create="unsafe")


async def made_store(
    settings: KafkaSettings, books: Mapping[str, int] | None = None, **options: Any
) -> KafkaStore:
    """A store, with topics made beforehand where a number of shards matters."""
    if books:
        await asyncio.to_thread(ensure_topics, settings, books)
    return KafkaStore(settings, **options)


@asynccontextmanager
async def opened(settings: KafkaSettings, **options: Any) -> AsyncIterator[KafkaStore]:
    """A store that closes in its time."""
    store = await made_store(settings, **options)
    try:
        yield store
    finally:
        async with asyncio.timeout(5):
            await store.close()


async def written(log: KafkaLog, count: int, start: int = 0) -> None:
    """Append the numbers from `start` on, each at the offset of its number."""
    for n in range(start, start + count):
        assert await log.append(b"%d" % n) == n


async def read_all(log: KafkaLog, offset: int = 0) -> list[bytes]:
    """All bodies from `offset` on."""
    found: list[bytes] = []
    while records := await log.read(offset + len(found), 100, 0):
        found += [record.body for record in records]
    return found


def topic_for(settings: KafkaSettings, book: str = "centre") -> str:
    """The topic of a book."""
    return topic_of(settings.address.prefix, book)
