"""The drill of `kafka-nere.md`: a broker dies under a node, and every command is run."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from cli_process import Running
from console import Step, environment, run, shims, steps_of
from project import ROOT

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from deploy.kafka_lab import Broker

pytestmark = [pytest.mark.kafka, pytest.mark.slow]
RUNBOOK = ROOT / "runbooks" / "kafka-nere.md"
RECORDING = ROOT / "kontaktcenter" / "data" / "crisis.queue_log"
EXIT_CODE = re.compile(r"\[slutkod (\d+)\]")
DEGRADED = 3  # a single broker is a trial


def part(heading: str, end: str) -> list[Step]:
    """The commands between two headings of the runbook."""
    whole = RUNBOOK.read_text(encoding="utf-8")
    return steps_of(whole[whole.index(heading) : whole.index(end)], RUNBOOK.name)


def test_the_runbook_is_drilled_on_a_broker_that_dies(
    own_broker: Callable[..., Broker], tmp_path: Path
) -> None:
    broker = own_broker()
    data = tmp_path / "var/lib/kontaktcenter"
    address = f"kafka://{broker.servers}/tnh"
    settings = {"KC_LOG": address, "KC_TAXONOMY": "none"}
    env = environment(tmp_path, shims(tmp_path / "bin"), KC_LANG="sv", **settings)

    def do(step: Step) -> str:
        ends = [int(m[1]) for e in step.expected if (m := EXIT_CODE.fullmatch(e))]
        line = step.line.replace("/var/lib/kontaktcenter", str(data))
        line = line.replace("log check", "log check --allow-unsafe")
        done = run(line, tmp_path, env)
        assert done.returncode in (ends or [0, DEGRADED]), (line, done.returncode, done.stdout)
        shown = [e for e in step.expected if not EXIT_CODE.fullmatch(e)]
        assert Step(step.page, line, shown).matches(done.stdout), (line, done.stdout)
        return done.stdout

    for line in (
        "kontaktcenter log create --allow-unsafe",
        f"kontaktcenter import queue-log {RECORDING} --exchange tnh --data {data}",
    ):
        done = run(line, tmp_path, env)
        assert done.returncode in {0, DEGRADED}, done.stdout
    with Running(tmp_path, "serve", "--port", "0", "--data", data, **settings) as node:
        node.address()
        broker.kill()
        for step in part("### A.", "### B."):
            do(step)
        broker.start()
        for step in part("### C.", "### D."):
            do(step)
        for step in part("### E.", "## Kontrollera"):
            do(step)
        for step in part("## Kontrollera", "## Återgå"):
            do(step)
        assert node.process.poll() is None  # it went on through all of it
