"""The rules of review items: who closes them, with what, and what an item never says."""

from __future__ import annotations

from typing import Any

import pytest
from given import ID, T0, city, folded, given, officer, staff

from core.access import Asker, Grant, NoSuchCase, NotAllowed, Place, Role, require
from core.errors import Invalid
from core.personal import Personal
from core.reviews import (
    REVIEWS,
    CloseCaseReview,
    CloseReview,
    ReviewClosed,
    ReviewIsClosed,
    ReviewOpened,
    ReviewUnknown,
    fork_id,
    review_id,
    without_names,
)

OPENED = ReviewOpened("contradicted", "call/x/1", "calls/0", "call.ended", "odd", 3, 7)
OF_A_CASE = ReviewOpened(
    "contradicted", "case/TK/k1", "cases.TK/0", "case.closed", "odd", 3, 7, authority="TK"
)
NOTE = Personal("Ringde upp", "case/TK/k1")


def close(kind: type[CloseReview] = CloseReview, by: Asker | None = None, **more: Any) -> Any:
    by = by or staff()
    more = {"outcome": "as_recorded", **more}
    return kind(id=ID, now=T0, actor=by.id, asker=by, review="r1", **more)


def test_an_item_is_closed_with_what_came_of_it() -> None:
    given(REVIEWS, OPENED).when(close()).then(ReviewClosed("anna", "as_recorded"))
    given(REVIEWS, OF_A_CASE).when(close(CloseCaseReview, note=NOTE)).then(
        ReviewClosed("anna", "as_recorded", NOTE)
    )


def test_an_item_that_was_closed_is_not_closed_otherwise() -> None:
    closed = (OPENED, ReviewClosed("bo", "mistaken"))
    given(REVIEWS, *closed).when(close()).then_refused(ReviewIsClosed)
    given(REVIEWS, *closed).when(close(outcome="mistaken")).then_refused(ReviewIsClosed)


def test_who_closes_again_with_the_same_has_nothing_to_do() -> None:
    closed = (OPENED, ReviewClosed("anna", "as_recorded"))
    given(REVIEWS, *closed).when(close()).then_nothing_happened()


def test_an_item_that_never_was_is_unknown_and_so_is_one_of_the_other_kind() -> None:
    given(REVIEWS).when(close()).then_refused(ReviewUnknown)
    given(REVIEWS, OF_A_CASE).when(close()).then_refused(ReviewUnknown)
    given(REVIEWS, OPENED).when(close(CloseCaseReview)).then_refused(ReviewUnknown)


def test_an_outcome_is_one_of_the_list() -> None:
    given(REVIEWS, OPENED).when(close(outcome="whatever")).then_refused(Invalid)


def test_what_was_opened_first_stands_and_so_does_the_first_closing() -> None:
    state = folded(REVIEWS, OF_A_CASE, OPENED, ReviewClosed("bo", "mistaken"),
                   ReviewClosed("anna", "corrected"))  # fmt: skip
    assert (state.about, state.closed) == ("case/TK/k1", ("bo", "mistaken"))


@pytest.mark.requirement("R53")
def test_an_item_about_a_case_is_its_owners_and_no_receivers() -> None:
    state = folded(REVIEWS, OF_A_CASE)
    command = close(CloseCaseReview)
    place = REVIEWS.place(state, command)
    require(officer("TK"), command.DEED, place, city())
    received = Place("TK", receivers=frozenset({"SBK"}))
    for place in (REVIEWS.place(state, command), received):
        with pytest.raises(NoSuchCase):
            require(officer("SBK"), command.DEED, place, city())
    lead = Asker("lena", (Grant(Role.SHIFT_LEAD),))
    with pytest.raises(NotAllowed):
        require(lead, command.DEED, place, city())
    require(lead, close().DEED, Place(), city())


def test_an_item_of_a_protected_identity_is_for_those_who_may_open_them() -> None:
    opened = ReviewOpened(
        "contradicted", "case/TK/k1", "s", "e", "r", authority="TK", protected=True
    )
    place = REVIEWS.place(folded(REVIEWS, opened), close(CloseCaseReview))
    with pytest.raises(NoSuchCase):
        require(officer("TK"), CloseCaseReview.DEED, place, city())
    require(officer("TK", protected=True), CloseCaseReview.DEED, place, city())


def test_a_reason_names_nobody() -> None:
    why = "answered by Agent/anna while talking with anna.b"
    assert without_names(why, ["anna.b", "Agent/anna", ""]) == (
        "answered by somebody while talking with somebody"
    )
    assert without_names("offered twice", ["anna"]) == "offered twice"
    assert without_names("annars (anna)", ["anna"]) == "annars (somebody)"


def test_an_items_id_comes_of_the_fact_alone() -> None:
    ids = {review_id("call/x/1", 3), review_id("call/x/1", 3), review_id("call/x/1", 4),
           review_id("call/x/13", 3), fork_id("calls/0", "a"), fork_id("calls/1", "a")}  # fmt: skip
    assert len(ids) == 5
