"""`serve` on a real Kafka that falls asleep: facts are taken, survive a kill, reach the log."""

from __future__ import annotations

import json
import signal
import urllib.request
from typing import TYPE_CHECKING, Any

import pytest
from cli_process import Running

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from deploy.kafka_lab import Broker

pytestmark = [pytest.mark.kafka, pytest.mark.fault, pytest.mark.slow]
EXCHANGE = "tnh"


def ask(address: str, path: str, data: Path, body: object = None) -> dict[str, Any]:
    """An answer of the server, with the token of its data folder."""
    token = (data / "facts.token").read_text().strip()
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    sent = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(address + path, data=sent, headers=headers)
    with urllib.request.urlopen(request, timeout=60) as answer:
        found: dict[str, Any] = json.load(answer)
        return found


def told(address: str, data: Path, *numbers: int) -> list[str]:
    """What becomes of the facts that calls `numbers` entered a queue."""
    facts = [
        {
            "exchange": EXCHANGE, "uniqueid": f"{1795321170 + n}.1", "queue": "avfall",
            "kind": "queued", "occurred_at": f"2026-11-22T04:{n:02d}:30Z",
            "data": {"caller": f"07000000{n:02d}"},
        }
        for n in numbers
    ]  # fmt: skip
    results = ask(address, "api/v1/calls/facts", data, {"facts": facts})["results"]
    return [result["status"] for result in results]


def test_a_server_that_is_killed_while_it_is_cut_off_has_lost_nothing(
    own_broker: Callable[..., Broker], tmp_path: Path
) -> None:
    broker, data = own_broker(), tmp_path / "data"
    env = {"KC_LOG": f"kafka://{broker.servers}/e2e", "KC_LOG_CREATE": "unsafe"}
    args = ("serve", "--port", 0, "--data", data)
    with Running(tmp_path, *args, **env) as server:
        address = server.address()
        assert told(address, data, 1, 2) == ["accepted", "accepted"]
        broker.pause()
        assert told(address, data, 3, 4) == ["kept", "kept"]
        assert told(address, data, 4, 2, 5) == ["kept", "duplicate", "kept"]
        server.process.send_signal(signal.SIGKILL)
        server.process.wait()
    with Running(tmp_path, *args, **env) as server:  # and the log is still away
        address = server.address()
        assert told(address, data, 5, 6) == ["kept", "kept"]
        ready = ask(address, "readyz", data)
        assert ready["status"] == "degraded"
        broker.resume()
        while ask(address, "readyz", data)["island"] is not None:
            pass
        while told(address, data, 7) != ["duplicate"]:
            pass
        assert told(address, data, *range(1, 8)) == ["duplicate"] * 7
        server.stop()
