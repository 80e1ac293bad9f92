"""Interval statistics of entries into queues, in the shape that other programs call for.

An entry belongs to the interval in which it entered, whatever happens later, so late facts correct
old intervals. Intervals are aligned to the epoch in UTC; rows carry the offset of the zone.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from core.errors import Invalid
from projections.kpi import BY_ID, OUTCOMES, SERVICE_LEVELS, Counts, service_levels, value
from projections.read_models import positions_of
from projections.times import HOUR_S, SECOND_US, iso, micros, plain

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlite_utils import Database

    from projections.read_models import ReadModels

_MODEL: Final = "queue_entries"
_CASES: Final = "case_figures"

# What a row is about: the expression, and what it needs beside `entries`. Types are of the cases in
# the asker's rooms alone: a count of another's is a leak.
_BY: Final[Mapping[str, tuple[str, str]]] = {
    "answer_group": ("e.answer_group", ""),
    "authority": (
        "nullif(g.authority, '')",
        "LEFT JOIN answer_groups g ON g.id = e.answer_group",
    ),
    "centre": ("nullif(g.centre, '')", "LEFT JOIN answer_groups g ON g.id = e.answer_group"),
    "channel": ("e.channel", ""),
    "agent": ("e.agent", ""),
    "case_type": (
        "c.case_type",
        (
            "JOIN streams s ON s.id = e.call LEFT JOIN (SELECT DISTINCT contact, case_type"
            " FROM case_figures.cases WHERE contact IS NOT NULL AND case_type IS NOT NULL AND"
            " (:rooms IS NULL OR authority IN (SELECT value FROM json_each(:rooms)))) c"
            " ON c.contact = s.stream AND e.outcome = 'answered'"
        ),
    ),
}
DIMENSIONS: Final = tuple(_BY)

_CALLERS: Final = (
    "count(DISTINCT e.caller_ref) AS unique_callers,"
    " count(DISTINCT CASE e.outcome WHEN 'answered' THEN e.caller_ref END) AS callers_answered"
)
_SUMS: Final = ",\n".join(
    (
        "count(*) AS offered",
        *(f"sum(e.outcome = '{name}') AS {name}" for name in OUTCOMES),
        "total(e.outcome = 'answered' AND e.wait_s <= :within) AS answered_within",
        "total(e.outcome = 'abandoned' AND e.wait_s <= :within) AS abandoned_within",
        "total(e.outcome = 'abandoned' AND e.wait_s < :short) AS short_abandoned",
        "total(CASE e.outcome WHEN 'answered' THEN e.wait_s END) AS wait_s_answered_sum",
        "total(CASE e.outcome WHEN 'abandoned' THEN e.wait_s END) AS wait_s_abandoned_sum",
        "total(e.wait_s) AS wait_s_sum",
        "max(e.wait_s) AS wait_s_max",
        "total(e.talk_s) AS talk_s_sum",
        "total(e.wrap_up_s) AS wrap_up_s_sum",
        "sum(e.transferred) AS transferred",
        "sum(e.not_taken) AS not_taken",
        _CALLERS,
        "sum(e.mark & 3 = 0) AS live",
        "sum(e.mark & 3 = 1) AS local",
        "sum(e.mark & 3 = 2) AS paper",
        "sum(e.mark & 4 > 0) AS late",
        "sum(NOT e.group_known) AS unknown_group",
    )
)
_MARKS: Final = ("live", "local", "paper", "late", "unknown_group")
_WHOLE: Final = ("answered_within", "abandoned_within", "short_abandoned")
_WITHIN: Final = "e.entered_us >= :first AND e.entered_us < :last"
_ALWAYS_US: Final = 1 << 62


@dataclass(frozen=True, slots=True)
class StatisticsQuery:
    """What is asked. `begin` and `end` None: the whole log.

    Units: seconds; T is `answer_within_s`, S the other. `rooms` are the authorities whose cases
    the asker's figures may tell of, None for all; calls are the centre's own, whoever asks.
    """

    begin: datetime | None = None
    end: datetime | None = None
    interval_s: int = 900
    by: str = "answer_group"
    answer_within_s: float = 20
    short_abandon_s: float = 5
    rooms: frozenset[str] | None = None

    def check(self) -> None:
        """Raises: Invalid, naming the field and what it may be."""
        if self.interval_s <= 0 or HOUR_S % self.interval_s:
            msg = f"interval is {self.interval_s} s: it must be whole seconds that divide an hour"
            raise Invalid(msg, field="interval")
        if self.by not in _BY:
            msg = f"by is {self.by!r}; it may be one of: {', '.join(_BY)}"
            raise Invalid(msg, field="by")
        for name, at in (("from", self.begin), ("to", self.end)):
            if at is not None and at.tzinfo is None:
                raise Invalid(f"{name} has no offset from UTC, such as +01:00", field=name)
        if self.begin is not None and self.end is not None and self.begin >= self.end:
            raise Invalid("from must be before to", field="from")
        for name, limit in (
            ("answer_within", self.answer_within_s),
            ("short_abandon", self.short_abandon_s),
        ):
            if not 0 <= limit < float("inf"):
                raise Invalid(f"{name} must be a number of seconds, 0 or more", field=name)


@dataclass(frozen=True, slots=True)
class Row:
    """The figures of one interval, or of the whole period, for one value of what was asked by.

    `marks` counts entries by where their facts came from, those told late, and those of unknown
    queues.
    """

    by: str
    about: str | None
    queue: str | None
    begin_us: int
    end_us: int
    counts: Counts
    marks: Mapping[str, int]

    def as_json(self) -> dict[str, Any]:
        """The row as other programs expect it, its keys in their order."""
        c = self.counts
        return {
            self.by: self.about,
            "queue": self.queue,
            "from": iso(self.begin_us),
            "to": iso(self.end_us),
            "offered": c.offered,
            **{name: getattr(c, name) for name in OUTCOMES},
            **counted_json(c),
            "quality": dict(self.marks),
        }


def counted_json(c: Counts) -> dict[str, Any]:
    """Sums and rates of some entries, in the order of the statistics' rows."""
    return {
        "answered_within": c.answered_within,
        "abandoned_within": c.abandoned_within,
        "short_abandoned": c.short_abandoned,
        "wait_s_answered_sum": plain(c.wait_s_answered_sum),
        "wait_s_max": plain(c.wait_s_max),
        "talk_s_sum": plain(c.talk_s_sum),
        "transferred": c.transferred,
        "not_taken": c.not_taken,
        "unique_callers": c.unique_callers,
        "service_level": {key: plain(level) for key, level in service_levels(c).items()},
        "availability": plain(value("availability_raw", c)),
        "availability_net": plain(value("availability_net", c)),
        "abandonment": plain(value("abandonment_raw", c)),
        "abandonment_net": plain(value("abandonment_net", c)),
        "asa_s": plain(value("asa_s", c)),
    }


