"""What a log on Kafka makes of a client's answers: what a real broker shows too seldom."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING, Any

import pytest
from log_world import story

from core.errors import Corrupt, Refused, Unavailable, Unknown
from core.eventlog.kafka_log.client import (
    Away,
    ClientError,
    Damaged,
    Doubtful,
    End,
    Gone,
    OutOfRange,
    TooLarge,
    Topic,
)
from core.eventlog.kafka_log.gaps import Gaps
from core.eventlog.kafka_log.shard_log import KafkaLog
from core.eventlog.kafka_log.watch import Watch
from core.eventlog.log import Record
from core.limits import KAFKA_RECORD_BYTES_MAX

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

TOPIC = "town.centre"


class Kafka:
    """One partition in memory that a test breaks: client and describer of a log."""

    def __init__(self) -> None:
        self.bodies: list[bytes] = []
        self.start = 0
        self.found: Topic | Away | None = Topic("first", 1)
        self.away = False
        self.looks = self.readers = self.asks = 0
        self.answers: deque[ClientError] = deque()  # of the next appends
        self.lands = True  # also where the answer is an error
        self.missing = -1  # an offset
        self.deaf = 0  # so many readers that are made next hear nothing
        self.grown = asyncio.Event()

    # a describer
    async def describe(self, names: Collection[str]) -> Mapping[str, Topic | Away]:
        self.looks += 1
        if self.away:
            raise Away("nobody there")
        return {} if self.found is None else dict.fromkeys(names, self.found)

    async def topics(self) -> Mapping[str, Topic]:
        raise NotImplementedError

    # a client
    async def append(self, topic: str, partition: int, body: bytes, limit_s: float) -> int:
        if self.away:
            raise Doubtful("handed over, and no answer")
        answer = self.answers.popleft() if self.answers else None
        if answer is None or (self.lands and isinstance(answer, Doubtful)):
            self.put(body)
        if answer is not None:
            raise answer
        return len(self.bodies) - 1

    def put(self, body: bytes) -> None:
        """Another node's record."""
        self.bodies.append(body)
        self.grown.set()
        self.grown = asyncio.Event()

    async def end(self, topic: str, partition: int, which: End) -> int:
        self.asks += 1
        if self.away:
            raise Away("nobody there")
        return len(self.bodies) if which is End.NEXT else self.start

    def reader(self, topic: str, partition: int) -> Reader:
        self.readers += 1
        self.deaf -= 1
        return Reader(self, deaf=self.deaf >= 0)

    async def close(self) -> None:
        raise NotImplementedError


class Reader:
    def __init__(self, kafka: Kafka, *, deaf: bool) -> None:
        self._kafka, self._deaf = kafka, deaf
        self.error: ClientError | None = None

    async def fetch(self, offset: int, limit: int, wait_s: float) -> Sequence[Record]:
        kafka = self._kafka
        if self._deaf or kafka.away:
            await asyncio.sleep(min(wait_s, 0.05))
            return []
        if not kafka.start <= offset <= len(kafka.bodies):
            raise OutOfRange(str(offset))
        if offset == len(kafka.bodies):
            try:
                async with asyncio.timeout(wait_s):
                    await kafka.grown.wait()
            except TimeoutError:
                return []
        bodies = kafka.bodies[offset : offset + limit]
        if b"torn" in bodies:
            raise Damaged("a checksum")
        found = [Record(offset + n, body) for n, body in enumerate(bodies)]
        return [record for record in found if record.offset != kafka.missing]

    async def place(self, offset: int) -> int:
        return offset + 1 if offset == self._kafka.missing else offset

    def close(self) -> None:
        pass


def log_on(kafka: Kafka) -> tuple[KafkaLog, Watch]:
    watch = Watch(kafka, every_s=3600)
    return KafkaLog(kafka, watch, TOPIC, 0), watch


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    from core.eventlog.kafka_log import shard_log, watch

    monkeypatch.setattr(shard_log, "KAFKA_SILENCE_S", 0.1)
    monkeypatch.setattr(shard_log, "KAFKA_REQUEST_S_MAX", 0.2)
    monkeypatch.setattr(watch, "_AGAIN_S", 0.01)


