"""The layers hold, and each contract fails when it is broken on purpose in a copy of the house."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from project import PACKAGES, ROOT

LINT = Path(sys.executable).with_name("lint-imports")


def lint(folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [LINT, "--no-cache"], cwd=folder, capture_output=True, text=True, check=False
    )


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """The Python files of our packages, in a folder of their own."""
    for package in (*PACKAGES, "loadtests"):
        shutil.copytree(
            ROOT / package,
            tmp_path / package,
            ignore=lambda folder, names: {
                n for n in names if not (n.endswith(".py") or (Path(folder) / n).is_dir())
            },
        )
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    return tmp_path


def plant(folder: Path, module: str, line: str) -> None:
    path = folder / module
    text = path.read_text(encoding="utf-8") if path.exists() else ""
    path.write_text(f"{text}\n{line}\n", encoding="utf-8")


def test_the_layers_hold(copy: Path) -> None:
    done = lint(copy)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize(
    ("module", "line", "contract"),
    [
        ("core/calls.py", "import projections", "Houses"),
        ("webdesk/__init__.py", "import telephony", "Houses"),
        ("telephony/__init__.py", "import fallback_tui", "Houses"),
        ("projections/__init__.py", "import webdesk", "Houses"),
        ("core/commit.py", "import core.personal", "Rooms of core"),
        ("core/calls.py", "import core.cases", "Rooms of core"),
        ("core/judge.py", "import core.eventlog", "Rooms of core"),
        ("core/new_room.py", "", "Rooms of core"),
        (
            "fallback_tui/lines.py",
            "import core.eventlog.codec",
            "The reserve terminal is an island",
        ),
        ("fallback_tui/lines.py", "import core.application", "The reserve terminal is an island"),
        ("fallback_tui/lines.py", "import msgspec", "The reserve terminal is an island"),
        ("fallback_tui/copy.py", "import projections", "The reserve terminal is an island"),
        (
            "fallback_tui/copy.py",
            "import eventsourcing.persistence",
            "The reserve terminal is an island",
        ),
        (
            "core/eventlog/codec.py",
            "import kafka",
            "Only kafka_log and wiring know Kafka's clients",
        ),
        (
            "webdesk/__init__.py",
            "import aiokafka",
            "Only kafka_log and wiring know Kafka's clients",
        ),
        ("core/calls.py", "import msgspec", "The rules know no library of the edges"),
        ("core/judge.py", "import sqlite3", "The rules know no library of the edges"),
        ("loadtests/__init__.py", "import core.commit", "Load tests are a black box"),
    ],
)
def test_a_contract_that_is_broken_is_seen(
    copy: Path, module: str, line: str, contract: str
) -> None:
    plant(copy, module, line)
    done = lint(copy)
    assert done.returncode != 0
    assert f"{contract} BROKEN" in done.stdout


@pytest.mark.parametrize(
    "module", ["core/eventlog/kafka_log/address.py", "kontaktcenter/wiring.py"]
)
def test_the_two_named_places_may_know_kafka(copy: Path, module: str) -> None:
    plant(copy, module, "import kafka")
    assert lint(copy).returncode == 0


def test_the_front_door_of_the_log_does_not_load_kafka() -> None:
    script = "import sys, core.eventlog; print([m for m in sys.modules if 'kafka' in m])"
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"
