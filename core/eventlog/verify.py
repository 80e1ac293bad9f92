"""The log against the index: all is read and judged again, with plain dictionaries for a state.

Nothing is shared with the state of a running shard but the rule itself, so that a fault in its
caches, its shortcuts or its file shows as a difference.
"""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import closing
from dataclasses import dataclass, field, replace
from hashlib import sha256
from typing import TYPE_CHECKING
from zlib import crc32

from core.commit import Accepted, Fork, StaleVerdict, Verdict
from core.errors import Corrupt, NeedsUpgrade
from core.eventlog.envelope import Genesis, Unreadable, decode_commit, decode_envelope
from core.eventlog.index.rows import Mark, row_crc
from core.eventlog.node import Node
from core.eventlog.reading import check_genesis, read_claim
from core.judge import judge
from core.limits import FORMAT, READ_RECORDS_MAX

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Sequence
    from pathlib import Path

    from core.eventlog.envelope import Claim, LoggedCommit
    from core.eventlog.log import Log, Record
    from core.eventlog.node import NodeSettings

FAULTS_TOLD_MAX = 100
_SQL_STATE = (
    "SELECT next_offset, position, seq, digest, format, genesis, last_crc, identity, crc FROM state"
)
_SQL_JUDGED = (
    "SELECT position, id, intent, first_seq, events, stale_stream, stale_head, raw, crc FROM judged"
    " WHERE position > ? AND position <= ? ORDER BY position"
)
_SQL_EVENTS = (
    "SELECT seq, stream, version, position, nth FROM event WHERE seq > ? AND seq <= ? ORDER BY seq"
)
_SQL_ASIDE = (
    "SELECT log_offset, nth, kind, reason, raw FROM aside WHERE log_offset >= ? AND log_offset < "
    "? ORDER BY 1, 2"
)
_SQL_TRACKING = "SELECT name, position FROM tracking ORDER BY name"
_SQL_BEYOND = (
    "SELECT (SELECT count(*) FROM judged WHERE position > ?), (SELECT count(*) FROM event WHERE "
    "seq > ?)"
)

Row = tuple[object, ...]


@dataclass(frozen=True, slots=True)
class VerifyReport:
    """What the log says of one shard, and where the index differs (`FAULTS_TOLD_MAX` at most)."""

    shard: str
    ok: bool
    position: int
    digest: str
    records: int
    faults: list[str]


@dataclass(slots=True)
class Rows:
    """What judging some records should have left in the index."""

    judged: list[Row] = field(default_factory=list)
    events: list[Row] = field(default_factory=list)
    aside: list[Row] = field(default_factory=list)


