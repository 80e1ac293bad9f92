from __future__ import annotations

import os
import shutil
import subprocess
import sys

import pytest
from project import ROOT

NEEDS_TMUX = "tests/e2e/test_reserve_terminal.py::test_a_person_registers_a_call_in_a_real_terminal"


def without_tmux(*options: str) -> subprocess.CompletedProcess[str]:
    """Run one terminal test on a machine that has no tmux."""
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", NEEDS_TMUX, *options],
        cwd=ROOT,
        env={**os.environ, "PATH": "/nowhere"},
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_skip_is_told_and_is_no_failure_on_a_developers_machine() -> None:
    done = without_tmux("-rs")
    assert done.returncode == 0
    assert "no tmux here: apt-get install tmux" in done.stdout


@pytest.mark.parametrize("workers", [[], ["-n", "1"]])
def test_a_skip_of_what_must_run_fails_the_run_in_ci(workers: list[str]) -> None:
    done = without_tmux("--no-skip-of=terminal", *workers)
    assert done.returncode == 1
    assert f"MUST NOT BE SKIPPED HERE: {NEEDS_TMUX} (terminal)" in done.stdout


def test_a_test_on_kafka_is_skipped_loudly_where_there_is_none_and_not_in_ci() -> None:
    test = "tests/contract/test_kafka_lab.py::test_nobody_makes_a_topic_by_asking_for_it"
    command = [sys.executable, "-m", "pytest", "-q", "-rs", "-p", "no:cacheprovider", test]
    env = {**os.environ, "XDG_CACHE_HOME": "/dev/null"}
    for more, code in (([], 0), (["--no-skip-of=kafka"], 1)):
        done = subprocess.run(
            [*command, *more], cwd=ROOT, env=env, capture_output=True, text=True, check=False
        )
        assert done.returncode == code, done.stdout
        assert "Kafka cannot be kept in /dev/null/kontaktcenter" in done.stdout
    assert f"MUST NOT BE SKIPPED HERE: {test} (kafka)" in done.stdout


def test_ci_checks_and_tests_and_lets_nothing_be_skipped_that_it_can_install() -> None:
    script = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    assert script.startswith("#!/usr/bin/env bash\n")
    assert "set -euo pipefail" in script
    assert "make check" in script
    assert "make test" in script
    for marker in ("browser", "terminal", "load", "keycloak", "kafka"):
        assert f"--no-skip-of={marker}" in script


@pytest.mark.parametrize("script", ["run", "system-parts", "constraints"])
def test_the_scripts_of_ci_are_programs_that_bash_can_read(script: str) -> None:
    path = ROOT / ".ci" / script
    assert os.access(path, os.X_OK)
    subprocess.run(["bash", "-n", str(path)], check=True)


def test_every_target_of_make_that_people_use_is_explained() -> None:
    if shutil.which("make") is None:
        pytest.skip("no make here")
    told = subprocess.run(["make", "help"], cwd=ROOT, capture_output=True, text=True, check=True)
    for target in ("run", "run-kafka", "setup", "test", "check", "faults", "bench", "clean"):
        assert f"make {target} " in told.stdout
