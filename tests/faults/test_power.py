"""Power that goes: the file system is shut down under a frozen writer, and mounted again."""

from __future__ import annotations

import fcntl
import os
import random
import sqlite3
import struct
import subprocess
import sys
import time
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from fault_world import assert_kept, settings_at, told, wait_for, zygote
from fault_zygote import Run

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [pytest.mark.fault, pytest.mark.root]

FREEZER = Path("/sys/fs/cgroup/freezer")
GOING_DOWN, WITHOUT_FLUSHING = 0x8004587D, 2


class Disk:
    """A file as a disk with ext4, which a test takes the power from."""

    def __init__(self, folder: Path) -> None:
        self.image, self.at = folder / "image", folder / "disk"
        self.at.mkdir()
        subprocess.run(["truncate", "-s", "64M", self.image], check=True)
        losetup = ["losetup", "-f", "--show", str(self.image)]
        self.loop = subprocess.run(
            losetup, check=True, capture_output=True, text=True
        ).stdout.strip()
        subprocess.run(["mkfs.ext4", "-q", self.loop], check=True)
        self.mount()

    def mount(self) -> None:
        subprocess.run(["mount", self.loop, self.at], check=True)

    def unmount(self) -> None:
        for _ in range(100):
            if (
                subprocess.run(["umount", self.at], check=False, capture_output=True).returncode
                == 0
            ):
                return
            time.sleep(0.05)
        raise AssertionError(f"{self.at} stays busy")

    def lose_power(self) -> None:
        folder = os.open(self.at, os.O_RDONLY)
        fcntl.ioctl(folder, GOING_DOWN, struct.pack("I", WITHOUT_FLUSHING))
        os.close(folder)

    def gone(self) -> None:
        if os.path.ismount(self.at):
            self.unmount()
        subprocess.run(["losetup", "-d", self.loop], check=True)


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    try:
        made = Disk(tmp_path)
    except (subprocess.CalledProcessError, FileNotFoundError) as e:
        pytest.skip(f"no loop device with ext4 here: {e}")
    yield made
    made.gone()


@contextmanager
def frozen(pid: int) -> Iterator[None]:
    """The process stands still, in the freezer or (where there is none) by SIGSTOP."""
    cell = FREEZER / f"kontaktcenter-{pid}"
    if (FREEZER / "cgroup.procs").exists():
        cell.mkdir()
        (cell / "cgroup.procs").write_text(str(pid))
        (cell / "freezer.state").write_text("FROZEN")
        until = time.monotonic() + 10
        while (cell / "freezer.state").read_text().strip() != "FROZEN":
            assert time.monotonic() < until, "the writer does not freeze"
            time.sleep(0.005)
        try:
            yield
        finally:
            (cell / "freezer.state").write_text("THAWED")
            (FREEZER / "cgroup.procs").write_text(str(pid))
            cell.rmdir()
        return
    os.kill(pid, 19)  # SIGSTOP
    time.sleep(0.1)
    try:
        yield
    finally:
        os.kill(pid, 18)


def test_what_was_acknowledged_survives_a_loss_of_power(
    tmp_path: Path, disk: Disk, whole: bool
) -> None:
    """Log, keys and index lie on the disk, the ledger elsewhere. One disk through all losses."""
    dice, ledger = random.Random(23), tmp_path / "ledger"
    data = disk.at / "data"
    data.mkdir()
    settings = settings_at(data / "log.db", data)
    retry: tuple[int, ...] = ()
    losses = 25 if whole else 3
    with zygote() as nodes:
        for n in range(losses):
            before = len(told(ledger).accepted)
            pid = nodes.start(Run(str(data / "log.db"), str(data), str(ledger), n, retry=retry))
            until = time.monotonic() + 20
            while len(told(ledger).accepted) <= before and time.monotonic() < until:
                time.sleep(0.005)
            time.sleep(dice.random() * 0.4)
            with frozen(pid):
                disk.lose_power()
            nodes.end(pid)
            disk.unmount()
            disk.mount()
            found = assert_kept(settings, ledger, anew=n == losses - 1)
            assert len(found.accepted) > before
            retry = found.doubtful


WRITER = """
import os, sqlite3, sys
conn = sqlite3.connect(sys.argv[1], isolation_level=None)
conn.execute("PRAGMA journal_mode=WAL")
conn.execute("PRAGMA synchronous=OFF")
conn.execute("CREATE TABLE t (n INTEGER PRIMARY KEY)")
ledger = os.open(sys.argv[2], os.O_WRONLY | os.O_CREAT)
n = 0
while True:
    n += 1
    conn.execute("INSERT INTO t VALUES (?)", (n,))
    os.write(ledger, b"I %d\\n" % n)
"""


def test_the_same_loss_of_power_does_lose_what_was_not_synchronised(
    tmp_path: Path, disk: Disk
) -> None:
    """The control: were this to lose nothing, the test above would show nothing."""
    ledger, path = tmp_path / "ledger", disk.at / "off.db"
    writer = subprocess.Popen([sys.executable, "-c", WRITER, path, ledger])
    wait_for(ledger, "I 300")
    with frozen(writer.pid):
        disk.lose_power()
    writer.kill()
    writer.wait()
    disk.unmount()
    disk.mount()
    written = len(told(ledger).intended)
    with closing(sqlite3.connect(path)) as conn:
        try:
            found = conn.execute("SELECT count(*) FROM t").fetchone()[0]
        except sqlite3.DatabaseError:
            found = 0
    assert found < written
