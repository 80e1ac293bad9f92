"""One producer of aiokafka: made when it is first needed, replaced when all it does is fail."""

from __future__ import annotations

import asyncio
from time import monotonic
from typing import TYPE_CHECKING, Any, Final

from aiokafka import AIOKafkaProducer
from aiokafka.errors import MessageSizeTooLargeError, RecordListTooLargeError

from core.eventlog.kafka_log.client import Away, ClientError, Doubtful, TooLarge
from core.limits import (
    KAFKA_BROKEN_S,
    KAFKA_CONNECT_S_MAX,
    KAFKA_RECORD_BYTES_MAX,
    KAFKA_REQUEST_S_MAX,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from aiokafka.structs import RecordMetadata

PATIENCE: Final[Mapping[str, Any]] = {
    "request_timeout_ms": int(KAFKA_REQUEST_S_MAX * 1000),  # also how long a producer tries
    "retry_backoff_ms": 100,
}
_PRODUCER: Final[Mapping[str, Any]] = {
    **PATIENCE,
    "acks": "all",
    "enable_idempotence": False,
    "linger_ms": 0,
    "max_request_size": KAFKA_RECORD_BYTES_MAX + 1024,
}


class FastWriter:
    """Hands records over, in the order in which it is asked to. `compression`: aiokafka's name."""

    def __init__(
        self,
        options: Mapping[str, Any],
        compression: str | None,
        let_go: Callable[[AIOKafkaProducer], None],
    ) -> None:
        self._options = {**options, **_PRODUCER, "compression_type": compression}
        self._let_go = let_go
        self._producer: AIOKafkaProducer | None = None
        self._making = asyncio.Lock()
        self._failing_since: float | None = None
        self._closed = False

    async def send(self, topic: str, partition: int, body: bytes) -> asyncio.Future[RecordMetadata]:
        """What will say where the record is. Raises: Away, and the library's: nothing was sent."""
        producer = self._producer
        if producer is None or self._failing_since is not None:
            producer = await self._made()
        sent: asyncio.Future[RecordMetadata] = await producer.send(topic, body, partition=partition)
        return sent

    async def _made(self) -> AIOKafkaProducer:
        async with self._making:
            since = self._failing_since
            if since is not None and monotonic() - since > KAFKA_BROKEN_S:
                self.replace()
            if self._producer is None:
                if self._closed:
                    raise Away("this client is closed")
                producer = AIOKafkaProducer(**self._options)
                try:
                    async with asyncio.timeout(KAFKA_CONNECT_S_MAX):
                        await producer.start()
                except BaseException:
                    self._let_go(producer)
                    raise
                self._producer = producer
            return self._producer

    def worked(self) -> None:
        """A record of this producer was acknowledged."""
        self._failing_since = None

    def failed(self, error: Exception) -> ClientError:
        """What a failed future means; nearly any error may come after the record has landed."""
        if self._failing_since is None:
            self._failing_since = monotonic()
        said = f"{type(error).__name__}: {error}"
        if isinstance(error, (MessageSizeTooLargeError, RecordListTooLargeError)):
            return TooLarge(said)
        return Doubtful(said)

    def replace(self) -> None:
        """The next record gets a new producer."""
        producer, self._producer, self._failing_since = self._producer, None, None
        if producer is not None:
            self._let_go(producer)

    def close(self) -> None:
        """Let go, in the background."""
        self._closed = True
        self.replace()
