"""The catalogue changes while cases are under way, and an approval comes after its effect date."""

from __future__ import annotations

import copy
import shutil
from datetime import timedelta
from itertools import count
from typing import TYPE_CHECKING, Any
from uuid import uuid5

import pytest
from given import ID, TAXONOMY, agent, city, officer
from log_world import T0, opened, sqlite_settings, story

from core import case_commands as ask
from core.access import Asker, Grant, Role
from core.application import Application
from core.cases import CaseAnswered, CaseCategorised
from core.changes import ApproveChange, ProposeChange
from core.eventlog.directory import DirectoryFollower
from core.personal import Personal
from core.taxonomy import read_taxonomy
from core.vocabulary import case_stream

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime
    from pathlib import Path

    from core.commands import Command
    from core.commit import Event
    from core.eventlog.node import Node

pytestmark = pytest.mark.fault
TYPE = "TK-PAR-01"
HOUR = timedelta(hours=1)
_NUMBER = count()
ANNA = agent("anna", "tnh_parkering")
WRITER = Asker("writer", (Grant(Role.COMMUNICATOR),))
CHIEF = officer("TK", "chief", approves=True)


class Clock:
    """A clock that stands until it is moved."""

    def __init__(self) -> None:
        self.now = T0

    def __call__(self) -> datetime:
        return self.now


class Centre:
    """Somebody who answers, and those who change what may be answered."""

    def __init__(self, node: Node, clock: Clock) -> None:
        self.node, self.clock = node, clock
        self.directory = DirectoryFollower(node, clock)
        self.application = Application(node, self.directory)

    async def begin(self) -> None:
        await self.node.propose_many(read_taxonomy(TAXONOMY.read_text(encoding="utf-8"), T0))
        await self.node.settle()

    async def _handle(self, command: Command) -> Sequence[Event]:
        told = (await self.application.handle(command)).recorded
        await self.node.settle()
        return told

    async def does(self, kind: type[ask.CaseCommand], case: str, **more: Any) -> Sequence[Event]:
        name = f"{case}/{next(_NUMBER)}"
        return await self._handle(
            kind(
                id=uuid5(ID, name), now=self.clock.now, actor="anna", asker=ANNA, agent="anna",
                authority="TK", case=case, **more,
            )
        )  # fmt: skip

    async def opens(self, case: str) -> int:
        """A case of the type; the version that it was categorised by."""
        await self.does(ask.RegisterCase, case)
        (told,) = await self.does(ask.CategoriseCase, case, case_type=TYPE)
        assert isinstance(told, CaseCategorised)
        return told.type_version

    async def answers(self, case: str) -> Sequence[Event]:
        words = Personal("Ja, det går bra.", case_stream("TK", case))
        return await self.does(ask.AnswerCase, case, text=words)

    async def changes(self, effective: datetime, approved: datetime) -> None:
        """The first step goes to level 2 from `effective`; the owner approves it at `approved`."""
        row: Any = copy.deepcopy(dict(city().rows("case_type")[TYPE]))
        row["steps"][0]["level"] = "2"
        proposal = uuid5(ID, "proposal")
        await self._handle(
            ProposeChange(
                id=proposal, now=self.clock.now, actor=WRITER.id, asker=WRITER,
                section="case_type", key=TYPE, fields=row, effective_from=effective,
            )
        )  # fmt: skip
        self.clock.now = approved
        await self._handle(
            ApproveChange(
                id=uuid5(ID, "approval"), now=approved, actor=CHIEF.id, asker=CHIEF,
                section="case_type", key=TYPE, change=str(proposal),
            )
        )  # fmt: skip


@pytest.mark.requirement("R14", "R45")
@story
async def test_a_case_goes_on_by_the_version_of_its_type_that_it_began_with(
    tmp_path: Path,
) -> None:
    clock = Clock()
    async with opened(sqlite_settings(tmp_path, clock=clock)) as node:
        centre = Centre(node, clock)
        await centre.begin()
        assert await centre.opens("old") == 1
        await centre.changes(T0 + HOUR, approved=T0 + HOUR / 2)
        assert await centre.opens("still old") == 1  # approved, and not yet in force
        clock.now = T0 + HOUR
        assert await centre.opens("new") == 2
        assert isinstance((await centre.answers("old"))[0], CaseAnswered)
        assert isinstance((await centre.answers("still old"))[0], CaseAnswered)
        with pytest.raises(ask.LevelOfAnother):
            await centre.answers("new")
        (again,) = await centre.does(ask.CategoriseCase, "old", case_type="TK-PAR-02")
        assert getattr(again, "type_version", None) == 1
        (back,) = await centre.does(ask.CategoriseCase, "old", case_type=TYPE)
        assert getattr(back, "type_version", None) == 2  # a type anew is a chain anew


@pytest.mark.requirement("R45")
@story
async def test_an_approval_after_its_effect_date_rewrites_nothing(tmp_path: Path) -> None:
    """It counts from when it came, also for who reads the log anew."""
    clock = Clock()
    settings = sqlite_settings(tmp_path, clock=clock)
    async with opened(settings) as node:
        centre = Centre(node, clock)
        await centre.begin()
        clock.now = T0 + HOUR
        row = city().rows("case_type")[TYPE]
        versions = [await centre.opens("before the date")]
        clock.now = T0 + 3 * HOUR
        versions.append(await centre.opens("after the date, before the approval"))
        clock.now = T0 + 4 * HOUR
        await centre.changes(T0 + 2 * HOUR, approved=T0 + 5 * HOUR)
        versions.append(await centre.opens("after the approval"))
        assert versions == [1, 1, 2]
        (stands,) = {
            centre.directory().at(T0 + n * HOUR).version("case_type", TYPE) for n in (1, 4)
        }
        assert stands == 1
        assert centre.directory().at(T0 + 5 * HOUR).version("case_type", TYPE) == 2
        assert centre.directory().entry("case_type", TYPE, 1) == row
    shutil.rmtree(tmp_path / "index")
    async with opened(settings) as node:
        anew = DirectoryFollower(node, clock)
        assert anew().at(T0 + 4 * HOUR).version("case_type", TYPE) == 1
        assert anew().version("case_type", TYPE) == 2
        assert isinstance((await Centre(node, clock).answers("before the date"))[0], CaseAnswered)
