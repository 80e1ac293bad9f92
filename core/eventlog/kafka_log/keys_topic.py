"""The topic of keys as Kafka has it: written, read, described. Blocking; with kafka-python alone.

One partition, one record for each key: its id, its wrapped bytes, null where it was destroyed.
"""

from __future__ import annotations

import contextlib
import threading
import time
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeVar

import kafka.errors
from kafka import KafkaConsumer, KafkaProducer, TopicPartition
from kafka.admin import ConfigResource, ConfigResourceType, KafkaAdminClient, NewTopic, OffsetSpec

from core.errors import Corrupt, Unavailable
from core.eventlog.kafka_log.address import topic_of
from core.eventlog.kafka_log.made import made
from core.eventlog.kafka_log.options import connection_options
from core.eventlog.kafka_log.replica import Entry, Knew
from core.eventlog.kafka_log.topics import REPLICATION, settings_of
from core.vocabulary import KEYS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from core.eventlog.kafka_log.address import KafkaSettings

HEADER: Final = "key"
# A tombstone that went away is taken for a lost key by a node that was away as long.
_TOMBSTONES_MS_MIN: Final = 10 * 365 * 24 * 3600 * 1000
_UNKNOWN_TOPIC: Final = 3
_REQUEST_MS: Final = 1_500
_POLL_RECORDS: Final = 1_000
_CLOSE_MS: Final = 500
_BETWEEN_S: Final = 0.05
_LAG_MS_MAX: Final = 2**62
_T = TypeVar("_T")
_HOPELESS: Final = (
    kafka.errors.TopicAuthorizationFailedError,
    kafka.errors.ClusterAuthorizationFailedError,
    kafka.errors.SaslAuthenticationFailedError,
    kafka.errors.InvalidTopicError,
)


class Facts(NamedTuple):
    """What Kafka says of the topic: `identity` None where it is not there."""

    identity: str | None
    partitions: int = 0
    begins: int = 0
    ends: int = 0


class Read(NamedTuple):
    """What one look at the topic gave: entries, how many records were nobody's, the next offset."""

    entries: list[Entry]
    void: int
    next_offset: int


_PRODUCER: Final[Mapping[str, Any]] = {
    "acks": "all",
    "enable_idempotence": False,  # it does not survive an outage, and need not
    "max_in_flight_requests_per_connection": 1,
    "allow_auto_create_topics": False,
    "metrics_enabled": False,
    "max_block_ms": _REQUEST_MS,
    "delivery_timeout_ms": 2 * _REQUEST_MS,
}
_CONSUMER: Final[Mapping[str, Any]] = {
    "group_id": None,
    "enable_auto_commit": False,
    "auto_offset_reset": "none",  # the others skip, and a skipped key would be a lost one
    "allow_auto_create_topics": False,
    "metrics_enabled": False,
    "max_poll_records": _POLL_RECORDS,
}


