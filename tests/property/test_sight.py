"""What a list shows is what may be opened: `sight` and `verdict` never differ, whoever asks."""

from __future__ import annotations

from given import city
from hypothesis import given
from hypothesis import strategies as st

from core.access import RIGHTS, Asker, Deed, Grant, Place, Reach, Role, Verdict, sight, verdict

CODES = sorted(city().rows("authority"))
GRANTS = st.builds(
    Grant,
    role=st.sampled_from([role for role in Role if role is not Role.PROGRAM]),
    authority=st.sampled_from([*CODES, "*"]),
    groups=st.lists(st.sampled_from(sorted(city().groups)), max_size=3).map(tuple),
    approves=st.booleans(),
    protected=st.booleans(),
)
ASKERS = st.builds(
    Asker,
    id=st.just("anna"),
    grants=st.lists(GRANTS, max_size=3).map(tuple),
    closed_to=st.frozensets(st.sampled_from(CODES), max_size=2),
)
PLACES = st.builds(
    Place,
    authority=st.sampled_from(CODES),
    receivers=st.frozensets(st.sampled_from(CODES), max_size=2),
    protected=st.booleans(),
)
LISTED = [
    Deed.SEARCH_CASES, Deed.READ_HISTORY, Deed.READ_WORK_LIST, Deed.READ_CASE_FIGURES,
    Deed.READ_CASE,
]  # fmt: skip


@given(ASKERS, PLACES, st.sampled_from(LISTED))
def test_a_case_is_in_sight_exactly_where_it_may_be_opened(
    asker: Asker, place: Place, deed: Deed
) -> None:
    seen = sight(asker, deed, city())
    assert place.authority is not None
    opened = seen.rooms & {place.authority, *place.receivers}
    shown = (
        bool(opened)
        and place.authority not in seen.closed
        and (not place.protected or bool(opened & seen.protected))
    )
    assert shown == (verdict(asker, deed, place, city()) is Verdict.ALLOWED)
    assert {Reach.ROOM, Reach.REGISTERED} >= set(RIGHTS[deed].values())
