"""The wrapped keys of a log copied between a file and a topic (`log copy`).

What was destroyed stays destroyed, and what was made after an erasure lives on: each live key goes
with how far its book had carried erasures out. A file of keys is made whole beside its place, and
put there at once.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import tempfile
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Final

from core.erasure import ErasureDecided
from core.errors import Corrupt, Refused
from core.eventlog.codec import decode_event
from core.eventlog.envelope import decode_commit
from core.eventlog.keys import SqliteKeys, microseconds, tombstone_of
from core.personal import subject_of
from kontaktcenter.words import _

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from core.eventlog.kafka_log import KafkaSettings
    from core.eventlog.kafka_log.replica import Entry

_BATCH: Final = 500
_PUBLISH_S: Final = 30.0
_READ_S: Final = 0.5
_EMPTY_READS: Final = 60
_ERASURES: Final = "erasures"
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_SQL_KEYS: Final = "SELECT id, wrapped FROM key ORDER BY id"
_SQL_ERASED: Final = "SELECT subject, decided_us FROM erased"
_SQL_UPTO: Final = "SELECT position FROM progress WHERE name = ?"
_SQL_ADD: Final = "INSERT OR IGNORE INTO key VALUES (?, ?, ?)"


@dataclass
class Erasures:
    """What the centre's book decided: for each subject where and when last; `upto` its end."""

    upto: int = 0
    places: dict[str, int] = field(default_factory=dict)
    decided: dict[str, datetime] = field(default_factory=dict)

    def note(self, position: int, raw: bytes) -> None:
        """Take in an accepted commit of the centre's book."""
        for logged in decode_commit(raw).events:
            if logged.type != ErasureDecided.TOPIC:
                continue
            event = decode_event(logged.type, logged.schema, logged.data)
            if isinstance(event, ErasureDecided):
                at = logged.occurred_at
                self.places[event.subject] = position
                self.decided[event.subject] = max(at, self.decided.get(event.subject, at))


@dataclass(frozen=True)
class Keys:
    """All keys of a book by id, None where destroyed, without the tombstones of subjects."""

    wrapped: dict[str, bytes | None]
    upto: int  # how far erasures were carried out on them
    decided_us: dict[str, int]


def of_file(path: Path) -> Keys:
    """The keys in a file that nobody uses. Raises: Corrupt."""
    try:
        with closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)) as conn:
            rows = conn.execute(_SQL_KEYS).fetchall()
            erased = dict(conn.execute(_SQL_ERASED).fetchall())
            upto = conn.execute(_SQL_UPTO, (_ERASURES,)).fetchone()
    except sqlite3.Error as e:
        said = _("the file of keys {file} cannot be read: {why}")
        raise Corrupt(said.format(file=path, why=e)) from e
    wrapped = {i: w for i, w in rows if i != tombstone_of(subject_of(i))}
    return Keys(wrapped, upto[0] if upto else 0, erased)


def of_topic(settings: KafkaSettings, erasures: Erasures, room: Path) -> Keys:
    """The keys in a topic, read to its end, with all that was decided carried out on them.

    `room` is a folder for a copy that is removed again. Raises: Refused where there is no such
    topic, Corrupt, Unavailable.
    """
    from core.eventlog.kafka_log.keys_topic import KeysTopic  # noqa: PLC0415 -- a town needs none
    from core.eventlog.kafka_log.replica import Replica  # noqa: PLC0415

    topic = KeysTopic(settings)
    with (
        contextlib.closing(topic),
        tempfile.TemporaryDirectory(prefix=".keys-", dir=room) as folder,
        contextlib.closing(Replica(Path(folder) / "keys.db")) as replica,
    ):
        facts = topic.facts()
        if facts.identity is None:
            raise Refused(_("there is no topic {topic}").format(topic=topic.name))
        with topic.reader() as reader:
            reader.seek(facts.begins)
            reached, silent = facts.begins, 0
            while reached < facts.ends:
                found = reader.read(_READ_S)
                silent = 0 if found.next_offset > reached else silent + 1
                if silent > _EMPTY_READS:
                    raise topic.unavailable("no answer")
                replica.take(replica.plan(found.entries), found.next_offset)
                reached = found.next_offset
        doomed = set(replica.doomed(erasures.decided, erasures.places))
        entries: Iterable[Entry] = replica.all_keys()
        wrapped = {e.id: None if e.id in doomed else e.wrapped for e in entries}
    decided = {subject: microseconds(at) for subject, at in erasures.decided.items()}
    return Keys(wrapped, erasures.upto, decided)


