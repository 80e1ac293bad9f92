"""Figures of cases: counts by type, owner and outcome, first contact, complaints; search of types.

Only codes, numbers and hashes are here. Whoever asks for one authority gets that one's cases
alone (R40, R53).
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from core.errors import Invalid
from projections.indices import ClosedCase, FirstContact, first_contact
from projections.read_models import positions_of
from projections.times import SECOND_US, micros

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from sqlite_utils import Database

    from projections.read_models import ReadModels

CASE_DIMENSIONS: Final = ("case_type", "authority", "outcome", "channel")
SEARCH_ROWS_MAX: Final = 50
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_ALWAYS_US: Final = 1 << 62

_SQL_COUNTS: Final = """
    SELECT {by} AS about, count(*) AS registered, sum(closed_us IS NOT NULL) AS closed,
        sum(complaint) AS complaints, sum(first_contact) AS closed_at_first_contact
    FROM cases WHERE registered_us >= :first AND registered_us < :last
        AND (:authority IS NULL OR authority = :authority)
    GROUP BY 1 ORDER BY 1
"""
_SQL_COMPLAINTS: Final = """
    SELECT total(complaint), total(contact IS NULL) FROM cases
    WHERE registered_us >= :first AND registered_us < :last
        AND (:authority IS NULL OR authority = :authority)
"""
# A return is the same caller again about the same type: as another case of the same authority, so
# that nobody's figures tell of another's room, or about the case itself.
_SQL_CLOSED: Final = """
    WITH closed AS (
        SELECT c.*, {about} AS about FROM cases c
        WHERE c.closed_us >= :first AND c.closed_us < :last
            AND (:rooms IS NULL OR c.authority IN (SELECT value FROM json_each(:rooms)))
            AND (:case_type IS NULL OR c.case_type = :case_type)
    )
    SELECT c.id, c.about, c.closed_us, c.first_contact, r.registered_us AS returned_us
    FROM closed c LEFT JOIN cases r ON r.caller_ref = c.caller_ref AND r.case_type = c.case_type
        AND r.id <> c.id AND r.authority = c.authority AND r.registered_us > c.closed_us
    UNION ALL
    SELECT c.id, c.about, c.closed_us, c.first_contact, k.at_us
    FROM closed c JOIN contacts k ON k."case" = c.id AND k.caller_ref = c.caller_ref
        AND k.at_us > c.closed_us
    ORDER BY 1, 5
"""
_SQL_TYPES: Final = """
    SELECT t.code, t.name, t.english, t.authority
    FROM case_types_fts f JOIN case_types t ON t.id = f.rowid
    WHERE case_types_fts MATCH :match ORDER BY f.rank LIMIT :most
"""


@dataclass(frozen=True, slots=True)
class CaseCounts:
    """Cases that were registered in a period, for one value of what was asked by."""

    about: str | None
    registered: int
    closed: int
    complaints: int
    closed_at_first_contact: int


@dataclass(frozen=True, slots=True)
class CasePeriod:
    """A period and whose cases: every authority's where `authority` is None. None: no bound."""

    begin: datetime | None = None
    end: datetime | None = None
    authority: str | None = None

    def params(self) -> dict[str, Any]:
        """The parameters of the queries."""
        return {
            "first": -_ALWAYS_US if self.begin is None else micros(self.begin),
            "last": _ALWAYS_US if self.end is None else micros(self.end),
            "authority": self.authority,
        }


def case_counts(
    read_models: ReadModels, period: CasePeriod, by: str = "case_type"
) -> tuple[Mapping[str, int], list[CaseCounts]]:
    """As-of positions, and cases by type, authority, outcome or channel.

    Raises: Invalid, Unavailable.
    """
    if by not in CASE_DIMENSIONS:
        raise Invalid(f"by is {by!r}; it may be one of: {', '.join(CASE_DIMENSIONS)}", field="by")
    with read_models.snapshot("case_figures") as db:
        rows = db.query(_SQL_COUNTS.format(by=by), period.params())
        return positions_of(db), [CaseCounts(**row) for row in rows]


def first_contact_of(
    read_models: ReadModels, period: CasePeriod, now: datetime, case_type: str | None = None
) -> FirstContact:
    """First-contact resolution of the cases that were closed in a period. Raises: Unavailable."""
    with read_models.snapshot("case_figures") as db:
        found = closed_cases(db, period, case_type=case_type)
        return first_contact((case for _, case in found), now)


def complaints_of(read_models: ReadModels, period: CasePeriod) -> tuple[int, int]:
    """Complaints among the cases registered in a period, and how many came without a call.

    Raises: Unavailable.
    """
    with read_models.snapshot("case_figures") as db:
        row = db.execute(_SQL_COMPLAINTS, period.params()).fetchone()
        return int(row[0]), int(row[1])


def search_types(
    read_models: ReadModels, text: str, most: int = SEARCH_ROWS_MAX
) -> list[dict[str, Any]]:
    """Case types whose name has words that begin as those of `text`, however accented.

    Raises: Unavailable.
    """
    words = re.findall(r"\w+", text)
    if not words:
        return []
    with read_models.snapshot("case_figures") as db:
        match = " ".join(f'"{word}"*' for word in words)
        params = {"match": match, "most": min(most, SEARCH_ROWS_MAX)}
        return list(db.query(_SQL_TYPES, params))


def closed_cases(
    db: Database,
    period: CasePeriod,
    rooms: frozenset[str] | None = None,
    about: str = "NULL",
    case_type: str | None = None,
) -> Iterator[tuple[str | None, ClosedCase]]:
    """The cases closed in a period, each with the column `about` and when its caller came back.

    None for `rooms`: all of them, or `period.authority`'s.
    """
    if rooms is None and period.authority is not None:
        rooms = frozenset({period.authority})
    listed = None if rooms is None else json.dumps(sorted(rooms))
    params = {**period.params(), "rooms": listed, "case_type": case_type}
    found: dict[int, tuple[str | None, int, bool, list[datetime]]] = {}
    for row in db.query(_SQL_CLOSED.format(about=about), params):
        *_, returned = found.setdefault(
            row["id"], (row["about"], row["closed_us"], bool(row["first_contact"]), [])
        )
        if row["returned_us"] is not None:
            returned.append(_moment(row["returned_us"]))
    for value, closed_us, at_first, returned in found.values():
        yield value, ClosedCase(_moment(closed_us), at_first, tuple(returned))


def _moment(at_us: int) -> datetime:
    return _EPOCH + timedelta(seconds=at_us // SECOND_US, microseconds=at_us % SECOND_US)
