"""Who changes what in the catalogue, and what it rests on."""

from __future__ import annotations

import copy
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from given import ID, T0, S, city, given, officer, recorded

from core.access import Asker, Grant, Role, Verdict, verdict
from core.change_rules import CATALOGUE, PENDING_MAX, EntryState, place, why_decision
from core.changes import (
    ApproveChange,
    CentresMatter,
    ChangeIsRefused,
    ChangeOutOfDate,
    ChangeUnknown,
    DecisionNeeded,
    EntryUnknown,
    NotYourProposal,
    OwnerIsFixed,
    OwnersMatter,
    OwnProposal,
    ProposeChange,
    RefuseChange,
    SetEntry,
    TakeBackChange,
    TooManyProposals,
    WithdrawEntry,
)
from core.entries import ChangeProposed, ChangeRefused, EntryRemoved, EntrySet
from core.errors import Invalid

ADMIN = Asker("ada", (Grant(Role.ADMINISTRATOR),))
OWNER = officer("TK", "olle", approves=True)
DAY = timedelta(days=1)
CHANGE = str(ID)


def row(section: str, key: str, **changed: Any) -> dict[str, Any]:
    """A row of the shipped catalogue, with some fields changed; None takes one away."""
    found = city().entry(section, key)
    assert found is not None
    new = {**copy.deepcopy(found), **changed}
    return {name: value for name, value in new.items() if value is not None}


def asked(section: str, key: str, by: str = "ada", **more: Any) -> dict[str, Any]:
    return {"id": ID, "now": T0 + 60 * S, "actor": by, "section": section, "key": key, **more}


TYPE = ("case_type", "TK-AVF-02")
OLD, NEW = row(*TYPE), row(*TYPE, sla_hours=8)
STANDS = EntrySet(*TYPE, OLD)
PROPOSED = ChangeProposed(CHANGE, *TYPE, "TK", NEW, base=1)
GROUP = ("answer_group", "tnh_avfall")


# --- proposing ------------------------------------------------------------------------------------
@pytest.mark.requirement("R45")
def test_what_an_authority_owns_is_proposed_to_it() -> None:
    given(CATALOGUE, STANDS).when(
        ProposeChange(**asked(*TYPE, fields=NEW, effective_from=T0 + DAY, note="kortare tid"))
    ).then(
        replace(PROPOSED, effective_from=T0 + DAY, note="kortare tid"),
    )


def test_a_new_entry_and_a_withdrawal_are_proposed_too() -> None:
    code = "TK-NY-01"
    new = {**OLD, "code": code}
    given(CATALOGUE).when(ProposeChange(**asked("case_type", code, fields=new))).then(
        ChangeProposed(CHANGE, "case_type", code, "TK", new)
    )
    article = ("article", "A022")
    given(CATALOGUE, EntrySet(*article, row(*article))).when(
        ProposeChange(**asked(*article, fields=None))
    ).then(ChangeProposed(CHANGE, *article, "SERV", withdraw=True, base=1))


def test_the_centres_own_is_not_proposed() -> None:
    given(CATALOGUE, EntrySet(*GROUP, row(*GROUP))).when(
        ProposeChange(**asked(*GROUP, fields=row(*GROUP, max_waiting=9)))
    ).then_refused(CentresMatter)


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        (row(*TYPE, sla_hours="8"), "sla_hours is a number"),
        (row(*TYPE, area="avfal"), "no area avfal; did you mean avfall?"),
        (row(*TYPE, code="TK-AVF-03"), "its fields say TK-AVF-03"),
        (row(*TYPE, colour="red"), "no field 'colour'"),
        (None, "case_types, 1: no case_type TK-AVF-02"),
    ],
)
def test_what_does_not_fit_the_catalogue_is_refused(fields: Any, said: str) -> None:
    given(CATALOGUE, STANDS).when(ProposeChange(**asked(*TYPE, fields=fields))).then_refused(
        Invalid, said
    )


def test_an_entry_does_not_change_its_owner() -> None:
    given(CATALOGUE, STANDS).when(
        ProposeChange(**asked(*TYPE, fields=row(*TYPE, authority="MF", area="halsoskydd")))
    ).then_refused(OwnerIsFixed)


def test_what_never_was_is_not_withdrawn() -> None:
    given(CATALOGUE).when(ProposeChange(**asked("area", "ny", fields=None))).then_refused(
        EntryUnknown
    )


def test_to_propose_what_stands_or_waits_already_is_quiet() -> None:
    given(CATALOGUE, STANDS).when(ProposeChange(**asked(*TYPE, fields=OLD))).then_nothing_happened()
    given(CATALOGUE, STANDS, PROPOSED).when(
        ProposeChange(**asked(*TYPE, fields=NEW))
    ).then_nothing_happened()


