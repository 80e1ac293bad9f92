"""The log on Kafka. What others may use stands here; importing this loads no client of Kafka."""

from core.eventlog.kafka_log.address import (
    KafkaAddress,
    KafkaSecurity,
    KafkaSettings,
    book_of_topic,
    client_name,
    parse_address,
    parse_void,
    topic_of,
)

__all__ = [
    "KafkaAddress",
    "KafkaSecurity",
    "KafkaSettings",
    "book_of_topic",
    "client_name",
    "parse_address",
    "parse_void",
    "topic_of",
]
