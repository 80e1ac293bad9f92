from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import Invalid, Refused
from core.personal import Sealed
from core.reserve import (
    FIRST_PREVIOUS,
    ChainBroken,
    Entry,
    Group,
    Head,
    Json,
    NumbersUsedUp,
    RegisterCall,
    as_occurred,
    canonical,
    check,
    decide,
    entry_bytes,
    entry_hash,
    entry_of,
    evolve,
    parse_reserve_number,
    reserve_number,
    start,
)
from core.vocabulary import WrapUpOutcome

WASTE = Group("tnh_avfall", "Avfall", matters=(("TK-AVF-01", "Fråga om avfall och hämtning"),))
SOCIAL = Group("ext_soc", "Socialtjänst, koppling vidare", excluded=True)
SEALED = Sealed("reserve-000/abc", "AAAA")


def entry(head: Head, **payload: Json) -> Entry:
    return Entry(
        device=head.device,
        epoch=head.epoch,
        seq=head.seq + 1,
        prev_hash=head.hash,
        kind="reserve.call_registered",
        schema=1,
        occurred_at="2026-11-22T14:03:00.000+01:00",
        actor="anna",
        monotonic_ns=1,
        boot="b",
        payload=payload,
    )


def test_a_registered_call_gets_the_next_number_of_its_device() -> None:
    head = replace(start("007", 1), seq=4, numbers=2)
    payload = decide(
        head, RegisterCall(WASTE, WrapUpOutcome.SOLVED, matter="TK-AVF-01"), None, None
    )
    assert payload == {
        "number": reserve_number("007", 3),
        "group": "tnh_avfall",
        "outcome": "solved",
        "matter": "TK-AVF-01",
    }


def test_number_and_note_of_the_caller_stand_sealed_in_the_entry() -> None:
    command = RegisterCall(
        WASTE, WrapUpOutcome.CALLBACK, caller="0846500412", note="ring före fyra"
    )
    payload = decide(start("000", 1), command, SEALED, SEALED)
    assert payload["caller"] == payload["note"] == {"key": "reserve-000/abc", "box": "AAAA"}
    assert b"0846500412" not in canonical(payload)


@pytest.mark.requirement("R11")
@pytest.mark.parametrize("field", ["caller", "note", "matter"])
def test_an_excluded_group_takes_no_number_no_matter_and_no_text(field: str) -> None:
    command = RegisterCall(SOCIAL, WrapUpOutcome.HANDED_OVER)
    command = replace(command, **{field: "0846500412"})  # type: ignore[arg-type]
    with pytest.raises(Refused) as refused:
        decide(start("000", 1), command, None, None)
    assert refused.value.details["field"] == "group"


@pytest.mark.requirement("R11")
def test_a_call_to_an_excluded_group_is_kept_as_a_bare_fact() -> None:
    payload = decide(start("000", 1), RegisterCall(SOCIAL, WrapUpOutcome.HANDED_OVER), None, None)
    assert set(payload) == {"number", "group", "outcome"}


@pytest.mark.parametrize(
    ("change", "field"),
    [({"caller": "12"}, "caller"), ({"matter": "XX-01"}, "matter"), ({"note": "x" * 4001}, "note")],
)
def test_what_cannot_be_right_is_refused_with_its_field(change: dict[str, str], field: str) -> None:
    command = RegisterCall(WASTE, WrapUpOutcome.SOLVED)
    with pytest.raises(Invalid) as refused:
        check(replace(command, **change))  # type: ignore[arg-type]
    assert refused.value.details["field"] == field


def test_a_device_that_has_given_all_its_numbers_says_so() -> None:
    head = replace(start("000", 1), seq=9_999, numbers=9_999)
    with pytest.raises(NumbersUsedUp):
        decide(head, RegisterCall(WASTE, WrapUpOutcome.SOLVED), None, None)


def test_entries_follow_one_another_and_count_the_numbers_given() -> None:
    head = start("000", 1)
    assert head == Head("000", 1, 0, FIRST_PREVIOUS, 0)
    first = entry(head, number="R-000-0001-95")
    head = evolve(head, first)
    head = evolve(head, entry(head))
    assert (head.seq, head.numbers) == (2, 1)


