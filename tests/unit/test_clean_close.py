"""A file that was closed whole is trusted without reading it all; any write undoes that."""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING

import pytest

from core.errors import Corrupt
from core.eventlog.index.clean_close import CLOSED, note_close, take_note
from core.eventlog.index.index import Index
from core.eventlog.index.rows import Batch, Mark

if TYPE_CHECKING:
    from pathlib import Path


def closed_index(path: Path) -> None:
    index = Index(path)
    index.write(Batch(), Mark(next_offset=1, genesis=b"genesis"))
    index.make_lookups()
    index.bulk = False
    index.close()


def test_a_file_is_as_it_was_closed_once(tmp_path: Path) -> None:
    file = tmp_path / "a.db"
    file.write_bytes(b"abc")
    note_close(file)
    assert take_note(file)
    assert not take_note(file)


def test_one_changed_byte_of_the_same_length_undoes_the_trust(tmp_path: Path) -> None:
    file = tmp_path / "a.db"
    file.write_bytes(b"abc")
    note_close(file)
    file.write_bytes(b"abd")
    assert not take_note(file)


def test_a_note_that_cannot_be_read_is_none(tmp_path: Path) -> None:
    file = tmp_path / "a.db"
    file.write_bytes(b"abc")
    (tmp_path / f"a.db{CLOSED}").write_bytes(b"\xff\xfe")
    assert not take_note(file)


def test_an_index_notes_that_it_was_closed_and_takes_the_note_when_opened(tmp_path: Path) -> None:
    path = tmp_path / "index.db"
    closed_index(path)
    assert path.with_name(path.name + CLOSED).exists()
    index = Index(path)
    assert not path.with_name(path.name + CLOSED).exists()
    assert index.mark.next_offset == 1
    index.close()


def test_an_index_that_was_changed_after_it_was_closed_is_read_whole(tmp_path: Path) -> None:
    path = tmp_path / "index.db"
    closed_index(path)
    conn = sqlite3.connect(path)
    conn.execute("INSERT INTO event VALUES (1, 'call/x/1', 1, 1, 0)")
    conn.commit()
    conn.close()
    with pytest.raises(Corrupt, match="rows are missing"):
        Index(path)
    with pytest.raises(Corrupt, match="rows are missing"):
        Index(path)  # the failed start left no note behind
