"""The copy of the topic of keys that a node keeps on its own disk.

It is a file of keys as on one machine, and holds more: what the maker of each key knew, where in
the topic keys' bytes were seen, and how far the topic was read. It may be deleted: the topic is
read again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Final, NamedTuple

from core.eventlog.keys import SqliteKeys, microseconds, tombstone_of
from core.personal import subject_of

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import datetime

_INTEGER_MAX: Final = 2**62  # what SQLite takes
_NEXT: Final = "next offset"
_DOOMED: Final = (
    "SELECT key.id FROM key LEFT JOIN made USING (id)"
    " WHERE subject = ? AND wrapped IS NOT NULL AND"
    " (coalesce(made.position, 0) < ? OR coalesce(made.decided_us, 0) < ?)"
)
_DEAD: Final = (
    "SELECT at, id FROM seen JOIN key USING (id) WHERE wrapped IS NULL AND subject IN ({})"
)


class Knew(NamedTuple):
    """What the maker of a key knew, in the header of its record.

    `turn` counts the wrappings of the key; `position` is how far in the centre's book the maker had
    carried erasures out, and `decided_us` when the last one of the key's subject was decided.
    A key that was made in ignorance of a decision goes with it, whoever made it and whenever its
    record arrives.
    """

    turn: int = 0
    position: int = 0
    decided_us: int = 0

    def encoded(self) -> bytes:
        """As the header's value."""
        return " ".join(str(part) for part in self).encode()

    @classmethod
    def of(cls, value: bytes | None) -> Knew:
        """What a header says; without a readable one that its maker knew nothing."""
        parts = (value or b"").split(b" ")
        if len(parts) == len(cls._fields) and all(p.isdigit() for p in parts):
            return cls(*(min(int(part[:20]), _INTEGER_MAX) for part in parts))
        return cls()


class Entry(NamedTuple):
    """One key as a record has it: `wrapped` None is a tombstone, `at` its offset if it was read."""

    id: str
    wrapped: bytes | None
    knew: Knew = Knew()
    at: int | None = None


class Plan(NamedTuple):
    """What entries do to the replica.

    `rows` are the keys as they stand then; `corrections` what the topic has to be told again;
    `changed` the ids of keys that were there and are another's now, or gone.
    """

    entries: Sequence[Entry]
    rows: Sequence[Entry]
    corrections: Sequence[Entry]
    changed: Sequence[str]


