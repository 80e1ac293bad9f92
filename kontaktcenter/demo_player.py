"""The demo's player: hands rows that are due to the importer, and lets its people act."""

from __future__ import annotations

import asyncio
import heapq
import random
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

from core.commit import Kept, StaleVerdict, first_of
from core.errors import Unavailable
from kontaktcenter.demo_people import EXCHANGE, Answered, Planned, after_call, sign_off, sign_on
from kontaktcenter.demo_recording import next_start
from telephony.importer import Importer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from core.commit import Answer, Draft, Port
    from core.taxonomy import Directory
    from kontaktcenter.demo_clock import DemoClock
    from kontaktcenter.demo_recording import Due, Recording

_TICK_S: Final = 0.1  # real seconds between two looks at the clock
_AGAIN: Final = timedelta(seconds=2)
_ENDS: Final = frozenset({"COMPLETEAGENT", "COMPLETECALLER", "BLINDTRANSFER"})
_SOURCE: Final = "demo"


@dataclass(order=True)
class _Waiting:
    at: datetime
    n: int
    plan: Planned = field(compare=False)


class Player:
    """Plays a recording again and again into a port, at the speed of a clock."""

    def __init__(  # noqa: PLR0913 -- what it plays, where, and how
        self,
        port: Port,
        directory: Directory,
        recording: Recording,
        clock: DemoClock,
        tick_s: float = _TICK_S,
        *,
        patient: bool = False,
    ) -> None:
        """With `patient`, what the log does not take now is tried again: it will be back."""
        self._port, self._directory = port, directory
        self._recording, self._clock = recording, clock
        self._tick_s, self._patient = tick_s, patient
        self._importer = Importer(port, EXCHANGE, directory, endless=patient)
        self._plans: list[_Waiting] = []
        self._planned = 0
        self._line_no = 1
        self._paused: set[str] = set()
        self._left: set[str] = set()  # cases that somebody else works on
        self._busy: dict[str, datetime] = {}  # until when an agent works on after the last call

    async def play(self, *, once: bool = False) -> None:
        """Play until cancelled; with `once`, until the recording is over.

        Raises: Unavailable, Corrupt.
        """
        start = next_start(self._clock(), None)
        try:
            while True:
                await self._one(start)
                if once:
                    return
                start = next_start(self._clock(), start + self._recording.lasts)
        finally:
            await self._importer.close()

    async def _one(self, start: datetime) -> None:
        dice = random.Random(start.isoformat())
        agents = self._recording.agents()
        self._paused.clear()
        self._plan(sign_on(agents, start))
        self._plan(sign_off(agents, f"{start:%Y-%m-%d}", start + self._recording.lasts))
        rows = list(self._recording.played_from(start))
        taken = 0
        while taken < len(rows):
            now, first = self._clock(), taken
            while taken < len(rows) and rows[taken].at <= now:
                taken += 1
            await self._take(rows[first:taken], dice)
            await self._act(now)
            await asyncio.sleep(self._tick_s)
        end = start + self._recording.lasts
        while (now := self._clock()) < end:
            await self._act(now)
            await asyncio.sleep(self._tick_s)
        await self._act(end)

    async def _take(self, rows: Sequence[Due], dice: random.Random) -> None:
        if not rows:
            return
        await self._importer.take(_SOURCE, self._line_no, [row.line.encode() for row in rows])
        await self._importer.settle()
        self._line_no += len(rows)
        for row in rows:
            _epoch, uniqueid, queue, member, event = row.line.split("|")[:5]
            if event in _ENDS:
                call = Answered(uniqueid, queue, member, row.at)
                self._plan(after_call(call, self._directory, dice))
            elif event == "PAUSEALL":
                self._paused.add(member)
            elif event == "UNPAUSEALL":
                self._paused.discard(member)

    def _plan(self, plans: Sequence[Planned]) -> None:
        for plan in plans:
            self._planned += 1
            if plan.frees is not None:
                self._busy[plan.frees] = plan.at
            heapq.heappush(self._plans, _Waiting(plan.at, self._planned, plan))

    async def _act(self, now: datetime) -> None:
        due: list[Draft] = []
        while self._plans and self._plans[0].at <= now:
            plan = heapq.heappop(self._plans).plan
            if plan.frees is None or self._free(plan.frees, plan.at):
                due.append(plan.draft)
        while due:
            try:
                due = await self._propose(due)
            except Unavailable:
                if not self._patient:
                    raise
                self._plan([Planned(now + _AGAIN, draft) for draft in due])
                return

    async def _propose(self, due: list[Draft]) -> list[Draft]:
        """Propose what can be: of each case one step, for the next rests on it. Gives the rest.

        A step that is stale met somebody who looks at the demo and works there: that person has the
        case from now on.
        """
        now: list[Draft] = []
        later: list[Draft] = []
        cases: set[str] = set()
        for draft in due:
            if draft.about in self._left:
                continue
            if draft.about in cases:
                later.append(draft)
                continue
            now.append(draft)
            if draft.about is not None:
                cases.add(draft.about)
        answers = await self._port.propose_many(now)
        for draft, answer in zip(now, answers, strict=True):
            if draft.about is not None and _is_stale(answer):
                self._left.add(draft.about)
        return later

    def _free(self, agent: str, at: datetime) -> bool:
        return agent not in self._paused and self._busy[agent] <= at


def _is_stale(answer: Answer) -> bool:
    verdict = answer.verdict
    return not isinstance(verdict, Kept) and isinstance(first_of(verdict), StaleVerdict)
