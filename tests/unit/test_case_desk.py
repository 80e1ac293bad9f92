"""The contact centre's commands: contacts, types, escalation, guiding, notes, questions."""

from __future__ import annotations

from typing import Any

import pytest
from case_facts import CLOSED, ID_2, REGISTERED, TEXT, asked, registered, typed
from given import agent, city, folded, given, officer

from core.access import Asker, Grant, Role
from core.case_commands import (
    AddContact,
    AnswerCase,
    AnswerQuestion,
    ArticleOfAnother,
    ArticleUnknown,
    AuthorityExcluded,
    CaseIsClosed,
    CaseOfOfficer,
    CaseTypeOfAnother,
    CaseUnknown,
    CategoriseCase,
    ConflictOfInterest,
    EscalateCase,
    EscalatedAlready,
    ExerciseOfAuthority,
    GuardedAnswer,
    GuideCaller,
    LevelNotTakenOver,
    NoteCase,
    QuestionIsAnswered,
    QuestionUnknown,
    RegisterCase,
)
from core.case_rules import CASES
from core.cases import (
    CaseAnswered,
    CaseCategorised,
    CaseContactAdded,
    CaseEscalated,
    CaseGuided,
    CaseNoted,
    CaseQuestionAnswered,
    CaseQuestionAsked,
    CaseRegistered,
    CaseTaken,
)
from core.errors import Invalid
from core.personal import Personal
from core.taxonomy import Directory, EntrySet

WASTE = (REGISTERED, typed("TK-AVF-01"))  # answer at 1, hand over at 2, answer by specialist
AGENT_SBK, AGENT_MF = agent("anna", "tnh_bygg"), agent("anna", "tnh_miljo")


# --- contacts -------------------------------------------------------------------------------------
@pytest.mark.requirement("R24")
def test_a_case_has_many_contacts_by_any_channel() -> None:
    command = AddContact(**asked(channel="letter", caller_ref="r"))
    given(CASES, REGISTERED).when(command).then(CaseContactAdded("anna", "letter", None, "r"))
    again = AddContact(**asked(contact="call/desk/2"))
    closed = given(CASES, *WASTE, CLOSED)  # also of a closed case somebody may ask
    closed.when(again).then(CaseContactAdded("anna", "phone", "call/desk/2"))


def test_a_contact_of_no_case_or_by_an_unknown_channel_is_refused() -> None:
    given(CASES).when(AddContact(**asked())).then_refused(CaseUnknown)
    given(CASES, REGISTERED).when(AddContact(**asked(channel="telex"))).then_refused(Invalid)


def test_a_call_is_one_contact_however_often_it_is_added() -> None:
    first = AddContact(**asked(contact="call/desk/1"))  # it is the one that opened the case
    given(CASES, REGISTERED).when(first).then_nothing_happened()
    letter = CaseContactAdded("anna", "letter", None, "r")
    again = AddContact(**asked(id=ID_2, channel="letter", caller_ref="r"))
    given(CASES, REGISTERED, letter).when(again).then_nothing_happened()


@pytest.mark.requirement("R17")
def test_one_contact_opens_several_cases_each_with_its_own_owner() -> None:
    for authority in ("TK", "MF", "SBR"):
        command = RegisterCase(**asked(authority=authority, contact="call/desk/1"))
        given(CASES).when(command).then(registered(authority))


def test_nobody_does_a_thing_in_somebody_elses_name() -> None:
    command = RegisterCase(**{**asked(), "agent": "bo"})
    given(CASES).when(command).then_refused(Invalid, "somebody else")
    program = Asker("webb", (Grant(Role.PROGRAM, "TK"),))
    registers = RegisterCase(**{**asked(program), "agent": "anna"})
    expected = CaseRegistered(REGISTERED.number, "TK", "anna", "phone")
    given(CASES).when(registers).then(expected)


def test_a_case_of_an_excluded_group_is_not_registered() -> None:
    command = RegisterCase(**asked(group="ext_soc"))
    given(CASES).when(command).then_refused(AuthorityExcluded)


# --- categories -----------------------------------------------------------------------------------
@pytest.mark.requirement("R53")
def test_types_of_a_family_are_for_its_rooms_alone() -> None:
    command = CategoriseCase(**asked(authority="BRO", case_type="SDN-ALM-01"))
    (event,) = given(CASES, registered("BRO")).when(command).events
    assert isinstance(event, CaseCategorised)
    of_tk = CategoriseCase(**asked(case_type="SDN-ALM-01"))
    given(CASES, REGISTERED).when(of_tk).then_refused(CaseTypeOfAnother, "SDN")