class Replica(SqliteKeys):
    """A node's copy of the topic of keys. One thread at a time plans and takes in."""

    more_schema: ClassVar[tuple[str, ...]] = (
        (
            "CREATE TABLE IF NOT EXISTS made (id TEXT PRIMARY KEY, turn INTEGER NOT NULL,"
            " position INTEGER NOT NULL, decided_us INTEGER NOT NULL)"
        ),
        "CREATE TABLE IF NOT EXISTS seen (at INTEGER PRIMARY KEY, id TEXT NOT NULL)",
        "CREATE INDEX IF NOT EXISTS seen_id ON seen (id)",
        "CREATE TABLE IF NOT EXISTS place (subject TEXT PRIMARY KEY, position INTEGER NOT NULL)",
        "CREATE TABLE IF NOT EXISTS topic (identity TEXT NOT NULL, whole INTEGER NOT NULL)",
    )

    # --- which topic, how far -------------------------------------------------------------------
    def identity(self) -> str | None:
        """The id of the topic that this is a copy of; None where none was read yet."""
        rows = self._run("SELECT identity FROM topic", [])
        return str(rows[0][0]) if rows else None

    def begin(self, identity: str, at: int = 0) -> None:
        """Be a copy of this topic, to be read from its beginning, which is at that offset."""
        with self._changing() as conn:
            conn.execute("DELETE FROM topic")
            conn.execute("DELETE FROM seen")
            conn.execute("INSERT INTO topic VALUES (?, 0)", (identity,))
            conn.execute("INSERT OR REPLACE INTO progress VALUES (?, ?)", (_NEXT, at))

    def next_offset(self) -> int:
        """The offset from which on the topic was not read."""
        return self.reached(_NEXT)

    def whole(self) -> bool:
        """Whether the topic was read to an end once, so that what lacks is new, or lost."""
        return self._run("SELECT 1 FROM topic WHERE whole", []) != []

    def set_whole(self) -> None:
        """The topic was read to its end."""
        with self._changing() as conn:
            conn.execute("UPDATE topic SET whole = 1")

    # --- taking in ------------------------------------------------------------------------------
    def knew(self, key_ids: Iterable[str]) -> dict[str, Knew]:
        """What this node knows now about the subjects of new keys."""
        ids = list(key_ids)
        position = self.erased_upto()
        subjects = {subject_of(key_id) for key_id in ids}
        decided = {s: microseconds(at) for s, at in self.decided(subjects).items()}
        return {k: Knew(0, position, decided.get(subject_of(k), 0)) for k in ids}

    def plan(self, entries: Sequence[Entry]) -> Plan:
        """What these entries, in the topic's order, do to the keys that are here."""
        ids = list(dict.fromkeys(entry.id for entry in entries))
        before = self.rows(ids)
        doom = self._dooms({subject_of(key_id) for key_id in ids})
        now, told = dict(before), dict.fromkeys(ids, Entry("", None))
        for entry in entries:
            told[entry.id] = entry
            there = now.get(entry.id)
            if there is not None and there.wrapped is None:
                continue  # gone once is gone for good
            place, us = doom.get(subject_of(entry.id), (0, 0))
            if entry.wrapped is None or entry.knew.position < place or entry.knew.decided_us < us:
                now[entry.id] = entry._replace(wrapped=None)
            elif there is None or _goes_before(entry, there):
                now[entry.id] = entry
        rows = [now[key_id] for key_id in ids if now[key_id] != before.get(key_id)]
        corrections = [now[k] for k in ids if now[k].wrapped != told[k].wrapped]
        changed = [
            row.id for row in rows if row.id in before and row.wrapped != before[row.id].wrapped
        ]
        return Plan(entries, rows, corrections, changed)

    def take(self, plan: Plan, next_offset: int | None = None) -> None:
        """Do what `plan` says; the topic was read up to `next_offset`. One transaction."""
        with self._changing() as conn:
            conn.executemany(
                "INSERT INTO key VALUES (?, ?, ?) ON CONFLICT (id) DO UPDATE"
                " SET wrapped = excluded.wrapped",
                [(row.id, subject_of(row.id), row.wrapped) for row in plan.rows],
            )
            conn.executemany(
                "INSERT OR REPLACE INTO made VALUES (?, ?, ?, ?)",
                [(row.id, *row.knew) for row in plan.rows],
            )
            conn.executemany(
                "INSERT OR IGNORE INTO seen VALUES (?, ?)",
                [(e.at, e.id) for e in plan.entries if e.at is not None and e.wrapped is not None],
            )
            if next_offset is not None:
                conn.execute("INSERT OR REPLACE INTO progress VALUES (?, ?)", (_NEXT, next_offset))
        self._empty_wal(len(plan.changed))

    def rows(self, ids: Sequence[str]) -> dict[str, Entry]:
        """Those of these keys that are here, the destroyed ones too."""
        sql = (
            "SELECT id, wrapped, coalesce(turn, 0), coalesce(position, 0), coalesce(decided_us, 0)"
            " FROM key LEFT JOIN made USING (id) WHERE id IN ({})"
        )
        return {row[0]: Entry(row[0], row[1], Knew(*row[2:])) for row in self._in_parts(sql, ids)}

    def _dooms(self, subjects: Iterable[str]) -> dict[str, tuple[int, int]]:
        sql = (
            "SELECT subject, coalesce(position, 0), decided_us FROM erased"
            " LEFT JOIN place USING (subject) WHERE subject IN ({})"
        )
        return {s: (position, us) for s, position, us in self._in_parts(sql, subjects)}

    def all_keys(self) -> list[Entry]:
        """All keys, the destroyed ones too, that a topic ever had or is to have."""
        rows = self._run(
            "SELECT id, wrapped, coalesce(turn, 0), coalesce(position, 0), coalesce(decided_us, 0)"
            " FROM key LEFT JOIN made USING (id) ORDER BY id",
            [],
        )
        found = [Entry(row[0], row[1], Knew(*row[2:])) for row in rows]
        return [entry for entry in found if entry.id != tombstone_of(subject_of(entry.id))]

    def forget(self, key_ids: Sequence[str]) -> None:
        """Remove keys without a trace; for what was only waiting here."""
        with self._changing() as conn:
            conn.executemany("DELETE FROM key WHERE id = ?", [(k,) for k in key_ids])
            conn.executemany("DELETE FROM made WHERE id = ?", [(k,) for k in key_ids])
        self._empty_wal(len(key_ids))

    # --- erasing --------------------------------------------------------------------------------
    def doomed(self, decided: Mapping[str, datetime], places: Mapping[str, int]) -> list[str]:
        """The live keys that these decisions are about."""
        return [
            row[0]
            for subject, at in decided.items()
            for row in self._run(_DOOMED, [subject, places[subject], microseconds(at)])
        ]

    def erase_these(
        self,
        key_ids: Sequence[str],
        decided: Mapping[str, datetime],
        upto: int,
        places: Mapping[str, int],
    ) -> int:
        """Tombstone keys, note the decisions, and leave no copy behind; how many went."""
        with self._changing() as conn:
            gone = sum(
                conn.execute(
                    "UPDATE key SET wrapped = NULL WHERE id = ? AND wrapped IS NOT NULL", (key_id,)
                ).rowcount
                for key_id in key_ids
            )
            self._note_erasures(conn, decided, upto)
            self._note_places(conn, places)
        self._empty_wal(gone)
        return gone

    def _note_places(self, conn: sqlite3.Connection, places: Mapping[str, int]) -> None:
        conn.executemany("INSERT OR REPLACE INTO place VALUES (?, ?)", list(places.items()))

    def dead_values(self, subjects: Iterable[str]) -> dict[int, str]:
        """Where in the topic bytes of destroyed keys were seen: the offset, and the key's id."""
        return dict(self._in_parts(_DEAD, subjects))

    def unsee(self, offsets: Iterable[int]) -> None:
        """The topic holds these records no more."""
        with self._changing() as conn:
            conn.executemany("DELETE FROM seen WHERE at = ?", [(at,) for at in offsets])


def _goes_before(entry: Entry, there: Entry) -> bool:
    """Whether a wrapping takes the place of another one.

    A copy that was delayed must not open again what was closed since. The first wrapping has one
    maker, so a second one of that turn is nobody's that we know.
    """
    return entry.knew.turn > there.knew.turn or (
        entry.knew.turn == there.knew.turn > 0 and entry.wrapped != there.wrapped
    )
