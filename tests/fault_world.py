"""What the fault tests share: the process that forks runs, ledgers, and the checks against them."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fault_zygote import Run, draft_of
from log_world import opened, sqlite_settings
from project import ROOT

from core.commit import Accepted, StaleVerdict
from core.eventlog.verify import rebuild, verify_shard

if TYPE_CHECKING:
    from collections.abc import Iterator

    from core.eventlog.node import NodeSettings

ENVIRONMENT = {"PYTHONPATH": f"{ROOT}:{ROOT / 'tests'}", "PATH": os.environ["PATH"]}


@dataclass
class Zygote:
    """The process that forks runs."""

    process: subprocess.Popen[str]

    def ask(self, request: dict[str, Any]) -> int:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(json.dumps(request) + "\n")
        self.process.stdin.flush()
        return int(self.process.stdout.readline())

    def start(self, run: Run) -> int:
        """Begin a run; its process id."""
        return self.ask({"run": asdict(run)})

    def end(self, pid: int, sent: int | None = signal.SIGKILL) -> int:
        """Have a run killed (None: let it end by itself) and gone; its exit status."""
        if sent is not None:
            os.kill(pid, sent)
        return self.ask({"wait": pid})


@contextmanager
def zygote(
    prefix: tuple[str, ...] = (), program: Path = ROOT / "tests" / "fault_zygote.py"
) -> Iterator[Zygote]:
    """A process that has imported everything; it ends with the block."""
    command = [*prefix, sys.executable, str(program)]
    process = subprocess.Popen(
        command, env=ENVIRONMENT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        yield Zygote(process)
    finally:
        assert process.stdin is not None
        process.stdin.close()
        process.wait(timeout=30)
        assert process.stdout is not None
        process.stdout.close()


@dataclass
class Told:
    """A ledger read back: what was asked, and what each asking was told."""

    intended: set[int] = field(default_factory=set)
    accepted: dict[int, int] = field(default_factory=dict)
    stale: dict[int, int] = field(default_factory=dict)
    errors: dict[int, str] = field(default_factory=dict)
    marks: list[str] = field(default_factory=list)

    @property
    def doubtful(self) -> tuple[int, ...]:
        """What was asked and never answered with a verdict."""
        return tuple(sorted(self.intended - self.accepted.keys() - self.stale.keys()))


def told(ledger: Path) -> Told:
    """Read a ledger; a last line that a kill cut off was never on disk, and is not read."""
    found = Told()
    text = ledger.read_text(encoding="ascii") if ledger.exists() else ""
    for line in text[: text.rfind("\n") + 1].splitlines():
        kind, *rest = line.split()
        if kind == "I":
            found.intended.add(int(rest[0]))
        elif kind in "AS" and rest:
            kept = found.accepted if kind == "A" else found.stale
            number, position = int(rest[0]), int(rest[1])
            assert kept.get(number, position) == position, f"{number} was told two positions"
            kept[number] = position
        elif kind == "E":
            found.errors[int(rest[0])] = rest[1]
        else:
            found.marks.append(kind)
    return found


def wait_for(ledger: Path, mark: str, wait_s: float = 20.0) -> None:
    """Until a line that begins with `mark` stands in the ledger."""
    until = time.monotonic() + wait_s
    while time.monotonic() < until:
        if ledger.exists() and any(
            line.startswith(mark) for line in ledger.read_text(encoding="ascii").splitlines()
        ):
            return
        time.sleep(0.002)
    raise AssertionError(f"no {mark} in {ledger} within {wait_s} s")


def settings_at(log: Path, data: Path) -> NodeSettings:
    """A node whose log and data folder are where a test wants them."""
    return replace(sqlite_settings(data), log=f"sqlite:{log}")


async def _kept(settings: NodeSettings, found: Told) -> dict[str, tuple[int, str]]:
    async with opened(settings) as node:
        state = node.shard("calls/0").state
        for n, position in found.accepted.items():
            first = state.first_verdict(str(draft_of(n).id))
            assert first is not None, f"{n} was acknowledged at {position} and is gone"
            assert isinstance(first[1], Accepted)
            assert first[1].position == position, (n, first)
        for n, position in found.stale.items():
            first = state.first_verdict(str(draft_of(n).id))
            assert first is not None, f"{n} was told stale at {position} and is gone"
            assert isinstance(first[1], StaleVerdict)
            assert first[1].position == position, (n, first)
        assert state.counts["fork"] == 0
        report = await verify_shard(
            node, "calls/0"
        )  # each id once, and the index agrees with the log
        assert report.ok, report.faults
        return node.digests()


def assert_kept(settings: NodeSettings, ledger: Path, *, anew: bool = False) -> Told:
    """All that was acknowledged survived, once; with `anew` a rebuild has the same digest."""
    found = told(ledger)
    digests = asyncio.run(_kept(settings, found))
    if anew:
        copy = settings.data.with_name(f"{settings.data.name}-anew")
        shutil.rmtree(copy, ignore_errors=True)
        copy.mkdir()
        log = Path(settings.log.removeprefix("sqlite:"))
        for source in (*log.parent.glob("log.db*"), *log.parent.glob("keys.db*")):
            shutil.copy(source, copy / source.name)
        shutil.copy(settings.data / "city.key", copy / "city.key")
        assert digests == asyncio.run(rebuild(sqlite_settings(copy)))
        shutil.rmtree(copy)
    return found
