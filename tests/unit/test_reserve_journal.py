from __future__ import annotations

import os
import sqlite3
import stat
from typing import TYPE_CHECKING, Any

import pytest

from core.errors import Corrupt, InUse
from core.reserve import ChainBroken, Entry, start
from fallback_tui.journal import Journal, NotDurable, NotSaved
from fallback_tui.seal import CannotSeal, open_sealer

if TYPE_CHECKING:
    from pathlib import Path


def next_entry(journal: Journal, note: str = "") -> Entry:
    head = journal.head
    return Entry(
        device=head.device,
        epoch=head.epoch,
        seq=head.seq + 1,
        prev_hash=head.hash,
        kind="reserve.call_registered",
        schema=1,
        occurred_at="2026-11-22T14:03:00.000+01:00",
        actor="anna",
        monotonic_ns=1,
        boot="b",
        payload={"number": "R-000-0001-95", "note": note},
    )


def filled(folder: Path, count: int = 3) -> Path:
    with Journal.open(folder, "000") as journal:
        for n in range(count):
            journal.append(next_entry(journal, f"note {n}"))
    return folder


def damage(folder: Path, *statements: str) -> None:
    """Change a journal behind its triggers, as bit rot or a person with a tool would."""
    with sqlite3.connect(folder / "journal.db") as database:
        for name in ("entry_kept", "entry_stays", "entry_follows"):
            database.execute(f"DROP TRIGGER {name}")
        for statement in statements:
            database.execute(statement)
    database.close()


def test_what_was_appended_is_there_when_the_journal_is_opened_again(tmp_path: Path) -> None:
    filled(tmp_path)
    with Journal.open(tmp_path, "000") as journal:
        assert (journal.head.seq, journal.head.numbers) == (3, 3)
        assert [e.payload["note"] for e in journal.entries()] == ["note 0", "note 1", "note 2"]


def test_a_second_window_is_told_that_the_journal_is_open_elsewhere(tmp_path: Path) -> None:
    with Journal.open(tmp_path, "000"), pytest.raises(InUse):
        Journal.open(tmp_path, "000")
    Journal.open(tmp_path, "000").close()


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE entry SET hash = 'x'",
        "DELETE FROM entry",
        "UPDATE device SET device = '001'",
        "DELETE FROM device",
        "INSERT INTO device VALUES ('001', 1)",
        "INSERT INTO entry VALUES (9, 'x', 'y', x'00')",
    ],
)
def test_the_journal_only_grows(tmp_path: Path, statement: str) -> None:
    filled(tmp_path)
    database = sqlite3.connect(tmp_path / "journal.db")
    with pytest.raises(sqlite3.IntegrityError):
        database.execute(statement)
    database.close()


@pytest.mark.parametrize(
    ("statement", "intact"),
    [
        (
            "UPDATE entry SET packed = CAST(replace(packed, 'e 1', 'e 9') AS BLOB) WHERE seq = 2",
            1,
        ),
        ("DELETE FROM entry WHERE seq = 2", 1),
        ("DELETE FROM entry WHERE seq = 1", 0),
        ("UPDATE entry SET hash = prev_hash || '0' WHERE seq = 3", 2),
        ("UPDATE entry SET packed = x'00' WHERE seq = 3", 2),
    ],
)
def test_a_changed_or_missing_entry_is_found_at_the_start(
    tmp_path: Path, statement: str, intact: int
) -> None:
    damage(filled(tmp_path), statement)
    with pytest.raises(ChainBroken) as broken:
        Journal.open(tmp_path, "000")
    assert broken.value.details["intact"] == intact


def test_a_file_of_rubbish_is_not_a_journal(tmp_path: Path) -> None:
    (tmp_path / "journal.db").write_bytes(b"not a database" * 400)
    with pytest.raises(Corrupt):
        Journal.open(tmp_path, "000")


def test_another_database_is_not_a_journal(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "journal.db") as database:
        database.execute("CREATE TABLE other (x)")
    database.close()
    with pytest.raises(Corrupt, match="not a journal"):
        Journal.open(tmp_path, "000")


