"""The facts of each call, case or agent's day, kept beside the rows that were folded from them.

A fact that comes late is added and its stream folded anew, so rows never depend on the order of
arrival. The streams that were touched last are held in memory, so that the usual fact needs no
read.
"""

from __future__ import annotations

import json
from collections import OrderedDict
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar

import msgspec

from projections.upserts import Upsert

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from sqlite_utils import Database

STREAMS_CACHED_MAX: Final = 20_000

_F = TypeVar("_F")
_SQL_LOAD: Final = (
    "SELECT id, stream, shard, facts FROM streams WHERE stream IN (SELECT value FROM json_each(?))"
)
_SAVE: Final = Upsert("streams", ("id", "stream", "shard", "facts"), ("id",), ("facts",))
_SQL_BY_ID: Final = "SELECT stream, shard FROM streams WHERE id IN (SELECT value FROM json_each(?))"


class Kept(Generic[_F]):
    """One stream: its number in this file, its facts, and what was written of it last.

    `written` is None where that is not known, as after a read from the file.
    """

    __slots__ = ("facts", "id", "shard", "stream", "written")

    def __init__(self, number: int, stream: str, shard: str, facts: list[_F], written: Any) -> None:
        self.id = number
        self.stream = stream
        self.shard = shard
        self.facts = facts
        self.written = written


class FactStore(Generic[_F]):
    """Facts by stream in the table `streams` of one file. `fact_type` is a NamedTuple."""

    def __init__(self, fact_type: type[_F]) -> None:
        self._decode = msgspec.msgpack.Decoder(list[fact_type]).decode  # type: ignore[valid-type]
        self._encode = msgspec.msgpack.Encoder().encode
        self._kept: OrderedDict[str, Kept[_F]] = OrderedDict()
        self._next: int | None = None

    @staticmethod
    def make(db: Database) -> None:
        """Make the table."""
        db.table("streams").create(
            {"id": int, "stream": str, "shard": str, "facts": bytes}, pk="id"
        )
        db.table("streams").create_index(["stream"], unique=True)

    def forget(self) -> None:
        """Drop what is in memory: the file may be another, or was rolled back."""
        self._kept.clear()
        self._next = None

    def load(self, db: Database, streams: Mapping[str, str]) -> dict[str, Kept[_F]]:
        """Each stream of `streams` (stream to shard), new ones with no facts.

        They stay in memory until enough others were used more lately.
        """
        kept, found, missing = self._kept, {}, []
        for stream in streams:
            known = kept.get(stream)
            if known is None:
                missing.append(stream)
            else:
                kept.move_to_end(stream)
                found[stream] = known
        if missing:
            for number, stream, shard, facts in db.execute(
                _SQL_LOAD, [json.dumps(missing)]
            ).fetchall():
                found[stream] = kept[stream] = Kept(
                    number, stream, shard, self._decode(facts), None
                )
            for stream in missing:
                if stream not in found:
                    new: Kept[_F] = Kept(self._number(db), stream, streams[stream], [], ())
                    found[stream] = kept[stream] = new
        while len(kept) > STREAMS_CACHED_MAX and len(kept) > len(found):
            kept.popitem(last=False)
        return found

    def named(self, db: Database, numbers: Iterable[int]) -> dict[str, str]:
        """The streams with these numbers, with their shards."""
        return dict(db.execute(_SQL_BY_ID, [json.dumps(list(numbers))]).fetchall())

    def save(self, db: Database, changed: Iterable[Kept[_F]]) -> None:
        """Write the facts of `changed`."""
        encode = self._encode
        _SAVE.write(db, [(k.id, k.stream, k.shard, encode(k.facts)) for k in changed])

    def _number(self, db: Database) -> int:
        if self._next is None:
            self._next = (db.execute("SELECT max(id) FROM streams").fetchone()[0] or 0) + 1
        self._next += 1
        return self._next - 1