# --- what was there is there ----------------------------------------------------------------------
@pytest.mark.parametrize("seen_by", ["append", "read"])
@story
async def test_a_log_that_was_truncated_and_grew_again_is_noticed_after_trouble(
    seen_by: str,
) -> None:
    kafka = Kafka()
    log, watch = log_on(kafka)
    if seen_by == "append":
        await log.append(b"one")
        await log.append(b"two")
    else:
        kafka.bodies = [b"one", b"two"]
        assert len(await log.read(0, 10, 0)) == 2
    kafka.away = True
    with pytest.raises(Unavailable):
        await log.end()
    kafka.away = False
    assert await log.end() == 2
    assert list(await log.read(2, 10, 0)) == []  # nothing happened: it goes on
    kafka.away = True
    with pytest.raises(Unavailable):
        await log.end()
    kafka.away, kafka.bodies = False, [b"one", b"other", b"three"]
    with pytest.raises(Corrupt, match="another record at 1"):
        await log.read(2, 10, 0)
    with pytest.raises(Corrupt, match="another record at 1"):
        await log.append(b"x")
    await watch.close()


@story
async def test_a_log_that_is_shorter_than_it_was_known_to_be_stops_the_reader() -> None:
    kafka = Kafka()
    log, watch = log_on(kafka)
    for body in (b"one", b"two", b"three"):
        await log.append(body)
    del kafka.bodies[1:]
    with pytest.raises(Corrupt, match="ends at 1, before 3"):
        await log.read(1, 10, 0.1)
    await watch.close()


@story
async def test_a_damaged_record_stops_the_reader() -> None:
    kafka = Kafka()
    log, watch = log_on(kafka)
    kafka.bodies = [b"torn"]
    with pytest.raises(Corrupt, match="cannot be read at 0"):
        await log.read(0, 10, 0)
    await watch.close()


@pytest.mark.parametrize(
    ("found", "said"), [(Topic("second", 1), "made again"), (Topic("first", 2), "2 partitions")]
)
@story
async def test_a_topic_that_is_another_one_or_was_resized_is_not_the_log(
    found: Topic, said: str
) -> None:
    kafka = Kafka()
    log, watch = log_on(kafka)
    await log.append(b"one")
    assert log.identity == "first"
    kafka.found = found
    await watch.look()
    for act in (log.end, lambda: log.append(b"x"), lambda: log.read(0, 1, 0)):
        with pytest.raises(Corrupt, match=said):
            await act()
    assert kafka.bodies == [b"one"]
    await watch.close()


@story
async def test_a_log_that_is_open_already_can_be_pinned_to_another_topic_and_stops() -> None:
    kafka = Kafka()
    log, watch = log_on(kafka)
    assert await log.end() == 0
    log.pin("first")
    assert await log.end() == 0
    log.pin("of the index")
    with pytest.raises(Corrupt, match="made again"):
        await log.end()
    await watch.close()


@story
async def test_records_that_are_missing_stop_the_reader() -> None:
    kafka = Kafka()
    log, watch = log_on(kafka)
    kafka.bodies, kafka.start = [b"0", b"1", b"2", b"3"], 2
    with pytest.raises(Corrupt, match="begins at 2, after 1"):
        await log.read(1, 10, 0)
    kafka.start, kafka.missing = 0, 2
    with pytest.raises(Corrupt, match=r"has no record 2, and goes on at 3.*kafka_void="):
        await log.read(0, 10, 0)
    kafka.missing = 3  # nothing comes after it
    with pytest.raises(Corrupt, match="has no record 3, and goes on at 4"):
        await log.read(3, 10, 0)
    await watch.close()


@pytest.mark.parametrize("missing", [1, 2, 3])
@story
async def test_an_offset_that_an_operator_has_looked_at_is_void(missing: int) -> None:
    kafka = Kafka()
    kafka.bodies, kafka.missing = [b"0", b"1", b"2", b"3"], missing
    watch = Watch(kafka, every_s=3600)
    log = KafkaLog(kafka, watch, TOPIC, 0, Gaps(TOPIC, "centre/0", frozenset({missing})))
    expected = [Record(n, b"" if n == missing else body) for n, body in enumerate(kafka.bodies)]
    found: list[Record] = []
    while len(found) < len(expected):
        found += await log.read(len(found), 10, 0)
    assert found == expected
    assert await log.read(missing, 10, 0) == expected[missing:]
    await log.append(b"4")
    assert await log.read(missing, 10, 0) == [*expected[missing:], Record(4, b"4")]
    await watch.close()


@story
async def test_a_topic_is_called_deleted_only_when_two_looks_say_so() -> None:
    kafka = Kafka()
    log, watch = log_on(kafka)
    await log.append(b"one")
    topic, kafka.found = kafka.found, None
    looking = asyncio.ensure_future(watch.look())
    while kafka.looks < 2:  # noqa: ASYNC110 -- a broker that has just started knows it a little later
        await asyncio.sleep(0)
    kafka.found = topic
    await looking
    assert await log.append(b"two") == 1
    kafka.found = None
    await watch.look()
    with pytest.raises(Corrupt, match="deleted"):
        await log.append(b"three")
    await watch.close()


