"""Nodes on Kafka under load that a test kills, pauses and cuts off: forked from one process.

As `fault_zygote`, with a node on Kafka. Before each proposal its intent is in the node's ledger,
after it the answer (`kafka_ledger`). What the node has come to stands in its marks: `open`,
`working`, then after the file `stop` was made `quiet`, and after the file `end` its digests.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import signal
import sys
import time
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kafka_ledger import Ledger
from log_world import SECRET, T0, Ticks, decided, queued

from core.calls import CallQueued
from core.errors import KontaktcenterError, Refused, Unavailable, Unknown
from core.eventlog.index import index as index_room
from core.eventlog.index import sql as index_sql
from core.eventlog.kafka_log import KafkaSettings, parse_address, parse_void
from core.eventlog.kafka_log.shard_log import KafkaLog
from core.eventlog.node import Node, NodeSettings
from core.eventlog.state import ShardState
from kontaktcenter import event_loop

if TYPE_CHECKING:
    from collections.abc import Callable

    from core.commit import Draft

SHARED_STREAMS = 7
CALLERS_KNOWN = 20
WAITS_S, ASKED_MAX = 1.0, 100
LARGE, TOO_LARGE = 3, 4  # numbers of facts of just under and over 1 MiB
"""The moments at which a node may kill itself: before and after an append, in the index."""
KILL_POINTS = ("before an append", "after an append", "before judging", "in the index")


@dataclass(frozen=True)
class Run:
    """One run of a node: its log and folders, and the numbers that its ids begin with.

    `first` is where the numbers begin; two runs with the same ask for the same things. `kill_at` is
    one of `KILL_POINTS`, the `kill_nth` time that it is passed; `clock_h` how wrong the clock is.
    """

    log: str
    data: str
    ledger: str
    first: int
    retry: tuple[int, ...] = ()
    callers: int = 4
    commits: int = 1_000_000
    pace_s: float = 0.01
    kill_at: str = ""
    kill_nth: int = 5
    clock_h: float = 0.0
    create: str = "unsafe"
    void: str = ""  # as `kafka_void`
    other: bool = False  # with the same ids it asks for something else: forks


def settings_of(run: Run) -> NodeSettings:
    """The node's settings."""
    create: Any = run.create
    void = parse_void(run.void) if run.void else frozenset()
    kafka = KafkaSettings(parse_address(run.log), create=create, void=void)
    return NodeSettings(
        run.log, Path(run.data), Ticks(T0 + timedelta(hours=run.clock_h)), secret=SECRET,
        kafka=kafka, name=Path(run.data).name,
    )  # fmt: skip


def draft_of(n: int, node: Node | None = None) -> Draft:
    """What the number stands for: mostly facts, every fifth a decision about what many decide."""
    if n in {LARGE, TOO_LARGE}:
        fact = queued(n)
        event = CallQueued("x" * (1_040_000 if n == LARGE else 1_060_000), "tnh_avfall")
        return replace(fact, events=(replace(fact.events[0], event=event),))
    if n % 5 == 0:
        stream = f"call/x/{n // 5 % SHARED_STREAMS}.9"
        head = node.heads([stream]).get(stream, 0) if node is not None else 0
        return decided(n, stream, head + 1)
    return queued(n, stream=n % 1_000, number=f"0700000{n % CALLERS_KNOWN:03d}")


class Marks:
    """What a node tells its test, a line each."""

    def __init__(self, ledger: str) -> None:
        self._file = os.open(f"{ledger}.marks", os.O_WRONLY | os.O_CREAT | os.O_APPEND)

    def tell(self, mark: str, **more: Any) -> None:
        """One line, at once."""
        os.write(
            self._file,
            json.dumps({"mark": mark, "at": round(time.time(), 2), **more}).encode() + b"\n",
        )


async def work(run: Run) -> None:
    """Open a node, propose, and end when told."""
    marks, ledger = Marks(run.ledger), Ledger(Path(run.ledger))
    _prepare(run)
    node = await Node.open(settings_of(run), may_wait=True)
    marks.tell("open", away=str(node.away or ""))
    numbers = iter([*run.retry, *range(run.first, run.first + run.commits)])
    stop = Path(run.ledger).with_name("stop")

    asked: set[asyncio.Task[None]] = set()

    async def caller(dice: random.Random) -> None:
        for n in numbers:
            if stop.exists():
                return
            task = asyncio.ensure_future(ask(node, ledger, marks, n, stop, other=run.other))
            asked.add(task)
            task.add_done_callback(asked.discard)
            # A decision that has to wait is asked for again beside what comes next.
            await asyncio.wait({task}, timeout=WAITS_S if len(asked) < ASKED_MAX else None)
            if n % 50 == 0:
                marks.tell("working")
            await asyncio.sleep(run.pace_s * 2 * dice.random())

    await asyncio.gather(*(caller(random.Random(f"{run.first}/{k}")) for k in range(run.callers)))
    await asyncio.gather(*asked)
    await _has_returned(node)
    marks.tell("quiet")
    while not Path(run.ledger).with_name("end").exists():  # noqa: ASYNC110 -- a file
        await asyncio.sleep(0.02)
    await _read_all(node, marks)
    counts = {name: node.shard(name).state.counts for name in node.shards()}
    marks.tell("ended", digests=node.digests(), counts=counts)
    await node.close()
    marks.tell("closed")


