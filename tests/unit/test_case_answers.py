"""Answers: by whom the step is for, from articles as they stood, and never across the border."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from case_facts import ANNA, BO, CLOSED, ID_2, REGISTERED, TEXT, asked, registered, typed
from given import T0, agent, city, given, officer

from core.case_commands import (
    AnswerCase,
    ArticleNotForLevel,
    ArticleOfAnother,
    ArticleUnknown,
    CaseIsClosed,
    CaseNotCategorised,
    CaseOfOfficer,
    DecideCase,
    ExerciseOfAuthority,
    GuardedAnswer,
    LevelNotTakenOver,
    LevelOfAnother,
    NotInTheChain,
)
from core.case_rules import CASES
from core.cases import (
    CaseAnswered,
    CaseHandedOver,
    CaseTaken,
)
from core.errors import Invalid
from core.personal import Personal
from core.taxonomy import Directory, EntryRemoved, EntrySet

if TYPE_CHECKING:
    from core.access import Asker

WASTE = (REGISTERED, typed("TK-AVF-01"))  # answer at 1, hand over at 2, answer by specialist
AGENT_MF = agent("anna", "tnh_miljo")


@pytest.mark.requirement("R20")
@pytest.mark.requirement("R7")
def test_an_answer_says_which_version_of_the_article_was_read_out() -> None:
    command = AnswerCase(**asked(article="A004"))
    expected = CaseAnswered("anna", "phone", "A004", 1, step=0)
    given(CASES, *WASTE).when(command).then(expected)
    changed = EntrySet("article", "A004", {**city().rows("article")["A004"], "body": "Ny"})
    later = Directory.of([changed], city())
    on_screen = AnswerCase(**asked(article="A004", article_version=1))
    given(CASES, *WASTE).in_city(later).when(on_screen).then(expected)
    given(CASES, *WASTE).in_city(later).when(command).then(
        CaseAnswered("anna", "phone", "A004", 2, step=0)
    )


@pytest.mark.requirement("R20")
def test_what_was_on_the_screen_counts_but_not_what_is_yet_to_come() -> None:
    row = {**city().rows("article")["A004"], "body": "Ny"}
    to_come = EntrySet("article", "A004", row, effective_from=T0)
    then = Directory.of([to_come], city())
    early = AnswerCase(**asked(article="A004", article_version=2))
    given(CASES, *WASTE).in_city(then).when(early).then_refused(ArticleUnknown, "1 stands")
    answered = CaseAnswered("anna", "phone", "A004", 2, step=0)
    given(CASES, *WASTE).in_city(then.at(T0)).when(early).then(answered)
    withdrawn = Directory.of([EntryRemoved("article", "A004")], city())
    seen = AnswerCase(**asked(article="A004", article_version=1))
    shown = CaseAnswered("anna", "phone", "A004", 1, step=0)
    given(CASES, *WASTE).in_city(withdrawn).when(seen).then(shown)
    gone = AnswerCase(**asked(article="A004"))
    given(CASES, *WASTE).in_city(withdrawn).when(gone).then_refused(ArticleUnknown, "no article")


@pytest.mark.requirement("R19")
def test_a_guarded_article_is_answered_by_its_fixed_text_alone() -> None:
    before = (REGISTERED, typed("TK-PAR-01"))
    parking = agent("anna", "tnh_parkering")
    command = AnswerCase(**asked(parking, article="A008"))
    expected = CaseAnswered("anna", "phone", "A008", 1, guarded=True, step=0)
    given(CASES, *before).when(command).then(expected)
    own_words = AnswerCase(**asked(parking, article="A008", text=TEXT))
    given(CASES, *before).when(own_words).then_refused(GuardedAnswer, "fixed text")
    row = {**city().rows("article")["A008"], "guard_text": None}
    without = Directory.of([EntrySet("article", "A008", row)], city())
    given(CASES, *before).in_city(without).when(command).then_refused(GuardedAnswer, "no fixed")


@pytest.mark.requirement("R21")
def test_a_letter_is_answered_with_a_standard_answer_at_level_2() -> None:
    before = (REGISTERED, typed("TK-TRP-01"))
    writer = agent("bo", "tnh_skrivet", level=2)
    command = AnswerCase(**asked(writer, article="A006", channel="letter"))
    given(CASES, *before).when(command).then(CaseAnswered("bo", "letter", "A006", 1, step=1))


@pytest.mark.requirement("R13")
@pytest.mark.parametrize(
    ("facts", "by", "authority", "fields", "kind", "saying"),
    [
        ((REGISTERED,), ANNA, "TK", {"text": TEXT}, CaseNotCategorised, "no type"),
        ((*WASTE, CLOSED), ANNA, "TK", {"text": TEXT}, CaseIsClosed, "solved"),
        (WASTE, ANNA, "TK", {}, Invalid, "what was answered"),
        (WASTE, ANNA, "TK", {"text": TEXT, "article_version": 1}, Invalid, "without an article"),
        (WASTE, ANNA, "TK", {"article": "A999"}, ArticleUnknown, "A999"),
        (WASTE, ANNA, "TK", {"article": "A004", "article_version": 2}, ArticleUnknown, "1 stands"),
        (WASTE, ANNA, "TK", {"article": "A004", "article_version": 0}, ArticleUnknown, "1 stands"),
        (WASTE, ANNA, "TK", {"article": "A009"}, ArticleOfAnother, "TK-AVF-01"),
        ((*WASTE, CaseTaken("olle")), ANNA, "TK", {"text": TEXT}, CaseOfOfficer, "officer"),
        ((REGISTERED, typed("TK-AVF-03")), ANNA, "TK", {"text": TEXT}, LevelOfAnother, "level 2"),
        ((REGISTERED, typed("TK-AVF-02")), BO, "TK", {"text": TEXT}, LevelOfAnother, "specialist"),
        ((REGISTERED, typed("TK-DRC-02")), BO, "TK", {"text": TEXT}, NotInTheChain, "guide"),
        (
            (registered("SBK"), typed("SBK-LOV-01")), agent("anna", "tnh_bygg"), "SBK",
            {"article": "A001"}, ExerciseOfAuthority, "guide, register, connect, hand over",
        ),
        (
            (registered("MF"), typed("MF-DIR-02")), AGENT_MF, "MF",
            {"text": TEXT}, ExerciseOfAuthority, "may be exercise of authority",
        ),
    ],
)  # fmt: skip
def test_an_answer_that_may_not_be_given_is_refused(
    facts: Any, by: Asker, authority: str, fields: Any, kind: type[Exception], saying: str
) -> None:
    command = AnswerCase(**asked(by, authority, **fields))
    given(CASES, *facts).when(command).then_refused(kind, saying)


@pytest.mark.requirement("R8")
def test_level_1_reads_out_what_is_meant_for_it() -> None:
    row = {**city().rows("article")["A004"], "read_out_level1": False}
    for_2 = Directory.of([EntrySet("article", "A004", row)], city())
    waste = given(CASES, *WASTE).in_city(for_2)
    waste.when(AnswerCase(**asked(article="A004"))).then_refused(ArticleNotForLevel, "level 1")
    waste.when(AnswerCase(**asked(BO, article="A004"))).then(
        CaseAnswered("bo", "phone", "A004", 2, step=0)
    )


@pytest.mark.requirement("R10")
def test_a_level_that_the_authority_has_kept_is_not_answered_here() -> None:
    row: dict[str, object] = {"authority": "TK", "levels": ["1"], "valid_from": "1970-01-01"}
    kept = Directory.of([EntrySet("takeover", "TK", row)], city())
    invoice = given(CASES, REGISTERED, typed("TK-AVF-03")).in_city(kept)
    command = AnswerCase(**asked(BO, text=TEXT))
    invoice.when(command).then_refused(LevelNotTakenOver, "not 2: hand over")


@pytest.mark.requirement("R13")
def test_the_owners_officer_in_the_answer_group_may_act() -> None:
    before = (registered("SBK"), typed("SBK-EXP-02"))
    command = AnswerCase(**asked(officer("SBK"), "SBK", text=TEXT))
    given(CASES, *before).when(command).then(CaseAnswered("olle", "phone", text=TEXT, step=0))
    beyond = (registered("SBK"), typed("SBK-LOV-01"))  # and what no step foresaw
    given(CASES, *beyond).when(command).then(CaseAnswered("olle", "phone", text=TEXT))


@pytest.mark.requirement("R12")
def test_officers_of_the_groups_other_authorities_do_its_plain_steps_and_no_others() -> None:
    to_sdn = CaseHandedOver("h", "anna", "SDN", "spec_sdn")
    before = (registered("BRO"), typed("SDN-ALM-01"), to_sdn)  # answer at 1, answer by spec_sdn
    command = AnswerCase(**asked(officer("SDN"), "BRO", text=TEXT))
    given(CASES, *before).when(command).then(CaseAnswered("olle", "phone", text=TEXT, step=1))
    decision = (registered("BRO"), typed("SDN-SKR-01"), to_sdn)  # reply at 2, decide by spec_sdn
    decides = DecideCase(**asked(officer("SDN"), "BRO", outcome="bifall"))
    given(CASES, *decision).when(decides).then_refused(ExerciseOfAuthority, "BRO's alone")


@pytest.mark.requirement("R6")
def test_a_receiver_works_on_what_it_was_given_up_to_the_owners_border() -> None:
    to_sam = CaseHandedOver("s", "anna", "SAM", "samverkan", safety=True)
    sam = officer("SAM", "sam")
    command = AnswerCase(**asked(sam, text=TEXT))
    for code in ("TK-DRC-02", "TK-AVF-01"):  # no step of its own: it answers beside the chain
        before = (REGISTERED, typed(code), to_sam)
        given(CASES, *before).when(command).then(CaseAnswered("sam", "phone", text=TEXT))
    barred = (REGISTERED, typed("TK-PAR-02"), to_sam)
    given(CASES, *barred).when(command).then_refused(ExerciseOfAuthority)


@pytest.mark.requirement("R8")
def test_level_2_is_learned_by_subject() -> None:
    elsewhere = agent("bo", "tnh_miljo", level=2)
    before = (REGISTERED, typed("TK-AVF-03"))  # answer at 2
    command = AnswerCase(**asked(elsewhere, text=TEXT))
    given(CASES, *before).when(command).then_refused(LevelOfAnother, "level 2")
    given(CASES, *WASTE).when(command).then(CaseAnswered("bo", "phone", text=TEXT, step=0))


def test_a_caller_may_ask_twice() -> None:
    first = CaseAnswered("anna", "phone", "A004", 1, step=0)
    another = AnswerCase(**asked(text=Personal("På tisdag.", "case/TK/x")))
    (event,) = given(CASES, *WASTE, first).when(another).events
    assert isinstance(event, CaseAnswered)
    assert event.step == 0


def test_the_same_answer_again_at_once_does_nothing() -> None:
    before = (*WASTE, CaseAnswered("anna", "phone", "A004", 1, step=0))
    command = AnswerCase(**asked(id=ID_2, article="A004"))
    given(CASES, *before).when(command).then_nothing_happened()