def test_proposals_for_one_entry_are_bounded() -> None:
    waiting = [replace(PROPOSED, change=str(n)) for n in range(PENDING_MAX)]
    given(CATALOGUE, STANDS, *waiting).when(
        ProposeChange(**asked(*TYPE, fields=row(*TYPE, sla_hours=7)))
    ).then_refused(TooManyProposals)


# --- approving ------------------------------------------------------------------------------------
@pytest.mark.requirement("R45")
def test_the_owner_approves_and_the_change_stands() -> None:
    given(CATALOGUE, STANDS, replace(PROPOSED, effective_from=T0 + DAY)).when(
        ApproveChange(**asked(*TYPE, by="olle", change=CHANGE))
    ).then(EntrySet(*TYPE, NEW, T0 + DAY, CHANGE, "TK"))


def test_an_approved_withdrawal_removes_the_entry() -> None:
    article = ("article", "A022")
    proposed = ChangeProposed(CHANGE, *article, "SERV", withdraw=True, base=1)
    given(CATALOGUE, EntrySet(*article, row(*article)), proposed).when(
        ApproveChange(**asked(*article, by="olle", change=CHANGE))
    ).then(EntryRemoved(*article, None, CHANGE, "SERV"))


@pytest.mark.requirement("R45")
def test_nobody_approves_his_or_her_own_proposal() -> None:
    given(CATALOGUE, STANDS, PROPOSED).when(
        ApproveChange(**asked(*TYPE, by="anna", change=CHANGE))
    ).then_refused(OwnProposal)


def test_what_was_changed_since_is_not_approved() -> None:
    given(CATALOGUE, STANDS, PROPOSED, EntrySet(*TYPE, row(*TYPE, priority=1))).when(
        ApproveChange(**asked(*TYPE, by="olle", change=CHANGE))
    ).then_refused(ChangeOutOfDate)


def test_what_no_longer_fits_the_catalogue_is_not_approved() -> None:
    broken = replace(PROPOSED, fields=row(*TYPE, area="borta"))
    given(CATALOGUE, STANDS, broken).when(
        ApproveChange(**asked(*TYPE, by="olle", change=CHANGE))
    ).then_refused(ChangeOutOfDate, "no area borta")


def test_what_was_never_proposed_or_was_refused_is_not_approved() -> None:
    given(CATALOGUE, STANDS).when(
        ApproveChange(**asked(*TYPE, by="olle", change="x"))
    ).then_refused(ChangeUnknown)
    given(CATALOGUE, STANDS, PROPOSED, ChangeRefused(CHANGE, *TYPE, "nej")).when(
        ApproveChange(**asked(*TYPE, by="olle", change=CHANGE))
    ).then_refused(ChangeIsRefused)


def test_to_approve_twice_is_quiet() -> None:
    given(CATALOGUE, STANDS, PROPOSED, EntrySet(*TYPE, NEW, None, CHANGE, "TK")).when(
        ApproveChange(**asked(*TYPE, by="olle", change=CHANGE))
    ).then_nothing_happened()


@pytest.mark.requirement("R45")
def test_only_who_speaks_for_the_owner_approves() -> None:
    state = EntryState()
    for n, event in enumerate((STANDS, PROPOSED), start=1):
        state = CATALOGUE.evolve(state, recorded(event, n))
    command = ApproveChange(**asked(*TYPE, by="olle", change=CHANGE))
    where = place(state, command)
    for asker, allowed in (
        (OWNER, True),
        (officer("TK"), False),
        (officer("MF", approves=True), False),
        (ADMIN, False),
    ):
        found = verdict(asker, command.DEED, where, city())
        assert (found is Verdict.ALLOWED) == allowed, asker


# --- refusing and taking back ---------------------------------------------------------------------
def test_the_owner_refuses_with_a_reason() -> None:
    given(CATALOGUE, STANDS, PROPOSED).when(
        RefuseChange(**asked(*TYPE, by="olle", change=CHANGE, reason="inte nu"))
    ).then(ChangeRefused(CHANGE, *TYPE, "inte nu"))


def test_what_was_approved_is_not_refused() -> None:
    given(CATALOGUE, STANDS, PROPOSED, EntrySet(*TYPE, NEW, None, CHANGE, "TK")).when(
        RefuseChange(**asked(*TYPE, by="olle", change=CHANGE, reason="inte nu"))
    ).then_refused(ChangeOutOfDate)
    given(CATALOGUE, STANDS).when(
        RefuseChange(**asked(*TYPE, by="olle", change=CHANGE, reason="inte nu"))
    ).then_refused(ChangeUnknown)


