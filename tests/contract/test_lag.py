"""How far a node is behind its logs: in records, in commits, and in seconds."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from log_world import SECRET, opened, queued, sqlite_settings, story

from core.errors import Corrupt, Unavailable
from core.eventlog.lag import OFFLINE, READY, STOPPED, Lags
from core.eventlog.memory_log import MemoryLog, MemoryStore

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from core.eventlog.log import Record
    from core.eventlog.node import NodeSettings


class SlowLog(MemoryLog):
    """A log whose reader may be held back, and which may fall silent."""

    held: int | None = None
    silent = False
    asked = 0

    async def read(self, offset: int, limit: int, wait_s: float) -> Sequence[Record]:
        found = await super().read(offset, limit, min(wait_s, 0.01))
        if self.held is not None and offset >= self.held:
            await asyncio.sleep(0.01)
            return []
        return found

    async def end(self) -> int:
        self.asked += 1
        if self.silent:
            raise Unavailable("nobody answers", neighbour="log")
        return await super().end()


class Seconds:
    """A clock that stands until it is moved."""

    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


def shared(folder: Path) -> tuple[NodeSettings, SlowLog, MemoryStore]:
    store = MemoryStore()
    store._shards["calls", 0] = log = SlowLog()
    settings = sqlite_settings(folder, log="memory:", store=store, secret=SECRET, books=("calls",))
    return settings, log, store


@story
async def test_a_node_on_a_log_of_its_own_is_never_behind_it(tmp_path: Path) -> None:
    async with opened(sqlite_settings(tmp_path)) as node:
        clock = Seconds()
        lags = Lags(node, clock)
        await node.propose(queued(1))
        await node.settle()
        clock.now += 1_000
        await lags.sample()
        lag = lags.now()["calls/0"]
        assert (lag.state, lag.unread_records, lag.unindexed_commits, lag.behind_s, lag.why) == (
            READY, 0, 0, 0.0, None,
        )  # fmt: skip


@story
async def test_a_node_that_reads_on_is_at_the_end_and_one_that_does_not_is_behind(
    tmp_path: Path,
) -> None:
    settings, log, store = shared(tmp_path / "one")
    ahead = sqlite_settings(
        tmp_path / "two", log="memory:", store=store, secret=SECRET, books=("calls",)
    )
    async with opened(settings) as node, opened(ahead) as other:
        clock = Seconds()
        lags = Lags(node, clock)
        await lags.sample()
        assert lags.now()["calls/0"].behind_s == 0
        # a shard of its own stands in for a slower reader: both read one log
        log.held = await log.end()
        await other.propose(queued(1))
        clock.now += 3
        await lags.sample()
        clock.now += 4
        await lags.sample()
        behind = lags.now()["calls/0"]
        assert (behind.state, behind.unread_records) == (READY, 1)
        assert behind.behind_s == 7.0
        log.held = None
        while lags.now()["calls/0"].unread_records:  # noqa: ASYNC110 -- from outside
            await asyncio.sleep(0.005)
        assert lags.now()["calls/0"].behind_s == 0.0


@story
async def test_a_log_that_does_not_answer_is_not_known_to_be_at_its_end(tmp_path: Path) -> None:
    settings, log, _store = shared(tmp_path)
    async with opened(settings) as node:
        clock = Seconds()
        lags = Lags(node, clock)
        await lags.sample()
        log.silent = True
        clock.now += 2
        await lags.sample()
        assert lags.now()["calls/0"].unread_records == 0  # what was seen lately still holds
        clock.now += 60
        await lags.sample()
        lag = lags.now()["calls/0"]
        assert lag.unread_records is None
        assert lag.behind_s == 62.0
        log.silent = False
        await lags.sample()
        assert lags.now()["calls/0"].behind_s == 0.0


@story
async def test_shards_that_are_away_or_stopped_say_why(tmp_path: Path) -> None:
    settings, _log, _store = shared(tmp_path)
    async with opened(settings) as node:
        lags = Lags(node, Seconds())
        shard = node.shard("calls/0")
        shard.offline = Unavailable("the broker is not there", neighbour="log")
        lag = lags.now()["calls/0"]
        assert (lag.state, lag.unread_records, lag.why) == (
            OFFLINE,
            None,
            "the broker is not there",
        )
        shard.broken(Corrupt("the log was replaced"))
        await lags.sample()
        lag = lags.now()["calls/0"]
        assert (lag.state, lag.why) == (STOPPED, "the log was replaced")


@story
async def test_what_is_judged_and_not_in_the_index_is_told(tmp_path: Path) -> None:
    settings, _log, _store = shared(tmp_path)
    async with opened(settings) as node:
        lags = Lags(node, Seconds())
        await node.propose_many([queued(n) for n in range(3)])
        judged = node.shard("calls/0").state
        assert lags.now()["calls/0"].unindexed_commits == judged.position - judged.indexed
        await node.settle()
        assert lags.now()["calls/0"].unindexed_commits == 0


@story
async def test_memory_stays_bounded_in_a_long_lag(tmp_path: Path) -> None:
    settings, log, store = shared(tmp_path / "one")
    other = sqlite_settings(
        tmp_path / "two", log="memory:", store=store, secret=SECRET, books=("calls",)
    )
    async with opened(settings) as node, opened(other) as ahead:
        clock = Seconds()
        lags = Lags(node, clock)
        log.held = await log.end()
        await ahead.propose(queued(1))
        for _ in range(1_500):
            clock.now += 1
            await lags.sample()
        assert len(lags._of(node.shard("calls/0")).ahead) <= 600
        assert lags.now()["calls/0"].behind_s == 1_500.0


@story
async def test_a_log_where_nothing_moves_is_asked_more_seldom(tmp_path: Path) -> None:
    settings, log, _store = shared(tmp_path)
    async with opened(settings) as node:
        clock = Seconds()
        lags = Lags(node, clock)
        asked = []
        for moves in (False, True, False):
            if moves:
                await node.propose(queued(1))
            log.asked = 0
            for _ in range(20):
                clock.now += 1
                await lags.sample()
                assert lags.now()["calls/0"].behind_s == 0
            asked.append(log.asked)
        assert asked[0] <= asked[1] < 20
        assert asked[2] == 4
