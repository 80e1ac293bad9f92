"""The commands of docs/operating/kafka.md, in their order, on a real broker."""

from __future__ import annotations

import re
import shutil
from typing import TYPE_CHECKING

import pytest
from console import Step, environment, run, shims, steps_of
from project import ROOT

if TYPE_CHECKING:
    from pathlib import Path

    from deploy.kafka_lab import SharedBroker

pytestmark = [pytest.mark.kafka, pytest.mark.slow]
PAGE = ROOT / "docs" / "operating" / "kafka.md"
RECORDING = ROOT / "kontaktcenter" / "data" / "crisis.queue_log"
DONE, DEGRADED = 0, 3


def commands() -> list[Step]:
    return steps_of(PAGE.read_text(encoding="utf-8").replace("```console kafka", "```console"), "")


def test_the_page_has_commands_for_each_of_its_parts() -> None:
    verbs = {" ".join(step.line.split("kontaktcenter ")[1].split()[:2]) for step in commands()}

    assert verbs == {
        "log acls", "log create", "log check", "log describe", "log copy", "log digest",
    }  # fmt: skip


def test_the_commands_of_the_page_do_as_it_says(
    kafka_broker: SharedBroker, kafka_prefix: str, tmp_path: Path
) -> None:
    env = environment(
        tmp_path,
        shims(tmp_path / "bin"),
        KC_LOG=f"kafka://{kafka_broker.servers}/{kafka_prefix}",
        KC_LANG="en",
        KC_DATA=str(tmp_path / "data"),
    )
    town = tmp_path / "var" / "lib" / "kontaktcenter"
    done = run(
        f"KC_LOG= kontaktcenter import queue-log {RECORDING} --exchange tnh --data {town}",
        tmp_path, env,
    )  # fmt: skip
    assert done.returncode == DONE, done.stdout
    shutil.copytree(town, tmp_path / "data", ignore=shutil.ignore_patterns("*.sock", "log.db*"))
    shutil.rmtree(tmp_path / "data" / "index")
    shutil.rmtree(tmp_path / "data" / "projections")
    begun = False
    for step in commands():
        line = step.line.replace("kafka://kafka1:9092/tnh", env["KC_LOG"])
        line = re.sub(r"(?<=sqlite:)/", f"{tmp_path}/", line)
        line = re.sub(r"log (create|check)\b", r"log \1 --allow-unsafe", line)
        if "--shards calls=1" in line:
            begun = True
            env["KC_LOG"] += ".moved"  # the page's beginning and its moving up are two towns
            line = line.replace(kafka_prefix, f"{kafka_prefix}.moved")
        elif "log create" in line and begun:
            line += " --shards calls=1"
        done = run(line, tmp_path, env)
        assert done.returncode in {DONE, DEGRADED}, (line, done.stdout)
        assert step.matches(done.stdout), (line, step.expected, done.stdout)
