"""Every case type of the taxonomy goes through its chain, by the right people and no others."""

from __future__ import annotations

from typing import Any

import pytest
from case_walk import Walk, agent_of, expert_of, officer_of, person_for
from given import ID, T0, city, given

from core.access import Asker, NoSuchCase, NotAllowed, Role
from core.call_rules import CALLS, TransferCall
from core.calls import CallAnswered, CallQueued, CallTransferred
from core.case_commands import (
    AnswerCase,
    AuthorityExcluded,
    CategoriseCase,
    CloseCase,
    ConnectCaller,
    DecideCase,
    ExerciseOfAuthority,
    GuideCaller,
    HandOverCase,
    LevelOfAnother,
    NoteCase,
    NoteComplaintReceipt,
    NoteReceipt,
    NotInTheChain,
    RegisterCase,
    SendComplaint,
)
from core.errors import Refused
from core.personal import Personal
from core.taxonomy import ANY_AUTHORITY, CaseType, Step

TEXT = Personal("Det är ordnat.", "case/walk")
OWNERS_OF_ALL = ("TK", "BRO")
STOPPED = (ExerciseOfAuthority, LevelOfAnother, NotInTheChain, NoSuchCase, NotAllowed)


def chains() -> list[Any]:
    """Each type with each kind of owner that it may have: its own, a family's, anybody."""
    found = []
    for code in city().rows("case_type"):
        case_type = city().case_type(code)
        assert case_type is not None
        owners: tuple[str, ...] = (case_type.authority,)
        if case_type.authority == ANY_AUTHORITY:
            owners = OWNERS_OF_ALL
        elif case_type.authority == "SDN":
            owners = ("SDN", "BRO")
        if not case_type.excluded:
            found += [pytest.param(case_type, owner, id=f"{code}-{owner}") for owner in owners]
    return found


EXCLUDED = [t for code in city().rows("case_type") if (t := city().case_type(code)) and t.excluded]


def test_there_are_as_many_types_as_the_taxonomy_says() -> None:
    assert len(city().rows("case_type")) == 67
    assert len({param.values[0].code for param in chains()}) + len(EXCLUDED) == 67


def first_of(case_type: CaseType) -> Asker:
    group = case_type.steps[0].group
    assert group is not None
    return agent_of(group, level=2 if case_type.steps[0].level == "2" else 1)


def does(walk: Walk, step: Step, by: Asker, complaint: bool) -> int | None:
    """Do a step as its action says; the step that was recorded as done."""
    match step.action:
        case "register":
            events = walk.ask(NoteCase, by, text=TEXT)
        case "answer" | "reply_written":
            events = walk.ask(AnswerCase, by, text=TEXT)
        case "guide":
            events = walk.ask(GuideCaller, by, to=walk.owner)
        case "decide":
            events = walk.ask(DecideCase, by, outcome="bifall")
        case "transfer_warm":
            events = walk.ask(ConnectCaller, by, officer="vakthavande", warm=True)
        case "route":
            events = walk.ask(ConnectCaller, by, group=step.group)
        case "handover" if complaint:
            events = walk.ask(SendComplaint, by)
            refused(walk, CloseCase, by, outcome="complaint")
            delivery = next(iter(walk.state.deliveries))
            told = {"delivery": delivery, "reference": "KK-1"}
            walk.ask(NoteComplaintReceipt, officer_of(walk.owner), **told)
        case _:
            events = walk.ask(HandOverCase, by)
            handover = next(iter(walk.state.handovers))
            for receipt in ("received", "accepted"):
                told = {"handover": handover, "receipt": receipt}
                walk.ask(NoteReceipt, officer_of(walk.owner), **told)
    step_done: int | None = getattr(events[0], "step")  # noqa: B009 -- events of many kinds
    return step_done


def refused(walk: Walk, kind: Any, by: Asker, **fields: Any) -> Refused:
    before = walk.state
    with pytest.raises(Refused) as caught:
        walk.ask(kind, by, **fields)
    assert walk.state is before
    assert str(caught.value)
    return caught.value


@pytest.mark.requirement("R12")
@pytest.mark.requirement("R9")
@pytest.mark.requirement("R35")
@pytest.mark.parametrize(("case_type", "owner"), chains())
def test_a_case_goes_through_its_chain_to_its_end(case_type: CaseType, owner: str) -> None:
    walk, first = Walk(owner), first_of(case_type)
    walk.ask(RegisterCase, first, contact="call/desk/1", text=TEXT, group=case_type.steps[0].group)
    refused(walk, CloseCase, first, outcome="solved")  # no close without a type (R9)
    (categorised,) = walk.ask(CategoriseCase, first, case_type=case_type.code)
    assert getattr(categorised, "due_at") is not None  # noqa: B009
    for n, step in enumerate(case_type.steps):
        if n in walk.state.done:
            continue
        by = person_for(step, owner, first)
        assert does(walk, step, by, walk.state.complaint) == n, f"step {n}: {step.name}"
    assert walk.state.done == set(range(len(case_type.steps)))
    last = person_for(case_type.steps[-1], owner, first)
    if walk.state.registered_by is None:  # who has received it ends it: it is out of the sight
        last = officer_of(owner)  # of one who only registered it
    outcome = "complaint" if walk.state.complaint else "guided"
    walk.ask(CloseCase, last, outcome=outcome)
    assert walk.state.outcome == outcome


