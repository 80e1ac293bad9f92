"""Cases at work: one row for each, what is waited for, in whose rooms it is, and whose it was.

Personal text is sealed in the log and is not here. See `docs/reference/read-models.md`.
"""

from __future__ import annotations

import json
from collections import OrderedDict
from typing import TYPE_CHECKING, Final

import msgspec
from sqlite_utils.migrations import Migrations

from core.cases import CASE_EVENTS
from core.commit import Recorded
from core.eventlog.codec import decode_event
from core.vocabulary import CASES_PREFIX, CENTRE
from projections.case_standing import (
    Standing,
    follow,
    word_of,
)
from projections.case_types import CATALOGUE_TOPICS, make_type_tables, write_types
from projections.times import micros
from projections.upserts import Upsert

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from sqlite_utils import Database

    from projections.base import Fed

STANDINGS_CACHED_MAX: Final = 20_000
CASE_TOPICS: Final = frozenset(event.TOPIC for event in CASE_EVENTS)

_COLUMNS: Final = {
    "id": int,
    "stream": str,
    "authority": str,
    "number": str,
    "channel": str,
    "contact": str,
    "case_type": str,
    "type_version": int,
    "complaint": int,
    "level": str,
    "step": int,
    "told_group": str,
    "registered_group": str,
    "officer": str,
    "opened_by": str,
    "registered_by": str,
    "registered_us": int,
    "due_us": int,
    "state": str,
    "outcome": str,
    "closed_us": int,
    "protected": int,
    "registry": str,
    "registry_number": str,
    "at_us": int,
    "standing": bytes,
}
_WAIT_COLUMNS: Final = {
    "case": int,
    "kind": str,
    "key": str,
    "since_us": int,
    "who": str,
    "answer_group": str,
    "officer": str,
    "due_us": int,
    "receipt": str,
    "receipt_us": int,
    "done_us": int,
    "silent": int,
    "safety": int,
}
_CASES: Final = Upsert("cases", tuple(_COLUMNS), ("id",))
_WAITS: Final = Upsert(
    "waits", tuple(f'"{name}"' for name in _WAIT_COLUMNS), ('"case"', '"kind"', '"key"')
)
_ROOMS: Final = Upsert("rooms", ("room", '"case"', "live"), ("room", '"case"'))
_CALLERS: Final = Upsert("callers", ("caller_ref", '"case"', "at_us"), ("caller_ref", '"case"'))
_SQL_LOAD: Final = (
    "SELECT id, stream, standing FROM cases WHERE stream IN (SELECT value FROM json_each(?))"
)

_migrations = Migrations("case_work")


@_migrations()
def m001_work(db: Database) -> None:
    """Cases, the rooms that they are in, their callers, what is waited for; case types."""
    cases = db.table("cases").create(_COLUMNS, pk="id")
    cases.create_index(["stream"], unique=True)
    cases.create_index(["number"])
    cases.create_index(["registry_number"])
    cases.create_index(["opened_by"])
    cases.create_index(["case_type", "registered_us"])
    db.execute('CREATE TABLE rooms (room TEXT, "case" INTEGER, live INTEGER,'
               ' PRIMARY KEY (room, "case")) WITHOUT ROWID')  # fmt: skip
    db.execute('CREATE INDEX rooms_case ON rooms ("case")')
    db.execute('CREATE INDEX rooms_live ON rooms (room, "case") WHERE live')
    db.execute('CREATE TABLE callers (caller_ref TEXT, "case" INTEGER, at_us INTEGER,'
               ' PRIMARY KEY (caller_ref, "case")) WITHOUT ROWID')  # fmt: skip
    waits = db.table("waits").create(_WAIT_COLUMNS, pk=("case", "kind", "key"))
    waits.create_index(["kind", "done_us", "case"])
    make_type_tables(db)


