"""The reserve terminal on a disk that fails it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from project import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.fault


def terminal(folder: Path, typed: str, *more: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "fallback_tui", "--folder", str(folder), *(more or ["--rad"])],
        input=typed,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 256 KiB."""
    disk = tmp_path / "disk"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(disk)], check=True)
    yield disk
    subprocess.run(["umount", str(disk)], check=True)


@pytest.mark.root
@pytest.mark.requirement("R3")
def test_on_a_full_disk_nothing_is_called_saved_that_is_not(small_disk: Path) -> None:
    one = "1\n08-465 004 12\n\n1\n" + "å" * 900 + "\n\n"
    done = terminal(small_disk / "journal", one * 300)
    assert "Traceback" not in done.stderr
    assert "INTE SPARAD. Datorn kunde inte skriva" in done.stdout
    told = set(re.findall(r"Reservnummer (R-\d{3}-\d{4}-\d{2})", done.stdout))
    assert told
    subprocess.run(["mount", "-o", "remount,size=2m", str(small_disk)], check=True)
    check = terminal(small_disk / "journal", "", "--check")
    assert check.returncode == 0, check.stdout
    (kept,) = map(int, re.findall(r"(\d+) reservnummer", check.stdout))
    assert kept == len(told)


@pytest.mark.root
def test_a_folder_on_a_read_only_disk_is_told_of_in_plain_words(small_disk: Path) -> None:
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    done = terminal(small_disk / "journal", "")
    assert (done.returncode, done.stderr) == (4, "")
    assert "Kan inte starta: det går inte att skriva i mappen." in done.stdout


def test_a_flipped_bit_is_found_at_the_start_and_what_holds_is_counted(
    tmp_path: Path, whole: bool
) -> None:
    terminal(tmp_path / "journal", "18\n4\n\n" * 40 + "\n")
    journal = tmp_path / "journal" / "journal.db"
    sound = journal.read_bytes()
    entries = [m.start() for m in re.finditer(rb'"actor":', sound)]
    assert len(entries) >= 40
    for at in entries if whole else entries[::10]:
        torn = bytearray(sound)
        torn[at + 12] ^= 1
        journal.write_bytes(torn)
        done = terminal(tmp_path / "journal", "18\n4\n\n\n")
        assert (done.returncode, done.stderr) == (1, "")
        assert "Ta inte bort något." in done.stdout
        assert "Sparad" not in done.stdout