def test_a_type_anew_is_a_chain_anew() -> None:
    answered = CaseAnswered("anna", "phone", text=TEXT, step=0)
    command = CategoriseCase(**asked(case_type="TK-PAR-02"))
    decided = given(CASES, *WASTE, answered).when(command).events
    state = folded(CASES, *WASTE, answered, *decided)
    assert (state.case_type, state.done, state.answered) == ("TK-PAR-02", frozenset(), False)


def test_only_those_who_work_on_it_give_a_taken_case_another_type() -> None:
    command = CategoriseCase(**asked(case_type="TK-AVF-03"))
    given(CASES, *WASTE, CaseTaken("olle")).when(command).then_refused(CaseOfOfficer)
    by_olle = CategoriseCase(**asked(officer(), case_type="TK-AVF-03"))
    assert given(CASES, *WASTE, CaseTaken("olle")).when(by_olle).events


@pytest.mark.requirement("R14")
def test_a_change_of_the_catalogue_changes_no_case_under_way() -> None:
    row = dict(city().rows("case_type")["TK-AVF-01"])
    barred = [{**step, "exercise_of_authority": "true"} for step in _steps(row)]
    changed = Directory.of([EntrySet("case_type", "TK-AVF-01", {**row, "steps": barred})], city())
    command = AnswerCase(**asked(text=TEXT))
    after = given(CASES, *WASTE).in_city(changed).when(command)
    after.then(CaseAnswered("anna", "phone", text=TEXT, step=0))
    (again,) = given(CASES, REGISTERED).in_city(changed).when(
        CategoriseCase(**asked(case_type="TK-AVF-01"))
    ).events  # fmt: skip
    assert isinstance(again, CaseCategorised)
    assert again.type_version == 2
    barred_now = given(CASES, REGISTERED, again).in_city(changed).when(command)
    barred_now.then_refused(ExerciseOfAuthority, "TK's alone")


# --- escalation -----------------------------------------------------------------------------------
@pytest.mark.requirement("R8")
@pytest.mark.requirement("R17")
def test_a_case_is_escalated_while_the_caller_is_there() -> None:
    command = EscalateCase(**asked(to_level="2", group="tnh_avfall"))
    expected = CaseEscalated("anna", "1", "2", "tnh_avfall")
    given(CASES, *WASTE).when(command).then(expected)
    on = EscalateCase(**asked(to_level="specialist", group="spec_tk_avfall"))
    then = CaseEscalated("anna", "2", "specialist", "spec_tk_avfall")
    given(CASES, *WASTE, expected).when(on).then(then)


@pytest.mark.requirement("R10")
def test_an_escalation_that_leads_nowhere_is_refused() -> None:
    def refuses(kind: type[Exception], saying: str = "", **fields: Any) -> None:
        facts = (REGISTERED, CaseEscalated("anna", "1", "specialist"))
        given(CASES, *facts).when(EscalateCase(**asked(**fields))).then_refused(kind, saying)

    refuses(EscalatedAlready, "specialist", to_level="2")
    refuses(Invalid, "connect", to_level="route_only")
    refuses(Invalid, "no answer group", to_level="specialist", group="tnh_x")
    refuses(Invalid, "does not answer", to_level="specialist", group="tnh_avfall")
    refuses(AuthorityExcluded, to_level="specialist", group="ext_soc")
    refuses(ConflictOfInterest, to_level="jourexpert", group="jour_livsmedel")
    sports = EscalateCase(**asked(agent("anna", "tnh_fritid"), "IDR", to_level="2"))
    given(CASES, registered("IDR")).when(sports).then_refused(LevelNotTakenOver, "level 1")
    given(CASES, REGISTERED, typed("TK-AVF-01"), CLOSED).when(
        EscalateCase(**asked(to_level="2"))
    ).then_refused(CaseIsClosed)


def test_an_escalation_to_where_the_case_is_does_nothing() -> None:
    command = EscalateCase(**asked(id=ID_2, to_level="2"))
    facts = (*WASTE, CaseEscalated("anna", "1", "2"))
    given(CASES, *facts).when(command).then_nothing_happened()


# --- guiding --------------------------------------------------------------------------------------
@pytest.mark.requirement("R18")
def test_a_caller_is_guided_across_the_border_with_the_fixed_text() -> None:
    before = (registered("SBK"), typed("SBK-LOV-01"))
    said = asked(AGENT_SBK, "SBK", to="SBK", article="A001")
    expected = CaseGuided("anna", "SBK", "A001", 1, step=0)
    given(CASES, *before).when(GuideCaller(**said)).then(expected)
    assert folded(CASES, *before, expected).guided


