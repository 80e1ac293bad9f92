"""The load test itself: a short surge of its own process against a real server, and its verdict."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from project import ROOT

if TYPE_CHECKING:
    from deploy.kafka_lab import SharedBroker


def locust() -> str | None:
    """The load generator, in its own environment or in this one."""
    beside = Path(sys.executable).with_name("locust")
    own = ROOT / ".venv-load" / "bin" / "locust"
    return next((str(p) for p in (own, beside) if p.exists()), shutil.which("locust"))


def surge(results: Path, *options: str) -> dict[str, Any]:
    """Run a surge to its end, which must be a pass; its summary."""
    generator = locust()
    if generator is None:
        pytest.skip("no locust here: make setup-test")
    server = f"{shlex.quote(sys.executable)} -m kontaktcenter"
    env = {n: v for n, v in os.environ.items() if not n.startswith("KC_")}
    done = subprocess.run(
        [
            sys.executable, "-m", "loadtests.run", "--locust", generator, "--server", server,
            "--results", str(results), *options,
        ],
        cwd=ROOT, env={**env, "PYTHONPATH": str(ROOT), "KC_LANG": "en"},
        capture_output=True, text=True, check=False, timeout=240,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert "PASS: nothing lost, doubled, unasked for or out of order" in done.stdout
    (folder,) = results.iterdir()
    summary: dict[str, Any] = json.loads((folder / "summary.json").read_text(encoding="utf-8"))
    assert summary["facts"] == summary["acknowledged"] > 100
    assert summary["errors"] == {}
    return summary


@pytest.mark.load
@pytest.mark.slow
@pytest.mark.requirement("R2")
def test_a_surge_loses_and_doubles_nothing(tmp_path: Path, whole: bool) -> None:
    summary = surge(tmp_path, "--seconds", "60" if whole else "6", "--calls-per-s", "20")
    assert set(summary["latency_ms"]) == {"p50", "p95", "p99", "p99_9", "max"}
    assert isinstance(summary["valid"], bool)


@pytest.mark.load
@pytest.mark.slow
@pytest.mark.kafka
@pytest.mark.requirement("R2")
def test_a_surge_of_whole_calls_loses_and_doubles_nothing_on_kafka(
    tmp_path: Path, whole: bool, kafka_broker: SharedBroker
) -> None:
    summary = surge(
        tmp_path, "--seconds", "60" if whole else "6", "--calls-per-s", "20", "--factor", "1",
        "--whole", "--kafka", kafka_broker.servers,
    )  # fmt: skip
    assert summary["facts"] % 6 == 0
    assert set(summary["generators_own_ms"]) == set(summary["latency_ms"])
