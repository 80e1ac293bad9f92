"""Volumes and outcomes of cases, for those who get figures of their own authorities alone (R40).

A case counts in the period in which it was registered. What is counted of it stands in
`docs/reference/kpi.md`; `FORMULAS` are shown beside the numbers. Where figures leave the authority,
`suppressed` takes out what could point at somebody.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final

from core.errors import Invalid
from projections.case_queries import CasePeriod, closed_cases
from projections.indices import CASE_TEXTS, FirstContact, first_contact
from projections.kpi import share
from projections.read_models import positions_of
from projections.suppression import SMALL, TOTAL, Sums, hidden_cells

if TYPE_CHECKING:
    from datetime import datetime

    from projections.read_models import ReadModels

MODEL: Final = "case_figures"
DIMENSIONS: Final[Mapping[str, str]] = {
    "case_type": "c.case_type",
    "authority": "c.authority",
    "level": "c.level",
    "channel": "c.channel",
    "answer_group": "c.answer_group",
    "outcome": "c.outcome",
}
_COUNTS: Final = (
    "registered",
    "closed",
    "guided",
    "passed_on",
    "complaints",
    "reopened",
    "contacts",
)
_SQL: Final = """
    SELECT {about} AS about, c.outcome, count(*) AS registered, sum(c.closed_us IS NOT NULL) AS
        closed, sum(c.guided) AS guided, sum(c.passed_on) AS passed_on, sum(c.complaint) AS
        complaints, sum(c.reopened) AS reopened, sum(c.contacts) AS contacts
    FROM cases c WHERE c.registered_us >= :first AND c.registered_us < :last
        AND c.authority IN (SELECT value FROM json_each(:rooms))
    GROUP BY 1, 2 ORDER BY 1, 2
