"""The fold of a shard in memory: heads, verdicts, position, digest, what is not indexed yet.

Memory holds what is not indexed and a bounded cache of the rest; a miss asks the index (small
print 7).
"""

from __future__ import annotations

from bisect import bisect_right
from hashlib import sha256
from operator import attrgetter
from typing import TYPE_CHECKING, Generic, TypeVar
from zlib import crc32

from core.commit import Accepted, Fork, StaleVerdict, Verdict
from core.errors import NeedsUpgrade
from core.eventlog.index.index import VERSION_MAX, Index
from core.eventlog.index.rows import Batch, CommitRow, Mark, StreamRow, row_crc
from core.judge import FIRST_VERSION, judge
from core.limits import FORMAT, HEADS_CACHED_MAX, VERDICTS_CACHED_MAX

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from core.eventlog.envelope import Claim

_V = TypeVar("_V")
_First = tuple[str, Accepted | StaleVerdict]
_Replayed = tuple[
    str, int, int
]  # intent, position and number of one accepted event; a million stay small
_POSITION, _FIRST_SEQ = attrgetter("position"), attrgetter("first_seq")


class TwoGenerations(Generic[_V]):
    """A bounded cache: a full young generation becomes the old one, and the old one goes.

    The old one goes only when all of it is in the index; None says that the index has no such key.
    """

    def __init__(self, entries_max: int) -> None:
        self._half = entries_max // 2
        self.young: dict[str, _V | None] = {}
        self.old: dict[str, _V | None] = {}
        self._old_until = 0

    def __contains__(self, key: str) -> bool:
        return key in self.young or key in self.old

    def rotate(self, position: int, indexed: int) -> bool:
        """Forget what is old, where the index has it; says whether anything was.

        `position` is the last that was judged.
        """
        if len(self.young) >= self._half and self._old_until <= indexed:
            forgot = bool(self.old)
            self.old, self.young, self._old_until = self.young, {}, position
            return forgot
        return False


