"""What the fault tests on Kafka share: nodes as processes, and all of it compared afterwards.

Afterwards the ledgers are held against the log as confluent-kafka reads it and another judge judges
it (`kafka_ledger`), and every node's digest against that.
"""

from __future__ import annotations

import json
import os
import signal
import time
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fault_world import Zygote, zygote
from kafka_fault_zygote import Run
from kafka_ledger import Judged, compare, judge_book, read_book, read_ledgers
from nodes_world import assert_same_digests
from project import ROOT

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    import pytest

CLIENTS = ("kafka-python", "aiokafka")
BOTH = "both"  # every other node with the other client
PROGRAM = ROOT / "tests" / "kafka_fault_zygote.py"


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """For the modules that import it: all nodes with one client, in the short form a mixture."""
    if "client" in metafunc.fixturenames:
        whole = metafunc.config.getoption("--whole")
        metafunc.parametrize("client", CLIENTS if whole else (BOTH,))


@dataclass
class FaultNode:
    """One node: its folder, its ledger, its process while it runs."""

    name: str
    data: Path
    ledger: Path
    zygote: Zygote
    pid: int = 0
    runs: int = 0
    before: list[str] = field(default_factory=list)  # the marks of its earlier runs

    def kill(self) -> None:
        """kill -9."""
        self.zygote.end(self.pid)
        self.pid = 0

    def pause(self) -> None:
        """It stands still until `resume`."""
        os.kill(self.pid, signal.SIGSTOP)

    def resume(self) -> None:
        """It goes on."""
        os.kill(self.pid, signal.SIGCONT)

    @property
    def marks_file(self) -> Path:
        """Where it tells of itself."""
        return self.ledger.with_name(f"{self.ledger.name}.marks")

    def marks(self) -> list[dict[str, Any]]:
        """What it has told in all its runs."""
        path = self.marks_file
        raw = path.read_bytes() if path.exists() else b""
        return [json.loads(line) for line in raw.split(b"\n")[:-1]]

    def wait(self, mark: str, wait_s: float = 60.0, *, count: int = 1) -> dict[str, Any]:
        """Until it has told `mark` so often; the last of them. Fails where it failed."""
        until = time.monotonic() + wait_s
        while time.monotonic() < until:
            found = self.marks()
            failed = [m for m in found if m["mark"] == "failed"]
            assert not failed or mark == "failed", f"{self.name}: {failed}"
            told = [m for m in found if m["mark"] == mark]
            if len(told) >= count:
                return told[-1]
            time.sleep(0.02)
        raise AssertionError(f"{self.name} has not told {mark} in {wait_s} s: {self.marks()[-3:]}")

    def wait_anew(self, mark: str, wait_s: float = 60.0) -> dict[str, Any]:
        """Until it has told `mark` in its present run."""
        return self.wait(mark, wait_s, count=self.before.count(mark) + 1)

    def told(self) -> list[dict[str, Any]]:
        """The lines of its ledger."""
        return read_ledgers([self.ledger]) if self.ledger.exists() else []

    def answers(self, kind: str) -> int:
        """How often it has answered so."""
        return sum(line.get("answer") == kind for line in self.told())

    def doubtful(self) -> tuple[int, ...]:
        """The numbers that were asked for and got no last word."""
        asked: dict[str, int] = {}
        done = set()
        for line in self.told():
            if "intent" in line:
                asked[line["intent"]] = line["n"]
            elif line["answer"] != "unknown":
                done.add(line["told"])
        return tuple(n for name, n in asked.items() if name not in done)