FORMULAS: Final[Mapping[str, str]] = {
    **{f"service_level.{key}": kpi.formula for key, kpi in SERVICE_LEVELS.items()},
    "availability": BY_ID["availability_raw"].formula,
    "availability_net": BY_ID["availability_net"].formula,
    "abandonment": BY_ID["abandonment_raw"].formula,
    "abandonment_net": BY_ID["abandonment_net"].formula,
    "asa_s": BY_ID["asa_s"].formula,
    "wait_s_max": BY_ID["longest_wait_s"].formula,
    "unique_callers": BY_ID["unique_callers"].formula,
}


@dataclass(frozen=True, slots=True)
class StatisticsAnswer:
    """Rows by interval, then by what was asked; `total` is the same over the whole period.

    `orphans` counts facts about queues that their calls were never seen to enter, by queue: they
    are in no row, and become right when what went before is read.
    """

    query: StatisticsQuery
    as_of: Mapping[str, int]
    rows: tuple[Row, ...]
    total: tuple[Row, ...]
    orphans: Mapping[str, int]

    def as_json(self) -> dict[str, Any]:
        """The answer as other programs expect it, with the limits that its figures go by."""
        return {
            "as_of": dict(self.as_of),
            "rows": [row.as_json() for row in self.rows],
            "total": [row.as_json() for row in self.total],
            "answer_within_s": plain(self.query.answer_within_s),
            "short_abandon_s": plain(self.query.short_abandon_s),
            "interval_s": self.query.interval_s,
            "formulas": dict(FORMULAS),
            "orphans": dict(self.orphans),
        }


