"""Nodes under load that a test kills: one process imports everything once and forks for each run.

Lines of JSON on stdin ask for a run or for the end of one; the answers go to stdout. A run opens a
node and has a few callers propose as fast as they can. Before each proposal its intent is in the
ledger, after the answer the verdict, each on disk before the next step: `I <id>`, then
`A <id> <position>`, `S <id> <position>` or `E <id> <error>`.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from log_world import decided, queued, sqlite_settings

from core.commit import Accepted, Draft, first_of, judged
from core.errors import KontaktcenterError
from core.eventlog.node import Node

CALLERS = 6


@dataclass(frozen=True)
class Run:
    """One run: where it works, what it may do, and the numbers that its ids begin with."""

    log: str
    data: str
    ledger: str
    seed: int
    commits: int = 1_000_000
    retry: tuple[int, ...] = ()
    wait_for_index: bool = True
    sync: bool = True


class Ledger:
    """Lines that are on disk when `write` returns."""

    def __init__(self, path: str, *, sync: bool = True) -> None:
        self._sync = sync
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)

    def write(self, line: str) -> None:
        os.write(self._file, f"{line}\n".encode())
        if self._sync:
            os.fdatasync(self._file)


def draft_of(n: int) -> Draft:
    """What the number `n` stands for: mostly facts about callers, now and then a decision."""
    if n % 5 == 0:
        return decided(n, f"call/x/{n % 40}.2", n % 3 + 1)
    return queued(n, stream=n % 1_000)


async def work(run: Run) -> None:
    settings = replace(sqlite_settings(Path(run.data)), log=f"sqlite:{run.log}")
    ledger = Ledger(run.ledger, sync=run.sync)
    ledger.write("O")
    node = await Node.open(settings, wait_for_index=run.wait_for_index)
    ledger.write("R")
    numbers = iter([*run.retry, *range(run.seed * 1_000_000, run.seed * 1_000_000 + run.commits)])

    async def caller(dice: random.Random) -> None:
        for n in numbers:
            ledger.write(f"I {n}")
            try:
                answer = await node.propose(draft_of(n))
            except KontaktcenterError as e:
                ledger.write(f"E {n} {type(e).__name__}")
                await asyncio.sleep(0.01)
                continue
            first = first_of(judged(answer))
            kind = "A" if isinstance(first, Accepted) else "S"
            ledger.write(f"{kind} {n} {first.position}")
            if dice.random() < 0.1:
                await asyncio.sleep(dice.random() / 200)

    await asyncio.gather(*(caller(random.Random(f"{run.seed}/{k}")) for k in range(CALLERS)))
    await node.close()
    ledger.write("C")


def serve() -> None:
    """Answer requests until stdin ends: `{"run": {}}` gives a pid, `{"wait": pid}` its status."""
    for line in sys.stdin:
        request: dict[str, Any] = json.loads(line)
        if "run" in request:
            pid = os.fork()
            if not pid:
                sys.stdin.close()
                asyncio.run(work(Run(**request["run"])))
                os._exit(0)
            print(pid, flush=True)
        else:
            _, status = os.waitpid(request["wait"], 0)
            print(os.waitstatus_to_exitcode(status), flush=True)


if __name__ == "__main__":
    serve()
