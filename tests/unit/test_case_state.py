"""A case as its facts tell it: every fact is taken, and what does not fit is marked."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from case_facts import CLOSED, REGISTERED, TEXT, typed
from given import T0, S, folded

from core.case_rules import CASES
from core.case_state import CaseState
from core.cases import (
    AttachmentAdded,
    CallbackKept,
    CallbackPromised,
    CaseAnswered,
    CaseCategorised,
    CaseContactAdded,
    CaseDecided,
    CaseDisclosed,
    CaseEscalated,
    CaseGuided,
    CaseHandedOver,
    CaseNoted,
    CaseQuestionAnswered,
    CaseQuestionAsked,
    CaseReopened,
    CaseTaken,
    ComplaintAnswered,
    ComplaintReceiptNoted,
    ComplaintSent,
    ComplaintSilent,
    HandoverReceiptNoted,
    HandoverSilent,
    RegistryDecided,
)
from core.shifts import AgentAvailable

if TYPE_CHECKING:
    from core.commit import Event

WASTE = (REGISTERED, typed("TK-AVF-01"))
HANDED = CaseHandedOver("h", "anna", "TK", step=1)
SENT = ComplaintSent("d", "kk_tk", "anna")
ASKED = CaseQuestionAsked("olle", "q", "centre", TEXT)
PROMISED = CallbackPromised("p", "anna", T0)


@pytest.mark.parametrize(
    ("facts", "why"),
    [
        ((CaseGuided("anna", "TK"),), "guided before it was registered"),
        ((*WASTE, CLOSED, CaseAnswered("anna", "phone")), "answered after it was closed"),
        ((*WASTE, CLOSED, HANDED), "handed over after it was closed"),
        ((*WASTE, CLOSED, ASKED), "question asked after it was closed"),
        ((*WASTE, CLOSED, CaseTaken("olle")), "taken after it was closed"),
        ((*WASTE, CLOSED, CaseEscalated("anna", "1", "2")), "escalated after it was closed"),
        ((*WASTE, CaseReopened("anna")), "reopened while it was open"),
        ((*WASTE, CaseDecided("o", "ja"), CaseDecided("o", "nej")), "decided again"),
        ((*WASTE, HANDED, HANDED), "handed over again under one id"),
        ((*WASTE, SENT, SENT), "a complaint sent again under one id"),
        ((*WASTE, ASKED, ASKED), "a question asked again under one id"),
        ((*WASTE, PROMISED, PROMISED), "promised again under one id"),
        ((*WASTE, HandoverReceiptNoted("h", "received", "o")), "receipt of a hand-over that is"),
        ((*WASTE, HandoverSilent("h", T0)), "silence about a hand-over that is not there"),
        ((*WASTE, ComplaintReceiptNoted("d", "KK")), "news of a complaint that was not sent"),
        ((*WASTE, ComplaintSilent("d", T0)), "news of a complaint that was not sent"),
        ((*WASTE, ComplaintAnswered("d", "olle")), "news of a complaint that was not sent"),
        ((*WASTE, CaseQuestionAnswered("a", "q", TEXT)), "answer to a question that is not there"),
        ((*WASTE, CallbackKept("p", "anna")), "a promise kept that is not there"),
    ],
)
def test_a_fact_that_does_not_fit_is_taken_and_marked(facts: tuple[Event, ...], why: str) -> None:
    (marked,) = folded(CASES, *facts).contradictions
    assert why in marked.why
    assert (marked.type, marked.version) == (facts[-1].TOPIC, len(facts))


def test_a_receipt_that_goes_back_changes_nothing_but_is_marked() -> None:
    accepted = HandoverReceiptNoted("h", "accepted", "olle")
    for late in ("sent", "received", "returned", "lost"):
        state = folded(CASES, *WASTE, HANDED, accepted, HandoverReceiptNoted("h", late, "olle"))
        assert state.handovers["h"].receipt == "accepted"
        assert [c.why for c in state.contradictions] == ["receipt out of order"]


def test_what_may_come_after_the_end_is_no_contradiction() -> None:
    later = (
        CaseContactAdded("anna", "phone"),
        CaseNoted("anna", TEXT),
        ComplaintReceiptNoted("d", "KK"),
        ComplaintAnswered("d", "olle", TEXT),
        HandoverReceiptNoted("h", "received", "olle"),
        CallbackKept("p", "anna"),
        RegistryDecided("rut", "registered", "2026/1"),
        AttachmentAdded("anna", "ab", "k", 1, "image/png"),
        CaseDisclosed("rut", "TF"),
        CaseReopened("anna"),
    )
    state = folded(CASES, *WASTE, HANDED, SENT, PROMISED, CLOSED, *later)
    assert state.contradictions == ()


def test_who_only_passes_by_does_not_take_the_case_over() -> None:
    passing = (
        CaseContactAdded("bo", "phone"),
        CallbackKept("p", "bo"),
        HandoverSilent("h", T0),
        ComplaintSilent("d", T0),
        ComplaintReceiptNoted("d", "KK"),
    )
    state = folded(CASES, *WASTE, HANDED, SENT, PROMISED, *passing)
    assert state.registered_by == "anna"


def test_where_a_case_is_in_its_chain() -> None:
    assert folded(CASES, *WASTE).step == 0
    answered = CaseAnswered("anna", "phone", step=0)
    assert folded(CASES, *WASTE, answered).step == 1
    past = folded(CASES, *WASTE, HANDED)  # what was passed by is not done, and is not next
    assert (past.step, past.done) == (2, {1})
    anew = folded(CASES, *WASTE, HANDED, CaseCategorised("TK-AVF-03", "anna"))
    assert (anew.step, anew.done) == (0, frozenset())


def test_a_return_leads_back_to_the_step_and_to_the_centres_level() -> None:
    up = CaseEscalated("anna", "1", "specialist")
    answered, returned = (
        CaseAnswered("anna", "phone", step=0),
        HandoverReceiptNoted("h", "returned", "olle", TEXT),
    )
    state = folded(CASES, *WASTE, up, answered, HANDED, CaseTaken("olle"), returned)
    assert (state.step, state.level, state.officer) == (1, "2", None)
    assert folded(CASES, *WASTE, HANDED, returned).level == "1"


def test_other_streams_facts_are_none_of_a_cases() -> None:
    assert folded(CASES, AgentAvailable("anna")) is CASES.initial
    assert CaseState() == CASES.initial


def test_a_case_knows_when_it_was_registered() -> None:
    assert folded(CASES, REGISTERED).registered_at == T0 + 1 * S
