"""Work lists: whose turn it is, what is late, and how much there is.

Every query takes a `core.access.Sight` (`core.access.sight(asker, deed, directory)`, or
`webdesk.gate.Gate.sight(request, deed)`) and gives nothing outside of it, in rows and counts
alike. No row holds what a person wrote. `now` is the time that something is late by.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from core.errors import Invalid
from projections.case_rows import (
    SQL_ALL_IN_SIGHT,
    SQL_IN_SIGHT,
    SQL_LIVE_IN_SIGHT,
    SQL_ROW,
    CaseRow,
    case_row,
    moment_or_none,
    sight_params,
)
from projections.case_standing import CALLBACK, COMPLAINT, HANDOVER, QUESTION, CaseWord
from projections.read_models import positions_of
from projections.times import micros

if TYPE_CHECKING:
    from core.access import Sight
    from projections.read_models import ReadModels

MODEL: Final = "case_work"
_CASE: Final = "case/"
ROWS_MAX: Final = 200
REGISTRY_WORDS: Final = ("undecided", "registered", "kept_unregistered")
LAST_US: Final = 1 << 62  # what has no deadline comes after everything that has one

# No id of a row is in the order, for it goes into the cursor: ids count the cases of all rooms.
_SQL_ORDER: Final = f"coalesce(c.due_us, {LAST_US}), coalesce(c.registered_us, 0), c.stream"
_CURSOR: Final = re.compile(
    r"(-?[0-9]{1,18}|[0-9]{19})\.(-?[0-9]{1,18})\.([^/\s]{1,200}/[^/\s]{1,200})"
)


@dataclass(frozen=True, slots=True)
class WorkQuery:
    """Which cases a list holds; everything that is said must hold. By default all open ones.

    `authority` is the owner, `receiver` an authority that it was handed over to, `group` the one
    that is to act now, `officer` who has it (`mine`: the asker), `opened` those that the asker
    registered. `registry` is one of `REGISTRY_WORDS`. `overdue`: past the deadline. `closed`: None
    for all, True for closed ones alone.
    """

    authority: str | None = None
    receiver: str | None = None
    group: str | None = None
    officer: str | None = None
    case_type: str | None = None
    state: str | None = None
    level: str | None = None
    registry: str | None = None
    mine: bool = False
    opened: bool = False
    overdue: bool = False
    complaint: bool = False
    closed: bool | None = False

    def check(self) -> None:
        """Raises: Invalid, naming the field and what it may be."""
        if self.state is not None and self.state not in set(CaseWord):
            allowed = ", ".join(CaseWord)
            raise Invalid(f"state is {self.state!r}; it may be one of: {allowed}", field="state")
        if self.registry is not None and self.registry not in REGISTRY_WORDS:
            allowed = ", ".join(REGISTRY_WORDS)
            raise Invalid(
                f"registry is {self.registry!r}; it may be one of: {allowed}", field="registry"
            )


@dataclass(frozen=True, slots=True)
class WorkList:
    """Cases by deadline, the earliest first; `next` asks for the page after this one."""

    rows: tuple[CaseRow, ...]
    next: str | None
    as_of: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class WorkCounts:
    """How many open cases an owner has, and what is awaited in them. Closed ones count nowhere."""

    authority: str
    open: int
    not_categorised: int
    mine: int
    at_work: int
    overdue: int
    receipts_awaited: int
    receipts_silent: int
    callbacks: int
    callbacks_overdue: int
    questions: int
    registry_undecided: int
    oldest_at: datetime | None


_SQL_RECEIVED: Final = (
    'c.authority <> :receiver AND c.id IN (SELECT r."case" FROM rooms r WHERE r.room = :receiver)'
)


def work_list(  # noqa: PLR0913 -- what is asked, whose, when and how much
    read_models: ReadModels,
    sight: Sight,
    query: WorkQuery,
    now: datetime,
    most: int = ROWS_MAX,
    after: str | None = None,
) -> WorkList:
    """The cases that `query` asks for. Raises: Invalid, Unavailable."""
    query.check()
    most = max(1, min(most, ROWS_MAX))
    said, params = _conditions(query)
    sights = SQL_LIVE_IN_SIGHT if query.closed is False else SQL_ALL_IN_SIGHT
    params |= {**sight_params(sight), "now": micros(now), "most": most + 1}
    if after is not None:
        params["after_due"], params["after_at"], params["after_stream"] = _cursor(after)
        said.append(f"({_SQL_ORDER}) > (:after_due, :after_at, :after_stream)")
    sql = (
        f"{SQL_ROW} WHERE {sights} {''.join(f' AND {one}' for one in said)}"
        f" ORDER BY {_SQL_ORDER} LIMIT :most"
    )
    with read_models.snapshot(MODEL) as db:
        found = list(db.query(sql, params))
        as_of = positions_of(db)
    page = found[:most]
    further = None
    if len(found) > most:
        last = page[-1]
        due_us = last["due_us"] if last["due_us"] is not None else LAST_US
        stream = str(last["stream"]).removeprefix(_CASE)
        further = f"{due_us}.{last['registered_us'] or 0}.{stream}"
    return WorkList(tuple(case_row(row) for row in page), further, as_of)


def _conditions(query: WorkQuery) -> tuple[list[str], dict[str, Any]]:
    said: list[str] = []
    if query.closed is not None:
        said.append(f"c.outcome IS {'NOT ' if query.closed else ''}NULL")
    for name, sql in (
        ("authority", "c.authority = :authority"),
        ("group", "coalesce(c.told_group, s.answer_group, c.registered_group) = :group"),
        ("officer", "c.officer = :officer"),
        ("case_type", "c.case_type = :case_type"),
        ("state", "c.state = :state"),
        ("level", "c.level = :level"),
        ("receiver", _SQL_RECEIVED),
    ):
        if getattr(query, name) is not None:
            said.append(sql)
    if query.registry is not None:
        said.append("coalesce(c.registry, 'undecided') = :registry")
    for asked, sql in (
        (query.mine, "c.officer = :asker"),
        (query.opened, "c.opened_by = :asker"),
        (query.overdue, "c.due_us < :now"),
        (query.complaint, "c.complaint"),
    ):
        if asked:
            said.append(sql)
    names = ("authority", "group", "officer", "case_type", "state", "level", "receiver", "registry")
    return said, {name: getattr(query, name) for name in names}


def _cursor(text: str) -> tuple[int, int, str]:
    found = _CURSOR.fullmatch(text)
    if found is None or not abs(int(found[1])) <= LAST_US:
        raise Invalid(
            "after is no page of this list: take it from the answer before", field="after"
        )
    return int(found[1]), int(found[2]), _CASE + found[3]


def my_registered(
    read_models: ReadModels, sight: Sight, most: int = ROWS_MAX
) -> tuple[CaseRow, ...]:
    """The open cases that the asker registered and nobody has taken over (`Reach.REGISTERED`).

    They are the asker's to go on with, in any room that is not closed to him or her; never of a
    protected identity. Raises: Unavailable.
    """
    sql = (
        f"{SQL_ROW} WHERE c.registered_by = :asker AND c.opened_by = :asker AND NOT c.protected"
        " AND c.authority NOT IN (SELECT value FROM json_each(:closed)) AND c.outcome IS NULL"
        " ORDER BY c.registered_us DESC, c.id DESC LIMIT :most"
    )
    with read_models.snapshot(MODEL) as db:
        params = {**sight_params(sight), "most": min(most, ROWS_MAX)}
        return tuple(case_row(row) for row in db.query(sql, params))


_SQL_COUNTS: Final = f"""
    SELECT c.authority, count(*) AS open, sum(c.case_type IS NULL) AS not_categorised,
        sum(c.officer IS :asker) AS mine, sum(c.state = 'at_work') AS at_work,
        sum(coalesce(c.due_us < :now, 0)) AS overdue,
        sum(c.registry IS NULL) AS registry_undecided, min(c.registered_us) AS oldest_us
    FROM cases c WHERE c.outcome IS NULL AND {SQL_LIVE_IN_SIGHT} GROUP BY 1 ORDER BY 1
