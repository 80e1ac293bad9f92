"""A town that has outgrown its machine: its log goes to Kafka, and home again, and tells the same.

With `doctor` on the way.
"""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, Any

import pytest
from cli_here import kc, kc_json
from cli_process import RECORDING

if TYPE_CHECKING:
    from pathlib import Path

    from deploy.kafka_lab import SharedBroker

pytestmark = [pytest.mark.kafka, pytest.mark.slow]


def figures(home: Path) -> tuple[Any, Any]:
    told = kc_json(home, "statistics")
    return told["rows"], told["total"]


def checks(home: Path, code: int) -> dict[str, list[str]]:
    """What `doctor` finds, by state: the names of its lines."""
    found: dict[str, list[str]] = {"ok": [], "warn": [], "fail": []}
    for check in kc_json(home, "doctor", code=code)["checks"]:
        found[check["state"]].append(f"{check['name']}: {check['found']}")
    return found


def test_a_town_moves_to_kafka_and_home_again_with_the_same_figures(
    kafka_broker: SharedBroker, kafka_prefix: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KC_TAXONOMY", "none")
    town, city, back = (tmp_path / name for name in ("town", "city", "back"))
    for home in (town, city, back):
        home.mkdir()
    address = f"kafka://{kafka_broker.servers}/{kafka_prefix}"
    kc(town, "import", "queue-log", RECORDING, "--exchange", "tnh")
    before = figures(town)

    with monkeypatch.context() as moving:
        moving.setenv("KC_LOG", address)
        kc(town, "log", "create", "--allow-unsafe", "--shards", "calls=1", code=3)
    copied = ["log", "copy", "--from", f"sqlite:{town}/data/log.db", "--to", address]
    kc(town, *copied)
    (city / "data").mkdir(mode=0o700)
    for secret in ("city.key", "protected.key"):
        shutil.copy2(town / "data" / secret, city / "data" / secret)
    with monkeypatch.context() as moved:
        moved.setenv("KC_LOG", address)
        assert figures(city) == before
        found = checks(city, code=3)
        kc(city, "import", "queue-log", RECORDING, "--exchange", "tnh")  # nothing doubles
        assert figures(city) == before

    (back / "data").mkdir(mode=0o700)
    shutil.copy2(town / "data" / "city.key", back / "data" / "city.key")
    kc(back, "log", "copy", "--from", address, "--to", f"sqlite:{back}/data/log.db")

    assert figures(back) == before
    assert found["fail"] == []
    assert [line for line in found["warn"] if line.startswith("kafka: brokers")]
    assert [line for line in found["ok"] if line.startswith("city secret")]


def test_doctor_tells_what_stands_between_a_node_and_its_brokers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KC_LOG", "kafka://127.0.0.1:1/tnh")
    found = checks(tmp_path, code=1)

    assert [line.partition(" (")[0] for line in found["fail"]] == [
        "kafka: Kafka does not let us in. 127.0.0.1:1: nothing listens there"
    ]


def test_doctor_tells_of_a_trial_and_of_a_topic_that_forgets(
    kafka_broker: SharedBroker, kafka_prefix: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from kafka.admin import ConfigResource, ConfigResourceType, KafkaAdminClient

    monkeypatch.setenv("KC_TAXONOMY", "none")
    monkeypatch.setenv("KC_LOG", f"kafka://{kafka_broker.servers}/{kafka_prefix}")
    kc(tmp_path, "log", "create", "--allow-unsafe", code=3)
    trial = checks(tmp_path, code=3)
    admin = KafkaAdminClient(bootstrap_servers=kafka_broker.servers)
    change = {"retention.ms": "3600000"}
    admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, f"{kafka_prefix}.calls", change)])
    admin.close()
    forgetting = checks(tmp_path, code=1)

    assert [line for line in trial["warn"] if line.startswith("city secret")]
    assert [line for line in forgetting["fail"] if "retention.ms is 3600000" in line]


def test_a_backup_of_a_log_on_kafka_is_a_copy(
    kafka_broker: SharedBroker, kafka_prefix: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KC_TAXONOMY", "none")
    monkeypatch.setenv("KC_LOG", f"kafka://{kafka_broker.servers}/{kafka_prefix}")
    kc(tmp_path, "log", "create", "--allow-unsafe", code=3)
    refused = kc(tmp_path, "backup", "create", "b", "--keys-to", "k", code=1)

    assert "log copy" in refused.stderr
    kc(tmp_path, "import", "queue-log", RECORDING, "--exchange", "tnh")
    assert kc(tmp_path, "log", "export", "log.jsonl").stdout.strip().endswith("log.jsonl")
    assert len((tmp_path / "log.jsonl").read_text().splitlines()) > 3000
