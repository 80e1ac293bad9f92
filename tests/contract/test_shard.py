"""What the proposers at one shard learn: forks, duplicates, the door, envelopes."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from log_world import T0, At, an_id, commit, record, story

from core.commit import Accepted, Duplicate, Fork, StaleVerdict
from core.errors import Invalid, Refused
from core.eventlog.envelope import LoggedCommit, decode_envelope, encode_commit
from core.eventlog.memory_log import MemoryLog
from core.limits import COMMIT_BYTES_MAX, ENVELOPE_BYTES_MAX, NUMBER_MAX

if TYPE_CHECKING:
    from pathlib import Path

from shard_world import A, SlowLog, proposed, read_up_to, shard_on


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