"""
_SQL_WAIT_COUNTS: Final = f"""
    SELECT c.authority, w.kind, count(*) AS awaited, sum(w.receipt_us IS NULL) AS unreceived,
        sum(w.receipt_us IS NULL AND w.silent) AS silent,
        sum(coalesce(w.due_us < :now, 0)) AS overdue
    FROM waits w JOIN cases c ON c.id = w."case"
    WHERE w.done_us IS NULL AND c.outcome IS NULL AND {SQL_LIVE_IN_SIGHT} GROUP BY 1, 2
"""


def work_counts(read_models: ReadModels, sight: Sight, now: datetime) -> tuple[WorkCounts, ...]:
    """Counts of open cases by owner, of what is in sight alone; owners without any are left out.

    Raises: Unavailable.
    """
    params = {**sight_params(sight), "now": micros(now)}
    with read_models.snapshot(MODEL) as db:
        cases = list(db.query(_SQL_COUNTS, params))
        waits = {(r["authority"], r["kind"]): r for r in db.query(_SQL_WAIT_COUNTS, params)}
    counts = []
    for row in cases:
        owner = row["authority"]

        def of(kind: str, what: str, owner: str = owner) -> int:
            return int(waits.get((owner, kind), {}).get(what, 0))

        counts.append(
            WorkCounts(
                authority=owner,
                open=row["open"],
                not_categorised=row["not_categorised"],
                mine=row["mine"] if sight.asker is not None else 0,
                at_work=row["at_work"],
                overdue=row["overdue"],
                receipts_awaited=of(HANDOVER, "unreceived") + of(COMPLAINT, "unreceived"),
                receipts_silent=of(HANDOVER, "silent") + of(COMPLAINT, "silent"),
                callbacks=of(CALLBACK, "awaited"),
                callbacks_overdue=of(CALLBACK, "overdue"),
                questions=of(QUESTION, "awaited"),
                registry_undecided=row["registry_undecided"],
                oldest_at=moment_or_none(row["oldest_us"]),
            )
        )
    return tuple(counts)


def find_case(read_models: ReadModels, sight: Sight, number: str) -> CaseRow | None:
    """The case with that number or registry number, or None: also where it may not be seen.

    Of several with one registry number the one registered last. Raises: Unavailable.
    """
    sql = (
        f"{SQL_ROW} WHERE {SQL_IN_SIGHT} AND (c.number = :number OR c.registry_number = :number)"
        " ORDER BY c.number = :number DESC, c.registered_us DESC, c.id LIMIT 1"
    )
    with read_models.snapshot(MODEL) as db:
        rows = db.query(sql, {**sight_params(sight), "number": number})
        return next((case_row(row) for row in rows), None)
