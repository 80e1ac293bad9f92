"""Changes of the catalogue that take effect later: kept until the log has come to their time.

The time is that of what is recorded, so a rebuild gives what a read model that was there all along
gives: an entry is changed with the first event that was recorded at its effect or after.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from core.entries import EntryRemoved, EntrySet
from core.eventlog.codec import decode_event
from projections.times import micros

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlite_utils import Database

    from projections.base import Fed

ENTRY_TOPICS: Final = frozenset({EntrySet.TOPIC, EntryRemoved.TOPIC})
_SQL_KEEP: Final = "INSERT OR REPLACE INTO catalogue_to_come VALUES (?, ?, ?, ?, ?, ?)"
_SQL_DUE: Final = (
    "SELECT type, schema, data FROM catalogue_to_come WHERE effective_us <= ?"
    " ORDER BY effective_us, seq"
)
_SQL_DONE: Final = "DELETE FROM catalogue_to_come WHERE effective_us <= ?"
_SQL_TIMES: Final = "SELECT shard, recorded_us FROM catalogue_times"
_SQL_TIME: Final = "INSERT OR REPLACE INTO catalogue_times VALUES (?, ?)"


def make_later_tables(db: Database) -> None:
    """Make `catalogue_to_come`, and `catalogue_times`: how far each shard's recording has come."""
    db.table("catalogue_to_come").create(
        {"shard": str, "seq": int, "type": str, "schema": int, "data": bytes, "effective_us": int},
        pk=("shard", "seq"),
    )
    db.table("catalogue_times").create({"shard": str, "recorded_us": int}, pk="shard")


def entries_due(db: Database, events: Sequence[Fed]) -> list[EntrySet | EntryRemoved]:
    """The catalogue's changes that take effect with these events, in the order of their effect.

    Those of `events` that take effect later are kept. Nothing takes effect before what the log had
    earlier, whatever clocks say. Raises: Corrupt, KeyError where an entry cannot be read.
    """
    before: dict[str, int] = dict(db.execute(_SQL_TIMES).fetchall())
    times = dict(before)
    for fed in events:
        recorded_us = max(times.get(fed.shard, 0), micros(fed.commit.recorded_at))
        times[fed.shard] = recorded_us
        if fed.event.type not in ENTRY_TOPICS:
            continue
        event = decode_event(fed.event.type, fed.event.schema, fed.event.data)
        assert isinstance(event, EntrySet | EntryRemoved)
        said_us = recorded_us if event.effective_from is None else micros(event.effective_from)
        kept = (fed.shard, fed.seq, fed.event.type, fed.event.schema, bytes(fed.event.data))
        db.execute(_SQL_KEEP, [*kept, max(said_us, recorded_us)])
    for shard in times.keys() - {shard for shard, at in before.items() if at == times[shard]}:
        db.execute(_SQL_TIME, [shard, times[shard]])
    upto_us = max(times.values(), default=0)
    due = db.execute(_SQL_DUE, [upto_us]).fetchall()
    if due:
        db.execute(_SQL_DONE, [upto_us])
    found = (decode_event(type_, schema, data) for type_, schema, data in due)
    return [event for event in found if isinstance(event, EntrySet | EntryRemoved)]
