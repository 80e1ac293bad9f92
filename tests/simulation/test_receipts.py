"""Silence is told once: by many nodes, after restarts, and however long the receiver is down."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta
from itertools import count
from typing import TYPE_CHECKING, Any
from uuid import uuid5

import pytest
from given import ID, TAXONOMY, agent, officer
from log_world import T0, At, commit, opened, sqlite_settings, story
from structlog.testing import capture_logs

from core import case_commands as ask
from core.application import Application
from core.case_rules import CASES
from core.cases import ComplaintSilent, HandoverSilent
from core.errors import KontaktcenterError
from core.eventlog.directory import DirectoryFollower
from core.personal import Personal
from core.taxonomy import read_taxonomy
from core.vocabulary import case_stream
from kontaktcenter import processes
from kontaktcenter.processes import Receipts
from webdesk.metrics import Metrics

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime
    from pathlib import Path

    from core.access import Asker
    from core.commit import Event
    from core.eventlog.node import Node

_NUMBER = count()
STREAM = case_stream("TK", "k1")
MINUTE = timedelta(minutes=1)
ANNA = agent("anna", "tnh_trafik")


class Clock:
    """A clock that stands until it is moved."""

    def __init__(self) -> None:
        self.now = T0

    def __call__(self) -> datetime:
        return self.now


class Centre:
    """A node with the city's catalogue, and people who do things at its clock."""

    def __init__(self, node: Node, clock: Clock) -> None:
        self.node, self.clock = node, clock
        self.application = Application(node, DirectoryFollower(node, clock))

    async def begin(self) -> None:
        drafts = read_taxonomy(TAXONOMY.read_text(encoding="utf-8"), T0)
        await self.node.propose_many(drafts)
        await self.node.settle()

    async def does(
        self, kind: type[ask.CaseCommand], by: Asker = ANNA, case: str = "k1", **more: Any
    ) -> tuple[Event, ...]:
        command = kind(
            id=uuid5(ID, f"{next(_NUMBER)}"), now=self.clock.now, actor=by.id, asker=by,
            agent=by.id, authority="TK", case=case, **more,
        )  # fmt: skip
        return (await self.application.handle(command)).recorded

    async def hands_over(self, case: str = "k1") -> str:
        """A safety matter, to the round-the-clock centre; the hand-over's id."""
        await self.does(ask.RegisterCase, case=case)
        await self.does(ask.CategoriseCase, case=case, case_type="TK-DRC-09")
        (told,) = await self.does(ask.HandOverCase, case=case, safety=True)
        return str(getattr(told, "handover"))  # noqa: B009 -- it is one event of thirty

    async def complains(self) -> str:
        await self.does(ask.RegisterCase)
        await self.does(ask.CategoriseCase, case_type="TK-AVF-01", complaint=True)
        (told,) = await self.does(ask.SendComplaint)
        return str(getattr(told, "delivery"))  # noqa: B009

    def events(self, stream: str = STREAM) -> list[Event]:
        return [recorded.event for recorded in self.node.load(stream)]

    def silences(self, stream: str = STREAM) -> list[Event]:
        return [e for e in self.events(stream) if isinstance(e, HandoverSilent | ComplaintSilent)]


async def looked(receipts: Receipts) -> int:
    await receipts.node.settle()
    await asyncio.to_thread(receipts.follow)
    return await receipts.tell()


async def until(found: Callable[[], object]) -> None:
    while not found():  # noqa: ASYNC110 -- what it waits for is in another task's hands
        await asyncio.sleep(0.05)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.mark.requirement("R6")
