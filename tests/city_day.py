"""One day of a simulated city: everybody telephones, everybody works, and the node is killed.

`run` drives a real node in a process of its own through a whole day, minute by minute. Everything
comes from one seed. Where the node is killed in the middle of a minute, that whole minute is asked
again with the same ids, as honest clients do.
"""

from __future__ import annotations

import heapq
import random
from collections import Counter
from collections.abc import Generator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from city_calls import Call, Telephone
from city_chores import Chore, changed_rows, chores
from city_lives import Asked, CityCase, Opened, Step, owner_of, types_of
from city_node import Batch, CityNode, Outcome
from city_staff import staff_for, written_groups
from given import TAXONOMY, city

from core.commit import desk_id
from core.personal import CitySecret
from core.taxonomy import read_taxonomy

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from core.commands import Command
    from core.commit import Draft

BEGINS = datetime(2026, 11, 22, 23, 0, tzinfo=UTC)  # Monday 23 November, 00.00 in Stockholm
TICK = timedelta(minutes=1)
SECRET = CitySecret(bytes(range(32)))
_LEADS_TO_A_CASE = 0.55
_A_SECOND_CASE = 0.08
_SENT_TWICE = 0.03
_WRITTEN_OF_CALLS = 0.06  # so many letters and e-mails for each call


@dataclass(frozen=True)
class Plan:
    """What day it is to be. `kills` are hours after midnight."""

    seed: int
    calls: int
    kills: tuple[float, ...] = (10.2, 12.0, 14.7)


@dataclass
class Story:
    """What the day came to, as those who asked were told."""

    calls: list[Call]
    cases: list[CityCase] = field(default_factory=list)
    commands: int = 0
    facts: int = 0
    repeated: int = 0
    kills: int = 0
    refused: Counter[tuple[str, str]] = field(default_factory=Counter)
    surprises: list[str] = field(default_factory=list)
    told: Counter[str] = field(default_factory=Counter)
    ended_at: datetime = BEGINS


@dataclass(order=True)
class _Due:
    at: datetime
    n: int
    life: _Life = field(compare=False)
    step: Step = field(compare=False)


@dataclass
class _Life:
    case: CityCase
    script: Generator[Step, list[Outcome], None]
    asked: int = 0


