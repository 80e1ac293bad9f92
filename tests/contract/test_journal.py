"""The journal of a node: durable when it says so, never silently less than it said."""

from __future__ import annotations

import signal
import sqlite3
import sys
from pathlib import Path
from subprocess import PIPE, Popen

import pytest
from log_world import T0, At, commit, flips

from core.errors import Corrupt, NeedsUpgrade, Unavailable
from core.eventlog.envelope import encode_commit
from core.eventlog.island.journal import Journal, open_journal
from core.eventlog.island.journal_file import FILE, Entry, damaged_journals
from core.eventlog.island.lanes import entry_of
from core.eventlog.node import claim_of

STREAM = "call/x/1"


def entry(n: object, stream: str = STREAM) -> Entry:
    made = commit(n, At(stream))
    return entry_of("calls", encode_commit(made), claim_of(made))


def numbers(journal: Journal) -> list[int]:
    return [row.n for row in journal.first("calls", 1, 0, 0, 1_000)]


def test_what_is_kept_is_there_in_order_until_it_is_removed(tmp_path: Path) -> None:
    journal = Journal(tmp_path / FILE)
    kept = journal.keep([entry(1), entry(2), entry(3)], {"since": "now"})
    assert kept == [(1, True), (2, True), (3, True)]
    journal.remove([1])
    journal.close()
    journal = Journal(tmp_path / FILE)
    assert (numbers(journal), len(journal), journal.note("since")) == ([2, 3], 2, "now")
    assert [row.n for row in journal.of_stream(STREAM)] == [2, 3]
    assert journal.keep([entry(2)], {"since": None}) == [(2, False)]
    assert journal.note("since") is None
    journal.remove([2, 3])
    assert (numbers(journal), journal.of_stream(STREAM)) == ([], [])
    journal.close()


def test_rows_are_found_by_their_shard(tmp_path: Path) -> None:
    journal = Journal(tmp_path / FILE)
    journal.keep([entry(n, f"call/x/{n}") for n in range(100)])
    counted = [journal.count("calls", 4, shard) for shard in range(4)]
    assert sum(counted) == 100
    assert min(counted) > 0
    found = [row.n for shard in range(4) for row in journal.first("calls", 4, shard, 0, 100)]
    assert sorted(found) == list(range(1, 101))
    assert journal.count("centre", 1, 0) == 0
    journal.close()


def test_a_commit_that_is_put_aside_is_counted_and_no_longer_proposed(tmp_path: Path) -> None:
    journal = Journal(tmp_path / FILE)
    journal.keep([entry(1), entry(2)])
    journal.put_aside(1, "stale")
    assert (numbers(journal), journal.asides(), len(journal)) == ([2], 1, 1)
    journal.close()
    journal = Journal(tmp_path / FILE)
    assert journal.keep([entry(3)]) == [(3, True)]
    journal.close()


@pytest.mark.requirement("R3")
def test_a_flipped_bit_anywhere_is_told_and_every_whole_row_is_kept(tmp_path: Path) -> None:
    journal = Journal(tmp_path / FILE)
    journal.keep([entry(n, f"call/x/{n}") for n in range(40)])
    wanted = {row.id for row in journal.first("calls", 1, 0, 0, 100)}
    journal.close()
    whole = (tmp_path / FILE).read_bytes()
    for nth, at in enumerate(flips(len(whole), 40)):
        folder = tmp_path / str(nth)
        folder.mkdir()
        changed = bytearray(whole)
        changed[at] ^= 0x40
        (folder / FILE).write_bytes(changed)
        try:
            found, damaged = open_journal(folder, T0)
        except (NeedsUpgrade, Unavailable):
            assert (folder / FILE).read_bytes() == changed
            continue
        rows = found.first("calls", 1, 0, 0, 100)
        lost = wanted - {row.id for row in rows if row.whole}
        broken = [row for row in rows if not row.whole]
        if lost and not damaged:
            assert broken, "a row is gone and nobody is told"
        assert len(lost) <= 20, f"one bit at {at} took {len(lost)} rows of 40"
        found.close()


def test_a_damaged_journal_is_set_aside_once_and_told_until_somebody_removes_it(
    tmp_path: Path,
) -> None:
    journal = Journal(tmp_path / FILE)
    journal.keep([entry(n) for n in range(3)])
    journal.close()
    conn = sqlite3.connect(tmp_path / FILE)
    conn.execute("DELETE FROM kept WHERE n = 2")
    conn.commit()
    conn.close()
    with pytest.raises(Corrupt, match="rows are missing"):
        Journal(tmp_path / FILE)
    journal, damaged = open_journal(tmp_path, T0)
    assert [row.n for row in journal.first("calls", 1, 0, 0, 10)] == [1, 2]
    assert damaged == damaged_journals(tmp_path)
    assert len(damaged) == 1
    journal.remove([1, 2])
    journal.close()
    journal, damaged = open_journal(tmp_path, T0)
    assert (len(journal), len(damaged)) == (0, 1)  # told again, and not proposed for ever
    journal.close()
    damaged[0].unlink()
    journal, damaged = open_journal(tmp_path, T0)
    assert damaged == []
    journal.close()


def test_a_start_that_was_killed_while_a_journal_was_set_aside_does_it_again(
    tmp_path: Path,
) -> None:
    journal = Journal(tmp_path / FILE)
    journal.keep([entry(n) for n in range(3)])
    journal.close()
    (tmp_path / FILE).rename(tmp_path / f"{FILE}.damaged-20261122T080000")
    journal, damaged = open_journal(tmp_path, T0)
    assert (len(journal), len(damaged)) == (3, 1)
    journal.close()


def test_a_file_of_something_else_or_of_a_newer_program_is_not_touched(tmp_path: Path) -> None:
    journal = Journal(tmp_path / FILE)
    journal.close()
    conn = sqlite3.connect(tmp_path / FILE)
    conn.execute("PRAGMA user_version=9")
    conn.close()
    with pytest.raises(NeedsUpgrade):
        open_journal(tmp_path, T0)
    assert damaged_journals(tmp_path) == []


KEEPER = """
import sys
from pathlib import Path
sys.path[:0] = {paths!r}
from test_journal import entry
from core.eventlog.island.journal import Journal
journal = Journal(Path({path!r}))
for n in range(1_000_000):
    journal.keep([entry(n, f"call/x/{{n}}")])
    if n % 3 == 2:
        journal.remove([n - 1])
    print(n, flush=True)
"""


@pytest.mark.parametrize("lines", [1, 2, 7, 50, 203])
def test_what_was_acknowledged_survives_a_kill_at_any_moment(tmp_path: Path, lines: int) -> None:
    paths = [str(folder) for folder in Path(__file__).parents[:3]]
    code = KEEPER.format(paths=paths, path=str(tmp_path / FILE))
    process = Popen([sys.executable, "-c", code], stdout=PIPE)
    assert process.stdout is not None
    told = [int(process.stdout.readline()) for _ in range(lines)]
    process.send_signal(signal.SIGKILL)
    told += [int(line) for line in process.stdout.read().splitlines()]
    process.wait()
    journal, damaged = open_journal(tmp_path, T0)
    assert damaged == []
    there = {row.n - 1 for row in journal.first("calls", 1, 0, 0, 1_000_000)}
    removed = {n - 2 for n in told if n % 3 == 2}  # row n - 1 is of the entry before
    assert set(told) - removed <= there
    journal.close()
