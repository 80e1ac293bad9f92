"""Importing a `queue_log` on a real node: the recording, again, in pieces, damaged, interrupted."""

from __future__ import annotations

import asyncio
import gzip
import itertools
import os
from collections import Counter
from random import Random
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from import_world import DIRECTORY, LOGS, facts_of, node_at, told
from project import ROOT
from queue_log_maker import faults, make, spoil
from queue_log_recount import recount

from core.calls import CallAbandoned, CallAnswered, CallQueued, CallRefused, CallTimedOut
from core.commit import Accepted, Answer, Draft, Fork
from core.errors import Invalid, Refused, Unavailable
from core.personal import Personal
from telephony.queue_log import ImportReport, import_files

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from core.eventlog.node import Node

pytestmark = pytest.mark.anyio
CRISIS = ROOT / "tests" / "data" / "crisis.queue_log"


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


async def load(node: Node, *paths: Path) -> ImportReport:
    return await import_files(node, paths, "huvud", DIRECTORY)


def write(folder: Path, name: str, data: bytes) -> Path:
    path = folder / name
    path.write_bytes(data)
    return path


@pytest.mark.parametrize("kind", LOGS)
async def test_the_recording_gives_the_figures_of_its_table_and_a_second_import_changes_nothing(
    tmp_path: Path, kind: str
) -> None:
    async with node_at(tmp_path / "node", kind) as node:
        report = await load(node, CRISIS)
        assert (
            report.lines, report.events, report.facts, report.already_known, report.calls,
        ) == (3105, 3105, 3105, 0, 1352)  # fmt: skip
        assert (report.malformed, report.forks, report.unfinished) == ([], [], [])
        counted: Counter[tuple[str, str]] = Counter()
        for _, event, _ in await told(node):
            counted[getattr(event, "queue", "") or "", event.TOPIC] += 1
        for queue, c in recount(CRISIS.read_bytes()).by_queue().items():
            assert c.entered == counted[queue, CallQueued.TOPIC]
            assert c.outcomes["answered"] == counted[queue, CallAnswered.TOPIC]
            assert c.outcomes["abandoned"] == counted[queue, CallAbandoned.TOPIC]
            assert c.outcomes["timed_out"] == counted[queue, CallTimedOut.TOPIC]
            assert counted[queue, CallRefused.TOPIC] == 0
        before = node.digests()
        report = await load(node, CRISIS)
        assert (
            report.lines, report.events, report.facts, report.already_known, report.calls,
        ) == (3105, 3105, 0, 3105, 1352)  # fmt: skip
        assert before == node.digests()


async def test_a_second_import_after_a_restart_of_the_node_changes_nothing(tmp_path: Path) -> None:
    path = write(tmp_path, "q", spoil(1, make(1)))
    async with node_at(tmp_path / "node", "sqlite") as node:
        first = await load(node, path)
        before = node.digests()
    async with node_at(tmp_path / "node", "sqlite") as node:
        report = await load(node, path)
        assert before == node.digests()
    assert (0, report.events) == (report.facts, report.already_known)
    assert first.malformed == report.malformed


@pytest.mark.parametrize("seed", range(4))
async def test_a_nasty_log_is_understood_row_by_row_as_the_recount_does(
    tmp_path: Path, seed: int
) -> None:
    data = spoil(seed, make(seed))
    counted = recount(data)
    path = write(tmp_path, "q", data)
    async with node_at(tmp_path / "node") as node:
        report = await load(node, path)
        assert counted.lines == report.lines
        assert counted.well_formed == report.events
        assert len(counted.rows) == report.facts
        assert counted.calls == report.calls
        assert counted.malformed == [(1, row.line) for row in report.malformed]
        assert [str(path)] == report.unfinished
        queued = [e for _, e, _ in await told(node) if isinstance(e, CallQueued)]
        for queue, c in counted.by_queue(excluded=["miljo"]).items():
            assert c.entered == sum(e.queue == queue for e in queued)
            refs = {e.caller_ref for e in queued if e.queue == queue and e.caller_ref}
            assert {node.caller_ref(number) for number in c.callers} == refs


