"""What the proposers at one shard learn: forks, duplicates, the door, envelopes, trouble."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from log_world import T0, At, an_id, commit, record, story

from core.commit import Accepted, Duplicate, Fork, StaleVerdict
from core.errors import Corrupt, Invalid, Refused, Unavailable, Unknown
from core.eventlog import outbox
from core.eventlog.envelope import LoggedCommit, decode_claim, decode_envelope, encode_commit
from core.eventlog.memory_log import MemoryLog
from core.limits import COMMIT_BYTES_MAX, ENVELOPE_BYTES_MAX, NUMBER_MAX

if TYPE_CHECKING:
    from pathlib import Path

from shard_world import A, proposed, read_up_to, shard_on


# --- forks, duplicates ----------------------------------------------------------------------------
@story
async def test_a_fork_is_kept_aside_with_both_contents_and_counted(tmp_path: Path) -> None:
    first, other = commit("a", At(A)), commit("a", At("call/x/2"), intent="another")
    async with shard_on(MemoryLog(), tmp_path) as shard:
        assert await proposed(shard, first, other) == [
            Accepted(1, range(1, 2)),
            Fork(Accepted(1, range(1, 2))),
        ]
        await shard.settle()
        assert shard.state.counts["fork"] == 1
        assert shard.state.heads(["call/x/2"]) == {}
        assert shard.state.index.asides() == [(1, 1, "fork", str(an_id("a")))]
        contents = shard.state.index.contents(str(an_id("a")))
        assert contents == [encode_commit(first), encode_commit(other)]


@story
async def test_a_duplicate_gets_the_first_verdict_also_when_that_was_stale(tmp_path: Path) -> None:
    log = MemoryLog()
    stale = commit("late", At(A, 1))
    async with shard_on(log, tmp_path) as shard:
        await proposed(shard, commit("a", At(A)))
        first = StaleVerdict(2, A, 1)
        assert await proposed(shard, stale) == [first]
        assert await proposed(shard, stale) == [Duplicate(first)]
    async with shard_on(log, tmp_path) as reopened:  # from the index
        assert await proposed(reopened, stale) == [Duplicate(first)]
        assert await proposed(reopened, commit("a", At(A))) == [Duplicate(Accepted(1, range(1, 2)))]
    async with shard_on(log, tmp_path, "anew") as anew:  # from the log
        assert await proposed(anew, stale) == [Duplicate(first)]
        assert anew.state.digest == shard.state.digest


@story
async def test_a_duplicate_with_tracking_and_many_events_is_answered_from_the_index_too(
    tmp_path: Path,
) -> None:
    log = MemoryLog()
    many = commit("many", At(A), At(A), At("call/x/2", 0), tracking=("p", 4))
    async with shard_on(log, tmp_path) as shard:
        (first,) = await proposed(shard, many)
    async with shard_on(log, tmp_path) as again:
        assert await proposed(again, many) == [Duplicate(Accepted(1, range(1, 4)))]
        assert await proposed(again, commit("b", tracking=("p", 4))) == [
            StaleVerdict(2, "tracking/p", 4)
        ]
    assert first == Accepted(1, range(1, 4))


# --- at the door ----------------------------------------------------------------------------------
def with_text(size: int) -> LoggedCommit:
    import msgspec

    plain = commit("large", At(A))
    (event,) = plain.events
    big = msgspec.structs.replace(event, data=msgspec.Raw(b'"%s"' % (b"x" * size)))
    return msgspec.structs.replace(plain, events=[big])


@story
async def test_a_commit_too_large_is_refused_alone(tmp_path: Path) -> None:
    async with shard_on(MemoryLog(), tmp_path) as shard:
        before = asyncio.ensure_future(proposed(shard, commit("a", At(A))))
        with pytest.raises(Refused, match="bytes"):
            await proposed(shard, with_text(COMMIT_BYTES_MAX))
        assert await before == [Accepted(1, range(1, 2))]
        assert await proposed(shard, with_text(COMMIT_BYTES_MAX - 1_000)) == [
            Accepted(2, range(2, 3))
        ]


@pytest.mark.parametrize(
    "wrong",
    [
        commit("a", *[At(A)] * 5_000),
        commit("a", At("x" * 401)),
        commit("a", At(A, NUMBER_MAX + 1)),
        commit("a", tracking=("p", 2**80)),
        commit("a", At("call/\ud800")),
    ],
    ids=["too many events", "a long name", "a large version", "a large tracking", "no Unicode"],
)
def test_what_others_would_find_void_is_refused_at_the_door(wrong: LoggedCommit) -> None:
    with pytest.raises(Refused):
        encode_commit(wrong)


def test_a_time_without_a_zone_is_refused_at_the_door() -> None:
    import msgspec

    plain = commit("a", At(A))
    (event,) = plain.events
    naive = msgspec.structs.replace(event, occurred_at=T0.replace(tzinfo=None))
    with pytest.raises(Invalid, match="zone"):
        encode_commit(msgspec.structs.replace(plain, events=[naive]))
    with pytest.raises(Invalid, match="zone"):
        encode_commit(msgspec.structs.replace(plain, recorded_at=T0.replace(tzinfo=None)))


# --- group envelopes ------------------------------------------------------------------------------
@story
async def test_what_waits_goes_into_one_envelope(tmp_path: Path) -> None:
    log = MemoryLog()
    async with shard_on(log, tmp_path) as shard:
        await asyncio.gather(*(proposed(shard, commit(n, At(A))) for n in range(100)))
    assert await log.end() <= 5
    (last,) = (await log.read(await log.end() - 1, 1, 0))[-1:]
    assert len(decode_envelope(last.body).commits) > 10


@story
async def test_an_envelope_holds_at_most_its_bytes(tmp_path: Path) -> None:
    import msgspec

    log = MemoryLog()
    large = with_text(900_000)
    many = [msgspec.structs.replace(large, id=an_id(n)) for n in range(12)]
    async with shard_on(log, tmp_path) as shard:
        verdicts = await proposed(shard, *many)
        assert verdicts == [Accepted(n + 1, range(n + 1, n + 2)) for n in range(12)]
    records = await log.read(1, 100, 0)
    assert len(records) == 3
    assert max(len(r.body) for r in records) <= ENVELOPE_BYTES_MAX + 200


@story
async def test_proposals_of_one_call_keep_their_order(tmp_path: Path) -> None:
    async with shard_on(MemoryLog(), tmp_path) as shard:
        verdicts = await proposed(shard, *(commit(n, At(A, n)) for n in range(500)))
        assert verdicts == [Accepted(n + 1, range(n + 1, n + 2)) for n in range(500)]


# --- acknowledgement and reader (small print 7) ---------------------------------------------------
class SlowLog(MemoryLog):
    """A log whose acknowledgement arrives when the test lets it."""

    def __init__(self) -> None:
        super().__init__()
        self.gate = asyncio.Event()
        self.gate.set()

    async def append(self, body: bytes) -> int:
        offset = await super().append(body)
        await self.gate.wait()
        return offset


@story
async def test_an_acknowledgement_beyond_the_next_offset_waits_for_the_reader(
    tmp_path: Path,
) -> None:
    """Another node's record came between: it is judged first, whoever hears of it first."""
    log = MemoryLog()
    async with shard_on(log, tmp_path) as shard:
        await log.append(record(commit("theirs", At(A, 1))))
        assert await proposed(shard, commit("ours", At(A, 1))) == [StaleVerdict(2, A, 1)]


