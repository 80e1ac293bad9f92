"""A topic of keys that was deleted, made again or cut is filled from what a node has kept of it.

Nobody does this by himself: whoever deleted the topic may have had a reason, and each node that has
a copy may have keys that the others lack. It is done on each of them, one after another.
"""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING, Final

from core.errors import Refused
from core.eventlog.kafka_log.keys import KEPT, REPLICA
from core.eventlog.kafka_log.keys_topic import KeysTopic, check_settings
from core.eventlog.kafka_log.replica import Replica

if TYPE_CHECKING:
    from pathlib import Path

    from core.eventlog.kafka_log.address import KafkaSettings
    from core.eventlog.kafka_log.keys_topic import Facts

_BATCH: Final = 500
_WRITE_S: Final = 30.0
_READ_S: Final = 0.5
_EMPTY_READS: Final = 60


def refill(settings: KafkaSettings, data: Path) -> tuple[int, int]:
    """Write what the topic lacks of this node's copy, and have the copy follow it from now on.

    How many live keys, and how many destroyed ones, were written. What the topic has is not written
    over: it is read when the node starts, and a destroyed key stays destroyed. No node may work
    with `data`. Safe to repeat. Raises: Refused where there is no copy or no topic, Corrupt,
    Unavailable.
    """
    path = data / REPLICA
    if not path.exists():
        raise Refused(f"there is no copy of keys at {path}: do this on a node that has one")
    with closing(KeysTopic(settings)) as topic, closing(Replica(path)) as replica:
        facts = topic.facts()
        if facts.identity is None:
            raise Refused(
                f"there is no topic {topic.name}: make it first, kontaktcenter log create"
            )
        check_settings(topic.name, topic.configs())
        there = _read(topic, facts)
        waiting = _waiting(data)
        lacking = [e for e in replica.all_keys() if e.id not in there and e.id not in waiting]
        for start in range(0, len(lacking), _BATCH):
            topic.publish(lacking[start : start + _BATCH], _WRITE_S)
        replica.begin(facts.identity, facts.begins)
    live = sum(entry.wrapped is not None for entry in lacking)
    return live, len(lacking) - live


def _waiting(data: Path) -> set[str]:
    """The keys that were never sent: the node sends them itself."""
    if not (data / KEPT).exists():
        return set()
    with closing(Replica(data / KEPT)) as kept:
        return {entry.id for entry in kept.all_keys()}


def _read(topic: KeysTopic, facts: Facts) -> set[str]:
    """The ids of all keys that the topic has."""
    found: set[str] = set()
    with topic.reader() as reader:
        reader.seek(facts.begins)
        reached, silent = facts.begins, 0
        while reached < facts.ends:
            read = reader.read(_READ_S)
            found |= {entry.id for entry in read.entries}
            silent = 0 if read.next_offset > reached else silent + 1
            reached = read.next_offset
            if silent > _EMPTY_READS:
                raise topic.unavailable("no answer")
    return found
