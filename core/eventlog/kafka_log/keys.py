"""Keys on Kafka: the truth is a compacted topic, and each node has a copy of it on its own disk.

A record is one key, and its newest record counts. What Kafka promises of that is not enough where
a record may arrive late, twice, or from a node that knew less; so every node that reads a record
which must not be the last word writes the right one after it, before it goes on:

- a key that was destroyed stays destroyed, whatever arrives later;
- a key whose maker did not know of a decided erasure goes with that erasure (`replica.Knew`);
- a former wrapping never takes the place of a later one.

Two nodes that do so write the same record, so it is no matter which of them does, or how often.
"""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Final

import structlog

from core.errors import Corrupt, Unavailable
from core.eventlog.kafka_log.keys_follow import Following, patience_s, still_there
from core.eventlog.kafka_log.keys_topic import KeysTopic
from core.eventlog.kafka_log.replica import Entry, Replica
from core.eventlog.key_book import lost, tombstone_of
from core.personal import subject_of

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
    from datetime import datetime
    from pathlib import Path

    from core.eventlog.kafka_log.address import KafkaSettings

REPLICA: Final = "keys.db"
KEPT: Final = "keys-kept.db"
_WRITE_S: Final = 4.0
_NUDGE_S_MIN: Final = 1.0
_FILES: Final = ("", "-wal", "-shm")
_LOG: Final = structlog.get_logger("core.eventlog.keys")


def open_keys(settings: KafkaSettings, data: Path) -> KafkaKeys:
    """The keys of this deployment for the node whose data folder is `data`.

    Quick, and Kafka need not be there: the copy is followed in the background.
    Raises: Corrupt where keys that wait to be sent are damaged; Unavailable.
    """
    return KafkaKeys(settings, data / REPLICA, data / KEPT)


