"""The cluster for an administrator: topics are made here and nowhere else, and looked at.

All of it blocks, on the caller's thread; kafka-python does it for both clients.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any, Final

from kafka import KafkaConsumer, TopicPartition
from kafka.admin import ConfigResource, ConfigResourceType, KafkaAdminClient
from kafka.errors import KafkaError

from core.errors import Refused, Unavailable
from core.eventlog.envelope import Unreadable, decode_envelope
from core.eventlog.kafka_log.address import book_of_topic, topic_of
from core.eventlog.kafka_log.made import made
from core.eventlog.kafka_log.options import connection_options
from core.eventlog.kafka_log.reach import why
from core.eventlog.kafka_log.topics import (
    REPLICATION,
    BrokerFound,
    Cluster,
    Partition,
    Topic,
    Weight,
    default_shards,
    faults_of_cluster,
    settings_of,
)
from core.limits import KAFKA_RECORD_BYTES_MAX
from core.vocabulary import KEYS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from core.eventlog.kafka_log.address import KafkaSettings

_CONNECT_MS: Final = 3_000
_REQUEST_MS: Final = 10_000
_READ_MS: Final = 5_000
_EARLIEST, _LATEST = -2, -1
_NO_ERROR, _EXISTS, _FEW_BROKERS, _FORBIDDEN = 0, 36, 38, frozenset({29, 31})
_ERRORS: Final = (KafkaError, OSError, RuntimeError)


class KafkaAdmin:
    """Open for as long as it is a context. Raises: Unavailable, Refused (files for TLS)."""

    def __init__(self, settings: KafkaSettings) -> None:
        self.settings = settings
        self._options = {
            **connection_options(settings),
            "bootstrap_timeout_ms": _CONNECT_MS,
            "reconnect_backoff_max_ms": 500,
        }
        try:
            self._client = made(
                KafkaAdminClient, {**self._options, "request_timeout_ms": _REQUEST_MS}
            )
        except _ERRORS as e:
            msg = f"Kafka does not let us in. {why(settings)}"
            raise Unavailable(msg, neighbour="kafka", retry_after_s=5) from e

    def __enter__(self) -> KafkaAdmin:
        return self

    def __exit__(self, *_raised: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of connections and the client's thread."""
        with contextlib.suppress(*_ERRORS):
            self._client.close()

    def cluster(self) -> Cluster:
        """All brokers, with their settings where we may see them. Raises: Unavailable."""
        with self._telling("the cluster cannot be looked at"):
            found = self._client.describe_cluster()
        brokers = []
        for broker in sorted(found["brokers"], key=lambda b: int(b["broker_id"])):
            number, fenced = int(broker["broker_id"]), bool(broker.get("is_fenced"))
            settings = {} if fenced else self._settings(ConfigResourceType.BROKER, str(number))
            address = f"{broker['host']}:{broker['port']}"
            brokers.append(BrokerFound(number, address, broker["rack"], fenced, settings))
        return Cluster(str(found["cluster_id"]), tuple(brokers))

    def topics(self) -> dict[str, Topic]:
        """The topics of this log by book, with offsets, settings, genesis. Raises: Unavailable."""
        prefix = self.settings.address.prefix
        with self._telling("the topics cannot be looked at"):
            described = self._client.describe_topics()
        found = {}
        for told in sorted(described, key=lambda t: str(t["name"])):
            book = book_of_topic(prefix, told["name"])
            if book is not None and not told["error_code"] and not told["is_internal"]:
                found[book] = self._topic(book, told)
        return found

    def _topic(self, book: str, told: Mapping[str, Any]) -> Topic:
        name = str(told["name"])
        settings = self._settings(ConfigResourceType.TOPIC, name)
        partitions = [
            Partition(
                int(p["partition_index"]),
                int(p["leader_id"]) if p["leader_id"] >= 0 else None,
                tuple(p["replica_nodes"]),
                tuple(p["isr_nodes"]),
                *self._ends(name, p),
            )
            for p in sorted(told["partitions"], key=lambda p: int(p["partition_index"]))
        ]
        genesis = None
        first = partitions[0] if partitions else None
        if first is not None and first.end and first.start == 0 and book != KEYS:
            genesis = self._genesis(name)
        return Topic(book, name, str(told["topic_id"]), tuple(partitions), settings, genesis)

    def _ends(self, topic: str, partition: Mapping[str, Any]) -> tuple[int | None, int | None]:
        """Where a partition begins and ends; None where nobody leads it."""
        if partition["leader_id"] < 0:
            return None, None
        at = TopicPartition(topic, int(partition["partition_index"]))
        try:
            ends = [
                self._client.list_partition_offsets({at: which}, timeout_ms=_REQUEST_MS)[at].offset
                for which in (_EARLIEST, _LATEST)
            ]
        except _ERRORS:  # its leader is away, or we may not: the rest can still be told
            return None, None
        return int(ends[0]), int(ends[1])

    def _settings(self, kind: ConfigResourceType, name: str) -> dict[str, str]:
        """All settings of a topic or broker; none where we may not see them."""
        try:
            told = self._client.describe_configs([ConfigResource(kind, name)], config_filter="all")
        except _ERRORS:
            return {}
        found: Mapping[str, Any] = next(
            (named[name] for named in told.values() if name in named), {}
        )
        return {
            key: str(entry["value"])
            for key, entry in found.items()
            if entry["value"] is not None and not entry["is_sensitive"]
        }

    def _genesis(self, topic: str) -> int | None:
        """The shards that a topic's first record tells; 0 where it is none of ours, None unread."""
        body = self._first(topic)
        if body is None:
            return None
        try:
            genesis = decode_envelope(body).genesis
        except Unreadable:
            return 0
        return 0 if genesis is None else genesis.shards

    def _first(self, topic: str) -> bytes | None:
        at = TopicPartition(topic, 0)
        options = {
            **self._options,
            "group_id": None,
            "enable_auto_commit": False,
            "auto_offset_reset": "none",
            "allow_auto_create_topics": False,
            "max_partition_fetch_bytes": KAFKA_RECORD_BYTES_MAX,
        }
        try:
            consumer = made(KafkaConsumer, options)
            try:
                consumer.assign([at])
                consumer.seek(at, 0)
                batches = consumer.poll(timeout_ms=_READ_MS, max_records=1)
            finally:
                consumer.close(timeout_ms=_READ_MS)
        except _ERRORS:
            return None
        first = next((record for records in batches.values() for record in records), None)
        return None if first is None else first.value or b""

    def make(self, books: Mapping[str, int], replication: int) -> list[str]:
        """Make the topics of these books that are not there; the books that were made.

        Raises: Refused (not allowed, or too few brokers), Unavailable.
        """
        prefix = self.settings.address.prefix
        names = {topic_of(prefix, book): book for book in books}
        with self._telling("the topics cannot be looked at"):
            there = {t["name"] for t in self._client.describe_topics() if not t["error_code"]}
        missing = {
            name: {
                "num_partitions": books[book],
                "replication_factor": replication,
                "configs": settings_of(book, replication),
            }
            for name, book in names.items()
            if name not in there
        }
        if not missing:
            return []
        with self._telling("the topics cannot be made"):
            told = self._client.create_topics(missing, timeout_ms=_REQUEST_MS, raise_errors=False)
        made_now = []
        for topic in told["topics"]:
            code, name = int(topic["error_code"]), str(topic["name"])
            if code == _NO_ERROR:
                made_now.append(names[name])
            elif code != _EXISTS:  # another node was first
                raise _not_made(name, code, str(topic["error_message"]), replication)
        with self._telling("the topics were made, and are not ready yet"):
            self._client.wait_for_topics(list(missing), timeout_ms=_REQUEST_MS)
        return sorted(made_now)

    @contextlib.contextmanager
    def _telling(self, what: str) -> Iterator[None]:
        """What a client raises, as an error of ours: it says the broker's words and what to do."""
        try:
            yield
        except _ERRORS as e:
            servers = ", ".join(self.settings.address.servers)
            msg = f"Kafka at {servers}: {what} ({type(e).__name__}: {e})"
            raise Unavailable(msg, neighbour="kafka", retry_after_s=5) from e


