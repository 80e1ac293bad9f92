"""Who may do what: the table of rights and the three borders, one by one."""

from __future__ import annotations

import pytest
from given import agent, city, officer

from core.access import (
    NOBODY,
    PROGRAM_SCOPES,
    RIGHTS,
    Asker,
    Deed,
    Grant,
    NoSuchCase,
    NotAllowed,
    Place,
    Purpose,
    Reach,
    Role,
    Verdict,
    conflicts,
    purpose_of,
    require,
    rooms,
    sides,
    verdict,
)
from core.directory import Directory
from core.taxonomy import EntrySet

A, H, D = Verdict.ALLOWED, Verdict.HIDDEN, Verdict.DENIED
TK, MF = Place(authority="TK"), Place(authority="MF")
IN_A_ROOM = [deed for deed in Deed if {Reach.ROOM, Reach.REGISTERED} & set(RIGHTS[deed].values())]


def grants(*given: Grant, closed_to: frozenset[str] = frozenset(), id_: str = "anna") -> Asker:
    return Asker(id_, given, closed_to)


def program(*scopes: Deed, authority: str = "TK") -> Asker:
    return Asker(
        "crm", (Grant(Role.PROGRAM, authority),), scopes=frozenset(s.value for s in scopes)
    )


def two_pairs() -> Directory:
    """A city in which B conflicts with A and with C."""
    rows = [("authority", code, {"code": code, "name": code}) for code in "ABC"]
    pairs = [
        ("conflict_pair", f"{a}/{b}", {"a": a, "b": b, "enforced": True})
        for a, b in (("A", "B"), ("B", "C"))
    ]
    return Directory.of(EntrySet(*row) for row in [*rows, *pairs])  # type: ignore[arg-type]


@pytest.mark.parametrize("deed", list(Deed))
def test_nobody_may_do_nothing_at_all(deed: Deed) -> None:
    for place in (Place(), TK, MF, Place(person="nobody"), Place("TK", registered_by="nobody")):
        assert verdict(NOBODY, deed, place, city()) is D


@pytest.mark.parametrize("deed", list(Deed))
@pytest.mark.parametrize("role", [role for role in Role if role is not Role.PROGRAM])
def test_a_role_that_is_not_in_the_row_is_denied_everywhere(role: Role, deed: Deed) -> None:
    asker = grants(Grant(role, "TK", ("tnh_avfall",), approves=True, protected=True))
    found = verdict(asker, deed, Place("TK", person="anna"), city())
    assert found is (A if role in RIGHTS[deed] else D)


@pytest.mark.requirement("R53")
@pytest.mark.parametrize("deed", IN_A_ROOM)
def test_another_authoritys_case_is_hidden_and_never_denied(deed: Deed) -> None:
    for role in RIGHTS[deed]:
        asker = grants(Grant(role, "SBK", ("tnh_bygg",), approves=True))
        assert verdict(asker, deed, TK, city()) is H
        assert verdict(asker, deed, Place("nosuch"), city()) is H


@pytest.mark.requirement("R54")
def test_who_opens_one_side_never_opens_the_other() -> None:
    for asker in (agent("anna", "tnh_miljo"), officer("MF"), officer("MF", protected=True)):
        for deed in (Deed.READ_CASE, Deed.SEARCH_CASES, Deed.READ_HISTORY, Deed.READ_WORK_LIST):
            if verdict(asker, deed, MF, city()) is A:
                assert verdict(asker, deed, TK, city()) is H
        assert verdict(asker, Deed.READ_CASE, Place("TK", frozenset({"MF"})), city()) is H


@pytest.mark.requirement("R54")
def test_who_has_both_sides_opens_neither_until_one_is_closed() -> None:
    both = (Grant(Role.CASE_OFFICER, "TK"), Grant(Role.CASE_OFFICER, "MF"))
    assert rooms(grants(*both), Deed.READ_CASE, city()) == frozenset()
    assert rooms(grants(*both, closed_to=frozenset({"MF"})), Deed.READ_CASE, city()) == {"TK"}
    assert sides(both, city()) == [frozenset({"MF", "TK"})]
    analyst = grants(Grant(Role.ANALYST))
    assert {"TK", "MF"}.isdisjoint(rooms(analyst, Deed.READ_CASE_FIGURES, city()))


