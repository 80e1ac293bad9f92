"""kill -9 in the middle of a case's command: nothing acknowledged is lost, nothing is doubled."""

from __future__ import annotations

import json
import random
import socket
import threading
import time
from typing import TYPE_CHECKING

import pytest
from case_server import Person, Server, Worker, open_account
from cli_process import kc, kc_json
from log_world import sqlite_settings

from core.case_rules import CASES
from core.eventlog.recorder.blocking import BlockingNode

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [pytest.mark.fault, pytest.mark.slow, pytest.mark.timeout(900)]

HANDED_OVER = (
    "case.registered", "case.categorised", "case.handed_over", "case.handover_receipt_noted",
    "case.taken", "case.answered", "case.closed", "case.reopened", "case.closed",
)  # fmt: skip


def a_free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        return int(free.getsockname()[1])


class Line:
    """One agent and one officer who work on case after case, until the day is over."""

    def __init__(self, name: str, port: int, over: threading.Event) -> None:
        self.name, self._over = name, over
        self.agent, self.officer = Person("anna", port), Person("olle", port)
        self.cases: list[str] = []
        self.dice = random.Random(name)

    def work(self) -> None:
        while not self._over.is_set():
            self._case(len(self.cases))

    def _case(self, n: int) -> None:
        key = f"{self.name}/{n}"
        anna, olle = self.agent, self.officer
        told = anna.did("", {"authority": "TK", "title": "Räksmörgås å 🦐"}, f"{key}/1")
        path = f"/TK/{told['case']}"
        again = anna.did("", {"authority": "TK", "title": "Räksmörgås å 🦐"}, f"{key}/1")
        assert again["case"] == told["case"]
        anna.did(f"{path}/categorise", {"case_type": "TK-AVF-02"}, f"{key}/2")
        anna.did(f"{path}/hand-over", {"note": "Lådan är full."}, f"{key}/3")
        (handover,) = olle.sees(path)["handovers"]
        receipt = {"handover": handover["id"], "receipt": "accepted"}
        olle.did(f"{path}/note-receipt", receipt, f"{key}/4")
        olle.did(f"{path}/take", {}, f"{key}/5")
        olle.did(f"{path}/answer", {"text": "Den är tömd nu."}, f"{key}/6")
        olle.did(f"{path}/close", {"outcome": "solved"}, f"{key}/7")
        olle.did(f"{path}/reopen", {"reason": "Nej."}, f"{key}/8")
        olle.did(f"{path}/close", {"outcome": "solved"}, f"{key}/9")
        self.cases.append(f"case{path}")


def test_whenever_the_server_is_killed_a_cases_commands_are_done_once(
    tmp_path: Path, whole: bool
) -> None:
    data, port, kills = tmp_path / "data", a_free_port(), 40 if whole else 4
    server = Server(tmp_path, data, port)
    open_account(tmp_path, data, "root", "--role", "administrator")
    more = ("--as", "root")
    open_account(tmp_path, data, "anna", "--role", "agent_1", "--group", "tnh_avfall", *more)
    open_account(tmp_path, data, "olle", "--role", "case_officer", "--authority", "TK", *more)
    over, dice = threading.Event(), random.Random(8)
    lines = [Line(f"line {n}", port, over) for n in range(3)]
    workers = [Worker(line.work) for line in lines]
    for line in lines:  # a session outlives its server, so nobody has to sign in again
        for person in (line.agent, line.officer):
            assert person.asks("/TK/nothing").status_code == 404
    for worker in workers:
        worker.start()
    for _ in range(kills):
        time.sleep(dice.choice((0.2, 0.5, 1.0, 2.0)) * dice.random() + 0.05)
        server.killed()
    over.set()
    for worker in workers:
        worker.done(120)
    server.stop()
    assert sum(line.agent.repeats + line.officer.repeats for line in lines) > 0
    done = [stream for line in lines for stream in line.cases]
    assert len(done) >= 3
    assert_each_once(tmp_path, data, done)


def assert_each_once(home: Path, data: Path, done: list[str]) -> None:
    """Each finished case has just its events and no contradiction, and the log is whole."""
    assert kc_json(home, "log", "verify", "--data", data)["ok"]
    export = home / "export.jsonl"
    kc(home, "log", "export", export, "--data", data)
    told: dict[str, list[str]] = {}
    ids = []
    with export.open(encoding="utf-8") as lines:
        for line in lines:
            commit = json.loads(line)
            ids.append(commit["id"])
            for event in commit["events"]:
                told.setdefault(event["stream"], []).append(event["type"])
    assert len(ids) == len(set(ids))
    assert len(done) == len(set(done))
    for stream in done:
        assert told[stream] == list(HANDED_OVER), stream
    assert {s for s in told if s.startswith("case/")} == set(done)
    with BlockingNode(sqlite_settings(data)) as node:
        for stream in done:
            state = CASES.initial
            for recorded in node.load(stream):
                state = CASES.evolve(state, recorded)
            assert state.contradictions == ()
            assert state.outcome == "solved"
