"""The fold of the log from every side: from zero or on and on, with copies, by many."""

from __future__ import annotations

import asyncio
import tempfile
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from judging import MUTANTS, Folded, Mutant
from log_world import GENESIS, SECRET, T0, At, Ticks, claim, commit, decided, record, rows

from core.commit import Accepted, Duplicate, Fork, StaleVerdict, Verdict, first_of, judged
from core.eventlog.envelope import Claim, encode_genesis
from core.eventlog.index.index import Index
from core.eventlog.log import Record
from core.eventlog.memory_log import MemoryStore
from core.eventlog.node import Node, NodeSettings
from core.eventlog.reading import judge_record
from core.eventlog.state import ShardState
from core.eventlog.verify import Refold

if TYPE_CHECKING:
    from collections.abc import Sequence

    from core.eventlog.envelope import LoggedCommit

WHOLE = settings.default is not None and settings.default.max_examples >= 1_000


def examples(short: int) -> settings:
    """So many examples in `make test`, fifteen times as many with --whole."""
    return settings(max_examples=short * (15 if WHOLE else 1))


STREAMS = [f"call/x/{n}" for n in range(3)]
ids = st.integers(0, 11)
versions = st.one_of(st.none(), st.none(), st.integers(-1, 6))
events = st.lists(st.builds(At, st.sampled_from(STREAMS), versions), max_size=3)
trackings = st.one_of(st.none(), st.tuples(st.sampled_from("pq"), st.integers(0, 4)))
intents = st.sampled_from([None, None, None, "another"])
commits = st.builds(
    lambda n, e, i, t: commit(n, *e, intent=i, tracking=t), ids, events, intents, trackings
)
facts = st.builds(lambda n, s: commit(n, At(s)), st.integers(0, 300), st.sampled_from(STREAMS))
garbage = st.sampled_from(
    [b"", b"no", record(commit("v"), fmt=2), record(commit("v"), book="x"), encode_genesis(GENESIS)]
)
bodies = st.one_of(
    st.lists(commits, max_size=6).map(lambda many: record(*many)),
    st.lists(facts, max_size=8).map(lambda many: record(*many)),
    garbage,
)
logs = st.lists(bodies, max_size=14)


def written(index: Index, state: ShardState) -> None:
    batch, mark = state.take_batch()
    index.write(batch, mark)
    index.mark = mark
    state.was_indexed(mark)


def begun(index: Index) -> ShardState:
    state = ShardState(index)
    if state.genesis is None:
        state.genesis, state.next_offset = encode_genesis(GENESIS), 1
    return state


def folded(path: Path, log: Sequence[bytes], cuts: Sequence[int], *, replay: bool) -> list[object]:
    """All rows of an index made of `log`, closed and opened again after each of `cuts` records."""
    ends = sorted({min(cut, len(log)) for cut in cuts} | {len(log)})
    offset = 1
    for end in ends:
        index = Index(path)
        state = begun(index)
        while offset <= end:
            judge_record(state, GENESIS, Record(offset, log[offset - 1]), replay=replay)
            if offset % 3 == 0 and not index.bulk:
                written(index, state)
            offset += 1
        written(index, state)
        index.make_lookups()
        index.bulk = False
        index.close()
    return everything(path)


def everything(path: Path) -> list[object]:
    index = Index(path)
    found: list[object] = [index.mark, index.asides()]
    tables = ("judged", "event", "tracking", "aside")
    found.extend(index._query(f"SELECT * FROM {table} ORDER BY 1, 2", ()) for table in tables)
    index.close()
    return found


