"""How far this node is behind its logs: sampled beside all work, so that nobody who asks waits.

A log that others share is asked for its end each second, one where nothing moves more seldom. A
sample that this node has passed says that it was at the end at that time; so the age of the last
one is how long it may have been behind.
"""

from __future__ import annotations

import asyncio
from collections import deque
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from core.errors import KontaktcenterError
from core.limits import LAG_IDLE_S, LAG_SAMPLE_S, LAG_SAMPLES_MAX, LOG_END_S_MAX

if TYPE_CHECKING:
    from collections.abc import Callable

    from core.eventlog.node import Node
    from core.eventlog.shard import Shard

READY: Final = "ready"
OFFLINE: Final = "offline"  # its log has not been reached since the start
_AT_ONCE: Final = 4
STOPPED: Final = "stopped"  # it cannot go on without an operator


@dataclass(frozen=True, slots=True)
class ShardLag:
    """How far one shard is behind.

    `unread_records` are in the log and not judged here; None where nobody knows, because the log
    did not answer. `unindexed_commits` were judged and are not in the index yet. `behind_s` is how
    long ago this node was last known to be at the log's end; 0 while it is. `why` is what an
    operator has to know where `state` is not `ready`, or the index cannot be written.
    """

    state: str
    unread_records: int | None
    unindexed_commits: int
    behind_s: float
    why: str | None = None


@dataclass(slots=True)
class _Samples:
    """The ends of one log that this node has not reached yet, with when they were seen."""

    fresh_at: float
    ahead: deque[tuple[float, int]] = field(default_factory=deque)
    end: int | None = None
    seen_at: float | None = None
    due_at: float = 0.0
    moved_at: float = 0.0

    def add(self, at: float, end: int) -> None:
        if end != self.end:
            self.moved_at = at
        self.end, self.seen_at = end, at
        self.ahead.append((at, end))
        if len(self.ahead) > LAG_SAMPLES_MAX:
            # Of a long lag every other moment will do: whoever catches up is told so a bit later.
            self.ahead = deque(list(self.ahead)[::2])

    def passed(self, next_offset: int) -> None:
        while self.ahead and self.ahead[0][1] <= next_offset:
            self.fresh_at = self.ahead.popleft()[0]


class Lags:
    """Samples the ends of shared logs. `run` on the node's loop; `now` from there too.

    `now_s` is a clock that only goes forward.
    """

    def __init__(self, node: Node, now_s: Callable[[], float]) -> None:
        self._node, self._now_s = node, now_s
        self._samples: dict[str, _Samples] = {}
        for name in node.shards():
            self._of(node.shard(name))

    async def run(self) -> None:
        """Sample until cancelled."""
        while True:
            await self.sample()
            await asyncio.sleep(LAG_SAMPLE_S)

    async def sample(self) -> None:
        """Ask the shared logs that are due for their ends; one that is silent is asked again."""
        shards = [self._node.shard(name) for name in self._node.shards()]
        due = [shard for shard in shards if shard.log.shared and self._is_due(shard)]
        for some in range(0, len(due), _AT_ONCE):  # a city has many books: no burst of questions
            await asyncio.gather(*map(self._ask, due[some : some + _AT_ONCE]))

    def _is_due(self, shard: Shard) -> bool:
        return shard.stopped is None and self._of(shard).due_at <= self._now_s()

    async def _ask(self, shard: Shard) -> None:
        samples, asked_at = self._of(shard), self._now_s()
        with suppress(KontaktcenterError, TimeoutError, OSError):
            async with asyncio.timeout(LOG_END_S_MAX):
                samples.add(asked_at, await shard.log.end())
            samples.passed(shard.state.next_offset)
            if not samples.ahead and asked_at - samples.moved_at > LAG_IDLE_S:
                samples.due_at = asked_at + LAG_IDLE_S

    def now(self) -> dict[str, ShardLag]:
        """How each shard stands, by name."""
        return {name: self._lag(self._node.shard(name)) for name in self._node.shards()}

    def _of(self, shard: Shard) -> _Samples:
        # A shard that was opened with its log had read it to the end by then.
        return self._samples.setdefault(shard.name, _Samples(self._now_s()))

    def _lag(self, shard: Shard) -> ShardLag:
        state = shard.state
        unindexed = state.position - state.indexed
        if not shard.log.shared:
            stopped = shard.stopped
            why = shard.index_error if stopped is None else str(stopped)
            return ShardLag(READY if stopped is None else STOPPED, 0, unindexed, 0.0, why)
        samples, now = self._of(shard), self._now_s()
        samples.passed(state.next_offset)
        known = samples.seen_at is not None and now - samples.seen_at <= _KNOWN_S
        unread = max(0, (samples.end or 0) - state.next_offset) if known else None
        behind_s = 0.0 if known and not samples.ahead else max(0.0, now - samples.fresh_at)
        if shard.stopped is not None:
            return ShardLag(STOPPED, unread, unindexed, behind_s, str(shard.stopped))
        if shard.offline is not None:
            return ShardLag(OFFLINE, None, unindexed, behind_s, str(shard.offline))
        return ShardLag(READY, unread, unindexed, behind_s, shard.index_error)


_KNOWN_S: Final = 2 * LAG_IDLE_S + LOG_END_S_MAX  # an end that was seen so lately is still known
