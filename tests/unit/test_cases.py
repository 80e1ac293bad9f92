"""The rules of cases: each command does, refuses, and stays quiet."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Any

import pytest
from given import ID, T0, city, folded, given

from core.case_asking import case_number
from core.case_commands import (
    AuthorityExcluded,
    AuthorityUnknown,
    CaseExists,
    CaseIsClosed,
    CaseNotCategorised,
    CaseTypeOfAnother,
    CaseTypeUnknown,
    CaseUnknown,
    CategoriseCase,
    CloseCase,
    RegisterCase,
)
from core.case_rules import CASES
from core.cases import CaseCategorised, CaseClosed, CaseRegistered
from core.errors import Invalid
from core.personal import Personal
from core.taxonomy import Directory

ANNA = "anna"
CASE = "5f0e6c1a-0000"
TITLE = Personal("Trasig lampa vid porten", "caller/1")
ASKED: dict[str, Any] = {
    "id": ID, "now": T0, "actor": ANNA, "authority": "TK", "case": CASE, "agent": ANNA,
}  # fmt: skip
REGISTERED = CaseRegistered("TK-5MN5W-SGQJD", "TK", ANNA, "phone", "call/desk/1", TITLE)
BY_DEC_3 = datetime(2026, 12, 3, 15, 0, tzinfo=UTC)  # 80 h of 9 a day from Sunday: 8 days and 8 h
BY_NOV_25 = datetime(2026, 11, 25, 13, 0, tzinfo=UTC)  # 24 h: Monday, Tuesday and 6 h
CATEGORISED = CaseCategorised("TK-TRP-01", ANNA, type_version=1, due_at=BY_DEC_3, step=0)
CLOSED = CaseClosed("solved", ANNA, True)


# --- register -------------------------------------------------------------------------------------
def test_a_case_is_registered_from_a_call() -> None:
    command = RegisterCase(**ASKED, contact="call/desk/1", title=TITLE)
    given(CASES).when(command).then(REGISTERED)


def test_a_case_is_registered_without_a_call_and_with_a_number_of_its_own() -> None:
    command = RegisterCase(**ASKED, channel="letter", number="R0010007-3")
    given(CASES).when(command).then(CaseRegistered("R0010007-3", "TK", ANNA, "letter"))


@pytest.mark.requirement("R11")
@pytest.mark.parametrize("authority", ["SOC", "FUN"])
def test_a_case_of_an_excluded_area_is_refused_before_anything_is_proposed(authority: str) -> None:
    command = RegisterCase(**{**ASKED, "authority": authority}, title=TITLE)
    given(CASES).when(command).then_refused(AuthorityExcluded, "connect the caller")
    with pytest.raises(AuthorityExcluded):
        command.check(city())


def test_a_case_of_an_unknown_authority_is_refused() -> None:
    command = RegisterCase(**{**ASKED, "authority": "NASA"})
    given(CASES).when(command).then_refused(AuthorityUnknown, "NASA")
    given(CASES).in_city(Directory()).when(RegisterCase(**ASKED)).then_refused(AuthorityUnknown)


def test_a_case_by_an_unknown_channel_or_with_a_slash_in_its_id_is_refused() -> None:
    given(CASES).when(RegisterCase(**ASKED, channel="telex")).then_refused(Invalid, "email")
    slashed = RegisterCase(**{**ASKED, "case": "a/b"})
    given(CASES).when(slashed).then_refused(Invalid, "slash")


def test_a_case_id_is_not_used_for_another_case() -> None:
    command = RegisterCase(**ASKED, contact="call/desk/2")
    given(CASES, REGISTERED).when(command).then_refused(CaseExists, "taken")


def test_registering_the_same_case_twice_does_nothing_more() -> None:
    command = RegisterCase(**ASKED, contact="call/desk/1", title=TITLE)
    given(CASES, REGISTERED).when(command).then_nothing_happened()


# --- categorise -----------------------------------------------------------------------------------
@pytest.mark.requirement("R9")
def test_a_case_gets_a_type_of_its_authority() -> None:
    given(CASES, REGISTERED).when(CategoriseCase(**ASKED, case_type="TK-TRP-01")).then(CATEGORISED)


def test_a_case_gets_a_type_that_belongs_to_all() -> None:
    command = CategoriseCase(**ASKED, case_type="ALL-BER-01")
    given(CASES, REGISTERED).when(command).then(
        CaseCategorised("ALL-BER-01", ANNA, type_version=1, due_at=BY_NOV_25, step=0)
    )


@pytest.mark.requirement("R36")
def test_a_type_of_complaints_makes_the_case_a_complaint() -> None:
    command = CategoriseCase(**ASKED, case_type="ALL-KLA-01")
    expected = CaseCategorised("ALL-KLA-01", ANNA, True, 1, BY_NOV_25, 0)
    given(CASES, REGISTERED).when(command).then(expected)
    given(CASES, REGISTERED, expected).when(command).then_nothing_happened()


@pytest.mark.parametrize(
    ("before", "case_type", "refusal"),
    [
        ((), "TK-TRP-01", CaseUnknown),
        ((REGISTERED,), "TK-XXX-99", CaseTypeUnknown),
        ((REGISTERED,), "MF-LIV-01", CaseTypeOfAnother),
        ((REGISTERED,), "SOC-UTE-01", AuthorityExcluded),
        ((REGISTERED, CATEGORISED, CLOSED), "ALL-BER-01", CaseIsClosed),
    ],
)
def test_a_type_that_does_not_fit_is_refused(
    before: Any, case_type: str, refusal: type[Exception]
) -> None:
    given(CASES, *before).when(CategoriseCase(**ASKED, case_type=case_type)).then_refused(refusal)


def test_giving_a_case_the_type_it_has_does_nothing() -> None:
    command = CategoriseCase(**ASKED, case_type="TK-TRP-01")
    given(CASES, REGISTERED, CATEGORISED).when(command).then_nothing_happened()


# --- close ----------------------------------------------------------------------------------------
def test_a_categorised_case_is_closed() -> None:
    command = CloseCase(**ASKED, outcome="solved", first_contact=True)
    given(CASES, REGISTERED, CATEGORISED).when(command).then(CLOSED)


@pytest.mark.requirement("R9")
def test_a_case_without_a_type_is_not_closed() -> None:
    command = CloseCase(**ASKED, outcome="solved")
    given(CASES, REGISTERED).when(command).then_refused(CaseNotCategorised, "categorised before")


def test_a_case_is_not_closed_when_unknown_or_closed_differently_or_with_an_unknown_outcome() -> (
    None
):
    given(CASES).when(CloseCase(**ASKED, outcome="solved")).then_refused(CaseUnknown)
    closed = given(CASES, REGISTERED, CATEGORISED, CLOSED)
    closed.when(CloseCase(**ASKED, outcome="guided")).then_refused(CaseIsClosed, "solved")
    closed.when(CloseCase(**ASKED, outcome="fixed")).then_refused(Invalid, "solved")


def test_closing_a_closed_case_the_same_way_does_nothing() -> None:
    command = CloseCase(**ASKED, outcome="solved", first_contact=True)
    given(CASES, REGISTERED, CATEGORISED, CLOSED).when(command).then_nothing_happened()


# --- facts that do not fit ------------------------------------------------------------------------
def test_facts_that_do_not_fit_are_taken_and_marked() -> None:
    other = CaseRegistered("TK-2", "TK", "bo", "phone")
    state = folded(CASES, REGISTERED, other, CLOSED, CATEGORISED, CLOSED)
    assert state.number == "TK-5MN5W-SGQJD"
    assert [c.why for c in state.contradictions] == [
        "registered again as TK-2",
        "closed without a type",
        "categorised after it was closed",
        "closed after it was closed",
    ]
    assert "before it was registered" in folded(CASES, CATEGORISED).contradictions[0].why


def test_numbers_that_are_told_are_easily_said_and_do_not_meet() -> None:
    numbers = {case_number("TK", f"{n:016x}") for n in range(100_000)}
    assert len(numbers) == 100_000
    assert all(re.fullmatch(r"TK(-[0-9A-HJKMNP-TV-Z]{5}){2}", number) for number in numbers)