class Refold:
    """A shard's state in plain dictionaries, which `judge` asks; the log fits into memory."""

    def __init__(self, genesis: Genesis, body: bytes) -> None:
        self.position, self.seq, self.offset = 0, 0, 1
        self.digest, self.format = bytes(32), genesis.format
        self.heads: dict[str, int] = {}
        self.verdicts: dict[str, tuple[str, Accepted | StaleVerdict]] = {}
        self.trackings: dict[str, int] = {}
        self.rows = Rows()
        self._genesis, self._body = genesis, body
        self._last_crc: int | None = None

    def head(self, stream: str) -> int | None:
        """As `core.judge.State`."""
        return self.heads.get(stream)

    def first_verdict(self, commit_id: str) -> tuple[str, Accepted | StaleVerdict] | None:
        """As `core.judge.State`."""
        return self.verdicts.get(commit_id)

    def tracked(self, name: str) -> int | None:
        """As `core.judge.State`."""
        return self.trackings.get(name)

    def mark(self) -> Mark:
        """How far this has come, as the index keeps it."""
        return Mark(
            self.offset,
            self.position,
            self.seq,
            self.digest,
            self.format,
            self._body,
            self._last_crc,
        )

    def take_rows(self) -> Rows:
        """The rows since the last call."""
        rows, self.rows = self.rows, Rows()
        return rows

    def record(self, record: Record) -> list[Verdict | None]:
        """Judge the next record. Raises: NeedsUpgrade."""
        assert record.offset == self.offset
        raws, void = self._raws(record.body)
        if void:
            self.rows.aside.append((self.offset, -1, "void", void, None))
        verdicts: list[Verdict | None] = []
        for nth, raw in enumerate(raws):
            claim = read_claim(raw, self._genesis)
            if claim is None:
                reason = "not a commit of this shard"
                self.rows.aside.append((self.offset, nth, "void", reason, None))
                verdicts.append(None)
            else:
                verdicts.append(self._commit(nth, raw, claim))
        self._last_crc = crc32(raws[-1]) if raws else None
        self.offset += 1
        return verdicts

    def _raws(self, body: bytes) -> tuple[list[bytes], str]:
        """The commits of a record, and why there are none where the whole record is void."""
        try:
            envelope = decode_envelope(body)
        except Unreadable:
            return [], "not an envelope"
        if envelope.genesis is not None:
            return [], "a genesis where none belongs"
        ours = (self.format, self._genesis.book, self._genesis.shard)
        if (envelope.format, envelope.book, envelope.shard) != ours:
            return [], f"format {envelope.format} of {envelope.book}/{envelope.shard}"
        return [bytes(raw) for raw in envelope.commits], ""

    def _commit(self, nth: int, raw: bytes, claim: Claim) -> Verdict:
        verdict, versions = judge(self, claim)
        if isinstance(verdict, Fork):
            self.rows.aside.append((self.offset, nth, "fork", claim.id, raw))
        if not isinstance(verdict, Accepted | StaleVerdict):
            return verdict
        accepted = isinstance(verdict, Accepted)
        if accepted and claim.raises_format == self.format + 1:
            if claim.raises_format > FORMAT:
                msg = (
                    f"the log is of format {claim.raises_format} from here on: upgrade this program"
                )
                raise NeedsUpgrade(msg)
            self.format = claim.raises_format
        self.position, first = self.position + 1, self.seq + 1
        self.digest = sha256(self.digest + (b"A" if accepted else b"S") + raw).digest()
        self.verdicts[claim.id] = (claim.intent, verdict)
        for n, (event, version) in enumerate(zip(claim.events, versions, strict=accepted)):
            self.seq += 1
            self.heads[event.stream] = version
            self.rows.events.append((self.seq, event.stream, version, self.position, n))
        if accepted and claim.tracking is not None:
            self.trackings[claim.tracking.name] = claim.tracking.position
        stream, head = (None, None) if accepted else (verdict.stream, verdict.head)  # type: ignore[union-attr]
        crc = row_crc(self.position, first, len(versions), stream, head, raw)
        self.rows.judged.append(
            (self.position, claim.id, claim.intent, first, len(versions), stream, head, raw, crc)
        )
        return verdict


async def refold(
    log: Log, wanted: Genesis, upto: int, progress: Callable[[int, int], None] | None = None
) -> Refold:
    """Judge a log's records before the offset `upto` with plain dictionaries.

    Raises: Corrupt, NeedsUpgrade.
    """
    state = await _begin(log, wanted)
    while state.offset < upto:
        for record in await _some(log, state.offset, upto):
            state.record(record)
        if progress is not None:
            progress(state.offset, upto)
    return state


async def _begin(log: Log, wanted: Genesis) -> Refold:
    first = await log.read(0, 1, 0)
    body = first[0].body if first else b""
    return Refold(check_genesis(body, wanted, None), body)


async def _some(log: Log, offset: int, upto: int) -> Sequence[Record]:
    records = await log.read(offset, min(READ_RECORDS_MAX, upto - offset), 0)
    if not records:
        raise Corrupt(f"the log ends at {offset}, and the index has read it up to {upto}")
    return records


async def judged(node: Node, name: str) -> AsyncGenerator[tuple[LoggedCommit, bool], None]:
    """The commits of a shard from the log itself, judged anew: each with whether it was accepted.

    The index is not asked. Raises: KeyError (no such shard), Corrupt, NeedsUpgrade, Unavailable.
    """
    shard = node.shard(name)
    upto = await shard.log.end()
    state = await _begin(shard.log, shard.genesis)
    while state.offset < upto:
        for record in await _some(shard.log, state.offset, upto):
            state.record(record)
        for row in state.take_rows().judged:
            stale, raw = row[5], row[7]
            assert isinstance(raw, bytes)
            yield decode_commit(raw), stale is None