@pytest.mark.requirement("R13")
@pytest.mark.parametrize(("case_type", "owner"), chains())
def test_nobody_else_does_what_is_the_owners_or_another_levels(
    case_type: CaseType, owner: str
) -> None:
    """At each step all the wrong people try to answer, decide and close; then it is done right."""
    walk, first = Walk(owner), first_of(case_type)
    walk.ask(RegisterCase, first, group=case_type.steps[0].group)
    walk.ask(CategoriseCase, first, case_type=case_type.code)
    other = "MF" if owner != "MF" else "SBK"
    group = case_type.steps[0].group or ""
    for n, step in enumerate(case_type.steps):
        wrong = [agent_of(group, level=1), agent_of(group, level=2)]
        wrong += [officer_of(other), expert_of(other)]
        for by in wrong:
            for kind, said in ((AnswerCase, {"text": TEXT}), (DecideCase, {"outcome": "avslag"})):
                _stopped_or_its_own(walk, kind, by, said)
        if step.stops_the_centre and not walk.state.answered and step.action == "decide":
            stopped = refused(walk, CloseCase, first, outcome="solved")
            assert isinstance(stopped, STOPPED)
        if n not in walk.state.done:
            does(walk, step, person_for(step, owner, first), walk.state.complaint)


def _stopped_or_its_own(walk: Walk, kind: Any, by: Asker, said: dict[str, Any]) -> None:
    """By rule alone: stopped, or a step that is neither the owner's nor of a higher level."""
    chain = city().case_type(walk.state.case_type or "")
    assert chain is not None
    try:
        events = walk.rule(kind, by, **said)
    except STOPPED:
        return
    for event in events:
        assert kind is AnswerCase, "nobody but the owner decides"
        at = chain.steps[getattr(event, "step")]  # noqa: B009
        assert at.exercise_of_authority == "false"
        assert at.level in {"1", "2"}
        assert at.level == "1" or by.is_a(Role.AGENT_2)


@pytest.mark.requirement("R13")
@pytest.mark.parametrize(("case_type", "owner"), chains())
def test_at_each_step_of_the_owners_the_agent_can_still_help(
    case_type: CaseType, owner: str
) -> None:
    """The border leaves guide, register, connect and hand over, also at an authority's step."""
    for n, step in enumerate(case_type.steps):
        if not step.stops_the_centre:
            continue
        walk, first = Walk(owner), first_of(case_type)
        walk.ask(RegisterCase, first, group=case_type.steps[0].group)
        walk.ask(CategoriseCase, first, case_type=case_type.code)
        for earlier in case_type.steps[:n]:
            if case_type.steps.index(earlier) not in walk.state.done:
                does(walk, earlier, person_for(earlier, owner, first), walk.state.complaint)
        if walk.state.registered_by is None:  # somebody at level 2 has it since: a colleague there
            first = agent_of(case_type.steps[0].group or "", "cia", level=2)
        assert walk.rule(GuideCaller, first, to="eservice")
        assert walk.rule(ConnectCaller, first, group=step.group)
        assert walk.rule(NoteCase, first, text=TEXT)
        if not walk.state.handovers and not walk.state.complaint:
            assert walk.rule(HandOverCase, first)


# --- excluded areas -------------------------------------------------------------------------------
@pytest.mark.requirement("R11")
@pytest.mark.parametrize("case_type", EXCLUDED, ids=lambda case_type: case_type.code)
def test_of_an_excluded_type_a_warm_connection_is_all(case_type: CaseType) -> None:
    by, group = agent_of("sdn_allmant"), case_type.steps[-1].group
    walk = Walk(case_type.authority)
    assert isinstance(refused(walk, RegisterCase, by, text=TEXT), AuthorityExcluded)
    # Nor does a case of another authority tell that its person was sent there.
    walk = Walk("BRO")
    walk.ask(RegisterCase, by)
    for kind, said in (
        (CategoriseCase, {"case_type": case_type.code}),
        (ConnectCaller, {"group": group, "warm": True}),
        (GuideCaller, {"to": case_type.authority}),
        (GuideCaller, {"to": group}),
        (HandOverCase, {"receiver": case_type.authority}),
        (HandOverCase, {"group": group}),
        (CloseCase, {"outcome": "excluded"}),
    ):
        assert isinstance(refused(walk, kind, by, **said), AuthorityExcluded)
    command = TransferCall(
        id=ID, now=T0, actor="anna", call="call/desk/1", agent="anna", how="warm", to=group or ""
    )
    calls = given(CALLS, CallQueued("stadsdel", "stadsdel"), CallAnswered("stadsdel", "anna"))
    calls.when(command).then(CallTransferred("stadsdel", "anna", "warm", group or ""))
