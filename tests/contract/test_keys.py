"""The city's secret and the keys of persons: made once, never silently lost, gone when erased."""

from __future__ import annotations

import shutil
import sqlite3
from typing import TYPE_CHECKING

import pytest
from contract_keys import CONTRACT
from log_world import SECRET, T0, an_id, opened, queued, sqlite_settings, story

from core.calls import CallQueued
from core.commit import Accepted, Draft, Happened
from core.erasure import ErasureDecided, erasure_stream
from core.errors import Corrupt, Refused, Unavailable
from core.eventlog.keyring import Keyring
from core.eventlog.keys import MemoryKeys, SqliteKeys
from core.eventlog.node import Node
from core.personal import CitySecret, Personal, Sealed

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from core.eventlog.keys import KeyBook

A = "call/x/1.1"
SUBJECT = f"caller/{SECRET.caller_ref('0700000001')}"


def settings_of(folder: Path):  # type: ignore[no-untyped-def]  # as `sqlite_settings`
    return sqlite_settings(folder, secret=SECRET)


def erasure(subject: str = SUBJECT, n: int = 1) -> Draft:
    event = ErasureDecided(subject, "gallringsbeslut 7")
    happened = Happened(erasure_stream(subject), event, T0)
    return Draft(an_id(f"erasure {n} {subject}"), f"erase {n}", "archivist", "desk", (happened,))


def caller(node: Node, stream: str = A) -> object:
    event = node.load(stream)[-1].event
    assert isinstance(event, CallQueued)
    return event.caller


async def stops(folder: Path, kind: type[Exception], word: str) -> None:
    for _ in range(2):  # the second time it is not "in use": the first left nothing open
        with pytest.raises(kind, match=word):
            await Node.open(sqlite_settings(folder))


# --- the secret -----------------------------------------------------------------------------------
@story
async def test_a_secret_is_made_once_with_the_log(tmp_path: Path) -> None:
    async with opened(sqlite_settings(tmp_path)) as node:
        await node.propose(queued(1))
    made = (tmp_path / "city.key").read_bytes()
    assert len(made) == 65
    async with opened(sqlite_settings(tmp_path)) as node:
        assert caller(node) == Personal("0700000001", f"caller/{SECRET.caller_ref('0700000001')}")
    assert made == (tmp_path / "city.key").read_bytes()


@story
async def test_a_missing_secret_stops_the_node_and_is_not_made_anew(tmp_path: Path) -> None:
    async with opened(sqlite_settings(tmp_path)) as node:
        await node.propose(queued(1))
    (tmp_path / "city.key").unlink()
    await stops(tmp_path, Corrupt, "put it back from its safe place")
    assert not (tmp_path / "city.key").exists()


@story
async def test_another_secret_stops_the_node(tmp_path: Path) -> None:
    async with opened(sqlite_settings(tmp_path)) as node:
        await node.propose(queued(1))
    (tmp_path / "city.key").write_text("ab" * 32 + "\n")
    await stops(tmp_path, Corrupt, "another city secret")


@pytest.mark.parametrize("text", ["", "ab" * 31, "ab" * 33, "xy" * 32, "åäö"])
@story
async def test_a_damaged_secret_stops_the_node(tmp_path: Path, text: str) -> None:
    async with opened(sqlite_settings(tmp_path)):
        pass
    (tmp_path / "city.key").write_text(text)
    await stops(tmp_path, Corrupt, "city.key")


@story
async def test_a_secret_that_others_can_read_is_refused(tmp_path: Path) -> None:
    async with opened(sqlite_settings(tmp_path)):
        pass
    (tmp_path / "city.key").chmod(0o644)
    await stops(tmp_path, Refused, "chmod 600")
    (tmp_path / "city.key").chmod(0o600)
    async with opened(sqlite_settings(tmp_path)):
        pass


@story
async def test_half_a_secret_of_a_crash_at_the_first_start_is_in_nobodys_way(
    tmp_path: Path,
) -> None:
    (tmp_path / "city.key.unfinished").write_text("ab")
    async with opened(sqlite_settings(tmp_path)) as node:
        await node.propose(queued(1))
    assert not (tmp_path / "city.key.unfinished").exists()


@story
async def test_a_crash_after_the_log_was_made_and_before_its_secret_is_no_lost_secret(
    tmp_path: Path,
) -> None:
    (tmp_path / "log.db").touch()
    async with opened(sqlite_settings(tmp_path)) as node:
        await node.propose(queued(1))


