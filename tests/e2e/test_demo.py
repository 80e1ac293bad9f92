"""The demo as a process: ready within seconds, no question asked, and a log that starts again."""

from __future__ import annotations

import json
import signal
import socket
import time
import urllib.request
from typing import TYPE_CHECKING, Any

import pytest
from cli_process import RECORDING, Running, kc, kc_json
from log_world import sqlite_settings

from core.case_rules import CASES
from core.eventlog.recorder.blocking import BlockingNode

if TYPE_CHECKING:
    from pathlib import Path


def queues(address: str) -> Any:
    with urllib.request.urlopen(address + "api/v1/queues", timeout=10) as answer:
        return json.load(answer)


def eventually(ask: Any, within_s: float = 20) -> None:
    until = time.monotonic() + within_s
    while not ask():
        assert time.monotonic() < until
        time.sleep(0.2)


def crowded_and_new(total: Any) -> bool:
    """Many wait, and nobody since before the exchange's restart: they leave after 45 s at most."""
    return bool(total["waiting"] > 20 and total["longest_wait_s"] <= 60)


def cases_of(home: Path, data: Path) -> tuple[set[str], list[str]]:
    """What happened to the demo's cases, and those that contradict themselves."""
    shards = kc_json(home, "log", "digest", "--data", data)["shards"]
    assert sum(name.startswith("cases.") for name in shards) > 3
    kinds, contradicted = set(), []
    with BlockingNode(sqlite_settings(data)) as node:
        streams = {
            event.stream
            for shard in node.shards()
            if shard.startswith("cases.")
            for fed in node.read(shard, 0, 100_000)
            for event in fed.commit.events
        }
        for stream in sorted(streams):
            state = CASES.initial
            for recorded in node.load(stream):
                kinds.add(recorded.event.TOPIC)
                state = CASES.evolve(state, recorded)
            contradicted += [stream] if state.contradictions else []
    return kinds, contradicted


def a_free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        return int(free.getsockname()[1])


def demo(tmp_path: Path, *args: object, **env: str) -> Running:
    data = ("--data", tmp_path / "demo")
    return Running(tmp_path, "demo", *data, "--port", a_free_port(), *args, **env)


def test_calls_come_in_and_agents_work_within_seconds(tmp_path: Path) -> None:
    began = time.monotonic()
    with demo(tmp_path, "--speed", 60) as running:
        address = running.address()
        ready_s = time.monotonic() - began

        eventually(lambda: queues(address)["total"]["last_hour"]["answered"] > 5)
        agents = queues(address)["agents"]
        eventually(lambda: kc_json(tmp_path, "projection", "list", "--data", tmp_path / "demo"))
        cases = kc(tmp_path, "log", "digest", "--data", tmp_path / "demo").stdout
        page = urllib.request.urlopen(address, timeout=10).read().decode()
        assert running.stop(signal.SIGINT) == 130

    assert ready_s < 15
    assert sum(n for state, n in agents.items() if state != "off") >= 5
    assert "cases." in cases
    assert "Demo" in page
    assert "07000" not in "".join(running.lines + running.errors)


def test_a_busy_port_is_passed_over_and_said(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as busy:
        port = busy.getsockname()[1]
        with Running(tmp_path, "demo", "--data", tmp_path / "demo", "--port", port) as running:
            said = running.wait_for("busy")
            address = running.address()

    assert str(port) in said
    assert not address.endswith(f":{port}/")


def test_it_does_not_play_into_topics_that_may_be_a_citys(tmp_path: Path) -> None:
    log = "kafka://127.0.0.1:1/city"
    done = kc(tmp_path, "demo", "--data", tmp_path / "demo", "--log", log, code=1)

    assert "give it a prefix that begins with demo" in done.stderr
    assert not (tmp_path / "demo").exists()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_ended_in_any_way_it_starts_again_on_the_same_log_and_goes_on(
    number: int, tmp_path: Path
) -> None:
    data = tmp_path / "demo"
    with demo(tmp_path, "--speed", 100) as running:
        address = running.address()
        eventually(lambda: queues(address)["total"]["waiting"] > 20)
        running.process.send_signal(number)
        running.process.wait(15)
    first = kc_json(tmp_path, "statistics", "--data", data)
    with demo(tmp_path, "--speed", 100) as running:
        address = running.address()
        eventually(lambda: crowded_and_new(queues(address)["total"]))
        running.stop(signal.SIGTERM)
    second = kc_json(tmp_path, "statistics", "--data", data)

    offered = [sum(row["offered"] for row in figures["total"]) for figures in (first, second)]
    assert 0 < offered[0] < offered[1]
    # The calls that waited at the end are lost at the exchange's restart, not waiting for ever.
    assert sum(row["other"] for row in second["total"]) >= 20
    kc_json(tmp_path, "log", "verify", "--data", data)


def test_played_once_it_gives_the_recordings_figures_and_ends(tmp_path: Path) -> None:
    with demo(tmp_path, "--speed", 400, "--once") as running:
        running.address()
        assert running.process.wait(60) == 0
    figures = kc_json(tmp_path, "statistics", "--data", tmp_path / "demo")

    total = {
        row["queue"]: (row["answered"], row["abandoned"], row["timed_out"])
        for row in figures["total"]
    }
    assert total["kris"] == (163, 503, 143)
    assert total["avfall"] == (58, 92, 32)
    assert sum(row["offered"] for row in figures["total"]) == 1352
    kinds, contradicted = cases_of(tmp_path, tmp_path / "demo")
    assert contradicted == []
    assert {
        "case.handed_over", "case.handover_receipt_noted", "case.taken", "case.complaint_sent",
        "case.answered", "case.guided", "case.closed",
    } <= kinds  # fmt: skip


def test_a_real_log_is_refused(tmp_path: Path) -> None:
    data = tmp_path / "real"
    kc(tmp_path, "import", "queue-log", RECORDING, "--exchange", "lab", "--data", data)
    before = kc_json(tmp_path, "log", "digest", "--data", data)

    refused = kc(tmp_path, "demo", "--data", data, code=1)

    assert "--data" in refused.stderr
    assert kc_json(tmp_path, "log", "digest", "--data", data) == before


def test_whatever_the_environment_says_of_a_real_log_the_demo_has_its_own(tmp_path: Path) -> None:
    real = tmp_path / "real"
    port = a_free_port()
    env = {"KC_DATA": str(real), "KC_LOG": f"sqlite:{real}/log.db", "XDG_STATE_HOME": str(tmp_path)}
    with Running(tmp_path, "demo", "--port", port, **env) as running:
        running.address()
        running.stop()

    assert not real.exists()
    assert (tmp_path / "kontaktcenter-demo" / "log.db").is_file()


def test_the_demo_is_for_this_machine_alone(tmp_path: Path) -> None:
    refused = kc(tmp_path, "demo", "--data", tmp_path / "data", code=2, KC_HOST="0.0.0.0")

    assert "can be reached by others" in refused.stderr
    assert not (tmp_path / "data").exists()
