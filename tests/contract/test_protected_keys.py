"""Protected identities: keys of their own, which the city secret alone does not open."""

from __future__ import annotations

import shutil
import sqlite3
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from log_world import T0, an_id, opened, sqlite_settings, story

from core.cases import CaseNoted, CaseProtected, CaseRegistered
from core.commit import Accepted, Draft, Event, Happened
from core.erasure import ErasureDecided
from core.errors import Unavailable
from core.eventlog import protecting
from core.eventlog.secret import load_secret
from core.personal import (
    ERASED,
    CitySecret,
    DataKey,
    KeyClosed,
    Personal,
    PersonalField,
    Sealed,
    is_protected,
    unwrap,
    wrap,
)

if TYPE_CHECKING:
    from pathlib import Path

    from core.eventlog.node import Node

pytestmark = pytest.mark.requirement("R54")
CASE, OTHER = "case/TK/1", "case/TK/2"
NAME = "Greta Gömd"


def registered(stream: str, text: str | None, *, protected: bool = False) -> Draft:
    subject = f"protected/{stream}" if protected else stream
    event = CaseRegistered(
        number=stream, authority="TK", agent="anna", channel="phone", protected=protected,
        text=Personal(text, subject) if text else None,
    )  # fmt: skip
    return fact(f"registered {stream}", stream, event)


def protection(stream: str, name: str = "p", *, protected: bool = True) -> Draft:
    return fact(f"{name} {stream}", stream, CaseProtected("rut", protected=protected))


def fact(name: str, stream: str, event: Event) -> Draft:
    return Draft(an_id(name), name, "anna", "desk", (Happened(stream, event, T0),))


def texts(node: Node, stream: str = CASE, *, protected: bool = False) -> list[PersonalField | None]:
    found = [r.event for r in node.load(stream, protected=protected)]
    return [e.text for e in found if isinstance(e, CaseRegistered | CaseNoted)]


def clear(node: Node, stream: str = CASE, *, protected: bool = False) -> list[str | None]:
    """The texts that open; None where one is sealed."""
    return [
        t.value if isinstance(t, Personal) else None
        for t in texts(node, stream, protected=protected)
    ]


def opened_by_city_key(folder: Path) -> set[str]:
    """The keys that a copy of the data folder without `protected.key` opens."""
    city = load_secret(folder / "city.key", may_make=False, entropy=b"")
    conn = sqlite3.connect(folder / "keys.db")
    found = set()
    for key_id, wrapped in conn.execute("SELECT id, wrapped FROM key WHERE wrapped IS NOT NULL"):
        try:
            unwrap(key_id, wrapped, city)
            found.add(key_id.rpartition("/")[0])
        except ValueError:
            pass
    conn.close()
    return found


@story
async def test_what_was_registered_as_protected_is_sealed_unless_it_is_asked_for(
    tmp_path: Path,
) -> None:
    async with opened(sqlite_settings(tmp_path)) as node:
        await node.propose(registered(CASE, NAME, protected=True))
        await node.propose(registered(OTHER, "an ordinary matter"))
        assert isinstance(texts(node)[0], Sealed)
        assert clear(node, protected=True) == [NAME]
        assert clear(node, OTHER) == ["an ordinary matter"]
    assert {OTHER} == opened_by_city_key(tmp_path)
    async with opened(sqlite_settings(tmp_path)) as node:
        assert clear(node) == [None]
        assert clear(node, protected=True) == [NAME]


@story
async def test_protection_that_comes_later_closes_what_was_written_before(tmp_path: Path) -> None:
    async with opened(sqlite_settings(tmp_path)) as node:
        await node.propose(registered(CASE, NAME))
        assert clear(node) == [NAME]
        await node.propose(protection(CASE))
        assert clear(node) == [None]
        assert clear(node, protected=True) == [NAME]
        late = CaseNoted("anna", Personal("written as before", CASE))
        await node.propose(fact("late", CASE, late))
        assert clear(node) == [None, None]
        assert clear(node, protected=True) == [NAME, "written as before"]
    assert set() == opened_by_city_key(tmp_path)


@story
async def test_a_case_without_text_is_closed_for_all_that_is_written_later(tmp_path: Path) -> None:
    async with opened(sqlite_settings(tmp_path)) as node:
        await node.propose(registered(CASE, None))
        await node.propose(protection(CASE))
        await node.propose(fact("late", CASE, CaseNoted("anna", Personal(NAME, CASE))))
        assert clear(node) == [None, None]
    assert set() == opened_by_city_key(tmp_path)


