"""The log on Kafka: what may be done to a topic while it is open; every trap has a test."""

from __future__ import annotations

import asyncio
import socket
from typing import TYPE_CHECKING, Any

import pytest
from confluent_kafka import Producer
from kafka.admin import KafkaAdminClient
from kafka.structs import TopicPartition
from kafka_kinds import (
    CLIENTS,
    kafka_settings,
    made_store,
    opened,
    read_all,
    settings_on,
    topic_for,
    written,
)
from log_world import story

from core.errors import Corrupt, Refused, Unavailable
from core.eventlog.kafka_log import KafkaSettings
from core.eventlog.kafka_log.store import KafkaStore

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from core.eventlog.kafka_log.shard_log import KafkaLog

pytestmark = pytest.mark.kafka


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


async def deleted(admin: KafkaAdminClient, topic: str) -> None:
    await asyncio.to_thread(admin.delete_topics, [topic])
    while topic in await asyncio.to_thread(admin.list_topics):  # noqa: ASYNC110 -- the broker's time
        await asyncio.sleep(0.05)


async def until_corrupt(act: Callable[[], Any], match: str) -> Corrupt:
    """What `act` ends with at last; until then it may be unavailable, or find nothing."""
    for _ in range(200):
        try:
            await act()
        except Corrupt as e:
            assert match in str(e)  # noqa: PT017 -- how many tries it takes is the broker's
            return e
        except Unavailable:
            pass
        await asyncio.sleep(0.05)
    raise AssertionError("it never stopped")


# --- a topic that is not the one that was opened --------------------------------------------------
@story
async def test_a_deleted_topic_stops_its_reader_and_says_what_to_do(
    settings: KafkaSettings, admin: KafkaAdminClient
) -> None:
    async with opened(settings, identity_every_s=0.3) as store:
        log = await store.open_shard("centre", 0)
        await written(log, 3)
        await deleted(admin, topic_for(settings))
        error = await until_corrupt(lambda: log.read(3, 10, 0.2), "has been deleted")
        assert "Restore" in str(error)
        for act in (log.end, lambda: log.append(b"x"), lambda: log.read(0, 1, 0)):
            with pytest.raises(Corrupt, match="has been deleted"):
                await act()


@pytest.mark.parametrize("length", [1, 8])
@story
async def test_a_topic_that_was_made_again_stops_its_reader_however_long_it_is(
    settings: KafkaSettings, admin: KafkaAdminClient, length: int
) -> None:
    async with opened(settings, identity_every_s=0.3) as store:
        log = await store.open_shard("centre", 0)
        await written(log, 4)
        identity = log.identity
        assert identity is not None
        await deleted(admin, topic_for(settings))
        async with opened(settings) as second:
            anew = await second.open_shard("centre", 0)
            await written(anew, length)
            assert anew.identity not in {None, identity}
            await until_corrupt(lambda: log.read(4, 10, 0.2), "made again")
            with pytest.raises(Corrupt, match="made again"):
                await log.append(b"into the new one")
            assert await anew.end() == length


@story
async def test_a_log_is_pinned_to_the_topic_that_an_index_was_made_from(
    settings: KafkaSettings, admin: KafkaAdminClient
) -> None:
    async with opened(settings) as store:
        log = await store.open_shard("centre", 0)
        await written(log, 2)
        identity = log.identity
    async with opened(settings) as store:
        log = await store.open_shard("centre", 0)
        assert log.identity is None  # nobody has looked yet
        log.pin(identity)
        assert await log.end() == 2
        assert log.identity == identity
        log.pin(None)
        assert await read_all(log) == [b"0", b"1"]
    await deleted(admin, topic_for(settings))
    async with opened(settings) as store:
        log = await store.open_shard("centre", 0)
        log.pin(identity)
        for act in (log.end, lambda: log.append(b"x"), lambda: log.read(0, 1, 0)):
            with pytest.raises(Corrupt, match="made again"):
                await act()


@story
async def test_a_topic_that_gets_more_partitions_stops_its_reader(
    settings: KafkaSettings, admin: KafkaAdminClient
) -> None:
    async with opened(settings, identity_every_s=0.3) as store:
        log = await store.open_shard("centre", 0)
        await written(log, 1)
        await asyncio.to_thread(admin.create_partitions, {topic_for(settings): 3})
        await until_corrupt(lambda: log.read(1, 10, 0.1), "3 partitions")