@pytest.mark.requirement("R27")
def test_a_caller_is_guided_to_an_eservice_before_the_case_has_a_type() -> None:
    given(CASES, REGISTERED).when(GuideCaller(**asked(to="eservice"))).then(
        CaseGuided("anna", "eservice")
    )


def test_guiding_does_not_do_an_experts_step() -> None:
    before = (registered("MF"), typed("MF-DIR-03"))  # register, guide by the expert, decide
    command = GuideCaller(**asked(AGENT_MF, "MF", to="jour_halsoskydd"))
    given(CASES, *before).when(command).then(CaseGuided("anna", "jour_halsoskydd"))
    expert = Asker("jonna", (Grant(Role.ON_CALL_EXPERT, "MF"),))
    by_expert = GuideCaller(**asked(expert, "MF", to="MF"))
    given(CASES, *before).when(by_expert).then(CaseGuided("jonna", "MF", step=1))


def test_guiding_to_nowhere_or_with_what_may_not_be_said_is_refused() -> None:
    before = (registered("SBK"), typed("SBK-LOV-01"))

    def refuses(kind: type[Exception], saying: str = "", **fields: Any) -> None:
        command = GuideCaller(**asked(AGENT_SBK, "SBK", **fields))
        given(CASES, *before).when(command).then_refused(kind, saying)

    refuses(Invalid, "an authority, a group", to="månen")
    refuses(ArticleUnknown, "A999", to="SBK", article="A999")
    refuses(ArticleUnknown, "1 stands", to="SBK", article="A001", article_version=8)
    refuses(ArticleOfAnother, "A003", to="SBK", article="A003")
    untied = EntrySet("article", "A999", {"owner": "SBK", "guarded": False})
    city_too = Directory.of([untied], city())
    command = GuideCaller(**asked(AGENT_SBK, "SBK", to="SBK", article="A999"))
    given(CASES, *before).in_city(city_too).when(command).then_refused(GuardedAnswer, "SBK-LOV-01")
    closed = given(CASES, *WASTE, CLOSED)
    closed.when(GuideCaller(**asked(to="TK"))).then_refused(CaseIsClosed)


def test_the_same_guiding_again_at_once_does_nothing() -> None:
    before = (*WASTE, CaseGuided("anna", "eservice"))
    command = GuideCaller(**asked(id=ID_2, to="eservice"))
    given(CASES, *before).when(command).then_nothing_happened()


# --- notes and questions --------------------------------------------------------------------------
def test_a_note_is_written_and_does_a_later_step_of_registering() -> None:
    given(CASES, *WASTE).when(NoteCase(**asked(text=TEXT))).then(CaseNoted("anna", TEXT))
    guided = CaseGuided("anna", "SBR", step=0)
    before = (registered("SBR"), typed("SBR-FTG-02"), guided)  # guide, then note that all answered
    command = NoteCase(**asked(agent("anna", "tnh_foretag", level=2), "SBR", text=TEXT))
    given(CASES, *before).when(command).then(CaseNoted("anna", TEXT, step=1))
    private = NoteCase(**asked(text=TEXT, private=True))
    given(CASES, *before).when(private).then(CaseNoted("anna", TEXT, private=True))


def test_a_note_of_no_case_or_without_words_is_refused_and_a_repeat_is_quiet() -> None:
    given(CASES).when(NoteCase(**asked(text=TEXT))).then_refused(CaseUnknown)
    empty = NoteCase(**asked(text=Personal(" ", "case/TK/x")))
    given(CASES, REGISTERED).when(empty).then_refused(Invalid)
    again = NoteCase(**asked(id=ID_2, text=TEXT))
    given(CASES, REGISTERED, CaseNoted("anna", TEXT)).when(again).then_nothing_happened()


def test_the_centre_answers_an_officers_question_once() -> None:
    question = CaseQuestionAsked("olle", "q", "centre", TEXT)
    command = AnswerQuestion(**asked(question="q", text=TEXT))
    expected = CaseQuestionAnswered("anna", "q", TEXT)
    given(CASES, *WASTE, question).when(command).then(expected)
    answered = given(CASES, *WASTE, question, expected)
    answered.when(AnswerQuestion(**asked(id=ID_2, question="q", text=TEXT))).then_nothing_happened()
    other = AnswerQuestion(**asked(question="q", text=Personal("Nej.", "case/TK/x")))
    answered.when(other).then_refused(QuestionIsAnswered)
    unknown = AnswerQuestion(**asked(question="p", text=TEXT))
    answered.when(unknown).then_refused(QuestionUnknown)
    given(CASES, *WASTE, question, CLOSED).when(command).then_refused(CaseIsClosed)


def _steps(row: dict[str, Any]) -> list[dict[str, Any]]:
    steps: list[dict[str, Any]] = row["steps"]
    return steps