@story
async def test_sixty_seconds_of_silence_from_the_safety_centre_is_an_alarm(
    tmp_path: Path, clock: Clock
) -> None:
    async with opened(sqlite_settings(tmp_path, clock=clock)) as node:
        centre, receipts = Centre(node, clock), Receipts(node, clock)
        await centre.begin()
        handover = await centre.hands_over()
        clock.now += timedelta(seconds=59)
        assert await looked(receipts) == 0
        clock.now += timedelta(seconds=1)
        assert await looked(receipts) == 1
        due_at = T0 + MINUTE
        assert centre.silences() == [HandoverSilent(handover, due_at)]
        (recorded,) = [r for r in node.load(STREAM) if isinstance(r.event, HandoverSilent)]
        assert recorded.occurred_at == due_at
        state = CASES.initial
        for one in node.load(STREAM):
            state = CASES.evolve(state, one)
        assert state.contradictions == ()


@pytest.mark.requirement("R36")
@story
async def test_a_complaint_without_a_receipt_is_an_alarm_and_is_followed_until_it_has_one(
    tmp_path: Path, clock: Clock
) -> None:
    async with opened(sqlite_settings(tmp_path, clock=clock)) as node:
        centre, receipts = Centre(node, clock), Receipts(node, clock)
        await centre.begin()
        delivery = await centre.complains()
        assert await looked(receipts) == 0
        clock.now += timedelta(hours=24)
        assert await looked(receipts) == 1
        assert centre.silences() == [ComplaintSilent(delivery, T0 + timedelta(hours=24))]
        await looked(receipts)
        assert (receipts.waiting, receipts.silent) == (1, 1)
        await centre.does(
            ask.NoteComplaintReceipt, officer("TK"), delivery=delivery, reference="SK-1"
        )
        assert await looked(receipts) == 0
        assert (receipts.waiting, receipts.silent) == (0, 0)


@story
async def test_a_receipt_in_time_leaves_nothing_to_tell(tmp_path: Path, clock: Clock) -> None:
    async with opened(sqlite_settings(tmp_path, clock=clock)) as node:
        centre, receipts = Centre(node, clock), Receipts(node, clock)
        await centre.begin()
        handover = await centre.hands_over()
        clock.now += timedelta(seconds=30)
        await centre.does(
            ask.NoteReceipt, officer("SAM", "sam"), handover=handover, receipt="received"
        )
        clock.now += timedelta(days=2)
        assert await looked(receipts) == 0
        assert centre.silences() == []
        assert receipts.waiting == 0


@story
async def test_many_nodes_and_restarts_make_one_alarm_of_a_day_of_silence(
    tmp_path: Path, clock: Clock
) -> None:
    """The hand-over stays listed until its receipt, and nothing multiplies meanwhile."""
    async with opened(sqlite_settings(tmp_path, clock=clock)) as node:
        centre = Centre(node, clock)
        await centre.begin()
        handover = await centre.hands_over()
        clock.now += 2 * MINUTE
        several = [Receipts(node, clock) for _ in range(5)]
        await node.settle()
        for one in several:
            await asyncio.to_thread(one.follow)
        assert sorted(await asyncio.gather(*(one.tell() for one in several))) == [0, 0, 0, 0, 1]
        assert len(centre.silences()) == 1
    for hours in range(4):
        clock.now += timedelta(hours=6)
        async with opened(sqlite_settings(tmp_path, clock=clock)) as node:
            centre, receipts = Centre(node, clock), Receipts(node, clock)
            assert await looked(receipts) == 0, hours
            assert (receipts.waiting, receipts.silent) == (1, 1)
            assert len(centre.silences()) == 1
            await centre.does(ask.HandOverCase, safety=True)  # sent again: it is on its way already
            assert await looked(receipts) == 0
    async with opened(sqlite_settings(tmp_path, clock=clock)) as node:
        centre, receipts = Centre(node, clock), Receipts(node, clock)
        await centre.does(
            ask.NoteReceipt, officer("SAM", "sam"), handover=handover, receipt="accepted"
        )
        assert await looked(receipts) == 0
        assert (receipts.waiting, receipts.silent) == (0, 0)
        assert len(centre.silences()) == 1