def test_to_refuse_twice_is_quiet() -> None:
    given(CATALOGUE, STANDS, PROPOSED, ChangeRefused(CHANGE, *TYPE, "nej")).when(
        RefuseChange(**asked(*TYPE, by="olle", change=CHANGE, reason="inte nu"))
    ).then_nothing_happened()


def test_who_proposed_takes_it_back_and_nobody_else() -> None:
    back = {"change": CHANGE, "reason": "fel rad"}
    given(CATALOGUE, STANDS, PROPOSED).when(TakeBackChange(**asked(*TYPE, by="anna", **back))).then(
        ChangeRefused(CHANGE, *TYPE, "fel rad", taken_back=True)
    )
    given(CATALOGUE, STANDS, PROPOSED).when(
        TakeBackChange(**asked(*TYPE, by="olle", **back))
    ).then_refused(NotYourProposal)
    given(CATALOGUE, STANDS, PROPOSED, ChangeRefused(CHANGE, *TYPE, "x", taken_back=True)).when(
        TakeBackChange(**asked(*TYPE, by="anna", **back))
    ).then_nothing_happened()


# --- setting --------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("key", "changed"),
    [
        (GROUP, {"max_waiting": 9}),
        (("calendar", "kontor"), {"name": "Kontor"}),
        (("wrap_up", "solved"), {"name": "Löst"}),
        (("pause_reason", "rast"), {"max_minutes": 20}),
        (("ivr", "ivr_stad"), {"timeout_s": 9}),
    ],
)
def test_the_centre_sets_its_own(key: tuple[str, str], changed: dict[str, Any]) -> None:
    new = row(*key, **changed)
    given(CATALOGUE, EntrySet(*key, row(*key))).when(
        SetEntry(**asked(*key, fields=new, effective_from=T0 + DAY))
    ).then(EntrySet(*key, new, T0 + DAY))


@pytest.mark.requirement("R45")
@pytest.mark.parametrize(
    "key",
    [
        TYPE,
        ("article", "A022"),
        ("area", "avfall"),
        ("complaint_system", "kk_tk"),
        ("baseline", "BL-BRO-2003"),
    ],
)
def test_the_centre_does_not_set_what_an_authority_owns(key: tuple[str, str]) -> None:
    given(CATALOGUE, EntrySet(*key, row(*key))).when(
        SetEntry(**asked(*key, fields=row(*key, note="ändrad")))
    ).then_refused(OwnersMatter)


@pytest.mark.requirement("R45")
def test_an_approval_outside_this_system_is_set_with_its_decision() -> None:
    ask = asked(*TYPE, fields=NEW, approved_by="TK")
    given(CATALOGUE, STANDS).when(SetEntry(**ask)).then_refused(DecisionNeeded)
    given(CATALOGUE, STANDS).when(SetEntry(**ask, decision="TK 2026-17")).then(
        EntrySet(*TYPE, NEW, None, None, "TK", "TK 2026-17")
    )
    other = {**ask, "approved_by": "MF"}
    given(CATALOGUE, STANDS).when(SetEntry(**other, decision="MF 1")).then_refused(
        Invalid, "is TK's matter, not MF's"
    )


def test_to_set_what_stands_is_quiet_also_at_a_later_time() -> None:
    new = row(*GROUP, max_waiting=9)
    later = EntrySet(*GROUP, new, T0 + DAY)
    before = (EntrySet(*GROUP, row(*GROUP)), later)
    given(CATALOGUE, *before).when(
        SetEntry(**asked(*GROUP, fields=row(*GROUP)))
    ).then_nothing_happened()
    given(CATALOGUE, *before).when(
        SetEntry(**asked(*GROUP, fields=new, effective_from=T0 + 2 * DAY))
    ).then_nothing_happened()
    given(CATALOGUE, *before).when(SetEntry(**asked(*GROUP, fields=new))).then(
        EntrySet(*GROUP, new)
    )


def test_an_entry_is_withdrawn_and_what_others_refer_to_is_not() -> None:
    key = ("pause_reason", "rast")
    given(CATALOGUE, EntrySet(*key, row(*key))).when(WithdrawEntry(**asked(*key))).then(
        EntryRemoved(*key)
    )
    given(CATALOGUE, EntrySet(*GROUP, row(*GROUP))).when(
        WithdrawEntry(**asked(*GROUP))
    ).then_refused(Invalid, "no answer_group tnh_avfall")
    given(CATALOGUE, EntrySet(*key, row(*key)), EntryRemoved(*key)).when(
        WithdrawEntry(**asked(*key))
    ).then_nothing_happened()


