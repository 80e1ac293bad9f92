"""Recorders in several processes on one Kafka: as many nodes, and one order."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from eventsourcing.persistence import InfrastructureFactoryError
from eventsourcing.utils import Environment
from kafka_kinds import CLIENTS, kafka_settings
from project import ROOT
from recorder_kit import A, application

from core.eventlog.recorder.recorder import LogFactory
from core.eventlog.secret import load_secret

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.kafka
WRITER = """
import json, sys
from eventsourcing.persistence import IntegrityError, StoredEvent
from eventsourcing.utils import Environment
from uuid import UUID
from core.eventlog.recorder.recorder import LogFactory

env = json.loads(sys.argv[1])
factory = LogFactory(Environment("Bank", env))
recorder = factory.application_recorder()
print("ready", flush=True)
sys.stdin.readline()
mine, version = [], 0
while version < 60:
    version = max((s.originator_version for s in recorder.select_events(UUID(int=1))), default=0)
    try:
        state = json.dumps({"by": env["KC_DATA"]}).encode()
        recorder.insert_events([StoredEvent(UUID(int=1), version + 1, "made", state)])
        mine.append(version + 1)
    except IntegrityError:
        pass
print(json.dumps(mine), flush=True)
factory.close()
"""


@pytest.fixture
def env(request: pytest.FixtureRequest, tmp_path: Path) -> dict[str, str]:
    load_secret(tmp_path / "city.key", may_make=True, entropy=bytes(range(32)))
    return {
        "KC_LOG": str(replace(kafka_settings(request, CLIENTS[0]).address, client="")),
        "KC_LOG_CREATE": "unsafe",
        "KC_MASTER_KEY_FILE": str(tmp_path / "city.key"),
    }


def test_processes_that_write_the_same_versions_share_them_without_a_gap(
    env: dict[str, str], tmp_path: Path
) -> None:
    LogFactory(Environment("Bank", {**env, "KC_DATA": str(tmp_path / "first")})).close()
    writers = [
        subprocess.Popen(
            [sys.executable, "-c", WRITER, json.dumps(own)],
            cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )
        for client in CLIENTS
        if (own := {
            **env, "KC_LOG": f"{env['KC_LOG']}?client={client}", "KC_DATA": str(tmp_path / client)
        })
    ]  # fmt: skip
    try:
        assert [read(w) for w in writers] == ["ready"] * 2
        for writer in writers:
            go(writer)
        wrote = [json.loads(read(w)) for w in writers]
        assert sorted(wrote[0] + wrote[1])[:60] == list(range(1, 61))
        assert not set(wrote[0]) & set(wrote[1])
        for writer in writers:
            assert writer.wait(30) == 0
    finally:
        for writer in writers:
            writer.kill()
    factory = LogFactory(Environment("Bank", {**env, "KC_DATA": str(tmp_path / "third")}))
    try:
        found = application(factory).select_events(A)
        by = {s.originator_version: json.loads(s.state)["by"] for s in found}
        for client, versions in zip(CLIENTS, wrote, strict=True):
            assert {by[v] for v in versions} <= {str(tmp_path / client)}
    finally:
        factory.close()


def read(writer: subprocess.Popen[str]) -> str:
    assert writer.stdout is not None
    return writer.stdout.readline().strip()


def go(writer: subprocess.Popen[str]) -> None:
    assert writer.stdin is not None
    writer.stdin.write("\n")
    writer.stdin.flush()


def test_one_process_has_one_node_for_a_log_whichever_client_it_names(
    env: dict[str, str], tmp_path: Path
) -> None:
    def made(client: str, data: str) -> LogFactory:
        log = f"{env['KC_LOG']}?client={client}"
        named = {**env, "KC_LOG": log, "KC_DATA": str(tmp_path / data)}
        return LogFactory(Environment("Bank", named))

    first = made("aiokafka", "a")
    second = made("kafka-python", "a")
    with pytest.raises(InfrastructureFactoryError, match="KC_DATA"):
        made("kafka-python", "b")
    first.close()
    assert application(second).max_notification_id() is None
    second.close()
    made("kafka-python", "b").close()