def test_another_devices_journal_is_refused(tmp_path: Path) -> None:
    filled(tmp_path)
    with pytest.raises(Corrupt, match="device 000's"):
        Journal.open(tmp_path, "001")


def test_a_journal_of_a_later_format_is_refused(tmp_path: Path) -> None:
    filled(tmp_path)
    with sqlite3.connect(tmp_path / "journal.db") as database:
        database.execute("PRAGMA user_version = 2")
    database.close()
    with pytest.raises(Corrupt, match="another format"):
        Journal.open(tmp_path, "000")


class Careless(sqlite3.Connection):
    """A database that says yes to `synchronous=FULL` and does not mean it."""

    def execute(self, sql: str, *parameters: Any) -> sqlite3.Cursor:
        return super().execute(sql.replace("synchronous=FULL", "synchronous=NORMAL"), *parameters)


def test_a_database_that_does_not_wait_for_the_disk_is_refused(tmp_path: Path) -> None:
    def careless(path: Path) -> sqlite3.Connection:
        return sqlite3.connect(path, isolation_level=None, factory=Careless)

    with pytest.raises(NotDurable) as refused:
        Journal.open(tmp_path, "000", careless)
    assert refused.value.details["synchronous"] == 1


class Full(sqlite3.Connection):
    """A database on a disk that is full whenever `now` says so."""

    now = False

    def execute(self, sql: str, *parameters: Any) -> sqlite3.Cursor:
        if self.now and sql == "COMMIT":
            raise sqlite3.OperationalError("database or disk is full")
        return super().execute(sql, *parameters)


def test_an_entry_that_the_disk_did_not_take_is_not_there_and_the_next_try_succeeds(
    tmp_path: Path,
) -> None:
    database = sqlite3.connect(tmp_path / "journal.db", isolation_level=None, factory=Full)
    with Journal.open(tmp_path, "000", lambda _: database) as journal:
        database.now = True
        with pytest.raises(NotSaved) as refused:
            journal.append(next_entry(journal))
        assert "full" in str(refused.value.details["reason"])
        assert journal.head == start("000", 1)
        database.now = False
        journal.append(next_entry(journal))
        assert journal.head.seq == 1


def test_a_folder_that_cannot_be_made_is_told_of(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(NotSaved, match="cannot be written"):
        Journal.open(tmp_path / "file" / "journal", "000")


def test_journal_and_key_are_for_their_owner_alone(tmp_path: Path) -> None:
    folder = tmp_path / "new"
    with Journal.open(folder, "000") as journal:
        open_sealer(folder, journal.head, os.urandom)
    modes = {p.name: stat.S_IMODE(p.stat().st_mode) for p in [folder, *folder.iterdir()]}
    assert modes == {"new": 0o700, "journal.db": 0o600, "journal.lock": 0o600, "device.key": 0o600}


def test_a_sealed_note_opens_in_its_own_place_only(tmp_path: Path) -> None:
    head = start("000", 1)
    sealer = open_sealer(tmp_path, head, os.urandom)
    sealed = sealer.seal(head, "note", "ring före fyra")
    assert sealed is not None
    assert sealer.open(head, 1, "note", sealed) == "ring före fyra"
    for seq, name in ((2, "note"), (1, "caller")):
        with pytest.raises(ValueError, match="does not open"):
            sealer.open(head, seq, name, sealed)


def test_the_key_made_at_the_first_start_is_the_key_afterwards(tmp_path: Path) -> None:
    head = start("000", 1)
    keys = {open_sealer(tmp_path, head, os.urandom).key for _ in range(2)}
    assert len(keys) == 1
    assert {type(k.secret) for k in keys} == {bytes}


@pytest.mark.parametrize("content", [None, b"", b"short"])
def test_a_lost_or_damaged_key_means_no_numbers_and_no_notes_but_never_a_new_key(
    tmp_path: Path, content: bytes | None
) -> None:
    filled(tmp_path)
    if content is not None:
        (tmp_path / "device.key").write_bytes(content)
    with Journal.open(tmp_path, "000") as journal, pytest.raises(CannotSeal):
        open_sealer(tmp_path, journal.head, os.urandom)
    assert (tmp_path / "device.key").exists() == (content is not None)