def test_a_time_without_zone_is_refused() -> None:
    naive = T0.replace(tzinfo=None)
    given(CATALOGUE).when(
        SetEntry(**asked(*GROUP, fields=row(*GROUP), effective_from=naive))
    ).then_refused(Invalid, "no time zone")


# --- what rests on a decision ---------------------------------------------------------------------
def steps(*flags: str) -> list[dict[str, str]]:
    """The chain of SBK's permit, with other flags."""
    found = copy.deepcopy(row("case_type", "SBK-LOV-02")["steps"])
    return [
        {**step, "exercise_of_authority": flag} for step, flag in zip(found, flags, strict=True)
    ]


PERMIT = row("case_type", "SBK-LOV-02")
FLAGS = [step["exercise_of_authority"] for step in PERMIT["steps"]]


@pytest.mark.requirement("R14")
def test_a_step_leaves_the_exercise_of_authority_by_a_recorded_decision_alone() -> None:
    key = ("case_type", "SBK-LOV-02")
    assert set(FLAGS) - {"false"}, "the shipped type has steps of authority"
    free = {**PERMIT, "steps": steps(*("false" for _ in FLAGS))}
    proposed = ChangeProposed(CHANGE, *key, "SBK", free, base=1)
    ask = asked(*key, by="olle", change=CHANGE)
    before = EntrySet(*key, PERMIT)
    given(CATALOGUE, before, proposed).when(ApproveChange(**ask)).then_refused(
        DecisionNeeded, "no longer be exercise of authority (R14)"
    )
    given(CATALOGUE, before, proposed).when(ApproveChange(**ask, decision="SBN 2026/7")).then(
        EntrySet(*key, free, None, CHANGE, "SBK", "SBN 2026/7")
    )
    given(CATALOGUE, before, replace(proposed, decision="SBN 1")).when(ApproveChange(**ask)).then(
        EntrySet(*key, free, None, CHANGE, "SBK", "SBN 1")
    )
    gone = EntryRemoved(*key)  # nor by withdrawing the type and beginning anew
    given(CATALOGUE, before, gone, replace(proposed, base=2)).when(
        ApproveChange(**ask)
    ).then_refused(DecisionNeeded)


@pytest.mark.requirement("R14")
def test_to_leave_a_step_out_or_to_rename_it_does_not_get_round_it() -> None:
    fewer = {
        **PERMIT,
        "steps": [s for s in PERMIT["steps"] if s["exercise_of_authority"] == "false"],
    }
    renamed = {
        **PERMIT,
        "steps": [{**s, "name": f"{s['name']} 2"} for s in steps(*("false" for _ in FLAGS))],
    }
    for new in (fewer, renamed):
        assert why_decision("case_type", PERMIT, new, city()) is not None
    stricter = {**PERMIT, "steps": steps(*("true" for _ in FLAGS))}
    assert why_decision("case_type", PERMIT, stricter, city()) is None


@pytest.mark.requirement("R11", "R54")
@pytest.mark.parametrize(
    ("key", "changed", "said"),
    [
        (("conflict_pair", "MF/TK"), {"enforced": False}, "conflict of interest"),
        (("authority", "SOC"), {"excluded": False}, "no longer be excluded"),
        (("case_type", "SOC-UTE-01"), {"priority": 1}, "SOC is excluded and approves nothing"),
    ],
)
def test_a_border_of_the_law_is_loosened_by_a_decision_alone(
    key: tuple[str, str], changed: dict[str, Any], said: str
) -> None:
    new = row(*key, **changed)
    ask = asked(*key, fields=new, whole=True)
    before = EntrySet(*key, row(*key))
    given(CATALOGUE, before).when(SetEntry(**ask)).then_refused(DecisionNeeded, said)
    given(CATALOGUE, before).when(SetEntry(**ask, decision="KF 2026:4")).then(
        EntrySet(*key, new, None, None, None, "KF 2026:4")
    )
    if key[0] != "case_type":
        given(CATALOGUE, before).when(WithdrawEntry(**asked(*key, whole=True))).then_refused(
            DecisionNeeded
        )


def test_everybodys_case_types_are_the_centres_to_set() -> None:
    key = ("case_type", "ALL-INF-01")
    new = row(*key, priority=2)
    given(CATALOGUE, EntrySet(*key, row(*key))).when(SetEntry(**asked(*key, fields=new))).then(
        EntrySet(*key, new)
    )
