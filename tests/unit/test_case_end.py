"""How a case ends, and goes on: no close without what the outcome needs."""

from __future__ import annotations

import pytest
from case_facts import (
    ANNA,
    BO,
    CLOSED,
    REGISTERED,
    STREAM,
    TEXT,
    asked,
    registered,
    typed,
)
from given import agent, folded, given, officer

from core.access import Asker, Grant, Role
from core.case_commands import (
    CaseOfOfficer,
    CaseUnknown,
    CloseCase,
    DecideCase,
    ExerciseOfAuthority,
    ReceiptAwaited,
    ReopenCase,
)
from core.case_rules import CASES
from core.cases import (
    CaseAnswered,
    CaseClosed,
    CaseDecided,
    CaseGuided,
    CaseHandedOver,
    CaseReopened,
    CaseTaken,
    ComplaintReceiptNoted,
    ComplaintSent,
    HandoverReceiptNoted,
)
from core.personal import Personal

OLLE, SAM = officer(), officer("SAM", "sam")
REGISTRAR = Asker("rut", (Grant(Role.REGISTRAR, "TK"),))
H = "h"
WASTE = (REGISTERED, typed("TK-AVF-01"))
HANDED = CaseHandedOver(H, "anna", "TK", "spec_tk_avfall", step=1)
TO_SAM = CaseHandedOver("s", "anna", "SAM", "samverkan", safety=True)


def said(receipt: str, by: str = "olle", handover: str = H) -> HandoverReceiptNoted:
    reason = TEXT if receipt == "returned" else None
    return HandoverReceiptNoted(handover, receipt, by, reason)


PERMIT = (REGISTERED, typed("TK-PAR-02"))  # guide, hand over, decide: all the owner's
COMPLAINT = (REGISTERED, typed("ALL-KLA-01"), ComplaintSent("d", "kk_tk", "anna", step=1))
RECEIPT = ComplaintReceiptNoted("d", "KK-17")


def close(by: Asker, outcome: str, authority: str = "TK") -> CloseCase:
    return CloseCase(**asked(by, authority, outcome=outcome))


@pytest.mark.requirement("R13")
def test_an_agent_does_not_close_as_solved_what_only_the_owner_could_solve() -> None:
    guided = (*PERMIT, CaseGuided("anna", "TK", step=0))
    given(CASES, *guided).when(close(BO, "solved")).then_refused(ExerciseOfAuthority, "TK's alone")
    given(CASES, *guided).when(close(BO, "guided")).then(CaseClosed("guided", "bo"))
    given(CASES, *guided).when(close(BO, "eservice")).then(CaseClosed("eservice", "bo"))
    given(CASES, *guided).when(close(OLLE, "solved")).then(CaseClosed("solved", "olle"))
    of_both = (registered("MF"), typed("MF-AVG-01"))  # answer here, decide there
    answered = CaseAnswered("anna", "phone", "A010", 1, step=0)
    miljo = agent("anna", "tnh_miljo")
    solved = CaseClosed("solved", "anna")
    given(CASES, *of_both, answered).when(close(miljo, "solved", "MF")).then(solved)


@pytest.mark.requirement("R9")
@pytest.mark.parametrize("outcome", ["guided", "callback", "solved", "handed_over"])
def test_nothing_is_closed_while_a_receipt_is_awaited(outcome: str) -> None:
    for so_far in ((), (said("sent"),)):
        before = given(CASES, *WASTE, HANDED, *so_far)
        before.when(close(ANNA, outcome)).then_refused(ReceiptAwaited, "TK has not")
    received = given(CASES, *WASTE, HANDED, said("received"))
    if outcome == "solved":
        received.when(close(ANNA, outcome)).then_refused(CaseOfOfficer, "handed over")
    else:
        received.when(close(ANNA, outcome)).then(CaseClosed(outcome, "anna"))
    given(CASES, *WASTE, HANDED).when(close(OLLE, "solved")).then(CaseClosed("solved", "olle"))


@pytest.mark.requirement("R6")
@pytest.mark.requirement("R36")
def test_an_outcome_that_needs_a_receipt_has_one() -> None:
    returned = (*WASTE, HANDED, said("returned"))
    for outcome, facts in (
        ("handed_over", WASTE),
        ("handed_over", returned),
        ("complaint", WASTE),
        ("safety", (*WASTE, HANDED, said("received"))),
    ):
        given(CASES, *facts).when(close(ANNA, outcome)).then_refused(ReceiptAwaited, outcome)
    safe = (*WASTE, TO_SAM, said("received", "sam", "s"))
    given(CASES, *safe).when(close(ANNA, "safety")).then(CaseClosed("safety", "anna"))


@pytest.mark.requirement("R36")
def test_a_complaint_is_not_done_until_its_receipt_is_back() -> None:
    unsent = given(CASES, *COMPLAINT[:2])
    unsent.when(close(ANNA, "guided")).then_refused(ReceiptAwaited, "sent to the owner's")
    given(CASES, *COMPLAINT).when(close(ANNA, "complaint")).then_refused(ReceiptAwaited, "yet")
    done = CaseClosed("complaint", "anna")
    given(CASES, *COMPLAINT, RECEIPT).when(close(ANNA, "complaint")).then(done)


def test_a_taken_case_is_closed_by_those_who_work_on_it() -> None:
    taken = given(CASES, *WASTE, CaseTaken("olle"))
    taken.when(close(ANNA, "guided")).then_refused(CaseOfOfficer, "note")
    taken.when(close(OLLE, "solved")).then(CaseClosed("solved", "olle"))


def test_a_closed_case_goes_on_when_it_is_reopened() -> None:
    reason = Personal("Ringde igen.", STREAM)
    command = ReopenCase(**asked(reason=reason))
    again = CaseReopened("anna", reason)
    given(CASES, *WASTE, CLOSED).when(command).then(again)
    assert folded(CASES, *WASTE, CLOSED, again).outcome is None
    given(CASES, *WASTE).when(command).then_nothing_happened()
    given(CASES).when(command).then_refused(CaseUnknown)
    decided = (*PERMIT, CaseDecided("olle", "avslag"), CaseClosed("solved", "olle"), again)
    anew = DecideCase(**asked(OLLE, outcome="bifall"))
    assert given(CASES, *decided).when(anew).events
