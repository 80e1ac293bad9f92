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

from core.errors import Corrupt, KontaktcenterError, Unavailable
from core.eventlog.kafka_log.keys_topic import KeysTopic, check_settings, compaction_s
from core.eventlog.kafka_log.replica import Entry, Replica
from core.eventlog.key_book import lost, tombstone_of
from core.personal import subject_of

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
    from datetime import datetime
    from pathlib import Path

    from core.eventlog.kafka_log.address import KafkaSettings
    from core.eventlog.kafka_log.keys_topic import Facts, Reader

REPLICA: Final = "keys.db"
KEPT: Final = "keys-kept.db"
_WRITE_S: Final = 4.0
_END_S: Final = 2.0
_POLL_S: Final = 0.5
_SILENCE_S: Final = 3.0  # nothing came for so long: is anybody there?
_IDENTITY_S: Final = 15.0
_AGAIN_S: Final = 0.5
_NUDGE_S_MIN: Final = 1.0
_CLOSE_S: Final = 1.0
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
        self._news = threading.Condition()
        self._reached = -1  # how far the topic was read, by this process
        self._fault: KontaktcenterError | None = None
        self._met = False  # whether this process has found the topic to be ours
        self._void = 0
        self._compaction_s: float | None = None
        self._watching: list[Callable[[Collection[str]], None]] = []
        self._nudge_at = 0.0
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="keys", daemon=True)
        self._thread.start()

    def _open(self, path: Path) -> Replica:
        try:
            replica = Replica(path)
        except Corrupt as e:
            # Not kept beside: a copy of keys that nobody knows of would outlive their erasure.
            for suffix in _FILES:
                path.with_name(path.name + suffix).unlink(missing_ok=True)
            self.set_aside = True
            _LOG.error("keys.copy_damaged", error=e.message)
            replica = Replica(path)
        waiting = self._kept.all_keys()
        replica.take(replica.plan(waiting))
        return replica

    # --- what the copy answers ------------------------------------------------------------------
    def of_subjects(self, subjects: Iterable[str]) -> dict[str, tuple[str, bytes]]:
        """A live key for each subject, as far as the topic was read here."""
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
        return self._compaction_s

    def watch(self, told: Callable[[Collection[str]], None]) -> None:
        """Tell of what the topic says and this node did not do."""
        self._watching.append(told)

    # --- what may have to read the topic --------------------------------------------------------
    def wrapped(self, key_id: str) -> bytes | None:
        """The wrapped key; where it is not here, the topic is read to its end first.

        Raises: Corrupt only then; Unavailable where it cannot be read.
        """
        if key_id == tombstone_of(subject_of(key_id)):
            return None  # by its name: nobody ever keeps it
        try:
            return self._replica.wrapped(key_id)
        except Corrupt as e:
            if not e.details.get("key"):
                raise
        self._read_to_end()
        try:
            return self._replica.wrapped(key_id)
        except Corrupt as e:
            if not e.details.get("key"):
                raise
        raise _lost(key_id, self._topic.name)

    def live(self, subjects: Iterable[str]) -> list[tuple[str, bytes]]:
        """Every live key, those that another node made a moment ago too."""
        wanted = list(subjects)
        if wanted:
            self._read_to_end()
        return self._replica.live(wanted)

    def one_protected(self) -> tuple[str, bytes] | None:
        """Some live key of a protected identity.

        Raises: Unavailable where there is none here, and the topic was never read to its end.
        """
        found = self._replica.one_protected()
        if found is None and not self._replica.whole():
            self._read_to_end()
            found = self._replica.one_protected()
        return found

    def _read_to_end(self) -> int:
        """Wait until this node has read what the topic holds now; how far that is.

        Raises: Unavailable, also where that takes longer than the limit; Corrupt where the topic is
        another one.
        """
        self._meet()
        end = self._topic.end()
        with self._news:
            self._news.wait_for(
                lambda: self._reached >= end or self._fault is not None, timeout=_END_S
            )
            if self._reached >= end:
                return end
            raise self._fault or self._topic.unavailable("not read to its end in time")

    def _meet(self) -> None:
        """Wait until the topic was found to be ours. Raises: Unavailable, Corrupt."""
        with self._news:
            self._news.wait_for(lambda: self._met or self._fault is not None, timeout=_END_S)
            if self._fault is not None:
                raise self._fault
            if not self._met:
                raise self._topic.unavailable("no answer yet")

    # --- writing --------------------------------------------------------------------------------
    def add(self, keys: list[tuple[str, bytes]]) -> None:
        """Keep new keys, acknowledged by Kafka. Raises: Unavailable, Corrupt."""
        self._meet()
        self._publish(self._as_entries(keys))

    def _as_entries(self, keys: list[tuple[str, bytes]]) -> list[Entry]:
        knew = self._replica.knew(key_id for key_id, _wrapped in keys)
        return [Entry(key_id, wrapped, knew[key_id]) for key_id, wrapped in keys]

    def _publish(self, entries: Sequence[Entry]) -> None:
        """Write records, then take them in as if they had been read."""
        self._topic.publish(entries, _WRITE_S)
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
        kept = self._kept.all_keys()
        there = self._replica.rows([entry.id for entry in kept])
        waiting = [entry for entry in kept if there[entry.id].wrapped is not None]
        if waiting:
            self._meet()
            self._publish(waiting)
        self._kept.forget([entry.id for entry in kept])
        return len(waiting)

    def rewrap(self, keys: list[tuple[str, bytes]], progress: tuple[str, int] | None) -> None:
        """Another wrapping, for all nodes; compaction removes the former one from the topic."""
        if keys:
            self._meet()
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
            self._read_to_end()
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
        self._read_to_end()
        seen = self._replica.dead_values(wanted)
        if not seen:
            return 0
        with self._topic.reader() as reader:
            there = _still_there(reader, sorted(seen), self._topic.end())
        self._replica.unsee(seen.keys() - there)
        if there:
            self._nudge({seen[at] for at in there})
        return len(there)

    def _nudge(self, key_ids: Collection[str]) -> None:
        """Kafka compacts a file when it has begun the next one, and begins it with a record."""
        now = time.monotonic()
        if now >= self._nudge_at:
            self._topic.publish([Entry(key_id, None) for key_id in sorted(key_ids)], _WRITE_S)
            self._nudge_at = now + max(_NUDGE_S_MIN, self._compaction_s or 0.0)

    # --- following ------------------------------------------------------------------------------
    def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                self._follow()
            except Exception as e:  # noqa: BLE001 -- a thread's edge: it must not end unseen
                if self._stopping.is_set():
                    return  # the files may be closed already
                self._failed(self._told(e))
            if isinstance(self._fault, Corrupt):
                return  # nothing here mends it, and going on could only hide it
            self._stopping.wait(_AGAIN_S)

    def _told(self, error: Exception) -> KontaktcenterError:
        if isinstance(error, Corrupt):
            _LOG.error("keys.stopped", error=error.message)
            return error
        if isinstance(error, KontaktcenterError):
            return error
        _LOG.error("keys.failed", error=type(error).__name__)
        return self._topic.unavailable(type(error).__name__)

    def _failed(self, error: KontaktcenterError) -> None:
        with self._news:
            self._fault = error
            self._news.notify_all()

    def _follow(self) -> None:
        """Read the topic for as long as it can be read. Raises: Unavailable, Corrupt."""
        end = self._check()
        check_at = time.monotonic() + _IDENTITY_S
        heard_at = time.monotonic()
        with self._topic.reader() as reader:
            next_offset = self._replica.next_offset()
            reader.seek(next_offset)
            self._progressed(next_offset, end)
            while not self._stopping.is_set():
                found = reader.read(_POLL_S)
                now = time.monotonic()
                if found.next_offset != next_offset:
                    next_offset, heard_at = found.next_offset, now
                    self._void += found.void
                    with self._changing:
                        self._take_in(found.entries, next_offset)
                    self._progressed(next_offset, end)
                if now >= check_at:
                    end, check_at, heard_at = self._check(), now + _IDENTITY_S, now
                elif now >= heard_at + _SILENCE_S:  # it may be the silence of the dead
                    self._topic.end()
                    heard_at = now

    def _progressed(self, next_offset: int, end: int) -> None:
        if next_offset >= end and not self._replica.whole():
            self._replica.set_whole()
        with self._news:
            self._reached, self._met, self._fault = next_offset, True, None
            self._news.notify_all()

    def _take_in(self, entries: Sequence[Entry], next_offset: int | None) -> None:
        """What records say; `_changing` is held. Raises: Unavailable; nothing is taken in then."""
        plan = self._replica.plan(entries)
        # First there, then here: whoever dies in between reads these records again.
        self._topic.publish(plan.corrections, _WRITE_S)
        self._replica.take(plan, next_offset)
        for told in self._watching if plan.changed else ():
            told(plan.changed)

    def _check(self) -> int:
        """That the topic is ours, set up for keys, and holds what is to be read; where it ends.

        Raises: Corrupt, Unavailable.
        """
        name, facts = self._topic.name, self._topic.facts()
        ours = self._replica.identity()
        if facts.identity is None:
            if ours is not None:
                raise Corrupt(_gone(name, "is gone"))
            if not self._topic.settings.create:
                msg = f"the topic {name} is missing: kontaktcenter log create"
                raise Unavailable(msg, neighbour="kafka")
            facts = self._made()
        assert facts.identity is not None
        if ours not in {None, facts.identity}:
            raise Corrupt(_gone(name, "was deleted and made again"))
        if facts.partitions != 1:
            msg = f"the topic {name} has {facts.partitions} partitions, and one is right"
            raise Unavailable(msg, neighbour="kafka")
        after = self._replica.next_offset() if ours else 0
        if facts.begins > after:
            raise Corrupt(_gone(name, f"begins at {facts.begins}, with records removed, and"))
        if facts.ends < after:
            raise Corrupt(_gone(name, f"ends at {facts.ends}, before what was read, and"))
        configs = self._topic.configs()
        check_settings(name, configs)
        self._compaction_s = compaction_s(configs)
        if ours is None:
            self._replica.begin(facts.identity)
        return facts.ends

    def _made(self) -> Facts:
        """The topic, made now; all brokers hear of it a moment later. Raises: Unavailable."""
        self._topic.make()
        until = time.monotonic() + _END_S
        while (facts := self._topic.facts()).identity is None:
            if time.monotonic() > until or self._stopping.wait(_AGAIN_S / 10):
                raise self._topic.unavailable("being made")
        return facts

    # --- telling --------------------------------------------------------------------------------
    def fault(self) -> str | None:
        """Why the topic is not followed now; None where it is."""
        with self._news:
            return None if self._fault is None else self._fault.message

    def waiting(self) -> int:
        """How many keys wait to be sent."""
        return len(self._kept.all_keys())

    def close(self) -> None:
        """Stop following and close the files; what was acknowledged is there."""
        self._stopping.set()
        self._thread.join(_CLOSE_S)  # a daemon: Kafka may keep it longer than anybody should wait
        self._topic.close()
        self._replica.close()
        self._kept.close()