# --- sealing --------------------------------------------------------------------------------------
def clear_text_in(folder: Path, *texts: str) -> list[tuple[str, str]]:
    """Which of `texts` stand in clear in which files of a folder."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    return [
        (path.name, text) for path in files for text in texts if text.encode() in path.read_bytes()
    ]


@story
async def test_no_number_stands_in_clear_in_any_file(tmp_path: Path) -> None:
    async with opened(sqlite_settings(tmp_path)) as node:
        await node.propose_many([queued(n) for n in range(1, 30)])
        await node.settle()
        numbers = [f"070000{n:04d}" for n in range(1, 30)]
        assert clear_text_in(tmp_path, *numbers) == []  # also in the write-ahead logs
    assert clear_text_in(tmp_path, *numbers) == []


@story
async def test_the_feed_gives_personal_fields_sealed(tmp_path: Path) -> None:
    from core.eventlog.codec import decode_event

    async with opened(sqlite_settings(tmp_path)) as node:
        await node.propose(queued(1))
        await node.settle()
        ((_shard, _position, _seq, commit),) = node.read("calls/0", 0, 9)
        event = decode_event("call.queued", 1, commit.events[0].data)
        assert isinstance(event, CallQueued)
        assert isinstance(event.caller, Sealed)
        assert "0700" not in repr(node.load(A))


@story
async def test_many_persons_in_one_proposal_have_a_key_each(tmp_path: Path) -> None:
    async with opened(settings_of(tmp_path)) as node:
        await node.propose_many([queued(n) for n in range(3_000)])
        for n in (1, 2, 2_999):
            assert caller(node, f"call/x/{n}.1") == queued(n).events[0].event.caller  # type: ignore[attr-defined]


# --- lost keys ------------------------------------------------------------------------------------
@story
async def test_a_lost_file_of_keys_stops_the_node_and_is_not_an_erasure(tmp_path: Path) -> None:
    async with opened(sqlite_settings(tmp_path)) as node:
        await node.propose(queued(1))
    for name in ("keys.db", "keys.db-wal", "keys.db-shm"):
        (tmp_path / name).unlink(missing_ok=True)
    await stops(tmp_path, Corrupt, "restore it from the keys' backup")
    assert not (tmp_path / "keys.db").exists()


@story
async def test_an_empty_file_of_keys_is_a_lost_one(tmp_path: Path) -> None:
    async with opened(sqlite_settings(tmp_path)) as node:
        await node.propose(queued(1))
    (tmp_path / "keys.db").write_bytes(b"")
    await stops(tmp_path, Corrupt, "restore it from the keys' backup")


@story
async def test_a_key_that_an_old_copy_of_the_keys_lacks_is_lost_and_not_erased(
    tmp_path: Path,
) -> None:
    async with opened(settings_of(tmp_path)) as node:
        await node.propose(queued(1))
    shutil.copy(tmp_path / "keys.db", tmp_path / "old.db")
    async with opened(settings_of(tmp_path)) as node:
        await node.propose(queued(2))
    shutil.copy(tmp_path / "old.db", tmp_path / "keys.db")
    async with opened(settings_of(tmp_path)) as node:
        assert isinstance(caller(node, A), Personal)
        with pytest.raises(Corrupt, match="was not erased there"):
            caller(node, "call/x/2.1")
        assert len(node.read("calls/0", 0, 9)) == 2  # statistics go on: they need no key
        assert isinstance((await node.propose(queued(3))).verdict, Accepted)


@story
async def test_a_damaged_file_of_keys_stops_the_node(tmp_path: Path) -> None:
    async with opened(sqlite_settings(tmp_path)) as node:
        await node.propose_many([queued(n) for n in range(200)])
    path = tmp_path / "keys.db"
    whole = path.read_bytes()
    for bad in (b"x" * 9_000, whole[: len(whole) // 2], whole[:4096] + bytes(4096) + whole[8192:]):
        path.write_bytes(bad)
        await stops(tmp_path, Corrupt, "damaged")


@story
async def test_a_wrapped_key_that_was_changed_does_not_open_and_says_so(tmp_path: Path) -> None:
    async with opened(settings_of(tmp_path)) as node:
        await node.propose(queued(1))
    conn = sqlite3.connect(tmp_path / "keys.db")
    conn.execute("UPDATE key SET wrapped = zeroblob(60)")
    conn.commit()
    conn.close()
    async with opened(settings_of(tmp_path)) as node:
        with pytest.raises(Corrupt, match="restore the file of keys"):
            caller(node)


@story
async def test_a_file_of_keys_that_cannot_be_written_refuses_and_records_nothing(
    tmp_path: Path,
) -> None:
    async with opened(settings_of(tmp_path)) as node:
        await node.propose(queued(1))
        keys = node._keys
        assert isinstance(keys, SqliteKeys)
        keys._conn.execute("PRAGMA query_only=ON")
        with pytest.raises(Unavailable, match="nothing was recorded"):
            await node.propose(queued(2))
        keys._conn.execute("PRAGMA query_only=OFF")
        assert await node.shard("calls/0").log.end() == 2
        assert isinstance((await node.propose(queued(2))).verdict, Accepted)


@pytest.mark.parametrize("holds", CONTRACT)
@pytest.mark.parametrize("kind", ["memory", "sqlite"])
def test_all_books_of_keys_keep_one_contract(
    tmp_path: Path, kind: str, holds: Callable[[KeyBook], None]
) -> None:
    book = MemoryKeys() if kind == "memory" else SqliteKeys(tmp_path / "keys.db")
    holds(book)
    book.close()


def test_a_keyring_keeps_every_key_of_one_proposal_however_many() -> None:
    ring = Keyring(MemoryKeys(), CitySecret(bytes(32)))
    ring.ensure(["caller/first"])
    many = [f"caller/{n}" for n in range(25_000)]
    ring.ensure(many)
    assert ring.missing(many) == []
    assert ring.for_subject("caller/0").id.startswith("caller/0/")
    again = ring.for_subject("caller/24999")
    ring.ensure(["caller/another"])
    assert ring.by_id(again.id) == again
