"""A node of the simulated city as a process of its own, so that it can be killed like one.

Pickled batches come on stdin, their answers go to stdout, in order: drafts of facts through the
guard of excluded areas, commands through the real `Application`, drafts of the catalogue as they
are. What is sent again after a kill has the ids that it had.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import pickle
import struct
import subprocess
import sys
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import structlog
from project import ROOT

from core.application import Application, GuardedPort
from core.commands import Command
from core.commit import Accepted, Draft, Event, first_of, judged
from core.errors import KontaktcenterError
from core.eventlog.directory import DirectoryFollower
from core.eventlog.node import Node, NodeSettings
from kontaktcenter.processes import Receipts

if TYPE_CHECKING:
    from collections.abc import Sequence


_HEAD = struct.Struct(">Q")


@dataclass(frozen=True)
class Batch:
    """What is asked at one moment; commands may meet each other."""

    at: datetime
    facts: tuple[Draft, ...] = ()
    commands: tuple[Command, ...] = ()
    catalogue: tuple[Draft, ...] = ()
    look: bool = False  # for receipts that should have come


@dataclass(frozen=True)
class Outcome:
    """What became of a command: its events, or the name of the rule that said no and its words."""

    events: tuple[Event, ...] = ()
    refused: str | None = None
    said: str = ""


def send(pipe: IO[bytes], what: object) -> None:
    raw = pickle.dumps(what)
    pipe.write(_HEAD.pack(len(raw)) + raw)
    pipe.flush()


def receive(pipe: IO[bytes]) -> Any:
    """Raises: EOFError where the other end is gone."""
    head = pipe.read(_HEAD.size)
    if len(head) < _HEAD.size:
        raise EOFError
    size = _HEAD.unpack(head)[0]
    raw = pipe.read(size)
    if len(raw) < size:
        raise EOFError
    return pickle.loads(raw)


class CityNode:
    """The other end: starts the process, asks it, kills it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.process = self._start()

    def _start(self) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [sys.executable, "-c", "import city_node; city_node.main()", str(self._folder)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={"PYTHONPATH": f"{ROOT}:{ROOT / 'tests'}"},
        )

    def ask(self, batch: Batch) -> list[Outcome]:
        self.begin(batch)
        return self.answer()

    def begin(self, batch: Batch) -> None:
        assert self.process.stdin is not None
        send(self.process.stdin, batch)

    def answer(self) -> list[Outcome]:
        assert self.process.stdout is not None
        found: list[Outcome] = receive(self.process.stdout)
        return found

    def killed(self) -> None:
        """Kill it with work under way, and start another at the same folder."""
        self.process.kill()
        self._gone()
        self.process = self._start()

    def close(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.close()
        assert self.process.wait(60) == 0
        self._gone()

    def _gone(self) -> None:
        self.process.wait(60)
        for pipe in (self.process.stdin, self.process.stdout):
            assert pipe is not None
            with contextlib.suppress(BrokenPipeError):
                pipe.close()


class _Clock:
    def __init__(self) -> None:
        self.now = datetime(2026, 11, 1, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now


async def _facts(port: GuardedPort, drafts: Sequence[Draft]) -> None:
    for answer in await port.propose_many(drafts):
        assert isinstance(first_of(judged(answer)), Accepted), answer


async def _handled(application: Application, command: Command) -> Outcome:
    try:
        answer = await application.handle(command)
    except KontaktcenterError as e:
        return Outcome(refused=type(e).__name__, said=e.message)
    return Outcome(answer.recorded)


async def _serve(folder: Path, answers: IO[bytes]) -> None:
    clock = _Clock()
    settings = NodeSettings(
        f"sqlite:{folder / 'log.db'}", folder, clock, secret_file=folder / "city.key"
    )
    node = await Node.open(settings)
    directory = DirectoryFollower(node, clock)
    port, receipts = GuardedPort(node, directory), Receipts(node, clock)
    desks = (Application(node, directory), Application(node, directory))  # two that can race
    loop = asyncio.get_running_loop()
    try:
        while True:
            try:
                batch: Batch = await loop.run_in_executor(None, receive, sys.stdin.buffer)
            except EOFError:
                return
            clock.now = batch.at
            await node.propose_many(batch.catalogue)
            if batch.catalogue:
                await node.settle()  # the catalogue is followed through the index
            await _facts(port, batch.facts)
            outcomes = await asyncio.gather(
                *(_handled(desks[n % 2], command) for n, command in enumerate(batch.commands))
            )
            if batch.look:
                await node.settle()
                receipts.follow()
                await receipts.tell()
            send(answers, list(outcomes))
    finally:
        await node.close()


def main() -> None:
    """The process's work: the folder is its only argument."""
    errors_alone = structlog.make_filtering_bound_logger(logging.ERROR)
    structlog.configure(wrapper_class=errors_alone)  # its lines go to stdout, which is ours here
    asyncio.run(_serve(Path(sys.argv[1]), sys.stdout.buffer))
