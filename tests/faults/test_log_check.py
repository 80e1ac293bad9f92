"""`log create` and `log check` on three brokers, one of which goes away."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

import pytest
from cli_here import kc, kc_json

if TYPE_CHECKING:
    from pathlib import Path

    from deploy.kafka_lab import Cluster

pytestmark = [pytest.mark.kafka, pytest.mark.fault]
WITHIN_S = 60.0


def check_until(home: Path, kinds: set[str]) -> list[dict[str, Any]]:
    """The faults, once they are of these kinds: a cluster notices in its own time."""
    until = time.monotonic() + WITHIN_S
    while True:
        done = kc(home, "log", "check", "--json", code=None)
        faults: list[dict[str, Any]] = json.loads(done.stdout or '{"faults": []}')["faults"]
        if {fault["kind"] for fault in faults} == kinds and done.code == (3 if kinds else 0):
            return faults
        assert time.monotonic() < until, done


def test_a_safe_cluster_has_no_fault_until_a_broker_goes_away(
    kafka_cluster: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KC_LOG", f"kafka://{kafka_cluster.servers}/checked")
    monkeypatch.setenv("KC_TAXONOMY", "none")
    made = kc_json(tmp_path, "log", "create")
    topics = kc_json(tmp_path, "log", "describe")["topics"]

    assert made["made"] == ["calls", "centre", "keys", "looks"]
    assert {t["replication"] for t in topics} == {3}
    assert {t["settings"]["min.insync.replicas"] for t in topics} == {"2"}
    check_until(tmp_path, set())

    kafka_cluster.brokers[3].kill()
    away = check_until(tmp_path, {"broker_away", "under_replicated"})
    assert {"degraded"} == {f["weight"] for f in away}
    assert kc_json(tmp_path, "log", "create", code=3)["made"] == []

    kafka_cluster.brokers[3].start()
    check_until(tmp_path, set())