class KafkaKeys:
    """Implements `KeyBook`. Blocking: off the loop, except what the copy answers by itself.

    `set_aside` says whether the copy was damaged and is being read anew.
    """

    def __init__(self, settings: KafkaSettings, replica: Path, kept: Path) -> None:
        self._topic = KeysTopic(settings)
        # What waits to be sent is nowhere else: it has a file of its own, that is never made anew.
        self._kept = Replica(kept)
        self.set_aside = False
        self._replica = self._open(replica)
        self._changing = threading.Lock()  # who plans and takes in; Kafka may be asked meanwhile
        self._watching: list[Callable[[Collection[str]], None]] = []
        self._nudge_at = 0.0
        self._whole = False  # whether the copy is known to have been read to an end once
        self._following = Following(self._topic, self._replica, self._take_in_read)

    def _open(self, path: Path) -> Replica:
        # After a power cut it may be a moment behind, and so is the place from which it reads on.
        try:
            replica = Replica(path, synchronous="NORMAL")
        except Corrupt as e:
            # Not kept beside: a copy of keys that nobody knows of would outlive their erasure.
            for suffix in _FILES:
                path.with_name(path.name + suffix).unlink(missing_ok=True)
            self.set_aside = True
            _LOG.error("keys.copy_damaged", error=e.message)
            replica = Replica(path, synchronous="NORMAL")
        waiting = self._kept.all_keys()
        replica.take(replica.plan(waiting))
        return replica

    # --- what the copy answers ------------------------------------------------------------------
    def of_subjects(self, subjects: Iterable[str]) -> dict[str, tuple[str, bytes]]:
        """A live key for each subject, as far as the topic was read here.

        Where it never was to its end, and cannot be now: of those that wait to be sent.
        """
        try:
            self._require_whole()
        except (Unavailable, Corrupt):
            return self._kept.of_subjects(subjects)
        return self._replica.of_subjects(subjects)

    def decided(self, subjects: Iterable[str]) -> dict[str, datetime]:
        """When erasures were decided, as far as this node has carried them out."""
        return self._replica.decided(subjects)

    def tombstones(self, subjects: Iterable[str]) -> int:
        """How many keys were destroyed."""
        return self._replica.tombstones(subjects)

    def erased_upto(self) -> int:
        """How far this node has carried out erasures."""
        return self._replica.erased_upto()

    def reached(self, name: str) -> int:
        """The position under a name, of this node."""
        return self._replica.reached(name)

    def compaction_s(self) -> float | None:
        """As the topic is set up, once it was asked."""
        return self._following.compaction_s

    def watch(self, told: Callable[[Collection[str]], None]) -> None:
        """Tell of what the topic says and this node did not do."""
        self._watching.append(told)

    # --- what may have to read the topic --------------------------------------------------------
    def wrapped(self, key_id: str) -> bytes | None:
        """The wrapped key; where it is not here, the topic is read to its end first.

        Raises: Corrupt only then; Unavailable where it cannot be read, and while it never was.
        """
        if key_id == tombstone_of(subject_of(key_id)):
            return None  # by its name: nobody ever keeps it
        try:
            self._require_whole()
        except Unavailable:
            waiting = self._kept.rows([key_id]).get(key_id)
            if waiting is None or waiting.wrapped is None:
                raise
            return waiting.wrapped
        try:
            return self._replica.wrapped(key_id)
        except Corrupt as e:
            if not e.details.get("key"):
                raise
        self._following.read_to_end()
        try:
            return self._replica.wrapped(key_id)
        except Corrupt as e:
            if not e.details.get("key"):
                raise
        raise _lost(key_id, self._topic.name)

    def _require_whole(self) -> None:
        """What a new node has begun to read may be a key that was destroyed further on."""
        if not self._whole:
            if not self._replica.whole():
                self._following.read_to_end()
            self._whole = True

    def live(self, subjects: Iterable[str]) -> list[tuple[str, bytes]]:
        """Every live key, those that another node made a moment ago too."""
        wanted = list(subjects)
        if wanted:
            self._following.read_to_end()
        return self._replica.live(wanted)

    def one_protected(self) -> tuple[str, bytes] | None:
        """Some live key of a protected identity.

        Raises: Unavailable where there is none here, and the topic was never read to its end.
        """
        found = self._replica.one_protected()
        if found is None and not self._replica.whole():
            self._following.read_to_end()
            found = self._replica.one_protected()
        return found

    # --- writing --------------------------------------------------------------------------------
    def add(self, keys: list[tuple[str, bytes]]) -> None:
        """Keep new keys, acknowledged by Kafka. Raises: Unavailable, Corrupt."""
        self._following.meet()
        self._publish(self._as_entries(keys))

    def _as_entries(self, keys: list[tuple[str, bytes]]) -> list[Entry]:
        knew = self._replica.knew(key_id for key_id, _wrapped in keys)
        return [Entry(key_id, wrapped, knew[key_id]) for key_id, wrapped in keys]

    def _publish(self, entries: Sequence[Entry]) -> None:
        """Write records, then take them in as if they had been read."""
        self._topic.publish(entries, patience_s(_WRITE_S))
        with self._changing:
            self._take_in(entries, None)

    def add_kept(self, keys: list[tuple[str, bytes]]) -> None:
        """Keep new keys here, in a file of their own and in the copy."""
        entries = self._as_entries(keys)
        with self._changing:
            self._kept.take(self._kept.plan(entries))
            self._replica.take(self._replica.plan(entries))

    def send_kept(self) -> int:
        """Write what waits, and let it wait no longer. Raises: Unavailable, Corrupt."""
        with self._changing:  # `add_kept` may have done half of its work, now or before a kill
            kept = self._kept.all_keys()
            there = self._replica.rows([entry.id for entry in kept])
        waiting = [
            entry for entry in kept if entry.id not in there or there[entry.id].wrapped is not None
        ]
        if waiting:
            self._following.meet()
            self._publish(waiting)
        self._kept.forget([entry.id for entry in kept])
        return len(waiting)

    def rewrap(self, keys: list[tuple[str, bytes]], progress: tuple[str, int] | None) -> None:
        """Another wrapping, for all nodes; compaction removes the former one from the topic."""
        if keys:
            self._following.meet()
        with self._changing:
            there = self._replica.rows([key_id for key_id, _wrapped in keys])
            entries = [
                Entry(k, w, there[k].knew._replace(turn=there[k].knew.turn + 1))
                for k, w in keys
                if k in there and there[k].wrapped is not None
            ]
            self._topic.publish(entries, _WRITE_S)
            self._replica.take(self._replica.plan(entries))
            self._kept.forget([entry.id for entry in entries])  # sent in this wrapping
            self._replica.rewrap([], progress)

    def erase(
        self,
        decided: Mapping[str, datetime],
        upto: int,
        places: Mapping[str, int] | None = None,
    ) -> int:
        """Tombstones for all keys that any node made before it knew; then in this node's copy."""
        at = {subject: (places or {}).get(subject, upto) for subject in decided}
        if decided:
            self._following.read_to_end()
        with self._changing:
            doomed = self._replica.doomed(decided, at)
            self._topic.publish([Entry(key_id, None) for key_id in doomed], _WRITE_S)
            self._kept.forget(doomed)
            return self._replica.erase_these(doomed, decided, upto, at)

    def remaining(self, subjects: Iterable[str]) -> int:
        """How many records of destroyed keys compaction has left in the topic so far.

        Only where they were seen is looked at again. Raises: Unavailable, Corrupt.
        """
        wanted = list(subjects)
        self._following.read_to_end()
        seen = self._replica.dead_values(wanted)
        if not seen:
            return 0
        with self._topic.reader() as reader:
            there = still_there(reader, sorted(seen), self._topic.end())
        self._replica.unsee(seen.keys() - there)
        if there:
            self._nudge({seen[at] for at in there})
        return len(there)

    def _nudge(self, key_ids: Collection[str]) -> None:
        """Kafka compacts a file when it has begun the next one, and begins it with a record."""
        now = time.monotonic()
        if now >= self._nudge_at:
            self._topic.publish([Entry(key_id, None) for key_id in sorted(key_ids)], _WRITE_S)
            self._nudge_at = now + max(_NUDGE_S_MIN, self._following.compaction_s or 0.0)

    def _take_in_read(self, entries: Sequence[Entry], next_offset: int) -> None:
        with self._changing:
            self._take_in(entries, next_offset)

    def _take_in(self, entries: Sequence[Entry], next_offset: int | None) -> None:
        """What records say; `_changing` is held. Raises: Unavailable; nothing is taken in then."""
        plan = self._replica.plan(entries)
        # First there, then here: whoever dies in between reads these records again.
        self._topic.publish(plan.corrections, _WRITE_S)
        self._replica.take(plan, next_offset)
        for told in self._watching if plan.changed else ():
            told(plan.changed)

    # --- telling --------------------------------------------------------------------------------
    def fault(self) -> str | None:
        """Why the topic is not followed now; None where it is."""
        return self._following.fault()

    def waiting(self) -> int:
        """How many keys wait to be sent."""
        return len(self._kept.all_keys())

    def close(self) -> None:
        """Stop following and close the files; what was acknowledged is there."""
        self._following.stop()
        self._topic.close()
        self._replica.close()
        self._kept.close()


def _lost(key_id: str, topic: str) -> Corrupt:
    msg = (
        f"{lost(key_id).message.partition(' is not ')[0]} is not in the topic {topic}, and was not "
        "erased there: fill it from a node that has it, kontaktcenter node refill-keys"
    )
    return Corrupt(msg, key=key_id)
