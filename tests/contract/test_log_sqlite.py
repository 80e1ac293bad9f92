"""The log's file when it is not what was written, not ours, or on a disk that fails."""

from __future__ import annotations

import asyncio
import os
import shutil
import sqlite3
import stat
from typing import TYPE_CHECKING

import pytest
from log_world import flips, opened, queued, sqlite_settings, story

from core.errors import (
    Corrupt,
    InUse,
    KontaktcenterError,
    NeedsUpgrade,
    Refused,
    Unavailable,
    Unknown,
)
from core.eventlog.node import Node
from core.eventlog.sqlite_log import SqliteStore

if TYPE_CHECKING:
    from pathlib import Path

CALLS = 60


async def filled(folder: Path, calls: int = CALLS) -> dict[str, tuple[int, str]]:
    """A folder with a log of `calls` envelopes in one file, closed; its digests."""
    async with opened(sqlite_settings(folder)) as node:
        for n in range(calls):
            await node.propose(queued(n))
        await node.settle()
        return node.digests()


def in_file(folder: Path, *statements: str) -> None:
    conn = sqlite3.connect(folder / "log.db", isolation_level=None)
    for statement in statements:
        conn.execute(statement)
    conn.close()


async def stops(folder: Path, kind: type[KontaktcenterError], *words: str) -> None:
    """The node refuses to start, says why in words, and leaves nothing locked behind."""
    with pytest.raises(kind) as caught:
        await Node.open(sqlite_settings(folder))
    text = str(caught.value)
    assert all(word in text for word in words), text
    assert "Traceback" not in text
    with pytest.raises(kind):  # again: not InUse
        await Node.open(sqlite_settings(folder))


@story
async def test_a_flipped_byte_in_a_body_stops_the_node(tmp_path: Path) -> None:
    await filled(tmp_path)
    in_file(
        tmp_path, "UPDATE record_1 SET body = replace(body, 'ENTER', 'ENTEs') WHERE offset = 30"
    )
    in_file(tmp_path, "UPDATE record_1 SET body = CAST(body || ' ' AS BLOB) WHERE offset = 30")
    shutil.rmtree(tmp_path / "index")
    await stops(tmp_path, Corrupt, "record 30", "checksum", "backup")


@story
async def test_a_missing_row_stops_the_node(tmp_path: Path) -> None:
    await filled(tmp_path)
    in_file(tmp_path, "DELETE FROM record_1 WHERE offset = 30")
    shutil.rmtree(tmp_path / "index")
    await stops(tmp_path, Corrupt, "record 30 is missing")


@story
async def test_rows_missing_at_the_end_are_noticed_by_the_index(tmp_path: Path) -> None:
    await filled(tmp_path)
    in_file(tmp_path, "DELETE FROM record_1 WHERE offset > 55")
    await stops(tmp_path, Corrupt, "truncated or replaced", "Restore the log")


@story
async def test_a_row_too_many_before_the_end_is_noticed(tmp_path: Path) -> None:
    await filled(tmp_path, 300)
    in_file(tmp_path, "UPDATE record_1 SET offset = 1000 WHERE offset = 300")
    shutil.rmtree(tmp_path / "index")
    await stops(tmp_path, Corrupt, "record 300 is missing")


@story
async def test_another_log_with_the_same_genesis_is_noticed(tmp_path: Path) -> None:
    """An older copy was put back and went on: as long as ours, and another story."""
    await filled(tmp_path, 5)
    shutil.copytree(tmp_path, tmp_path / "copy")
    async with opened(sqlite_settings(tmp_path)) as node:
        await node.propose_many([queued(n) for n in range(10, 20)])
        await node.propose_many([queued(n) for n in range(20, 30)])
    async with opened(sqlite_settings(tmp_path / "copy")) as node:
        for n in range(40, 60):
            await node.propose(queued(n))
    for name in ("log.db", "keys.db"):
        shutil.copy(tmp_path / "copy" / name, tmp_path / name)
    await stops(tmp_path, Corrupt, "replaced by another", "delete the index folder")


@story
async def test_a_log_with_another_genesis_is_noticed_also_where_its_key_is_ours(
    tmp_path: Path,
) -> None:
    await filled(tmp_path, 5)
    in_file(tmp_path, "UPDATE shard SET book = 'cells' WHERE book = 'calls'")
    await stops(tmp_path, Corrupt)