@pytest.mark.requirement("R54")
def test_where_two_pairs_share_a_side_the_order_of_the_pairs_does_not_decide() -> None:
    three = grants(*(Grant(Role.CASE_OFFICER, code) for code in "ABC"))
    assert rooms(three, Deed.READ_CASE, two_pairs()) == frozenset()
    without_b = grants(*three.grants, closed_to=frozenset({"B"}))
    assert rooms(without_b, Deed.READ_CASE, two_pairs()) == {"A", "C"}


@pytest.mark.requirement("R54")
def test_a_case_registered_for_the_other_side_is_written_to_and_never_read() -> None:
    own = Place("TK", registered_by="anna")
    anna = agent("anna", "tnh_miljo")
    assert verdict(anna, Deed.REGISTER_CASE, TK, city()) is A
    assert verdict(anna, Deed.WORK_CASE, own, city()) is A
    for deed in IN_A_ROOM:
        if deed is not Deed.WORK_CASE:
            assert verdict(anna, deed, own, city()) in {H, D}, deed
    assert verdict(anna, Deed.WORK_CASE, TK, city()) is H  # somebody has taken it over
    assert verdict(anna, Deed.WORK_CASE, Place("TK", registered_by="bo"), city()) is H


def test_a_pair_that_is_not_enforced_is_no_border() -> None:
    asker = grants(Grant(Role.CASE_OFFICER, "MF"), Grant(Role.CASE_OFFICER, "FSK"))
    assert rooms(asker, Deed.READ_CASE, city()) == {"MF", "FSK"}
    assert conflicts(city()) == {frozenset({"MF", "TK"})}


@pytest.mark.requirement("R11")
@pytest.mark.parametrize("deed", IN_A_ROOM)
def test_nothing_is_opened_in_an_excluded_area_not_even_what_one_registered(deed: Deed) -> None:
    asker = grants(
        *(Grant(role, "SOC", ("ext_soc",), approves=True, protected=True) for role in Role),
        Grant(Role.CASE_OFFICER, "TK"),
    )
    for place in (
        Place("SOC"),
        Place("SOC", registered_by="anna"),
        Place("SOC", frozenset({"TK"}), "anna"),
    ):
        assert verdict(asker, deed, place, city()) in {H, D}
    assert "SOC" not in rooms(asker, deed, city())


def test_a_protected_case_is_there_for_those_with_that_right_in_the_room() -> None:
    place = Place("TK", frozenset({"SBK"}), protected=True)
    assert verdict(officer("TK"), Deed.READ_CASE, place, city()) is H
    assert verdict(officer("TK", protected=True), Deed.READ_CASE, place, city()) is A
    assert verdict(officer("SBK", protected=True), Deed.READ_CASE, place, city()) is A
    assert verdict(officer("MF", protected=True), Deed.READ_CASE, place, city()) is H
    elsewhere = grants(
        Grant(Role.CASE_OFFICER, "TK"), Grant(Role.CASE_OFFICER, "EXPL", protected=True)
    )
    assert verdict(elsewhere, Deed.READ_CASE, place, city()) is H


def test_a_protected_case_is_not_read_back_by_the_one_who_registered_it() -> None:
    own = Place("TK", registered_by="anna", protected=True)
    assert verdict(agent("anna"), Deed.READ_CASE, own, city()) is H
    assert verdict(agent("anna"), Deed.WORK_CASE, own, city()) is A


def test_a_receiver_works_and_the_owner_alone_decides() -> None:
    handed_over = Place("EXPL", frozenset({"TK"}))
    assert verdict(officer("TK"), Deed.HANDLE_CASE, handed_over, city()) is A
    assert verdict(officer("TK"), Deed.RECEIVE_CASE, handed_over, city()) is A
    assert verdict(officer("TK"), Deed.DECIDE_CASE, handed_over, city()) is H
    assert verdict(officer("EXPL"), Deed.DECIDE_CASE, handed_over, city()) is A
    registrar = grants(Grant(Role.REGISTRAR, "TK"))
    for deed in (Deed.KEEP_REGISTER, Deed.DISCLOSE_CASE, Deed.SUBJECT_ACCESS):
        assert verdict(registrar, deed, handed_over, city()) is H
        assert verdict(registrar, deed, TK, city()) is A


@pytest.mark.requirement("R45")
def test_only_who_speaks_for_the_owner_approves() -> None:
    assert verdict(officer("TK"), Deed.APPROVE_CHANGE, TK, city()) is H
    assert verdict(officer("TK", approves=True), Deed.APPROVE_CHANGE, TK, city()) is A
    assert verdict(officer("TK", approves=True), Deed.APPROVE_CHANGE, MF, city()) is H


