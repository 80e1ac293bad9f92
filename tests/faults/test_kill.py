"""kill -9 at any moment: what was acknowledged is there, once; the rest can be asked again."""

from __future__ import annotations

import random
import shutil
import time
from typing import TYPE_CHECKING

import pytest
from fault_world import assert_kept, settings_at, told, zygote
from fault_zygote import Run

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.fault


@pytest.mark.parametrize("seed", [1, 2])
def test_whenever_a_node_is_killed_what_it_acknowledged_survives_once(
    tmp_path: Path, whole: bool, seed: int
) -> None:
    """One folder through all runs. Each asks again what the one before left open."""
    runs, dice = (100 if whole else 12), random.Random(seed)
    data, ledger = tmp_path / "data", tmp_path / "ledger"
    data.mkdir()
    settings = settings_at(data / "log.db", data)
    retry: tuple[int, ...] = ()
    with zygote() as nodes:
        for n in range(runs):
            fresh = n % 4 == 3
            if fresh:  # the index is lost on top of it, and made while facts are taken
                shutil.rmtree(data / "index", ignore_errors=True)
            run = Run(
                str(data / "log.db"), str(data), str(ledger), seed * 1_000 + n,
                retry=retry, wait_for_index=not fresh,
            )  # fmt: skip
            pid = nodes.start(run)
            time.sleep(dice.choice([0.01, 0.05, 0.15, 0.4]) * dice.random() * 2)
            nodes.end(pid)
            found = assert_kept(settings, ledger, anew=n % 6 == 5 or n == runs - 1)
            retry = found.doubtful
    final = told(ledger)
    assert final.errors == {}
    assert len(final.accepted) > runs, "the runs were too short to show anything"


def test_a_node_that_ends_by_itself_has_answered_everything(tmp_path: Path) -> None:
    ledger = tmp_path / "ledger"
    settings = settings_at(tmp_path / "log.db", tmp_path)
    with zygote() as nodes:
        run = Run(str(tmp_path / "log.db"), str(tmp_path), str(ledger), 7, commits=200)
        assert nodes.end(nodes.start(run), sent=None) == 0
    found = assert_kept(settings, ledger, anew=True)
    assert found.doubtful == ()
    assert len(found.accepted) + len(found.stale) == 200