@story
async def test_an_acknowledgement_that_comes_after_the_reader_gets_the_readers_verdict(
    tmp_path: Path,
) -> None:
    log = SlowLog()
    async with shard_on(log, tmp_path) as shard:
        log.gate.clear()
        waiting = [
            asyncio.ensure_future(proposed(shard, commit(n, At(A, n + 1)))) for n in range(2)
        ]
        await read_up_to(shard, 2)
        assert shard.state.position > 0
        assert not any(w.done() for w in waiting)  # judged here, and not acknowledged yet
        log.gate.set()
        assert [v for w in waiting for v in await w] == [
            Accepted(1, range(1, 2)),
            Accepted(2, range(2, 3)),
        ]


@story
async def test_an_answered_proposal_can_be_read_at_once(tmp_path: Path) -> None:
    async with shard_on(MemoryLog(), tmp_path) as shard:
        for n in range(1, 30):
            await proposed(shard, commit(n, At(A)))
            assert shard.state.heads([A]) == {A: n}
            assert [row.version for row in shard.state.stream(A)] == list(range(1, n + 1))


@story
async def test_a_position_is_published_when_it_is_in_the_index(tmp_path: Path) -> None:
    async with shard_on(MemoryLog(), tmp_path) as shard:
        await proposed(shard, commit("a", At(A)))
        assert shard.state.indexed in {0, 1}
        await shard.settle()
        assert shard.state.indexed == 1
        assert [row.position for row in shard.state.index.commits(0, 10)] == [1]


# --- trouble --------------------------------------------------------------------------------------
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