@story
async def test_the_running_task_wakes_when_something_is_due_and_ends_when_told(
    tmp_path: Path, clock: Clock
) -> None:
    async with opened(sqlite_settings(tmp_path, clock=clock)) as node:
        centre, receipts = Centre(node, clock), Receipts(node, clock)
        await centre.begin()
        task = asyncio.create_task(receipts.run())
        await centre.hands_over("early")
        clock.now += 2 * MINUTE
        with capture_logs() as told:
            await centre.hands_over()  # a change wakes it, and what is due is told
            await until(lambda: centre.silences(case_stream("TK", "early")))
        clock.now += 2 * MINUTE
        await centre.does(ask.NoteCase, text=Personal("nej", STREAM))
        await until(centre.silences)
        task.cancel()
        assert isinstance((await asyncio.gather(task, return_exceptions=True))[0], BaseException)
        assert {entry["event"] for entry in told} <= {"receipts.missing"}
        assert all(set(entry) <= {"event", "log_level", "authority", "count"} for entry in told)


@story
async def test_a_log_that_cannot_be_written_is_asked_again(tmp_path: Path, clock: Clock) -> None:
    settings = replace(sqlite_settings(tmp_path), clock=clock)
    async with opened(settings) as node:
        centre, receipts = Centre(node, clock), Receipts(node, clock)
        await centre.begin()
        await centre.hands_over()
        clock.now += 2 * MINUTE
        await node.settle()
        await asyncio.to_thread(receipts.follow)
    with pytest.raises(KontaktcenterError):  # the node is closed
        await receipts.tell()
    async with opened(settings) as node:
        receipts = Receipts(node, clock)
        assert await looked(receipts) == 1
        assert len(Centre(node, clock).silences()) == 1


@story
async def test_a_monitor_is_told_how_many_and_never_of_whom(tmp_path: Path, clock: Clock) -> None:
    async with opened(sqlite_settings(tmp_path, clock=clock)) as node:
        centre, receipts = Centre(node, clock), Receipts(node, clock)
        await centre.begin()
        await centre.hands_over("early")
        clock.now += 2 * MINUTE
        await centre.hands_over()
        await looked(receipts)
        await looked(receipts)
        text = Metrics().exposition(None, lag=0, parked=0, clients=0, receipts=receipts).decode()
        told = [line for line in text.splitlines() if line.startswith("receipts_")]
        assert told == ["receipts_waiting 2.0", "receipts_overdue 1.0"]


@story
async def test_a_case_that_cannot_be_read_silences_no_other_alarm(
    tmp_path: Path, clock: Clock
) -> None:
    async with opened(sqlite_settings(tmp_path, clock=clock)) as node:
        centre, receipts = Centre(node, clock), Receipts(node, clock)
        await centre.begin()
        await centre.hands_over("odd")
        await centre.hands_over()
        odd = commit("a later program's", At(case_stream("TK", "odd")))
        await node.propose_commit("cases.TK", odd)
        clock.now += 2 * MINUTE
        with capture_logs() as told:
            assert await looked(receipts) == 1
        assert len(centre.silences()) == 1
        assert {"event": "receipts.unreadable", "why": "Corrupt", "log_level": "error"} in told


@story
async def test_the_task_goes_on_after_whatever_went_wrong(
    tmp_path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(processes, "_AGAIN_S", 0.01)
    wrong = iter([OSError("the disk"), RuntimeError("a mistake of ours")])

    class Unlucky(Receipts):
        def follow(self) -> None:
            error = next(wrong, None)
            if error is not None:
                raise error
            super().follow()

    async with opened(sqlite_settings(tmp_path, clock=clock)) as node:
        centre, receipts = Centre(node, clock), Unlucky(node, clock)
        await centre.begin()
        await centre.hands_over()
        clock.now += 2 * MINUTE
        with capture_logs() as told:
            task = asyncio.create_task(receipts.run())
            await until(centre.silences)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        delayed = [entry["why"] for entry in told if entry["event"] == "receipts.delayed"]
        assert delayed == ["OSError", "RuntimeError"]
