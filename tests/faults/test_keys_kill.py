"""kill -9 of a node while it works on keys: nothing acknowledged is lost, nothing gone is back."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest
from fault_world import ENVIRONMENT
from keys_run import POINTS
from keys_world import keys_of, keys_settings, records_of, until
from project import ROOT

from core.personal import subject_of

if TYPE_CHECKING:
    from pathlib import Path

    from deploy.kafka_lab import SharedBroker

pytestmark = [pytest.mark.kafka, pytest.mark.fault, pytest.mark.timeout(1200)]


class Told:
    """What the ledgers of all runs say, in their order: one process works at a time."""

    def __init__(self, ledger: Path) -> None:
        self.kept: dict[str, bool] = {}  # acknowledged keys: whether they were sent for certain
        self.doubtful: set[str] = set()  # asked for when the process died
        self.gone: set[str] = set()
        self.maybe_gone: set[str] = set()
        for line in ledger.read_text(encoding="ascii").splitlines():
            kind, *rest = line.split()
            if kind in {"i", "d"} and len(rest) == 4:
                self._take(kind, *rest)

    def _take(self, kind: str, what: str, subject: str, key: str, _n: str) -> None:
        name = f"{subject}/{key}"
        of_subject = {k for k in (*self.kept, *self.doubtful) if subject_of(k) == subject}
        if what in {"add", "kept"}:
            if kind == "i":
                self.doubtful.add(name)
            else:
                self.kept[name] = what == "add"
        elif what == "erase":
            (self.maybe_gone if kind == "i" else self.gone).update(of_subject)


def run(
    broker: SharedBroker, prefix: str, folder: Path, ledger: Path, seed: int, *point: str
) -> subprocess.Popen[bytes]:
    """A process that works on keys in a folder; it has begun when this returns."""
    folder.mkdir(exist_ok=True)
    args = [broker.servers, prefix, str(folder), str(ledger), str(seed), *point]
    process = subprocess.Popen(
        [sys.executable, str(ROOT / "tests" / "keys_run.py"), *args], env=ENVIRONMENT
    )
    mark = f"ready {process.pid}"
    until(lambda: ledger.exists() and mark in ledger.read_text(encoding="ascii"), "it works", 60)
    return process


def assert_kept(broker: SharedBroker, prefix: str, folder: Path, ledger: Path, new: Path) -> None:
    """The node that was killed, a new one and another client agree, and with what was told."""
    told, where = Told(ledger), keys_settings(broker.servers, prefix)
    with keys_of(where, folder) as again, keys_of(where, new) as fresh:
        again.live(["caller/0"])
        fresh.live(["caller/0"])
        again.send_kept()
        end = {name for name, value in dict(records_of(broker.servers, f"{prefix}.keys")).items()
               if value is not None}  # fmt: skip
        for name in told.kept:
            if name in told.gone:
                assert again.wrapped(name) is None, f"{name} was erased and is back"
                assert fresh.wrapped(name) is None, f"{name} was erased and is back at a new node"
                assert name not in end, f"{name} was erased and its bytes are the last in the topic"
            elif name not in told.maybe_gone:
                value = again.wrapped(name)
                assert value is not None, f"{name} was acknowledged and is lost"
                assert value.rstrip(b"'") == f"wrapped {name.rpartition('/')[2]}".encode()
                assert fresh.wrapped(name) == value
                assert name in end
            else:  # the erasure was under way: either, but the same everywhere
                assert again.wrapped(name) == fresh.wrapped(name)


def test_whenever_a_node_is_killed_its_keys_are_what_it_was_told(
    kafka_broker: SharedBroker, kafka_prefix: str, tmp_path: Path, whole: bool
) -> None:
    dice, ledger = random.Random(3), tmp_path / "ledger"
    for n in range(40 if whole else 3):
        process = run(kafka_broker, kafka_prefix, tmp_path / "node", ledger, n + 1)
        time.sleep(dice.choice((0.05, 0.2, 0.5)) * dice.random() * 2)
        process.send_signal(signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL
        assert_kept(kafka_broker, kafka_prefix, tmp_path / "node", ledger, tmp_path / f"new{n}")
    told = Told(ledger)
    assert told.kept


def test_at_every_point_where_a_node_may_die_its_keys_are_what_it_was_told(
    kafka_broker: SharedBroker, kafka_prefix: str, tmp_path: Path, whole: bool
) -> None:
    ledger = tmp_path / "ledger"
    for n, point in enumerate((*POINTS, *POINTS, *POINTS) if whole else POINTS[1::3]):
        process = run(kafka_broker, kafka_prefix, tmp_path / "node", ledger, n + 1, point)
        assert process.wait(60) == -signal.SIGKILL, point
        assert_kept(kafka_broker, kafka_prefix, tmp_path / "node", ledger, tmp_path / f"new{n}")