def statistics(read_models: ReadModels, query: StatisticsQuery) -> StatisticsAnswer:
    """The figures that `query` asks for. Raises: Invalid, Unavailable."""
    query.check()
    beside = _CASES if query.by == "case_type" else None
    with read_models.snapshot(_MODEL, beside) as db:
        as_of = positions_of(db)
        step = query.interval_s * SECOND_US
        rows = tuple(_rows(db, query, step))
        total: tuple[Row, ...] = ()
        if rows:
            begin = rows[0].begin_us if query.begin is None else micros(query.begin)
            end = rows[-1].end_us if query.end is None else micros(query.end)
            total = tuple(_rows(db, query, None, begin, end))
        return StatisticsAnswer(query, as_of, rows, total, _orphans(db, query))


def _params(query: StatisticsQuery) -> dict[str, Any]:
    return {
        "first": -_ALWAYS_US if query.begin is None else micros(query.begin),
        "last": _ALWAYS_US if query.end is None else micros(query.end),
        "within": query.answer_within_s,
        "short": query.short_abandon_s,
        "rooms": None if query.rooms is None else json.dumps(sorted(query.rooms)),
    }


def _rows(
    db: Database, query: StatisticsQuery, step: int | None, begin: int = 0, end: int = 0
) -> Iterator[Row]:
    """Rows by interval of `step` microseconds, or one for the whole of `begin` to `end`."""
    about, joins = _BY[query.by]
    queue = "e.queue" if query.by == "answer_group" else "NULL"
    slot = f"e.entered_us / {step}" if step else "0"
    sql = (
        f"SELECT {slot} AS slot, {about} AS about, {queue} AS queue, {_SUMS} FROM entries e {joins}"
        f" WHERE {_WITHIN} GROUP BY 1, 2, 3 ORDER BY 1, 2, 3"
    )
    found = {(r["slot"], r["about"], r["queue"]): r for r in db.query(sql, _params(query))}
    if query.by == "agent":
        _not_taken_by_agent(db, query, slot, found)
    for key in sorted(found, key=lambda k: (k[0], k[1] or "", k[2] or "")):
        row = found[key]
        first, last = (key[0] * step, (key[0] + 1) * step) if step else (begin, end)
        marks = {mark: row.pop(mark) for mark in _MARKS}
        yield Row(query.by, key[1], key[2], first, last, counts_of(row), marks)


def sums_by_group(
    db: Database, first_us: int, last_us: int, within_s: float, short_s: float
) -> tuple[dict[str, Counts], Counts]:
    """The counts of each answer group between two moments, and of all together."""
    params = {"first": first_us, "last": last_us, "within": within_s, "short": short_s}
    sql = f"SELECT {{}} AS about, {_SUMS} FROM entries e WHERE {_WITHIN} GROUP BY 1"
    groups = {
        row["about"]: counts_of(row) for row in db.query(sql.format("e.answer_group"), params)
    }
    whole = sum(groups.values(), Counts())
    callers = db.query(f"SELECT {_CALLERS} FROM entries e WHERE {_WITHIN}", params)
    return groups, replace(whole, **next(iter(callers)))


def _not_taken_by_agent(
    db: Database, query: StatisticsQuery, slot: str, found: dict[Any, dict[str, Any]]
) -> None:
    """Whoever did not take a call is seldom the one who answered it: counted by themselves."""
    for row in found.values():
        row["not_taken"] = 0
    sql = (
        f"SELECT {slot} AS slot, n.agent AS about, sum(n.times) AS times FROM not_taken n"
        f" JOIN entries e ON e.id = n.entry WHERE {_WITHIN} GROUP BY 1, 2"
    )
    for row in db.query(sql, _params(query)):
        key = (row["slot"], row["about"], None)
        nothing = dict.fromkeys(("offered", *_MARKS), 0)
        found.setdefault(key, nothing)["not_taken"] = row["times"]


def counts_of(row: Mapping[str, Any]) -> Counts:
    """A row of sums as `Counts`; the outcomes must add up to what was offered."""
    names = {name: row[name] for name in Counts.__dataclass_fields__ if row.get(name) is not None}
    names |= {name: int(names.get(name, 0)) for name in _WHOLE}
    counts = Counts(**names)
    outcomes = sum(getattr(counts, name) for name in OUTCOMES)
    assert counts.offered == outcomes, "every entry has exactly one outcome"
    return counts


def _orphans(db: Database, query: StatisticsQuery) -> dict[str, int]:
    sql = (
        "SELECT queue, count(*) AS facts FROM orphans WHERE at_us >= :first AND at_us < :last"
        " GROUP BY queue ORDER BY queue"
    )
    params = {name: at for name, at in _params(query).items() if name in {"first", "last"}}
    return {row["queue"]: row["facts"] for row in db.query(sql, params)}