@settings(max_examples=10)
@given(
    seed=st.integers(0, 10**6), cuts=st.lists(st.integers(0, 10**6), max_size=4), turn=st.randoms()
)
def test_a_log_cut_anywhere_and_imported_in_any_order_gives_the_same_facts(
    tmp_path_factory: pytest.TempPathFactory, seed: int, cuts: list[int], turn: Random
) -> None:
    data = make(seed, calls=40)
    lines = data.splitlines(keepends=True)
    places = sorted({0, len(lines), *(c % len(lines) for c in cuts)})
    pieces = [b"".join(lines[a:b]) for a, b in itertools.pairwise(places)]
    folder = tmp_path_factory.mktemp("cut")
    paths = [write(folder, f"q.{n}", piece) for n, piece in enumerate(pieces)]
    turn.shuffle(paths)

    async def run() -> None:
        async with node_at(folder / "one") as one, node_at(folder / "many") as many:
            await load(one, write(folder, "q", data))
            for path in paths:
                await load(many, path)
            assert await facts_of(one) == await facts_of(many)
            report = await load(many, folder / "q")
            assert report.facts == 0

    asyncio.run(run())


@pytest.mark.requirement("R48", "R60")
async def test_several_exchanges_logs_never_meet_though_their_ids_are_the_same(
    tmp_path: Path,
) -> None:
    async with node_at(tmp_path / "node") as node:
        for exchange in ("tnh", "stadsdelar", "extern"):
            report = await import_files(node, [CRISIS], exchange, DIRECTORY)
            assert (report.facts, report.calls) == (3105, 1352)
        assert sum((await facts_of(node)).values()) == 3 * 3105


async def test_rows_that_overlap_after_rotation_count_once(tmp_path: Path) -> None:
    lines = list(dict.fromkeys(make(5, calls=80).splitlines(keepends=True)))
    half = len(lines) // 2
    old, new = b"".join(lines[: half + 40]), b"".join(lines[half - 40 :])
    both = [write(tmp_path, "q.1", old), write(tmp_path, "q", new)]
    async with (
        node_at(tmp_path / "a") as one,
        node_at(tmp_path / "b") as two,
        node_at(tmp_path / "c") as three,
    ):
        report = await load(one, *both)
        assert (len(lines), 80) == (report.facts, report.already_known)
        await load(two, both[0])
        report = await load(two, both[1])
        assert (80, len(lines) - half - 40) == (report.already_known, report.facts)
        await load(three, write(tmp_path, "whole", b"".join(lines)))
        assert await facts_of(one) == await facts_of(three)
        assert await facts_of(two) == await facts_of(three)


async def test_a_last_row_without_its_end_is_read_when_it_has_one(tmp_path: Path) -> None:
    lines = list(dict.fromkeys(make(6, calls=10).splitlines(keepends=True)))
    path = write(tmp_path, "q", b"".join(lines)[:-9])
    async with node_at(tmp_path / "node") as node:
        report = await load(node, path)
        assert (len(lines) - 1, [str(path)], []) == (
            report.facts,
            report.unfinished,
            report.malformed,
        )
        path.write_bytes(b"".join(lines))
        report = await load(node, path)
        assert (report.facts, report.unfinished) == (1, [])


async def test_the_report_has_exactly_the_keys_that_other_programs_read(tmp_path: Path) -> None:
    good, bad = b"1795321177|1.1|bygg|NONE|FULL|\n", b"1795321177|1.1|bygg|NONE|ABANDON|1\n"
    path = write(tmp_path, "q", good + bad + good)
    async with node_at(tmp_path / "node") as node:
        report = await load(node, path)
    assert {
        "lines": 3,
        "events": 2,
        "facts": 1,
        "already_known": 1,
        "malformed": [
            {"file": str(path), "line": 2, "reason": "parameters: 1, ABANDON has at least 3"}
        ],
        "calls": 1,
    } == report.as_json()


