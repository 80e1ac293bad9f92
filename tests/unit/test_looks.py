"""The chain of looks: what was taken out or changed shows itself."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone

import pytest

from core.looks import End, Look, PersonLookedAt, beginning, look_hash, verify

T0 = datetime(2026, 11, 22, 8, 0, tzinfo=UTC)
STREAM = "look/a"


def chain(count: int, stream: str = STREAM) -> list[Look]:
    looks, end = [], beginning(stream)
    for n in range(1, count + 1):
        event = PersonLookedAt(n, end.hash, "anna", "read_case", "contact", f"case/TK/{n}")
        looks.append(Look(stream, n, T0 + timedelta(seconds=n), event))
        end = End(n, look_hash(looks[-1]))
    return looks


def changed(look: Look, **fields: object) -> Look:
    return look._replace(event=replace(look.event, **fields))  # type: ignore[arg-type]


def test_a_whole_chain_has_no_fault_and_tells_its_end() -> None:
    looks = chain(5)
    found = verify(looks)
    assert (found.looks, found.faults) == (5, [])
    assert found.ends == {STREAM: End(5, look_hash(looks[-1]))}


def test_chains_of_many_nodes_are_walked_apart() -> None:
    one, two = chain(3), chain(3, "look/b")
    mixed = [look for pair in zip(one, two, strict=True) for look in pair]
    assert verify(mixed).faults == []


def test_a_look_that_was_taken_out_is_missing() -> None:
    looks = chain(6)
    assert verify([*looks[:2], *looks[4:]]).faults == ["look/a: looks 3 to 4 are missing"]
    assert verify(looks[1:]).faults == ["look/a: look 1 is missing"]


@pytest.mark.parametrize("field", ["who", "deed", "purpose", "case", "person"])
def test_a_look_whose_content_was_changed_is_told(field: str) -> None:
    looks = chain(4)
    looks[1] = changed(looks[1], **{field: "another"})
    assert verify(looks).faults == ["look/a: look 2 or 3 was changed"]


def test_a_look_whose_time_was_changed_is_told() -> None:
    looks = chain(3)
    looks[0] = looks[0]._replace(at=T0)
    assert verify(looks).faults == ["look/a: look 1 or 2 was changed"]


def test_the_last_look_changed_or_cut_off_is_seen_by_whoever_noted_the_end() -> None:
    looks = chain(4)
    known = verify(looks).ends
    assert verify(looks[:2], known).faults == ["look/a: looks 3 to 4 are missing at its end"]
    last = [*looks[:3], changed(looks[3], who="nobody")]
    assert verify(last).faults == []
    assert verify(last, known).faults == ["look/a: look 4 is not the one that was noted"]
    assert verify([], known).faults == ["look/a: looks 1 to 4 are missing at its end"]


def test_a_chain_that_was_written_anew_from_some_look_on_is_seen_by_whoever_noted_the_end() -> None:
    known = verify(chain(4)).ends
    forged, end = [], beginning(STREAM)
    for look in chain(5):
        forged.append(changed(look, previous=end.hash, who="somebody"))
        end = End(look.event.n, look_hash(forged[-1]))
    assert verify(forged).faults == []
    assert verify(forged, known).faults == ["look/a: look 4 is not the one that was noted"]


def test_a_chain_cannot_begin_with_the_looks_of_another() -> None:
    moved = [look._replace(stream="look/b") for look in chain(1)]
    assert verify(moved).faults == ["look/b: look 1 was changed"]


def test_a_look_that_stands_twice_or_elsewhere_is_told() -> None:
    looks = chain(3)
    assert verify([*looks, looks[1]]).faults == ["look/a: look 2 stands after look 3"]
    looks[2] = looks[2]._replace(version=4)
    assert verify(looks).faults == ["look/a: look 3 was changed: it stands in place 4"]


def test_the_hash_of_a_look_never_changes() -> None:
    """Ends that were noted years ago must be found again, whatever fields came since."""
    look = Look(STREAM, 1, T0, PersonLookedAt(1, beginning(STREAM).hash, "a", "read_case", "x"))
    known = "a585e4868d546d1ced49a8a0265f54d96cb4a235bc2f151dd927b3f52cc45173"
    assert known == look_hash(look)
    assert known == look_hash(look._replace(at=T0.astimezone(timezone(timedelta(hours=1)))))
