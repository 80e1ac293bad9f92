"""The text index: cases by the words of their title and text, by number and registry number.

This file holds clear text, opened with the node's keys, so it keeps these rules:

- Nothing of a protected identity's case is indexed, nor of an authority that was ever excluded.
- What an erasure was decided for goes out, and never comes in again, in whatever order the erasure
  and the text are read: they stand in different books. What was protected once stays out.
- What went out is in no page of the file and in no part of its write-ahead log: `scrub`.

Each room has an index of its own, so that neither order nor time of an answer tells of another's.
"""

from __future__ import annotations

import contextlib
import json
import sqlite3
import unicodedata
from typing import TYPE_CHECKING, Final, NamedTuple

from sqlite_utils.migrations import Migrations

from core.cases import CaseHandedOver, CaseProtected, CaseRegistered, RegistryDecided
from core.entries import EntrySet
from core.erasure import ErasureDecided, case_of_subject
from core.eventlog.codec import KeyOf, decode_event, open_event
from core.personal import Personal
from core.vocabulary import CASES_PREFIX, CENTRE
from projections.upserts import Upsert

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from sqlite_utils import Database

    from core.commit import Event
    from core.personal import PersonalField
    from projections.base import Fed

FIELDS: Final = ("number", "registry_number", "title", "text")
# The three ways to find a word: at the beginning of a word, anywhere in one (compounds), and at the
# beginning of one however its letters are dotted.
WORDS, PARTS, PLAIN = "words", "parts", "plain"
_TOKENS: Final = {
    WORDS: "tokenize = 'unicode61 remove_diacritics 0', prefix = '2 3'",
    PARTS: "tokenize = 'trigram'",
    PLAIN: "tokenize = 'unicode61 remove_diacritics 2', prefix = '2 3'",
}
_HASH_BYTES: Final = 8 << 20  # terms of a batch are held in memory, and written once

_DOCS: Final = Upsert(
    "docs",
    ("id", "stream", "authority", *FIELDS, "protected", "excluded", "places"),
    ("id",),
)
_SQL_LOAD: Final = (
    f"SELECT id, stream, authority, {', '.join(FIELDS)}, protected, excluded, places FROM docs"
    " WHERE stream IN (SELECT value FROM json_each(:streams))"
    " OR authority IN (SELECT value FROM json_each(:authorities))"
)
_SQL_ERASED: Final = "SELECT stream FROM erased WHERE stream IN (SELECT value FROM json_each(?))"
_SQL_EXCLUDED: Final = "SELECT authority FROM excluded"
_SQL_MARK: Final = "INSERT INTO removals VALUES (?) ON CONFLICT DO NOTHING"

_migrations = Migrations("case_search")


@_migrations()
def m001_docs(db: Database) -> None:
    """What is indexed, each room's number, what must never be, and what is to be scrubbed."""
    docs = db.table("docs").create(
        {
            "id": int,
            "stream": str,
            "authority": str,
            **dict.fromkeys(FIELDS, str),
            "protected": int,
            "excluded": int,
            "places": str,
        },
        pk="id",
    )
    docs.create_index(["stream"], unique=True)
    docs.create_index(["authority"])
    db.table("room_numbers").create({"id": int, "room": str}, pk="id")
    db.table("erased").create({"stream": str}, pk="stream")
    db.table("excluded").create({"authority": str}, pk="authority")
    db.table("removals").create({"room": int}, pk="room")


class Doc(NamedTuple):
    """What is indexed of one case; `places` are the owner and whoever it was handed over to."""

    id: int
    stream: str
    authority: str
    number: str | None = None
    registry_number: str | None = None
    title: str | None = None
    text: str | None = None
    protected: bool = False
    excluded: bool = False
    places: tuple[str, ...] = ()

    def words(self) -> tuple[str | None, ...]:
        """What its rooms' indexes hold of it."""
        return (self.number, self.registry_number, self.title, self.text)

    def rooms(self) -> tuple[str, ...]:
        """The rooms whose indexes hold it."""
        return () if self.protected or self.excluded else self.places