"""


@dataclass(frozen=True, slots=True)
class Volume:
    """The cases of one value of what was asked by. A count that is None is not told (too small).

    `outcomes` counts closed cases by their outcome; `first_contact` is of the cases that were
    closed in the period.
    """

    about: str | None
    registered: int | None = 0
    closed: int | None = 0
    guided: int | None = 0
    passed_on: int | None = 0
    complaints: int | None = 0
    reopened: int | None = 0
    contacts: int | None = 0
    outcomes: Mapping[str, int | None] = field(default_factory=dict)
    first_contact: FirstContact | None = None

    @property
    def transfer_rate(self) -> float | None:
        """`FORMULAS["case_transfer_rate"]`; None where there is nothing to divide by."""
        return _share(self.passed_on, self.registered)

    @property
    def guided_rate(self) -> float | None:
        """`FORMULAS["case_guided_rate"]`."""
        return _share(self.guided, self.registered)

    def as_json(self) -> dict[str, Any]:
        """The row as other programs get it."""
        first = self.first_contact
        return {
            "about": self.about,
            **{name: getattr(self, name) for name in _COUNTS},
            "outcomes": dict(self.outcomes),
            "transfer_rate": self.transfer_rate,
            "guided_rate": self.guided_rate,
            "first_contact": None if first is None else first.value,
            "first_contact_window_over": None if first is None else first.window_over,
            "first_contact_window_open": None if first is None else first.window_open,
        }


FORMULAS: Final[Mapping[str, str]] = {name: text[2] for name, text in CASE_TEXTS.items()}


@dataclass(frozen=True, slots=True)
class Volumes:
    """Rows in the order of what was asked by, and the whole."""

    by: str
    rows: tuple[Volume, ...]
    total: Volume
    as_of: Mapping[str, int]


def volumes(
    read_models: ReadModels,
    rooms: frozenset[str],
    period: CasePeriod,
    now: datetime,
    by: str = "case_type",
) -> Volumes:
    """Cases registered in a period, of `rooms` alone; `period.authority` narrows it to one.

    `rooms` are `core.access.rooms(asker, Deed.READ_CASE_FIGURES, directory)`.
    Raises: Invalid (by), Unavailable.
    """
    if by not in DIMENSIONS:
        raise Invalid(f"by is {by!r}; it may be one of: {', '.join(DIMENSIONS)}", field="by")
    own = rooms & {period.authority} if period.authority is not None else rooms
    params = {**period.params(), "rooms": json.dumps(sorted(own))}
    with read_models.snapshot(MODEL) as db:
        found = list(db.query(_SQL.format(about=DIMENSIONS[by]), params))
        closed = list(closed_cases(db, period, own, DIMENSIONS[by]))
        as_of = positions_of(db)
    rows: dict[str | None, Volume] = {}
    for row in found:
        rows[row["about"]] = _more(rows.get(row["about"]) or Volume(row["about"]), row)
    firsts: dict[str | None, list[Any]] = {}
    for about, case in closed:
        firsts.setdefault(about, []).append(case)
    for about in firsts:
        rows.setdefault(about, Volume(about))
    whole = Volume(None)
    for row in found:
        whole = _more(whole, row)
    total = replace(whole, first_contact=first_contact((case for _, case in closed), now))
    return Volumes(
        by,
        tuple(
            replace(rows[about], first_contact=first_contact(firsts.get(about, ()), now))
            for about in sorted(rows, key=lambda name: (name is None, name or ""))
        ),
        total,
        {shard: at for shard, at in as_of.items() if _is_own(shard, own)},
    )


def _is_own(shard: str, rooms: frozenset[str]) -> bool:
    book = shard.rpartition("/")[0]
    return not book.startswith("cases.") or book.removeprefix("cases.") in rooms


def _more(volume: Volume, row: Mapping[str, Any]) -> Volume:
    counts: dict[str, Any] = {name: (getattr(volume, name) or 0) + row[name] for name in _COUNTS}
    outcomes = dict(volume.outcomes)
    if row["outcome"] is not None:
        outcomes[row["outcome"]] = (outcomes.get(row["outcome"]) or 0) + row["registered"]
    return replace(volume, **counts, outcomes=dict(sorted(outcomes.items())))


def _share(part: int | None, whole: int | None) -> float | None:
    return None if part is None or whole is None else share(part, whole)


# --- figures that leave the authority -------------------------------------------------------------
def suppressed(told: Volumes) -> Volumes:
    """The same without small numbers, for whoever is outside of the authority.

    Counts of 1 to 4 are None, and of a row of so few cases nothing is told; others go with them, so
    that nobody finds them by subtraction (`projections.suppression`). First contact of a row is
    told where each of its parts is 0 or at least `SMALL`.
    """
    outcomes = tuple(told.total.outcomes)
    rows = {**dict(enumerate(told.rows)), TOTAL: told.total}
    table = {
        n: {
            **{name: getattr(row, name) or 0 for name in _COUNTS},
            **{_OUTCOME + name: row.outcomes.get(name) or 0 for name in outcomes},
        }
        for n, row in rows.items()
    }
    sums = Sums("registered", tuple(_OUTCOME + name for name in outcomes), "closed")
    hidden = hidden_cells(table, sums)
    shown = {n: _shown(row, {column for m, column in hidden if m == n}) for n, row in rows.items()}
    return replace(told, rows=tuple(shown[n] for n in range(len(told.rows))), total=shown[TOTAL])


_OUTCOME: Final = "outcome "


def _shown(row: Volume, hidden: set[str]) -> Volume:
    return Volume(
        about=row.about,
        registered=_told(row, "registered", hidden),
        closed=_told(row, "closed", hidden),
        guided=_told(row, "guided", hidden),
        passed_on=_told(row, "passed_on", hidden),
        complaints=_told(row, "complaints", hidden),
        reopened=_told(row, "reopened", hidden),
        contacts=_told(row, "contacts", hidden),
        outcomes={
            name: None if _OUTCOME + name in hidden else count
            for name, count in row.outcomes.items()
        },
        first_contact=_big_first(row.first_contact) if "registered" not in hidden else None,
    )


def _told(row: Volume, name: str, hidden: set[str]) -> int | None:
    count: int | None = getattr(row, name)
    return None if name in hidden else count


def _big_first(found: FirstContact | None) -> FirstContact | None:
    if found is None:
        return None
    parts = (found.resolved, found.window_over - found.resolved, found.window_open)
    return None if any(0 < part < SMALL for part in parts) else found
