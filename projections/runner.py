"""The batching runner: each batch of the feed becomes rows and position in one transaction.

An event that cannot be handled is parked in the same transaction, and the rest go on. A full disk
or a locked file is nobody's event: the projection pauses, says so, and goes on when it can. A new
version, or one that was asked for, is built beside the old file and swapped.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from time import monotonic
from typing import TYPE_CHECKING, Final

import structlog

from core.catalogue import EVENTS
from core.errors import NotFound, Unavailable
from core.limits import PROJECTION_BATCH_COMMITS
from projections.base import Fed
from projections.store import Store, TooMuchParked, is_damage, is_trouble
from projections.times import micros
from projections.waiter import Waiter, waiter_for

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from core.eventlog.node import FeedCommit
    from projections.base import Feed, Projection

RETRY_S: Final = 1.0  # a paused projection is tried again so often
_SCRUB_ATTEMPTS: Final = 100
_SCRUB_AGAIN_S: Final = 0.1
PACE_S: Final = 0.025  # between passes
IDLE_S: Final = 300.0  # a wait without news ends so seldom; news ends it at once
_LOG = structlog.get_logger("projections.runner")


@dataclass(frozen=True, slots=True)
class Status:
    """How a projection fares.

    `state` is `current`, `behind`, `paused` or `stopped`; `reason` says why.

    `behind` counts commits over all its shards, `age_s` is how long ago it was last known to be
    current.
    """

    name: str
    version: int
    state: str
    reason: str | None
    positions: Mapping[str, int]
    behind: int
    parked: int
    unknown_types: Mapping[str, int]
    file: str
    age_s: float | None


@dataclass
class _Slot:
    """One projection with its file and its state."""

    store: Store
    state: str = "behind"
    reason: str | None = None
    current_at: float | None = None
    retry_at: float = 0.0
    parked: int = field(default=0)


class Runner:
    """Runs projections over a feed. Thread-safe; the files are written under one lock.

    `node` is a `Node` (then give its `loop`, or start on it), a `BlockingNode`, or any feed that is
    only caught up with. Raises: Unavailable where a file cannot be opened at all.
    """

    def __init__(
        self,
        node: Feed,
        folder: Path,
        projections: Sequence[Projection],
        loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        self._node = node
        self._loop = loop
        self._lock = threading.RLock()
        self._moved = threading.Condition()
        self._stopping = threading.Event()
        self._callbacks: list[Callable[[str, Mapping[str, int]], None]] = []
        self._thread: threading.Thread | None = None
        self._waiter: Waiter | None = None
        self._slots: dict[str, _Slot] = {}
        for projection in projections:
            slot = _Slot(Store(folder, projection))
            slot.parked = len(slot.store.parked())
            self._slots[projection.name] = slot

    # --- the thread -------------------------------------------------------------------------------
    def start(self) -> None:
        """Follow the node in a thread of its own until `stop`.

        Call on the node's loop, or give it before.
        """
        assert self._thread is None, "already started"
        self._waiter = waiter_for(self._node, self._loop)
        self._stopping.clear()
        self._thread = threading.Thread(target=self._follow, name="projections", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End the thread after the batch under way. Safe to repeat; call before the node closes."""
        self._stopping.set()
        if self._waiter is not None:
            self._waiter.cancel()
        if self._thread is not None:
            self._thread.join()
            self._thread = None

    def close(self) -> None:
        """Stop, and close the files."""
        self.stop()
        with self._lock:
            for slot in self._slots.values():
                slot.store.close()

    def _follow(self) -> None:
        assert self._waiter is not None
        while not self._stopping.is_set():
            seen = dict(self._node.positions())
            try:
                self._pass(seen)
            except Exception as e:  # noqa: BLE001 -- the edge of a thread: boards must not stand still for good
                _LOG.error("projections.failed", error=type(e).__name__)
                self._stopping.wait(RETRY_S)
                continue
            self._stopping.wait(PACE_S)  # a commit at a time costs several times as much
            held_back = any(
                slot.state != "current" or slot.store.scrub_due for slot in self._slots.values()
            )
            if not self._stopping.is_set():
                self._waiter.wait(seen, RETRY_S if held_back else IDLE_S)

    # --- reading ----------------------------------------------------------------------------------
    def catch_up(self) -> None:
        """Return when every projection has reached what the node holds now.

        Raises: Unavailable where one is paused or stopped.
        """
        goal = dict(self._node.positions())
        with self._lock:
            for slot in self._slots.values():
                slot.retry_at = 0.0
            self._pass(goal)
        for name, slot in self._slots.items():
            if slot.state in {"paused", "stopped"}:
                msg = f"the read model {name} is {slot.state}: {slot.reason}"
                raise Unavailable(msg, neighbour=name, retry_after_s=RETRY_S)

    def _pass(self, goal: Mapping[str, int]) -> None:
        """Bring every projection that can to `goal`; those at one position share what is read."""
        for shard, position in goal.items():
            while not self._stopping.is_set() or self._thread is None:
                with self._lock:
                    if not self._step(shard, position):
                        break
        now = monotonic()
        for slot in self._slots.values():
            if slot.state in {"behind", "current"} and not self._lacking(slot, goal):
                slot.state, slot.reason, slot.current_at = "current", None, now
                if not slot.store.published:
                    with self._lock:
                        slot.store.publish()
            if slot.store.scrub_due and slot.state == "current":
                with self._lock:
                    slot.store.scrub()

    def _lacking(self, slot: _Slot, goal: Mapping[str, int]) -> int:
        store = slot.store
        return sum(
            max(0, position - store.positions.get(shard, 0))
            for shard, position in goal.items()
            if store.projection.follows(shard)
        )

    def _step(self, shard: str, goal: int) -> bool:
        """Give those that are furthest behind in a shard their next batch; False where none is."""
        waiting = [
            slot
            for slot in self._slots.values()
            if slot.store.projection.follows(shard)
            and slot.store.positions.get(shard, 0) < goal
            and slot.state != "stopped"
            and slot.retry_at <= monotonic()
        ]
        if not waiting:
            return False
        after = min(slot.store.positions.get(shard, 0) for slot in waiting)
        batch = self._node.read(shard, after, PROJECTION_BATCH_COMMITS)
        for slot in waiting:
            if slot.store.positions.get(shard, 0) == after:
                self._give(slot, shard, batch, goal)
        return True

    def _give(self, slot: _Slot, shard: str, batch: list[FeedCommit], goal: int) -> None:
        name = slot.store.projection.name
        try:
            parked = write_batch(slot.store, shard, batch, goal)
        except TooMuchParked:
            slot.state, slot.reason = "stopped", "too many events could not be handled"
        except (sqlite3.Error, OSError, MemoryError) as e:
            if not is_trouble(e):
                raise
            slot.state, slot.reason = "paused", str(e)
            slot.retry_at = monotonic() + RETRY_S
            if is_damage(e):
                slot.store, slot.parked = slot.store.replaced(), 0
                slot.state, slot.reason, slot.retry_at = "behind", str(e), 0.0
        else:
            slot.state, slot.reason, slot.retry_at = "behind", None, 0.0
            slot.parked += parked
            self._tell(name, slot.store.positions)
            return
        _LOG.warning("projections.held", projection=name, state=slot.state, reason=slot.reason)

    def _tell(self, name: str, positions: Mapping[str, int]) -> None:
        with self._moved:
            self._moved.notify_all()
        for callback in self._callbacks:
            try:
                callback(name, dict(positions))
            except Exception as e:  # noqa: BLE001 -- somebody else's code must not stop the read models
                _LOG.warning("projections.callback", error=type(e).__name__)

    # --- asking -----------------------------------------------------------------------------------
    def on_change(self, callback: Callable[[str, Mapping[str, int]], None]) -> None:
        """Call `callback(name, positions)` in the runner's thread after each batch."""
        self._callbacks.append(callback)

    def names(self) -> list[str]:
        """The projections' names."""
        return list(self._slots)

    def positions(self, name: str) -> dict[str, int]:
        """How far a projection has come in each shard that it follows."""
        return dict(self._slot(name).store.positions)

    def parked(self, name: str) -> list[dict[str, object]]:
        """What a projection could not handle: shard, position, nth, type, reason."""
        with self._lock:
            return self._slot(name).store.parked()

    def parked_count(self, name: str) -> int:
        """How many events a projection could not handle; asks no file."""
        return self._slot(name).parked

    def wait_for(self, name: str, positions: Mapping[str, int], timeout_s: float) -> bool:
        """Wait until a projection has reached `positions`; shards not followed are no matter."""
        slot = self._slot(name)
        with self._moved:
            return self._moved.wait_for(lambda: not self._lacking(slot, positions), timeout_s)

    def status(self, name: str) -> Status:
        """How a projection fares."""
        slot = self._slot(name)
        store = slot.store
        behind = self._lacking(slot, self._node.positions())
        with self._lock:
            unknown = store.unknown_types()
        return Status(
            name,
            store.projection.version,
            "behind" if slot.state == "current" and behind else slot.state,
            slot.reason,
            dict(store.positions),
            behind,
            slot.parked,
            unknown,
            str(store.link),
            None if slot.current_at is None else monotonic() - slot.current_at if behind else 0.0,
        )

    def _slot(self, name: str) -> _Slot:
        slot = self._slots.get(name)
        if slot is None:
            raise NotFound(f"there is no read model {name}; there are {', '.join(self._slots)}")
        return slot

    def scrub(self) -> None:
        """Return when no file holds what its rows no longer hold. Blocking.

        Raises: Unavailable where somebody keeps looking at a former moment.
        """
        for name, slot in self._slots.items():
            for _ in range(_SCRUB_ATTEMPTS):
                with self._lock:
                    if slot.store.scrub():
                        break
                self._stopping.wait(_SCRUB_AGAIN_S)
            else:
                msg = f"the read model {name} is being looked at all the time"
                raise Unavailable(msg, neighbour=name, retry_after_s=RETRY_S)

    # --- building anew ----------------------------------------------------------------------------
    def rebuild(self, name: str, progress: Callable[[int, int], None] | None = None) -> None:
        """Build a projection's file anew beside the one in use, and swap it in.

        `progress` gets commits done and in all. Raises: NotFound, Unavailable (no space),
        TooMuchParked; the new file is then removed, and the one in use stays.
        """
        slot = self._slot(name)
        fresh = slot.store.renew()
        try:
            self._fill(fresh, progress)
            with self._lock:
                self._fill(fresh, progress)
                former = slot.store
                fresh.publish()
                slot.store, slot.parked = fresh, len(fresh.parked())
                slot.state, slot.reason, slot.retry_at = "behind", None, 0.0
        except BaseException as e:
            if slot.store is not fresh:
                fresh.discard()
            if is_trouble(e):
                msg = f"the read model {name} could not be built anew ({e}); the former one stays"
                raise Unavailable(msg, neighbour=name, retry_after_s=RETRY_S) from e
            raise
        former.close()
        self._tell(name, fresh.positions)

    def _fill(self, store: Store, progress: Callable[[int, int], None] | None) -> None:
        goal = {s: p for s, p in self._node.positions().items() if store.projection.follows(s)}
        for shard, position in goal.items():
            while (after := store.positions.get(shard, 0)) < position:
                batch = self._node.read(shard, after, PROJECTION_BATCH_COMMITS)
                write_batch(store, shard, batch, position)
                if progress is not None:
                    progress(sum(store.positions.values()), sum(goal.values()))


def write_batch(store: Store, shard: str, batch: Sequence[FeedCommit], goal: int) -> int:
    """Write one batch that was read of `shard`; how many of its events were parked.

    Where fewer came than were asked for, nothing more is there up to `goal`, which a node had
    reached before the reading began: the commits between were stale or empty.
    """
    topics = store.projection.topics
    events: list[Fed] = []
    unknown: dict[str, int] = {}
    for _shard, position, seq, commit in batch:
        for nth, event in enumerate(commit.events):
            if event.type in topics:
                events.append(Fed(shard, position, seq + nth, nth, commit, event))
            elif event.type not in EVENTS:
                unknown[event.type] = unknown.get(event.type, 0) + 1
    last = batch[-1].position if batch else 0
    position = last if len(batch) == PROJECTION_BATCH_COMMITS else max(goal, last)
    recorded_us = micros(batch[-1].commit.recorded_at) if batch else None
    return len(store.write(shard, events, unknown, position, recorded_us))