class KeysTopic:
    """The topic of keys of one deployment. Nothing is connected before it is needed.

    Safe from any thread. Whatever Kafka says becomes Unavailable or Corrupt here.
    """

    def __init__(self, settings: KafkaSettings) -> None:
        self.settings = settings
        self.name = topic_of(settings.address.prefix, KEYS)
        self._partition = TopicPartition(self.name, 0)
        self._asking, self._making = threading.Lock(), threading.Lock()
        self._admin: Any = None
        self._producer: Any = None
        self._made: dict[str, Any] | None = None
        self._closed = False

    def _options(self) -> dict[str, Any]:
        """What all clients are made with. Raises: Refused where a file cannot be used."""
        if self._made is None:
            self._made = {
                **connection_options(self.settings),
                "reconnect_backoff_max_ms": 500,
                "request_timeout_ms": _REQUEST_MS,
                "bootstrap_timeout_ms": 2 * _REQUEST_MS,
            }
        return self._made

    # --- writing --------------------------------------------------------------------------------
    def publish(self, entries: Sequence[Entry], within_s: float) -> None:
        """Write records, acknowledged by all replicas when this returns.

        What is not certain is written again: a record twice is a record. Raises: Unavailable.
        """
        until = time.monotonic() + within_s
        left, trouble = list(entries), "no answer"
        while left:
            left, error = self._try(left, until)
            if error is not None:
                trouble = type(error).__name__
                if isinstance(error, _HOPELESS):
                    raise self.unavailable(trouble)
                self._drop_producer()
                if time.monotonic() + _BETWEEN_S >= until:
                    raise self.unavailable(trouble)
                time.sleep(_BETWEEN_S)

    def _try(self, entries: list[Entry], until: float) -> tuple[list[Entry], Exception | None]:
        """Send; what was not acknowledged, and why."""
        left: list[Entry] = []
        waiting, trouble = [], None
        for entry in entries:
            try:
                waiting.append((entry, self._send(entry)))
            except (kafka.errors.KafkaError, OSError, ValueError) as e:
                left.append(entry)
                trouble = e
                break
        left += entries[len(waiting) + len(left) :]
        for entry, future in waiting:
            try:
                future.get(timeout=max(0.0, until - time.monotonic()))
            except (kafka.errors.KafkaError, OSError) as e:
                left.append(entry)
                trouble = e
        return left, trouble

    def _send(self, entry: Entry) -> Any:
        with self._making:
            if self._producer is None:
                self._producer = made(KafkaProducer, {**self._options(), **_PRODUCER})
            producer = self._producer
        headers = [] if entry.wrapped is None else [(HEADER, entry.knew.encoded())]
        return producer.send(
            self.name, key=entry.id.encode(), value=entry.wrapped, headers=headers, partition=0
        )

    def _drop_producer(self) -> None:
        with self._making:
            former, self._producer = self._producer, None
        _close_later(former, lambda: former.close(timeout=_CLOSE_MS / 1000))

    # --- asking ---------------------------------------------------------------------------------
    def facts(self) -> Facts:
        """The topic as it is now. Raises: Unavailable."""
        return self._ask(self._facts)

    def _facts(self, admin: Any) -> Facts:
        (told,) = admin.describe_topics([self.name])
        if told["error_code"] == _UNKNOWN_TOPIC:
            return Facts(None)
        if told["error_code"]:
            raise kafka.errors.for_code(told["error_code"])(self.name)
        if not told["partitions"]:
            return Facts(None)
        begins, ends = (
            admin.list_partition_offsets({self._partition: spec})[self._partition].offset
            for spec in (OffsetSpec.EARLIEST, OffsetSpec.LATEST)
        )
        return Facts(str(told["topic_id"]), len(told["partitions"]), begins, ends)

    def end(self) -> int:
        """The offset that the next record will get. Raises: Unavailable."""
        return int(
            self._ask(
                lambda admin: admin.list_partition_offsets({self._partition: OffsetSpec.LATEST})
            )[self._partition].offset
        )

    def configs(self) -> dict[str, str]:
        """The topic's settings. Raises: Unavailable."""
        resource = ConfigResource(ConfigResourceType.TOPIC, self.name)
        told = self._ask(lambda admin: admin.describe_configs([resource], config_filter="all"))
        return {name: str(each["value"]) for name, each in told["topic"][self.name].items()}

    def make(self) -> None:
        """Make the topic, for a trial: with as many replicas as `safe` or `unsafe` asks for.

        Raises: Unavailable.
        """
        copies = REPLICATION if self.settings.create == "safe" else 1
        configs = settings_of(KEYS, copies)
        new = NewTopic(
            self.name, num_partitions=1, replication_factor=copies, topic_configs=configs
        )
        with contextlib.suppress(kafka.errors.TopicAlreadyExistsError):
            self._ask(lambda admin: admin.create_topics([new]))

    def _ask(self, work: Callable[[Any], _T]) -> _T:
        with self._asking:
            try:
                if self._admin is None:
                    self._admin = made(KafkaAdminClient, self._options())
                return work(self._admin)
            except kafka.errors.TopicAlreadyExistsError:
                raise
            except (kafka.errors.KafkaError, OSError, ValueError, KeyError) as e:
                self._drop_admin()
                raise self.unavailable(type(e).__name__) from e
            finally:
                if self._closed:
                    self._drop_admin()

    # --- reading --------------------------------------------------------------------------------
    @contextlib.contextmanager
    def reader(self) -> Iterator[Reader]:
        """Something to read the topic with, for one thread. Raises: Unavailable."""
        try:
            consumer = made(KafkaConsumer, {**self._options(), **_CONSUMER})
        except (kafka.errors.KafkaError, OSError, ValueError) as e:
            raise self.unavailable(type(e).__name__) from e
        try:
            consumer.assign([self._partition])
            yield Reader(self, consumer, self._partition)
        finally:
            _close_later(consumer, lambda: consumer.close(timeout_ms=_CLOSE_MS))

    def unavailable(self, trouble: str) -> Unavailable:
        """The error for people: which topic, where, what Kafka's client met."""
        servers = ",".join(self.settings.address.servers)
        return Unavailable(
            f"the keys cannot be reached: the topic {self.name} at {servers} ({trouble}); "
            "check that Kafka is there: kontaktcenter log check",
            neighbour="kafka",
            retry_after_s=5,
        )

    def close(self) -> None:
        """Let go of connections; who is still asking lets go of its own when it is answered."""
        self._closed = True
        self._drop_producer()
        if self._asking.acquire(timeout=_CLOSE_MS / 1000):
            self._asking.release()
            self._drop_admin()

    def _drop_admin(self) -> None:
        former, self._admin = self._admin, None
        _close_later(former, lambda: former.close())  # noqa: PLW0108 -- None has none