async def verify_shard(
    node: Node, name: str, progress: Callable[[int, int], None] | None = None
) -> VerifyReport:
    """Judge the shard `name` anew and compare with this node's index of it, row by row.

    The node may go on working: what is compared is the index as it stands at the beginning.
    `progress` gets offsets done and in all. Raises: KeyError (no such shard), Corrupt (the log
    itself), Unavailable.
    """
    shard = node.shard(name)
    await shard.settle()
    index = await asyncio.to_thread(_Snapshot, shard.state.index.path)
    with closing(index):
        state = await _begin(shard.log, shard.genesis)
        upto = index.mark.next_offset
        while state.offset < upto:
            before = state.mark()
            for record in await _some(shard.log, state.offset, upto):
                state.record(record)
            await asyncio.to_thread(index.compare, state.take_rows(), before, state.mark())
            if progress is not None:
                progress(state.offset, upto)
            if len(index.faults) >= FAULTS_TOLD_MAX:
                break
        else:
            await asyncio.to_thread(index.compare_end, state)
    faults = index.faults[:FAULTS_TOLD_MAX]
    return VerifyReport(name, not faults, state.position, state.digest.hex(), state.offset, faults)


async def rebuild(
    settings: NodeSettings, progress: Callable[[str, int, int], None] | None = None
) -> dict[str, tuple[int, str]]:
    """Drop the index, read the whole log, and close again; position and digest of each shard.

    Raises: InUse while a node works there, and what `Node.open` raises.
    """
    node = await Node.open(replace(settings, fresh_index=True), progress)
    try:
        return node.digests()
    finally:
        await node.close()


class _Snapshot:
    """The index as it stood at one moment, on a connection of its own."""

    def __init__(self, path: Path) -> None:
        self.faults: list[str] = []
        self._conn = sqlite3.connect(
            f"{path.absolute().as_uri()}?mode=ro", uri=True, check_same_thread=False
        )
        self._conn.execute("BEGIN")
        *columns, crc = self._conn.execute(_SQL_STATE).fetchone()
        self.mark = Mark(*columns)
        if self.mark.row()[-1] != crc:
            self.faults.append("state: it does not match its checksum")

    def close(self) -> None:
        """Let the file go."""
        self._conn.close()

    def compare(self, rows: Rows, before: Mark, after: Mark) -> None:
        """Find what differs between two marks."""
        self._differing("position", rows.judged, _SQL_JUDGED, before.position, after.position)
        self._differing("event", rows.events, _SQL_EVENTS, before.seq, after.seq)
        self._differing(
            "kept aside at offset", rows.aside, _SQL_ASIDE, before.next_offset, after.next_offset
        )

    def _differing(self, what: str, wanted: list[Row], sql: str, after: int, upto: int) -> None:
        found: list[Row] = self._conn.execute(sql, (after, upto)).fetchall()
        if found == wanted:
            return
        here, there = {row[0]: row for row in found}, {row[0]: row for row in wanted}
        for key in sorted({*here, *there}, key=str):
            if key not in here:
                self._fault(f"{what} {key}: it is in the log and not in the index")
            elif key not in there:
                self._fault(f"{what} {key}: it is in the index and not in the log")
            elif here[key] != there[key]:
                self._fault(f"{what} {key}: log and index differ")

    def compare_end(self, state: Refold) -> None:
        """Find what differs in the state, the trackings and beyond the end."""
        if replace(self.mark, identity=None) != state.mark():
            self._fault("state: position, digest or format differ from what the log gives")
        trackings = self._conn.execute(_SQL_TRACKING).fetchall()
        if trackings != sorted(state.trackings.items()):
            self._fault("tracking: the progress of others differs from what the log gives")
        beyond = self._conn.execute(_SQL_BEYOND, (state.position, state.seq)).fetchone()
        if beyond != (0, 0):
            self._fault("rows: the index holds more than the log gives")
        found = self._conn.execute("PRAGMA integrity_check(1)").fetchone()[0]
        if found != "ok":
            self._fault(f"file: it contradicts itself ({found})")

    def _fault(self, text: str) -> None:
        self.faults.append(text)