@story
async def test_a_case_that_was_wrongly_protected_opens_again(tmp_path: Path) -> None:
    async with opened(sqlite_settings(tmp_path)) as node:
        await node.propose(registered(CASE, NAME, protected=True))
        await node.propose(protection(CASE, protected=False))
        assert clear(node) == [NAME]
    async with opened(sqlite_settings(tmp_path)) as node:
        assert clear(node) == [NAME]


@story
async def test_protection_that_was_not_carried_out_is_at_the_next_start(tmp_path: Path) -> None:
    """A crash between verdict and keys, or older keys that were put back, look the same."""
    async with opened(sqlite_settings(tmp_path)) as node:
        await node.propose(registered(CASE, NAME))
    shutil.copy(tmp_path / "keys.db", tmp_path / "older")
    async with opened(sqlite_settings(tmp_path)) as node:
        await node.propose(protection(CASE))
    shutil.copy(tmp_path / "older", tmp_path / "keys.db")
    assert {CASE} == opened_by_city_key(tmp_path)
    async with opened(sqlite_settings(tmp_path)) as node:
        assert clear(node) == [None]
        assert clear(node, protected=True) == [NAME]
    assert set() == opened_by_city_key(tmp_path)


@story
async def test_no_copy_of_the_former_wrapping_stays_in_the_file_of_keys(tmp_path: Path) -> None:
    async with opened(sqlite_settings(tmp_path)) as node:
        await node.propose(registered(CASE, NAME))
        ((_key_id, wrapped),) = node._keys.live([CASE])
        files = [tmp_path / "keys.db", tmp_path / "keys.db-wal"]
        assert any(wrapped in f.read_bytes() for f in files)
        await node.propose(protection(CASE))
        assert not any(wrapped in f.read_bytes() for f in files)


@story
async def test_without_its_secret_all_else_goes_on_and_nothing_of_the_protected_opens(
    tmp_path: Path,
) -> None:
    async with opened(sqlite_settings(tmp_path)) as node:
        await node.propose(registered(CASE, NAME, protected=True))
    (tmp_path / "protected.key").rename(tmp_path / "safe")
    async with opened(sqlite_settings(tmp_path)) as node:
        assert "missing" in (node.keyring.protected_fault() or "")
        await node.propose(registered(OTHER, "an ordinary matter"))
        assert clear(node, OTHER) == ["an ordinary matter"]
        assert clear(node) == [None]
        with pytest.raises(Unavailable, match=r"protected\.key is missing"):
            node.load(CASE, protected=True)
        with pytest.raises(Unavailable):
            await node.propose(registered("case/TK/3", NAME, protected=True))
        assert node.load("case/TK/3") == []
    assert not (tmp_path / "protected.key").exists()
    (tmp_path / "safe").rename(tmp_path / "protected.key")
    async with opened(sqlite_settings(tmp_path)) as node:
        assert node.keyring.protected_fault() is None
        assert clear(node, protected=True) == [NAME]


@story
async def test_another_secret_is_noticed_and_nothing_is_wrapped_with_it(tmp_path: Path) -> None:
    async with opened(sqlite_settings(tmp_path)) as node:
        await node.propose(registered(CASE, NAME, protected=True))
    (tmp_path / "protected.key").write_text("ab" * 32 + "\n")
    async with opened(sqlite_settings(tmp_path)) as node:
        assert "is not the secret" in (node.keyring.protected_fault() or "")
        with pytest.raises(Unavailable):
            await node.propose(registered(OTHER, NAME, protected=True))


@story
async def test_a_protection_waits_for_its_secret_and_is_carried_out_with_it(tmp_path: Path) -> None:
    async with opened(sqlite_settings(tmp_path)) as node:
        await node.propose(registered(OTHER, "x", protected=True))
        await node.propose(registered(CASE, NAME))
    (tmp_path / "protected.key").rename(tmp_path / "safe")
    async with opened(sqlite_settings(tmp_path)) as node:
        with pytest.raises(Unavailable):
            await node.propose(protection(CASE))
        assert len(node.load(CASE)) == 2
    (tmp_path / "safe").rename(tmp_path / "protected.key")
    async with opened(sqlite_settings(tmp_path)) as node:
        assert clear(node) == [None]
        again = await node.propose(protection(CASE))
        assert not isinstance(again.verdict, Accepted)


