"""Moments as whole microseconds since the epoch, and the intervals that they fall into."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

ZONE: Final = ZoneInfo(
    "Europe/Stockholm"
)  # rows are shown in it; intervals are aligned to the epoch in UTC
SECOND_US: Final = 1_000_000
HOUR_S: Final = 3600
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def micros(at: datetime) -> int:
    """A moment as microseconds since the epoch; exact, unlike a float of seconds."""
    since = at - _EPOCH
    return (since.days * 86_400 + since.seconds) * SECOND_US + since.microseconds


def moment(at_us: int) -> datetime:
    """The moment of `micros`, in the zone that rows are shown in."""
    return (_EPOCH + timedelta(microseconds=at_us)).astimezone(ZONE)


def iso(at_us: int) -> str:
    """A moment as ISO 8601 with the offset of the zone."""
    return moment(at_us).isoformat()


def plain(number: float | None) -> float | int | None:
    """A whole number without its `.0`; None stays no value."""
    if isinstance(number, float) and number.is_integer():
        return int(number)
    return number


def intervals(begin: datetime, end: datetime, length_s: int) -> list[tuple[datetime, datetime]]:
    """The intervals of `length_s` seconds from `begin` to `end`, in absolute time.

    A local day of a clock change has 92 or 100 quarter-hours.
    """
    step = length_s * SECOND_US
    first, last = micros(begin) // step * step, micros(end)
    return [(moment(at), moment(at + step)) for at in range(first, last, step)]
