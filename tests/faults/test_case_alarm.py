"""An alarm about a silent receiver, from a real server that is killed: it comes, and comes once."""

from __future__ import annotations

import asyncio
import json
import random
import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from uuid import uuid5

import pytest
from case_server import Server
from cli_process import kc
from faults.test_case_kill import a_free_port
from given import ID, TAXONOMY, agent
from log_world import opened, sqlite_settings

from core import case_commands as ask
from core.application import Application
from core.eventlog.directory import DirectoryFollower
from core.taxonomy import read_taxonomy

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [pytest.mark.fault, pytest.mark.slow, pytest.mark.timeout(600)]
ANNA = agent("anna", "tnh_trafik")
WITHIN_S = 40.0


async def handed_over(data: Path, cases: int) -> None:
    """Hand-overs to the safety centre that were due before the server is started."""
    now = datetime.now(UTC) - timedelta(minutes=5)
    async with opened(sqlite_settings(data, clock=lambda: now)) as node:
        await node.propose_many(read_taxonomy(TAXONOMY.read_text(encoding="utf-8"), now))
        await node.settle()
        application = Application(node, DirectoryFollower(node))
        for n in range(cases):
            steps: tuple[tuple[type[ask.CaseCommand], dict[str, Any]], ...] = (
                (ask.RegisterCase, {}),
                (ask.CategoriseCase, {"case_type": "TK-DRC-09"}),
                (ask.HandOverCase, {"safety": True}),
            )
            for kind, more in steps:
                command = kind(
                    id=uuid5(ID, f"{n}/{kind.__name__}"), now=now, actor="anna", asker=ANNA,
                    agent="anna", authority="TK", case=f"k{n}", **more,
                )  # fmt: skip
                await application.handle(command)


def alarms(home: Path, data: Path) -> list[str]:
    """The streams of all alarms, as the log has them."""
    lines = kc(home, "log", "export", "-", "--data", data).stdout.splitlines()
    return [
        event["stream"]
        for line in lines
        for event in json.loads(line)["events"]
        if event["type"] == "case.handover_silent"
    ]


@pytest.mark.requirement("R6")
def test_however_often_the_server_is_killed_each_silence_is_told_once(
    tmp_path: Path, whole: bool
) -> None:
    data, cases, dice = tmp_path / "data", 40, random.Random(6)
    data.mkdir()
    asyncio.run(handed_over(data, cases))
    server = Server(tmp_path, data, a_free_port())
    for _ in range(15 if whole else 3):
        time.sleep(dice.random() * 0.5)
        server.killed()
    until = time.monotonic() + WITHIN_S
    while len(alarms(tmp_path, data)) < cases:
        assert time.monotonic() < until
        time.sleep(0.2)
    server.killed()
    server.stop()
    told = alarms(tmp_path, data)
    assert sorted(told) == sorted(f"case/TK/k{n}" for n in range(cases))
