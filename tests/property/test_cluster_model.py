"""A city's cluster in made-up time: whatever happens to it, the log decides, once and for all.

Real nodes, applications, indexes; brokers, disks and time are made up (`sim_world`). Hypothesis
draws what happens; each history has its seed, and can be had again.
"""

from __future__ import annotations

import random
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from given import city
from hypothesis import Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from log_world import At, commit, record
from sim_log import CALM, SLOW, STORM, Partition, SimLog, Weather
from sim_world import AGENTS, COMMANDS, FACTS, STREAMS, World, command, fact

from core.call_rules import CALLS
from core.commit import Accepted, attempt_id
from core.errors import NeedsUpgrade, Refused
from core.eventlog.verify import refold, verify_shard
from core.limits import DECISION_ATTEMPTS_MAX

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from uuid import UUID

    from core.commit import Recorded
    from core.eventlog.verify import Refold

    Load = Callable[[str], Sequence[Recorded]]

pytestmark = pytest.mark.fault
WHOLE = settings.default is not None and settings.default.max_examples >= 1_000
NODES = 3
SHM = Path("/dev/shm")
places = st.integers(0, NODES - 1)
GARBAGE = (
    b"", b"\x00\xff", b"not JSON", b"[]", b'{"format":1}',
    b'{"format":1,"book":"calls","shard":0,"commits":[{}]}',
    record(commit("of another book", At(STREAMS[0])), book="centre"),
    record(commit("of a newer format", At(STREAMS[0])), fmt=2),
    record(commit("raised by nobody", At(STREAMS[0])), fmt=7),
    record(commit("stale and raising", At("call/y/1", 1), At("call/y/1", 3), raises_format=2)),
)  # fmt: skip


class Cluster(RuleBasedStateMachine):
    """What may happen."""

    @initialize(seed=st.integers(0, 2**32 - 1))
    def begin(self, seed: int) -> None:
        base = SHM if SHM.is_dir() else None
        self.folder = Path(tempfile.mkdtemp(prefix="cluster-", dir=base))
        self.world = World(random.Random(seed), self.folder, NODES)
        self.world.run(3)

    # --- what people and exchanges do
    @rule(n=st.integers(0, COMMANDS - 1), at=places)
    def ask(self, n: int, at: int) -> None:
        self.world.ask(n, at)
        self.world.run(0.002)

    @rule(n=st.integers(0, COMMANDS - 10), at=places, nodes=st.sampled_from([1, 2, NODES]))
    def ask_at_once(self, n: int, at: int, nodes: int) -> None:
        """Of one stream: the next is asked for while the one before it is under way."""
        for k in range(4):
            self.world.ask(n + k * len(STREAMS), at + k % nodes)
            self.world.run(0.002)

    @rule(n=st.integers(0, COMMANDS - 1), at=places)
    def ask_for_something_else_with_the_same_id(self, n: int, at: int) -> None:
        self.world.ask(n, at, other=True)

    @rule(n=st.integers(0, FACTS - 1), at=places)
    def tell_a_fact(self, n: int, at: int) -> None:
        self.world.tell(n, at)
        self.world.run(0.02)

    @rule(agent=st.sampled_from(AGENTS))
    def withdraw_a_right(self, agent: str) -> None:
        self.world.withdraw(agent)

    # --- what machines do
    @rule(weather=st.sampled_from([CALM, SLOW, STORM, STORM]))
    def weather(self, weather: Weather) -> None:
        self.world.brokers.weather = weather

    @rule(seconds=st.sampled_from([0.01, 0.2, 1.0, 6.0, 30.0]))
    def time_goes_by(self, seconds: float) -> None:
        self.world.run(seconds)

    @rule(seconds=st.sampled_from([0.5, 4.0, 9.0]))
    def the_leader_fails(self, seconds: float) -> None:
        self.world.brokers.leader_at_s = self.world.loop.time() + seconds

    @rule(n=places, cut=st.booleans())
    def cut_or_joined(self, n: int, cut: bool) -> None:
        self.world.places[n].store.cut = cut

    @rule(n=places, lag_s=st.sampled_from([0.0, 0.3, 5.0]))
    def a_reader_lags(self, n: int, lag_s: float) -> None:
        self.world.places[n].store.lag_s = lag_s

    @rule(disk_s=st.sampled_from([0.0, 0.05, 3.0]))
    def disks_are_slow(self, disk_s: float) -> None:
        self.world.loop.disk_s_max = disk_s

    @rule(n=places, disk=st.sampled_from(["kept", "kept", "older", "lost"]))
    def a_node_is_killed(self, n: int, disk: str) -> None:
        self.world.restart(self.world.places[n], disk)

    @rule(body=st.sampled_from(GARBAGE))
    def somebody_else_writes(self, body: bytes) -> None:
        self.world.brokers.land(self.where, body)

    @rule(nth=st.integers(0, 10_000))
    def an_old_record_lands_again(self, nth: int) -> None:
        bodies = self.where.bodies
        self.world.brokers.land(self.where, bodies[nth % len(bodies)])

    @property
    def where(self) -> Partition:
        return self.world.brokers.partitions["calls", 0]

    # --- what always holds
    @invariant()
    def nodes_agree(self) -> None:
        if hasattr(self, "world"):
            self.world.look()

    def teardown(self) -> None:
        if not hasattr(self, "world"):
            return
        try:
            finish(self.world)
        finally:
            self.world.end()
            shutil.rmtree(self.folder, ignore_errors=True)