def _not_made(name: str, code: int, said: str, replication: int) -> Exception:
    if code == _FEW_BROKERS:
        msg = (
            f"the topic {name} needs {replication} brokers that run, for as many copies ({said}): "
            "start them all first"
        )
        return Refused(msg)
    if code in _FORBIDDEN:
        msg = (
            f"the topic {name} may not be made by this user of Kafka: use the administrator's, "
            "see kontaktcenter log acls"
        )
        return Refused(msg)
    msg = f"the topic {name} was not made (error {code}: {said})"
    return Unavailable(msg, neighbour="kafka", retry_after_s=5)


def ensure_topics(settings: KafkaSettings, books: Mapping[str, int | None]) -> list[str]:
    """Make the missing topics of `books` as `settings.create` allows; the books that were made.

    A number of shards that is None is the default one. `safe` refuses a cluster that could lose
    data; `unsafe` makes as many copies as there are brokers. Raises: Refused, Unavailable.
    """
    if not settings.create:
        names = ", ".join(topic_of(settings.address.prefix, book) for book in books)
        raise Unavailable(
            f"the topics {names} are missing: kontaktcenter log create makes them",
            neighbour="kafka",
            retry_after_s=60,
        )
    with KafkaAdmin(settings) as admin:
        cluster = admin.cluster()
        safe = settings.create == "safe"
        if safe and any(f.weight is Weight.LOSES for f in faults_of_cluster(cluster)):
            msg = (
                "this Kafka cluster could lose what was recorded, so KC_LOG_CREATE=safe makes no "
                "topics on it: kontaktcenter log check says why"
            )
            raise Refused(msg)
        living = sum(not broker.fenced for broker in cluster.brokers)
        copies = REPLICATION if safe else min(REPLICATION, max(1, living))
        wanted = {book: n or default_shards(book) for book, n in books.items()}
        return admin.make(wanted, copies)
