"""Bare clients of Kafka: the event's bytes are sent and acknowledged; nothing is checked or kept.

One partition, `acks=all`, no linger, no compression (fastest for records so small), idempotence
off; one record an event. For a commit of 1,000 events 1,000 records are sent and awaited together.
"""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING, Any

from aiokafka import AIOKafkaProducer
from bench.kafka_material import EVENT
from confluent_kafka import Producer
from kafka import KafkaProducer

if TYPE_CHECKING:
    from bench.kafka_drive import Setting

THOUSAND = [EVENT] * 1_000


class KafkaPython:
    """kafka-python's `KafkaProducer`: `send(…).get()`."""

    commits = 4_000

    def __init__(self, setting: Setting) -> None:
        self._topic = f"{setting.prefix}.bare"
        self._producer = KafkaProducer(
            bootstrap_servers=setting.brokers, acks="all", linger_ms=0, enable_idempotence=False,
            allow_auto_create_topics=False,
        )  # fmt: skip

    def make(self, _number: int) -> bytes:
        return EVENT

    def commit(self, made: bytes) -> None:
        self._producer.send(self._topic, made, partition=0).get()

    def pipeline(self, many: list[bytes]) -> None:
        sent = [self._producer.send(self._topic, one, partition=0) for one in many]
        for future in sent:
            future.get()

    def make_large(self, _number: int) -> list[bytes]:
        return THOUSAND

    commit_large = pipeline

    def close(self) -> None:
        self._producer.close()


class Aiokafka:
    """aiokafka's `AIOKafkaProducer`: `send_and_wait(…)`, on the standard library's loop."""

    commits = 16_000
    loop_factory = None

    def __init__(self, setting: Setting) -> None:
        self._setting, self._topic = setting, f"{setting.prefix}.bare"

    async def open(self) -> None:
        self._producer = AIOKafkaProducer(
            bootstrap_servers=self._setting.brokers, acks="all", linger_ms=0
        )
        await self._producer.start()

    def make(self, _number: int) -> bytes:
        return EVENT

    async def commit(self, made: bytes) -> None:
        await self._producer.send_and_wait(self._topic, made, partition=0)

    async def pipeline(self, many: list[bytes]) -> None:
        sent = [await self._producer.send(self._topic, one, partition=0) for one in many]
        await asyncio.gather(*sent)

    def make_large(self, _number: int) -> list[bytes]:
        return THOUSAND

    commit_large = pipeline

    async def close(self) -> None:
        await self._producer.stop()


class Confluent:
    """confluent-kafka's `Producer`; a thread serves the callbacks, as its manual advises."""

    commits = 6_000

    def __init__(self, setting: Setting) -> None:
        self._topic = f"{setting.prefix}.bare"
        self._producer = Producer(
            {"bootstrap.servers": setting.brokers, "acks": "all", "linger.ms": 0}
        )
        self._closed = False
        self._serving = threading.Thread(target=self._serve, daemon=True)
        self._serving.start()

    def _serve(self) -> None:
        while not self._closed:
            self._producer.poll(0.1)

    def make(self, _number: int) -> bytes:
        return EVENT

    def commit(self, made: bytes) -> None:
        self.pipeline([made])

    def pipeline(self, many: list[bytes]) -> None:
        done, left, errors = threading.Event(), [len(many)], []

        def told(error: Any, _message: Any) -> None:
            if error is not None:
                errors.append(error)
            left[0] -= 1
            if not left[0]:
                done.set()

        for one in many:
            self._producer.produce(self._topic, one, partition=0, on_delivery=told)
        done.wait()
        if errors:
            raise RuntimeError(str(errors[0]))

    def make_large(self, _number: int) -> list[bytes]:
        return THOUSAND

    commit_large = pipeline

    def close(self) -> None:
        self._closed = True
        self._serving.join()
        self._producer.flush()
