"""The live situation: worked out once for everybody who watches, and only while somebody does.

The read models are asked in a worker thread when one of them has moved, and every `STEADY_S` in any
case, because the last hour moves too. What is published is always the whole state, so a client that
missed a message has missed nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from time import perf_counter
from typing import TYPE_CHECKING, Any, Final, TypeVar

import msgspec
import structlog

from core.limits import STALE_AFTER_S, STREAM_CLIENTS_MAX
from core.vocabulary import CALLS, CENTRE
from webdesk import island
from webdesk.reviews import waiting_now
from webdesk.situation import situation

if TYPE_CHECKING:
    from webdesk.services import Services

STEADY_S: Final = 5.0  # half of what makes a tile grey: one lost message is no alarm
# How long between two publications, by how many watch: a few screens have it within 100 ms, and a
# message to many must not fill a network.
GAP_S: Final = 0.05
GAPS_S: Final = ((20, GAP_S), (100, 0.2), (STREAM_CLIENTS_MAX, 0.5))
_SAMPLES_MAX: Final = 256
_T = TypeVar("_T")
_LOG = structlog.get_logger("webdesk.live")


@dataclass(frozen=True, slots=True)
class Published:
    """One publication; `number` grows by one with each.

    `state` is the situation, `body` its JSON, `fresh` the short message that says it still holds.
    """

    number: int
    whole: int  # the number of the last publication whose figures differ from the one before
    positions: Mapping[str, int]
    state: dict[str, Any]
    body: bytes
    fresh: bytes


class LiveFeed:
    """Works out the situation and hands it to everybody who waits. Use from one event loop."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._lock = asyncio.Lock()
        self._moved = asyncio.Event()
        self._published = asyncio.Event()
        self._samples: deque[tuple[float, dict[str, int]]] = deque(maxlen=_SAMPLES_MAX)
        self._fresh_at: float | None = None
        self._worked_at = 0.0
        self._began = perf_counter()
        self._cost_s = 0.0
        self._latest: Published | None = None
        self._task: asyncio.Task[None] | None = None
        self.clients = 0
        self.closing = False

    def start(self) -> None:
        """Begin to follow the read models."""
        loop = asyncio.get_running_loop()

        def moved() -> None:
            with contextlib.suppress(
                RuntimeError
            ):  # the loop may be closed while a last batch lands
                loop.call_soon_threadsafe(self._moved.set)

        self._services.figures.subscribe(moved)
        self._task = loop.create_task(self._follow())

    def release(self) -> None:
        """Let every waiting client go: a server that stops must not wait for streams."""
        self.closing = True
        self._wake()

    async def close(self) -> None:
        """Let every waiting client go, and stop."""
        self.release()
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
            self._task = None

    def lag(self) -> int:
        """How many commits the read models are behind the log, over all shards."""
        reached = self._services.figures.positions()
        log = self._services.node.judged()
        return sum(max(0, position - reached.get(shard, 0)) for shard, position in log.items())

    async def now(self) -> Published:
        """The situation, worked out anew unless that was a moment ago. Raises: Unavailable."""
        latest = self._latest
        if latest is not None and perf_counter() - self._worked_at < GAP_S:
            return latest
        return await self._work()

    async def after(self, number: int) -> Published | None:
        """The first publication after `number`; None when the server closes."""
        while not self.closing:
            if self._latest is not None and self._latest.number > number:
                return self._latest
            self._moved.set() if self._latest is None else None
            await self._published.wait()
        return None

    async def _follow(self) -> None:
        while True:
            # Not wait_for: until Python 3.12 it swallows a cancellation that comes with the news.
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(STEADY_S):
                    await self._moved.wait()
            self._moved.clear()
            if not self.clients:
                continue
            try:
                await self._work()
            except Exception as e:  # noqa: BLE001 -- the edge of a task: a board must not go silent
                _LOG.error("live.failed", error=type(e).__name__)
                await asyncio.sleep(1)
            await asyncio.sleep(self._gap_s())

    def _gap_s(self) -> float:
        """How long until the next publication; working out never takes more than a third."""
        wanted = next((gap for most, gap in GAPS_S if self.clients <= most), GAPS_S[-1][1])
        return max(wanted, 2 * self._cost_s)

    async def _work(self) -> Published:
        began = perf_counter()
        async with self._lock:
            if self._latest is not None and self._worked_at > began:
                return self._latest  # somebody else asked at the same moment
            asked_at = perf_counter()
            if not self._cut_off():  # what this node has judged is then all that there is
                self._samples.append((asked_at, _of_calls(self._services.node.judged())))
            now = self._services.clock()
            figures = await asyncio.to_thread(self._services.figures.queues, now)
            reviews = await waiting_now(self._services)
            self._worked_at = perf_counter()
            self._cost_s = self._worked_at - asked_at
            age_s = max(self._age_s(figures["as_of"]), self._behind_s())
            state = situation(figures, self._services.target, age_s=age_s)
            state["island"] = island.told(self._services.node.island)
            state["reviews"] = reviews
            self._publish(state)
            assert self._latest is not None
            return self._latest

    def _age_s(self, reached: Mapping[str, int]) -> float:
        """How long ago what the figures rest on was the whole log; 0 is now."""
        while self._samples and all(
            reached.get(shard, 0) >= position for shard, position in self._samples[0][1].items()
        ):
            self._fresh_at = self._samples.popleft()[0]
        if self._fresh_at is None:  # never seen to be current: grey until it is
            first = self._samples[0][0] if self._samples else self._began
            return STALE_AFTER_S + max(0.0, perf_counter() - first)
        return max(0.0, perf_counter() - self._fresh_at)

    def _behind_s(self) -> float:
        """How long ago this node was last known to be at the end of a log that others share."""
        lags = {} if self._services.lags is None else self._services.lags.now()
        return max((lag.behind_s for lag in _of_calls(lags).values()), default=0.0)

    def _cut_off(self) -> bool:
        state = self._services.node.island
        return state is not None and state.cut_off

    def _publish(self, state: dict[str, Any]) -> None:
        before = self._latest
        number = before.number + 1 if before else 1
        same = before is not None and _figures_of(before.state) == _figures_of(state)
        sign = {name: state[name] for name in ("as_of", "at", "age_s")}
        self._latest = Published(
            number,
            before.whole if before is not None and same else number,
            state["as_of"],
            state,
            msgspec.json.encode(state),
            msgspec.json.encode(sign),
        )
        self._wake()

    def _wake(self) -> None:
        self._published.set()
        self._published = asyncio.Event()


def _of_calls(told: Mapping[str, _T]) -> dict[str, _T]:
    """What is told of the shards that the board rests on: a case does not make it old."""
    return {
        shard: of_it for shard, of_it in told.items() if shard.partition("/")[0] in {CALLS, CENTRE}
    }


def _figures_of(state: Mapping[str, Any]) -> dict[str, Any]:
    """What makes a whole message: not the clock, nor waits that each screen counts up by itself.

    Every minute does, because the hour on the chart moves.
    """
    rest = {n: v for n, v in state.items() if n not in {"at", "age_s"}}
    return {
        **rest,
        "minute": state["at"][:16],
        "groups": [_without(group, "longest_wait_s") for group in state["groups"]],
        "total": _without(state["total"], "longest_wait_s"),
        "series": [_without(point, "at") for point in state["series"]],
        "table": [_without(point, "at") for point in state["table"]],
    }


def _without(figures: Mapping[str, Any], left_out: str) -> dict[str, Any]:
    return {name: value for name, value in figures.items() if name != left_out}
