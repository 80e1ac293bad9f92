"""Whatever rights are given out, in whatever city: the borders hold."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.access import (
    RIGHTS,
    Asker,
    Deed,
    Grant,
    Place,
    Reach,
    Role,
    Verdict,
    conflicts,
    rooms,
    sides,
    sight,
    verdict,
)
from core.directory import Directory
from core.taxonomy import EntrySet

if TYPE_CHECKING:
    from hypothesis.strategies import DrawFn

CODES = "ABCDEF"
IN_A_ROOM = [deed for deed in Deed if {Reach.ROOM, Reach.REGISTERED} & set(RIGHTS[deed].values())]
A, H, D = Verdict.ALLOWED, Verdict.HIDDEN, Verdict.DENIED


@st.composite
def cities(draw: DrawFn) -> Directory:
    """Six authorities, some of them excluded; any pairs, enforced or not; any answer groups."""
    events = [
        EntrySet("authority", code, {"code": code, "name": code, "excluded": draw(st.booleans())})
        for code in CODES
    ]
    for n in range(draw(st.integers(0, 4))):
        a, b = draw(st.lists(st.sampled_from(CODES), min_size=2, max_size=2, unique=True))
        row = {"a": a, "b": b, "enforced": draw(st.sampled_from([True, True, False, "yes"]))}
        events.append(EntrySet("conflict_pair", f"{n}", row))
    for n in range(3):
        partition = draw(st.lists(st.sampled_from([*CODES, "X"]), max_size=3, unique=True))
        events.append(EntrySet("answer_group", f"g{n}", {"id": f"g{n}", "partition": partition}))
    return Directory.of(events)


GRANTS = st.builds(
    Grant,
    role=st.sampled_from(list(Role)),
    authority=st.sampled_from([*CODES, "*", "X"]),
    groups=st.lists(st.sampled_from(["g0", "g1", "g2", "g9"]), max_size=3).map(tuple),
    approves=st.booleans(),
    protected=st.booleans(),
)
ASKERS = st.builds(
    Asker,
    id=st.sampled_from(["anna", "bo"]),
    grants=st.lists(GRANTS, max_size=4).map(tuple),
    closed_to=st.frozensets(st.sampled_from([*CODES, "X"]), max_size=2),
    scopes=st.frozensets(st.sampled_from([deed.value for deed in Deed]), max_size=6),
)
PLACES = st.builds(
    Place,
    authority=st.sampled_from([*CODES, "X", None]),
    receivers=st.frozensets(st.sampled_from([*CODES, "X"]), max_size=3),
    registered_by=st.sampled_from([None, "anna", "bo"]),
    protected=st.booleans(),
    person=st.sampled_from([None, "anna", "bo"]),
)
DEEDS = st.sampled_from(list(Deed))


def held(asker: Asker, city: Directory) -> set[str]:
    """What the grants name, counted here by other means than the product's."""
    found: set[str] = set()
    for grant in asker.grants:
        if grant.role in {Role.AGENT_1, Role.AGENT_2}:
            for name in grant.groups:
                row = city.rows("answer_group").get(name)
                found |= set(row["partition"]) if row else set()  # type: ignore[call-overload]
        elif grant.role is Role.ANALYST and grant.authority == "*":
            found |= set(CODES)
        else:
            found.add(grant.authority)
    return found & set(CODES)


def excluded(city: Directory) -> set[str]:
    return {code for code, row in city.rows("authority").items() if row["excluded"] is True}


@pytest.mark.requirement("R54")
@given(cities(), ASKERS, DEEDS)
def test_no_grants_ever_open_both_sides_of_an_enforced_pair(
    city: Directory, asker: Asker, deed: Deed
) -> None:
    opened = {code for deed in Deed for code in rooms(asker, deed, city)}
    for pair in conflicts(city):
        assert not pair <= opened
        if pair <= (held(asker, city) - excluded(city) - asker.closed_to):
            assert pair.isdisjoint(opened), "who has both has neither"
    assert sight(asker, deed, city).rooms == rooms(asker, deed, city)


