"""A disk that fills up in the middle of a case: a clear answer, and the same asking again later."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid5

import pytest
from given import ID, TAXONOMY, agent, officer
from log_world import T0, Ticks, opened, sqlite_settings, story
from small_disks import enlarge, small_disk

from core import case_commands as ask
from core.application import Application
from core.case_rules import CASES
from core.errors import KontaktcenterError, Unavailable
from core.eventlog.directory import DirectoryFollower
from core.eventlog.verify import rebuild, verify_shard
from core.personal import Personal
from core.taxonomy import read_taxonomy
from core.vocabulary import case_stream

if TYPE_CHECKING:
    from pathlib import Path

    from core.access import Asker
    from core.commit import Event
    from core.eventlog.node import Node

pytestmark = [pytest.mark.fault, pytest.mark.root]
ANNA, OLLE = agent("anna"), officer("TK")
LIFE: tuple[tuple[type[ask.CaseCommand], Asker, dict[str, Any]], ...] = (
    (ask.RegisterCase, ANNA, {}),
    (ask.CategoriseCase, ANNA, {"case_type": "TK-AVF-02"}),
    (ask.NoteCase, ANNA, {"text": "x" * 3_000}),
    (ask.HandOverCase, ANNA, {}),
    (ask.TakeCase, OLLE, {}),
    (ask.AnswerCase, OLLE, {"text": "y" * 3_000}),
    (ask.CloseCase, OLLE, {"outcome": "solved"}),
)


def command(n: int, step: int) -> ask.CaseCommand:
    kind, by, more = LIFE[step]
    stream = case_stream("TK", f"k{n}")
    clear = {name: Personal(text, stream) for name, text in more.items() if name == "text"}
    return kind(
        id=command_id(n, step), now=T0 + timedelta(minutes=n), actor=by.id, asker=by, agent=by.id,
        authority="TK", case=f"k{n}", **{**more, **clear},
    )  # fmt: skip


def command_id(n: int, step: int) -> UUID:
    return uuid5(ID, f"{n}/{step}")


async def lived(
    application: Application, told: dict[tuple[int, int], tuple[Event, ...]], first: int
) -> tuple[int, int, KontaktcenterError]:
    """Case after case until the node says no: where it was, and what it said."""
    for n in range(first, first + 10_000):
        for step in range(len(LIFE)):
            try:
                told[n, step] = (await application.handle(command(n, step))).recorded
            except KontaktcenterError as e:
                return n, step, e
    raise AssertionError("the disk did not fill up")


def kept(node: Node, told: dict[tuple[int, int], tuple[Event, ...]]) -> None:
    """What was told is there once, in order, and each case makes sense."""
    for n in {n for n, _step in told}:
        recorded = node.load(case_stream("TK", f"k{n}"))
        steps = sorted(step for m, step in told if m == n)
        expected = [type(event) for step in steps for event in told[n, step]]
        assert [type(one.event) for one in recorded][: len(expected)] == expected, n
        state = CASES.initial
        for one in recorded:
            state = CASES.evolve(state, one)
        assert state.contradictions == ()


@pytest.mark.parametrize("size", ["1M", "2M"])
@story
async def test_a_case_that_met_a_full_disk_goes_on_when_there_is_space(
    tmp_path: Path, size: str
) -> None:
    """The same ids are asked again: nothing acknowledged is lost, nothing stands there twice."""
    told: dict[tuple[int, int], tuple[Event, ...]] = {}
    with small_disk(tmp_path / "small", size) as small:
        log = f"sqlite:{small / 'log.db'}"
        settings = sqlite_settings(tmp_path / "data", log=log, clock=Ticks())
        async with opened(settings) as node:
            await node.propose_many(read_taxonomy(TAXONOMY.read_text(encoding="utf-8"), T0))
            await node.settle()
            application = Application(node, DirectoryFollower(node))
            n, step, error = await lived(application, told, 0)
            assert isinstance(error, Unavailable)
            assert "full" in str(error)
            assert n > 1
            with pytest.raises(Unavailable):  # as often as one asks
                await application.handle(command(n, step))
            kept(node, told)  # what is there can be read
            enlarge(small, "32M")
            for after in range(step, len(LIFE)):
                told[n, after] = (await application.handle(command(n, after))).recorded
                again = (await application.handle(command(n, after))).recorded
                assert again == told[n, after]
            assert all(told[n, after] for after in range(len(LIFE)))
            kept(node, told)
        async with opened(settings) as node:
            kept(node, told)
            assert (await verify_shard(node, "cases.TK/0")).ok
            digests = node.digests()
        assert await rebuild(settings) == digests
        await asyncio.sleep(0)
