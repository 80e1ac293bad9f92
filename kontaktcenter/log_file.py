"""A log's file read from outside, without changing it: for backups.

It is judged anew from its first record, with the same code as in a node, into an index that is
thrown away.
"""

from __future__ import annotations

import asyncio
import errno
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING, Any, Final
from zlib import crc32

from core.errors import Corrupt, NeedsUpgrade, Refused
from core.eventlog.envelope import Unreadable, decode_envelope
from core.eventlog.log import Record
from core.eventlog.sqlite_log import APPLICATION_ID, LAYOUT
from core.eventlog.verify import refold
from kontaktcenter.words import _

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from core.eventlog.envelope import Genesis

_SQL_SHARDS: Final = "SELECT id, book, number FROM shard ORDER BY book, number"
_SQL_ROWS: Final = (
    "SELECT offset, body, crc FROM record_{} WHERE offset >= ? ORDER BY offset LIMIT ?"
)
_SQL_END: Final = "SELECT max(offset) FROM record_{}"

Digests = dict[str, tuple[int, str]]


class _FileLog:
    """One shard of a file, as `core.eventlog.log.Log`; nothing can be appended."""

    shared = False
    in_flight_max = 0
    identity: str | None = None

    def __init__(self, conn: sqlite3.Connection, path: Path, table: int) -> None:
        self._conn, self._path, self._table = conn, path, table

    def pin(self, identity: str | None) -> None:
        """Nothing: the file is as it was copied."""

    async def append(self, body: bytes) -> int:
        """Raises: Refused, always."""
        raise Refused(_("a copy of a log is only read"), bytes=len(body))

    def append_now(self, body: bytes) -> int | None:
        """Nothing, ever."""

    async def read(self, offset: int, limit: int, wait_s: float) -> Sequence[Record]:  # noqa: ARG002 -- nobody appends
        """Records from `offset` on. Raises: Corrupt."""
        return await asyncio.to_thread(self._read, offset, limit)

    def _read(self, offset: int, limit: int) -> list[Record]:
        rows = _run(self._conn, self._path, _SQL_ROWS.format(self._table), (offset, limit))
        records = []
        for expected, (found, body, crc) in enumerate(rows, start=offset):
            if found != expected or not isinstance(body, bytes) or crc32(body) != crc:
                said = _(
                    "{file} is damaged: record {offset} is missing or does not match its checksum"
                )
                raise Corrupt(said.format(file=self._path, offset=expected))
            records.append(Record(found, body))
        return records

    async def end(self) -> int:
        """The offset after the last record."""
        last = _run(self._conn, self._path, _SQL_END.format(self._table), ())[0][0]
        return 0 if last is None else int(last) + 1


def _run(
    conn: sqlite3.Connection, path: Path, sql: str, params: tuple[object, ...]
) -> list[tuple[Any, ...]]:
    try:
        return conn.execute(sql, params).fetchall()
    except sqlite3.DatabaseError as e:
        said = _("{file} is damaged: {why}").format(file=path, why=e)
        raise Corrupt(said) from e


def _open(path: Path) -> sqlite3.Connection:
    """A connection that only reads, and leaves no trace beside the file."""
    address = f"{path.as_uri()}?mode=ro&immutable=1"
    conn = sqlite3.connect(address, uri=True, check_same_thread=False)
    application = _run(conn, path, "PRAGMA application_id", ())[0][0]
    layout = _run(conn, path, "PRAGMA user_version", ())[0][0]
    if application != APPLICATION_ID:
        conn.close()
        raise Corrupt(_("{file} is not a log of Kontaktcenter").format(file=path))
    if layout > LAYOUT:
        conn.close()
        raise NeedsUpgrade(
            _("{file} was written by a newer program: upgrade this one").format(file=path)
        )
    return conn


async def digests(
    path: Path, progress: Callable[[str, int, int], None] | None = None
) -> tuple[Digests, str | None]:
    """Position and digest of each shard, judged anew, and the secret's fingerprint in genesis.

    `path` is a copy that nobody writes. `progress` gets a shard's name, records done and in all.
    Raises: Corrupt, NeedsUpgrade, FileNotFoundError.
    """
    if not path.is_file():  # noqa: ASYNC240 -- one look at a folder of this machine
        raise FileNotFoundError(errno.ENOENT, "", str(path))
    found: Digests = {}
    fingerprint = None
    with closing(_open(path)) as conn:
        for table, book, number in _run(conn, path, _SQL_SHARDS, ()):
            log, name = _FileLog(conn, path, table), f"{book}/{number}"
            genesis = await _genesis(log)
            if genesis is None:
                found[name] = (0, bytes(32).hex())
                continue
            state = await refold(log, genesis, await log.end(), progress and _of(progress, name))
            found[name] = (state.position, state.digest.hex())
            fingerprint = genesis.key_fingerprint
    return dict(sorted(found.items())), fingerprint


def _of(progress: Callable[[str, int, int], None], name: str) -> Callable[[int, int], None]:
    return lambda done, total: progress(name, done, total)


async def _genesis(log: _FileLog) -> Genesis | None:
    """The genesis of a shard; None where nothing was ever appended. Raises: Corrupt."""
    if await log.end() == 0:
        return None
    (first,) = await log.read(0, 1, 0)
    try:
        genesis = decode_envelope(first.body).genesis
    except Unreadable:
        genesis = None
    if genesis is None:
        raise Corrupt(_("a shard of the log does not begin with its genesis: it is damaged"))
    return genesis