# --- offsets that are not there -------------------------------------------------------------------
@story
async def test_records_that_were_deleted_are_never_skipped(
    settings: KafkaSettings, admin: KafkaAdminClient
) -> None:
    async with opened(settings) as store:
        log = await store.open_shard("centre", 0)
        await written(log, 10)
        where = TopicPartition(topic_for(settings), 0)
        await asyncio.to_thread(admin.delete_records, {where: 5})
        for offset in (0, 4):
            error = await until_corrupt(lambda at=offset: log.read(at, 10, 0), "begins at 5")  # type: ignore[misc]
            assert "restore" in str(error).lower()
        assert await read_all(log, 5) == [b"5", b"6", b"7", b"8", b"9"]


@pytest.mark.parametrize("wait_s", [0, 0.3, 5])
@story
async def test_an_offset_beyond_the_end_is_a_log_that_was_truncated(
    settings: KafkaSettings, wait_s: float
) -> None:
    async with opened(settings) as store:
        log = await store.open_shard("centre", 0)
        await written(log, 3)
        with pytest.raises(Corrupt, match="ends at 3, before 7"):
            await log.read(7, 10, wait_s)
        assert list(await log.read(3, 10, 0.1)) == []
        assert await read_all(log) == [b"0", b"1", b"2"]  # and it goes on


@story
async def test_a_gap_in_the_offsets_stops_the_reader(settings: KafkaSettings) -> None:
    async with opened(settings) as store:
        log = await store.open_shard("centre", 0)
        await written(log, 2)
        await asyncio.to_thread(transaction, settings, b"2")  # its end takes an offset of its own
        while await log.end() < 4:  # noqa: ASYNC110 -- and is written a little later
            await asyncio.sleep(0.02)
        await written(log, 1, start=4)
        assert await read_all_until_gap(log) == [b"0", b"1", b"2"]
        with pytest.raises(Corrupt, match="has no record 3"):
            await log.read(3, 10, 0)


async def read_all_until_gap(log: KafkaLog) -> list[bytes]:
    found: list[bytes] = []
    while len(found) < 3:
        found += [r.body for r in await log.read(len(found), 3 - len(found), 0)]
    return found


def transaction(settings: KafkaSettings, body: bytes) -> None:
    producer = Producer(
        {"bootstrap.servers": settings.address.servers[0], "transactional.id": "a stray one"}
    )
    producer.init_transactions(20)
    producer.begin_transaction()
    producer.produce(topic_for(settings), body, partition=0)
    producer.commit_transaction(20)


# --- topics and brokers that are not there --------------------------------------------------------
@story
async def test_a_missing_topic_is_made_only_where_that_was_asked_for(
    settings: KafkaSettings,
) -> None:
    async with opened(KafkaSettings(settings.address)) as store:
        with pytest.raises(Unavailable, match="kontaktcenter log create"):
            await store.open_shard("centre", 0)
        log = store.known_shard("centre", 0)
        for act in (log.end, lambda: log.append(b"x"), lambda: log.read(0, 1, 0)):
            with pytest.raises(Unavailable, match="kontaktcenter log create"):
                await act()
        assert dict(await store.books()) == {}
        async with opened(settings) as maker:
            await maker.open_shard("centre", 0)
            await maker.open_shard("keys", 0)
        assert dict(await store.books()) == {"centre": 1}  # the keys are no book of commits
        assert await log.append(b"x") == 0
        with pytest.raises(Unavailable, match="no shard 1"):
            await store.open_shard("centre", 1)


@pytest.mark.parametrize("client", CLIENTS)
@story
async def test_where_no_broker_is_everything_answers_in_its_time(client: str) -> None:
    with socket.socket() as door:
        door.bind(("127.0.0.1", 0))
        store = await made_store(settings_on(f"127.0.0.1:{door.getsockname()[1]}", "x", client))
        log = store.known_shard("calls", 0)
        loop = asyncio.get_running_loop()
        for act, limit_s in (
            (store.books, 5), (lambda: store.open_shard("calls", 1), 5), (log.end, 2),
            (lambda: log.append(b"x"), 5), (lambda: log.read(0, 1, 0.5), 2.5),
        ):  # fmt: skip
            started_s = loop.time()
            with pytest.raises(Unavailable, match="does not answer"):
                await act()
            assert loop.time() - started_s < limit_s + 1
        started_s = loop.time()
        await store.close()
        assert loop.time() - started_s < 5


def test_a_client_that_is_not_installed_is_refused_in_words(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from core.eventlog.kafka_log import address as address_module

    monkeypatch.setattr(address_module, "find_spec", lambda name: None)
    with pytest.raises(Refused, match="kontaktcenter\\[fast\\]"):
        KafkaStore(settings_on("127.0.0.1:1", "x", "aiokafka"))
    address = settings_on("127.0.0.1:1", "x", "aiokafka").address
    plain = KafkaSettings(type(address)(address.servers))
    assert type(KafkaStore(plain).client).__name__ == "ClassicClient"
    monkeypatch.undo()
    assert type(KafkaStore(plain).client).__name__ == "FastClient"