@story
async def test_a_book_that_lost_its_name_is_noticed_without_an_index_too(tmp_path: Path) -> None:
    await filled(tmp_path, 5)
    in_file(tmp_path, "UPDATE shard SET book = 'cells' WHERE book = 'calls'")
    shutil.rmtree(tmp_path / "index")
    await stops(tmp_path, Corrupt, "calls/0", "cells/0", "KC_LOG")


@story
async def test_an_emptied_log_is_noticed_by_the_index(tmp_path: Path) -> None:
    await filled(tmp_path, 5)
    (tmp_path / "log.db").write_bytes(b"")
    await stops(tmp_path, Corrupt, "truncated or replaced")


@story
async def test_a_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    (tmp_path / "log.db").write_bytes(b"this is a text, and longer than a hundred bytes. " * 100)
    await stops(tmp_path, Corrupt, "not a database")
    assert not (tmp_path / "city.key").exists()


@story
async def test_another_programs_database_is_refused_and_left_alone(tmp_path: Path) -> None:
    in_file(tmp_path, "CREATE TABLE theirs (x)", "INSERT INTO theirs VALUES (1)")
    before = (tmp_path / "log.db").read_bytes()
    await stops(tmp_path, Corrupt, "not a log of Kontaktcenter", "KC_LOG")
    assert before == (tmp_path / "log.db").read_bytes()


@story
async def test_a_file_of_a_newer_program_asks_for_an_upgrade(tmp_path: Path) -> None:
    await filled(tmp_path, 1)
    in_file(tmp_path, "PRAGMA user_version=99")
    await stops(tmp_path, NeedsUpgrade, "newer", "upgrade")


@story
async def test_a_header_that_says_no_layout_is_damage(tmp_path: Path) -> None:
    await filled(tmp_path, 1)
    in_file(tmp_path, "PRAGMA user_version=0")
    await stops(tmp_path, Corrupt, "damaged")


@story
async def test_a_table_that_is_gone_is_damage_and_no_trouble_of_the_disk(tmp_path: Path) -> None:
    await filled(tmp_path, 1)
    in_file(tmp_path, "DROP TABLE record_1")
    await stops(tmp_path, Corrupt, "damaged")


