"""The read log on the real log: nothing is shown before the look is in it; no fork, no hole."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from log_world import SECRET, Ticks, opened, sqlite_settings, story

from core.access import Asker, Purpose
from core.errors import Unavailable, Unknown
from core.eventlog.memory_log import MemoryStore
from core.eventlog.product import product_events
from core.eventlog.settings import NodeSettings
from core.limits import LOOKS_PER_COMMIT_MAX, LOOKS_WAITING_MAX
from core.looks import Look, Seen, verify
from core.read_log import ChainedReadLog

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from core.commit import Answer, Draft, KeptFact, Recorded
    from core.eventlog.node import Node

ANNA = Asker("anna")
ROOT = Path(__file__).parents[2]


class Wire:
    """A node's port that a test can cut: before the commit is sent, or before its answer."""

    def __init__(self, node: Node) -> None:
        self.node = node
        self.cut: str | None = None
        self.held: asyncio.Event | None = None
        self.drafts: list[Draft] = []
        self.sent = asyncio.Event()

    async def propose(self, draft: Draft) -> Answer:
        self.drafts.append(draft)
        self.sent.set()
        if self.held is not None:
            await self.held.wait()
        if self.cut == "before":
            raise Unavailable("cut", neighbour="log")
        answer = await self.node.propose(draft)
        if self.cut == "after":
            raise Unknown("cut", neighbour="log")
        return answer

    async def propose_many(self, drafts: Sequence[Draft]) -> Sequence[Answer]:
        return [await self.propose(draft) for draft in drafts]

    def load(self, stream: str, *, protected: bool = False) -> Sequence[Recorded]:
        return self.node.load(stream, protected=protected)

    def heads(self, streams: Iterable[str]) -> Mapping[str, int]:
        return self.node.heads(streams)

    def kept(self, stream: str) -> Sequence[KeptFact]:
        return self.node.kept(stream)

    def caller_ref(self, number: str) -> str:
        return self.node.caller_ref(number)


def log_of(node: Node, session: str = "1", chain: str = "a") -> tuple[ChainedReadLog, Wire]:
    wire = Wire(node)
    return ChainedReadLog(wire, product_events(node), Ticks(), chain, session), wire


def looks(node: Node, chain: str = "a") -> list[Look]:
    found: list[Any] = list(node.load(f"look/{chain}"))
    return [Look(r.stream, r.version, r.occurred_at, r.event) for r in found]


async def look(log: ChainedReadLog, *cases: str) -> None:
    await log.record(ANNA, "read_case", Purpose.CASEWORK, [Seen(case) for case in cases])


@pytest.mark.requirement("R52")
@story
async def test_a_look_is_in_the_log_when_the_data_may_be_shown(tmp_path: Path) -> None:
    async with opened(sqlite_settings(tmp_path)) as node:
        log, _wire = log_of(node)
        await log.record(ANNA, "read_case", Purpose.CASEWORK, [Seen("case/TK/1", "ref")])
        (made,) = looks(node)
        event = made.event
        assert (event.n, event.who, event.deed, event.purpose, event.case, event.person) == (
            1, "anna", "read_case", "casework", "case/TK/1", "ref",
        )  # fmt: skip
        assert verify([made]).faults == []


@story
async def test_looks_that_wait_go_into_one_commit_while_one_is_under_way(tmp_path: Path) -> None:
    async with opened(sqlite_settings(tmp_path)) as node:
        log, wire = log_of(node)
        wire.held = asyncio.Event()
        first = asyncio.ensure_future(look(log, "case/TK/0"))
        await wire.sent.wait()
        rest = [asyncio.ensure_future(look(log, f"case/TK/{n}")) for n in range(1, 100)]
        await asyncio.sleep(0)
        assert len(wire.drafts) == 1
        wire.held.set()
        await asyncio.gather(first, *rest)
        assert [len(draft.events) for draft in wire.drafts] == [1, 99]
        assert verify(looks(node)).faults == []
        assert [made.event.case for made in looks(node)] == [f"case/TK/{n}" for n in range(100)]


@story
async def test_more_looks_than_a_commit_takes_are_all_in_the_log(tmp_path: Path) -> None:
    async with opened(sqlite_settings(tmp_path)) as node:
        log, wire = log_of(node)
        await look(log, *(f"case/TK/{n}" for n in range(2 * LOOKS_PER_COMMIT_MAX + 1)))
        assert [len(draft.events) for draft in wire.drafts] == [250, 250, 1]
        assert len(looks(node)) == 501
        assert verify(looks(node)).faults == []


@story
async def test_whoever_comes_when_too_much_waits_is_told_and_sees_nothing(tmp_path: Path) -> None:
    async with opened(sqlite_settings(tmp_path)) as node:
        log, wire = log_of(node)
        wire.held = asyncio.Event()
        many = ["case/TK/1"] * (LOOKS_WAITING_MAX - 1)
        waiting = asyncio.ensure_future(look(log, *many))
        await asyncio.sleep(0)
        with pytest.raises(Unavailable):
            await look(log, *many)
        wire.held.set()
        await waiting


@pytest.mark.parametrize("cut", ["before", "after"])
def test_after_an_outcome_that_nobody_knows_the_chain_goes_on_where_the_log_ends(
    tmp_path: Path, cut: str
) -> None:
    @story
    async def run() -> None:
        async with opened(sqlite_settings(tmp_path)) as node:
            log, wire = log_of(node)
            await look(log, "case/TK/1")
            wire.cut = cut
            with pytest.raises(Unavailable) as told:
                await look(log, "case/TK/2")
            assert told.value.details["neighbour"] == "read_log"
            wire.cut = None
            await look(log, "case/TK/3")
            cases = [made.event.case for made in looks(node)]
            unknown = ["case/TK/2"] if cut == "after" else []
            assert cases == ["case/TK/1", *unknown, "case/TK/3"]
            assert verify(looks(node)).faults == []

    run()


