"""A client of kafka-python is made, or leaves nothing behind."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from kafka.admin import KafkaAdminClient

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

Made = TypeVar("Made")
_CLIENT = KafkaAdminClient.DEFAULT_CONFIG["kafka_client"]


def made(kind: Callable[..., Made], options: Mapping[str, Any]) -> Made:
    """`kind(**options)`: a KafkaAdminClient, KafkaConsumer or KafkaProducer.

    Where no broker answers, the constructor of 3.0.12 raises and leaves a thread and four open
    files behind: a node that tries once a second through an outage would have none left in minutes.

    Raises: what the constructor raises.
    """
    kept: list[Any] = []

    def client(**its: Any) -> Any:
        kept.append(_CLIENT(**its))
        return kept[-1]

    try:
        return kind(**{**options, "kafka_client": client})
    except BaseException:
        for each in kept:
            each.close()
        raise