@story
async def test_a_truncated_file_is_noticed(tmp_path: Path) -> None:
    await filled(tmp_path)
    shutil.rmtree(tmp_path / "index")
    size = (tmp_path / "log.db").stat().st_size
    os.truncate(tmp_path / "log.db", size // 2)
    await stops(tmp_path, Corrupt)


@pytest.mark.parametrize("setting", ["NORMAL", "OFF", "normal", "1"])
def test_a_durability_that_could_lose_something_is_refused(tmp_path: Path, setting: str) -> None:
    settings = sqlite_settings(tmp_path, log=f"sqlite:{tmp_path / 'log.db'}?synchronous={setting}")
    with pytest.raises(Refused, match="FULL"):
        asyncio.run(Node.open(settings))
    assert not (tmp_path / "log.db").exists()


@pytest.mark.parametrize("log", ["sqlite:", "postgres:x", "memory:x", "", "sqlite:x?mode=ro"])
def test_an_unknown_kind_of_log_is_refused(tmp_path: Path, log: str) -> None:
    with pytest.raises(Refused, match="KC_LOG"):
        asyncio.run(Node.open(sqlite_settings(tmp_path, log=log)))


@story
async def test_every_connection_is_in_wal_with_synchronous_full(tmp_path: Path) -> None:
    async with opened(sqlite_settings(tmp_path)) as node:
        store = node._store
        assert isinstance(store, SqliteStore)
        for conn in (store.writer, store.reader):
            assert conn.execute("PRAGMA journal_mode").fetchone() == ("wal",)
            assert conn.execute("PRAGMA synchronous").fetchone() == (2,)


@story
async def test_a_folder_in_use_says_so(tmp_path: Path) -> None:
    async with opened(sqlite_settings(tmp_path)):
        with pytest.raises(InUse, match="in use"):
            await Node.open(sqlite_settings(tmp_path))
    async with opened(sqlite_settings(tmp_path)):
        pass


@story
async def test_two_logs_cannot_share_a_data_folder(tmp_path: Path) -> None:
    """They would write into one index."""
    other = sqlite_settings(tmp_path, log=f"sqlite:{tmp_path / 'other' / 'log.db'}")
    async with opened(sqlite_settings(tmp_path)):
        with pytest.raises(InUse, match="data folder"):
            await Node.open(other)


@story
async def test_a_log_reached_by_a_link_is_the_same_log(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "linked").symlink_to(tmp_path / "real")
    async with opened(sqlite_settings(tmp_path / "real")):
        with pytest.raises(InUse):
            await Node.open(sqlite_settings(tmp_path / "linked"))


@story
async def test_an_append_that_fails_is_refused_and_the_next_one_goes_on(tmp_path: Path) -> None:
    async with opened(sqlite_settings(tmp_path)) as node:
        await node.propose(queued(1))
        store = node._store
        assert isinstance(store, SqliteStore)
        pages = store.writer.execute("PRAGMA page_count").fetchone()[0]
        store.writer.execute(f"PRAGMA max_page_count={pages}")
        large = [queued(n) for n in range(10, 400)]
        with pytest.raises(Unavailable, match="nothing was recorded"):
            await node.propose_many(large)
        await node.propose_many(large)  # the connection was made anew, without the limit
        await node.settle()
        assert node.positions()["calls/0"] == 391


@story
async def test_an_append_of_which_nobody_knows_the_end_is_judged_once_in_the_end(
    tmp_path: Path,
) -> None:
    """The answer is "unknown"; the same id asked again gets one verdict, once."""
    async with opened(sqlite_settings(tmp_path)) as node:
        await node.propose(queued(1))
        store = node._store
        assert isinstance(store, SqliteStore)
        path = store.path
        store.writer = _Forgetful(store.writer, store)  # type: ignore[assignment]
        with pytest.raises(Unknown, match="not known"):
            await node.propose(queued(2))
        store.path = path
        answers = await node.propose_many([queued(2), queued(3)])
        await node.settle()
        assert node.positions()["calls/0"] == 3
        assert [type(a.verdict).__name__ for a in answers] == ["Duplicate", "Accepted"]
        digests = node.digests()
    shutil.rmtree(tmp_path / "index")
    async with opened(sqlite_settings(tmp_path)) as node:
        assert digests == node.digests()


class _Forgetful:
    """A connection whose next insert lands, is said to have failed, and cannot be asked about."""

    def __init__(self, real: sqlite3.Connection, store: SqliteStore) -> None:
        self._real, self._store = real, store

    def execute(self, sql: str, params: tuple[object, ...] = ()) -> sqlite3.Cursor:
        cursor = self._real.execute(sql, params)
        if sql.startswith("INSERT"):
            self._store.path = self._store.path.with_name("gone") / "log.db"  # cannot be asked
            error = sqlite3.OperationalError("disk I/O error")
            error.sqlite_errorcode = sqlite3.SQLITE_IOERR
            raise error
        return cursor

    def close(self) -> None:
        self._real.close()


@story
async def test_whichever_byte_of_the_log_is_flipped_nothing_is_skipped_in_silence(
    tmp_path: Path, whole: bool
) -> None:
    """Without an index to compare with: the same digests, or a clear stop. Never other ones."""
    source = tmp_path / "source"
    digests = await filled(source, 25)
    shutil.rmtree(source / "index")
    size = (source / "log.db").stat().st_size
    outcomes = {"same": 0, "stopped": 0}
    for n, place in enumerate(flips(size, 2_000 if whole else 120)):
        folder = tmp_path / f"flipped{n}"
        shutil.copytree(source, folder)
        with (folder / "log.db").open("r+b") as file:
            file.seek(place)
            byte = file.read(1)[0]
            file.seek(place)
            file.write(bytes([byte ^ (1 << n % 8)]))
        try:
            async with opened(sqlite_settings(folder)) as node:
                assert digests == node.digests(), f"byte {place} of {size}, bit {n % 8}"
            outcomes["same"] += 1
        except (Corrupt, Unavailable):
            outcomes["stopped"] += 1
        shutil.rmtree(folder)
    assert outcomes["stopped"] > 0, outcomes


def test_the_folders_files_are_for_their_owner_alone(tmp_path: Path) -> None:
    asyncio.run(filled(tmp_path, 1))
    for name in ("city.key", "keys.db"):
        assert stat.S_IMODE((tmp_path / name).stat().st_mode) == 0o600, name