@pytest.mark.parametrize("later", [False, True])
def test_what_is_protected_is_erased_as_everything_else(tmp_path: Path, later: bool) -> None:
    @story
    async def run() -> None:
        async with opened(sqlite_settings(tmp_path)) as node:
            await node.propose(registered(CASE, NAME, protected=not later))
            if later:
                await node.propose(protection(CASE))
            for n, subject in enumerate((CASE, f"protected/{CASE}")):
                decided = ErasureDecided(subject, "rule", "1")
                await node.propose(fact(f"erase {n}", "erasure/TK", decided))
            await node.apply_erasures()
            assert texts(node, protected=True) == [ERASED]
        async with opened(sqlite_settings(tmp_path)) as node:
            assert texts(node, protected=True) == [ERASED]

    run()


@story
async def test_a_closed_key_is_given_to_nobody_who_did_not_ask(tmp_path: Path) -> None:
    async with opened(sqlite_settings(tmp_path)) as node:
        await node.propose(registered(CASE, NAME, protected=True))
        (sealed,) = texts(node)
        assert isinstance(sealed, Sealed)
        with pytest.raises(KeyClosed):
            node.keyring.by_id(sealed.key)
        assert node.keyring.by_id_protected(sealed.key) is not None
        with pytest.raises(KeyClosed):
            node.keyring.by_id(sealed.key)


@story
async def test_the_secret_may_lie_elsewhere(tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere" / "p.key"
    settings = replace(sqlite_settings(tmp_path / "data"), protected_file=elsewhere)
    async with opened(settings) as node:
        await node.propose(registered(CASE, NAME, protected=True))
    assert elsewhere.stat().st_mode & 0o777 == 0o600
    assert not (tmp_path / "data" / "protected.key").exists()


@story
async def test_nothing_of_a_log_in_memory_needs_a_file(tmp_path: Path) -> None:
    settings = replace(
        sqlite_settings(tmp_path), log="memory:", secret=CitySecret(bytes(range(32)))
    )
    async with opened(settings) as node:
        await node.propose(registered(CASE, NAME, protected=True))
        assert clear(node) == [None]
        assert clear(node, protected=True) == [NAME]
    assert not (tmp_path / "protected.key").exists()


@story
async def test_what_is_recorded_while_older_cases_are_followed_stands(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Following the log from its beginning must not undo what came since."""
    monkeypatch.setattr(protecting, "_COMMITS", 1)  # a long log is read in many parts
    async with opened(sqlite_settings(tmp_path)) as node:
        await node.propose(registered(CASE, NAME))
        await node.propose(protection(CASE, "first"))
        await node.propose(protection(CASE, "undone", protected=False))
        before = node.positions()
        await node.propose(protection(CASE, "again"))
        await node.settle()
        ends = iter([before, node.positions(), node.positions()])
        await protecting.follow(node.keyring, node._keys, node._indexes, lambda: next(ends))
        assert clear(node) == [None]
        assert clear(node, protected=True) == [NAME]


def test_a_nonce_that_looks_like_the_mark_makes_no_key_a_protected_one() -> None:
    key, city = DataKey("case/TK/1/k", b"k" * 32), CitySecret(bytes(range(32)))
    wrapped = wrap(key, city, b"protected:xx")
    assert not is_protected(wrapped)
    assert key == unwrap(key.id, wrapped, city)


@story
async def test_a_case_that_another_node_protected_and_died_is_closed_by_who_looks_again(
    tmp_path: Path,
) -> None:
    """The other node's record is in the log, and nobody closed the keys of it."""
    async with opened(sqlite_settings(tmp_path)) as node:
        await node.propose(registered(CASE, NAME))
        assert await node.follow_protections() == 0
        for n, closed in enumerate((True, False, True)):
            raw, claim = node.proposing.encode(protection(CASE, f"theirs {n}", protected=closed))
            await node.shard("cases.TK/0").propose([raw], [claim])
        await node.settle()
        assert clear(node) == [NAME]
        assert await node.follow_protections() == 2  # and the key for what is written from now on
        with pytest.raises(KeyClosed):
            node.keyring.by_id(node._keys.of_subjects([CASE])[CASE][0])
        assert clear(node, protected=True) == [NAME]
        assert await node.follow_protections() == 0
