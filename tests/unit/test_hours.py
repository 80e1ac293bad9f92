"""Opening hours and deadlines, on dates worked by hand."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from given import city

from core.entry_views import Hours
from core.hours import after_open_hours, due_at, is_holiday, is_open, next_open, openings
from core.taxonomy import Calendar, CaseType

STOCKHOLM = ZoneInfo("Europe/Stockholm")


def local(text: str) -> datetime:
    """A time by the clocks of the city."""
    return datetime.fromisoformat(text).replace(tzinfo=STOCKHOLM)


def calendar(name: str) -> Calendar:
    found = city().calendar(name)
    assert found is not None
    return found


OFFICE = calendar("kontor")  # Monday to Friday 8 to 17
LONGER = calendar("utokad")  # Monday to Friday 7 to 19, Saturday 10 to 15
ON_CALL = calendar("jour_dagtid")  # Monday to Friday 9 to 12 and 13 to 15
ALWAYS = calendar("dygnet_runt")


# --- days -----------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    "day",
    [
        "2026-01-01", "2026-01-06", "2026-04-03", "2026-04-05", "2026-04-06", "2026-05-01",
        "2026-05-14", "2026-05-24", "2026-06-06", "2026-06-19", "2026-06-20", "2026-10-31",
        "2026-12-24", "2026-12-25", "2026-12-26", "2026-12-31",
        "2027-03-26", "2027-03-28", "2027-03-29", "2027-05-06", "2027-06-25", "2027-11-06",
        "2024-03-29", "2024-05-09", "2038-04-25", "2008-03-23",
    ],
)  # fmt: skip
def test_a_public_holiday_or_an_eve_that_is_one_in_fact(day: str) -> None:
    assert is_holiday(date.fromisoformat(day))


@pytest.mark.parametrize(
    "day",
    [
        "2026-01-05", "2026-04-02", "2026-04-04", "2026-04-30", "2026-05-15", "2026-05-25",
        "2026-06-18", "2026-10-30", "2026-11-22", "2026-12-23", "2026-12-27", "2026-12-30",
        "2027-11-05",
    ],
)  # fmt: skip
def test_a_day_like_others_though_some_shops_close(day: str) -> None:
    assert not is_holiday(date.fromisoformat(day))


def test_the_days_of_a_year_are_sixteen_unless_two_fall_together() -> None:
    first = date(2026, 1, 1)
    assert sum(is_holiday(first + timedelta(days=n)) for n in range(365)) == 16


# --- opening --------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("name", "at", "open_then"),
    [
        ("kontor", "2026-11-23T08:00", True),
        ("kontor", "2026-11-23T07:59:59", False),
        ("kontor", "2026-11-23T16:59:59", True),
        ("kontor", "2026-11-23T17:00", False),
        ("kontor", "2026-11-22T12:00", False),
        ("kontor", "2026-12-24T12:00", False),
        ("kontor", "2026-06-19T12:00", False),
        ("utokad", "2026-11-21T10:00", True),
        ("utokad", "2026-10-31T11:00", False),
        ("jour_dagtid", "2026-11-23T12:30", False),
        ("jour_dagtid", "2026-11-23T13:00", True),
        ("dygnet_runt", "2026-12-24T23:59", True),
        ("dygnet_runt", "2026-03-29T02:30", True),
    ],
)
def test_whether_it_is_open(name: str, at: str, *, open_then: bool) -> None:
    assert is_open(calendar(name), local(at)) is open_then
    assert is_open(calendar(name), local(at).astimezone(UTC)) is open_then


def test_when_it_opens_next() -> None:
    assert next_open(OFFICE, local("2026-11-23T09:30")) == local("2026-11-23T09:30")
    assert next_open(OFFICE, local("2026-11-23T17:00")) == local("2026-11-24T08:00")
    assert next_open(OFFICE, local("2026-12-23T18:00")) == local("2026-12-28T08:00")
    assert next_open(ON_CALL, local("2026-11-23T12:10")) == local("2026-11-23T13:00")
    assert next_open(Calendar("x", "x", ()), local("2026-11-23T12:10")) is None


def test_days_of_their_own_and_hours_that_overlap() -> None:
    day, half = date(2026, 12, 24), date(2026, 12, 30)
    twice = (Hours((), 540, 720), Hours((), 600, 780))
    own = Calendar("k", "k", OFFICE.hours, exceptions={day: twice, half: ()})
    assert openings(own, day) == [
        (local("2026-12-24T09:00"), local("2026-12-24T12:00")),
        (local("2026-12-24T12:00"), local("2026-12-24T13:00")),
    ]
    assert openings(own, half) == []


def test_round_the_clock_is_shorter_and_longer_when_the_clocks_change() -> None:
    def hours(day: date) -> float:
        ((opens, closes),) = openings(ALWAYS, day)
        return (closes - opens) / timedelta(hours=1)

    spring, autumn = hours(date(2026, 3, 29)), hours(date(2026, 10, 25))
    assert (spring, autumn, hours(date(2026, 11, 22))) == (23, 25, 24)


# --- deadlines ------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("name", "since", "hours", "due"),
    [
        # Monday 10:00 and 16 h of 9 a day: 7 left on Monday, 9 on Tuesday.
        ("kontor", "2026-11-23T10:00", 16, "2026-11-24T17:00"),
        # An hour more begins on Wednesday; a time that runs out at closing is due at closing.
        ("kontor", "2026-11-23T10:00", 17, "2026-11-25T09:00"),
        ("kontor", "2026-11-23T08:00", 9, "2026-11-23T17:00"),
        # Friday 16:00: an hour on Friday, one on Monday.
        ("kontor", "2026-11-20T16:00", 2, "2026-11-23T09:00"),
        # From outside opening hours: the clock stands until it opens.
        ("kontor", "2026-11-21T23:00", 1, "2026-11-23T09:00"),
        # Over Christmas: Wednesday 23 December 16:00; 24, 25 are closed, 26, 27 a weekend.
        ("kontor", "2026-12-23T16:00", 2, "2026-12-28T09:00"),
        # Over the New Year: 30 December 16:00; 31 and 1 closed, 2, 3 a weekend, Monday 4 open.
        ("kontor", "2026-12-30T16:00", 11, "2027-01-05T09:00"),
        # Over Easter: Thursday 2 April 16:00; Friday and Monday closed, Tuesday 7 open.
        ("kontor", "2026-04-02T16:00", 2, "2026-04-07T09:00"),
        # Over Midsummer: Thursday 18 June; Friday is the eve.
        ("kontor", "2026-06-18T16:30", 1, "2026-06-22T08:30"),
        # Saturday is open in the longer hours: 18:00 Friday, 1 h, then 2 of Saturday's 5.
        ("utokad", "2026-11-20T18:00", 3, "2026-11-21T12:00"),
        # The lunch of the on-call hours stands still: 11:30, half an hour, then from 13:00.
        ("jour_dagtid", "2026-11-23T11:30", 1, "2026-11-23T13:30"),
        # The clocks go back at 03:00 on 25 October: 4 h since 00:30 end at 03:30 by the clock.
        ("dygnet_runt", "2026-10-25T00:30", 4, "2026-10-25T03:30"),
        # They go forward at 02:00 on 29 March: 4 h since 00:30 end at 05:30.
        ("dygnet_runt", "2026-03-29T00:30", 4, "2026-03-29T05:30"),
        # Office hours over the change: Friday 16:00 and Monday 9:00, though UTC moved between.
        ("kontor", "2026-10-23T16:00", 2, "2026-10-26T09:00"),
        ("kontor", "2026-03-27T16:00", 2, "2026-03-30T09:00"),
    ],
)
def test_when_so_many_opening_hours_have_passed(
    name: str, since: str, hours: float, due: str
) -> None:
    assert after_open_hours(calendar(name), local(since), hours) == local(due)


def test_a_calendar_that_never_opens_has_no_deadline() -> None:
    assert after_open_hours(Calendar("x", "x", ()), local("2026-11-23T10:00"), 1) is None


@pytest.mark.requirement("R6")
@pytest.mark.parametrize(
    ("code", "due"),
    [
        ("TK-AVF-01", "2026-11-24T11:00"),  # 16 h of 12 a day from Sunday: Monday, 4 of Tuesday
        ("TK-DRC-09", "2026-11-22T10:00"),  # one hour, on a Sunday
        ("MF-LIV-03", "2026-11-22T13:00"),
        ("IDR-INF-01", "2026-11-23T15:00"),
        ("TK-DRC-03", "2026-11-23T09:00"),  # 24 h in a group that is open round the clock
    ],
)
def test_the_deadline_of_a_type_by_its_clock(code: str, due: str) -> None:
    case_type = city().case_type(code)
    assert case_type is not None
    assert due_at(case_type, local("2026-11-22T09:00"), city()) == local(due)


def test_hours_as_they_pass_are_no_hours_by_the_clock() -> None:
    night = CaseType("X", "X", "TK", sla_hours=4, sla_clock="calendar")
    assert due_at(night, local("2026-10-25T00:30"), city()) == local("2026-10-25T03:30")


def test_a_type_without_hours_has_no_deadline_and_one_without_a_calendar_counts_all() -> None:
    since = local("2026-11-22T09:00")
    assert due_at(CaseType("X", "X", "TK"), since, city()) is None
    bare = CaseType("X", "X", "TK", sla_hours=8)
    assert due_at(bare, since, city()) == local("2026-11-22T17:00")
