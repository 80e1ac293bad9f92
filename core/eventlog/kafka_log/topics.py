"""What the topics of a log must be so that nothing acknowledged is lost, and what of it is not so.

Imports no client of Kafka: what a cluster is like comes from `admin`, and is judged here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from core.limits import ENVELOPE_BYTES_MAX, MIB
from core.vocabulary import CALLS, CASES_PREFIX, CENTRE, KEYS, LOOKS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

REPLICATION: Final = 3  # one broker may be away for service, and another one break meanwhile
IN_SYNC: Final = 2  # an acknowledgement means: on the disks of two machines, or on their way there
CALLS_SHARDS: Final = 4
MESSAGE_BYTES_MAX: Final = 8 * MIB
SHARDS_MAX: Final = 64  # a node runs them all on one loop; a city's day fits into four

_HOUR_MS: Final = 3_600_000
_CENTURY_MS: Final = 100 * 365 * 24 * _HOUR_MS

assert ENVELOPE_BYTES_MAX * 2 <= MESSAGE_BYTES_MAX

_COMMON: Final = {
    "unclean.leader.election.enable": "false",
    "max.message.bytes": str(MESSAGE_BYTES_MAX),
    # By the clients' clocks a broker refuses what is an hour ahead of its own: one wrong clock at a
    # node would be an outage. Ours are in the envelope; the broker's own serve compaction.
    "message.timestamp.type": "LogAppendTime",
    "compression.type": "producer",
}
_RECORDS: Final = {"cleanup.policy": "delete", "retention.ms": "-1", "retention.bytes": "-1"}
# An erased key has to go from the brokers' disks too, in a time that can be told. The newest file
# is never compacted, so it is closed each hour (at the next append); what was overwritten is gone
# a day after at the latest, however little else there is to clean. A tombstone stays for good: a
# node that was away for a year, or is new, learns of the erasure, and never takes it for a loss.
_KEYS: Final = {
    "cleanup.policy": "compact",
    "retention.ms": "-1",
    "retention.bytes": "-1",
    "segment.ms": str(_HOUR_MS),
    "min.cleanable.dirty.ratio": "0.1",
    "min.compaction.lag.ms": "0",
    "max.compaction.lag.ms": str(24 * _HOUR_MS),
    "delete.retention.ms": str(_CENTURY_MS),
}
# What may be otherwise without a loss: it is told, and no more.
_TASTE: Final = frozenset({"message.timestamp.type", "compression.type", "segment.ms"})
# A bound that may be kept with room to spare: more, or less, is as good.
_AT_LEAST: Final = frozenset({"max.message.bytes", "min.insync.replicas", "delete.retention.ms"})
_AT_MOST: Final = frozenset(
    {"segment.ms", "min.cleanable.dirty.ratio", "max.compaction.lag.ms", "min.compaction.lag.ms"}
)


class Weight(StrEnum):
    """How bad a fault is."""

    LOSES = "loses"  # what was acknowledged could be lost
    BROKEN = "broken"  # nothing can be recorded, or read
    DEGRADED = "degraded"  # it works, with less in reserve than there should be
    DIFFERS = "differs"  # it works as well; somebody set it otherwise than we do


class Kind(StrEnum):
    """What is wrong; each has a text for people, `kontaktcenter.log_faults`."""

    FEW_BROKERS = "few_brokers"
    BROKER_AWAY = "broker_away"
    AUTO_CREATE = "auto_create"
    SETTINGS_HIDDEN = "settings_hidden"
    MISSING = "missing"
    REPLICATION = "replication"
    IN_SYNC = "in_sync"
    EFFECTIVE_IN_SYNC = "effective_in_sync"
    SETTING = "setting"
    PARTITIONS = "partitions"
    OTHER_NUMBER = "other_number"
    GENESIS = "genesis"
    FOREIGN = "foreign"
    BEGINNING = "beginning"
    NO_LEADER = "no_leader"
    NO_WRITES = "no_writes"
    UNDER_REPLICATED = "under_replicated"


@dataclass(frozen=True)
class Fault:
    """One thing that is wrong: where (a topic, a broker, the cluster), what, and its details."""

    where: str
    kind: Kind
    weight: Weight
    details: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Partition:
    """One shard on the brokers. `leader` is None where it has none.

    `start` and `end` are offsets, None where they could not be asked for.
    """

    number: int
    leader: int | None
    replicas: tuple[int, ...]
    in_sync: tuple[int, ...]
    start: int | None = None
    end: int | None = None


@dataclass(frozen=True)
class Topic:
    """A topic as the brokers have it.

    `genesis_shards` is the number of shards that its first record tells: None where there is none,
    0 where it does not begin as one of ours.
    """

    book: str
    name: str
    identity: str
    partitions: tuple[Partition, ...]
    settings: Mapping[str, str]
    genesis_shards: int | None = None

    @property
    def replication(self) -> int:
        """The copies of the partition that has the fewest."""
        return min((len(p.replicas) for p in self.partitions), default=0)

    @property
    def in_sync_min(self) -> int:
        """How many copies an acknowledgement needs, as it is set."""
        return int(self.settings.get("min.insync.replicas", "1"))


@dataclass(frozen=True)
class BrokerFound:
    """A broker. `settings` is empty where they must not be seen."""

    number: int
    address: str
    rack: str | None
    fenced: bool
    settings: Mapping[str, str]


@dataclass(frozen=True)
class Cluster:
    """All brokers that the cluster knows, those that are away (`fenced`) too."""

    identity: str
    brokers: tuple[BrokerFound, ...]


def books_wanted(authorities: Iterable[str], shards: Mapping[str, int]) -> dict[str, int]:
    """All books with their number of shards; `shards` says otherwise for some."""
    books = {CALLS: CALLS_SHARDS, CENTRE: 1, LOOKS: 1, KEYS: 1}
    books |= {f"{CASES_PREFIX}{code}": 1 for code in sorted(authorities)}
    return books | {book: n for book, n in shards.items() if book in books}


def default_shards(book: str) -> int:
    """The shards of a book where nobody says otherwise."""
    return CALLS_SHARDS if book == CALLS else 1


def settings_of(book: str, replication: int) -> dict[str, str]:
    """The settings of a book's topic that has so many copies."""
    in_sync = {"min.insync.replicas": str(min(IN_SYNC, replication))}
    return {**(_KEYS if book == KEYS else _RECORDS), **_COMMON, **in_sync}


