"""Appends for a copy: in order, and none of them twice, because nobody judges a copy's duplicates.

A node's producer may send a record again that has landed; `judge` sorts that out. Here the broker
does, by the producer's own numbers. Such a producer does not survive an error in this version of
kafka-python: it is dropped, and what landed is read.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any, Final

from kafka import KafkaProducer
from kafka.errors import (
    ClusterAuthorizationFailedError,
    KafkaError,
    MessageSizeTooLargeError,
    TopicAuthorizationFailedError,
)

from core.errors import Refused, Unknown
from core.eventlog.kafka_log.made import made
from core.eventlog.kafka_log.options import connection_options
from core.limits import KAFKA_RECORD_BYTES_MAX

if TYPE_CHECKING:
    from collections.abc import Sequence

    from core.eventlog.kafka_log.address import KafkaSettings

_PRODUCER: Final = {
    "acks": "all",
    "enable_idempotence": True,
    "max_in_flight_requests_per_connection": 1,
    "compression_type": "zstd",
    "linger_ms": 0,
    "allow_auto_create_topics": False,
    "max_request_size": KAFKA_RECORD_BYTES_MAX + 1024,
    "max_block_ms": 5_000,
    "request_timeout_ms": 3_000,
    "delivery_timeout_ms": 15_000,
    "reconnect_backoff_max_ms": 500,
    "bootstrap_timeout_ms": 3_000,
    "metrics_enabled": False,
}
_NEVER: Final = (
    MessageSizeTooLargeError,
    TopicAuthorizationFailedError,
    ClusterAuthorizationFailedError,
)
_WAIT_S: Final = 20.0
_CLOSE_S: Final = 0.5


class Copier:
    """Blocking, for one thread. After an error it is of no more use."""

    def __init__(self, settings: KafkaSettings) -> None:
        """Connects at the first append. Raises: Refused where a file cannot be used."""
        self._options = {**connection_options(settings), **_PRODUCER}
        self._producer: Any = None

    def append(self, topic: str, partition: int, bodies: Sequence[bytes]) -> list[int]:
        """Their offsets, once all in-sync replicas have them all.

        Raises: Refused where it can never be; else Unknown: read what landed.
        """
        try:
            if self._producer is None:
                self._producer = made(KafkaProducer, self._options)
            futures = [self._producer.send(topic, body, partition=partition) for body in bodies]
            return [int(future.get(timeout=_WAIT_S).offset) for future in futures]
        except _NEVER as e:
            msg = f"the topic {topic} does not take what is copied to it ({type(e).__name__}: {e})"
            raise Refused(msg) from e
        except (KafkaError, OSError, RuntimeError, ValueError) as e:
            msg = f"the copy to {topic}/{partition} was interrupted ({type(e).__name__})"
            raise Unknown(msg, neighbour="kafka", retry_after_s=5) from e

    def close(self) -> None:
        """Let go; what is still under way is given up."""
        producer, self._producer = self._producer, None
        if producer is not None:
            with contextlib.suppress(KafkaError, OSError, RuntimeError):
                producer.close(timeout=_CLOSE_S)