async def ask(node: Node, ledger: Ledger, marks: Marks, n: int, stop: Path, *, other: bool) -> None:
    """Ask for number `n` until there is an answer; what is not known yet is asked again."""
    while True:
        draft = draft_of(n, node)
        draft = replace(draft, asking=f"{draft.asking}, or not") if other else draft
        ledger.intend(draft.id, n=n)
        try:
            ledger.tell_answer(draft.id, await node.propose(draft))
        except (Unknown, Unavailable) as e:
            # It is asked again, so what was answered is no last word.
            ledger.told(draft.id, "unknown", n=n, why=str(e)[:200])
            if stop.exists():  # noqa: ASYNC240 -- a look at a folder in memory
                return
            await asyncio.sleep(0.2)
        except Refused as e:
            ledger.told(draft.id, "refused", n=n, why=str(e)[:200])
            return
        except KontaktcenterError as e:
            ledger.told(draft.id, "unknown", n=n, why=f"{type(e).__name__} {e}"[:300])
            marks.tell("stopped", why=str(e))
            await asyncio.sleep(600)  # until the test ends the process
        else:
            return


async def _has_returned(node: Node) -> None:
    """Nothing is kept in the journal any more."""
    while node.island is not None and (  # noqa: ASYNC110 -- from outside
        node.island.kept or any(lane.closed for lane in node.island.lanes.values())
    ):
        await asyncio.sleep(0.02)


async def _read_all(node: Node, marks: Marks) -> None:
    """The node has judged and indexed to the log's end; what it waits for is told now and then."""
    for name in node.shards():
        shard, looks = node.shard(name), 0
        while shard.stopped is None:
            try:
                end = await shard.log.end()
            except Unavailable as e:
                marks.tell("away", shard=name, why=str(e))
                await asyncio.sleep(0.2)
                continue
            if shard.state.next_offset >= end:
                break
            looks += 1
            if looks % 100 == 0:
                marks.tell("behind", shard=name, at=shard.state.next_offset, end=end)
            await asyncio.sleep(0.02)
    marks.tell("read")
    await node.settle()


def _prepare(run: Run) -> None:
    """Make the node kill itself where the run says so; wrapped from outside."""
    left = [run.kill_nth]

    def passed() -> None:
        left[0] -= 1
        if left[0] == 0:
            os.kill(os.getpid(), signal.SIGKILL)

    append, judge_commits, insert = (
        KafkaLog.append,
        ShardState.judge_commits,
        index_sql.insert_rows,
    )

    async def before(log: KafkaLog, body: bytes) -> int:
        passed()
        return await append(log, body)

    async def after(log: KafkaLog, body: bytes) -> int:
        offset = await append(log, body)
        passed()
        return offset

    def judging(state: ShardState, *args: Any) -> Any:
        passed()
        return judge_commits(state, *args)

    def inserting(*args: Any) -> None:
        insert(*args)
        passed()

    wrapped: dict[str, Callable[[], None]] = {
        "before an append": lambda: setattr(KafkaLog, "append", before),
        "after an append": lambda: setattr(KafkaLog, "append", after),
        "before judging": lambda: setattr(ShardState, "judge_commits", judging),
        "in the index": lambda: setattr(index_room, "insert_rows", inserting),
    }
    if run.kill_at:
        wrapped[run.kill_at]()


def serve() -> None:
    """Answer requests until stdin ends: `{"run": {}}` gives a pid, `{"wait": pid}` its status."""
    for line in sys.stdin:
        request: dict[str, Any] = json.loads(line)
        if "run" in request:
            pid = os.fork()
            if not pid:
                sys.stdin.close()
                os.dup2(2, 1)  # what a node logs is no answer to the test
                run = Run(**request["run"])
                try:
                    event_loop.run(work(replace(run, retry=tuple(run.retry))), run.log)
                except BaseException as e:
                    Marks(run.ledger).tell("failed", why=f"{type(e).__name__}: {e}")
                    raise
                os._exit(0)
            print(pid, flush=True)
        else:
            _, status = os.waitpid(request["wait"], 0)
            print(os.waitstatus_to_exitcode(status), flush=True)


if __name__ == "__main__":
    serve()
