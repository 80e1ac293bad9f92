"""The log on Kafka: what is written to it, by its nodes and by strangers."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
from confluent_kafka import Producer
from kafka.admin import KafkaAdminClient
from kafka_kinds import (
    CLIENTS,
    kafka_settings,
    opened,
    read_all,
    settings_on,
    topic_for,
    written,
)
from log_world import story

from core.errors import Refused
from core.limits import KAFKA_RECORD_BYTES_MAX

if TYPE_CHECKING:
    from collections.abc import Iterator

    from core.eventlog.kafka_log import KafkaSettings
    from core.eventlog.kafka_log.shard_log import KafkaLog

pytestmark = pytest.mark.kafka
CODECS = ("gzip", "snappy", "lz4", "zstd")


@pytest.fixture(params=CLIENTS)
def settings(request: pytest.FixtureRequest) -> KafkaSettings:
    return kafka_settings(request, request.param)


@pytest.fixture
def other(request: pytest.FixtureRequest, settings: KafkaSettings) -> KafkaSettings:
    """The same log through the other client."""
    (name,) = set(CLIENTS) - {settings.address.client}
    return settings_on(settings.address.servers[0], settings.address.prefix, name)


@pytest.fixture
def admin(settings: KafkaSettings) -> Iterator[KafkaAdminClient]:
    client = KafkaAdminClient(bootstrap_servers=list(settings.address.servers))
    yield client
    client.close()


# --- what others write ----------------------------------------------------------------------------
@story
async def test_a_strangers_records_are_records_whatever_they_hold(settings: KafkaSettings) -> None:
    async with opened(settings) as store:
        log = await store.open_shard("centre", 0)
        await written(log, 1)
        await asyncio.to_thread(strange, settings)
        await log.append(b"ours")
        packed = [codec.encode() * 50 for codec in CODECS]
        expected = [b"0", b"", b"\xff\x00", b"{}", *packed, b"", b"ours"]
        assert await read_all(log) == expected


def strange(settings: KafkaSettings) -> None:
    topic = topic_for(settings)
    written: list[tuple[str, list[bytes | None]]] = [
        ("none", [None, b"\xff\x00", b"{}"]),
        ("none", [b""]),
    ]
    for codec in CODECS:
        written.insert(-1, (codec, [codec.encode() * 50]))
    for codec, bodies in written:
        producer = Producer(
            {"bootstrap.servers": settings.address.servers[0], "compression.type": codec}
        )
        for body in bodies:
            headers: Any = [("h", b"\xff"), ("h", None)]
            producer.produce(topic, body, key=b"\x00key", partition=0, headers=headers)
        assert producer.flush(20) == 0


@story
async def test_each_client_reads_what_the_other_wrote_small_and_large(
    settings: KafkaSettings, other: KafkaSettings
) -> None:
    bodies = [b"", b"{}", b"small", b"a person reads this " * 400, bytes(range(256)) * 16_000]
    async with opened(settings) as ours, opened(other) as theirs:
        for writing, reading in ((ours, theirs), (theirs, ours)):
            log = await writing.open_shard("centre", 0)
            start = await log.end()
            for body in bodies:
                await log.append(body)
            assert await read_all(await reading.open_shard("centre", 0), start) == bodies


@story
async def test_two_stores_that_append_at_once_see_the_same_order(
    settings: KafkaSettings, other: KafkaSettings
) -> None:
    async with opened(settings) as one, opened(other) as two:
        logs = [await store.open_shard("centre", 0) for store in (one, two)]

        async def write(log: KafkaLog, name: str) -> list[int]:
            return [await log.append(f"{name} {n}".encode()) for n in range(150)]

        async def read(log: KafkaLog) -> list[bytes]:
            found: list[bytes] = []
            while len(found) < 300:
                found += [r.body for r in await log.read(len(found), 50, 1)]
            return found

        writing = asyncio.gather(*(write(log, str(n)) for n, log in enumerate(logs)))
        first, second = await asyncio.gather(*(read(log) for log in logs))
        wrote = await writing
        assert first == second
        for n, offsets in enumerate(wrote):
            expected = [f"{n} {m}".encode() for m in range(150)]
            assert [first[offset] for offset in offsets] == expected


@story
async def test_a_waiting_read_is_woken_by_another_node_while_this_one_writes(
    settings: KafkaSettings, other: KafkaSettings
) -> None:
    async with opened(settings) as ours, opened(other) as theirs:
        log, foreign = await ours.open_shard("centre", 0), await theirs.open_shard("centre", 0)
        await written(log, 50)
        waiting = asyncio.ensure_future(log.read(50, 10, 30))
        await asyncio.sleep(0.02)
        await foreign.append(b"theirs")
        for n in range(5):
            await log.append(b"%d" % n)
        assert (await asyncio.wait_for(waiting, 10))[0].body == b"theirs"


# --- writing --------------------------------------------------------------------------------------
@story
async def test_a_record_that_is_too_large_is_refused_alone(
    settings: KafkaSettings, admin: KafkaAdminClient
) -> None:
    async with opened(settings) as store:
        log = await store.open_shard("centre", 0)
        # By hand somebody made the topic smaller than this program's own bound.
        config = {"max.message.bytes": "100000"}
        await asyncio.to_thread(configure, admin, topic_for(settings), config)
        wild = noise(300_000)
        answers = await asyncio.gather(
            log.append(b"before"), log.append(wild), log.append(b"after"),
            log.append(b"x" * (KAFKA_RECORD_BYTES_MAX + 1)), return_exceptions=True,
        )  # fmt: skip
        assert [type(answer) for answer in answers] == [int, Refused, int, Refused]
        assert "send less" in str(answers[1])
        assert sorted(await read_all(log)) == [b"after", b"before"]
        assert await log.append(b"and on") == 2


def noise(size: int) -> bytes:
    """Bytes that no codec makes smaller, the same each time."""
    import random

    return random.Random(7).randbytes(size)


def configure(admin: KafkaAdminClient, topic: str, config: dict[str, str]) -> None:
    from kafka.admin import ConfigResource, ConfigResourceType

    admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, topic, configs=config)])


@story
async def test_the_largest_record_goes_through(settings: KafkaSettings) -> None:
    async with opened(settings) as store:
        log = await store.open_shard("centre", 0)
        largest = noise(KAFKA_RECORD_BYTES_MAX)
        assert await log.append(largest) == 0
        assert await log.append(b"next") == 1
        assert await read_all(log) == [largest, b"next"]


@story
async def test_appends_that_are_asked_for_in_an_order_are_recorded_in_it(
    settings: KafkaSettings,
) -> None:
    async with opened(settings) as store:
        log = await store.open_shard("centre", 0)
        await log.append(b"first")
        bodies = [b"%d " % n + b"x" * (n % 7) * 4_000 for n in range(100)]
        offsets = await asyncio.gather(*(log.append(body) for body in bodies))
        assert list(offsets) == list(range(1, 101))
        assert await read_all(log, 1) == bodies


@story
async def test_whoever_stops_waiting_for_an_append_leaves_the_log_whole(
    settings: KafkaSettings,
) -> None:
    async with opened(settings) as store:
        log = await store.open_shard("centre", 0)
        await log.append(b"first")
        tasks = [asyncio.ensure_future(log.append(b"%d" % n)) for n in range(20)]
        await asyncio.sleep(0)
        for task in tasks[::2]:
            task.cancel()
        done = await asyncio.gather(*tasks, return_exceptions=True)
        found = await read_all(log)
        for n, offset in enumerate(done):
            if isinstance(offset, int):
                assert found[offset] == b"%d" % n
        assert await log.append(b"last") == len(found)
