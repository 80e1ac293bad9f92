"""Volumes and outcomes: counted of one's own authorities, and without small numbers outside."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from case_world import of_case, opened, typed
from figures_world import NOW, Figures, figures_at

from core.cases import (
    CaseClosed,
    CaseConnected,
    CaseContactAdded,
    CaseEscalated,
    CaseGuided,
    CaseHandedOver,
    CaseReopened,
    ComplaintSent,
)
from core.errors import Invalid
from projections.case_queries import CasePeriod
from projections.case_volumes import FORMULAS, Volume, Volumes, suppressed, volumes

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from core.commit import Event

TK = frozenset({"TK"})
DAY = timedelta(days=1)
MONTH = CasePeriod(NOW - DAY, NOW + DAY)


@pytest.fixture
def figures(tmp_path: Path) -> Iterator[Figures]:
    with figures_at(tmp_path) as world:
        yield world


def asked(figures: Figures, rooms: frozenset[str] = TK, by: str = "case_type") -> Volumes:
    return volumes(figures.models, rooms, MONTH, NOW + 30 * DAY, by)


def case(
    figures: Figures, number: str, *events: Event, kind: str = "T1", owner: str = "TK"
) -> None:
    told = opened(number, authority=owner, caller_ref=number)
    figures.tell(told + typed(number, kind, authority=owner))
    figures.tell(of_case(number, *events, authority=owner, at=NOW + timedelta(minutes=1)))


@pytest.mark.requirement("R7", "R9", "R15", "R18")
def test_what_was_passed_on_guided_and_solved_is_counted_by_type(figures: Figures) -> None:
    case(figures, "1", CaseClosed("solved", "anna", first_contact=True))
    case(figures, "2", CaseGuided("anna", "eservice"), CaseClosed("guided", "anna"))
    case(figures, "3", CaseConnected("anna", "tnh_avfall"))
    case(figures, "4", CaseHandedOver("h", "anna", "TK"), CaseClosed("handed_over", "anna"))
    case(figures, "5", ComplaintSent("d", "kk_tk", "anna"), kind="T2")
    case(figures, "6", CaseEscalated("anna", "1", "specialist"), kind="T2")
    case(figures, "7", CaseEscalated("anna", "1", "2"), kind="T2")
    found = asked(figures)
    one, two = found.rows
    assert (one.about, one.registered, one.closed, one.passed_on, one.guided) == ("T1", 4, 3, 2, 1)
    assert one.outcomes == {"guided": 1, "handed_over": 1, "solved": 1}
    assert (one.transfer_rate, one.guided_rate) == (0.5, 0.25)
    assert one.first_contact is not None
    assert (one.first_contact.resolved, one.first_contact.window_over) == (1, 3)
    assert (two.about, two.registered, two.passed_on) == ("T2", 3, 2)
    assert (found.total.registered, found.total.passed_on) == (7, 4)
    levels = {row.about: row.registered for row in asked(figures, by="level").rows}
    assert levels == {"1": 5, "2": 1, "specialist": 1}
    assert [row.about for row in asked(figures, by="channel").rows] == ["phone"]
    assert set(FORMULAS) >= {"case_volume", "case_transfer_rate", "case_guided_rate"}
    with pytest.raises(Invalid):
        asked(figures, by="registered_by")


@pytest.mark.requirement("R40", "R53")
def test_a_reader_gets_the_figures_of_his_own_authorities_alone(figures: Figures) -> None:
    case(figures, "1")
    case(figures, "2", owner="MF")
    for rooms, owners in ((TK, ["TK"]), (frozenset({"MF"}), ["MF"]), (frozenset(), [])):
        found = asked(figures, rooms, "authority")
        assert [row.about for row in found.rows] == owners
        assert found.total.registered == len(owners)
        assert {s for s in found.as_of if s.startswith("cases.")} == {
            f"cases.{owner}/0" for owner in owners
        }
    narrowed = CasePeriod(authority="MF")
    assert volumes(figures.models, TK, narrowed, NOW).rows == ()


def test_contacts_and_reopenings_are_counted_and_nothing_is_no_value(figures: Figures) -> None:
    empty = asked(figures)
    assert (empty.rows, empty.total.transfer_rate) == ((), None)
    again = CaseContactAdded("bo", "phone", caller_ref="1")
    case(figures, "1", again, again, CaseClosed("solved", "anna"), CaseReopened("anna"))
    (row,) = asked(figures).rows
    assert (row.contacts, row.reopened, row.closed) == (3, 1, 1)


@pytest.mark.requirement("R40")
def test_outside_of_the_authority_small_numbers_are_not_told(figures: Figures) -> None:
    for n in range(12):
        done = [CaseClosed("solved" if n < 8 else "guided", "anna", first_contact=True)]
        case(figures, str(n), *done)
    for n in range(12, 14):
        case(figures, str(n), kind="T2")
    for n in range(14, 21):
        case(figures, str(n), kind="T3")
    told = suppressed(asked(figures))
    first, second, third = told.rows
    nothing = Volume("T2", None, None, None, None, None, None, None)
    assert second == nothing
    assert (third.about, third.registered) == ("T3", None)  # else T2 were the rest of the total
    assert first.registered == 12
    assert first.outcomes == {"guided": None, "solved": None}
    assert first.first_contact is not None
    assert told.total.registered == 21