class ShardState:
    """What `judge` asks, and what judging leaves behind."""

    def __init__(self, index: Index) -> None:
        self.index = index
        mark = index.mark
        self.next_offset, self.position, self.seq = mark.next_offset, mark.position, mark.seq
        self.digest, self.format, self.genesis = mark.digest, mark.format, mark.genesis
        self.last_crc, self.identity = mark.last_crc, mark.identity
        self.indexed = mark.position
        self.batch = Batch()
        self._unindexed: tuple[Batch, ...] = (self.batch,)  # replaced whole: threads read it
        self.tail: list[
            CommitRow
        ] = []  # accepted and not yet in the index; replaced, never shortened
        self.counts = {"accepted": 0, "duplicate": 0, "stale": 0, "fork": 0, "void": 0}
        self._heads: TwoGenerations[int] = TwoGenerations(HEADS_CACHED_MAX)
        self._verdicts: TwoGenerations[_First | _Replayed] = TwoGenerations(VERDICTS_CACHED_MAX)
        self._tracked: dict[str, int | None] = {}
        self._whole = (
            mark.position == 0
        )  # memory holds all there is, so the index need not be asked

    # --- what judge asks --------------------------------------------------------------------------
    def head(self, stream: str) -> int | None:
        """The stream's last version, None if never seen."""
        if stream in self._heads.young:
            return self._heads.young[stream]
        if stream not in self._heads.old and not self._whole:
            self._heads.old[stream] = self.index.heads([stream]).get(stream)
        return self._heads.old.get(stream)

    def first_verdict(self, commit_id: str) -> _First | None:
        """The intent and first verdict of an id, None if never judged."""
        if commit_id in self._verdicts.young:
            found = self._verdicts.young[commit_id]
        else:
            if commit_id not in self._verdicts.old and not self._whole:
                self._verdicts.old[commit_id] = self.index.verdicts([commit_id]).get(commit_id)
            found = self._verdicts.old.get(commit_id)
        if found is None or isinstance(found[1], Accepted | StaleVerdict):
            return found
        intent, position, seq = found
        return intent, Accepted(position, range(seq, seq + 1))

    def tracked(self, name: str) -> int | None:
        """The last tracking position of a name, None if there is none."""
        if name not in self._tracked:
            self._tracked[name] = self.index.tracked(name)
        return self._tracked[name]

    def prefetch(self, claims: Iterable[Claim | None]) -> None:
        """Ask the index once for all that judging these will need."""
        if self._whole:
            return
        known = [claim for claim in claims if claim is not None]
        ids = [claim.id for claim in known if claim.id not in self._verdicts]
        if ids:
            first = self.index.verdicts(ids)
            self._verdicts.young.update((name, first.get(name)) for name in ids)
        for claim in (
            known
        ):  # before anything is judged: a question that fails half-way would part the record
            if claim.tracking is not None:
                self.tracked(claim.tracking.name)
        streams = {e.stream for claim in known for e in claim.events if e.stream not in self._heads}
        if streams:
            heads = self.index.heads(streams)
            self._heads.young.update((name, heads.get(name)) for name in streams)

    # --- judging ----------------------------------------------------------------------------------
    def judge_commits(
        self, offset: int, raws: Sequence[bytes], claims: Sequence[Claim | None]
    ) -> list[Verdict | None]:
        """Judge the commits of the record at `offset`, which must be the next; None for a void one.

        Raises: NeedsUpgrade where a commit raises the format beyond what this program knows; the
        record is then not judged further, and the node has to stop.
        """
        assert offset == self.next_offset, (offset, self.next_offset)
        self.prefetch(claims)
        verdicts = [
            None if claim is None else self._judge(offset, nth, raw, claim)
            for nth, (raw, claim) in enumerate(zip(raws, claims, strict=True))
        ]
        for nth, claim in enumerate(claims):
            if claim is None:
                self._void(offset, nth, "not a commit of this shard")
        self._passed(offset, raws)
        return verdicts

    def replay_facts(
        self, offset: int, raws: Sequence[bytes], claims: Sequence[Claim] | None
    ) -> bool:
        """Judge a record of a bulk load whose commits are all single facts with ids never seen.

        False, and nothing done, where that is not so. The outcome is that of `judge`, which a
        property test compares; it is done for the whole record at once because a lost index waits
        for it.
        """
        assert offset == self.next_offset
        if not self.index.bulk or claims is None or not _single_facts(claims):
            return False
        verdicts, heads, digest = self._verdicts.young, self._heads.young, self.digest
        ids = [claim.id for claim in claims]
        if len(set(ids)) < len(ids) or not verdicts.keys().isdisjoint(ids):
            return False
        judged, events = self.batch.judged, self.batch.events
        position, seq = self.position, self.seq
        for raw, claim in zip(raws, claims, strict=True):
            position += 1
            seq += 1
            digest = sha256(digest + b"A" + raw).digest()
            stream = claim.events[0].stream
            head = heads.get(stream)
            heads[stream] = version = FIRST_VERSION if head is None else head + 1
            verdicts[claim.id] = (claim.intent, position, seq)
            events += (seq, stream, version, position, 0)
            crc = row_crc(position, seq, 1, None, None, raw)
            judged += (position, claim.id, claim.intent, seq, 1, None, None, raw, crc)
        self.position, self.seq, self.digest = position, seq, digest
        self.counts["accepted"] += len(claims)
        self._passed(offset, raws)
        return True

    def _passed(self, offset: int, raws: Sequence[bytes]) -> None:
        self.next_offset = offset + 1
        self.last_crc = crc32(raws[-1]) if raws else None

    def void_record(self, offset: int, reason: str) -> None:
        """Pass over a record that is not ours: counted and kept note of."""
        assert offset == self.next_offset
        self._void(offset, -1, reason)
        self._passed(offset, ())

    def _void(self, offset: int, nth: int, reason: str) -> None:
        self.counts["void"] += 1
        self.batch.asides.append((offset, nth, "void", reason, None))

    def _judge(self, offset: int, nth: int, raw: bytes, claim: Claim) -> Verdict:
        verdict, versions = judge(self, claim)
        if isinstance(verdict, Accepted):
            self._accept(raw, claim, verdict, versions)
        elif isinstance(verdict, StaleVerdict):
            self._stale(raw, claim, verdict)
        elif isinstance(verdict, Fork):
            self.counts["fork"] += 1
            self.batch.asides.append((offset, nth, "fork", claim.id, raw))
        else:
            self.counts["duplicate"] += 1
        return verdict

    def _accept(
        self, raw: bytes, claim: Claim, verdict: Accepted, versions: tuple[int, ...]
    ) -> None:
        if claim.raises_format is not None:
            self._raise_format(claim.raises_format)
        self.counts["accepted"] += 1
        self.position = position = verdict.position
        self.digest = sha256(self.digest + b"A" + raw).digest()
        self._verdicts.young[claim.id] = (claim.intent, verdict)
        heads, rows, bulk = self._heads.young, self.batch.events, self.index.bulk
        seq = first = self.seq + 1
        for nth, (event, version) in enumerate(zip(claim.events, versions, strict=True)):
            stream = event.stream
            heads[stream] = version
            rows += (seq, stream, version, position, nth)
            if not bulk:
                fresh = self.batch.fresh.get(stream)
                if fresh is None:
                    fresh = self.batch.fresh[stream] = []
                fresh.append(StreamRow(version, seq, position, nth, raw))
            seq += 1
        if not bulk and seq > first:
            self.tail.append(CommitRow(position, first, raw))
        self.seq = seq - 1
        crc = row_crc(position, first, len(versions), None, None, raw)
        self.batch.judged += (
            position, claim.id, claim.intent, first, len(versions), None, None, raw, crc,
        )  # fmt: skip
        if claim.tracking is not None:
            self._tracked[claim.tracking.name] = claim.tracking.position
            self.batch.trackings[claim.tracking.name] = claim.tracking.position

    def _stale(self, raw: bytes, claim: Claim, verdict: StaleVerdict) -> None:
        self.counts["stale"] += 1
        self.position = verdict.position
        self.digest = sha256(self.digest + b"S" + raw).digest()
        self._verdicts.young[claim.id] = (claim.intent, verdict)
        place, first = verdict.position, self.seq + 1
        crc = row_crc(place, first, 0, verdict.stream, verdict.head, raw)
        self.batch.judged += (
            place, claim.id, claim.intent, first, 0, verdict.stream, verdict.head, raw, crc,
        )  # fmt: skip

    def _raise_format(self, wanted: int) -> None:
        if wanted != self.format + 1:
            return
        if wanted > FORMAT:
            msg = (
                f"the log is of format {wanted} from here on and this program knows {FORMAT}: "
                "upgrade it"
            )
            raise NeedsUpgrade(msg)
        self.format = wanted

    # --- the index --------------------------------------------------------------------------------
    def take_batch(self) -> tuple[Batch, Mark]:
        """What waits for the index, and the mark that goes with it.

        One batch at a time: the next is taken when this one is there.
        """
        assert len(self._unindexed) == 1
        batch, self.batch = self.batch, Batch()
        self._unindexed = (batch, self.batch)
        return batch, self.mark()

    def mark(self) -> Mark:
        """How far this shard has been judged."""
        return Mark(
            self.next_offset, self.position, self.seq, self.digest, self.format, self.genesis,
            self.last_crc, self.identity,
        )  # fmt: skip

    def was_indexed(self, mark: Mark) -> None:
        """The batch that was taken is in the index: its rows need not stay in memory."""
        self.indexed = mark.position
        self._unindexed = (self.batch,)
        if self.tail:
            self.tail = self.tail[bisect_right(self.tail, mark.position, key=_POSITION) :]
        if not self.index.bulk:  # in a bulk load memory is all that judging has
            forgot = self._heads.rotate(self.position, self.indexed)
            forgot |= self._verdicts.rotate(self.position, self.indexed)
            self._whole = self._whole and not forgot

    def heads(self, streams: Iterable[str]) -> dict[str, int]:
        """The last versions of those of `streams` that have been seen. From any thread."""
        found: dict[str, int] = {}
        unknown = []
        for stream in streams:
            rows = self._fresh(stream)
            if rows:
                found[stream] = rows[-1].version
            else:
                unknown.append(stream)
        found.update(self.index.heads(unknown))
        return found

    def _fresh(self, stream: str) -> list[StreamRow]:
        """The stream's rows that are not in the index yet, in order. From any thread."""
        return [row for batch in self._unindexed for row in batch.fresh.get(stream, ())[:]]

    def tracked_now(self, name: str) -> int | None:
        """As `tracked`. From any thread: it leaves the memory of judging alone."""
        if name not in self._tracked:
            found = self.index.tracked(name)
            return self._tracked.get(name, found)
        return self._tracked[name]

    def stream(
        self,
        stream: str,
        gt: int = -1,
        lte: int = VERSION_MAX,
        *,
        desc: bool = False,
        limit: int = -1,
    ) -> list[StreamRow]:
        """The stream's events in order or back to front, also those not in the index yet.

        From any thread.
        """
        # Before the index: what leaves here is there by then.
        fresh = [row for row in self._fresh(stream) if gt < row.version <= lte]
        if not desc:
            rows = self.index.stream(stream, gt, lte, limit=limit)
            last = rows[-1].version if rows else gt
            rows.extend(row for row in fresh if last < row.version)
        else:
            rows = fresh[::-1]
            lte = min(lte, rows[-1].version - 1) if rows else lte
            rows.extend(self.index.stream(stream, gt, lte, desc=True, limit=limit))
        return rows if limit < 0 else rows[:limit]

    def commits_from(self, seq: int, limit: int) -> list[CommitRow]:
        """Accepted commits from that of event `seq` on, also those not in the index yet.

        From any thread.
        """
        if seq > self.seq:
            return []
        tail = self.tail  # before the index, as above
        rows = self.index.commits_from(seq, limit)
        if rows:
            here = bisect_right(tail, rows[-1].position, key=_POSITION)
        else:
            here = max(0, bisect_right(tail, seq, key=_FIRST_SEQ) - 1)
        rows.extend(tail[here : here + limit - len(rows)])
        return rows


def _single_facts(claims: Sequence[Claim]) -> bool:
    return all(
        len(claim.events) == 1
        and claim.events[0].version is None
        and claim.tracking is None
        and claim.raises_format is None
        for claim in claims
    )