@pytest.mark.requirement("R49", "R52")
def test_a_program_does_what_its_scopes_say_in_its_room_alone() -> None:
    reader = program(Deed.READ_CASE)
    assert verdict(reader, Deed.READ_CASE, TK, city()) is A
    assert verdict(reader, Deed.READ_CASE, Place("EXPL"), city()) is H
    assert verdict(reader, Deed.HANDLE_CASE, TK, city()) is D
    for deed in Deed:
        assert verdict(program(), deed, TK, city()) is D
        if deed not in PROGRAM_SCOPES:
            assert verdict(program(deed), deed, TK, city()) is D
    assert rooms(program(Deed.READ_CASE, authority="*"), Deed.READ_CASE, city()) == frozenset()
    two = Asker(
        "crm",
        (Grant(Role.PROGRAM, "TK"), Grant(Role.PROGRAM, "MF")),
        scopes=frozenset({Deed.READ_CASE.value}),
    )
    assert rooms(two, Deed.READ_CASE, city()) == frozenset()


def test_scopes_give_a_person_nothing() -> None:
    person = Asker("anna", (Grant(Role.COMMUNICATOR),), scopes=frozenset(d.value for d in Deed))
    for deed in Deed:
        found = verdict(person, deed, Place("TK", person="bo"), city())
        assert found is (A if RIGHTS[deed].get(Role.COMMUNICATOR) is Reach.EVERYWHERE else D)


def test_ones_own_call_shift_and_account_are_ones_own() -> None:
    for deed in (Deed.WORK_CALL, Deed.WORK_SHIFT, Deed.OWN_ACCOUNT):
        assert verdict(agent("anna"), deed, Place(person="anna"), city()) is A
        assert verdict(agent("anna"), deed, Place(person="bo"), city()) is D
        assert verdict(agent("anna"), deed, Place(), city()) is D
    lead = grants(Grant(Role.SHIFT_LEAD), id_="lead")
    assert verdict(lead, Deed.WORK_SHIFT, Place(person="bo"), city()) is A
    assert verdict(lead, Deed.OWN_ACCOUNT, Place(person="bo"), city()) is D


def test_what_is_hidden_is_told_in_the_words_of_a_case_that_never_was() -> None:
    with pytest.raises(NoSuchCase) as hidden:
        require(officer("TK"), Deed.READ_CASE, MF, city())
    assert (str(hidden.value), hidden.value.details) == (str(NoSuchCase()), {})
    with pytest.raises(NotAllowed):
        require(grants(Grant(Role.COORDINATOR)), Deed.READ_CASE, MF, city())


@pytest.mark.requirement("R52")
def test_a_look_has_a_purpose_of_the_role_that_looks() -> None:
    registrar = grants(Grant(Role.REGISTRAR, "TK"), Grant(Role.ANALYST))
    assert purpose_of(officer("TK"), Deed.READ_CASE) is Purpose.CASEWORK
    assert purpose_of(registrar, Deed.READ_CASE, "disclosure") is Purpose.DISCLOSURE
    for asker, deed, said in (
        (officer("TK"), Deed.READ_CASE, "disclosure"),
        (officer("TK"), Deed.READ_CASE, "curiosity"),
        (officer("TK"), Deed.READ_CASE, ""),
        (registrar, Deed.READ_CASE, "follow_up"),  # the analyst's, who has not the deed
        (NOBODY, Deed.READ_CASE, None),
        (grants(Grant(Role.SHIFT_LEAD)), Deed.READ_ALARMS, None),
    ):
        with pytest.raises(NotAllowed):
            purpose_of(asker, deed, said)


def test_no_answer_group_of_the_city_opens_both_sides_of_a_pair() -> None:
    for group in city().groups.values():
        assert not any(pair <= set(group.partition) for pair in conflicts(city())), group.id


def test_what_somebody_is_closed_to_is_closed_by_every_way() -> None:
    asker = grants(Grant(Role.CASE_OFFICER, "TK"), closed_to=frozenset({"EXPL"}))
    for place in (
        Place("EXPL"),
        Place("EXPL", frozenset({"TK"})),
        Place("EXPL", registered_by="anna"),
    ):
        assert verdict(asker, Deed.HANDLE_CASE, place, city()) is H
    closed = grants(Grant(Role.AGENT_1), closed_to=frozenset({"EXPL"}))
    assert verdict(closed, Deed.READ_CASE, Place("EXPL", registered_by="anna"), city()) is H
