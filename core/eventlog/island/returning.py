"""The way back from an island: what the journal holds is proposed in order, and then removed.

The first rows are what the log is tried with, and are proposed again until it has judged them. Ids
are those that were made when the facts were taken in, so that whatever landed before is a
duplicate. Where the log has another fact under such an id (two nodes gave the same number to two
facts of one call), the next id of its chain is tried: nothing that was acknowledged is lost.
"""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING, NamedTuple
from uuid import UUID

from core.commit import Accepted, Fork, StaleVerdict, attempt_id, first_of
from core.errors import KontaktcenterError, Refused, Unavailable
from core.eventlog.envelope import (
    Claim,
    LoggedCommit,
    decode_claim,
    decode_commit,
    encode_commit,
)
from core.eventlog.flights import unforeseen
from core.eventlog.island.resealing import Place, seal_again
from core.eventlog.island.telling import same_commit
from core.eventlog.protecting import close_again
from core.limits import (
    ISLAND_RETURN_BATCH,
    ISLAND_RETURN_PER_S,
    JOURNAL_ATTEMPTS_MAX,
    LOG_RETRY_S,
)
from core.vocabulary import KEYS

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from core.commit import Verdict
    from core.eventlog.island.island import Island
    from core.eventlog.island.journal_file import Row
    from core.eventlog.island.lanes import Lane
    from core.eventlog.keyring import Keyring

_PROBE_ROWS = 100
_BREATH_S = 0.02
_FAULT_S = 5.0  # after what somebody has to look at
_AGAIN_S = 2.0  # after this machine's own disk, or the keys, could not be had


class _Offer(NamedTuple):
    row: Row
    raw: bytes
    claim: Claim


def _heard(paying: asyncio.Future[None]) -> None:
    """What is owed is tried again by itself."""
    if not paying.cancelled():
        paying.exception()


