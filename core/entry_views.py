"""What a row of the catalogue says, typed: authorities, groups, case types, articles, calendars.

A row is taken as it is: whether it is right was looked at before it was recorded (`core.sections`),
and what was recorded is read for ever, so nothing here raises.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime


@dataclass(frozen=True, slots=True)
class Authority:
    """A board or company that owns matters (*nämnd, bolag*).

    `excluded`: recognise, connect, keep nothing (R11). `family`: the authority whose case types it
    uses beside its own, as the district boards do.
    """

    code: str
    name: str
    excluded: bool = False
    family: str | None = None
    office: str = ""
    centre: str | None = None
    complaint_system: str | None = None


@dataclass(frozen=True, slots=True)
class AnswerGroup:
    """An answer group (*svarsgrupp*).

    `partition` is the codes of the authorities whose matters it answers.
    """

    id: str
    queue: str
    name: str
    centre: str
    partition: tuple[str, ...]
    excluded: bool = False
    known: bool = True
    levels: tuple[str, ...] = ()
    calendar: str | None = None
    receipt_within_s: int | None = None
    written: bool = False
    version: int = 0


@dataclass(frozen=True, slots=True)
class Step:
    """One step of a case type's chain (R12). `exercise_of_authority`: true, false or unknown."""

    name: str
    level: str
    group: str | None
    exercise_of_authority: str
    action: str

    @property
    def stops_the_centre(self) -> bool:
        """Whether only the owner may act in it (R13): everything that is not a clear no."""
        return self.exercise_of_authority != "false"


@dataclass(frozen=True, slots=True)
class CaseType:
    """A case type. `authority` is its owner's code, or `ANY_AUTHORITY`.

    `sla_hours` runs by `sla_clock`: in the opening hours of `calendar`, or by the calendar's days.
    `complaint_route` is a complaint system, or `by_owner`. `version` is the catalogue's.
    """

    code: str
    name: str
    authority: str
    complaint: bool = False
    excluded: bool = False
    version: int = 0
    steps: tuple[Step, ...] = ()
    sla_hours: float | None = None
    sla_clock: str = "opening"
    calendar: str | None = None
    priority: int = 3
    safety: bool = False
    safety_question: bool = False
    guarded: bool = False
    registry: bool = False
    complaint_route: str | None = None
    stage: str | None = None
    english: str = ""
    area: str | None = None
    channels: tuple[str, ...] = ()
    advice: str | None = None
    dispatch: str | None = None
    location: bool = False
    contractor: bool = False
    project: bool = False
    supervision: bool = False
    mass_incident: bool = False
    quick: bool = False
    needs_system: str | None = None


@dataclass(frozen=True, slots=True)
class Article:
    """An article or standard answer (R20). `version` is the catalogue's: what an answer refers to.

    `edition` is the owner's own number in the row. A `guarded` article is answered with
    `guard_text` alone (R19). `mapping` tells how far a lathund's routine is mapped (R59).
    """

    id: str
    version: int
    owner: str
    kind: str
    title: str
    body: str
    guarded: bool = False
    guard_text: str | None = None
    read_out_level1: bool = False
    case_types: tuple[str, ...] = ()
    edition: int | None = None
    reviewed: date | None = None
    review_days: int | None = None
    mapping: str | None = None


@dataclass(frozen=True, slots=True)
class Hours:
    """Opening hours on some days (1 Monday to 7 Sunday), in minutes after midnight, city's time."""

    days: tuple[int, ...]
    opens_min: int
    closes_min: int


@dataclass(frozen=True, slots=True)
class Calendar:
    """When something is open. Closed on public holidays unless `round_the_clock`.

    `exceptions`: days with hours of their own, none of them where closed.
    """

    id: str
    name: str
    hours: tuple[Hours, ...]
    round_the_clock: bool = False
    exceptions: Mapping[date, tuple[Hours, ...]] = field(default_factory=dict)
    version: int = 0


@dataclass(frozen=True, slots=True)
class OnCall:
    """Somebody who is on call for a group: a role, or a contact of the contact list."""

    id: str
    group: str
    role: str | None = None
    contact: str | None = None


# --- from rows ------------------------------------------------------------------------------------
def authority_of(code: str, row: Mapping[str, object]) -> Authority:
    """The authority that a row describes."""
    return Authority(
        code=code,
        name=str(row.get("name", code)),
        excluded=row.get("excluded") is True,
        family=text_of(row, "family"),
        office=str(row.get("office", "")),
        centre=text_of(row, "centre"),
        complaint_system=text_of(row, "complaint_system"),
    )


def group_of(
    key: str, row: Mapping[str, object], excluded: frozenset[str], version: int
) -> AnswerGroup:
    """The answer group that a row describes; `excluded` are the excluded authorities."""
    partition = texts_of(row.get("partition"))
    return AnswerGroup(
        id=key,
        queue=str(row.get("queue", key)),
        name=str(row.get("name", key)),
        centre=str(row.get("centre", "")),
        partition=partition,
        excluded=row.get("excluded") is True or not excluded.isdisjoint(partition),
        levels=texts_of(row.get("levels")),
        calendar=text_of(row, "calendar"),
        receipt_within_s=int_of(row, "receipt_within_s"),
        written=row.get("written") is True,
        version=version,
    )