def _still_there(reader: Reader, offsets: Sequence[int], end: int) -> set[int]:
    """Which of these offsets the topic still has records at. Raises: Unavailable, Corrupt."""
    there: set[int] = set()
    upto = -1  # what lies before was looked at
    for offset in offsets:
        if offset < upto:
            continue
        reader.seek(offset)
        upto = offset
        until = time.monotonic() + _END_S
        while upto <= offset < end:
            found = reader.read(_POLL_S)
            there |= {entry.at for entry in found.entries if entry.wrapped and entry.at is not None}
            upto = found.next_offset
            if time.monotonic() > until:
                raise Unavailable("the topic of keys is not read in time", neighbour="kafka")
    return there.intersection(offsets)


def _gone(name: str, what: str) -> str:
    return (
        f"the topic {name} {what} no longer is the one that this node has read: nothing is taken "
        "from it or written to it. Put back the right one, or fill this one from the nodes' copies "
        "(docs/operating/keys.md)"
    )


def _lost(key_id: str, topic: str) -> Corrupt:
    msg = (
        f"{lost(key_id).message.partition(' is not ')[0]} is not in the topic {topic}, and was not "
        "erased there: fill it from a node that has it (docs/operating/keys.md)"
    )
    return Corrupt(msg, key=key_id)