class Day:
    """The clock of the city, and all that is due."""

    def __init__(self, plan: Plan, folder: Path) -> None:
        self.plan = plan
        self._dice = random.Random(f"city/{plan.seed}")
        self._staff = staff_for(plan.calls)
        _give_secret(folder)
        self._node = CityNode(folder)
        telephone = Telephone(self._staff, self._dice, SECRET.caller_ref)
        self.story = Story(telephone.day(BEGINS, plan.calls))
        self._due: list[_Due] = []
        self._n = 0
        self._known: dict[str, list[str]] = {}
        self._rows = {(code, 1): row for code, row in city().rows("case_type").items()}
        self._rows |= {(code, 2): row for code, row in changed_rows().items()}
        self._chores = list(chores(plan.seed, BEGINS))
        self._facts = sorted(
            (pair for call in self.story.calls for pair in call.facts), key=lambda pair: pair[0]
        )
        self._kills = [BEGINS + timedelta(hours=hour) for hour in plan.kills]

    def run(self) -> Story:
        """Live through the day, and on until everything that was begun is over."""
        drafts = read_taxonomy(TAXONOMY.read_text(encoding="utf-8"), BEGINS - timedelta(days=1))
        self._node.ask(Batch(BEGINS, catalogue=tuple(drafts)))
        for opened in sorted(self._opened(), key=lambda pair: pair[0].at):
            self._begin(*opened)
        now, taken = BEGINS, 0
        try:
            while self._due or taken < len(self._facts):
                now += TICK
                first = taken
                while taken < len(self._facts) and self._facts[taken][0] < now:
                    taken += 1
                self._minute(now, tuple(draft for _at, draft in self._facts[first:taken]))
        finally:
            self._node.close()
        self.story.ended_at = now
        return self.story

    # --- who opens what ---------------------------------------------------------------------------
    def _opened(self) -> Iterator[tuple[Opened, str, str]]:
        """Every case that will be, with its group and type."""
        dice = self._dice
        for call in self.story.calls:
            if call.agent is None or call.answered_at is None or call.group.excluded:
                continue
            cases = int(dice.random() < _LEADS_TO_A_CASE)
            cases += int(cases and dice.random() < _A_SECOND_CASE)
            ref = None if call.number is None else SECRET.caller_ref(call.number)
            for _ in range(cases):
                types = types_of(call.group.id, call.agent)
                if types:
                    opened = Opened(
                        call.answered_at, call.agent, call.group.id, "phone", call.stream, ref
                    )
                    yield opened, call.group.id, dice.choice(types)
        for _ in range(round(self.plan.calls * _WRITTEN_OF_CALLS)):
            group = dice.choice(written_groups())
            agents = self._staff.level_2.get(group, ())
            types = types_of(group, agents[0]) if agents else []
            if types:
                at = BEGINS + timedelta(seconds=dice.uniform(7, 17) * 3600)
                channel = dice.choice(("email", "letter", "eservice", "sms"))
                yield Opened(at, dice.choice(agents), group, channel), group, dice.choice(types)

    def _begin(self, opened: Opened, group: str, case_type: str) -> None:
        n = len(self.story.cases)
        dice = random.Random(f"city/{self.plan.seed}/{n}")
        authority = owner_of(case_type, group, opened.by, dice)
        known = self._known.setdefault(authority, [])
        case = CityCase(
            self._staff, dice, opened, f"c{self.plan.seed}x{n:06d}", authority, case_type,
            self._rows, tuple(known[-5:]),
        )  # fmt: skip
        known.append(case.id)
        self.story.cases.append(case)
        life = _Life(case, case.live())
        self._plan_next(life, opened.at, next(life.script))

    def _plan_next(self, life: _Life, at: datetime, step: Step) -> None:
        self._n += 1
        heapq.heappush(self._due, _Due(at + timedelta(seconds=step.after_s), self._n, life, step))

    # --- a minute ---------------------------------------------------------------------------------
    def _minute(self, now: datetime, facts: tuple[Draft, ...]) -> None:
        """All that is due in a minute, and what follows from it; then the clock is looked at."""
        while True:
            due: list[_Due] = []
            while self._due and self._due[0].at < now:
                due.append(heapq.heappop(self._due))
            more = [chore for chore in self._chores if chore.at < now]
            if not due and not facts and not more:
                break
            self._chores = self._chores[len(more) :]
            self._round(now, facts, due, more)
            facts = ()
        self._node.ask(Batch(now, look=True))

    def _round(
        self, now: datetime, facts: tuple[Draft, ...], due: list[_Due], more: list[Chore]
    ) -> None:
        commands, owners = self._commands(due)
        commands += [chore.command for chore in more]
        again = [n for n in range(len(commands)) if self._dice.random() < _SENT_TWICE]
        asked = (*commands, *(commands[n] for n in again))
        outcomes = self._asked(Batch(now, facts, asked))
        for n, outcome in zip(again, outcomes[len(commands) :], strict=True):
            if outcome != outcomes[n]:
                self.story.surprises.append(f"twice: {commands[n]} {outcomes[n]} {outcome}")
        self.story.facts += len(facts)
        self.story.commands += len(commands)
        self.story.repeated += len(again)
        for chore, outcome in zip(more, outcomes[len(owners) :], strict=False):
            if outcome.refused != chore.refused:
                self.story.surprises.append(f"{type(chore.command).__name__}: {outcome}")
            self.story.told.update(event.TOPIC for event in outcome.events)
        answers: dict[int, list[Outcome]] = {}
        for owner, command, outcome in zip(owners, commands, outcomes, strict=False):
            self._note(due[owner], command, outcome)
            answers.setdefault(owner, []).append(outcome)
        for owner, one in enumerate(due):
            self._go_on(one, answers[owner])

    def _commands(self, due: list[_Due]) -> tuple[list[Command], list[int]]:
        commands: list[Command] = []
        owners = []
        for owner, one in enumerate(due):
            for asked in one.step.asked:
                commands.append(self._command(one, asked))
                owners.append(owner)
        return commands, owners

    def _command(self, due: _Due, asked: Asked) -> Command:
        case = due.life.case
        due.life.asked += 1
        common: dict[str, Any] = {
            "id": desk_id(f"city/{self.plan.seed}/{case.id}/{due.life.asked}"),
            "now": due.at,
            "actor": asked.by.id,
            "asker": asked.by,
            "agent": asked.by.id,
            "authority": case.authority,
            "case": case.id,
        }
        return asked.kind(**common, **asked.fields)

    def _asked(self, batch: Batch) -> list[Outcome]:
        """Ask; where it is time for a kill, kill in the middle and ask all of it again."""
        if self._kills and batch.at >= self._kills[0] and batch.commands:
            self._kills.pop(0)
            self.story.kills += 1
            self._node.begin(batch)
            self._node.killed()
        return self._node.ask(batch)

    def _note(self, due: _Due, command: Command, outcome: Outcome) -> None:
        name = type(command).__name__
        if outcome.refused is None:
            self.story.told.update(event.TOPIC for event in outcome.events)
            due.life.case.trail.append(name)
            return
        self.story.refused[name, outcome.refused] += 1
        due.life.case.trail.append(f"{name}: {outcome.refused}")
        if not due.step.may_be_refused:
            case = due.life.case
            self.story.surprises.append(f"{case.case_type} {case.id} {case.trail}: {outcome.said}")

    def _go_on(self, due: _Due, outcomes: list[Outcome]) -> None:
        try:
            step = due.life.script.send(outcomes)
        except StopIteration:
            return
        self._plan_next(due.life, due.at, step)


def _give_secret(folder: Path) -> None:
    path = folder / "city.key"
    path.touch(mode=0o600)
    path.write_text(bytes(range(32)).hex() + "\n", encoding="ascii")


def run(plan: Plan, folder: Path) -> Story:
    """The day of `plan` on a node in `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    return Day(plan, folder).run()
