"""What the proposers at one shard learn where the log fails, limps, or does not answer."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from log_world import At, an_id, commit, story
from shard_world import A, SlowLog, proposed, shard_on

from core.commit import Accepted, Duplicate
from core.errors import Corrupt, Unavailable, Unknown
from core.eventlog import outbox
from core.eventlog.envelope import decode_claim
from core.eventlog.memory_log import MemoryLog

if TYPE_CHECKING:
    from pathlib import Path


class FailingLog(MemoryLog):
    """A log that fails as it is told: before it has recorded, or after."""

    def __init__(self) -> None:
        super().__init__()
        self.error: Exception | None = None
        self.recorded = False

    async def append(self, body: bytes) -> int:
        if self.error is None:
            return await super().append(body)
        if self.recorded:
            await super().append(body)
        error, self.error = self.error, None
        raise error


class OwnLog(FailingLog):
    """As it is on one machine: nobody else appends, and it says for certain what it did."""

    shared = False


@story
async def test_a_log_that_refuses_is_told_to_the_proposer_and_asked_again(tmp_path: Path) -> None:
    log = OwnLog()
    async with shard_on(log, tmp_path) as shard:
        log.error = Unavailable("no", neighbour="log")
        with pytest.raises(Unavailable):
            await proposed(shard, commit("a", At(A)))
        assert await proposed(shard, commit("a", At(A))) == [Accepted(1, range(1, 2))]


@story
async def test_a_shared_log_that_does_not_answer_is_asked_again_by_the_shard(
    tmp_path: Path,
) -> None:
    log = FailingLog()
    async with shard_on(log, tmp_path) as shard:
        log.error = Unavailable("no", neighbour="log")
        assert await proposed(shard, commit("a", At(A))) == [Accepted(1, range(1, 2))]
        assert await log.end() == 2


@story
async def test_an_append_whose_answer_was_lost_has_one_effect(tmp_path: Path) -> None:
    log = FailingLog()
    async with shard_on(log, tmp_path) as shard:
        log.error, log.recorded = Unknown("lost", neighbour="log"), True
        assert await proposed(shard, commit("a", At(A))) == [Accepted(1, range(1, 2))]
        assert await log.end() == 3  # genesis, the record, and its copy
        assert await proposed(shard, commit("a", At(A))) == [Duplicate(Accepted(1, range(1, 2)))]
        assert shard.state.heads([A]) == {A: 1}


class TwiceLog(MemoryLog):
    """A producer that sends again by itself: it tells of the copy, not of what landed first."""

    async def append(self, body: bytes) -> int:
        await super().append(body)
        await asyncio.sleep(0.05)
        return await super().append(body)


@story
async def test_a_copy_that_a_client_made_is_not_told_as_somebody_elses(tmp_path: Path) -> None:
    async with shard_on(TwiceLog(), tmp_path) as shard:
        for n in range(1, 4):
            assert await proposed(shard, commit(n, At(A))) == [Accepted(n, range(n, n + 1))]


class LimpingLog(MemoryLog):
    """The first append of two under way fails, and did not land; the second is slower."""

    def __init__(self) -> None:
        super().__init__()
        self.appended = 0

    async def append(self, body: bytes) -> int:
        self.appended += 1
        if self.appended == 2:  # the first after the genesis
            await asyncio.sleep(0.02)
            raise Unknown("lost", neighbour="log")
        if self.appended == 3:
            await asyncio.sleep(0.01)
        return await super().append(body)


@story
async def test_facts_of_a_stream_keep_their_order_where_the_first_has_to_go_again(
    tmp_path: Path,
) -> None:
    log = LimpingLog()
    async with shard_on(log, tmp_path) as shard:
        one = asyncio.ensure_future(proposed(shard, commit("one", At(A))))
        await asyncio.sleep(0.001)  # it is under way
        other = asyncio.ensure_future(proposed(shard, commit("another stream's", At("call/x/2"))))
        two = asyncio.ensure_future(proposed(shard, commit("two", At(A))))
        await asyncio.gather(one, two, other)
        await shard.settle()
        found = [decode_claim(row.raw).id for row in shard.state.index.stream(A)]
        assert found == [str(an_id("one")), str(an_id("two"))]


class DeafLog(MemoryLog):
    """A log that takes no more than its genesis, and says nothing or what it is told to say."""

    def __init__(self, error: Unavailable | None = None) -> None:
        super().__init__()
        self.error, self.deaf = error, False

    async def append(self, body: bytes) -> int:
        if not self.deaf:
            return await super().append(body)
        if self.error is None:
            await asyncio.Event().wait()
        raise self.error or AssertionError


@story
async def test_whoever_has_waited_long_enough_is_told_whether_it_may_have_landed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outbox, "ANSWER_S_MAX", 0.4)
    surely_not, perhaps = Unavailable("no", neighbour="log"), Unknown("?", neighbour="log")
    for nth, (error, told) in enumerate([(None, Unknown), (perhaps, Unknown), (surely_not, None)]):
        log = DeafLog(error)
        async with shard_on(log, tmp_path, f"deaf {nth}") as shard:
            log.deaf = True
            with pytest.raises(told or Unavailable) as raised:
                await proposed(shard, commit("a", At(A)))
            assert isinstance(raised.value, Unknown) is (told is not None)
            monkeypatch.setattr(outbox, "_CLOSE_S", 0.1)


@story
async def test_a_mistake_of_the_program_reaches_whoever_waits_and_stops_the_shard(
    tmp_path: Path,
) -> None:
    log = FailingLog()
    async with shard_on(log, tmp_path) as shard:
        log.error = ZeroDivisionError("a mistake")
        with pytest.raises(Unavailable, match="not known"):
            await asyncio.wait_for(proposed(shard, commit("a", At(A))), 5)
        with pytest.raises(Corrupt, match="start it again"):
            await proposed(shard, commit("b", At(A)))


@story
async def test_a_shard_that_is_closed_takes_nothing_more_and_what_waited_is_answered(
    tmp_path: Path,
) -> None:
    log = MemoryLog()
    async with shard_on(log, tmp_path) as shard:
        waiting = [asyncio.ensure_future(proposed(shard, commit(n, At(A)))) for n in range(20)]
        await asyncio.sleep(0)
    assert [type(v) for w in waiting for v in await w] == [Accepted] * 20
    with pytest.raises(Unavailable, match="closing"):
        await proposed(shard, commit("late", At(A)))


@story
async def test_whoever_stops_waiting_does_not_stop_the_others(tmp_path: Path) -> None:
    log = SlowLog()
    async with shard_on(log, tmp_path) as shard:
        first = asyncio.ensure_future(proposed(shard, commit("a", At(A))))
        second = asyncio.ensure_future(proposed(shard, commit("b", At(A))))
        third = asyncio.ensure_future(proposed(shard, commit("c", At(A))))
        log.gate.clear()
        await asyncio.sleep(0)
        first.cancel()  # before it was sent: it is withdrawn
        await asyncio.sleep(0.002)
        second.cancel()  # too late: it is under way
        log.gate.set()
        assert await third == [Accepted(2, range(2, 3))]
        assert shard.state.position == 2


@story
async def test_a_wait_for_the_index_may_be_given_up_in_the_middle_of_a_write(
    tmp_path: Path,
) -> None:
    async with shard_on(MemoryLog(), tmp_path) as shard:
        for n in range(200):
            await proposed(shard, commit(n, At(A)))
            waiting = asyncio.ensure_future(shard.settle())
            for _ in range(n % 4):
                await asyncio.sleep(0)
            waiting.cancel()
        await shard.settle()
        assert (shard.state.indexed, shard.index_error, shard.stopped) == (200, None, None)
