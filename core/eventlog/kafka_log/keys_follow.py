"""How a node follows the topic of keys: a thread that reads what comes, and what it found.

Whoever must not miss anything waits until it has read what the topic held when he asked.
"""

from __future__ import annotations

import asyncio
import threading
import time
from typing import TYPE_CHECKING, Final

import structlog

from core.errors import Corrupt, KontaktcenterError, Unavailable
from core.eventlog.kafka_log.keys_topic import KeysTopic, check_settings, compaction_s

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from core.eventlog.kafka_log.keys_topic import Facts, Reader
    from core.eventlog.kafka_log.replica import Entry, Replica

_END_S: Final = 2.0
_ON_LOOP_S: Final = 0.3
_POLL_S: Final = 0.5
_SILENCE_S: Final = 3.0  # nothing came for so long: is anybody there?
_IDENTITY_S: Final = 15.0
_AGAIN_S: Final = 0.5
_PACE_S: Final = 0.1  # between two readings, where nobody waits: most keys are this node's own
_FEW: Final = 100  # where more come at once there is something to catch up with
_CLOSE_S: Final = 1.0
_LOG: Final = structlog.get_logger("core.eventlog.keys")


class Following:
    """Reads the topic into the node's copy, in the background, from when it is made.

    `take_in` gets entries in the topic's order with the offset that follows them.
    `compaction_s` is as the topic is set up, once it was asked.
    """

    def __init__(
        self,
        topic: KeysTopic,
        replica: Replica,
        take_in: Callable[[Sequence[Entry], int], None],
    ) -> None:
        self._topic, self._replica, self._take_in = topic, replica, take_in
        self._news = threading.Condition()
        self._reached = -1  # how far the topic was read, by this process
        self._fault: KontaktcenterError | None = None
        self._caught_up = False  # whether it has come as far as the topic was when it was met
        self._awaited = 0  # how many wait for what the topic holds
        self._met = False  # whether this process has found the topic to be ours
        self.void = 0  # records that are nobody's keys
        self.compaction_s: float | None = None
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="keys", daemon=True)
        self._thread.start()

    def fault(self) -> str | None:
        """Why the topic is not followed now; None where it is."""
        with self._news:
            return None if self._fault is None else self._fault.message

    def stop(self) -> None:
        """Read no more."""
        self._stopping.set()
        self._await(0)
        self._thread.join(_CLOSE_S)  # a daemon: Kafka may keep it longer than anybody should wait

    def read_to_end(self) -> int:
        """Wait until this node has read what the topic holds now; how far that is.

        On an event loop it waits but a moment, and not at all while much is to be read.
        Raises: Unavailable, also where that takes longer than the limit; Corrupt where the topic is
        another one.
        """
        within_s = patience_s(_END_S)
        if within_s < _END_S and not self._caught_up:
            raise self._topic.unavailable("being read from its beginning")
        self.meet()
        self._await(1)
        try:
            end = self._end_within(within_s)
            with self._news:
                self._news.wait_for(
                    lambda: self._reached >= end or self._fault is not None, timeout=within_s
                )
                if self._reached >= end:
                    return end
                raise self._fault or self._topic.unavailable("not read to its end in time")
        finally:
            self._await(-1)

    def _await(self, more: int) -> None:
        with self._news:
            self._awaited += more
            self._news.notify_all()

    def _pause(self) -> None:
        with self._news:
            self._news.wait_for(
                lambda: self._awaited > 0 or self._stopping.is_set(), timeout=_PACE_S
            )

    def _end_within(self, within_s: float) -> int:
        """Where the topic ends, asked on a thread that nobody waits for longer."""
        found: list[int | KontaktcenterError] = []

        def ask() -> None:
            try:
                found.append(self._topic.end())
            except KontaktcenterError as e:
                found.append(e)

        asking = threading.Thread(target=ask, name="keys-end", daemon=True)
        asking.start()
        asking.join(within_s)
        if not found:
            raise self._topic.unavailable("no answer in time")
        if isinstance(found[0], KontaktcenterError):
            raise found[0]
        return found[0]

    def meet(self) -> None:
        """Wait until the topic was found to be ours. Raises: Unavailable, Corrupt."""
        with self._news:
            self._news.wait_for(
                lambda: self._met or self._fault is not None, timeout=patience_s(_END_S)
            )
            if self._fault is not None:
                raise self._fault
            if not self._met:
                raise self._topic.unavailable("no answer yet")

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
                    self.void += found.void
                    self._take_in(found.entries, next_offset)
                    self._progressed(next_offset, end)
                    if len(found.entries) + found.void < _FEW:
                        self._pause()
                if now >= check_at:
                    end, check_at, heard_at = self._check(), now + _IDENTITY_S, now
                elif now >= heard_at + _SILENCE_S:  # it may be the silence of the dead
                    self._topic.end()
                    heard_at = now

    def _progressed(self, next_offset: int, end: int) -> None:
        if next_offset >= end and not self._replica.whole():
            self._replica.set_whole()
        with self._news:
            self._caught_up = self._caught_up or next_offset >= end
            self._reached, self._met, self._fault = next_offset, True, None
            self._news.notify_all()

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
        after = self._replica.next_offset() if ours else facts.begins
        if facts.begins > after:
            raise Corrupt(_gone(name, f"begins at {facts.begins}, with records removed, and"))
        if facts.ends < after:
            raise Corrupt(_gone(name, f"ends at {facts.ends}, before what was read, and"))
        configs = self._topic.configs()
        check_settings(name, configs)
        self.compaction_s = compaction_s(configs)
        if ours is None:
            self._replica.begin(facts.identity, facts.begins)
        return facts.ends

    def _made(self) -> Facts:
        """The topic, made now; all brokers hear of it a moment later. Raises: Unavailable."""
        self._topic.make()
        until = time.monotonic() + _END_S
        while (facts := self._topic.facts()).identity is None:
            if time.monotonic() > until or self._stopping.wait(_AGAIN_S / 10):
                raise self._topic.unavailable("being made")
        return facts


def patience_s(usually_s: float) -> float:
    """How long may be waited: next to nothing on an event loop, where all else would wait too.

    A node is loaded from on its loop, and nearly always all that it needs is in its copy.
    """
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return usually_s
    return min(usually_s, _ON_LOOP_S)


def still_there(reader: Reader, offsets: Sequence[int], end: int) -> set[int]:
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
        "from it or written to it. Put back the right one, or fill this one from the nodes' "
        "copies: kontaktcenter node refill-keys (docs/operating/keys.md)"
    )
