"""The bench of the log on Kafka, in its shortest form: every contender still does its work."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import pytest
from bench.kafka import run_apart
from bench.kafka_drive import Results, Setting
from bench.kafka_one import CONTENDERS
from bench.kafka_servers import Brokers

if TYPE_CHECKING:
    from pathlib import Path

    from deploy.kafka_lab import SharedBroker

ON_KAFKA = [name for name in CONTENDERS if "bare" in name or "ours" in name]
MEASURED = {"p50_ms", "p99_ms", "callers_64_per_s", "pipelined_per_s", "large_per_s"}


@pytest.mark.kafka
@pytest.mark.parametrize("name", ON_KAFKA)
def test_a_contender_on_kafka_is_measured(
    name: str, tmp_path: Path, kafka_broker: SharedBroker, kafka_prefix: str
) -> None:
    setting = Setting(kafka_broker.servers, kafka_prefix, str(tmp_path), True, "", 0.02)
    books = ["bare"] if "bare" in name else ["calls", "centre"]
    brokers = Brokers(kafka_broker.servers, "the run's own")
    brokers.make_topics([f"{kafka_prefix}.{book}" for book in books], flushed=True)
    told = run_apart(["bench.kafka_one", name, msgspec.json.encode(setting).decode()], 120)
    found = msgspec.json.decode(told, type=Results)
    assert set(found) > MEASURED
    assert all(found[figure] > 0 for figure in MEASURED)


@pytest.mark.parametrize("name", ["`eventsourcing` on SQLite", "`fdatasync` alone"])
def test_a_contender_on_the_disk_is_measured(name: str, tmp_path: Path) -> None:
    setting = Setting("", "t", str(tmp_path), False, "", 0.02)
    told = run_apart(["bench.kafka_one", name, msgspec.json.encode(setting).decode()], 120)
    assert set(msgspec.json.decode(told, type=Results)) > MEASURED