@story
async def test_a_topic_that_may_not_be_looked_at_takes_no_other_with_it() -> None:
    kafka = Kafka()
    log, watch = log_on(kafka)
    kafka.found = Away("error 29")
    for act in (log.end, lambda: log.append(b"x"), lambda: log.read(0, 1, 0)):
        with pytest.raises(Unavailable, match="error 29"):
            await act()
    kafka.found = Topic("first", 1)
    assert await log.append(b"x") == 0
    kafka.found = Away("error 29")
    await watch.look()
    with pytest.raises(Unavailable, match="error 29"):
        await log.append(b"y")
    await watch.close()


# --- what an append is told -----------------------------------------------------------------------
@story
async def test_after_a_doubt_the_cluster_is_asked_before_anything_is_sent() -> None:
    kafka = Kafka()
    log, watch = log_on(kafka)
    await log.append(b"one")
    looks = kafka.looks
    await log.append(b"two")
    assert kafka.looks == looks  # while all goes well nobody asks
    kafka.answers.append(Doubtful("time"))
    with pytest.raises(Unknown):
        await log.append(b"three")
    kafka.away = True
    with pytest.raises(Unavailable) as raised:
        await log.append(b"four")
    assert not isinstance(raised.value, Unknown)
    kafka.away = False
    assert await log.append(b"five") == 3
    assert kafka.bodies == [b"one", b"two", b"three", b"five"]
    await watch.close()


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (Away("x"), Unavailable),
        (Gone("x"), Unavailable),
        (TooLarge("x"), Refused),
        (Doubtful("x"), Unknown),
    ],
)
@story
async def test_each_answer_of_a_client_has_its_meaning(
    answer: ClientError, told: type[Exception]
) -> None:
    kafka = Kafka()
    log, watch = log_on(kafka)
    kafka.answers.append(answer)
    with pytest.raises(told) as raised:
        await log.append(b"x")
    assert type(raised.value) is told
    with pytest.raises(Refused, match="send less"):
        await log.append(b"x" * (KAFKA_RECORD_BYTES_MAX + 1))
    assert await log.append(b"y") == len(kafka.bodies) - 1
    await watch.close()


# --- what a reader is told ------------------------------------------------------------------------
@story
async def test_silence_is_asked_about_and_a_deaf_consumer_is_replaced() -> None:
    kafka = Kafka()
    log, watch = log_on(kafka)
    await log.append(b"one")
    assert list(await log.read(1, 10, 0.02)) == []
    kafka.deaf = 2
    log._renew()
    kafka.put(b"two")
    assert [r.body for r in await log.read(1, 10, 1.5)] == [b"two"]
    assert kafka.readers >= 3
    await watch.close()


@story
async def test_a_broker_that_dies_silently_is_noticed_by_a_waiting_reader() -> None:
    kafka = Kafka()
    log, watch = log_on(kafka)
    await log.append(b"one")
    assert list(await log.read(1, 10, 0.02)) == []
    kafka.away = True
    with pytest.raises(Unavailable):
        await log.read(1, 10, 30)
    kafka.away = False
    kafka.put(b"two")
    assert [r.body for r in await log.read(1, 10, 0)] == [b"two"]
    await watch.close()


@story
async def test_own_records_in_a_row_are_not_fetched_until_somebody_elses_lies_between() -> None:
    kafka = Kafka()
    log, watch = log_on(kafka)
    await log.append(b"0")
    fetched: list[Any] = []
    fetch = Reader.fetch

    async def counted(self: Reader, offset: int, limit: int, wait_s: float) -> Sequence[Record]:
        fetched.append(offset)
        return await fetch(self, offset, limit, wait_s)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Reader, "fetch", counted)
        patch.setattr("core.eventlog.kafka_log.shard_log.KAFKA_FLOW_S", 20)
        reading = asyncio.ensure_future(log.read(1, 10, 30))
        await asyncio.sleep(0.01)  # it waits
        for n in range(1, 50):
            await log.append(b"%d" % n)
            await asyncio.sleep(0)
        assert fetched == []
        kafka.put(b"theirs")
        await log.append(b"after")
        async with asyncio.timeout(10):
            found = await reading
    assert fetched
    assert [r.offset for r in found][:1] == [1]
    await watch.close()
