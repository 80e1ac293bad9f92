"""What is asked of the read log's table, and which streams tell of one person."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from core.errors import Invalid
from core.vocabulary import case_stream
from projections import looks
from projections import persons as persons_model
from projections.read_models import positions_of
from projections.times import iso, micros

if TYPE_CHECKING:
    from collections.abc import Mapping

    from projections.read_models import ReadModels

ROWS_MAX: Final = 500
STREAMS_MAX: Final = 2_000  # of one person; a number that has more is an exchange's own
_ALWAYS_US: Final = 1 << 62
_SQL_LOOKS: Final = """
    SELECT seq, at_us, who, deed, purpose, case_stream, person FROM looks
    WHERE at_us >= :first AND at_us < :last AND seq < :before {conditions}
    ORDER BY seq DESC LIMIT :most
"""
_SQL_STREAMS: Final = (
    "SELECT stream FROM streams WHERE person = ? ORDER BY first_us, stream LIMIT ?"
)
_SQL_NUMBER: Final = "SELECT stream FROM numbers WHERE number = ? ORDER BY stream LIMIT ?"


@dataclass(frozen=True, slots=True)
class LooksQuery:
    """What is asked of the read log; None: no bound.

    `persons` are keyed hashes of one person; `persons_cases` streams of cases that count as that
    person's. `cases` are streams too. `before` is the `next` of the page before.
    """

    persons: tuple[str, ...] | None = None
    persons_cases: tuple[str, ...] = ()
    cases: tuple[str, ...] | None = None
    who: str | None = None
    begin: datetime | None = None
    end: datetime | None = None
    before: int | None = None
    limit: int = 100


def looks_of(read_models: ReadModels, asked: LooksQuery) -> Mapping[str, Any]:
    """A page of looks, the latest first: `looks`, `next` (None at the end) and `as_of`.

    Raises: Invalid, Unavailable.
    """
    if not 1 <= asked.limit <= ROWS_MAX:
        raise Invalid(f"limit is 1 to {ROWS_MAX}", field="limit")
    params: dict[str, Any] = {
        "first": -_ALWAYS_US if asked.begin is None else micros(asked.begin),
        "last": _ALWAYS_US if asked.end is None else micros(asked.end),
        "before": asked.before or _ALWAYS_US,
        "most": asked.limit + 1,
        "who": asked.who,
    }
    with read_models.snapshot(looks.NAME) as db:
        rows = list(db.query(_SQL_LOOKS.format(conditions=_conditions(asked, params)), params))
        found = [_shown(row) for row in rows[: asked.limit]]
        more = len(rows) > asked.limit
        return {
            "looks": found,
            "next": rows[asked.limit - 1]["seq"] if more else None,
            "as_of": positions_of(db),
        }


def _conditions(asked: LooksQuery, params: dict[str, Any]) -> str:
    conditions = ""
    if asked.persons is not None:
        persons = _marks("person", asked.persons, params)
        cases = _marks("theirs", asked.persons_cases, params)
        conditions += f" AND (person IN ({persons}) OR case_stream IN ({cases}))"
    if asked.cases is not None:
        conditions += f" AND case_stream IN ({_marks('case', asked.cases, params)})"
    if asked.who is not None:
        conditions += " AND who = :who"
    return conditions


def _marks(name: str, values: tuple[str, ...], params: dict[str, Any]) -> str:
    names = [f"{name}{n}" for n in range(len(values))]
    params.update(zip(names, values, strict=True))
    return ", ".join(f":{each}" for each in names)


def _shown(row: Mapping[str, Any]) -> dict[str, Any]:
    """A look as it is told; the person's keyed hash stays here: it ties cases together."""
    return {
        "at": iso(row["at_us"]),
        "who": row["who"],
        "deed": row["deed"],
        "purpose": row["purpose"],
        "case": row["case_stream"],
    }


def streams_of(read_models: ReadModels, persons: tuple[str, ...]) -> list[str]:
    """The streams that tell of somebody, by keyed hashes: calls and cases, the first one first.

    Raises: Unavailable.
    """
    with read_models.snapshot(persons_model.NAME) as db:
        found: dict[str, None] = {}
        for person in persons:
            rows = db.execute(_SQL_STREAMS, [person, STREAMS_MAX]).fetchall()
            found.update(dict.fromkeys(row[0] for row in rows))
        return list(found)


def cases_named(read_models: ReadModels, text: str) -> tuple[str, ...]:
    """The streams of the cases that `text` names: the number that people are told, or TK/id.

    Raises: Unavailable.
    """
    authority, slash, case = text.partition("/")
    if slash:
        return (case_stream(authority, case),)
    with read_models.snapshot(persons_model.NAME) as db:
        return tuple(row[0] for row in db.execute(_SQL_NUMBER, [text, STREAMS_MAX]).fetchall())
