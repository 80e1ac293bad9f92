"""The directory of those who handle cases: found by name and place, with whether they are there."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from case_world import erasure_of
from figures_world import NOW, Figures, Told, figures_at

from core.accounts import AccountClosed, AccountKind, AccountOpened, GrantGiven, GrantWithdrawn
from core.personal import Personal
from core.shifts import AgentPaused, AgentSignedOn
from core.vocabulary import account_stream, shift_stream
from projections.handlers_queries import HandlersQuery, handlers

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def figures(tmp_path: Path) -> Iterator[Figures]:
    with figures_at(tmp_path) as world:
        yield world


def somebody(account: str, name: str, role: str, authority: str = "*", *groups: str) -> list[Told]:
    stream = account_stream(account)
    return [
        (stream, AccountOpened(account, name=Personal(name, stream)), NOW),
        (stream, GrantGiven(account, role, authority, groups), NOW),
    ]


def found(figures: Figures, **asked: str) -> list[str]:
    return [one.account for one in handlers(figures.models, HandlersQuery(**asked), NOW)]


@pytest.mark.requirement("R16")
def test_an_officer_is_found_by_name_id_role_authority_and_group(figures: Figures) -> None:
    figures.tell(somebody("olle", "Olle Östlund", "case_officer", "TK"))
    figures.tell(somebody("maja", "Maja Ek", "case_officer", "MF"))
    figures.tell(somebody("anna", "Anna Östlund", "agent_1", "*", "tnh_avfall"))
    figures.tell(somebody("root", "Rut Rot", "administrator"))
    assert found(figures) == ["anna", "maja", "olle"]
    assert found(figures, text="östl") == found(figures, text="OSTLUND") == ["anna", "olle"]
    assert found(figures, text="öst ol") == found(figures, text="olle") == ["olle"]
    assert found(figures, text="lund") == []
    assert found(figures, authority="MF") == ["maja"]
    assert found(figures, role="agent_1", group="tnh_avfall") == ["anna"]
    assert found(figures, authority="TK", role="agent_1") == []  # of one and the same role


def test_names_stand_in_the_order_of_the_swedish_alphabet(figures: Figures) -> None:
    for name in ("Östen", "Zara", "Ärla", "Åsa", "Edvard", "Olle"):
        figures.tell(somebody(name.encode().hex(), name, "case_officer", "TK"))
    names = [one.name for one in handlers(figures.models, HandlersQuery(), NOW)]
    assert names == ["Edvard", "Olle", "Zara", "Åsa", "Ärla", "Östen"]


@pytest.mark.requirement("R16")
def test_whether_somebody_is_there_is_told_and_not_why_not(figures: Figures) -> None:
    figures.tell(somebody("olle", "Olle", "case_officer", "TK"))
    figures.tell(somebody("maja", "Maja", "case_officer", "TK"))
    shift = shift_stream("desk", "olle", NOW.date().isoformat())
    figures.tell([(shift, AgentSignedOn("olle", ("tnh_avfall",)), NOW)])
    (maja, olle) = handlers(figures.models, HandlersQuery(), NOW)
    assert (maja.presence, olle.presence) == (None, "free")
    figures.tell([(shift, AgentPaused("olle", "sjuk"), NOW + timedelta(minutes=1))])
    (_, olle) = handlers(figures.models, HandlersQuery(), NOW + timedelta(minutes=2))
    assert olle.presence == "away"
    assert "sjuk" not in str(olle.as_json())


def test_who_has_left_or_lost_the_role_is_not_in_it(figures: Figures) -> None:
    figures.tell(somebody("olle", "Olle", "case_officer", "TK"))
    figures.tell(somebody("maja", "Maja", "case_officer", "TK"))
    program = AccountOpened("prog", AccountKind.PROGRAM.value)
    figures.tell([(account_stream("prog"), program, NOW)])
    figures.tell([(account_stream("olle"), GrantWithdrawn("olle", "case_officer", "TK"), NOW)])
    assert found(figures) == ["maja"]
    figures.tell([(account_stream("maja"), AccountClosed("maja"), NOW)])
    assert found(figures) == []


@pytest.mark.parametrize("erased_first", [False, True])
def test_a_name_that_was_erased_is_in_no_byte_of_the_file(
    figures: Figures, *, erased_first: bool
) -> None:
    told = [somebody("olle", "Olle Zebrahjort", "case_officer", "TK")]
    told.insert(0 if erased_first else 1, [erasure_of("account/olle")])
    for facts in told:
        figures.tell(facts)
    (olle,) = handlers(figures.models, HandlersQuery(), NOW)
    assert (olle.account, olle.name) == ("olle", None)
    files = b"".join(path.read_bytes() for path in figures.folder.glob("handlers*"))
    assert b"Zebrahjort" not in files
