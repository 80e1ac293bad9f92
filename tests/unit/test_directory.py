"""Every version of every entry, and what stands when."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from given import T0, city, recorded
from hypothesis import given as drawn
from hypothesis import settings
from hypothesis import strategies as st

from core.directory import Directory
from core.entries import ChangeProposed, ChangeRefused, EntryRemoved, EntrySet
from core.eventlog.directory import DirectoryFollower

if TYPE_CHECKING:
    from core.commit import Recorded

DAY = timedelta(days=1)
KEY = ("case_type", "X")


def told(event: Any, days: float, version: int = 1) -> Recorded:
    """An event that was recorded so many days after T0."""
    return replace(recorded(event, version), recorded_at=T0 + days * DAY)


def name(directory: Directory) -> str | None:
    found = directory.case_type("X")
    return None if found is None else found.name


def set_to(text: str, effective: float | None = None, **more: Any) -> EntrySet:
    at = None if effective is None else T0 + effective * DAY
    return EntrySet(*KEY, {"code": "X", "name": text, "authority": "TK"}, at, **more)


def test_a_change_takes_effect_at_its_time_and_what_was_stays() -> None:
    directory = Directory.of([told(set_to("ett"), 0), told(set_to("två", 10), 2)])
    assert name(directory.at(T0 + 9.99 * DAY)) == "ett"
    assert name(directory.at(T0 + 10 * DAY)) == "två"
    assert name(directory.at(T0 + 5 * DAY)) == "ett", "also when asked afterwards"
    assert name(directory.at(T0 - DAY)) is None
    assert [directory.at(T0 + n * DAY).version(*KEY) for n in (-1, 0, 9, 10, 99)] == [0, 1, 1, 2, 2]


def test_an_approval_after_its_effect_date_takes_effect_when_it_arrives() -> None:
    directory = Directory.of([told(set_to("ett"), 0), told(set_to("två", 3), 7)])
    assert name(directory.at(T0 + 6.9 * DAY)) == "ett", "what was is not rewritten"
    assert name(directory.at(T0 + 7 * DAY)) == "två"


@pytest.mark.requirement("R14", "R19")
def test_an_old_version_can_be_read_for_as_long_as_the_log_is_kept() -> None:
    article = {"id": "A", "owner": "TK", "kind": "faq", "title": "T", "guarded": True}
    directory = Directory.of(
        told(EntrySet("article", "A", {**article, "body": body}), n)
        for n, body in enumerate(("ett", "två", "tre"))
    )
    found = [directory.article("A", n) for n in (1, 2, 3, 4, 0, -1)]
    assert [a and (a.body, a.version) for a in found] == [
        ("ett", 1), ("två", 2), ("tre", 3), None, None, None,
    ]  # fmt: skip
    standing = directory.article("A")
    assert standing == found[2]


def test_versions_are_numbered_as_they_come_into_force() -> None:
    directory = Directory.of(
        [told(set_to("ett"), 0), told(set_to("sen", 20), 1), told(set_to("snart", 10), 2)]
    )
    assert [directory.case_type("X", n).name for n in (1, 2, 3)] == ["ett", "snart", "sen"]  # type: ignore[union-attr]
    assert directory.recorded(*KEY) == 3


def test_a_withdrawn_entry_is_gone_from_its_time_and_its_versions_stay() -> None:
    gone = EntryRemoved(*KEY, T0 + 5 * DAY)
    directory = Directory.of([told(set_to("ett"), 0), told(gone, 1), told(set_to("åter"), 8)])
    assert name(directory.at(T0 + 4 * DAY)) == "ett"
    after = directory.at(T0 + 5 * DAY)
    assert name(after) is None
    assert "X" not in after.rows("case_type")
    assert after.version(*KEY) == 2
    assert after.case_type("X", 1) is not None
    assert name(directory.at(T0 + 8 * DAY)) == "åter"


def test_a_clock_that_runs_behind_never_puts_a_change_before_one_that_stands() -> None:
    directory = Directory.of([told(set_to("ett"), 5), told(set_to("två"), 4.999)])
    assert name(directory.at(T0 + 5 * DAY)) == "två"
    assert name(directory) == "två"


def test_between_two_changes_it_is_the_very_same_catalogue() -> None:
    directory = Directory.of([told(set_to("ett"), 0), told(set_to("två", 0.5), 0)])
    assert directory.at(T0 + DAY / 4) is directory
    later = directory.at(T0 + DAY / 2)
    assert later is not directory
    assert later.at(T0 + DAY / 2 + timedelta(seconds=1)) is later


@pytest.mark.requirement("R26")
def test_a_dialled_number_leads_where_it_is_valid_on_the_day() -> None:
    def number(target: str, begins: str, ends: str | None = None) -> EntrySet:
        row: dict[str, object] = {"number": "08-465 004 00", "target": target, "valid_from": begins}
        return EntrySet("dialled_number", f"n/{begins}", row | ({"valid_to": ends} if ends else {}))

    groups = [EntrySet("answer_group", key, {"queue": key, "partition": []}) for key in "ab"]
    directory = Directory.of([*groups, number("a", "2027-01-01", "2027-05-31"),
                              number("b", "2027-06-01")])  # fmt: skip
    at = datetime(2027, 5, 31, 21, 59, tzinfo=UTC)  # 23:59 in the city
    assert [g.id for g in directory.at(at).groups_of_choice("08-465 004 00", None)] == ["a"]
    at += timedelta(minutes=1)
    assert [g.id for g in directory.at(at).groups_of_choice("08-465 004 00", None)] == ["b"]
    at = datetime(2026, 1, 1, tzinfo=UTC)  # neither: whoever dialled it is led on all the same
    assert len(directory.at(at).groups_of_choice("08-465 004 00", None)) == 2


def test_a_menu_may_lead_to_another_menu() -> None:
    events = [
        EntrySet("answer_group", "a", {"queue": "a", "partition": []}),
        EntrySet("answer_group", "b", {"queue": "b", "partition": []}),
        EntrySet("ivr", "one", {"default": "a", "options": [{"key": "1", "ivr": "two"}]}),
        EntrySet("ivr", "two", {"default": "b", "options": [{"key": "1", "ivr": "one"}]}),
        EntrySet("dialled_number", "n", {"number": "1", "target": "one"}),
    ]
    directory = Directory.of(events)
    assert {g.id for g in directory.groups_of_choice("1", "1")} == {"b"}, "a ring ends too"


@pytest.mark.requirement("R10")
def test_the_levels_that_an_authority_handed_over() -> None:
    assert city().levels_taken_over("IDR") == {"1"}, "sports joins at level 1 only"
    assert city().levels_taken_over("TK") == {"1", "2"}
    assert city().levels_taken_over("KS") == frozenset()
    assert city().levels_taken_over("finns ej") == frozenset()

    def row(begins: str, *levels: str) -> EntrySet:
        fields: dict[str, object] = {"authority": "IDR", "valid_from": begins, "levels": [*levels]}
        return EntrySet("takeover", f"IDR/{begins}", fields)

    staged = Directory.of([row("2027-01-01", "1", "2"), row("2028-01-01")], city())
    levels = {
        year: staged.at(datetime(year, 6, 1, tzinfo=UTC)).levels_taken_over("IDR")
        for year in (2026, 2027, 2028)
    }
    assert levels == {2026: {"1"}, 2027: {"1", "2"}, 2028: frozenset()}


@pytest.mark.requirement("R12")
def test_a_case_type_is_a_chain_of_steps_with_level_group_and_flag() -> None:
    found = city().case_type("TK-AVF-02")
    assert found is not None
    assert [(s.level, s.group, s.exercise_of_authority, s.action) for s in found.steps] == [
        ("1", "tnh_avfall", "false", "register"),
        ("2", "tnh_avfall", "false", "handover"),
        ("specialist", "spec_tk_avfall", "false", "answer"),
    ]
    assert (found.sla_hours, found.sla_clock, found.priority, found.version) == (
        24,
        "opening",
        2,
        1,
    )
    calendar = city().calendar_of(found)
    assert calendar is not None
    assert calendar.id == "utokad"
    assert (calendar.hours[0].opens_min, calendar.hours[0].closes_min) == (420, 1140)


def test_a_flag_that_nobody_set_is_unknown_and_stops_the_centre() -> None:
    directory = Directory.of([EntrySet("case_type", "X", {"steps": [{"name": "Besluta"}]})])
    found = directory.case_type("X")
    assert found is not None
    assert [(s.exercise_of_authority, s.stops_the_centre) for s in found.steps] == [
        ("unknown", True)
    ]


@pytest.mark.requirement("R22")
def test_a_family_shares_its_case_types() -> None:
    kind = city().case_type("SDN-ALD-01")
    assert kind is not None
    served = {code for code in city().rows("authority") if city().serves(kind, code)}
    assert served == {"SDN", "BRO", "HVA"}


def test_days_with_hours_of_their_own() -> None:
    row: dict[str, object] = {
        "name": "K",
        "hours": [{"days": [1], "opens": "08:00", "closes": "24:00"}],
        "exceptions": [
            {"date": "2026-12-24"},
            {"date": "2026-12-30", "opens": "09:30", "closes": "11:00"},
        ],
    }
    found = Directory.of([EntrySet("calendar", "k", row)]).calendar("k")
    assert found is not None
    assert found.exceptions[date(2026, 12, 24)] == ()
    (hours,) = found.exceptions[date(2026, 12, 30)]
    assert (hours.opens_min, hours.closes_min, found.hours[0].closes_min) == (570, 660, 1440)


@pytest.mark.requirement("R23")
def test_who_is_on_call_by_period_or_by_weekly_hours_in_the_citys_time() -> None:
    period: dict[str, object] = {
        "group": "jour_bygg",
        "role": "expert",
        "starts": "2026-11-24T18:00:00+01:00",
        "ends": "2026-11-25T06:00:00+01:00",
    }
    weekly: dict[str, object] = {
        "group": "jour_bygg",
        "contact": "K01",
        "hours": [{"days": [2], "opens": "09:00", "closes": "12:00"}],
    }
    directory = Directory.of([EntrySet("on_call", "a", period), EntrySet("on_call", "b", weekly)])
    for hour, minute, found in (
        (7, 59, []), (8, 0, ["b"]), (10, 59, ["b"]), (11, 0, []), (17, 0, ["a"]),
        (28, 59, ["a"]), (29, 0, []), (32, 0, []),
    ):  # fmt: skip
        now = datetime(2026, 11, 24, tzinfo=UTC) + timedelta(hours=hour, minutes=minute)
        assert [one.id for one in directory.on_call("jour_bygg", now)] == found, now
    assert directory.on_call("annan", datetime(2026, 11, 24, 9, tzinfo=UTC)) == []


def test_proposals_wait_until_they_are_approved_or_refused() -> None:
    proposed = [
        told(ChangeProposed(n, *KEY, "TK", {"name": n}), k, k)
        for k, n in enumerate(("a", "b", "c"))
    ]
    directory = Directory.of(proposed)
    assert [(c.id, c.proposed_by, c.owner) for c in directory.pending.values()] == [
        (n, "anna", "TK") for n in ("a", "b", "c")
    ]
    done = Directory.of(
        [told(set_to("a", change="a"), 5), told(ChangeRefused("b", *KEY, "nej"), 6)], directory
    )
    assert list(done.pending) == ["c"]
    assert list(directory.pending) == ["a", "b", "c"], "the one before is as it was"


STEPS = st.lists(
    st.tuples(st.integers(0, 3), st.one_of(st.none(), st.integers(-5, 30)), st.booleans()),
    max_size=6,
)


@drawn(STEPS, st.lists(st.integers(0, 40), min_size=1, max_size=5))
@settings(max_examples=200, deadline=None)
def test_what_was_in_force_is_never_rewritten(changes: Any, moments: list[int]) -> None:
    """Whatever is recorded later, at every moment up to then the catalogue stays what it was."""
    directory, now = Directory(), 0
    for n, (wait, effective, gone) in enumerate(changes):
        now += wait
        at = None if effective is None else T0 + effective * DAY
        event: Any = EntryRemoved(*KEY, at) if gone else set_to(str(n), effective)
        after = Directory.of([told(event, now, n)], directory)
        for moment in moments:
            if moment < now:
                then = T0 + moment * DAY
                assert name(directory.at(then)) == name(after.at(then))
                assert directory.at(then).version(*KEY) == after.at(then).version(*KEY)
        directory = after


def test_the_follower_gives_what_stands_now_by_its_clock() -> None:
    class Nothing:
        def positions(self) -> dict[str, int]:
            return {}

        def read(self, shard: str, after: int, limit: int) -> list[Any]:
            raise AssertionError

    now = [T0]
    follower = DirectoryFollower(Nothing(), lambda: now[0])
    follower._whole = Directory.of([told(set_to("ett"), 0), told(set_to("två", 2), 1)])
    follower._directory = follower._whole
    assert name(follower()) == "ett"
    assert follower() is follower()
    now[0] += 3 * DAY
    assert name(follower()) == "två"