@examples(40)
@given(log=logs, cuts=st.lists(st.integers(0, 14), max_size=4))
def test_a_replay_from_zero_leaves_what_going_on_and_on_left(
    log: list[bytes], cuts: list[int]
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        step_by_step = folded(Path(folder) / "a.db", log, cuts, replay=False)
        at_once = folded(Path(folder) / "b.db", log, [], replay=True)
    assert step_by_step == at_once


@examples(60)
@given(log=logs)
def test_a_bulk_load_of_facts_judges_as_the_rule_does(log: list[bytes]) -> None:
    """`replay_facts` does a whole record at once; plain dictionaries and `judge` say the same."""
    plain = Refold(GENESIS, encode_genesis(GENESIS))
    for n, body in enumerate(log):
        plain.record(Record(n + 1, body))
    with tempfile.TemporaryDirectory() as folder:
        mark, _asides, judged, event, tracking, _aside = folded(
            Path(folder) / "a.db", log, [], replay=True
        )
    expected = plain.take_rows()
    assert mark == plain.mark()
    assert judged == expected.judged
    assert event == expected.events
    assert [row[:2] for row in tracking] == sorted(plain.trackings.items())  # type: ignore[attr-defined]


@given(history=st.lists(commits, max_size=12), copies=st.lists(st.integers(0, 400), max_size=12))
def test_copies_of_what_was_judged_change_nothing_wherever_they_land(
    history: list[LoggedCommit], copies: list[int]
) -> None:
    plain = Refold(GENESIS, b"")
    for n, one in enumerate(history):
        plain.record(Record(n + 1, record(one)))
    with_copies = list(enumerate(history))
    for copy in copies:  # each lands somewhere after its original
        if history:
            which = copy % len(history)
            first = next(k for k, (n, _) in enumerate(with_copies) if n == which)
            place = first + 1 + copy % (len(with_copies) - first)
            with_copies.insert(place, (which, history[which]))
    again = Refold(GENESIS, b"")
    for n, (_, one) in enumerate(with_copies):
        again.record(Record(n + 1, record(one)))
    assert (plain.digest, plain.position, plain.seq) == (again.digest, again.position, again.seq)
    assert plain.take_rows().judged == again.take_rows().judged


@given(history=st.lists(commits, max_size=12), cuts=st.lists(st.booleans(), max_size=12))
def test_how_commits_are_put_into_envelopes_changes_nothing(
    history: list[LoggedCommit], cuts: list[bool]
) -> None:
    envelopes: list[list[LoggedCommit]] = [[]]
    for one, cut in zip(history, cuts + [False] * len(history), strict=False):
        if cut:
            envelopes.append([])
        envelopes[-1].append(one)
    single, grouped = Refold(GENESIS, b""), Refold(GENESIS, b"")
    for n, one in enumerate(history):
        single.record(Record(n + 1, record(one)))
    for n, many in enumerate(envelopes):
        grouped.record(Record(n + 1, record(*many)))
    assert (single.digest, single.position, single.seq) == (
        grouped.digest, grouped.position, grouped.seq,
    )  # fmt: skip
    assert single.heads == grouped.heads


# --- many proposers -------------------------------------------------------------------------------
moves = st.tuples(
    st.integers(0, 2),  # the node
    st.integers(0, 9),  # the asking: the same id may be asked at several nodes
    st.sampled_from(STREAMS),
    st.integers(-1, 1),  # how far off the version is that it expects
    st.integers(0, 3),  # how long it looks around before it goes on
)


def clock_of(node: int) -> Ticks:
    """Nodes have not one clock: by their bytes a node knows its own copies from another's."""
    return Ticks(T0 + timedelta(hours=node))


async def raced(plan: Sequence[tuple[int, int, str, int, int]], folder: Path) -> None:
    store = MemoryStore()
    nodes = [
        await Node.open(
            NodeSettings("memory:", folder / str(n), clock_of(n), secret=SECRET, store=store)
        )
        for n in range(3)
    ]
    told: list[tuple[int, Verdict]] = []

    async def ask(node: Node, n: int, stream: str, off: int) -> None:
        version = node.heads([stream]).get(stream, 0) + 1 + off
        told.append((n, judged(await node.propose(decided(n, stream, version)))))

    asking = []
    for which, n, stream, off, rest in plan:
        asking.append(asyncio.ensure_future(ask(nodes[which], n, stream, off)))
        for _ in range(rest):
            await asyncio.sleep(0)
    await asyncio.gather(*asking)
    log = await store.open_shard("calls", 0)
    for node in nodes:
        while node.shard("calls/0").state.next_offset < await log.end():  # noqa: ASYNC110 -- from outside
            await asyncio.sleep(0.001)
        await node.settle()
    assert len({str(node.digests()["calls/0"]) for node in nodes}) == 1
    assert rows(nodes[0]) == rows(nodes[1]) == rows(nodes[2])
    by_id: dict[int, set[str]] = {}
    for n, verdict in told:
        by_id.setdefault(n, set()).add(str(first_of(verdict)))
    assert all(len(answers) == 1 for answers in by_id.values()), by_id
    originals = [v for _, v in told if isinstance(v, Accepted | StaleVerdict)]
    assert len(originals) == len(by_id)
    assert sorted(v.position for v in originals) == list(range(1, len(by_id) + 1))
    for node in nodes:
        await node.close()


@examples(15)
@given(plan=st.lists(moves, min_size=1, max_size=20))
def test_any_interleaving_of_proposers_has_one_outcome_on_every_reader(
    plan: list[tuple[int, int, str, int, int]],
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(raced(plan, Path(folder)))


# --- the invariants, and each rule taken out ------------------------------------------------------
claims = st.lists(
    st.builds(
        lambda n, e, i, t: claim(n, *e, intent=i, tracking=t), ids, events, intents, trackings
    ),
    max_size=25,
)


def invariants(shard: Folded, asked: list[Claim]) -> None:
    """What holds whatever is proposed, said without repeating the rule."""
    taken: dict[str, list[int]] = {}
    once: dict[str, Verdict] = {}
    trackings: dict[str, int] = {}
    seq = position = 0
    for one in asked:
        heads = dict(shard.heads)
        verdict = shard.take(one)
        if isinstance(verdict, Duplicate | Fork):
            assert once[one.id] == verdict.first
            assert heads == shard.heads
            assert isinstance(verdict, Duplicate) == (shard.verdicts[one.id][0] == one.intent)
            continue
        assert one.id not in once
        once[one.id] = verdict
        position += 1
        assert verdict.position == position
        if isinstance(verdict, StaleVerdict):
            assert heads == shard.heads
            continue
        assert verdict.seqs == range(seq + 1, seq + 1 + len(one.events))
        seq += len(one.events)
        for event in one.events:
            history = taken.setdefault(event.stream, [])
            expected = (
                history[-1] + 1 if history else (1 if event.version is None else event.version)
            )
            assert event.version in {None, expected}
            assert expected >= 0
            history.append(expected)
        if one.tracking is not None:
            assert one.tracking.position > trackings.get(one.tracking.name, -1)
            trackings[one.tracking.name] = one.tracking.position
    assert shard.heads == {stream: history[-1] for stream, history in taken.items()}


@given(asked=claims)
def test_the_invariants_hold_whatever_is_proposed(asked: list[Claim]) -> None:
    invariants(Folded(), asked)


UNSEEN_BY_INVARIANTS = {  # they refuse more or say less: the table in unit/test_judge sees them
    "a new stream starts anywhere",
    "a stale answer tells the head",
}


@pytest.mark.parametrize(
    "mutant", [m for m in MUTANTS if m.rule not in UNSEEN_BY_INVARIANTS], ids=lambda m: m.rule
)
def test_without_a_rule_the_invariants_break(mutant: Mutant) -> None:
    @settings(max_examples=3_000, database=None, derandomize=True, phases=[Phase.generate])
    @given(asked=claims)
    def search(asked: list[Claim]) -> None:
        invariants(Folded(mutant.judge()), asked)

    with pytest.raises((AssertionError, KeyError)):
        search()
