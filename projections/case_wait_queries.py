"""What is awaited: receipts of hand-overs and complaints, promised call-backs, questions.

As the work lists (`projections.case_work_queries`): every query takes a `Sight` and gives nothing
outside of it, save `silences`, which names no case.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from core.errors import Invalid
from projections.case_rows import (
    SQL_LIVE_IN_SIGHT,
    SQL_ROW,
    CaseRow,
    case_row,
    jsonable,
    moment_or_none,
    sight_params,
)
from projections.case_standing import CALLBACK, COMPLAINT, HANDOVER, QUESTION
from projections.case_work_queries import LAST_US, MODEL, ROWS_MAX
from projections.times import micros, moment

if TYPE_CHECKING:
    from collections.abc import Mapping

    from core.access import Sight
    from projections.read_models import ReadModels

WAIT_KINDS: Final = (HANDOVER, COMPLAINT, CALLBACK, QUESTION)
_SQL_WAIT: Final = f"""
    SELECT w.kind, w.key, w.since_us, w.who, w.answer_group AS wait_group,
        w.officer AS wait_officer, w.due_us AS wait_due_us, w.receipt, w.receipt_us, w.done_us,
        w.silent, w.safety, x.*
    FROM waits w JOIN ({SQL_ROW}) x ON x.id = w."case" JOIN cases c ON c.id = w."case"
    WHERE w.kind = :kind AND w.done_us IS NULL AND {SQL_LIVE_IN_SIGHT}
"""


_SQL_SILENCE: Final = """
    SELECT w.kind, w.who, w.answer_group, count(*) AS awaited,
        sum(coalesce(w.due_us < :now, 0)) AS overdue, sum(w.safety) AS safety,
        min(w.since_us) AS oldest_us
    FROM waits w JOIN cases c ON c.id = w."case"
    WHERE w.kind IN ('handover', 'complaint') AND w.done_us IS NULL
        AND w.receipt_us IS NULL AND (w.silent OR w.due_us < :now)
        AND c.authority NOT IN (SELECT value FROM json_each(:closed))
    GROUP BY 1, 2, 3 ORDER BY 6 DESC, 7, 1, 2, 3
"""


@dataclass(frozen=True, slots=True)
class WaitQuery:
    """What is awaited, of one `kind` (`WAIT_KINDS`); everything that is said must hold.

    `who` is the authority or system that is to give the receipt, or who is asked; `group` and
    `officer` those who are to do it. `overdue`: past the time and nothing came; `silent`: alarmed
    about; `unreceived`: without any receipt. Of questions only those of open cases are awaited.
    """

    kind: str
    who: str | None = None
    group: str | None = None
    officer: str | None = None
    overdue: bool = False
    silent: bool = False
    unreceived: bool = False

    def check(self) -> None:
        """Raises: Invalid, saying what it may be."""
        if self.kind not in WAIT_KINDS:
            allowed = ", ".join(WAIT_KINDS)
            raise Invalid(f"kind is {self.kind!r}; it may be one of: {allowed}", field="kind")


@dataclass(frozen=True, slots=True)
class WaitRow:
    """Something awaited in a case.

    `kind` is `handover`, `complaint`, `callback` or `question`. `who` is the authority or complaint
    system that is to give the receipt, or who is asked (`caller`, `centre`). `receipt` is how far a
    hand-over has come, or the complaint system's reference; `receipt_at` when the first came.
    `overdue`: past `due_at` and nothing came. `silent`: an alarm was given. Seconds in `age_s`.
    """

    kind: str
    key: str
    since_at: datetime
    age_s: float
    who: str | None
    group: str | None
    officer: str | None
    due_at: datetime | None
    overdue: bool
    receipt: str | None
    receipt_at: datetime | None
    silent: bool
    safety: bool
    case: CaseRow

    def as_json(self) -> dict[str, Any]:
        """The row as other programs get it."""
        told = {name: jsonable(getattr(self, name)) for name in self.__dataclass_fields__}
        return {**told, "case": self.case.as_json()}


@dataclass(frozen=True, slots=True)
class Silence:
    """Receipts that are late, by who is to give them: for those who see nothing of the matter."""

    kind: str
    who: str
    group: str | None
    awaited: int
    overdue: int
    safety: int
    oldest_at: datetime


def waiting(
    read_models: ReadModels,
    sight: Sight,
    query: WaitQuery,
    now: datetime,
    most: int = ROWS_MAX,
) -> tuple[WaitRow, ...]:
    """What is awaited, the most pressing first.

    Hand-overs and complaints until they are accepted or answered, call-backs until they were made,
    questions until they are answered. Raises: Invalid, Unavailable.
    """
    query.check()
    said = []
    for value, sql in (
        (query.who, "w.who = :who"),
        (query.group, "coalesce(w.answer_group, x.answer_group) = :group"),
        (query.officer, "coalesce(w.officer, x.officer) = :officer"),
    ):
        if value is not None:
            said.append(sql)
    for asked, sql in (
        (query.overdue, "w.receipt_us IS NULL AND w.due_us < :now"),
        (query.silent, "w.silent AND w.receipt_us IS NULL"),
        (query.unreceived, "w.receipt_us IS NULL"),
        (query.kind == QUESTION, "c.outcome IS NULL"),
    ):
        if asked:
            said.append(sql)
    params = {
        **sight_params(sight), "kind": query.kind, "who": query.who, "group": query.group,
        "officer": query.officer, "now": micros(now), "most": min(most, ROWS_MAX),
    }  # fmt: skip
    sql = (
        f"{_SQL_WAIT} {''.join(f' AND {one}' for one in said)} ORDER BY w.safety DESC,"
        f' coalesce(w.due_us, {LAST_US}), w.since_us, w."case", w.key LIMIT :most'
    )
    with read_models.snapshot(MODEL) as db:
        return tuple(_wait_row(row, now) for row in db.query(sql, params))


def _wait_row(row: Mapping[str, Any], now: datetime) -> WaitRow:
    since, due = moment(row["since_us"]), moment_or_none(row["wait_due_us"])
    return WaitRow(
        kind=row["kind"],
        key=row["key"],
        since_at=since,
        age_s=(now - since).total_seconds(),
        who=row["who"],
        group=row["wait_group"],
        officer=row["wait_officer"],
        due_at=due,
        overdue=due is not None and due < now and row["receipt_us"] is None,
        receipt=row["receipt"],
        receipt_at=moment_or_none(row["receipt_us"]),
        silent=bool(row["silent"]) and row["receipt_us"] is None,
        safety=bool(row["safety"]),
        case=case_row(row),
    )


def silences(
    read_models: ReadModels, now: datetime, closed: frozenset[str] = frozenset()
) -> tuple[Silence, ...]:
    """Receipts that are late, by who is to give them: `Deed.READ_ALARMS`.

    No case is named, nor its owner: that a receipt is missing, since when and from whom. Of all
    rooms but those that are `closed` to the asker: who opens one side of a conflict of interest
    counts none of the other's.
    Raises: Unavailable.
    """
    params = {"now": micros(now), "closed": json.dumps(sorted(closed))}
    with read_models.snapshot(MODEL) as db:
        return tuple(
            Silence(
                kind=row["kind"],
                who=row["who"],
                group=row["answer_group"],
                awaited=row["awaited"],
                overdue=row["overdue"],
                safety=row["safety"],
                oldest_at=moment(row["oldest_us"]),
            )
            for row in db.query(_SQL_SILENCE, params)
        )


def _known(at_us: int) -> datetime:
    at = moment_or_none(at_us)
    assert at is not None
    return at