@dataclass
class FaultWorld:
    """Nodes on one log; `servers` is what they are given, `real` what the oracle reads by."""

    folder: Path
    servers: str
    prefix: str
    client: str
    zygote: Zygote
    real: str = ""
    nodes: dict[str, FaultNode] = field(default_factory=dict)
    create: str = "unsafe"
    markers: dict[int, frozenset[int]] = field(default_factory=dict)  # of strangers' transactions
    strangers: tuple[str, ...] = ()  # origins of commits that nobody of ours meant

    def node(self, name: str, spawner: Zygote | None = None) -> FaultNode:
        """A node of that name, not started."""
        data = self.folder / name
        data.mkdir(exist_ok=True)
        made = FaultNode(name, data, self.folder / f"{name}.ledger", spawner or self.zygote)
        return self.nodes.setdefault(name, made)

    def start(self, node: FaultNode, **more: Any) -> FaultNode:
        """Start it; it asks again for what it got no answer to."""
        node.runs += 1
        node.before = [mark["mark"] for mark in node.marks()]
        number = list(self.nodes).index(node.name)
        first = (number + 1) * 10_000_000 + node.runs * 100_000
        made: dict[str, Any] = {"first": first, "retry": node.doubtful(), **more}
        servers = made.pop("servers", self.servers)
        client = CLIENTS[number % 2] if self.client == BOTH else self.client
        log = f"kafka://{servers}/{self.prefix}?client={client}"
        run = Run(log, str(node.data), str(node.ledger), create=self.create, **made)
        node.pid = node.zygote.ask({"run": asdict(run)})
        return node

    def started(self, *names: str, **more: Any) -> list[FaultNode]:
        """Several nodes, all of them working."""
        nodes = [self.start(self.node(name), **more) for name in names]
        for node in nodes:
            node.wait_anew("working")
        return nodes

    def finish(self, wait_s: float = 90.0) -> dict[str, Judged]:
        """Stop asking, let all come to rest, end, and compare all there is; the log as judged."""
        running = [node for node in self.nodes.values() if node.pid]
        (self.folder / "stop").touch()
        for node in running:
            node.wait("quiet", wait_s)
        time.sleep(0.3)  # what a node tells of itself when it returns
        (self.folder / "end").touch()
        digests = [node.wait("ended", wait_s)["digests"] for node in running]
        for node in running:
            node.wait("closed", wait_s)
            assert node.zygote.end(node.pid, sent=None) == 0
            node.pid = 0
        return self.compare(digests)

    def compare(self, digests: list[Mapping[str, Any]]) -> dict[str, Judged]:
        """The ledgers against the log; the nodes' digests against it and each other."""
        calls = judge_book(
            read_book(self.real or self.servers, f"{self.prefix}.calls", self.markers)
        )
        centre = judge_book(read_book(self.real or self.servers, f"{self.prefix}.centre"))
        lines = read_ledgers(node.ledger for node in self.nodes.values() if node.ledger.exists())
        faults = compare(lines, calls, is_others=self._is_others)
        assert faults == [], "\n".join(faults)
        for told in digests:
            for name, judged in {**calls, **centre}.items():
                position, digest = told[name]
                assert (position, digest) == (judged.position, judged.digest), name
        folders = [node.data for node in self.nodes.values() if (node.data / "index").exists()]
        if len(folders) > 1:
            assert_same_digests(*folders)
        return {**calls, **centre}

    def _is_others(self, commit: Mapping[str, Any]) -> bool:
        """A stranger's, or the empty one by which an island finds out whether the log is back."""
        probe = commit["origin"] == "process:nodes" and commit["events"] == []
        return probe or commit["origin"] in self.strangers


@contextmanager
def fault_world(
    folder: Path, servers: str, prefix: str, client: str, **more: Any
) -> Iterator[FaultWorld]:
    """A world whose nodes end with the block."""
    with ExitStack() as stack:
        spawner = stack.enter_context(kafka_zygote())
        world = FaultWorld(folder, servers, prefix, client, spawner, **more)
        try:
            yield world
        finally:
            for node in world.nodes.values():
                if node.pid:
                    os.kill(node.pid, signal.SIGCONT)
                    node.kill()


@contextmanager
def kafka_zygote() -> Iterator[Zygote]:
    """The process that nodes are forked from: everything is imported there once."""
    with zygote(program=PROGRAM) as made:
        yield made


def until(true: Callable[[], bool], what: str, wait_s: float = 60.0) -> None:
    """Wait until something is so."""
    end = time.monotonic() + wait_s
    while not true():
        assert time.monotonic() < end, f"{what}: not in {wait_s} s"
        time.sleep(0.05)


def goes_on(*nodes: FaultNode, wait_s: float = 60.0) -> None:
    """Each of the nodes has its commits judged, from now on."""
    before = [node.answers("accepted") for node in nodes]
    until(
        lambda: all(
            node.answers("accepted") > told + 20 for node, told in zip(nodes, before, strict=True)
        ),
        "they go on",
        wait_s,
    )