class Returning:
    """Empties the lanes of an island. On the node's loop."""

    def __init__(self, island: Island, keyring: Keyring) -> None:
        self._island, self._keyring = island, keyring
        self._owed = True  # keys may have been kept here that the book of keys does not have
        self._adding = 0
        self._paying = asyncio.Lock()
        self._payer: asyncio.Task[None] | None = None

    # --- keys -------------------------------------------------------------------------------------
    @property
    def owed(self) -> bool:
        """Whether the book of keys may lack one that was kept here: what it seals waits for it."""
        return self._owed or self._adding > 0

    async def paid(self, within_s: float) -> bool:
        """Whether nothing is owed, or the book of keys takes it in time."""
        if not self.owed:
            return True
        paying = asyncio.ensure_future(self.pay())
        paying.add_done_callback(_heard)
        try:
            await asyncio.wait_for(asyncio.shield(paying), within_s)
        except (TimeoutError, Unavailable):
            return False
        return not self.owed

    async def add_here(self, subjects: Iterable[str]) -> None:
        """Have keys for subjects, new ones on this machine alone. Raises: Unavailable, Corrupt."""
        self._island.enter(KEYS)
        self._adding += 1  # from before there is one until it is known to be owed
        try:
            add = partial(self._keyring.ensure, subjects, cut_off=True)
            await asyncio.get_running_loop().run_in_executor(None, add)
        finally:
            self._adding -= 1
            self._owed = True
        self.pay_soon()

    def pay_soon(self) -> None:
        """Send keys that were kept here, as soon as the book of keys takes them."""
        if self._payer is None or self._payer.done():
            self._payer = asyncio.ensure_future(self._pay_until_done())

    async def _pay_until_done(self) -> None:
        while self.owed:
            try:
                await self.pay()
            except Unavailable:
                await asyncio.sleep(_AGAIN_S)
            except Exception as e:  # noqa: BLE001 -- the edge of a task: somebody must hear of it
                self._island.fault = str(e if isinstance(e, KontaktcenterError) else unforeseen(e))
                await asyncio.sleep(_FAULT_S)
            await asyncio.sleep(_BREATH_S)

    async def pay(self) -> None:
        """Send the keys that were kept here. Raises: Unavailable, Corrupt."""
        async with self._paying:
            if self._owed:
                self._owed = False  # one that is kept from here on is owed again
                try:
                    loop = asyncio.get_running_loop()
                    await loop.run_in_executor(None, self._keyring.send_kept)
                except BaseException:
                    self._owed = True
                    raise
                self._island.settle()

    def close(self) -> None:
        """Send no more."""
        if self._payer is not None:
            self._payer.cancel()

    # --- rows -------------------------------------------------------------------------------------
    async def run(self, lane: Lane) -> None:
        """Propose a lane's rows until none is left, and open it."""
        while True:
            try:
                await self._next(lane)
            except Unavailable as e:
                elsewhere = e.details.get("neighbour") != "log"
                await asyncio.sleep(_AGAIN_S if elsewhere else LOG_RETRY_S)
            except Exception as e:  # noqa: BLE001 -- the edge of a task: a stopped shard, a damaged journal
                self._island.fault = str(e if isinstance(e, KontaktcenterError) else unforeseen(e))
                await asyncio.sleep(_FAULT_S)
            self._island.settle()  # its end may be a row of this very lane
            if not lane.closed:
                return

    async def _next(self, lane: Lane) -> None:
        """One step on the way back: rows, or where there is none the log itself is tried."""
        rows = await self._rows(lane, ISLAND_RETURN_BATCH if lane.cut_s is None else _PROBE_ROWS)
        if not rows:
            if lane.rows:
                await asyncio.sleep(_BREATH_S)  # they are being written
            elif lane.cut_s is not None:
                await self._probe(lane)
            return
        await self.pay()
        try:
            await self._offer(lane, rows)
        except Refused:  # one of them may be what no log takes: the others go on
            for row in filter(lambda row: row.whole, rows):
                try:
                    await self._offer(lane, [row])
                except Refused:
                    await self._put_aside(lane, row, "refused")

    async def _rows(self, lane: Lane, limit: int) -> list[Row]:
        """The first rows of a lane, which counts right from here on."""
        genesis, writer = lane.shard.genesis, self._island.writer
        place = (genesis.book, genesis.shards, genesis.shard)
        counted, writing = lane.rows, writer.writing
        rows = await writer.on_journal(partial(self._island.journal.first, *place, 0, limit))
        if not rows and not writing and not writer.writing and lane.rows == counted:
            lane.rows = 0
        lane.rows = max(lane.rows, len(rows))
        return rows

    async def _probe(self, lane: Lane) -> None:
        raw, claim = self._island.probe(lane)
        await self._judged(lane, [(raw, claim)])

    async def _offer(self, lane: Lane, rows: Sequence[Row]) -> None:
        """Propose rows and remove them, at a rate that leaves the log to others.

        Raises: Refused where the log does not take one of them; Unavailable, Corrupt.
        """
        loop = asyncio.get_running_loop()
        began_s, journal = loop.time(), self._island.journal
        for row in rows:
            if not row.whole:
                await self._put_aside(lane, row, "damaged")
        offers = [_Offer(row, row.raw, decode_claim(row.raw)) for row in rows if row.whole]
        if not offers:
            return
        verdicts = await self._judged(lane, [(offer.raw, offer.claim) for offer in offers])
        await close_again(self._keyring, [offer.raw for offer in offers])
        told = [
            (offer.row.n, await self._told(lane, offer, verdict))
            for offer, verdict in zip(offers, verdicts, strict=True)
        ]
        gone = [n for n, verdict in told if verdict is not None]
        await self._island.writer.on_journal(partial(journal.remove, gone))
        lane.rows -= len(gone)
        for n, verdict in told:
            waiter = lane.waiters.pop(n, None)
            if waiter is not None and verdict is not None and not waiter.done():
                waiter.set_result(verdict)
        await asyncio.sleep(max(0.0, len(rows) / ISLAND_RETURN_PER_S - (loop.time() - began_s)))

    async def _judged(self, lane: Lane, offers: Sequence[tuple[bytes, Claim]]) -> Sequence[Verdict]:
        """The verdicts; the lane is no longer cut off then. Raises: Unavailable, Corrupt."""
        try:
            verdicts = await lane.shard.propose(
                [raw for raw, _ in offers], [claim for _, claim in offers]
            )
        except Unavailable:
            self._island.away(lane)
            raise
        self._island.fault = None
        self._island.back(lane)
        return verdicts

    async def _told(self, lane: Lane, offer: _Offer, verdict: Verdict) -> Verdict | None:
        """What became of a row, which may go then; None where it was put aside, to be looked at."""
        for attempt in range(1, JOURNAL_ATTEMPTS_MAX + 1):
            if isinstance(verdict, Fork):
                await self._put_aside(lane, offer.row, "fork")
                return None
            first = first_of(verdict)
            if isinstance(first, StaleVerdict):
                await self._put_aside(lane, offer.row, "stale")
                return None
            if isinstance(verdict, Accepted) or await self._is_same(lane, offer, first):
                return verdict
            try:
                raw = self._renamed(offer.row, attempt)
            except KontaktcenterError:
                await self._put_aside(lane, offer.row, "sealed")
                return None
            offer = _Offer(offer.row, raw, decode_claim(raw))
            (verdict,) = await self._judged(lane, [(raw, offer.claim)])
        await self._put_aside(lane, offer.row, "taken")
        return None

    async def _is_same(self, lane: Lane, offer: _Offer, first: Accepted) -> bool:
        """Whether what the log has under the id is this very fact."""
        found = await asyncio.to_thread(lane.shard.state.commits_from, first.seqs.start, 1)
        return not found or same_commit(offer.raw, found[0].raw)

    def _renamed(self, row: Row, attempt: int) -> bytes:
        commit = decode_commit(row.raw)
        renamed, ring = attempt_id(UUID(row.id), attempt), self._keyring
        events = [
            type(e)(
                e.stream, e.type, e.schema, e.occurred_at,
                seal_again(
                    e.type, e.schema, e.data, Place(commit.id, renamed, nth, e.occurred_at), ring
                ),
                e.version,
            )
            for nth, e in enumerate(commit.events)
        ]  # fmt: skip
        return encode_commit(
            LoggedCommit(
                renamed, commit.intent, commit.recorded_at, commit.actor, commit.origin, events,
                commit.cause, commit.correlation,
            )
        )  # fmt: skip

    async def _put_aside(self, lane: Lane, row: Row, why: str) -> None:
        journal = self._island.journal
        await self._island.writer.on_journal(partial(journal.put_aside, row.n, why))
        lane.rows -= 1
        self._island.asides += 1
