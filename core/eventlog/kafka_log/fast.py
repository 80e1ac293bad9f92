"""The client of big deployments: aiokafka, on the node's own event loop (the extra `fast`).

No threads: two producers for the node, one consumer for each shard that is read, one more that asks
where partitions end. A short record goes as it is: packing and unpacking it would cost 0.2 ms, a
third of the time that its proposer waits. What is worth packing goes by the other producer, and one
partition never has records under way in both, so that they keep their order.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.errors import (
    CorruptRecordException,
    KafkaError,
    KafkaTimeoutError,
    MessageSizeTooLargeError,
    OffsetOutOfRangeError,
    TopicAuthorizationFailedError,
    UnknownTopicOrPartitionError,
)

from core.eventlog.kafka_log.client import (
    Away,
    ClientError,
    Damaged,
    Doubtful,
    End,
    Gone,
    OutOfRange,
    TooLarge,
)
from core.eventlog.kafka_log.fast_writer import PATIENCE, FastWriter
from core.eventlog.log import Record
from core.limits import (
    KAFKA_CLOSE_S_MAX,
    KAFKA_DELIVERY_S_MAX,
    KAFKA_END_S_MAX,
    KAFKA_FETCH_BYTES_MAX,
    KAFKA_FETCH_WAIT_S,
    KAFKA_PACKED_BYTES_MIN,
    KAFKA_READ_GRACE_S,
    KAFKA_REQUEST_S_MAX,
)

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence

    from aiokafka.structs import RecordMetadata


def _ms(seconds: float) -> int:
    return int(seconds * 1000)


_CONSUMER: Final[Mapping[str, Any]] = {
    **PATIENCE,
    "group_id": None,
    "enable_auto_commit": False,
    "auto_offset_reset": "none",
    "fetch_max_wait_ms": _ms(KAFKA_FETCH_WAIT_S),
    "fetch_max_bytes": KAFKA_FETCH_BYTES_MAX,
    "max_partition_fetch_bytes": KAFKA_FETCH_BYTES_MAX,
    "consumer_timeout_ms": 5_000,  # it wakes five times a second otherwise, for nothing
}


class FastClient:
    """Implements `Client` with aiokafka."""

    name = "aiokafka"

    def __init__(self, options: Mapping[str, Any]) -> None:
        self._options = options
        self._plain = FastWriter(options, None, self._let_go)
        self._packing = FastWriter(options, "zstd", self._let_go)
        self._turns: dict[tuple[str, int], asyncio.Lock] = {}
        self._last: dict[tuple[str, int], tuple[FastWriter, asyncio.Future[RecordMetadata]]] = {}
        self._asking: AIOKafkaConsumer | None = None
        self._making_asker = asyncio.Lock()
        self._readers: set[FastReader] = set()
        self._letting_go: set[asyncio.Task[None]] = set()
        self._closed = False

    # --- appending --------------------------------------------------------------------------------
    async def append(self, topic: str, partition: int, body: bytes, limit_s: float) -> int:
        """The record's offset. Raises: Away, Doubtful, TooLarge, Gone."""
        loop = asyncio.get_running_loop()
        until_s = loop.time() + limit_s
        writer, future = await self._handed_over(topic, partition, body)
        # Waited for so that a caller who goes away does not cancel what is the library's.
        try:
            await asyncio.wait({future}, timeout=until_s - loop.time())
        except asyncio.CancelledError:
            future.add_done_callback(_look_at)
            raise
        if not future.done():
            future.add_done_callback(_look_at)
            loop.call_later(KAFKA_DELIVERY_S_MAX, _look_back, writer, future)
            raise Doubtful("no answer in time")
        try:
            offset: int = future.result().offset
        except asyncio.CancelledError as e:
            raise Doubtful("the client let go of it") from e
        except Exception as e:
            raise writer.failed(e) from e
        writer.worked()
        if offset < 0:
            raise Doubtful("the broker did not say where the record is")
        return offset

    async def _handed_over(
        self, topic: str, partition: int, body: bytes
    ) -> tuple[FastWriter, asyncio.Future[RecordMetadata]]:
        """What will say where the record is. Raises: Away, TooLarge, Gone: nothing was sent."""
        where = (topic, partition)
        turn = self._turns.get(where)
        if turn is None:
            turn = self._turns[where] = asyncio.Lock()
        writer = self._plain
        try:
            async with asyncio.timeout(KAFKA_DELIVERY_S_MAX), turn:  # a lock keeps their order
                writer = await self._writer_for(where, len(body))
                future = await writer.send(topic, partition, body)
                self._last[where] = writer, future
                return writer, future
        except TimeoutError as e:
            raise Away("no broker answered in time") from e
        except MessageSizeTooLargeError as e:
            raise TooLarge(str(e)) from e
        except (UnknownTopicOrPartitionError, AssertionError) as e:
            raise Gone(f"{topic}/{partition} is not there") from e
        except KafkaTimeoutError as e:
            raise Away(f"{type(e).__name__}: {e}") from e
        except ClientError:
            raise
        except Exception as e:
            writer.replace()
            raise Away(f"{type(e).__name__}: {e}") from e

    async def _writer_for(self, where: tuple[str, int], size: int) -> FastWriter:
        """Whose producer a record goes by: no other of its partition is under way elsewhere."""
        wanted = self._packing if size >= KAFKA_PACKED_BYTES_MIN else self._plain
        writer, future = self._last.get(where, (wanted, None))
        if future is None or writer is wanted or future.done():
            return wanted
        if wanted is self._plain:
            return writer
        # A round trip, and from then on all goes packed. One that hangs is not waited for: whatever
        # became of it, its outcome is unknown, and it is proposed again after this one.
        await asyncio.wait({future}, timeout=KAFKA_REQUEST_S_MAX)
        return wanted

    def _let_go(self, client: AIOKafkaProducer | AIOKafkaConsumer) -> None:
        """Stop a producer or a consumer in the background."""
        task = asyncio.ensure_future(_stopped(client))
        self._letting_go.add(task)
        task.add_done_callback(self._letting_go.discard)

    # --- where partitions end ---------------------------------------------------------------------
    async def end(self, topic: str, partition: int, which: End) -> int:
        """Where a partition begins or ends. Raises: Away."""
        where = TopicPartition(topic, partition)
        try:
            async with asyncio.timeout(KAFKA_END_S_MAX):
                asking = await self._asker()
                ask = asking.end_offsets if which is End.NEXT else asking.beginning_offsets
                offset: int = (await ask([where]))[where]
                return offset
        except TimeoutError as e:
            raise Away("no broker answered in time") from e
        except ClientError:
            raise
        except Exception as e:
            asking_was, self._asking = self._asking, None
            if asking_was is not None:
                self._let_go(asking_was)
            raise Away(f"{type(e).__name__}: {e}") from e

    async def _asker(self) -> AIOKafkaConsumer:
        async with self._making_asker:
            if self._asking is None:
                self._asking = await self.consumer()
            return self._asking

    async def consumer(self) -> AIOKafkaConsumer:
        """A consumer that is connected. Raises: Away, and the library's errors."""
        if self._closed:
            raise Away("this client is closed")
        consumer = AIOKafkaConsumer(**self._options, **_CONSUMER)
        try:
            await consumer.start()
        except BaseException:
            self._let_go(consumer)
            raise
        return consumer

    # --- reading, closing -------------------------------------------------------------------------
    def reader(self, topic: str, partition: int) -> FastReader:
        """A reader of one partition."""
        reader = FastReader(self.consumer, self._let_go, topic, partition)
        self._readers.add(reader)
        return reader

    async def close(self) -> None:
        """Let go of all connections."""
        self._closed = True
        for reader in self._readers:
            reader.close()
        asking, self._asking = self._asking, None
        if asking is not None:
            self._let_go(asking)
        self._plain.close()
        self._packing.close()
        if self._letting_go:
            await asyncio.wait(self._letting_go, timeout=KAFKA_CLOSE_S_MAX)