def faults_of_cluster(cluster: Cluster) -> Iterator[Fault]:
    """What of the cluster as a whole could lose data, or has less in reserve than it should."""
    if len(cluster.brokers) < REPLICATION:
        found = {"found": len(cluster.brokers), "wanted": REPLICATION}
        yield Fault("", Kind.FEW_BROKERS, Weight.LOSES, found)
    for broker in cluster.brokers:
        where = f"{broker.number} ({broker.address})"
        if broker.fenced:
            yield Fault(where, Kind.BROKER_AWAY, Weight.DEGRADED)
        elif not broker.settings:
            yield Fault(where, Kind.SETTINGS_HIDDEN, Weight.DEGRADED)
        elif broker.settings.get("auto.create.topics.enable") != "false":
            yield Fault(where, Kind.AUTO_CREATE, Weight.LOSES)


def faults_of_topic(topic: Topic, shards: int | None) -> Iterator[Fault]:
    """What of a topic could lose data or is not as it was made.

    `shards` is how many a new one should have, None where any number is as good.
    """
    yield from _copies(topic)
    wanted = settings_of(topic.book, REPLICATION)
    del wanted["min.insync.replicas"]
    for name, value in wanted.items():
        found = topic.settings.get(name)
        if found is not None and not _as_good(name, found, value):
            weight = Weight.DIFFERS if name in _TASTE else _weight_of(name)
            details = {"name": name, "found": found, "wanted": value}
            yield Fault(topic.name, Kind.SETTING, weight, details)
    yield from _shards(topic, shards)
    for partition in topic.partitions:
        yield from _of_partition(topic, partition)


def _copies(topic: Topic) -> Iterator[Fault]:
    found, in_sync = topic.replication, topic.in_sync_min
    if found < REPLICATION:
        details = {"found": found, "wanted": REPLICATION}
        yield Fault(topic.name, Kind.REPLICATION, Weight.LOSES, details)
    if in_sync < IN_SYNC:
        details = {"found": in_sync, "wanted": IN_SYNC}
        yield Fault(topic.name, Kind.IN_SYNC, Weight.LOSES, details)
    elif found < in_sync:
        # Kafka takes the smaller of the two, and acknowledges from one disk (notes, measured).
        details = {"in_sync": in_sync, "copies": found}
        yield Fault(topic.name, Kind.EFFECTIVE_IN_SYNC, Weight.LOSES, details)


def _as_good(name: str, found: str, wanted: str) -> bool:
    if name in _AT_LEAST:
        return float(found) >= float(wanted)
    if name in _AT_MOST:
        return float(found) <= float(wanted)
    return found == wanted


def _weight_of(name: str) -> Weight:
    """A record that is too large, or a key that lives on, is not a loss; all else may be one."""
    return Weight.BROKEN if name == "max.message.bytes" else Weight.LOSES


def _shards(topic: Topic, shards: int | None) -> Iterator[Fault]:
    found = len(topic.partitions)
    if topic.genesis_shards == 0:
        yield Fault(topic.name, Kind.FOREIGN, Weight.BROKEN)
    elif topic.genesis_shards is not None and topic.genesis_shards != found:
        details = {"found": found, "wanted": topic.genesis_shards}
        yield Fault(topic.name, Kind.GENESIS, Weight.BROKEN, details)
    elif topic.genesis_shards is None and shards is not None and shards != found:
        # Clients that still run bring deleted topics back with the broker's own number (notes).
        weight = Weight.BROKEN if topic.book == KEYS else Weight.DEGRADED
        details = {"found": found, "wanted": shards}
        yield Fault(topic.name, Kind.PARTITIONS, weight, details)


def _of_partition(topic: Topic, partition: Partition) -> Iterator[Fault]:
    where = f"{topic.name}/{partition.number}"
    copies = {"found": len(partition.in_sync), "wanted": len(partition.replicas)}
    if partition.leader is None:
        yield Fault(where, Kind.NO_LEADER, Weight.BROKEN)
    elif len(partition.in_sync) < min(topic.in_sync_min, len(partition.replicas)):
        yield Fault(where, Kind.NO_WRITES, Weight.BROKEN, copies | {"needs": topic.in_sync_min})
    elif len(partition.in_sync) < len(partition.replicas):
        yield Fault(where, Kind.UNDER_REPLICATED, Weight.DEGRADED, copies)
    if partition.start and topic.book != KEYS:
        yield Fault(where, Kind.BEGINNING, Weight.LOSES, {"found": partition.start})
