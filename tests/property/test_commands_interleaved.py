"""Whatever the log and the nodes do, a command has one answer and at most one effect."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any
from uuid import UUID

from given import ID, city, folded, staff
from hypothesis import given
from hypothesis import strategies as st
from lagging import T0, LaggingNode, SharedLog

from core.application import Application, fact_draft
from core.call_rules import (
    CALLS,
    AnswerCall,
    EndCall,
    HoldCall,
    RequestCallback,
    TransferCall,
    WrapUpCall,
)
from core.calls import CallAnswered, CallQueued
from core.commit import Accepted, attempt_id
from core.errors import Refused, Stale
from core.limits import DECISION_ATTEMPTS_MAX

if TYPE_CHECKING:
    from core.commands import Command

CALL = "call/desk/1"
NODES = 3


def asked(n: int, kind: type[Any], agent: str, **more: Any) -> Command:
    command: Command = kind(
        id=UUID(int=n),
        now=T0,
        actor=agent,
        asker=staff(agent),
        call=CALL,
        **({"agent": agent} if agent else {}),
        **more,
    )
    return command


COMMANDS = (
    asked(1, AnswerCall, "anna"),
    asked(2, AnswerCall, "bo"),
    asked(3, HoldCall, "anna"),
    asked(4, EndCall, "anna"),
    asked(5, TransferCall, "bo", how="warm", to="tnh_avfall"),
    asked(6, WrapUpCall, "anna", outcome="solved"),
    asked(7, AnswerCall, "anna"),
    replace(RequestCallback(id=UUID(int=8), now=T0, actor="cia", asker=staff("cia"), call=CALL)),
)


@dataclass
class World:
    """Nodes, applications and everything that was ever answered, by command."""

    log: SharedLog = field(default_factory=SharedLog)
    nodes: list[LaggingNode] = field(default_factory=list)
    applications: list[Application] = field(default_factory=list)
    asking: list[asyncio.Task[None]] = field(default_factory=list)
    answers: dict[UUID, set[str]] = field(default_factory=lambda: defaultdict(set))

    def start(self, n: int) -> None:
        """A node (again): it reads the log from its beginning; what it was doing is lost."""
        node = LaggingNode(self.log)
        self.nodes[n : n + 1] = [node]
        self.applications[n : n + 1] = [Application(node, city)]

    def ask(self, command: Command, n: int) -> None:
        """A client asks at a node, perhaps again, perhaps while it asks elsewhere."""
        self.asking.append(asyncio.ensure_future(self._ask(command, self.applications[n])))

    async def _ask(self, command: Command, application: Application) -> None:
        try:
            answer = await application.handle(command)
        except (Refused, Stale) as no:
            told = type(no).__name__
        else:
            told = str(answer.recorded)
        self.answers[command.id].add(told)

    async def settle(self) -> None:
        """Everything lands, everybody reads, until nobody waits any more."""
        while True:
            await rest()
            moved = bool(self.log.on_the_way)
            while self.log.on_the_way:
                self.log.land(0)
            for node in self.nodes:
                while node.read():
                    moved = True
            if not moved:
                await rest()
                if not self.log.on_the_way:
                    return


async def rest() -> None:
    """Let everything run that can."""
    for _ in range(12):
        await asyncio.sleep(0)


async def play(data: st.DataObject) -> None:
    world = World()
    for n in range(NODES):
        world.start(n)
    queued = CallQueued("trafik", "tnh_trafik")
    seed = fact_draft(
        id=ID, asking="seed", actor="x", origin="telephony:x", stream=CALL, events=[queued],
        occurred_at=T0,
    )  # fmt: skip
    if data.draw(st.booleans()):
        task = asyncio.ensure_future(world.nodes[0].propose(seed))
        await world.settle()
        await task
    for _ in range(data.draw(st.integers(1, 60))):
        await step(world, data)
        await rest()
    await world.settle()
    for n in range(NODES):  # everybody asks once more, everywhere
        for command in COMMANDS:
            world.ask(command, n)
        await world.settle()
    check(world)


async def step(world: World, data: st.DataObject) -> None:
    kind = data.draw(st.sampled_from(["ask", "ask", "land", "land", "read", "read", "read", "die"]))
    n = data.draw(st.integers(0, NODES - 1))
    if kind == "ask":
        world.ask(data.draw(st.sampled_from(COMMANDS)), n)
    elif kind == "land" and world.log.on_the_way:
        which = data.draw(st.integers(0, len(world.log.on_the_way) - 1))
        world.log.land(which, copy=data.draw(st.booleans()))
    elif kind == "read":
        for _ in range(data.draw(st.integers(1, 4))):
            world.nodes[n].read()
    elif kind == "die" and data.draw(st.integers(0, 3)) == 0:
        world.start(n)  # whoever asked there never hears again


def check(world: World) -> None:
    for command_id, told in world.answers.items():
        assert len(told) == 1, f"{command_id} was told {told}"
    outcomes = {tuple(map(str, node.verdicts)) for node in world.nodes}
    assert len(outcomes) == 1, "two nodes judged differently"
    effects: dict[UUID, int] = defaultdict(int)
    for draft, verdict in world.nodes[0].verdicts:
        if isinstance(verdict, Accepted) and draft.events:
            effects[first_id(draft.id)] += 1
    assert all(n == 1 for n in effects.values()), f"recorded more than once: {effects}"
    state = folded(CALLS, *[r.event for r in world.nodes[0].load(CALL)])
    assert state.contradictions == (), "a decision was accepted on a state that never was"


def first_id(commit_id: UUID) -> UUID:
    """The command whose chain of attempts an id belongs to."""
    chains = {attempt_id(c.id, n): c.id for c in COMMANDS for n in range(1, DECISION_ATTEMPTS_MAX)}
    return chains.get(commit_id, commit_id)


@given(data=st.data())
def test_a_command_has_one_answer_and_one_effect_whatever_happens(data: st.DataObject) -> None:
    asyncio.run(play(data))


def test_of_two_who_answer_at_once_one_is_told_who_has_the_call() -> None:
    async def race() -> dict[UUID, set[str]]:
        world = World()
        for n in range(2):
            world.start(n)
        queued = fact_draft(
            id=ID, asking="seed", actor="x", origin="telephony:x", stream=CALL,
            events=[CallQueued("trafik", "tnh_trafik")], occurred_at=T0,
        )  # fmt: skip
        task = asyncio.ensure_future(world.nodes[0].propose(queued))
        await world.settle()
        await task
        world.ask(COMMANDS[0], 0)
        world.ask(COMMANDS[1], 1)
        await world.settle()
        return world.answers

    answers = asyncio.run(race())
    assert answers == {
        COMMANDS[0].id: {str((CallAnswered("trafik", "anna"),))},
        COMMANDS[1].id: {"CallAlreadyAnswered"},
    }
