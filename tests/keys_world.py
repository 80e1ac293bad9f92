"""Books of keys on a real Kafka, for tests."""

from __future__ import annotations

import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from confluent_kafka import Consumer, Producer, TopicPartition

from core.eventlog.kafka_log.address import KafkaAddress, KafkaSettings
from core.eventlog.kafka_log.keys import KafkaKeys, open_keys
from core.eventlog.kafka_log.topics import settings_of
from core.vocabulary import KEYS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from deploy.kafka_lab import SharedBroker

QUICK = {
    "max.compaction.lag.ms": "500",
    "segment.ms": "500",
    "file.delete.delay.ms": "500",  # a compacted file lies there for a minute else
    "min.cleanable.dirty.ratio": "0.001",
}


def keys_settings(servers: str, prefix: str) -> KafkaSettings:
    """Where the keys of a test are; the topic is made by whoever opens them first."""
    return KafkaSettings(KafkaAddress((servers,), prefix), create="unsafe")


def quickly_compacted(broker: SharedBroker, prefix: str) -> str:
    """A topic of keys as in production, but for the time that compaction takes; its name."""
    name = f"{prefix}.{KEYS}"
    made = settings_of(KEYS, 1)
    made.pop("min.insync.replicas")
    broker.create_topic(name, 1, **(made | QUICK))
    return name


@contextmanager
def keys_of(settings: KafkaSettings, folder: Path) -> Iterator[KafkaKeys]:
    """The keys of one node, closed at the end."""
    folder.mkdir(parents=True, exist_ok=True)
    book = open_keys(settings, folder)
    try:
        yield book
    finally:
        book.close()


def until(true: Callable[[], bool], what: str, within_s: float = 30.0) -> None:
    """Wait until something is so."""
    end = time.monotonic() + within_s
    while not true():
        if time.monotonic() > end:
            raise AssertionError(f"not within {within_s} s: {what}")
        time.sleep(0.02)


def records_of(servers: str, topic: str) -> list[tuple[str, bytes | None]]:
    """All records of a topic's first partition, as another client reads them."""
    consumer = Consumer(
        {
            "bootstrap.servers": servers,
            "group.id": "a-look",
            "enable.auto.commit": "false",
            "enable.partition.eof": "true",
        }
    )
    consumer.assign([TopicPartition(topic, 0, 0)])
    found: list[tuple[str, bytes | None]] = []
    while (message := consumer.poll(10)) is not None and message.error() is None:
        found.append(((message.key() or b"").decode("utf-8", "replace"), message.value()))
    consumer.close()
    assert message is not None, "nobody answered"
    return found


def write_record(
    servers: str, topic: str, key: bytes | None, value: bytes | None, header: bytes | None = None
) -> None:
    """A record of somebody else's, or one of ours that comes late."""
    producer = Producer({"bootstrap.servers": servers, "acks": "all"})
    headers: list[tuple[str, str | bytes | None]] = [("key", header)] if header is not None else []
    producer.produce(topic, key=key, value=value, partition=0, headers=headers)
    assert producer.flush(10) == 0
