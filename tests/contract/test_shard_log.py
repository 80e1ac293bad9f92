"""What a shard takes for its log: its genesis, its format, and what is void."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from log_world import GENESIS, At, an_id, commit, record, story

from core.commit import Accepted
from core.errors import Corrupt, NeedsUpgrade
from core.eventlog import opening as opening_module
from core.eventlog import state as state_module
from core.eventlog.envelope import decode_envelope, encode_commit, encode_genesis
from core.eventlog.memory_log import MemoryLog

if TYPE_CHECKING:
    from pathlib import Path

from shard_world import A, log_of, proposed, read_up_to, shard_on


# --- genesis --------------------------------------------------------------------------------------
@story
async def test_a_new_shard_begins_with_its_genesis_at_offset_zero(tmp_path: Path) -> None:
    log = MemoryLog()
    async with shard_on(log, tmp_path):
        (first,) = await log.read(0, 10, 0)
    assert decode_envelope(first.body).genesis == GENESIS


@pytest.mark.parametrize(
    ("changed", "word"),
    [
        ({"book": "centre"}, "KC_LOG"),
        ({"shard": 1}, "KC_LOG"),
        ({"shards": 4}, "KC_LOG"),
        ({"key_fingerprint": "0123456789abcdef"}, "city.key"),
    ],
)
@story
async def test_a_genesis_of_another_log_stops_the_node(
    tmp_path: Path, changed: dict[str, Any], word: str
) -> None:
    log = await log_of(genesis=encode_genesis(replace_genesis(**changed)))
    with pytest.raises(Corrupt, match=word):
        async with shard_on(log, tmp_path):
            pass


@story
async def test_a_genesis_of_a_newer_format_asks_for_an_upgrade(tmp_path: Path) -> None:
    log = await log_of(genesis=encode_genesis(replace_genesis(format=2)))
    with pytest.raises(NeedsUpgrade, match="upgrade"):
        async with shard_on(log, tmp_path):
            pass


@pytest.mark.parametrize("body", [b"", b"garbage", record(commit("a")), b"[]"])
@story
async def test_a_log_without_a_genesis_is_not_ours(tmp_path: Path, body: bytes) -> None:
    log = MemoryLog()
    await log.append(body)
    with pytest.raises(Corrupt, match="genesis"):
        async with shard_on(log, tmp_path):
            pass


@story
async def test_a_later_genesis_is_void(tmp_path: Path) -> None:
    other = encode_genesis(replace_genesis(shards=7))
    log = await log_of(record(commit("a", At(A))), encode_genesis(GENESIS), other)
    async with shard_on(log, tmp_path) as shard:
        assert shard.state.counts["void"] == 2
        assert await proposed(shard, commit("b", At(A))) == [Accepted(2, range(2, 3))]


@story
async def test_a_log_replaced_by_one_with_another_genesis_is_noticed(tmp_path: Path) -> None:
    async with shard_on(await log_of(record(commit("a", At(A)))), tmp_path):
        pass
    other = encode_genesis(GENESIS).replace(b'"genesis"', b' "genesis"')
    with pytest.raises(Corrupt, match="genesis differs"):
        async with shard_on(await log_of(record(commit("a", At(A))), genesis=other), tmp_path):
            pass


def replace_genesis(**changed: Any) -> Any:
    from msgspec.structs import replace as replaced

    return replaced(GENESIS, **changed)


# --- what is void ---------------------------------------------------------------------------------
def damaged(which: str, **fields: object) -> bytes:
    """A record whose one commit lacks or has something that ours does not."""
    import msgspec

    plain = msgspec.json.decode(encode_commit(commit(which, At(A))))
    event = plain["events"][0]
    for key, value in fields.items():
        target = event if key.startswith("event_") else plain
        name = key.removeprefix("event_")
        if value is None:
            del target[name]
        else:
            target[name] = value
    return b'{"format":1,"book":"calls","shard":0,"commits":[%s]}' % msgspec.json.encode(plain)


VOID = {
    "garbage": b"\xff\xfe not json",
    "nothing": b"",
    "a list": b"[1,2]",
    "another book": record(commit("v", At(A)), book="centre"),
    "another shard": record(commit("v", At(A)), shard=3),
    "a higher format that nobody raised": record(commit("v", At(A)), fmt=2),
    "a lower format": record(commit("v", At(A)), fmt=0),
    "no id": damaged("v", id=None),
    "an id in capitals": damaged("v", id=str(an_id("v")).upper()),
    "an id that is none": damaged("v", id="g" * 36),
    "an id with more behind it": damaged("v", id=str(an_id("v")) * 2),
    "no intent": damaged("v", intent=None),
    "no actor": damaged("v", actor=None),
    "no time": damaged("v", recorded_at=None),
    "a time without a zone": damaged("v", recorded_at="2026-11-22T08:00:00"),
    "an event without a type": damaged("v", event_type=None),
    "an event without a time": damaged("v", event_occurred_at=None),
    "an event without data": damaged("v", event_data=None),
    "a version beyond what SQLite keeps": damaged("v", event_version=2**63),
    "a version that is a text": damaged("v", event_version="1"),
    "a tracking beyond": damaged("v", tracking={"name": "p", "position": 2**70}),
    "a nest that is too deep": b'{"format":1,"book":"calls","shard":0,"commits":[%s]}'
    % (b"[" * 5_000),
    "half a record": record(commit("v", At(A)))[:-5],
    "two records in one": record(commit("v", At(A))) * 2,
}


@pytest.mark.parametrize("what", VOID)
@story
async def test_what_is_not_ours_is_void_counted_and_passed_over(tmp_path: Path, what: str) -> None:
    log = await log_of(record(commit("a", At(A))), VOID[what])
    async with shard_on(log, tmp_path) as shard:
        assert shard.state.counts["void"] == 1
        assert shard.state.position == 1
        assert await proposed(shard, commit("b", At(A))) == [Accepted(2, range(2, 3))]
        await shard.settle()
        ((offset, _nth, kind, reason),) = shard.state.index.asides()
        assert (offset, kind, bool(reason)) == (2, "void", True)
    async with shard_on(log, tmp_path, "anew") as again:
        assert again.state.digest == shard.state.digest
    plain = await log_of(record(commit("a", At(A))), record(commit("b", At(A))))
    async with shard_on(plain, tmp_path, "plain") as without:
        assert without.state.digest == shard.state.digest  # voids leave position and digest alone


@story
async def test_one_commit_that_is_not_ours_leaves_the_others_of_its_record(tmp_path: Path) -> None:
    bad = b'{"id":"no"}'
    good = [encode_commit(commit(n, At(A))) for n in "ab"]
    body = b'{"format":1,"book":"calls","shard":0,"commits":[%s,%s,%s]}' % (good[0], bad, good[1])
    async with shard_on(await log_of(body), tmp_path) as shard:
        assert shard.state.position == 2
        assert shard.state.index.asides() == [(1, 1, "void", "not a commit of this shard")]


@story
async def test_an_unknown_field_is_no_reason_to_void(tmp_path: Path) -> None:
    async with shard_on(await log_of(damaged("a", novelty=[1, 2])), tmp_path) as shard:
        assert shard.state.position == 1


@story
async def test_an_unknown_type_of_event_is_judged_like_any(tmp_path: Path) -> None:
    async with shard_on(
        await log_of(damaged("a", event_type="from.the_future")), tmp_path
    ) as shard:
        assert shard.state.position == 1


@story
async def test_a_void_record_while_the_node_runs_does_not_stop_its_reader(tmp_path: Path) -> None:
    log = await log_of()
    async with shard_on(log, tmp_path) as shard:
        for body in VOID.values():
            await log.append(body)
        await log.append(record(commit("a", At(A))))
        await read_up_to(shard, len(VOID) + 2)
        assert (shard.state.position, shard.state.counts["void"]) == (1, len(VOID))


# --- format ---------------------------------------------------------------------------------------
@story
async def test_a_format_raised_beyond_ours_stops_the_node(tmp_path: Path) -> None:
    log = await log_of(record(commit("a", At(A))), record(commit("up", raises_format=2)))
    with pytest.raises(NeedsUpgrade, match="format 2"):
        async with shard_on(log, tmp_path):
            pass


@story
async def test_a_format_raised_while_the_node_runs_stops_it(tmp_path: Path) -> None:
    log = await log_of()
    async with shard_on(log, tmp_path) as shard:
        assert await proposed(shard, commit("a", At(A))) == [Accepted(1, range(1, 2))]
        await log.append(record(commit("up", raises_format=2)))
        await read_up_to(shard, 99)
        with pytest.raises(NeedsUpgrade, match="upgrade"):
            await proposed(shard, commit("b", At(A)))
    assert await log.end() == 3  # nothing was appended by a node that does not know the format


@story
async def test_a_raise_by_more_than_one_or_in_another_format_raises_nothing(tmp_path: Path) -> None:
    log = await log_of(
        record(commit("a", raises_format=3)), record(commit("b", raises_format=2), fmt=2)
    )
    async with shard_on(log, tmp_path) as shard:
        assert (shard.state.format, shard.state.position) == (1, 1)


@story
async def test_a_stale_raise_raises_nothing(tmp_path: Path) -> None:
    stale = commit("up", At(A, 7), raises_format=2)
    log = await log_of(record(commit("a", At(A))), record(stale))
    async with shard_on(log, tmp_path) as shard:
        assert (shard.state.format, shard.state.counts["stale"]) == (1, 1)


@story
async def test_a_program_that_knows_the_next_format_goes_on_in_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As an upgraded node will be: the old format is void from then on, the new one is taken."""
    log = await log_of(
        record(commit("a", At(A))),
        record(commit("up", raises_format=2), commit("rest", At(A))),
        record(commit("late", At(A))),
        record(commit("new", At(A)), fmt=2),
    )
    with pytest.raises(NeedsUpgrade):
        async with shard_on(log, tmp_path):
            pass
    for module in (opening_module, state_module):
        monkeypatch.setattr(module, "FORMAT", 2)
    async with shard_on(log, tmp_path) as shard:
        assert (shard.state.format, shard.state.position) == (2, 4)
        assert await proposed(shard, commit("late", At(A))) == [Accepted(5, range(4, 5))]
        digest = shard.state.digest
    async with shard_on(log, tmp_path, "anew") as anew:
        assert anew.state.digest == digest
    monkeypatch.setattr(opening_module, "FORMAT", 1)
    with pytest.raises(NeedsUpgrade, match="raised to format 2"):  # an older program on this index
        async with shard_on(log, tmp_path):
            pass