async def test_a_caller_is_sealed_in_the_log_and_readable_through_the_port(tmp_path: Path) -> None:
    async with node_at(tmp_path / "node", "sqlite") as node:
        await load(node, write(tmp_path, "q", make(2, calls=60)))
        numbers = {
            r.number for r in recount(make(2, calls=60)).entries if r.number and r.queue != "miljo"
        }
        opened = {
            recorded.event.caller.value
            for stream in {s for s, _, _ in await told(node) if s.startswith("call/")}
            for recorded in node.load(stream)
            if isinstance(recorded.event, CallQueued)
            and isinstance(recorded.event.caller, Personal)
        }
        assert numbers == opened
    for file in (tmp_path / "node").rglob("*"):
        if file.is_file():
            raw = file.read_bytes()
            assert not [n for n in numbers if n.encode() in raw], file
            assert b"Efternamn" not in raw
            assert b"0700000003" not in raw, "a transfer's number"


@pytest.mark.parametrize("compressed", [False, True])
async def test_progress_ends_at_all_lines_and_all_bytes(tmp_path: Path, compressed: bool) -> None:
    data = CRISIS.read_bytes()
    path = write(
        tmp_path, "q.gz" if compressed else "q", gzip.compress(data) if compressed else data
    )
    told_of: list[tuple[int, int, int]] = []
    async with node_at(tmp_path / "node") as node:
        await import_files(
            node, [path, path], "huvud", DIRECTORY, progress=lambda *done: told_of.append(done)
        )
    size = path.stat().st_size
    assert (6210, 2 * size, 2 * size) == told_of[-1]
    assert sorted(told_of) == told_of