@pytest.mark.parametrize(
    "change", [{"seq": 3}, {"seq": 1}, {"prev_hash": "1" * 64}, {"device": "001"}, {"epoch": 2}]
)
def test_an_entry_that_does_not_follow_breaks_the_chain(change: dict[str, object]) -> None:
    head = evolve(start("000", 1), entry(start("000", 1)))
    with pytest.raises(ChainBroken):
        evolve(head, replace(entry(head), **change))  # type: ignore[arg-type]


def test_the_hash_of_an_entry_never_changes() -> None:
    assert entry_hash(entry(start("000", 1), number="R-000-0001-95", note="å")) == (
        "83bc653ef0d5387e88285fe4c9991678704bf01c86754402682e78e5c4b5e8c1"
    )


def test_an_entry_is_read_back_from_its_bytes_as_it_was() -> None:
    kept = entry(start("000", 1), number="R-000-0001-95", note="å\n\u2028😀")
    assert entry_of(entry_bytes(kept)) == kept


@pytest.mark.parametrize("packed", [b"", b"[]", b"{}", b'{"a":1}', b"\xff", b"null", b'{"seq": 1}'])
def test_bytes_that_are_no_entry_break_the_chain(packed: bytes) -> None:
    with pytest.raises(ChainBroken):
        entry_of(packed)


def test_an_entry_in_another_writing_is_not_the_entry() -> None:
    packed = entry_bytes(entry(start("000", 1)))
    with pytest.raises(ChainBroken):
        entry_of(packed.replace(b'"epoch":1', b'"epoch": 1'))


@pytest.mark.parametrize(
    "value", [1.5, float("nan"), 2**53, {"å": 1}, {1: 1}, "\ud800", b"x", (1,)]
)
def test_what_json_tells_in_more_than_one_way_is_refused(value: object) -> None:
    with pytest.raises(Invalid):
        canonical(value)  # type: ignore[arg-type]


def test_canonical_json_is_that_of_rfc_8785() -> None:
    value: Json = {"b": [True, None, -0, 2**53 - 1], "a": '\b\t\n\f\r"\\/\x1f\x7få€'}
    expected = '{"a":"\\b\\t\\n\\f\\r\\"\\\\/\\u001f\x7få€","b":[true,null,0,9007199254740991]}'
    assert canonical(value) == expected.encode()


def test_reserve_numbers_are_as_they_were_printed() -> None:
    assert reserve_number("000", 1) == "R-000-0001-95"
    assert reserve_number("123", 4567) == f"R-123-4567-{98 - 1234567 * 100 % 97:02d}"


@pytest.mark.parametrize("heard", ["R-000-0001-95", "r 000 0001 95", "000000195", "R–000–0001–95"])
def test_a_reserve_number_is_understood_however_it_is_written(heard: str) -> None:
    assert parse_reserve_number(heard) == ("000", 1)


@given(
    device=st.integers(0, 999),
    n=st.integers(1, 9_999),
    at=st.integers(0, 8),
    digit=st.integers(0, 9),
)
def test_no_wrong_digit_in_a_reserve_number_is_taken(
    device: int, n: int, at: int, digit: int
) -> None:
    right = reserve_number(f"{device:03}", n).replace("-", "")[1:]
    wrong = right[:at] + str(digit) + right[at + 1 :]
    if wrong == right:
        assert parse_reserve_number(wrong) == (f"{device:03}", n)
    else:
        with pytest.raises(Invalid):
            parse_reserve_number(wrong)


@given(device=st.integers(0, 999), n=st.integers(1, 9_999), at=st.integers(0, 7))
def test_no_two_neighbours_that_changed_places_are_taken(device: int, n: int, at: int) -> None:
    right = reserve_number(f"{device:03}", n).replace("-", "")[1:]
    swapped = right[:at] + right[at + 1] + right[at] + right[at + 2 :]
    if swapped != right:
        with pytest.raises(Invalid):
            parse_reserve_number(swapped)


@pytest.mark.parametrize("device", ["", "1", "0000", "abc", "٠٠٠"])
def test_a_device_number_has_three_digits(device: str) -> None:
    with pytest.raises(Invalid):
        start(device, 1)


def test_wall_time_is_kept_with_its_offset() -> None:
    assert as_occurred(datetime(2026, 11, 22, 13, 3, tzinfo=UTC)) == "2026-11-22T13:03:00.000+00:00"