class FastReader:
    """Implements `Reader`: one consumer on the loop."""

    def __init__(
        self,
        consumer: Callable[[], Awaitable[AIOKafkaConsumer]],
        let_go: Callable[[AIOKafkaConsumer], None],
        topic: str,
        partition: int,
    ) -> None:
        self._new_consumer, self._let_go = consumer, let_go
        self._where = TopicPartition(topic, partition)
        self._consumer: AIOKafkaConsumer | None = None
        self._place: int | None = None

    async def fetch(self, offset: int, limit: int, wait_s: float) -> Sequence[Record]:
        """Records from `offset` on. Raises: Away, OutOfRange, Damaged."""
        try:
            async with asyncio.timeout(wait_s + KAFKA_READ_GRACE_S):
                if self._consumer is None:
                    self._consumer = await self._new_consumer()
                    self._consumer.assign([self._where])
                if self._place != offset:
                    self._consumer.seek(self._where, offset)
                self._place = None
                found = await self._consumer.getmany(
                    self._where, timeout_ms=max(1, _ms(wait_s)), max_records=limit
                )
        except TimeoutError as e:
            self.close()
            raise Away("no broker answered in time") from e
        except ClientError:
            raise
        except Exception as e:
            self.close()
            raise _reading_error(e, offset) from e
        records = [Record(r.offset, r.value or b"") for r in found.get(self._where, ())]
        self._place = records[-1].offset + 1 if records else offset
        return records

    async def place(self, offset: int) -> int:
        """Where it reads on after a fetch that gave nothing."""
        if self._consumer is None or self._place != offset:
            return offset
        try:
            async with asyncio.timeout(KAFKA_READ_GRACE_S):
                return int(await self._consumer.position(self._where))
        except (TimeoutError, KafkaError):
            return offset

    def close(self) -> None:
        """Let go, in the background."""
        consumer, self._consumer, self._place = self._consumer, None, None
        if consumer is not None:
            self._let_go(consumer)


def _reading_error(error: Exception, offset: int) -> ClientError:
    said = f"{type(error).__name__}: {error}"
    if isinstance(error, OffsetOutOfRangeError):
        return OutOfRange(f"{said} at {offset}")
    if isinstance(error, CorruptRecordException):
        return Damaged(said)
    if isinstance(error, TopicAuthorizationFailedError):
        return Away(f"reading {error} is not allowed: see kontaktcenter log describe")
    if isinstance(error, (KafkaError, OSError)):
        return Away(said)
    return Damaged(said)  # what cannot be unpacked raises whatever its codec raises


async def _stopped(client: AIOKafkaProducer | AIOKafkaConsumer) -> None:
    with suppress(Exception):  # it is let go of; whatever it says changes nothing
        try:
            async with asyncio.timeout(KAFKA_DELIVERY_S_MAX):
                await client.stop()
        except TimeoutError:
            if isinstance(client, AIOKafkaProducer):
                await client.client.close()


def _look_back(writer: FastWriter, future: asyncio.Future[RecordMetadata]) -> None:
    """A producer that never tells what became of a record does not keep its word any more."""
    if not future.done():
        writer.replace()
        future.cancel()  # the partition's next record does not wait for it


def _look_at(future: asyncio.Future[Any]) -> None:
    """Nobody waits for it any more; what it raised was answered with Doubtful."""
    if not future.cancelled():
        future.exception()
