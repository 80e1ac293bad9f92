"""Which streams tell of one person: by the keyed hash of the number, for all about that person.

Only hashes and streams are here. Who may see which of them is for `core.access` to say.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sqlite_utils.migrations import Migrations

from core.catalogue import EVENT_CLASSES, fields_of
from core.eventlog.codec import decode_event
from core.vocabulary import CALLS, CASES_PREFIX
from projections.times import micros

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlite_utils import Database

    from projections.base import Fed

NAME: Final = "persons"
_FIELD: Final = "caller_ref"
_SQL_ADD: Final = (
    "INSERT INTO streams VALUES (?, ?, ?)"
    " ON CONFLICT (person, stream) DO UPDATE SET first_us = min(first_us, excluded.first_us)"
)
_migrations = Migrations(NAME)


@_migrations()
def m001_streams(db: Database) -> None:
    """A row for each person and stream, and one for each number that a case was given."""
    db.table("streams").create(
        {"person": str, "stream": str, "first_us": int}, pk=("person", "stream")
    )
    db.table("numbers").create({"number": str, "stream": str}, pk=("number", "stream"))


class Persons:
    """The projection of persons. See `docs/reference/read-models.md` for its tables."""

    name = NAME
    version = 1
    topics = frozenset(
        kind.TOPIC for kind in EVENT_CLASSES if _FIELD in {item.name for item in fields_of(kind)}
    )
    migrations = _migrations

    def follows(self, shard: str) -> bool:
        """The calls, and every authority's cases."""
        book = shard.rpartition("/")[0]
        return book == CALLS or book.startswith(CASES_PREFIX)

    def fresh(self) -> Persons:
        """Another one, for another file."""
        return Persons()

    def forget(self) -> None:
        """Nothing is kept in memory."""

    def handle(self, db: Database, events: Sequence[Fed]) -> None:
        """Add who is told of, and in which stream."""
        for fed in events:
            event = decode_event(fed.event.type, fed.event.schema, fed.event.data)
            number = getattr(event, "number", None)
            if isinstance(number, str):
                db.execute(
                    "INSERT OR IGNORE INTO numbers VALUES (?, ?)", [number, fed.event.stream]
                )
            person = getattr(event, _FIELD)
            if person is not None:
                db.execute(_SQL_ADD, [person, fed.event.stream, micros(fed.event.occurred_at)])
