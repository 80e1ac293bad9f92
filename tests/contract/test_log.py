"""What every log promises; one suite, run on each kind, on Kafka through both clients."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest
from kafka_kinds import KAFKA_KINDS, kafka_settings, made_store
from log_world import story

from core.eventlog.log import Log, LogStore
from core.eventlog.memory_log import MemoryStore
from core.eventlog.sqlite_log import SqliteStore

if TYPE_CHECKING:
    from pathlib import Path


@dataclass
class Kind:
    """How a log is opened, and opened again with what it held."""

    name: str
    open: Callable[[], Awaitable[LogStore]]


@pytest.fixture(params=["memory", "sqlite", *KAFKA_KINDS])
def kind(request: pytest.FixtureRequest, tmp_path: Path) -> Kind:
    if request.param not in {"memory", "sqlite"}:
        settings = kafka_settings(request, request.param)

        async def on_kafka() -> LogStore:
            return await made_store(settings, {"calls": 2})

        return Kind(request.param, on_kafka)
    if request.param == "sqlite":

        async def opened() -> LogStore:
            return SqliteStore(tmp_path / "log.db")

        return Kind("sqlite", opened)
    memory = MemoryStore()  # gone with the process: its store stands for the process

    async def same() -> LogStore:
        return memory

    return Kind("memory", same)


async def bodies(log: Log, offset: int = 0, limit: int = 100) -> list[bytes]:
    records = await log.read(offset, limit, 0)
    assert [r.offset for r in records] == list(range(offset, offset + len(records)))
    return [r.body for r in records]


@story
async def test_the_first_record_has_offset_zero_and_there_are_no_gaps(kind: Kind) -> None:
    store = await kind.open()
    log = await store.open_shard("calls", 0)
    assert await log.end() == 0
    assert [await log.append(b"%d" % n) for n in range(20)] == list(range(20))
    assert await log.end() == 20
    assert await bodies(log) == [b"%d" % n for n in range(20)]
    await store.close()


@story
async def test_a_read_gives_at_most_the_limit_from_the_offset_on(kind: Kind) -> None:
    store = await kind.open()
    log = await store.open_shard("calls", 0)
    for n in range(10):
        await log.append(b"%d" % n)
    assert await bodies(log, 3, 4) == [b"3", b"4", b"5", b"6"]
    assert await bodies(log, 8, 4) == [b"8", b"9"]
    assert await bodies(log, 10, 4) == []
    await store.close()


@story
async def test_a_body_is_given_back_byte_for_byte(kind: Kind) -> None:
    store = await kind.open()
    log = await store.open_shard("calls", 0)
    wild = [b"", b"\x00", bytes(range(256)), "åäö\u2028".encode(), b"x" * 4_000_000]
    for body in wild:
        await log.append(body)
    assert await bodies(log) == wild
    await store.close()


@story
async def test_shards_and_books_do_not_mix(kind: Kind) -> None:
    store = await kind.open()
    calls = await store.open_shard("calls", 0)
    other = await store.open_shard("calls", 1)
    cases = await store.open_shard("cases.TK", 0)
    for n in range(3):
        assert await calls.append(b"calls %d" % n) == n
    assert await other.append(b"other") == 0
    assert await cases.end() == 0
    assert await bodies(other) == [b"other"]
    assert dict(await store.books()) == {"calls": 2, "cases.TK": 1}
    await store.close()


@story
async def test_opening_a_shard_twice_gives_the_same_log(kind: Kind) -> None:
    store = await kind.open()
    await (await store.open_shard("calls", 0)).append(b"one")
    assert await (await store.open_shard("calls", 0)).append(b"two") == 1
    await store.close()


@story
async def test_many_appends_at_once_get_an_offset_each(kind: Kind) -> None:
    store = await kind.open()
    log = await store.open_shard("calls", 0)
    offsets = await asyncio.gather(*(log.append(b"%d" % n) for n in range(100)))
    assert sorted(offsets) == list(range(100))
    kept = await bodies(log, 0, 200)
    assert [kept[offset] for offset in offsets] == [b"%d" % n for n in range(100)]
    await store.close()


@story
async def test_append_now_either_appends_or_leaves_it_to_append(kind: Kind) -> None:
    store = await kind.open()
    log = await store.open_shard("calls", 0)
    offset = log.append_now(b"now")
    assert offset in {None, 0}
    assert await bodies(log) == ([] if offset is None else [b"now"])
    await store.close()


@story
async def test_a_reader_beside_a_writer_sees_a_growing_beginning(kind: Kind) -> None:
    store = await kind.open()
    log = await store.open_shard("calls", 0)

    async def write() -> None:
        for n in range(200):
            await log.append(b"%d" % n)

    async def read() -> list[bytes]:
        seen: list[bytes] = []
        while len(seen) < 200:
            seen += await bodies(log, len(seen), 7)
            await asyncio.sleep(0)
        return seen

    _written, seen = await asyncio.gather(write(), read())
    assert seen == [b"%d" % n for n in range(200)]
    await store.close()


@story
async def test_what_was_appended_is_there_when_the_log_is_opened_again(kind: Kind) -> None:
    store = await kind.open()
    log = await store.open_shard("calls", 0)
    for n in range(5):
        await log.append(b"%d" % n)
    await store.close()
    again = await kind.open()
    log = await again.open_shard("calls", 0)
    assert await log.end() == 5
    assert await log.append(b"5") == 5
    assert await bodies(log) == [b"%d" % n for n in range(6)]
    await again.close()


@story
async def test_a_read_that_waits_for_a_record_is_woken_by_it(kind: Kind) -> None:
    store = await kind.open()
    log = await store.open_shard("calls", 0)
    if not log.shared:
        await store.close()
        return  # nobody else appends to it, so nobody waits
    waiting = asyncio.ensure_future(log.read(0, 10, 30))
    await asyncio.sleep(0.01)
    await log.append(b"here")
    assert [r.body for r in await asyncio.wait_for(waiting, 5)] == [b"here"]
    assert list(await log.read(1, 10, 0.01)) == []
    await store.close()