def finish(world: World) -> None:
    """It ends well, everybody asks again everywhere, and then all of it is looked at."""
    world.settle()
    world.look()
    asked = {client_id for client_id, _ in world.told}
    for at in range(NODES):
        for n in range(COMMANDS):
            if command(n).id in asked:
                world.ask(n, at)
        for n in range(FACTS):
            if fact(n).id in asked:
                world.tell(n, at)
    world.settle()
    world.look()
    check(world)
    raise_the_format(world)


def check(world: World) -> None:
    log = SimLog(world.places[0].store, world.brokers.partitions["calls", 0])
    node = world.places[0].node
    assert node is not None
    genesis = node.shard("calls/0").genesis
    end = len(world.brokers.partitions["calls", 0].bodies)
    state = world.loop.run_until_complete(refold(log, genesis, end))
    for place in world.places:
        assert place.node is not None
        assert place.node.digests()["calls/0"] == (state.position, state.digest.hex())
        report = world.loop.run_until_complete(verify_shard(place.node, "calls/0"))
        assert report.ok, report.faults
    chains = chains_of_ids()
    effects = effects_of(node.load, chains)
    check_answers(world, state, effects)
    check_decisions(node.load, chains)


def chains_of_ids() -> dict[str, tuple[UUID, int | None]]:
    """Each id that may be proposed: whose it is, and the number of its command (None: a fact)."""
    found: dict[str, tuple[UUID, int | None]] = {
        str(fact(n).id): (fact(n).id, None) for n in range(FACTS)
    }
    for n in range(COMMANDS):
        first = command(n).id
        for k in range(DECISION_ATTEMPTS_MAX):
            found[str(attempt_id(first, k) if k else first)] = (first, n)
    return found


def effects_of(load: Load, chains: dict[str, tuple[UUID, int | None]]) -> dict[UUID, list[str]]:
    """What each id, with all its attempts, has done to the world."""
    effects: dict[UUID, dict[str, list[object]]] = {}
    for stream in STREAMS:
        for recorded in load(stream):
            first, _ = chains[str(recorded.commit_id)]
            effects.setdefault(first, {}).setdefault(str(recorded.commit_id), []).append(
                recorded.event
            )
    return {
        first: [str(tuple(events)) for events in done.values()] for first, done in effects.items()
    }


def check_answers(world: World, state: Refold, effects: dict[UUID, list[str]]) -> None:
    for first, done in effects.items():
        assert len(done) == 1, f"{first} was done {len(done)} times: {done}"
    for asked, verdicts in world.verdicts.items():
        found = state.verdicts[str(asked)][1]
        assert isinstance(found, Accepted)
        assert verdicts == {str(found)}, f"{asked} was told {verdicts} and the log says {found}"
    said_done: set[UUID] = set()
    for (asked, asking), answers in world.told.items():
        said = {answer for answer in answers if answer.startswith("yes") and answer != "yes ()"}
        assert not said or said == answers, f"{asked} was told both: {answers}"
        if said and asked not in world.verdicts:
            assert said == {f"yes {one}" for one in effects[asked]}, f"{asked}: {said}"
            said_done.add(asked)
        elif not world.withdrawn:  # who lost a right is told so; what was done, stands
            assert len(answers) == 1, f"{asked}, {asking}, was told {answers}"
    for (asked, _), answers in world.told.items():
        if asked in effects and not any("IdUsedBefore" in answer for answer in answers):
            assert asked in said_done | world.verdicts.keys(), (
                f"{asked} was told {answers}, and done"
            )


def check_decisions(load: Load, chains: dict[str, tuple[UUID, int | None]]) -> None:
    """Each decision that was accepted is what the rules give at exactly the state before it."""
    for stream in STREAMS:
        state, waiting = CALLS.initial, list(load(stream))
        events: Sequence[Recorded] = waiting
        while events:
            own = [r for r in events if r.commit_id == events[0].commit_id]
            assert list(events[: len(own)]) == own, "a commit's events lie apart"
            _, n = chains[str(own[0].commit_id)]
            if n is not None:
                decided = [decide(state, n, other=False), decide(state, n, other=True)]
                assert [r.event for r in own] in decided, f"{own} was decided on another state"
            for r in own:
                state = CALLS.evolve(state, r)
            events = events[len(own) :]


def decide(state: object, n: int, *, other: bool) -> list[object] | None:
    try:
        return list(CALLS.decide(state, command(n, other=other), city()))
    except Refused:
        return None


def raise_the_format(world: World) -> None:
    """At the very end: a format that nobody here knows stops every node, at the same place."""
    where = world.brokers.partitions["calls", 0]
    world.brokers.land(where, record(commit("raises", raises_format=2)))
    world.run(5)
    ends = set()
    for place in world.places:
        assert place.node is not None
        assert isinstance(place.node.shard("calls/0").stopped, NeedsUpgrade)
        ends.add(str(place.node.digests()))
    assert len(ends) == 1, f"they stopped at different places: {ends}"


Cluster.TestCase.settings = settings(
    max_examples=1_000 if WHOLE else 25,
    stateful_step_count=60 if WHOLE else 40,
    deadline=None,
    phases=[Phase.explicit, Phase.reuse, Phase.generate, Phase.shrink],
)
TestCluster = Cluster.TestCase
