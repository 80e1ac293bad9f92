"""The decision to erase: who may take it, what it names, and its protocol's number."""

from __future__ import annotations

from dataclasses import replace
from typing import Any
from uuid import UUID

import pytest
from given import ID, T0, agent, city, given, officer

from core.access import Asker, Deed, Grant, Role, Verdict, verdict
from core.erasure import (
    ERASURES,
    AuthorityNotThere,
    DecideErasure,
    ErasureCarriedOut,
    ErasureDecided,
    ErasureOrdered,
    NothingToErase,
    case_of_subject,
)
from core.errors import Invalid

REF = "ab" * 16
RULE, PAPER, WHY = "Gallringsplan 4.2", "Beslut 2026/17", "Gallring efter avslutat ärende"
NUMBER = "TK-G1-0000"


def registrar(authority: str = "TK") -> Asker:
    return Asker("rut", (Grant(Role.REGISTRAR, authority),))


def erase(**more: Any) -> DecideErasure:
    asked: dict[str, Any] = {
        "id": ID, "now": T0, "actor": "rut", "asker": registrar(), "authority": "TK",
        "rule": RULE, "reference": PAPER, "purpose": WHY, "cases": ("b", "a"), **more,
    }  # fmt: skip
    return DecideErasure(**asked)


def ordered(command: DecideErasure, **more: Any) -> ErasureOrdered:
    head: dict[str, Any] = {
        "number": NUMBER, "authority": "TK", "registrar": "rut", "rule": RULE, "reference": PAPER,
        "purpose": WHY, "cases": 2, "callers": 0, "asked": command.asked, **more,
    }  # fmt: skip
    return ErasureOrdered(**head)


@pytest.mark.requirement("R55")
def test_a_decision_erases_each_case_whether_it_was_protected_or_not() -> None:
    command = erase()
    given(ERASURES).when(command).then(
        ordered(command),
        ErasureDecided("case/TK/a", RULE, NUMBER),
        ErasureDecided("protected/case/TK/a", RULE, NUMBER),
        ErasureDecided("case/TK/b", RULE, NUMBER),
        ErasureDecided("protected/case/TK/b", RULE, NUMBER),
    )


def test_a_person_is_erased_with_the_number_that_calls_hold() -> None:
    command = erase(cases=(), callers=(REF, REF))
    given(ERASURES).when(command).then(
        ordered(command, cases=0, callers=1),
        ErasureDecided(f"caller/{REF}", RULE, NUMBER),
        ErasureDecided(f"protected/caller/{REF}", RULE, NUMBER),
    )


def test_a_number_that_is_written_in_several_ways_is_one_caller() -> None:
    other = "cd" * 16
    then = given(ERASURES).when(erase(cases=(), callers=(f"{REF}+{other}",)))
    head, *decided = then.events
    assert isinstance(head, ErasureOrdered)
    assert head.callers == 1
    subjects = {event.subject for event in decided if isinstance(event, ErasureDecided)}
    assert {f"caller/{REF}", f"caller/{other}"} < subjects


def test_the_next_protocol_has_the_next_number() -> None:
    other = replace(erase(cases=("c",)), id=UUID("fedc0000-0000-4000-8000-000000000001"))
    then = given(ERASURES, ordered(erase()), ErasureDecided("case/TK/a", RULE, NUMBER)).when(other)
    head = then.events[0]
    assert isinstance(head, ErasureOrdered)
    assert head.number == "TK-G2-FEDC"


def test_the_same_decision_is_not_taken_twice_while_it_is_carried_out() -> None:
    command = erase()
    given(ERASURES, ordered(command)).when(erase(cases=("a", "b", "a"))).then_nothing_happened()


def test_what_was_carried_out_may_be_decided_again_for_what_was_written_since() -> None:
    done = given(ERASURES, ordered(erase()), ErasureCarriedOut(NUMBER, 1, 0)).when(erase())
    assert len(done.events) == 5


@pytest.mark.parametrize(
    ("wrong", "refusal"),
    [
        ({"cases": ()}, NothingToErase),
        ({"authority": "NOPE"}, AuthorityNotThere),
        ({"cases": ("TK/a",)}, Invalid),
        ({"cases": ("",)}, Invalid),
        ({"callers": ("0700000001",)}, Invalid),
        ({"callers": (f"{REF}+",)}, Invalid),
        ({"rule": " "}, Invalid),
        ({"reference": ""}, Invalid),
        ({"purpose": "x" * 201}, Invalid),
        ({"cases": tuple(f"c{n}" for n in range(201))}, Invalid),
    ],
)
def test_a_decision_that_is_not_whole_is_refused(
    wrong: dict[str, Any], refusal: type[Exception]
) -> None:
    given(ERASURES).when(erase(**wrong)).then_refused(refusal)


def test_an_excluded_area_has_nothing_to_erase() -> None:
    excluded = next(c for c, row in city().rows("authority").items() if row.get("excluded"))
    given(ERASURES).when(erase(authority=excluded)).then_refused(AuthorityNotThere)


@pytest.mark.requirement("R55")
def test_only_the_registrar_of_the_authority_decides() -> None:
    def may(asker: Asker) -> Verdict:
        return verdict(asker, Deed.DECIDE_ERASURE, erase().place, city())

    assert may(registrar()) is Verdict.ALLOWED
    assert may(registrar("MF")) is Verdict.HIDDEN
    assert may(officer("TK")) is Verdict.DENIED
    assert may(agent()) is Verdict.DENIED


def test_a_subject_tells_which_case_it_stands_for() -> None:
    assert case_of_subject("protected/case/TK/a") == "case/TK/a"
    assert case_of_subject("case/TK/a") == "case/TK/a"
    assert case_of_subject(f"caller/{REF}") is None
