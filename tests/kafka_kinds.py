"""Logs on a real Kafka for suites that run on every kind of log, through both clients."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from core.eventlog.kafka_log import KafkaSettings, parse_address
from core.eventlog.kafka_log.admin import ensure_topics
from core.eventlog.kafka_log.store import KafkaStore

if TYPE_CHECKING:
    from collections.abc import Mapping

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
