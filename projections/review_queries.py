"""What is asked of the review items: pages, one item, and how many wait."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from core.access import Sight
from core.errors import Invalid
from projections import reviews
from projections.read_models import positions_of
from projections.times import iso

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sqlite_utils import Database

    from projections.read_models import ReadModels

ROWS_MAX: Final = 500
STATES: Final = ("open", "closed", "all")
_AFTER: Final = re.compile(r"(\d{1,19})\.([0-9a-f-]{36})")
_SQL: Final = """
    SELECT i.*, ifnull(g.protected, i.protected) AS guarded FROM items AS i
    LEFT JOIN guarded AS g ON g.stream = i.about
    WHERE {conditions} ORDER BY i.opened_us, i.id LIMIT :most
"""
_STATE: Final = {"open": "i.closed_us IS NULL", "closed": "i.closed_us IS NOT NULL", "all": "1"}


@dataclass(frozen=True, slots=True)
class ReviewsQuery:
    """What is asked of the items. `sight` None: those that are not about cases; else those in it.

    `after` is the `next` of the page before.
    """

    sight: Sight | None = None
    state: str = "open"
    after: str | None = None
    limit: int = 100


def reviews_of(read_models: ReadModels, asked: ReviewsQuery) -> Mapping[str, Any]:
    """A page of items, the oldest first: `reviews`, `next` (None at the end) and `as_of`.

    Raises: Invalid, Unavailable.
    """
    if asked.state not in STATES:
        raise Invalid(f"state may be one of: {', '.join(STATES)}", field="state")
    if not 1 <= asked.limit <= ROWS_MAX:
        raise Invalid(f"limit is 1 to {ROWS_MAX}", field="limit")
    conditions, params = _seen(asked.sight)
    conditions += f" AND {_STATE[asked.state]}"
    if asked.after is not None:
        found = _AFTER.fullmatch(asked.after)
        if found is None:
            raise Invalid("after is `next` of the page before", field="after")
        conditions += " AND (i.opened_us, i.id) > (:opened_us, :id)"
        params |= {"opened_us": int(found[1]), "id": found[2]}
    with read_models.snapshot(reviews.NAME) as db:
        rows = _rows(db, conditions, {**params, "most": asked.limit + 1})
        last = rows[asked.limit - 1] if len(rows) > asked.limit else None
        return {
            "reviews": [_shown(row) for row in rows[: asked.limit]],
            "next": f"{last['opened_us']}.{last['id']}" if last else None,
            "as_of": positions_of(db),
        }


def review_of(read_models: ReadModels, review: str, sight: Sight | None) -> dict[str, Any] | None:
    """One item, where it is there and in sight. Raises: Unavailable."""
    conditions, params = _seen(sight)
    with read_models.snapshot(reviews.NAME) as db:
        found = _rows(db, f"{conditions} AND i.id = :id", {**params, "id": review, "most": 1})
        return _shown(found[0]) if found else None


def waiting(read_models: ReadModels) -> int:
    """How many items wait that are not about cases: what anybody may know. Raises: Unavailable."""
    with read_models.snapshot(reviews.NAME) as db:
        rows = db.execute(
            "SELECT count(*) FROM items WHERE closed_us IS NULL AND authority IS NULL"
        )
        return int(rows.fetchone()[0])


def _rows(db: Database, conditions: str, params: Mapping[str, Any]) -> list[dict[str, Any]]:
    return list(db.query(_SQL.format(conditions=conditions), dict(params)))


def _seen(sight: Sight | None) -> tuple[str, dict[str, Any]]:
    """The rows in sight: an item about a case is its owner's alone, whoever else works on it."""
    if sight is None:
        return "i.authority IS NULL", {}
    rooms, guarded = sorted(sight.rooms - sight.closed), sorted(sight.protected - sight.closed)
    params: dict[str, Any] = {f"room{n}": code for n, code in enumerate(rooms)}
    params |= {f"guarded{n}": code for n, code in enumerate(guarded)}
    marks = ", ".join(f":room{n}" for n in range(len(rooms)))
    few = ", ".join(f":guarded{n}" for n in range(len(guarded)))
    return (
        f"i.authority IN ({marks})"
        f" AND (NOT ifnull(g.protected, i.protected) OR i.authority IN ({few}))"
    ), params


def _shown(row: Mapping[str, Any]) -> dict[str, Any]:
    closed = row["closed_us"] is not None
    return {
        "id": row["id"],
        "kind": row["kind"],
        "about": row["about"],
        "version": row["version"],
        "shard": row["shard"],
        "position": row["position"],
        "offset": row["log_offset"],
        "event": row["event"],
        "reason": row["reason"],
        "authority": row["authority"],
        "protected": bool(row["guarded"]),
        "opened_at": iso(row["opened_us"]),
        "closed_at": iso(row["closed_us"]) if closed else None,
        "closed_by": row["closed_by"],
        "outcome": row["outcome"],
        "noted": bool(row["noted"]),
    }