@story
async def test_a_copy_that_comes_late_is_stale_and_takes_nobodys_place(tmp_path: Path) -> None:
    async with opened(sqlite_settings(tmp_path)) as node:
        log, wire = log_of(node)
        await look(log, "case/TK/1")
        wire.cut = "before"
        with pytest.raises(Unavailable):
            await look(log, "case/TK/2")
        wire.cut = None
        await look(log, "case/TK/3")
        late = wire.drafts[1]
        await node.propose(late)
        assert [made.event.case for made in looks(node)] == ["case/TK/1", "case/TK/3"]
        assert verify(looks(node)).faults == []


@story
async def test_two_processes_with_one_chain_neither_fork_it_nor_leave_a_hole(
    tmp_path: Path,
) -> None:
    async with opened(sqlite_settings(tmp_path)) as node:
        one, two = log_of(node, "1")[0], log_of(node, "2")[0]
        for n in range(20):
            await asyncio.gather(look(one, f"case/TK/1-{n}"), look(two, f"case/TK/2-{n}"))
        made = looks(node)
        assert len(made) == 40
        assert len({each.event.case for each in made}) == 40
        assert verify(made).faults == []


@story
async def test_two_nodes_on_one_log_with_one_chain_neither_fork_it_nor_leave_a_hole(
    tmp_path: Path,
) -> None:
    """A data folder that was copied has the chain's name too."""
    store = MemoryStore()

    def settings(name: str) -> NodeSettings:
        return NodeSettings("memory:", tmp_path / name, Ticks(), secret=SECRET, store=store)

    async with opened(settings("one")) as one, opened(settings("two")) as two:
        logs = [log_of(one, "1")[0], log_of(two, "2")[0]]
        for n in range(20):
            await asyncio.gather(*(look(log, f"case/TK/{k}-{n}") for k, log in enumerate(logs)))
        await asyncio.gather(look(logs[0], "case/TK/last"))
        made = looks(one)
        assert len({each.event.case for each in made}) == len(made) == 41
        assert verify(made).faults == []


@story
async def test_whoever_goes_away_while_waiting_stops_nobody_else(tmp_path: Path) -> None:
    async with opened(sqlite_settings(tmp_path)) as node:
        log, wire = log_of(node)
        wire.held = asyncio.Event()
        first = asyncio.ensure_future(look(log, "case/TK/0"))
        await wire.sent.wait()
        gone = asyncio.ensure_future(look(log, "case/TK/1"))
        stays = asyncio.ensure_future(look(log, "case/TK/2"))
        await asyncio.sleep(0)
        gone.cancel()
        wire.held.set()
        await asyncio.gather(first, stays)
        assert [made.event.case for made in looks(node)] == ["case/TK/0", "case/TK/2"]


@story
async def test_a_closed_read_log_has_recorded_what_waited_and_takes_no_more(
    tmp_path: Path,
) -> None:
    async with opened(sqlite_settings(tmp_path)) as node:
        log, _wire = log_of(node)
        waiting = asyncio.ensure_future(look(log, "case/TK/1"))
        await asyncio.sleep(0)
        await log.close()
        await waiting
        with pytest.raises(Unavailable):
            await look(log, "case/TK/2")
        assert len(looks(node)) == 1


_LOOKER = """
import asyncio, sys
from pathlib import Path
from log_world import opened, sqlite_settings
from core.access import Asker, Purpose
from core.eventlog.memory_log import MemoryStore
from core.eventlog.product import product_events
from core.looks import Seen
from core.read_log import ChainedReadLog
from log_world import Ticks

async def main(folder, session):
    async with opened(sqlite_settings(Path(folder))) as node:
        log = ChainedReadLog(node, product_events(node), Ticks(), "a", session)
        async def one(who):
            for n in range(100_000):
                await log.record(Asker(who), "read_case", Purpose.CASEWORK, [Seen(f"case/TK/{n}")])
                print(who, n, flush=True)
        await asyncio.gather(*(one(f"{session}-{k}") for k in range(4)))

asyncio.run(main(sys.argv[1], sys.argv[2]))
"""


@pytest.mark.fault
def test_the_chain_goes_on_after_kill_9_and_holds_every_look_that_was_shown(
    tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    rounds = 12 if request.config.getoption("--whole") else 3
    env = {**os.environ, "PYTHONPATH": f"{ROOT}:{ROOT / 'tests'}"}
    shown: set[tuple[str, str]] = set()
    for n in range(rounds):
        process = subprocess.Popen(
            [sys.executable, "-c", _LOOKER, str(tmp_path), f"s{n}"],
            stdout=subprocess.PIPE, env=env, text=True,
        )  # fmt: skip
        assert process.stdout is not None
        for _ in range(20 + 17 * n):
            who, number = process.stdout.readline().split()
            shown.add((who, f"case/TK/{number}"))
        process.send_signal(signal.SIGKILL)
        rest = process.stdout.read().splitlines()
        shown.update((w, f"case/TK/{c}") for w, c in (r.split() for r in rest if r.count(" ") == 1))
        process.wait()

    @story
    async def whole() -> None:
        async with opened(sqlite_settings(tmp_path)) as node:
            made = looks(node)
            assert verify(made).faults == []
            assert shown <= {(each.event.who, each.event.case or "") for each in made}
            assert json.dumps([each.event.n for each in made]) == json.dumps(
                [*range(1, len(made) + 1)]
            )

    whole()