@pytest.mark.requirement("R54")
@given(cities(), ASKERS, st.sampled_from(IN_A_ROOM), PLACES, PLACES)
def test_of_a_pair_at_most_one_sides_case_is_opened_whatever_became_of_it(
    city: Directory, asker: Asker, deed: Deed, one: Place, other: Place
) -> None:
    sees = [
        place.authority
        for place in (one, other)
        if deed is not Deed.WORK_CASE
        and place.authority is not None
        and place.registered_by != asker.id
        and verdict(asker, deed, place, city) is A
        and place.authority in rooms(asker, deed, city)
    ]
    assert frozenset(sees) not in conflicts(city)
    for place in (one, other):
        against = {code for pair in conflicts(city) if place.authority in pair for code in pair}
        against -= {place.authority}
        if against & rooms(asker, deed, city) and deed is not Deed.WORK_CASE:
            assert verdict(asker, deed, place, city) is not A or place.authority is None


@pytest.mark.requirement("R11")
@given(cities(), ASKERS, st.sampled_from(IN_A_ROOM), PLACES)
def test_an_excluded_area_is_never_opened(
    city: Directory, asker: Asker, deed: Deed, place: Place
) -> None:
    assert excluded(city).isdisjoint(rooms(asker, deed, city))
    if place.authority in excluded(city):
        assert verdict(asker, deed, place, city) is not A


@pytest.mark.requirement("R53")
@given(cities(), ASKERS, st.sampled_from(IN_A_ROOM), PLACES)
def test_what_is_opened_is_held_received_or_registered(
    city: Directory, asker: Asker, deed: Deed, place: Place
) -> None:
    assert rooms(asker, deed, city) <= held(asker, city) - asker.closed_to
    if place.authority is not None and verdict(asker, deed, place, city) is A:
        in_a_room = ({place.authority} | place.receivers) & rooms(asker, deed, city)
        assert in_a_room or place.registered_by == asker.id
    if place.authority in asker.closed_to and verdict(asker, deed, place, city) is A:
        assert deed is Deed.WORK_CASE


@given(cities(), ASKERS, DEEDS, PLACES)
def test_without_a_row_or_a_scope_there_is_no_right(
    city: Directory, asker: Asker, deed: Deed, place: Place
) -> None:
    of_people = {g.role for g in asker.grants if g.role is not Role.PROGRAM}
    may = any(role in RIGHTS[deed] for role in of_people)
    may |= asker.is_a(Role.PROGRAM) and deed.value in asker.scopes
    if not may:
        assert verdict(asker, deed, place, city) is D
        assert rooms(asker, deed, city) == frozenset()
    elif deed not in IN_A_ROOM:
        assert verdict(asker, deed, place, city) is not H


@given(cities(), ASKERS, st.sampled_from(IN_A_ROOM), PLACES)
def test_a_protected_case_asks_for_that_very_right(
    city: Directory, asker: Asker, deed: Deed, place: Place
) -> None:
    if not place.protected or place.authority is None or verdict(asker, deed, place, city) is not A:
        return
    if deed is Deed.WORK_CASE and place.registered_by == asker.id:
        return
    assert any(grant.protected for grant in asker.grants)


@given(cities(), ASKERS, DEEDS, PLACES)
def test_the_order_of_grants_does_not_matter(
    city: Directory, asker: Asker, deed: Deed, place: Place
) -> None:
    turned = Asker(asker.id, asker.grants[::-1], asker.closed_to, asker.scopes)
    assert verdict(asker, deed, place, city) is verdict(turned, deed, place, city)
    assert rooms(asker, deed, city) == rooms(turned, deed, city)


@given(cities(), ASKERS)
def test_the_sides_that_have_to_be_closed_are_told_and_closing_one_is_enough(
    city: Directory, asker: Asker
) -> None:
    told = sides(asker.grants, city)
    assert {pair for pair in conflicts(city) if pair <= held(asker, city) - excluded(city)} == set(
        told
    )
    closing = Asker(asker.id, asker.grants, frozenset(min(pair) for pair in told), asker.scopes)
    opened = {code for deed in Deed for code in rooms(closing, deed, city)}
    assert not any(pair <= opened for pair in conflicts(city))