class CaseSearch:
    """The projection of what cases are found by. `key_of` opens personal text; None: no text.

    See `docs/reference/read-models.md` for its tables.
    """

    name = "case_search"
    version = 1
    topics = frozenset(
        e.TOPIC
        for e in (
            CaseRegistered,
            CaseProtected,
            CaseHandedOver,
            RegistryDecided,
            ErasureDecided,
            EntrySet,
        )
    )
    migrations = _migrations

    def __init__(self, key_of: KeyOf | None = None) -> None:
        self._key_of = key_of
        self._rooms: dict[str, int] = {}
        self._next: int | None = None

    def follows(self, shard: str) -> bool:
        """Every authority's cases, and the centre's erasures and catalogue."""
        book = shard.rpartition("/")[0]
        return book.startswith(CASES_PREFIX) or book == CENTRE

    def fresh(self) -> CaseSearch:
        """Another one, for another file."""
        return CaseSearch(self._key_of)

    def forget(self) -> None:
        """Drop the rooms' numbers."""
        self._rooms.clear()
        self._next = None

    def handle(self, db: Database, events: Sequence[Fed]) -> None:
        """Take the events in, and write the touched cases and their rooms' indexes."""
        opened = [(fed, self._opened(fed)) for fed in events]
        banned = {s for _, event in opened if (s := _erased_by(event)) is not None}
        closed = {code for _, event in opened if (code := _excluded_by(event)) is not None}
        db.conn.executemany("INSERT OR IGNORE INTO erased VALUES (?)", [(s,) for s in banned])
        db.conn.executemany("INSERT OR IGNORE INTO excluded VALUES (?)", [(c,) for c in closed])
        told = [(fed, event) for fed, event in opened if _is_case(fed.event.stream)]
        before = _load(db, {fed.event.stream for fed, _ in told} | banned, closed)
        after = dict(before)
        for fed, event in told:
            stream = fed.event.stream
            doc = after.get(stream) or self._new(db, stream)
            after[stream] = _follow(doc, event)
        erased = _column(db, _SQL_ERASED, [json.dumps(list(after))])
        excluded = _column(db, _SQL_EXCLUDED, [])
        changed = []
        for stream, doc in after.items():
            kept = doc._replace(excluded=doc.authority in excluded)
            if stream in erased or not kept.rooms():
                kept = kept._replace(title=None, text=None)
            if before.get(stream) != kept:
                changed.append((before.get(stream), kept))
        self._write(db, changed)

    def _opened(self, fed: Fed) -> Event:
        event = decode_event(fed.event.type, fed.event.schema, fed.event.data)
        assert event is not None, "a topic that is followed is in the catalogue"
        if not isinstance(event, CaseRegistered) or event.protected or self._key_of is None:
            return event
        return open_event(event, fed.commit.id, fed.nth, self._key_of)

    def _new(self, db: Database, stream: str) -> Doc:
        if self._next is None:
            self._next = (db.execute("SELECT max(id) FROM docs").fetchone()[0] or 0) + 1
        self._next += 1
        authority = stream.split("/", 2)[1]
        return Doc(self._next - 1, stream, authority, places=(authority,))

    # --- the indexes ------------------------------------------------------------------------------
    def _write(self, db: Database, changed: Sequence[tuple[Doc | None, Doc]]) -> None:
        lost = {doc.id for former, doc in changed if former is not None and _lost(former, doc)}
        out: dict[str, list[Doc]] = {}
        into: dict[str, list[Doc]] = {}
        for former, doc in changed:
            was = former.rooms() if former is not None else ()
            same = former is not None and former.words() == doc.words()
            for room in was:
                if former is not None and not (same and room in doc.rooms()):
                    out.setdefault(room, []).append(former)
            for room in doc.rooms():
                if not (same and room in was):
                    into.setdefault(room, []).append(doc)
        for room, docs in out.items():
            number = self._room(db, room)
            for way in _TOKENS:
                sql = f"INSERT INTO {way}_{number} ({way}_{number}, rowid, {_NAMES}) VALUES"
                values = [("delete", doc.id, *doc.words()) for doc in docs]
                db.conn.executemany(f"{sql} (?, ?, ?, ?, ?, ?)", values)
            if any(doc.id in lost for doc in docs):
                db.execute(_SQL_MARK, [number])
        _DOCS.write(db, [(*doc[:-1], json.dumps(doc.places)) for _, doc in changed])
        for room, docs in into.items():
            number = self._room(db, room)
            for way in _TOKENS:
                sql = f"INSERT INTO {way}_{number} (rowid, {_NAMES}) VALUES (?, ?, ?, ?, ?)"
                db.conn.executemany(sql, [(doc.id, *doc.words()) for doc in docs])

    def _room(self, db: Database, room: str) -> int:
        number = self._rooms.get(room)
        if number is None:
            table = db.table("room_numbers")
            found = list(table.rows_where("room = ?", [room]))
            if not found:
                table.insert({"room": room})
                found = list(table.rows_where("room = ?", [room]))
                _make_indexes(db, found[0]["id"])
            number = self._rooms[room] = int(found[0]["id"])
        return number

    # --- leaving nothing behind -------------------------------------------------------------------
    def removed(self, db: Database) -> bool:
        """Whether something was taken out whose bytes may still be in the file."""
        return bool(db.execute("SELECT 1 FROM removals LIMIT 1").fetchone())

    def scrub(self, db: Database) -> None:
        """Write the file anew without what was taken out, where something was.

        An index keeps what was deleted until its parts are merged, and a page that was split keeps
        stale bytes: so parts are merged first, and then every page is made anew. Not inside a
        transaction. Raises: sqlite3.Error where there is no space.
        """
        rooms = [number for (number,) in db.execute("SELECT room FROM removals").fetchall()]
        if not rooms:
            return
        with db.atomic():
            for number in rooms:
                for way in _TOKENS:
                    db.execute(f"INSERT INTO {way}_{number} ({way}_{number}) VALUES ('optimize')")
        db.execute("VACUUM")
        with db.atomic():
            db.execute("DELETE FROM removals")


