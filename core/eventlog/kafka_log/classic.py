"""The client that is always there: kafka-python, on threads of its own.

One producer for the node, fed by one thread, because `send` may block; one consumer and thread for
each shard that is read; one more that asks where partitions end. The settings are those that were
seen to live through outages (docs/decisions/0010): idempotence stays off, because this version's
idempotent producer does not survive one, and doubles are what `judge` is for.
"""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from contextlib import suppress
from time import monotonic
from typing import TYPE_CHECKING, Any, Final

from kafka import KafkaConsumer, KafkaProducer, TopicPartition
from kafka.errors import (
    KafkaTimeoutError,
    MessageSizeTooLargeError,
    RecordListTooLargeError,
    UnknownTopicOrPartitionError,
)

from core.eventlog.kafka_log.classic_reader import (
    CONSUMER,
    PATIENCE,
    ClassicReader,
    as_ms,
    close_consumer,
)
from core.eventlog.kafka_log.client import Away, ClientError, Doubtful, End, Gone, TooLarge
from core.eventlog.kafka_log.made import made
from core.eventlog.kafka_log.worker import Worker
from core.limits import (
    KAFKA_BROKEN_S,
    KAFKA_CLOSE_S_MAX,
    KAFKA_CONNECT_S_MAX,
    KAFKA_DELIVERY_S_MAX,
    KAFKA_END_S_MAX,
    KAFKA_RECORD_BYTES_MAX,
    KAFKA_REQUEST_S_MAX,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

_BURIALS: Final = 8  # attempts, of a second each, to close what still holds records

_PRODUCER: Final[Mapping[str, Any]] = {
    **PATIENCE,
    "acks": "all",
    "enable_idempotence": False,
    "max_in_flight_requests_per_connection": 1,  # a later record never overtakes one tried again
    "linger_ms": 0,
    "compression_type": "zstd",
    "max_block_ms": as_ms(KAFKA_CONNECT_S_MAX),
    "request_timeout_ms": as_ms(KAFKA_REQUEST_S_MAX),
    "delivery_timeout_ms": as_ms(KAFKA_DELIVERY_S_MAX),
    "max_request_size": KAFKA_RECORD_BYTES_MAX + 1024,
}


class _Append:
    """One record on its way: waiting, then handed over or given up, never both."""

    __slots__ = ("_claimed", "body", "future", "partition", "topic")

    def __init__(
        self, topic: str, partition: int, body: bytes, future: asyncio.Future[int]
    ) -> None:
        self.topic, self.partition, self.body, self.future = topic, partition, body, future
        self._claimed = threading.Lock()

    def claim(self) -> bool:
        """True for whoever comes first: the thread that sends it, or the caller who gives up."""
        return self._claimed.acquire(blocking=False)


_Asked = tuple[TopicPartition, End, asyncio.Future[int]]


class ClassicClient:
    """Implements `Client` with kafka-python."""

    name = "kafka-python"

    def __init__(self, options: Mapping[str, Any]) -> None:
        self._options = options
        self._loop: asyncio.AbstractEventLoop | None = None
        self._writer = Worker("kafka-writer")
        self._asker = Worker("kafka-asker")
        self._producer: KafkaProducer | None = None  # of the writer's thread, like the two below
        self._failing_since: float | None = None
        self._burials: list[threading.Thread] = []
        self._asking: KafkaConsumer | None = None  # of the asker's thread, as what follows
        self._in_vain: set[TopicPartition] = set()  # those whose last question had no answer
        self._asked: list[_Asked] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._told: deque[tuple[_Append, int | ClientError]] = deque()
        self._waking = False
        self._closed = False
        self._readers: set[ClassicReader] = set()

    # --- appending --------------------------------------------------------------------------------
    async def append(self, topic: str, partition: int, body: bytes, limit_s: float) -> int:
        """The record's offset. Raises: Away, Doubtful, TooLarge, Gone."""
        self._loop = asyncio.get_running_loop()
        if self._closed:
            raise Away("this client is closed")
        item = _Append(topic, partition, body, self._loop.create_future())
        self._writer.post(lambda: self._send(item))
        try:
            async with asyncio.timeout(limit_s):
                return await asyncio.shield(item.future)
        except asyncio.CancelledError:
            item.claim()
            raise
        except TimeoutError as e:
            if item.claim():
                raise Away("the record was not handed over in time") from e
            self._loop.call_later(KAFKA_DELIVERY_S_MAX, self._look_back, item)
            raise Doubtful("no answer in time") from e

    def _look_back(self, item: _Append) -> None:
        """A producer that never tells what became of a record does not keep its word any more."""
        if not item.future.done():
            self._writer.post(self._replace)
        elif not item.future.cancelled():
            item.future.exception()

    def _send(self, item: _Append) -> None:
        """On the writer's thread."""
        if item.future.done():
            return  # its caller has given up
        handed = False
        try:
            if self._failing_since is not None:
                self._replace_if_broken()
            if self._producer is None:
                self._producer = made(KafkaProducer, {**self._options, **_PRODUCER})
            # For metadata `send` may wait; here it is known that nothing was handed over.
            if item.partition not in self._producer.partitions_for(item.topic):
                self._tell(item, Gone(f"{item.topic}/{item.partition} is not there"))
                return
            if not item.claim():
                return
            handed = True
            future = self._producer.send(item.topic, item.body, partition=item.partition)
            future.add_callback(self._acked, item)
            future.add_errback(self._failed, item)
        except MessageSizeTooLargeError as e:
            self._tell(item, TooLarge(str(e)))
        except UnknownTopicOrPartitionError:
            self._tell(item, Gone(f"{item.topic}/{item.partition} is not there"))
        except KafkaTimeoutError as e:
            self._tell(item, Doubtful(str(e)) if handed else Away(str(e)))
        except Exception as e:  # noqa: BLE001 -- the edge of a thread: whoever waits must hear of it
            self._replace()
            said = f"{type(e).__name__}: {e}"
            self._tell(item, Doubtful(said) if handed else Away(said))

    def _acked(self, item: _Append, metadata: Any) -> None:
        """On the sender's thread."""
        self._failing_since = None
        if metadata.offset < 0:
            self._tell(item, Doubtful("the broker did not say where the record is"))
        else:
            self._tell(item, metadata.offset)

    def _failed(self, item: _Append, error: Exception) -> None:
        """On the sender's thread. Nearly any error may come after the record has landed."""
        if self._failing_since is None:
            self._failing_since = monotonic()
        said = f"{type(error).__name__}: {error}"
        if isinstance(error, (MessageSizeTooLargeError, RecordListTooLargeError)):
            self._tell(item, TooLarge(said))
        else:
            self._tell(item, Doubtful(said))

    def _tell(self, item: _Append, result: int | ClientError) -> None:
        """On any thread: many results wake the loop once."""
        self._told.append((item, result))
        if not self._waking:
            self._waking = True
            with suppress(RuntimeError):  # the loop is closed: nobody waits
                assert self._loop is not None
                self._loop.call_soon_threadsafe(self._deliver)

    def _deliver(self) -> None:
        self._waking = False  # first: what comes from now on wakes the loop again
        while self._told:
            item, result = self._told.popleft()
            if item.future.done():
                continue
            if isinstance(result, int):
                item.future.set_result(result)
            else:
                item.future.set_exception(result)
                item.future.exception()  # seen to: its caller may have gone

    def _replace_if_broken(self) -> None:
        since = self._failing_since
        if since is not None and monotonic() - since > KAFKA_BROKEN_S:
            self._replace()

    def _replace(self) -> None:
        """On the writer's thread: the next record gets a new producer."""
        producer, self._producer, self._failing_since = self._producer, None, None
        if producer is not None:
            burial = threading.Thread(
                target=_bury, args=(producer,), name="kafka-burial", daemon=True
            )
            burial.start()
            self._burials = [b for b in self._burials if b.is_alive()] + [burial]

    # --- where partitions end ---------------------------------------------------------------------
    async def end(self, topic: str, partition: int, which: End) -> int:
        """Where a partition begins or ends. Raises: Away."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[int] = loop.create_future()
        if not self._asked:
            loop.call_soon(self._ask)  # who asks in the same turn is asked for together
        self._asked.append((TopicPartition(topic, partition), which, future))
        try:
            async with asyncio.timeout(KAFKA_END_S_MAX):
                return await future
        except TimeoutError as e:
            raise Away("no broker answered in time") from e

    def _ask(self) -> None:
        asked, self._asked = self._asked, []
        task = asyncio.ensure_future(self._ask_for(asked))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _ask_for(self, asked: list[_Asked]) -> None:
        wanted = {(where, which) for where, which, _ in asked}
        try:
            found = await self._asker.run(lambda: self._ends(wanted), KAFKA_END_S_MAX)
        except Exception as e:  # noqa: BLE001 -- the edge of a task: whoever waits must hear of it
            for _, _, future in asked:
                if not future.done():
                    future.set_exception(Away(f"{type(e).__name__}: {e}"))
            return
        for where, which, future in asked:
            if not future.done():
                future.set_result(found[where, which])

    def _ends(
        self, wanted: set[tuple[TopicPartition, End]]
    ) -> dict[tuple[TopicPartition, End], int]:
        """On the asker's thread."""
        try:
            if self._asking is None:
                self._asking = made(KafkaConsumer, {**self._options, **CONSUMER})
            ways = {
                End.FIRST: self._asking.beginning_offsets,
                End.NEXT: self._asking.end_offsets,
            }
            found = {}
            for which, ask in ways.items():
                wheres = [where for where, end in wanted if end is which]
                if wheres:
                    offsets = ask(wheres, timeout_ms=as_ms(KAFKA_REQUEST_S_MAX))
                    found.update({(where, which): offsets[where] for where in wheres})
        except KafkaTimeoutError:
            # Where a former leader is back, 3.0.12 asks it again and again without looking for the
            # present one, for the five minutes that it keeps its metadata.
            asked = {where for where, _ in wanted}
            if asked & self._in_vain:
                self._drop_asking()
            self._in_vain |= asked
            raise
        except Exception:
            self._drop_asking()
            raise
        self._in_vain -= {where for where, _ in wanted}
        return found

    def _drop_asking(self) -> None:
        consumer, self._asking, self._in_vain = self._asking, None, set()
        close_consumer(consumer)

    # --- reading, closing -------------------------------------------------------------------------
    def reader(self, topic: str, partition: int) -> ClassicReader:
        """A reader of one partition."""
        reader = ClassicReader(self._options, topic, partition, self._readers.discard)
        self._readers.add(reader)
        return reader

    async def close(self) -> None:
        """Let go of producer, consumers and threads; those that hang are left behind as daemons."""
        self._closed = True
        readers = list(self._readers)
        for reader in readers:
            reader.close()
        self._writer.post(self._replace)
        self._asker.post(self._drop_asking)
        workers = [self._writer, self._asker]
        for worker in workers:
            worker.stop()
        workers += [reader.worker for reader in readers]
        await asyncio.gather(*(worker.joined(KAFKA_CLOSE_S_MAX / 2) for worker in workers))
        loop = asyncio.get_running_loop()
        until_s = loop.time() + KAFKA_CLOSE_S_MAX / 2
        while any(b.is_alive() for b in self._burials) and loop.time() < until_s:  # noqa: ASYNC110 -- a thread cannot be awaited
            await asyncio.sleep(0.01)


def _bury(producer: KafkaProducer) -> None:
    """Close a producer; while it still holds records it refuses, until they are too old."""
    for _ in range(_BURIALS):
        try:
            producer.close(timeout=1)
        except KafkaTimeoutError:
            continue
        except Exception:  # noqa: BLE001 -- it was replaced because it is broken
            return
        return