def case_type_of(code: str, row: Mapping[str, object], version: int) -> CaseType:
    """The case type that a row describes."""
    hours = row.get("sla_hours")
    return CaseType(
        code=code,
        name=str(row.get("name", code)),
        authority=str(row.get("authority", "")),
        complaint=row.get("complaint") is True,
        excluded=row.get("excluded") is True,
        version=version,
        steps=tuple(_step_of(item) for item in _tables(row.get("steps"))),
        sla_hours=float(hours) if isinstance(hours, int | float) else None,
        sla_clock=str(row.get("sla_clock", "opening")),
        calendar=text_of(row, "calendar"),
        priority=int_of(row, "priority") or 3,
        safety=row.get("safety") is True,
        safety_question=row.get("safety_question") is True,
        guarded=row.get("guarded") is True,
        registry=row.get("registry") is True,
        complaint_route=text_of(row, "complaint_route"),
        stage=text_of(row, "stage"),
        english=str(row.get("english", "")),
        area=text_of(row, "area"),
        channels=texts_of(row.get("channels")),
        advice=text_of(row, "advice"),
        dispatch=text_of(row, "dispatch"),
        location=row.get("location") is True,
        contractor=row.get("contractor") is True,
        project=row.get("project") is True,
        supervision=row.get("supervision") is True,
        mass_incident=row.get("mass_incident") is True,
        quick=row.get("quick") is True,
        needs_system=text_of(row, "needs_system"),
    )


def _step_of(row: Mapping[str, object]) -> Step:
    flag = str(row.get("exercise_of_authority", "unknown")).lower()
    return Step(
        name=str(row.get("name", "")),
        level=str(row.get("level", "")),
        group=text_of(row, "group"),
        exercise_of_authority=flag if flag in {"true", "false"} else "unknown",
        action=str(row.get("action", "")),
    )


def article_of(key: str, row: Mapping[str, object], version: int) -> Article:
    """The article that a row describes."""
    return Article(
        id=key,
        version=version,
        owner=str(row.get("owner", "")),
        kind=str(row.get("kind", "")),
        title=str(row.get("title", key)),
        body=str(row.get("body", "")),
        guarded=row.get("guarded") is True,
        guard_text=text_of(row, "guard_text"),
        read_out_level1=row.get("read_out_level1") is True,
        case_types=texts_of(row.get("case_types")),
        edition=int_of(row, "version"),
        reviewed=date_of(row.get("reviewed")),
        review_days=int_of(row, "review_days"),
        mapping=text_of(row, "mapping"),
    )


def calendar_of(key: str, row: Mapping[str, object], version: int) -> Calendar:
    """The calendar that a row describes."""
    exceptions: dict[date, tuple[Hours, ...]] = {}
    for item in _tables(row.get("exceptions")):
        day = date_of(item.get("date"))
        if day is not None:
            hours = (_hours_of(item),) if "opens" in item else ()
            exceptions[day] = (*exceptions.get(day, ()), *hours)
    return Calendar(
        id=key,
        name=str(row.get("name", key)),
        hours=tuple(_hours_of(item) for item in _tables(row.get("hours"))),
        round_the_clock=row.get("round_the_clock") is True,
        exceptions=exceptions,
        version=version,
    )


def _hours_of(row: Mapping[str, object]) -> Hours:
    days = row.get("days")
    listed = tuple(day for day in days if isinstance(day, int)) if isinstance(days, list) else ()
    return Hours(listed, minutes_of(row.get("opens")), minutes_of(row.get("closes")))


def is_on_call(row: Mapping[str, object], city_time: datetime) -> bool:
    """Whether a row of `on_call` stands at a time, the city's: by its period, or its hours."""
    if "starts" in row:
        starts, ends = moment_of(row.get("starts")), moment_of(row.get("ends"))
        return starts is not None and ends is not None and starts <= city_time < ends
    minute = city_time.hour * 60 + city_time.minute
    return any(
        city_time.isoweekday() in hours.days and hours.opens_min <= minute < hours.closes_min
        for hours in (_hours_of(item) for item in _tables(row.get("hours")))
    )


def moment_of(value: object) -> datetime | None:
    """The time with its zone that a row's ISO 8601 text means; None where it is none."""
    try:
        found = datetime.fromisoformat(str(value))
    except ValueError:
        return None
    return found if found.tzinfo is not None else None


def minutes_of(text: object) -> int:
    """Minutes after midnight of `08:30` or `24:00`; 0 where it is neither."""
    hour, _, minute = str(text).partition(":")
    return int(hour) * 60 + int(minute) if hour.isdecimal() and minute.isdecimal() else 0


def date_of(value: object) -> date | None:
    """The date that a row's ISO 8601 text means; None where it is none."""
    try:
        return date.fromisoformat(str(value)[:10])
    except ValueError:
        return None


def texts_of(value: object) -> tuple[str, ...]:
    """A row's list as texts; empty where it is none."""
    return tuple(str(item) for item in value) if isinstance(value, list | tuple) else ()


def text_of(row: Mapping[str, object], name: str) -> str | None:
    """A row's text; None where it has none."""
    value = row.get(name)
    return value if isinstance(value, str) and value else None


def int_of(row: Mapping[str, object], name: str) -> int | None:
    """A row's whole number; None where it has none."""
    value = row.get(name)
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _tables(value: object) -> list[Mapping[str, object]]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []
