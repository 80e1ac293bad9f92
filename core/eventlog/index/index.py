"""Each node's own index of one shard: a SQLite file that may be deleted and rebuilt from the log.

It holds the judged commits, which events are in which stream, trackings, and the shard's position
and digest; rows and position are one transaction. `synchronous=NORMAL`: the log is the truth, and
what is lost here is read from it again.
"""

from __future__ import annotations

import contextlib
import sqlite3
import threading
from typing import TYPE_CHECKING

from core.commit import Accepted, StaleVerdict
from core.errors import Corrupt, Unavailable
from core.eventlog.envelope import Claim, LoggedCommit, Unreadable, decode_claim, decode_commit
from core.eventlog.index.clean_close import note_close, take_note
from core.eventlog.index.rows import Batch, CommitRow, Mark, StreamRow, crc_of, row_crc
from core.eventlog.index.sql import (
    SQL_ASIDE,
    SQL_COMMITS,
    SQL_COMMITS_FROM,
    SQL_ENDS,
    SQL_EVENT,
    SQL_FORKS,
    SQL_HEADS,
    SQL_IDS,
    SQL_INDEXES,
    SQL_JUDGED,
    SQL_POSITIONS,
    SQL_SCHEMA,
    SQL_STATE,
    SQL_STREAM_DOWN,
    SQL_STREAM_UP,
    SQL_TRACKING,
    in_parts,
    insert_rows,
    prepare_writing,
)
from core.eventlog.sqlite_errors import SqliteErrors, is_surroundings, schema_differs

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

LAYOUT = 4  # another layout is built again from the log

JUDGED_COLUMNS = 9
EVENT_COLUMNS = 5
VERSION_MAX = 2**62
DISTRUSTED = ".distrusted"  # a mark beside a file that was found damaged while in use


class Index:
    """One shard's index file. Writes from one thread at a time; reads from any."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.bulk = False
        self._connections: dict[int, sqlite3.Connection] = {}
        self._writer: sqlite3.Connection | None = None
        self._opening = threading.Lock()
        self._closed = False
        self._distrusted = path.with_name(path.name + DISTRUSTED)
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            self.mark = self._start()
        except BaseException:
            self._drop()
            raise

    @staticmethod
    def genesis_in(path: Path) -> bytes | None:
        """The genesis that the index at `path` was made with; None where it cannot be told."""
        try:
            with contextlib.closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)) as conn:
                row = conn.execute("SELECT genesis FROM state").fetchone()
        except SqliteErrors:
            return None
        return None if row is None else row[0]

    def _connection(self) -> sqlite3.Connection:
        known = self._connections.get(threading.get_ident())
        if known is not None:
            return known
        if self._closed:
            raise Unavailable(f"the index {self.path} is closed", neighbour="index")
        conn = sqlite3.connect(self.path, isolation_level=None, check_same_thread=False)
        with self._opening:
            self._connections[threading.get_ident()] = conn
        conn.execute("PRAGMA journal_mode=WAL")
        conn.execute("PRAGMA synchronous=NORMAL")
        return conn

    def _start(self) -> Mark:
        """Open or make the file. Raises: Corrupt where it is not to be trusted: set it aside."""
        if self._distrusted.exists():
            raise Corrupt(f"the index {self.path} was found damaged while in use")
        as_left = take_note(self.path)
        try:
            conn = self._connection()
            layout = conn.execute("PRAGMA user_version").fetchone()[0]
            if layout == 0:
                self._make(conn)
            elif layout != LAYOUT:
                raise Corrupt(f"the index {self.path} has layout {layout}, not {LAYOUT}")
            elif not as_left and conn.execute("PRAGMA integrity_check(1)").fetchone()[0] != "ok":
                raise Corrupt(f"the index {self.path} contradicts itself")
            row = conn.execute("SELECT * FROM state").fetchone()
            ends = None if as_left else conn.execute(SQL_ENDS).fetchone()
            if row is not None:
                self.make_lookups()  # a bulk load may have been cut off
            differing = schema_differs(conn, (*SQL_SCHEMA, *(SQL_INDEXES if row else ())))
        except SqliteErrors as e:
            raise self._said(e) from e
        if differing is not None:
            raise Corrupt(
                f"the index {self.path} is damaged: its description is not ours: {differing}"
            )
        mark = Mark() if row is None else Mark(*row[1:-1])
        if row is not None and mark.row()[-1] != row[-1]:
            raise Corrupt(
                f"the index {self.path} is damaged: its state does not match its checksum"
            )
        if ends not in {None, (mark.position, mark.position, mark.seq, mark.seq)}:
            raise Corrupt(f"the index {self.path} is damaged: rows are missing")
        self.bulk = row is None
        return mark

    def _make(self, conn: sqlite3.Connection) -> None:
        conn.execute("BEGIN IMMEDIATE")
        for statement in SQL_SCHEMA:
            conn.execute(statement)
        conn.execute(f"PRAGMA user_version={LAYOUT}")
        conn.execute("COMMIT")

    def make_lookups(self) -> None:
        """Make the look-up indexes after a bulk load; until then only memory judges right."""
        conn = self._connection()
        for statement in SQL_INDEXES:
            conn.execute(statement)

    def write(self, batch: Batch, mark: Mark) -> None:
        """Rows and mark in one transaction. Raises: sqlite3.Error, and then nothing was written."""
        conn = self._connection()
        if conn is not self._writer:
            prepare_writing(conn)
            self._writer = conn
        conn.execute("BEGIN IMMEDIATE")
        try:
            here = conn.execute("SELECT next_offset FROM state").fetchone()
            if (
                here is not None and here[0] >= mark.next_offset
            ):  # written, but nobody waited to hear it
                conn.execute("ROLLBACK")
                return
            insert_rows(conn, SQL_JUDGED, JUDGED_COLUMNS, batch.judged)
            insert_rows(conn, SQL_EVENT, EVENT_COLUMNS, batch.events)
            for tracking in batch.trackings.items():
                conn.execute(SQL_TRACKING, (*tracking, crc_of(*tracking)))
            for aside in batch.asides:
                conn.execute(SQL_ASIDE, (*aside, crc_of(*aside)))
            conn.execute(SQL_STATE, mark.row())
            conn.execute("COMMIT")
        except sqlite3.Error:
            if conn.in_transaction:
                conn.execute("ROLLBACK")
            raise

    def stream(
        self,
        stream: str,
        gt: int = -1,
        lte: int = VERSION_MAX,
        *,
        desc: bool = False,
        limit: int = -1,
    ) -> list[StreamRow]:
        """The stream's events with `gt` < version <= `lte`, forward or back, at most `limit`."""
        if self.bulk:
            self._must_be_whole()
        sql = SQL_STREAM_DOWN if desc else SQL_STREAM_UP
        rows: list[tuple[int, int, int, int]] = self._query(sql, (stream, gt, lte, limit))
        # Not joined: the bytes of a commit with a thousand events would come a thousand times.
        commits = self._commits_at(dict.fromkeys(row[2] for row in rows))
        return [
            StreamRow(version, seq, position, nth, self._of_commit(seq, position, nth, commits))
            for version, seq, position, nth in rows
        ]

    def _commits_at(self, positions: Iterable[int]) -> dict[int, tuple[int, int, bytes]]:
        """The commits at these positions: first number, number of events, bytes."""
        found = {}
        for part, marks in in_parts(list(positions)):
            for position, first_seq, events, stream, head, raw, crc in self._query(
                SQL_POSITIONS.format(marks), part
            ):
                if row_crc(position, first_seq, events, stream, head, raw) != crc:
                    raise self.damaged(f"its row {position} does not match its checksum")
                found[position] = (first_seq, events, raw)
        return found

    def _of_commit(
        self, seq: int, position: int, nth: int, commits: dict[int, tuple[int, int, bytes]]
    ) -> bytes:
        """The bytes of an event's commit, which must agree that the event is its."""
        first_seq, events, raw = commits.get(position, (0, 0, b""))
        if not 0 <= nth < events or seq != first_seq + nth:
            raise self.damaged(f"its event {seq} does not fit its commit {position}")
        return raw

    def commits(self, after: int, limit: int) -> list[CommitRow]:
        """Accepted commits with events after a position, in order."""
        return [CommitRow(*row) for row in self._checked(SQL_COMMITS, (after, limit))]

    def commits_from(self, seq: int, limit: int) -> list[CommitRow]:
        """Accepted commits from the one with event number `seq` on; none where it is not here."""
        self._must_be_whole()
        return [CommitRow(*row) for row in self._checked(SQL_COMMITS_FROM, (seq, limit))]

    def heads(self, streams: Iterable[str]) -> dict[str, int]:
        """The last versions of those of `streams` that are in the index."""
        self._must_be_whole()
        found: dict[str, int] = {}
        for part, marks in in_parts(list(streams)):
            found.update(self._query(SQL_HEADS.format(marks), part))
        return found

    def verdicts(self, ids: Iterable[str]) -> dict[str, tuple[str, Accepted | StaleVerdict]]:
        """Intent and first verdict of those of `ids` that are in the index."""
        self._must_be_whole()
        found: dict[str, tuple[str, Accepted | StaleVerdict]] = {}
        for part, marks in in_parts(list(ids)):
            for name, intent, position, seq, events, stream, head, raw, crc in self._query(
                SQL_IDS.format(marks), part
            ):
                claim = self._claim(raw)
                if row_crc(position, seq, events, stream, head, raw) != crc or (name, intent) != (
                    claim.id, claim.intent,
                ):  # fmt: skip
                    raise self.damaged(f"its row {position} is not what was written")
                verdict = (
                    Accepted(position, range(seq, seq + events))
                    if stream is None
                    else StaleVerdict(position, stream, head)
                )
                found[name] = (intent, verdict)
        return found

    def _claim(self, raw: bytes) -> Claim:
        try:
            return decode_claim(raw)
        except Unreadable as e:
            raise self.damaged(f"a commit in it cannot be read ({e})") from e

    def _must_be_whole(self) -> None:
        if self.bulk:
            msg = "the index is being built from the log: try again in a few seconds"
            raise Unavailable(msg, neighbour="index", retry_after_s=5)

    def tracked(self, name: str) -> int | None:
        """The last tracking position of a name."""
        rows = self._query("SELECT position, crc FROM tracking WHERE name = ?", (name,))
        if not rows:
            return None
        position: int = rows[0][0]
        if crc_of(name, position) != rows[0][1]:
            raise self.damaged(f"the progress of {name} does not match its checksum")
        return position

    def asides(self) -> list[tuple[int, int, str, str | None]]:
        """Forks and void records: offset, place in the record, kind, reason (of a fork: its id)."""
        return self._query("SELECT log_offset, nth, kind, reason FROM aside ORDER BY 1, 2", ())

    def contents(self, commit_id: str) -> list[bytes]:
        """The bytes judged under an id: the first, then its forks' in the order of the log."""
        first = self._query("SELECT raw FROM judged WHERE id = ?", (commit_id,))
        forks = self._query(SQL_FORKS + " ORDER BY log_offset, nth", (commit_id,))
        for *row, crc in forks:
            if crc_of(*row) != crc:
                raise self.damaged(f"what was kept aside of {commit_id} is not what was written")
        return [row[0] for row in first] + [row[4] for row in forks]

    def _checked(self, sql: str, params: Sequence[object]) -> Iterable[tuple]:  # type: ignore[type-arg]  # as `_query`
        """Rows that end with a whole row of `judged`; of it only the commit's bytes are given."""
        for *row, position, first_seq, events, stream, head, raw, crc in self._query(sql, params):
            if row_crc(position, first_seq, events, stream, head, raw) != crc:
                raise self.damaged(f"its row {position} does not match its checksum")
            yield (*row, raw)

    def _query(self, sql: str, params: Sequence[object]) -> list[tuple]:  # type: ignore[type-arg]  # rows as sqlite3 gives them
        try:
            return self._connection().execute(sql, params).fetchall()
        except SqliteErrors as e:
            raise self._said(e) from e

    def _said(self, error: Exception) -> Unavailable | Corrupt:
        """What an error of the file means to whoever asked."""
        if is_surroundings(error):
            msg = (
                f"the index {self.path} cannot be used ({error}); check the folder, its rights "
                "and free space"
            )
            return Unavailable(msg, neighbour="index", retry_after_s=5)
        return self.damaged(str(error))

    def damaged(self, what: str) -> Corrupt:
        """Found out while in use: noted beside the file, which the next start does not trust."""
        with contextlib.suppress(OSError):
            self._distrusted.touch()
        return Corrupt(
            f"the index {self.path} is damaged: {what}. Start the node again: it sets the "
            "file aside and reads the log anew; nothing is lost"
        )

    def close(self) -> None:
        """Close every thread's connection, and note that the file was left whole."""
        whole = not (self._closed or self.bulk or self._distrusted.exists())
        self._drop()
        if whole:
            note_close(self.path)

    def _drop(self) -> None:
        self._closed = True
        with self._opening:
            for conn in self._connections.values():
                conn.close()
            self._connections.clear()


def with_commits(rows: Iterable[StreamRow]) -> Iterator[tuple[StreamRow, LoggedCommit]]:
    """Each row with its commit, which is decoded once for rows in a run that share it.

    Raises: Unreadable.
    """
    position, commit = 0, None
    for row in rows:
        if commit is None or row.position != position:
            position, commit = row.position, decode_commit(row.raw)
        yield row, commit
