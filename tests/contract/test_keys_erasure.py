"""Erasures: carried out once decided, after a crash and after a restore; gone everywhere."""

from __future__ import annotations

import asyncio
import shutil
import sqlite3
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from log_world import SECRET, T0, an_id, opened, queued, sqlite_settings, story

from core.calls import CallQueued
from core.cases import CaseNoted
from core.commit import Accepted, Draft, Happened
from core.erasure import ErasureDecided, erasure_stream
from core.eventlog.keyring import Keyring
from core.eventlog.keys import SqliteKeys
from core.eventlog.verify import rebuild
from core.personal import ERASED, Personal

if TYPE_CHECKING:
    from pathlib import Path

    from core.eventlog.node import Node

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


@story
async def test_what_is_erased_reads_erased_and_nothing_else_changes(tmp_path: Path) -> None:
    async with opened(settings_of(tmp_path)) as node:
        await node.propose_many([queued(1), queued(2)])
        await node.settle()
        before, feed = node.digests()["calls/0"], node.read("calls/0", 0, 9)
        await node.propose(erasure())
        assert await node.apply_erasures() == 1
        assert caller(node) is ERASED
        assert isinstance(caller(node, "call/x/2.1"), Personal)
        assert node.digests()["calls/0"] == before
        assert (
            node.read("calls/0", 0, 9) == feed
        )  # with the caller's hash: statistics do not change
    async with opened(settings_of(tmp_path)) as node:
        assert caller(node) is ERASED
    await rebuild(settings_of(tmp_path))
    async with opened(settings_of(tmp_path)) as node:
        assert caller(node) is ERASED
        assert node.digests()["calls/0"] == before


@story
async def test_the_bytes_of_an_erased_key_are_in_no_file(tmp_path: Path) -> None:
    async with opened(settings_of(tmp_path)) as node:
        await node.propose_many([queued(n) for n in range(1, 400)])
        conn = sqlite3.connect(tmp_path / "keys.db")
        ((wrapped,),) = conn.execute(
            "SELECT wrapped FROM key WHERE subject = ?", (SUBJECT,)
        ).fetchall()
        conn.close()
        files = [tmp_path / name for name in ("keys.db", "keys.db-wal", "log.db", "log.db-wal")]
        assert any(wrapped in f.read_bytes() for f in files if f.exists())
        await node.propose(erasure())
        await node.apply_erasures()
        assert not any(wrapped in f.read_bytes() for f in files if f.exists())
        assert node.keyring._by_subject.get(SUBJECT) is None
    assert not any(wrapped in f.read_bytes() for f in tmp_path.rglob("*") if f.is_file())  # noqa: ASYNC240


@story
async def test_a_crash_between_decision_and_erasure_is_made_good_at_the_next_start(
    tmp_path: Path,
) -> None:
    async with opened(settings_of(tmp_path)) as node:
        await node.propose(queued(1))
        await node.propose(erasure())
        assert isinstance(caller(node), Personal)  # and here the node dies
    async with opened(settings_of(tmp_path)) as node:
        assert caller(node) is ERASED


@story
async def test_a_crash_before_the_write_ahead_log_was_emptied_leaves_no_copy_for_long(
    tmp_path: Path,
) -> None:
    """The tombstone is committed, the process dies, and the -wal still holds the key."""
    keys = SqliteKeys(tmp_path / "keys.db")
    keys.add([("caller/a/1", b"a wrapped key to be erased" * 3)])
    keys._conn.execute("UPDATE key SET wrapped = NULL")
    for name in ("keys.db", "keys.db-wal"):
        shutil.copy(tmp_path / name, tmp_path / f"copy-{name}")
    keys.close()
    shutil.move(tmp_path / "copy-keys.db", tmp_path / "copy.db")
    shutil.move(tmp_path / "copy-keys.db-wal", tmp_path / "copy.db-wal")
    assert b"to be erased" in (tmp_path / "copy.db-wal").read_bytes()
    again = SqliteKeys(tmp_path / "copy.db", may_make=False)
    for name in ("copy.db", "copy.db-wal"):
        path = tmp_path / name
        assert not path.exists() or b"to be erased" not in path.read_bytes()
    assert again.wrapped("caller/a/1") is None
    again.close()


@story
async def test_a_copy_of_the_keys_from_before_an_erasure_is_erased_again(tmp_path: Path) -> None:
    async with opened(settings_of(tmp_path)) as node:
        await node.propose(queued(1))
    shutil.copy(tmp_path / "keys.db", tmp_path / "old.db")
    async with opened(settings_of(tmp_path)) as node:
        await node.propose(erasure())
        await node.apply_erasures()
    shutil.copy(tmp_path / "old.db", tmp_path / "keys.db")
    async with opened(settings_of(tmp_path)) as node:
        assert caller(node) is ERASED


@story
async def test_after_an_erasure_the_same_person_gets_a_new_key(tmp_path: Path) -> None:
    async with opened(settings_of(tmp_path)) as node:
        await node.propose(queued(1))
        await node.propose(erasure())
        await node.apply_erasures()
        await node.propose(queued(7, number="0700000001"))
        assert caller(node) is ERASED
        assert caller(node, "call/x/7.1") == Personal("0700000001", SUBJECT)
        await node.propose(erasure(n=2))
        await node.apply_erasures()
        assert caller(node, "call/x/7.1") is ERASED


@story
async def test_erasing_twice_or_somebody_unknown_erases_nothing_more(tmp_path: Path) -> None:
    async with opened(settings_of(tmp_path)) as node:
        await node.propose(queued(1))
        await node.propose(erasure())
        assert [await node.apply_erasures() for _ in range(2)] == [1, 0]
        await node.propose(erasure("caller/nobody"))
        assert await node.apply_erasures() == 0