class CaseWork:
    """The projection of cases at work. See `docs/reference/read-models.md` for its tables."""

    name = "case_work"
    version = 1
    topics = CASE_TOPICS | CATALOGUE_TOPICS
    migrations = _migrations

    def __init__(self) -> None:
        self._kept: OrderedDict[str, tuple[int, Standing]] = OrderedDict()
        self._next: int | None = None
        self._encode = msgspec.msgpack.Encoder().encode
        self._decode = msgspec.msgpack.Decoder(Standing).decode

    def follows(self, shard: str) -> bool:
        """Every authority's cases, and the centre's catalogue."""
        book = shard.rpartition("/")[0]
        return book.startswith(CASES_PREFIX) or book == CENTRE

    def fresh(self) -> CaseWork:
        """Another one, for another file."""
        return CaseWork()

    def forget(self) -> None:
        """Drop the cases in memory."""
        self._kept.clear()
        self._next = None

    def handle(self, db: Database, events: Sequence[Fed]) -> None:
        """Take the events in, in the order of each case's shard, and write what they touched."""
        told = [fed for fed in events if fed.event.type in CASE_TOPICS]
        if len(told) < len(events):
            write_types(db, [fed for fed in events if fed.event.type in CATALOGUE_TOPICS])
        cases = self._load(db, dict.fromkeys(fed.event.stream for fed in told))
        touched: dict[str, None] = {}
        for fed in told:
            standing = cases[fed.event.stream][1]
            if fed.seq > standing.seq:
                follow(standing, recorded_of(fed))
                touched[fed.event.stream] = None
        self._write(db, {stream: cases[stream] for stream in touched})

    def _load(self, db: Database, streams: Iterable[str]) -> dict[str, tuple[int, Standing]]:
        kept, found, missing = self._kept, {}, []
        for stream in streams:
            if stream in kept:
                kept.move_to_end(stream)
                found[stream] = kept[stream]
            else:
                missing.append(stream)
        if missing:
            for number, stream, raw in db.execute(_SQL_LOAD, [json.dumps(missing)]).fetchall():
                found[stream] = kept[stream] = (number, self._decode(raw))
        for stream in missing:
            if stream not in found:
                found[stream] = kept[stream] = (self._number(db), Standing())
        while len(kept) > max(STANDINGS_CACHED_MAX, len(found)):
            kept.popitem(last=False)
        return found

    def _number(self, db: Database) -> int:
        if self._next is None:
            self._next = (db.execute("SELECT max(id) FROM cases").fetchone()[0] or 0) + 1
        self._next += 1
        return self._next - 1

    def _write(self, db: Database, cases: Mapping[str, tuple[int, Standing]]) -> None:
        rows, waits, rooms, callers = [], [], [], []
        for stream, (number, standing) in cases.items():
            authority = stream.split("/", 2)[1]
            rows.append(self._row(number, stream, authority, standing))
            waits += [
                (number, w.kind, w.key, w.since_us, w.who, w.group, w.officer, w.due_us,
                 w.receipt, w.receipt_us, w.done_us, w.silent, w.safety)
                for w in standing.waits
            ]  # fmt: skip
            places = {authority, *standing.state.place.receivers}
            rooms += [(room, number, standing.live) for room in sorted(places)]
            callers += [(ref, number, at_us) for ref, at_us in standing.callers.items()]
        _CASES.write(db, rows)
        _WAITS.write(db, waits)
        gone = [(number,) for number, _ in cases.values()]  # what is returned has left the room
        db.conn.executemany('DELETE FROM rooms WHERE "case" = ?', gone)
        _ROOMS.write(db, rooms)
        _CALLERS.write(db, callers)

    def _row(self, number: int, stream: str, authority: str, s: Standing) -> tuple[object, ...]:
        state = s.state
        due_us = None if state.due_at is None else micros(state.due_at)
        return (
            number, stream, authority, state.number, s.channel, state.contact, state.case_type,
            state.type_version, state.complaint, state.level, state.step, s.group,
            s.registered_group, state.officer, s.registered_by, state.registered_by,
            s.registered_us, due_us, word_of(s), state.outcome, s.closed_us, state.protected,
            state.registry, state.registry_number, s.at_us, self._encode(s),
        )  # fmt: skip


def recorded_of(fed: Fed) -> Recorded:
    """The event as a rule sees it, its personal fields sealed.

    Raises: Corrupt, NeedsUpgrade where it cannot be read.
    """
    event = decode_event(fed.event.type, fed.event.schema, fed.event.data)
    assert event is not None, "a topic that is followed is in the catalogue"
    return Recorded(
        stream=fed.event.stream,
        version=fed.event.version or 0,
        shard=fed.shard,
        position=fed.position,
        seq=fed.seq,
        commit_id=fed.commit.id,
        actor=fed.commit.actor,
        origin=fed.commit.origin,
        recorded_at=fed.commit.recorded_at,
        occurred_at=fed.event.occurred_at,
        event=event,
    )