_NAMES: Final = ", ".join(FIELDS)


def _make_indexes(db: Database, number: int) -> None:
    for way, tokens in _TOKENS.items():
        name = f"{way}_{number}"
        db.execute(
            f"CREATE VIRTUAL TABLE {name} USING fts5({_NAMES},"
            f" content = 'docs', content_rowid = 'id', {tokens})"
        )
        db.execute(f"INSERT INTO {name} ({name}, rank) VALUES ('hashsize', {_HASH_BYTES})")
        with contextlib.suppress(sqlite3.OperationalError):  # SQLite before 3.42 scrubs alone
            db.execute(f"INSERT INTO {name} ({name}, rank) VALUES ('secure-delete', 1)")


def _follow(doc: Doc, event: Event) -> Doc:
    match event:
        case CaseRegistered() if doc.number is None:
            told = doc._replace(number=event.number, protected=event.protected or doc.protected)
            return told._replace(title=_clear(event.title), text=_clear(event.text))
        case CaseHandedOver() if event.receiver not in doc.places:
            return doc._replace(places=(*doc.places, event.receiver))
        case RegistryDecided():
            return doc._replace(registry_number=event.registry_number)
        case CaseProtected():
            kept = doc._replace(title=None, text=None) if event.protected else doc
            return kept._replace(protected=event.protected)
        case _:
            return doc


def _lost(former: Doc, doc: Doc) -> bool:
    """Whether clear text was taken out."""
    return (former.title is not None and doc.title is None) or (
        former.text is not None and doc.text is None
    )


def _clear(value: PersonalField | None) -> str | None:
    """Text as it is indexed: letters with their dots are one character each."""
    return unicodedata.normalize("NFC", value.value) if isinstance(value, Personal) else None


def _is_case(stream: str) -> bool:
    return stream.startswith("case/")


def _erased_by(event: Event) -> str | None:
    return case_of_subject(event.subject) if isinstance(event, ErasureDecided) else None


def _excluded_by(event: Event) -> str | None:
    if isinstance(event, EntrySet) and event.section == "authority":
        return event.key if event.fields.get("excluded") is True else None
    return None


def _load(db: Database, streams: Iterable[str], authorities: Iterable[str]) -> dict[str, Doc]:
    found = db.execute(
        _SQL_LOAD,
        {"streams": json.dumps(list(streams)), "authorities": json.dumps(list(authorities))},
    )
    docs = (
        Doc._make((*row[:7], bool(row[7]), bool(row[8]), tuple(json.loads(row[9]))))
        for row in found.fetchall()
    )
    return {doc.stream: doc for doc in docs}


def _column(db: Database, sql: str, params: list[object]) -> set[str]:
    return {value for (value,) in db.execute(sql, params).fetchall()}