def into_file(keys: Keys, path: Path) -> None:
    """Make the file of keys at `path`, or put it in the place of an older copy of these keys.

    Raises: Refused where there is a file with keys that these have not.
    """
    if path.exists():
        _require_older(of_file(path), keys, str(path))
    beside = path.with_name(f"{path.name}.copying")
    for suffix in ("", "-wal", "-shm", "-journal"):
        beside.with_name(beside.name + suffix).unlink(missing_ok=True)
    with closing(SqliteKeys(beside)) as file:
        at = {
            subject: _EPOCH + timedelta(microseconds=us) for subject, us in keys.decided_us.items()
        }
        file.erase(at, keys.upto)
    with closing(sqlite3.connect(beside, isolation_level=None)) as conn:
        conn.execute("PRAGMA synchronous=FULL")
        conn.execute("BEGIN IMMEDIATE")
        conn.executemany(_SQL_ADD, ((i, subject_of(i), w) for i, w in keys.wrapped.items()))
        conn.execute("COMMIT")
        conn.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        conn.execute("PRAGMA journal_mode=DELETE")
    beside.replace(path)
    for suffix in ("-wal", "-shm"):  # of the file that was there
        path.with_name(path.name + suffix).unlink(missing_ok=True)
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def into_topic(keys: Keys, settings: KafkaSettings, room: Path) -> None:
    """Write the keys that the topic lacks, or has otherwise. Safe to repeat.

    Raises: Refused where it has keys that these have not, Unavailable, Corrupt.
    """
    from core.eventlog.kafka_log.keys_topic import KeysTopic  # noqa: PLC0415 -- a town needs none
    from core.eventlog.kafka_log.replica import Entry, Knew  # noqa: PLC0415

    there = of_topic(settings, Erasures(), room)
    topic = KeysTopic(settings)
    _require_older(there, keys, topic.name)
    lacking = [
        Entry(i, w, Knew(0, keys.upto, keys.decided_us.get(subject_of(i), 0)))
        for i, w in keys.wrapped.items()
        if i not in there.wrapped or there.wrapped[i] != w
    ]
    with contextlib.closing(topic):
        for batch in _batches(lacking):
            topic.publish(batch, _PUBLISH_S)
    now = of_topic(settings, Erasures(), room)
    differing = [i for i, w in keys.wrapped.items() if now.wrapped.get(i, b"") != w]
    if differing:
        said = _("{n} keys in the topic {topic} are not what was copied: do not use this copy")
        raise Corrupt(said.format(n=len(differing), topic=topic.name))


def _batches(entries: Sequence[Entry]) -> Iterator[Sequence[Entry]]:
    for start in range(0, len(entries), _BATCH):
        yield entries[start : start + _BATCH]


def _require_older(there: Keys, wanted: Keys, where: str) -> None:
    """Raises: Refused where `there` has a key that `wanted` has not: it is of another log."""
    foreign = [i for i, w in there.wrapped.items() if w is not None and i not in wanted.wrapped]
    if foreign:
        said = _(
            "{where} holds {n} keys that the source has not: they are of another log, or newer; "
            "nothing is written over them. Choose an empty target"
        )
        raise Refused(said.format(where=where, n=len(foreign)))
