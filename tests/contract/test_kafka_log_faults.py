"""The log on Kafka while its broker is paused, killed or restarted: the same log goes on.

`--whole` pauses the broker for as long as an operator may need to find out; else for a moment.
"""

from __future__ import annotations

import asyncio
from itertools import count
from typing import TYPE_CHECKING, Any, TypeVar

import pytest
from kafka_kinds import CLIENTS, made_store, settings_on
from log_world import story

from core.errors import Unavailable, Unknown
from core.limits import KAFKA_APPEND_S_MAX, KAFKA_END_S_MAX, KAFKA_READ_GRACE_S
from deploy.kafka_lab import Broker

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine, Iterator

    from core.eventlog.kafka_log.shard_log import KafkaLog
    from core.eventlog.kafka_log.store import KafkaStore
    from deploy.kafka_lab import Software

pytestmark = [pytest.mark.kafka, pytest.mark.fault, pytest.mark.slow]
_T = TypeVar("_T")
LATE_S = 2.0  # of a busy machine
_PREFIX = count()


@pytest.fixture(scope="module")
def _broker(kafka_software: Software, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    with Broker(kafka_software, tmp_path_factory.mktemp("kafka")) as broker:
        yield broker


@pytest.fixture
def broker(_broker: Broker) -> Iterator[Broker]:
    """A broker that a test may break: it is whole again for the next one."""
    yield _broker
    _broker.restore()


async def store_on(broker: Broker, client: str) -> KafkaStore:
    return await made_store(settings_on(broker.servers, f"p{next(_PREFIX)}", client))


async def with_both(test: Callable[[str], Coroutine[Any, Any, None]]) -> None:
    """The same fault met by both clients at once: a broker takes long to come back."""
    async with asyncio.TaskGroup() as tasks:
        for client in CLIENTS:
            tasks.create_task(test(client), name=client)


class Fault:
    """What is done to the broker when both clients are ready for it, and undone later."""

    def __init__(self, *steps: Callable[[], None]) -> None:
        self._steps = iter(steps)
        self._met = asyncio.Barrier(len(CLIENTS))

    async def next(self) -> None:
        """Wait for the other client, then for the next step to be done."""
        if await self._met.wait() == 0:
            await asyncio.to_thread(next(self._steps))
        await self._met.wait()


async def in_time(work: Awaitable[_T], limit_s: float) -> _T:
    """What it gives, within its limit. Raises: what it raises."""
    async with asyncio.timeout(limit_s + LATE_S):
        return await work


class Writer:
    """Appends one record after another and keeps what it was told of each."""

    def __init__(self, log: KafkaLog) -> None:
        self._log = log
        self.acked: dict[int, bytes] = {}
        self.unknown: list[bytes] = []
        self.refused: list[bytes] = []
        self._number = 0

    async def once(self) -> bool:
        """Append the next record; True where it is known to be recorded."""
        self._number += 1
        body = b"record %d" % self._number
        try:
            offset = await in_time(self._log.append(body), KAFKA_APPEND_S_MAX)
        except Unknown:
            self.unknown.append(body)
        except Unavailable:
            self.refused.append(body)
        else:
            self.acked[offset] = body
            return True
        return False

    async def until_acked(self, within_s: float = 60) -> None:
        async with asyncio.timeout(within_s):
            while not await self.once():  # noqa: ASYNC110 -- the broker's time
                await asyncio.sleep(0.1)

    def check(self, found: list[bytes]) -> None:
        """Nothing acknowledged is lost or doubled; nothing that was refused is there."""
        assert {offset: found[offset] for offset in self.acked} == self.acked
        assert len(set(found)) == len(found)
        assert set(found) - set(self.acked.values()) <= set(self.unknown)
        assert not set(found) & set(self.refused)


async def everything(log: KafkaLog, within_s: float = 30) -> list[bytes]:
    """The whole log, once it is quiet; a log that has just come back may ask for patience."""
    found: list[bytes] = []
    async with asyncio.timeout(within_s):
        while True:
            try:
                records = await in_time(log.read(len(found), 100, 0), KAFKA_READ_GRACE_S)
            except Unavailable:
                await asyncio.sleep(0.1)
                continue
            if not records:
                return found
            found += [record.body for record in records]


async def stays_away(log: KafkaLog, offset: int) -> None:
    """Reads and ends answer in their time, and soon with Unavailable."""
    with pytest.raises(Unavailable):
        await in_time(log.end(), KAFKA_END_S_MAX)
    for _ in range(20):  # silence is not news: it asks, and says so
        try:
            assert not await in_time(log.read(offset, 10, 0.5), 0.5 + KAFKA_READ_GRACE_S)
        except Unavailable:
            return
    raise AssertionError("silence was taken for no news")


@story
async def test_a_log_goes_on_after_its_broker_was_killed_and_came_back(broker: Broker) -> None:
    fault = Fault(broker.kill, broker.start)

    async def meets(client: str) -> None:
        store = await store_on(broker, client)
        log = await store.open_shard("centre", 0)
        writer = Writer(log)
        for _ in range(5):
            assert await writer.once()
        reading = asyncio.ensure_future(follow(log, 30))
        await fault.next()
        assert not await writer.once()
        await stays_away(log, 5)
        assert not await writer.once()
        await fault.next()
        await writer.until_acked()
        for _ in range(5):
            assert await writer.once()
        writer.check(await everything(log))
        await follow_to_end(reading, log)
        await in_time(store.close(), 5)

    await with_both(meets)


@story
async def test_a_log_goes_on_after_its_broker_was_paused(
    broker: Broker, request: pytest.FixtureRequest
) -> None:
    pause_s = 150.0 if request.config.getoption("--whole") else 8.0
    fault = Fault(broker.pause, broker.resume)

    async def meets(client: str) -> None:
        store = await store_on(broker, client)
        log = await store.open_shard("centre", 0)
        writer = Writer(log)
        for _ in range(5):
            assert await writer.once()
        reading = asyncio.ensure_future(follow(log, 30))
        await fault.next()
        loop = asyncio.get_running_loop()
        until_s = loop.time() + pause_s
        await stays_away(log, 5)
        while loop.time() < until_s:
            assert not await writer.once()
            await asyncio.sleep(0.5)
        assert writer.unknown or writer.refused
        await fault.next()
        await writer.until_acked()
        await asyncio.sleep(2)  # what was handed over before may land now
        writer.check(await everything(log))
        await follow_to_end(reading, log)
        await in_time(store.close(), 5)

    await with_both(meets)


async def follow(log: KafkaLog, enough: int) -> list[bytes]:
    """A reader that never stops: what it saw, in order, up to the record `end`."""
    found: list[bytes] = []
    while b"end" not in found:
        try:
            records = await log.read(len(found), enough, 1)
        except Unavailable:
            await asyncio.sleep(0.1)
            continue
        found += [record.body for record in records]
    return found


async def follow_to_end(reading: asyncio.Task[list[bytes]], log: KafkaLog) -> None:
    """The reader that was there all the time saw the same as one that comes now."""
    await log.append(b"end")
    async with asyncio.timeout(30):
        seen = await reading
    assert seen == (await everything(log))[: len(seen)]
    assert seen[-1] == b"end"


@pytest.mark.parametrize("stop", ["pause", "kill"])
@story
async def test_a_store_closes_in_its_time_whatever_its_broker_does(
    broker: Broker, stop: str
) -> None:
    fault = Fault(getattr(broker, stop))

    async def meets(client: str) -> None:
        store = await store_on(broker, client)
        log = await store.open_shard("centre", 0)
        await log.append(b"first")
        waiting = asyncio.ensure_future(log.read(1, 10, 60))
        await fault.next()
        await asyncio.sleep(0.1)
        under_way = [asyncio.ensure_future(log.append(b"x")) for _ in range(3)]
        await asyncio.sleep(0.2)
        waiting.cancel()
        await in_time(store.close(), 5)
        answers = await in_time(
            asyncio.gather(*under_way, waiting, return_exceptions=True), KAFKA_APPEND_S_MAX
        )
        assert all(isinstance(a, (Unavailable, asyncio.CancelledError)) for a in answers), answers

    await with_both(meets)


@story
async def test_a_store_that_was_opened_before_its_broker_connects_by_itself(
    broker: Broker,
) -> None:
    fault = Fault(broker.kill, broker.start)

    async def meets(client: str) -> None:
        before = await store_on(broker, client)
        await (await before.open_shard("centre", 0)).append(b"there")
        await before.close()
        await fault.next()
        store = await made_store(before.settings)
        log = store.known_shard("centre", 0)
        writer = Writer(log)
        assert not await writer.once()
        assert writer.refused
        await stays_away(log, 0)
        await fault.next()
        await writer.until_acked()
        assert (await everything(log))[0] == b"there"
        await in_time(store.close(), 5)

    await with_both(meets)
