"""Two processes at one folder, clocks that go wrong, syncs that fail, files without rights."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import time
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from fault_world import assert_kept, settings_at, told, wait_for, zygote
from fault_zygote import Run
from log_world import T0, Ticks, opened, positions, queued, sqlite_settings, story

from core.errors import InUse
from core.eventlog.node import Node
from core.eventlog.verify import rebuild

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.fault


# --- two processes --------------------------------------------------------------------------------
def test_an_import_beside_a_running_node_is_told_in_use_and_the_node_goes_on(
    tmp_path: Path,
) -> None:
    """At the level of nodes; the command line sends its work to the running node instead."""
    data, ledger = tmp_path / "data", tmp_path / "ledger"
    data.mkdir()
    settings = settings_at(data / "log.db", data)
    with zygote() as nodes:
        pid = nodes.start(Run(str(data / "log.db"), str(data), str(ledger), 1))
        wait_for(ledger, "A")
        for work in (Node.open(settings), rebuild(settings)):
            with pytest.raises(InUse, match="in use"):
                asyncio.run(work)
        before = len(told(ledger).accepted)
        time.sleep(0.1)
        assert len(told(ledger).accepted) > before
        nodes.end(pid)
    assert_kept(settings, ledger, anew=True)  # the lock went with the process


def test_a_node_that_was_stopped_for_a_while_goes_on_where_it_was(tmp_path: Path) -> None:
    """There is no lease to lose: a long pause is latency and nothing else."""
    ledger = tmp_path / "ledger"
    settings = settings_at(tmp_path / "log.db", tmp_path)
    with zygote() as nodes:
        run = Run(str(tmp_path / "log.db"), str(tmp_path), str(ledger), 1, commits=600)
        pid = nodes.start(run)
        wait_for(ledger, "A")
        os.kill(pid, signal.SIGSTOP)
        time.sleep(0.5)
        with pytest.raises(InUse):
            asyncio.run(Node.open(settings))
        os.kill(pid, signal.SIGCONT)
        assert nodes.end(pid, sent=None) == 0
    assert assert_kept(settings, ledger).errors == {}


# --- clocks ---------------------------------------------------------------------------------------
@story
async def test_a_clock_set_back_two_hours_changes_no_order(tmp_path: Path) -> None:
    clock = Ticks()
    async with opened(sqlite_settings(tmp_path, clock=clock)) as node:
        first = positions(await node.propose_many([queued(n) for n in range(5)]))
        clock.now -= timedelta(hours=2)
        later = positions(await node.propose_many([queued(n) for n in range(5, 10)]))
        await node.settle()
        assert first + later == list(range(1, 11))
        feed = node.read("calls/0", 0, 100)
        times = [f.commit.recorded_at for f in feed]
        assert times[5] < times[4]  # what the clock said is kept, and decides nothing
        assert [f.commit.events[0].occurred_at for f in feed] == [
            T0 + timedelta(seconds=n) for n in range(10)
        ]
        digests = node.digests()
    shutil.rmtree(tmp_path / "index")
    async with opened(sqlite_settings(tmp_path, clock=clock)) as node:
        assert node.digests() == digests


@story
async def test_what_happened_may_be_later_than_when_it_was_recorded(tmp_path: Path) -> None:
    early = Ticks(T0 - timedelta(days=400))
    async with opened(sqlite_settings(tmp_path, clock=early)) as node:
        (position,) = positions([await node.propose(queued(9))])
        (found,) = node.load("call/x/9.1")
        assert (position, found.recorded_at < found.occurred_at) == (1, True)


@story
async def test_a_clock_at_the_end_of_time_is_still_a_clock(tmp_path: Path) -> None:
    for days in (-700_000, 2_000_000):
        clock = Ticks(T0 + timedelta(days=days))
        async with opened(sqlite_settings(tmp_path, clock=clock)) as node:
            await node.propose(replace(queued(abs(days)), asking=str(days)))
    async with opened(sqlite_settings(tmp_path)) as node:
        assert node.positions()["calls/0"] == 2


# --- syncs that fail ------------------------------------------------------------------------------
FIU = (
    "fiu-run", "-x",
    "-c", "enable_random name=posix/io/sync/fsync,probability=0.05",
    "-c", "enable_random name=posix/io/sync/fdatasync,probability=0.05",
)  # fmt: skip


@pytest.mark.skipif(
    not shutil.which("fiu-run"), reason="no fiu-run here: apt-get install fiu-utils"
)
def test_what_could_not_be_synchronised_is_not_acknowledged(tmp_path: Path, whole: bool) -> None:
    """One sync in twenty fails: whoever waited is told, asks again, and is recorded once."""
    data, ledger = tmp_path / "data", tmp_path / "ledger"
    data.mkdir()
    settings = settings_at(data / "log.db", data)
    asyncio.run(_made(settings))
    retry: tuple[int, ...] = ()
    with zygote(FIU) as nodes:
        for n in range(40 if whole else 5):
            run = Run(
                str(data / "log.db"), str(data), str(ledger), n + 1, commits=300, retry=retry,
                sync=False,
            )  # fmt: skip
            nodes.end(nodes.start(run), sent=None)
            retry = assert_kept(settings, ledger, anew=True).doubtful
    final = told(ledger)
    assert len(final.accepted) > 300
    assert set(final.errors.values()) & {"Unavailable", "Unknown"}, "no sync failed"


async def _made(settings: object) -> None:
    async with opened(settings):  # type: ignore[arg-type]
        pass
