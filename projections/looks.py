"""Who looked at whom, when and why: the read log in one table, for those who watch over it.

The truth is the chain in the log; `core.looks.verify` walks that, never this table.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sqlite_utils.migrations import Migrations

from core.eventlog.codec import decode_event
from core.looks import PersonLookedAt
from core.vocabulary import LOOKS
from projections.times import micros

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from sqlite_utils import Database

    from projections.base import Fed

NAME: Final = "looks"
_migrations = Migrations(NAME)


@_migrations()
def m001_looks(db: Database) -> None:
    """One row for each look; found by person, by case, by who looked, and by time."""
    looks = db.table("looks").create(
        {
            "seq": int, "chain": str, "n": int, "at_us": int, "who": str, "deed": str,
            "purpose": str, "case_stream": str, "person": str,
        },
        pk="seq",
    )  # fmt: skip
    for columns in (["person"], ["case_stream"], ["who", "at_us"], ["at_us"]):
        looks.create_index(columns)


class Looks:
    """The projection of the read log. See `docs/reference/read-models.md` for its table."""

    name = NAME
    version = 1
    topics = frozenset({PersonLookedAt.TOPIC})
    migrations = _migrations

    def follows(self, shard: str) -> bool:
        """The book of looks alone."""
        return shard.rpartition("/")[0] == LOOKS

    def fresh(self) -> Looks:
        """Another one, for another file."""
        return Looks()

    def forget(self) -> None:
        """Nothing is kept in memory."""

    def handle(self, db: Database, events: Sequence[Fed]) -> None:
        """Add the looks; one that is there already is written again as it was."""
        db.table("looks").upsert_all(_rows(events), pk="seq")


def _rows(events: Sequence[Fed]) -> Iterator[dict[str, object]]:
    for fed in events:
        event = decode_event(fed.event.type, fed.event.schema, fed.event.data)
        assert isinstance(event, PersonLookedAt)
        yield {
            "seq": fed.seq,
            "chain": fed.event.stream,
            "n": event.n,
            "at_us": micros(fed.event.occurred_at),
            "who": event.who,
            "deed": event.deed,
            "purpose": event.purpose,
            "case_stream": event.case,
            "person": event.person,
        }
