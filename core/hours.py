"""Opening hours and deadlines: the city's time, public holidays, and the days of clock change.

Hours are counted as they pass, in UTC: the night of clock change is 23 or 25 hours long for whoever
is open round the clock. Closed on Swedish public holidays, and on Midsummer, Christmas and New
Year's Eve, which are holidays in fact.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from typing import TYPE_CHECKING, Final
from zoneinfo import ZoneInfo

if TYPE_CHECKING:
    from collections.abc import Iterator

    from core.taxonomy import Calendar, CaseType, Directory

CITY: Final = ZoneInfo("Europe/Stockholm")
_SEARCH_DAYS_MAX: Final = 3660  # a calendar that is not open within ten years never opens
_DAY: Final = timedelta(days=1)


def is_holiday(day: date) -> bool:
    """Whether the day is a public holiday in Sweden, or an eve that is one in fact.

    Sundays are ordinary days here: a calendar says itself on which days it is open.
    """
    return day in _holidays(day.year)


@lru_cache(maxsize=64)
def _holidays(year: int) -> frozenset[date]:
    """The law's days (1989:253, as it has stood since 2005) and the three eves.

    Counted here, not by a library: the reserve terminal has none, and the days are few.
    """
    easter = _easter(year)
    midsummer = _saturday(date(year, 6, 20))
    fixed = ((1, 1), (1, 6), (5, 1), (6, 6), (12, 24), (12, 25), (12, 26), (12, 31))
    from_easter = (-2, 0, 1, 39, 49)  # Good Friday, Easter, Easter Monday, Ascension, Pentecost
    return frozenset(
        {
            *(date(year, month, day) for month, day in fixed),
            *(easter + days * _DAY for days in from_easter),
            *(midsummer - _DAY, midsummer),
            _saturday(date(year, 10, 31)),  # All Saints'
        }
    )


def _saturday(day: date) -> date:
    """The first Saturday that is not before the day."""
    return day + (6 - day.isoweekday()) % 7 * _DAY


def _easter(year: int) -> date:
    """Easter Sunday of the Gregorian calendar. Source: Meeus, Astronomical Algorithms, ch. 8."""
    a, (b, c) = year % 19, divmod(year, 100)
    (d, e), (i, k) = divmod(b, 4), divmod(c, 4)
    g = (8 * b + 13) // 25
    h = (19 * a + b - d - g + 15) % 30
    j = (32 + 2 * e + 2 * i - h - k) % 7
    m = (a + 11 * h + 22 * j) // 451
    month, day = divmod(h + j - 7 * m + 114, 31)
    return date(year, month, day + 1)


def openings(calendar: Calendar, day: date) -> list[tuple[datetime, datetime]]:
    """The times of that day of the city in which the calendar is open, in order, in UTC."""
    if day in calendar.exceptions:
        hours = calendar.exceptions[day]
    elif calendar.round_the_clock:
        return [(_at(day, 0), _at(day + _DAY, 0))]
    elif is_holiday(day):
        return []
    else:
        hours = tuple(h for h in calendar.hours if day.isoweekday() in h.days)
    spans = sorted((_at(day, h.opens_min), _at(day, h.closes_min)) for h in hours)
    joined: list[tuple[datetime, datetime]] = []
    for opens, closes in spans:  # rows that overlap are open once
        start = max(opens, joined[-1][1]) if joined else opens
        if closes > start:
            joined.append((start, closes))
    return joined


def is_open(calendar: Calendar, at: datetime) -> bool:
    """Whether it is open at that time; at the minute of closing it is closed."""
    at = at.astimezone(UTC)  # of one and the same zone Python compares and adds by the clock
    day = at.astimezone(CITY).date()
    return any(opens <= at < closes for opens, closes in openings(calendar, day))


def next_open(calendar: Calendar, at: datetime) -> datetime | None:
    """`at` where it is open then, else when it opens next; None where it never does."""
    at = at.astimezone(UTC)
    return next((max(opens, at) for opens, _ in _from(calendar, at)), None)


def after_open_hours(calendar: Calendar, start: datetime, hours: float) -> datetime | None:
    """When so many opening hours have passed since `start`; None where they never have.

    A time that runs out at closing is due then, not at the next opening.
    """
    start = start.astimezone(UTC)
    left = timedelta(hours=hours)
    for opens, closes in _from(calendar, start):
        begins = max(opens, start)
        if left <= closes - begins:
            return begins + left
        left -= closes - begins
    return None


def due_at(case_type: CaseType, since: datetime, directory: Directory) -> datetime | None:
    """The deadline of a case of that type that was registered at `since`; None where it has none.

    By `sla_clock`: in opening hours of the type's calendar, or in hours as they pass, which also
    holds where the catalogue has no calendar for it.
    """
    if case_type.sla_hours is None:
        return None
    calendar = directory.calendar_of(case_type)
    if case_type.sla_clock == "opening" and calendar is not None:
        return after_open_hours(calendar, since, case_type.sla_hours)
    return since.astimezone(UTC) + timedelta(hours=case_type.sla_hours)


def _from(calendar: Calendar, at: datetime) -> Iterator[tuple[datetime, datetime]]:
    """The opening times that end after `at`, in order."""
    day = at.astimezone(CITY).date()
    for n in range(_SEARCH_DAYS_MAX):
        for opens, closes in openings(calendar, day + n * _DAY):
            if closes > at:
                yield opens, closes


def _at(day: date, minutes: int) -> datetime:
    """That many minutes by the clock after midnight in the city; 1440 is the next midnight."""
    days, rest = divmod(minutes, 24 * 60)
    on = day + days * _DAY
    local = datetime(on.year, on.month, on.day, rest // 60, rest % 60, tzinfo=CITY)
    return local.astimezone(UTC)