class Reader:
    """Reads the topic from where it is told. For one thread."""

    def __init__(self, topic: KeysTopic, consumer: Any, partition: TopicPartition) -> None:
        self._topic, self._consumer, self._partition = topic, consumer, partition

    def seek(self, offset: int) -> None:
        """Read from this offset on, or from the next one that compaction has left."""
        self._consumer.seek(self._partition, offset)

    def read(self, wait_s: float) -> Read:
        """What comes within that time; nothing may also mean that nobody answers.

        Raises: Corrupt where the topic does not hold that offset; Unavailable.
        """
        try:
            found = self._consumer.poll(timeout_ms=int(wait_s * 1000))
            records = found.get(self._partition, [])
            at = self._consumer.position(self._partition, timeout_ms=_REQUEST_MS)
        except (kafka.errors.OffsetOutOfRangeError, kafka.errors.NoOffsetForPartitionError) as e:
            raise self._cut() from e
        except kafka.errors.KafkaError as e:
            if isinstance(e, kafka.errors.LogTruncationError):
                raise self._cut() from e
            raise self._topic.unavailable(type(e).__name__) from e
        except OSError as e:
            raise self._topic.unavailable(type(e).__name__) from e
        entries = [entry for entry in map(_entry, records) if entry is not None]
        return Read(entries, len(records) - len(entries), int(at))

    def _cut(self) -> Corrupt:
        return Corrupt(
            f"the topic {self._topic.name} no longer holds what this node has to read next: "
            "records were removed from it; restore it: kontaktcenter log check"
        )


def _entry(record: Any) -> Entry | None:
    """A record as a key; None where it is nobody's: without a key's id, or with an empty value."""
    try:
        key_id = (record.key or b"").decode()
    except UnicodeDecodeError:
        return None
    subject, _, rest = key_id.rpartition("/")
    if not subject or not rest or record.value == b"":
        return None
    knew = next((value for name, value in record.headers or () if name == HEADER), None)
    return Entry(key_id, record.value, Knew.of(knew), record.offset)


def check_settings(name: str, configs: dict[str, str]) -> None:
    """That the topic keeps keys, and tells of destroyed ones for ever. Raises: Unavailable.

    Where its settings are not shown to us, that is for `kontaktcenter log check` to find.
    """
    faults: list[str] = []
    if not configs:
        return
    if configs.get("cleanup.policy") != "compact":
        faults.append("cleanup.policy=compact")
    if int(configs.get("delete.retention.ms", "0")) < _TOMBSTONES_MS_MIN:
        faults.append(f"delete.retention.ms={_TOMBSTONES_MS_MIN * 10}")
    if faults:
        msg = (
            f"the topic {name} is not set up for keys: set {' and '.join(faults)} "
            "(kontaktcenter log check), or keys are lost"
        )
        raise Unavailable(msg, neighbour="kafka")


def compaction_s(configs: dict[str, str]) -> float | None:
    """Within how many seconds a destroyed key's bytes go from the topic; None: nobody knows."""
    lag_ms = int(configs.get("max.compaction.lag.ms", _LAG_MS_MAX))
    return None if lag_ms >= _LAG_MS_MAX else lag_ms / 1000


def _close_later(client: Any, close: Callable[[], object]) -> None:
    """Close a client that may be stuck, without waiting for it."""

    def run() -> None:
        with contextlib.suppress(Exception):
            close()

    if client is not None:
        threading.Thread(target=run, name="keys-close", daemon=True).start()
