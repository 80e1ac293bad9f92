"""What people have to look at: review items, open and closed, and which cases are guarded now.

Items stand in the centre's book and cases in their authority's, so neither looks at the other's
rows; questions bring them together. No name and no text is here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sqlite_utils.migrations import Migrations

from core.cases import CaseProtected, CaseRegistered
from core.eventlog.codec import decode_event
from core.reviews import ReviewClosed, ReviewOpened
from core.vocabulary import CASES_PREFIX, CENTRE
from projections.times import micros

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlite_utils import Database

    from core.commit import Event
    from projections.base import Fed

NAME: Final = "reviews"
_SQL_OPENED: Final = (
    "INSERT OR IGNORE INTO items (id, opened_us, kind, about, version, shard, position, log_offset,"
    " event, reason, authority, protected) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
)
_SQL_CLOSED: Final = (
    "UPDATE items SET closed_us = ?, closed_by = ?, outcome = ?, noted = ?"
    " WHERE id = ? AND closed_us IS NULL"
)
_SQL_GUARDED: Final = (
    "INSERT INTO guarded VALUES (?, ?) ON CONFLICT (stream) DO UPDATE SET"
    " protected = excluded.protected"
)
_migrations = Migrations(NAME)


@_migrations()
def m001_items(db: Database) -> None:
    """A row for each item, and one for each case that was ever of a protected identity."""
    items = db.table("items").create(
        {
            "id": str, "opened_us": int, "kind": str, "about": str, "version": int, "shard": str,
            "position": int, "log_offset": int, "event": str, "reason": str, "authority": str,
            "protected": int, "closed_us": int, "closed_by": str, "outcome": str, "noted": int,
        },
        pk="id",
    )  # fmt: skip
    items.create_index(["opened_us", "id"])
    items.create_index(["authority"])
    db.table("guarded").create({"stream": str, "protected": int}, pk="stream")


class Reviews:
    """The projection of review items. See `docs/reference/read-models.md` for its tables."""

    name = NAME
    version = 1
    topics = frozenset(e.TOPIC for e in (ReviewOpened, ReviewClosed, CaseRegistered, CaseProtected))
    migrations = _migrations

    def follows(self, shard: str) -> bool:
        """The centre's book, and every authority's cases."""
        book = shard.rpartition("/")[0]
        return book == CENTRE or book.startswith(CASES_PREFIX)

    def fresh(self) -> Reviews:
        """Another one, for another file."""
        return Reviews()

    def forget(self) -> None:
        """Nothing is kept in memory."""

    def handle(self, db: Database, events: Sequence[Fed]) -> None:
        """Write what each event changes, in the order of its shard."""
        for fed in events:
            event = decode_event(fed.event.type, fed.event.schema, fed.event.data)
            if event is not None:
                _write(db, fed, event)


def _write(db: Database, fed: Fed, event: Event) -> None:
    at, stream = micros(fed.event.occurred_at), fed.event.stream
    review = stream.partition("/")[2]
    match event:
        case ReviewOpened():
            row = [review, at, event.kind, event.about, event.version, event.shard, event.position,
                   event.offset, event.event, event.reason, event.authority,
                   int(event.protected)]  # fmt: skip
            db.execute(_SQL_OPENED, row)
        case ReviewClosed():
            noted = int(event.note is not None)
            db.execute(_SQL_CLOSED, [at, event.who, event.outcome, noted, review])
        case CaseRegistered(protected=True):
            db.execute(_SQL_GUARDED, [stream, 1])
        case CaseProtected():
            db.execute(_SQL_GUARDED, [stream, int(event.protected)])
        case _:
            pass
