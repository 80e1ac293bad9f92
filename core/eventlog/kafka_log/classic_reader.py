"""One shard read with kafka-python: a consumer on a thread of its own.

A consumer belongs to one thread; its settings are those that neither skip nor make anything.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

from kafka import KafkaConsumer, TopicPartition
from kafka.errors import (
    CorruptRecordError,
    KafkaError,
    LogTruncationError,
    OffsetOutOfRangeError,
    TopicAuthorizationFailedError,
)

from core.eventlog.kafka_log.client import Away, ClientError, Damaged, OutOfRange
from core.eventlog.kafka_log.made import made
from core.eventlog.kafka_log.worker import Worker
from core.eventlog.log import Record
from core.limits import (
    KAFKA_CONNECT_S_MAX,
    KAFKA_FETCH_BYTES_MAX,
    KAFKA_FETCH_WAIT_S,
    KAFKA_READ_GRACE_S,
    KAFKA_REQUEST_S_MAX,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence


def as_ms(seconds: float) -> int:
    """Milliseconds, as the library counts."""
    return int(seconds * 1000)


PATIENCE: Final[Mapping[str, Any]] = {  # of producers and consumers
    "reconnect_backoff_max_ms": 500,  # 30 s by default: so late an acknowledgement after a restart
    "retry_backoff_ms": 100,
    "bootstrap_timeout_ms": as_ms(KAFKA_CONNECT_S_MAX),
    "allow_auto_create_topics": False,
    "metrics_enabled": False,
}
CONSUMER: Final[Mapping[str, Any]] = {
    **PATIENCE,
    "group_id": None,
    "enable_auto_commit": False,
    "auto_offset_reset": "none",
    "fetch_max_wait_ms": as_ms(KAFKA_FETCH_WAIT_S),
    "fetch_max_bytes": KAFKA_FETCH_BYTES_MAX,
    "max_partition_fetch_bytes": KAFKA_FETCH_BYTES_MAX,
    "request_timeout_ms": as_ms(KAFKA_REQUEST_S_MAX),
}


class ClassicReader:
    """Implements `Reader`: one consumer on one thread."""

    def __init__(
        self,
        options: Mapping[str, Any],
        topic: str,
        partition: int,
        closed: Callable[[ClassicReader], None],
    ) -> None:
        self._options, self._where = options, TopicPartition(topic, partition)
        self._on_closed = closed
        self.worker = Worker(f"kafka-reader-{topic}-{partition}")
        self._consumer: KafkaConsumer | None = None  # of the worker's thread, like the place
        self._place: int | None = None

    async def fetch(self, offset: int, limit: int, wait_s: float) -> Sequence[Record]:
        """Records from `offset` on. Raises: Away, OutOfRange, Damaged."""
        limit_s = wait_s + KAFKA_READ_GRACE_S
        try:
            return await self.worker.run(lambda: self._fetch(offset, limit, wait_s), limit_s)
        except TimeoutError as e:
            raise Away("no broker answered in time") from e

    def _fetch(self, offset: int, limit: int, wait_s: float) -> list[Record]:
        """On the worker's thread."""
        try:
            if self._consumer is None:
                self._consumer = made(KafkaConsumer, {**self._options, **CONSUMER})
                self._consumer.assign([self._where])
            if self._place != offset:
                self._consumer.seek(self._where, offset)
            self._place = None
            found = self._consumer.poll(timeout_ms=max(1, as_ms(wait_s)), max_records=limit)
        except Exception as e:
            self._drop()
            raise _reading_error(e, offset) from e
        records = [Record(r.offset, r.value or b"") for r in found.get(self._where, ())]
        self._place = records[-1].offset + 1 if records else offset
        return records

    async def place(self, offset: int) -> int:
        """Where it reads on after a fetch that gave nothing."""
        try:
            return await self.worker.run(lambda: self._found_place(offset), KAFKA_READ_GRACE_S)
        except TimeoutError:
            return offset

    def _found_place(self, offset: int) -> int:
        """On the worker's thread."""
        if self._consumer is None or self._place != offset:
            return offset
        with suppress(KafkaError):
            at = self._consumer.position(self._where, timeout_ms=as_ms(KAFKA_REQUEST_S_MAX))
            return offset if at is None else int(at)
        return offset

    def _drop(self) -> None:
        consumer, self._consumer, self._place = self._consumer, None, None
        close_consumer(consumer)

    def close(self) -> None:
        """Let go, in the background."""
        self.worker.post(self._drop)
        self.worker.stop()
        self._on_closed(self)


def _reading_error(error: Exception, offset: int) -> ClientError:
    said = f"{type(error).__name__}: {error}"
    if isinstance(error, (OffsetOutOfRangeError, LogTruncationError)):
        return OutOfRange(f"{said} at {offset}")
    if isinstance(error, CorruptRecordError):
        return Damaged(said)
    if isinstance(error, TopicAuthorizationFailedError):
        return Away(f"reading {error} is not allowed: see kontaktcenter log describe")
    if isinstance(error, (KafkaError, OSError, RuntimeError)):
        return Away(said)
    return Damaged(said)  # what cannot be unpacked raises whatever its codec raises


def close_consumer(consumer: KafkaConsumer | None) -> None:
    """Let go of a consumer, on its thread."""
    if consumer is not None:
        with suppress(Exception):  # it is let go of; whatever it says changes nothing
            consumer.close(autocommit=False, timeout_ms=500)
