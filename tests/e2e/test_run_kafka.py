"""`make run-kafka`: two boards on one log, a node killed, and nothing left when it has ended."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from cli_process import environment, kc_json
from kafka_ledger import judge_shard, read_book
from project import ROOT

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from deploy.kafka_lab import Software

pytestmark = [pytest.mark.kafka, pytest.mark.slow, pytest.mark.timeout(400)]

BOARD = re.compile(r"The board of (node \w): (http\S+) \(process (\d+)\)")
BACK = re.compile(r"(node a) is back: (http\S+) \(process (\d+)\)")
READY_S = 150


class Lab:
    """The program, as `make run-kafka` starts it; what it says is read as it comes."""

    def __init__(self, home: Path, *args: str) -> None:
        cache = os.environ.get("XDG_CACHE_HOME", str(Path.home() / ".cache"))
        self.process = subprocess.Popen(
            [sys.executable, "-m", "deploy.kafka_lab", "--port", "0", *args],
            cwd=ROOT,
            env=environment(home, XDG_CACHE_HOME=cache, TMPDIR=str(home)),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self.said = ""
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        with self.process.stdout as lines:
            for line in lines:
                self.said += line

    def boards(self) -> dict[str, tuple[str, int]]:
        """Addresses and processes of both nodes, once they are told."""
        until(lambda: len(BOARD.findall(self.said)) == 2 or self.process.poll() is not None)
        return {name: (address, int(pid)) for name, address, pid in BOARD.findall(self.said)}

    def log(self) -> tuple[str, str]:
        """The broker's address, and the topics' prefix."""
        found = re.search(r"kafka://(\S+)/(\S+) \(", self.said)
        assert found is not None, self.said
        return found[1], found[2]

    def below(self) -> list[int]:
        """The processes that it has started."""
        folder = Path(f"/proc/{self.process.pid}/task")
        return [
            int(n) for task in folder.iterdir() for n in (task / "children").read_text().split()
        ]


def until(done: Callable[[], bool], within_s: float = READY_S) -> None:
    end = time.monotonic() + within_s
    while not done():
        assert time.monotonic() < end
        time.sleep(0.2)


def board(address: str) -> Any:
    with urllib.request.urlopen(address + "api/v1/queues", timeout=10) as answer:
        return json.load(answer)


def position(address: str) -> int:
    """How much of the log a node shows; 0 while it does not answer."""
    try:
        return sum(board(address)["as_of"].values())
    except (urllib.error.URLError, OSError):
        return 0


def is_alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state != "Z"


def same_as_anew(running: Lab, home: Path, name: str) -> int:
    """How far a node has judged; its digests are those of the log, read and judged without it."""
    servers, prefix = running.log()
    (data,) = home.glob(f"kontaktcenter-kafka-*/{name}")
    told = kc_json(home, "log", "digest", "--data", data, KC_LOG=f"kafka://{servers}/{prefix}")
    books = {shard.rpartition("/")[0] for shard in told["shards"]}
    assert {"calls", "centre"} <= books
    topics = {book: book.replace("_", "_5F") for book in books}
    logs = {book: read_book(servers, f"{prefix}.{topic}") for book, topic in topics.items()}
    for shard, stands in told["shards"].items():
        book, _slash, n = shard.rpartition("/")
        anew = judge_shard(logs[book][int(n)], upto=stands["position"])
        assert (anew.position, anew.digest) == (stands["position"], stands["digest"]), shard
    return sum(stands["position"] for stands in told["shards"].values())


@pytest.fixture
def lab(kafka_software: Software, tmp_path: Path) -> Iterator[Callable[..., Lab]]:
    started: list[Lab] = []

    def start(*args: str) -> Lab:
        started.append(Lab(tmp_path, *args))
        return started[-1]

    yield start
    for one in started:
        one.process.kill()
        one.process.wait()


def test_two_boards_show_one_log_and_one_goes_on_when_the_other_is_killed(
    lab: Callable[..., Lab], tmp_path: Path
) -> None:
    running = lab("--again", "3")
    boards = running.boards()
    assert set(boards) == {"node a", "node b"}, running.said
    (first, killed), (other, _pid) = boards["node a"], boards["node b"]
    until(lambda: board(first)["total"]["waiting"] > 20 and board(other)["total"]["waiting"] > 20)
    page = urllib.request.urlopen(other, timeout=10).read().decode()
    assert "nothing here is real" in page  # no board of a demo passes for a real one

    os.kill(killed, signal.SIGKILL)
    before = position(other)
    until(lambda: position(other) > before + 20)
    until(lambda: BACK.search(running.said) is not None)
    assert "node a has ended (SIGKILL); it starts again in 3 s" in running.said
    (back,) = [address for _name, address, _pid in BACK.findall(running.said)]
    reached = position(other)
    until(lambda: position(back) >= reached)

    for name in ("a", "b"):
        assert same_as_anew(running, tmp_path, name) >= reached
    below = running.below()
    assert len(below) == 4  # the broker, the exchange, two nodes
    running.process.send_signal(signal.SIGINT)
    assert running.process.wait(60) == 130
    assert [pid for pid in below if is_alive(pid)] == []
    assert list(tmp_path.glob("kontaktcenter-kafka-*")) == []


def test_nothing_runs_on_when_it_is_killed(lab: Callable[..., Lab]) -> None:
    running = lab()
    until(lambda: "starting the exchange" in running.said and len(running.below()) == 2)
    below = running.below()
    running.process.kill()
    until(lambda: not any(is_alive(pid) for pid in below), within_s=20)


def test_it_ends_at_once_where_it_is_told_to_while_it_starts(
    lab: Callable[..., Lab], tmp_path: Path
) -> None:
    running = lab()
    until(lambda: "starting Apache Kafka" in running.said)
    running.process.send_signal(signal.SIGTERM)
    assert running.process.wait(60) == 0
    assert "Traceback" not in running.said
    assert list(tmp_path.glob("kontaktcenter-kafka-*")) == []