async def test_a_compressed_file_cut_short_gives_what_came_before_and_says_so(
    tmp_path: Path,
) -> None:
    data = gzip.compress(CRISIS.read_bytes())
    async with node_at(tmp_path / "node") as node:
        report = await load(node, write(tmp_path, "q.gz", data[: len(data) // 2]))
        assert report.facts > 500
        assert [row.reason for row in report.malformed] == ["the gzip file is damaged or cut here"]
        assert report.lines == report.facts + 1 == report.malformed[0].line
        await load(node, CRISIS)
        assert sum((await facts_of(node)).values()) == 3105


async def test_a_path_that_cannot_be_read_is_refused_before_anything_is_recorded(
    tmp_path: Path,
) -> None:
    unreadable = tmp_path / "pipe"
    os.mkfifo(unreadable)
    async with node_at(tmp_path / "node") as node:
        before = node.digests()
        for path, says in (
            (tmp_path / "away", "no such file"),
            (tmp_path, "is a folder"),
            (unreadable, "is not a file"),
        ):
            with pytest.raises(Refused, match=says):
                await load(node, CRISIS, path)
        with pytest.raises(Invalid, match="exchange's name"):
            await import_files(node, [CRISIS], "a/b", DIRECTORY)
        assert before == node.digests()


async def test_lines_beyond_any_bound_are_reported_and_the_rest_goes_on(tmp_path: Path) -> None:
    good = CRISIS.read_bytes().splitlines(keepends=True)
    data = (
        b"".join(good[:10])
        + b"x" * 3_000_000
        + b"\n"
        + b"\x00" * 700_000
        + b"\n"
        + b"".join(good[10:])
    )
    async with node_at(tmp_path / "node") as node:
        report = await load(node, write(tmp_path, "q", data))
    assert (report.facts, [row.line for row in report.malformed]) == (3105, [11, 12])


async def test_every_fault_is_reported_with_its_line(tmp_path: Path) -> None:
    rows = faults(Random(1))
    async with node_at(tmp_path / "node") as node:
        report = await load(node, write(tmp_path, "q", b"\n".join(rows) + b"\n"))
        assert [*range(1, len(rows) + 1)] == [row.line for row in report.malformed]
        assert sum((await facts_of(node)).values()) == 0


class Interrupted(Exception):
    pass


class Failing:
    """A port of a node that breaks off after so many batches, at first or for ever."""

    def __init__(self, node: Node, after: int, error: Exception) -> None:
        self.node, self.after, self.error = node, after, error
        self.load, self.heads, self.caller_ref = node.load, node.heads, node.caller_ref
        self.kept = node.kept

    async def propose(self, draft: Draft) -> Answer:
        return (await self.propose_many([draft]))[0]

    async def propose_many(self, drafts: Sequence[Draft]) -> Sequence[Answer]:
        self.after -= 1
        if self.after == 0:
            await self.node.propose_many(drafts[: len(drafts) // 2])
            raise self.error
        return await self.node.propose_many(drafts)


async def test_an_import_that_forgets_what_it_has_seen_finds_it_in_the_log(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("telephony.importer.IMPORT_ROWS_MAX", 900)
    async with node_at(tmp_path / "node") as node:
        report = await load(node, CRISIS, CRISIS)
    assert (report.facts, report.already_known, report.calls) == (3105, 3105, 1352)


@pytest.mark.fault
async def test_an_import_broken_off_anywhere_and_run_again_gives_the_same_log(
    tmp_path: Path,
) -> None:
    async with node_at(tmp_path / "whole") as node:
        await load(node, CRISIS)
        expected = node.digests()["calls/0"][0], await facts_of(node)
    for after in (1, 2, 3, 4):
        async with node_at(tmp_path / f"cut{after}", "sqlite") as node:
            with pytest.raises(Interrupted):
                await import_files(
                    Failing(node, after, Interrupted()), [CRISIS], "huvud", DIRECTORY
                )
        async with node_at(tmp_path / f"cut{after}", "sqlite") as node:
            await load(node, CRISIS)
            assert expected == (node.digests()["calls/0"][0], await facts_of(node))


async def test_a_node_that_asks_for_patience_is_asked_again_with_the_same_ids(
    tmp_path: Path,
) -> None:
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    async with node_at(tmp_path / "node") as node:
        port = Failing(node, 2, Unavailable("later", neighbour="log", retry_after_s=7))
        report = await import_files(port, [CRISIS], "huvud", DIRECTORY, sleep=sleep)
        assert slept == [7.0]
        assert report.facts + report.already_known == 3105
        assert sum((await facts_of(node)).values()) == 3105


async def test_two_imports_at_once_record_every_row_once(tmp_path: Path) -> None:
    data = make(9, calls=200)
    lines = data.splitlines(keepends=True)
    third = len(lines) // 3
    paths = [
        write(tmp_path, "q", data),
        write(tmp_path, "head", b"".join(lines[: 2 * third])),
        write(tmp_path, "tail", b"".join(lines[third:])),
    ]
    async with node_at(tmp_path / "one") as one, node_at(tmp_path / "all", "sqlite") as many:
        await load(one, paths[0])
        reports = await asyncio.gather(*(load(many, path) for path in paths))
        assert await facts_of(one) == await facts_of(many)
        assert len(recount(data).rows) == sum(r.facts for r in reports)


async def test_an_id_that_somebody_used_for_something_else_is_counted_as_a_fork(
    tmp_path: Path,
) -> None:
    class Forking(Failing):
        async def propose_many(self, drafts: Sequence[Draft]) -> Sequence[Answer]:
            return [Answer(Fork(Accepted(1, range(1, 2))), "calls/0") for _ in drafts]

    row = b"1795321177|1.1|bygg|NONE|FULL|\n"
    async with node_at(tmp_path / "node") as node:
        port = Forking(node, 0, Interrupted())
        report = await import_files(port, [write(tmp_path, "q", row)], "huvud", DIRECTORY)
    assert (report.events, report.facts, report.already_known) == (1, 0, 0)
    assert [fork.line for fork in report.forks] == [1]
