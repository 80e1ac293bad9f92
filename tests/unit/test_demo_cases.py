"""The demo's cases: played by the rules, and left to whoever works on them in the demo."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from given import T0, city, recorded

from core.case_rules import CASES
from core.commit import Accepted, Answer, KeptFact, StaleVerdict
from kontaktcenter.demo_cases import Opened, play
from kontaktcenter.demo_clock import DemoClock
from kontaktcenter.demo_people import ORIGIN, Planned
from kontaktcenter.demo_player import Player
from kontaktcenter.demo_recording import parse

if TYPE_CHECKING:
    from collections.abc import Sequence

    from core.commit import Draft, Port

TYPES = sorted(
    code for code, row in city().rows("case_type").items() if row.get("excluded") is not True
)


def opened(case_type: str, n: int = 0) -> Opened:
    """A case of that type, registered in the first group of its chain."""
    row = city().case_type(case_type)
    assert row is not None
    group = next(step.group for step in row.steps if step.group)
    authority = row.authority if row.authority != "*" else "TK"
    return Opened("Agent 1", group, "call/demo/1.1", f"demo-{n}", authority, case_type, T0)


@pytest.mark.parametrize("case_type", TYPES)
def test_a_case_of_any_type_is_played_out_without_a_contradiction(case_type: str) -> None:
    for n in range(8):
        steps = play(opened(case_type, n), city(), random.Random(n), ORIGIN)
        assert len(steps) > 2, "nobody went on with it"
        assert [at for at, _draft in steps] == sorted(at for at, _draft in steps)
        state, version = CASES.initial, 0
        for _at, draft in steps:
            for happened in draft.events:
                version += 1
                assert happened.version == version
                state = CASES.evolve(state, recorded(happened.event, version))
        assert state.contradictions == ()
        assert state.case_type == case_type


def test_cases_are_solved_handed_over_left_silent_returned_and_complained_about() -> None:
    kinds: Counter[str] = Counter()
    for n, case_type in enumerate(TYPES * 6):
        for _at, draft in play(opened(case_type, n), city(), random.Random(n), ORIGIN):
            kinds.update(happened.event.TOPIC for happened in draft.events)
    assert kinds["case.handed_over"] > kinds["case.handover_receipt_noted"] > 0
    assert set(kinds) >= {
        "case.answered", "case.guided", "case.escalated", "case.connected", "case.taken",
        "case.decided", "case.complaint_sent", "case.complaint_receipt_noted",
        "case.complaint_answered", "case.registry_decided", "case.closed",
    }  # fmt: skip


class Meddled:
    """A port where somebody else was first, at the n-th step of one case."""

    def __init__(self, stream: str, n: int) -> None:
        self._stream, self._n = stream, n
        self.steps: list[str] = []

    async def propose_many(self, drafts: Sequence[Draft]) -> Sequence[Answer]:
        answers = []
        for draft in drafts:
            self.steps.append(draft.about or "")
            mine = self.steps.count(self._stream)
            stale = draft.about == self._stream and mine == self._n
            verdict = StaleVerdict(1, self._stream, 9) if stale else Accepted(1, range(1, 2))
            answers.append(Answer(verdict, "cases.TK/0"))
        return answers

    def kept(self, stream: str) -> Sequence[KeptFact]:
        return ()

    def caller_ref(self, number: str) -> str:
        return f"ref-{number}"


def test_a_case_that_somebody_works_on_is_left_to_that_person() -> None:
    """Not even a later step of it is proposed, which by its version alone could fit again."""
    mine = play(opened("TK-AVF-02", 1), city(), random.Random(3), ORIGIN)
    other = play(opened("TK-AVF-02", 2), city(), random.Random(3), ORIGIN)
    assert len(mine) > 4
    stream = mine[0][1].about
    assert stream is not None
    port = Meddled(stream, 3)
    clock = DemoClock(T0, 1)
    asked: Port = port  # type: ignore[assignment]  # no more of it is needed
    player = Player(asked, city(), parse(["1|NONE|NONE|NONE|QUEUESTART|"]), clock)
    player._plan([Planned(at, draft) for at, draft in (*mine, *other)])
    asyncio.run(player._act(T0 + timedelta(days=1)))
    assert Counter(port.steps) == {stream: 3, other[0][1].about: len(other)}