@story
async def test_what_is_sealed_while_an_erasure_goes_on_is_never_sealed_with_a_dead_key(
    tmp_path: Path,
) -> None:
    async with opened(settings_of(tmp_path)) as node:
        for n in range(1, 31):  # each call is later than the decisions
            draft = replace(queued(n, number="0700000001"), id=an_id(f"round {n}"))
            await node.propose(erasure(n=n))
            erased, answer = await asyncio.gather(node.apply_erasures(), node.propose(draft))
            assert isinstance(answer.verdict, Accepted)
            found = caller(node, f"call/x/{n}.1")
            if found is ERASED:  # it was sealed before, and went with the others: counted
                assert erased >= 1
            live = node._keys.of_subjects([SUBJECT])
            assert all(node.keyring.by_id(key_id) for key_id, _wrapped in live.values())


@story
async def test_keys_that_have_followed_further_than_the_log_goes_follow_it_anew(
    tmp_path: Path,
) -> None:
    """An older copy of the log was put back: what is decided from now on must not be passed."""
    async with opened(settings_of(tmp_path)) as node:
        await node.propose(queued(1))
    shutil.copy(tmp_path / "log.db", tmp_path / "old.db")
    async with opened(settings_of(tmp_path)) as node:
        await node.propose_many([erasure("caller/nobody", n) for n in range(5)])
        await node.apply_erasures()
        assert node._keys.erased_upto() == 5
    shutil.copy(tmp_path / "old.db", tmp_path / "log.db")
    shutil.rmtree(tmp_path / "index")
    async with opened(settings_of(tmp_path)) as node:
        await node.propose(erasure())
        assert await node.apply_erasures() == 1
        assert caller(node) is ERASED


LATE = T0 + timedelta(hours=2)


def late(subject: str, n: int, at: datetime, text: str = "Exempel Exempelsson") -> Draft:
    """What somebody wrote at a time about a case, as a fact that may arrive whenever."""
    happened = Happened(f"case/TK/{n}", CaseNoted("anna", Personal(text, subject)), at)
    return Draft(an_id(f"late {n}"), f"late {n}", "anna", "reserve:7", (happened,))


def decided(subject: str, at: datetime, n: int = 1) -> Draft:
    draft = erasure(subject, n)
    return replace(draft, events=(replace(draft.events[0], occurred_at=at),))


def noted(node: Node, n: int) -> object:
    event = node.load(f"case/TK/{n}")[-1].event
    assert isinstance(event, CaseNoted)
    return event.text


@pytest.mark.requirement("R55")
@story
async def test_what_was_written_before_a_decision_and_arrives_after_it_is_erased(
    tmp_path: Path,
) -> None:
    """A reserve terminal comes back with text about somebody whose erasure was decided."""
    known, unknown = "case/TK/1", "case/TK/9"
    async with opened(settings_of(tmp_path)) as node:
        await node.propose(late(known, 1, T0))
        await node.propose_many([decided(known, LATE), decided(unknown, LATE)])
        assert await node.apply_erasures() == 1
        await node.propose(late(known, 2, T0 + timedelta(hours=1)))
        await node.propose(late(unknown, 3, LATE))
        assert [noted(node, n) for n in (1, 2, 3)] == [ERASED, ERASED, ERASED]
    async with opened(settings_of(tmp_path)) as node:
        await node.propose(late(unknown, 4, T0))
        assert [noted(node, n) for n in (1, 2, 3, 4)] == [ERASED] * 4
        assert node.keyring.tombstones([known, unknown]) == 1


@story
async def test_what_is_written_after_a_decision_is_kept_until_it_is_erased_too(
    tmp_path: Path,
) -> None:
    subject, after = "case/TK/1", LATE + timedelta(seconds=1)
    async with opened(settings_of(tmp_path)) as node:
        await node.propose(decided(subject, LATE))
        await node.apply_erasures()
        await node.propose_many([late(subject, 1, after, "nytt"), late(subject, 2, T0)])
        assert noted(node, 1) == Personal("nytt", subject)
        assert noted(node, 2) is ERASED
        await node.propose(decided(subject, after, n=2))
        assert await node.apply_erasures() == 1
        assert noted(node, 1) is ERASED


@story
async def test_a_file_of_keys_from_before_decisions_were_kept_follows_the_log_anew(
    tmp_path: Path,
) -> None:
    subject = "case/TK/1"
    async with opened(settings_of(tmp_path)) as node:
        await node.propose(decided(subject, LATE))
        await node.apply_erasures()
    conn = sqlite3.connect(tmp_path / "keys.db", isolation_level=None)
    conn.execute("DROP TABLE erased")
    conn.execute("DELETE FROM key")
    conn.close()
    async with opened(settings_of(tmp_path)) as node:
        await node.propose(late(subject, 1, T0))
        assert noted(node, 1) is ERASED


def test_an_erasure_between_having_a_key_and_using_it_holds(tmp_path: Path) -> None:
    """It has a thread of its own: the key that was just there is gone."""
    book = SqliteKeys(tmp_path / "keys.db")
    ring = Keyring(book, SECRET)
    ring.ensure(["case/TK/1"])
    before = ring.for_subject("case/TK/1", T0)
    ring.erase({"case/TK/1": LATE}, 1)
    late, new = (ring.for_subject("case/TK/1", at) for at in (T0, LATE + timedelta(seconds=1)))
    assert ring.is_erased(before.id)
    assert ring.is_erased(late.id)
    assert not ring.is_erased(new.id)
    assert ring.by_id(new.id) == new
    book.close()
