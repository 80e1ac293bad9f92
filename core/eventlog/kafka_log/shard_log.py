"""One shard on Kafka: a partition, read and written through either client.

Nothing is skipped and nothing is guessed: offsets follow one another, a topic is the one that was
opened, silence is not taken for "no news", and what is not known to be recorded is Unknown.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final
from zlib import crc32

from core.errors import Corrupt, Refused, Unavailable, Unknown
from core.eventlog.kafka_log.client import (
    Away,
    ClientError,
    Damaged,
    Doubtful,
    End,
    Gone,
    OutOfRange,
    TooLarge,
)
from core.eventlog.kafka_log.gaps import Gaps
from core.limits import (
    KAFKA_APPEND_S_MAX,
    KAFKA_END_S_MAX,
    KAFKA_FETCH_WAIT_S,
    KAFKA_FLOW_S,
    KAFKA_READ_BYTES_MAX,
    KAFKA_READ_GRACE_S,
    KAFKA_RECORD_BYTES_MAX,
    KAFKA_REQUEST_S_MAX,
    KAFKA_SILENCE_S,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from core.eventlog.kafka_log.client import Client, Reader, Topic
    from core.eventlog.kafka_log.watch import Watch
    from core.eventlog.log import Record

_RETRY_S: Final = 1
_CHECK: Final = "look at it with 'kontaktcenter log check'"


class KafkaLog:
    """Implements `core.eventlog.log.Log`. Use from one event loop; it never blocks it."""

    shared = True
    in_flight_max = 2

    def __init__(
        self, client: Client, watch: Watch, topic: str, shard: int, gaps: Gaps | None = None
    ) -> None:
        self.topic, self.shard = topic, shard
        self.name = f"{topic}/{shard}"
        self.identity: str | None = None
        self._client, self._watch = client, watch
        self._gaps = gaps or Gaps(self.name, self.name, frozenset())
        self._pinned: str | None = None
        self._partitions: int | None = None  # of the topic, as it was first seen
        self._lost: Corrupt | None = None  # for good: it is not the log that was opened
        self._untold: Away | None = None  # why it could not be looked at
        self._missing = False  # it was not there when it was first looked for
        self._trusted = False  # looked at since the last trouble
        self._reader: Reader | None = None
        self._reading = asyncio.Lock()
        self._end = 0  # the log is known to reach so far
        self._witness: tuple[int, int] | None = None  # the last record known: offset, CRC-32
        self._doubted = False  # the witness is to be asked before anything is read
        self._heard_s = self._acked_s = float("-inf")  # by the loop's clock
        self._gap = asyncio.Event()  # somebody else's record lies before our last one
        watch.follow(self)

    # --- which log it is --------------------------------------------------------------------------
    def pin(self, identity: str | None) -> None:
        """Be the topic with that id and no other; None: whichever is found first."""
        self._pinned = identity
        if identity is not None and self.identity not in {None, identity}:
            self._lost = self._replaced()

    def seen(self, found: Topic | Away | None) -> None:
        """What the cluster says of the topic: gone, another one, resized, or as it was."""
        known = self._pinned or self.identity
        if self._lost is not None:
            return
        if isinstance(found, Away):
            self._untold, self._trusted = found, False
        elif found is None:
            self._missing = known is None
            if known is not None:
                self._lost = Corrupt(
                    f"the topic {self.topic} has been deleted: nothing more is read or written. "
                    "Restore it, or refill it from a node's copy (docs/operating/kafka.md)"
                )
        elif known not in {None, found.identity}:
            self._lost = self._replaced()
        elif self._partitions not in {None, found.partitions} or self.shard >= found.partitions:
            self._lost = Corrupt(
                f"the topic {self.topic} has {found.partitions} partitions, and not as many as "
                "when it was made: streams would be looked for in the wrong ones. Restore it"
            )
        else:
            self.identity, self._partitions = found.identity, found.partitions
            self._missing, self._untold, self._trusted = False, None, True

    def _replaced(self) -> Corrupt:
        return Corrupt(
            f"the topic {self.topic} is not the one that was read before: it was deleted and made "
            "again. Restore it; to accept the new one, delete the index folder of this node"
        )

    async def _known(self, limit_s: float) -> None:
        """Return when the topic is known to be ours. Raises: Corrupt, Unavailable."""
        if self._lost is None and not self._trusted:
            try:
                async with asyncio.timeout(limit_s):
                    await self._watch.look()
            except TimeoutError as e:
                raise self._away("no broker answered in time") from e
            except Away as e:
                raise self._away(e) from e
        if self._lost is not None:
            raise self._lost
        if self._missing:
            raise Unavailable(
                f"there is no topic {self.topic}: make it with 'kontaktcenter log create'",
                neighbour="log",
                retry_after_s=_RETRY_S,
            )
        if self._untold is not None:
            raise self._away(self._untold)

    def _away(self, why: object) -> Unavailable:
        self._distrust()
        msg = f"the log {self.name} on Kafka does not answer ({why}): see kontaktcenter doctor"
        return Unavailable(msg, neighbour="log", retry_after_s=_RETRY_S)

    def _distrust(self) -> None:
        """After trouble anything may have happened: look at the topic and its last record again."""
        self._trusted = False
        self._doubted = self._witness is not None

    # --- writing ----------------------------------------------------------------------------------
    async def append(self, body: bytes) -> int:
        """Append one envelope; its offset once all in-sync replicas have it.

        Raises: Unavailable, Unknown, Refused (too large), Corrupt.
        """
        if len(body) > KAFKA_RECORD_BYTES_MAX:
            raise self._too_large(len(body))
        limit_s = KAFKA_APPEND_S_MAX
        if not self._trusted or self._lost is not None:
            loop = asyncio.get_running_loop()
            started_s = loop.time()
            await self._known(KAFKA_REQUEST_S_MAX)
            limit_s -= loop.time() - started_s
        try:
            offset = await self._client.append(self.topic, self.shard, body, limit_s)
        except (Away, Gone) as e:
            raise self._away(e) from e
        except TooLarge as e:
            raise self._too_large(len(body)) from e
        except Doubtful as e:
            self._distrust()
            msg = f"the log {self.name} has not said whether this was recorded ({e})"
            raise Unknown(msg, neighbour="log", retry_after_s=_RETRY_S) from e
        self._acked(offset, body)
        return offset

    def append_now(self, body: bytes) -> int | None:  # noqa: ARG002 -- the contract's
        """None: a broker is never so near."""
        return None

    def _acked(self, offset: int, body: bytes) -> None:
        self._acked_s = self._heard_s = asyncio.get_running_loop().time()
        if offset > self._end:
            self._gap.set()
        if offset >= self._end:
            self._end = offset + 1
        self._witnessed(offset, body)

    def _witnessed(self, offset: int, body: bytes) -> None:
        if self._witness is None or offset > self._witness[0]:
            self._witness = (offset, crc32(body))

    def _too_large(self, size: int) -> Refused:
        return Refused(
            f"a record of {size} bytes is larger than the topic {self.topic} takes: nothing was "
            "recorded; send less at once"
        )

    # --- reading ----------------------------------------------------------------------------------
    async def end(self) -> int:
        """The offset that the next record will get. Raises: Unavailable, Corrupt."""
        limit_s = KAFKA_END_S_MAX
        try:
            async with asyncio.timeout(limit_s):
                await self._known(limit_s)
                return await self._asked_end()
        except TimeoutError as e:
            raise self._away("no answer in time") from e
        except Away as e:
            raise self._away(e) from e

    async def _asked_end(self) -> int:
        end = await self._client.end(self.topic, self.shard, End.NEXT)
        self._end = max(self._end, end)
        self._heard_s = asyncio.get_running_loop().time()
        return end

    async def read(self, offset: int, limit: int, wait_s: float) -> Sequence[Record]:
        """Records from `offset` on, at most `limit`; waits up to `wait_s` for the first.

        Raises: Corrupt, Unavailable.
        """
        try:
            async with asyncio.timeout(wait_s + KAFKA_READ_GRACE_S), self._reading:
                await self._known(KAFKA_READ_GRACE_S)
                if self._doubted:
                    await self._ask_witness()
                return await self._read(offset, limit, wait_s)
        except TimeoutError as e:
            self._renew()
            raise self._away("no record came in time") from e
        except OutOfRange as e:
            self._renew()
            raise await self._out_of_range(offset, e) from e
        except Damaged as e:
            self._renew()
            msg = f"the log {self.name} cannot be read at {offset} ({e}): {_CHECK}"
            raise Corrupt(msg) from e
        except ClientError as e:
            raise self._away(e) from e

    async def _read(self, offset: int, limit: int, wait_s: float) -> Sequence[Record]:
        loop = asyncio.get_running_loop()
        until_s = loop.time() + wait_s
        records: list[Record] = []
        size = 0
        while True:
            wanted = offset + len(records)
            if wanted >= self._end:
                if records or (wait_s <= 0 and await self._ends_at(wanted)):
                    return records
                if wait_s > 0:
                    if await self._silent(until_s):
                        return records
                    await self._flowing(until_s)
            there = wanted < self._end
            left_s = KAFKA_REQUEST_S_MAX if there else max(0.0, until_s - loop.time())
            found = await self._fetched(
                wanted, limit - len(records), min(left_s, KAFKA_FETCH_WAIT_S)
            )
            records += found
            size += sum(len(record.body) for record in found)
            if records and (not found or len(records) >= limit or size >= KAFKA_READ_BYTES_MAX):
                return records
            if there and not found:
                records += await self._stuck(wanted)

    async def _ends_at(self, offset: int) -> bool:
        """Whether there is nothing at `offset` yet. Raises: OutOfRange beyond the end."""
        end = await self._asked_end()
        if offset > end:
            raise OutOfRange(f"it ends at {end}")
        return offset == end

    async def _silent(self, until_s: float) -> bool:
        """Whether the time is over; a broker that has said nothing for long is asked first."""
        loop = asyncio.get_running_loop()
        if loop.time() - self._heard_s > KAFKA_SILENCE_S:
            await self._asked_end()
        return loop.time() >= until_s

    async def _flowing(self, until_s: float) -> None:
        """Wait while our own records come so close together that nobody needs to fetch them.

        Another node's record between them shows at once: our next one's offset is not the next.
        """
        loop = asyncio.get_running_loop()
        self._gap.clear()
        while (quiet_s := loop.time() - self._acked_s) < KAFKA_FLOW_S and loop.time() < until_s:
            try:
                async with asyncio.timeout(KAFKA_FLOW_S - quiet_s):
                    await self._gap.wait()
                return
            except TimeoutError:
                continue

    async def _fetched(self, offset: int, limit: int, wait_s: float) -> Sequence[Record]:
        """Raises: ClientError, Corrupt where a record is missing."""
        if self._reader is None:
            self._reader = self._client.reader(self.topic, self.shard)
        found = await self._reader.fetch(offset, limit, wait_s)
        if found:
            self._heard_s = asyncio.get_running_loop().time()
            self._end = max(self._end, found[-1].offset + 1)
            self._witnessed(*found[-1])
            try:
                return self._gaps.filled(found, offset, found[-1].offset + 1)
            except Corrupt:
                self._renew()
                raise
        return found

    async def _stuck(self, offset: int) -> Sequence[Record]:
        """The log was known to go on, and nothing came: the consumer, the broker, or truncation.

        Or no record is there, and the client has read on: those offsets, where they are void.
        Raises: OutOfRange where it ends before it once did, Away; Corrupt.
        """
        place = offset if self._reader is None else await self._reader.place(offset)
        self._renew()
        if place > offset:
            return self._gaps.filled((), offset, place)
        end = await self._asked_end()
        if end < self._end:
            raise OutOfRange(f"nothing at {offset}: it ends at {end} and went on to {self._end}")
        return ()

    def _renew(self) -> None:
        """The next read gets a new consumer."""
        reader, self._reader = self._reader, None
        if reader is not None:
            reader.close()

    async def _ask_witness(self) -> None:
        """After trouble: see that the last record that was known is still what it was."""
        if self._witness is None:
            return
        offset, crc = self._witness
        found = await self._fetched(offset, 1, KAFKA_REQUEST_S_MAX)
        if not found:
            raise Away(f"the record at {offset} did not come")
        if crc32(found[0].body) != crc:
            self._lost = Corrupt(
                f"the log {self.name} holds another record at {offset} than was there before: it "
                "was truncated and written again. Restore it; to accept it as it is, delete the "
                "index folder of this node"
            )
            raise self._lost
        self._doubted = False

    async def _out_of_range(self, offset: int, error: OutOfRange) -> Corrupt | Unavailable:
        """What it means that the broker has no such offset."""
        self._distrust()
        try:
            await self._watch.look()
            if self._lost is not None:
                return self._lost
            first = await self._client.end(self.topic, self.shard, End.FIRST)
            end = await self._client.end(self.topic, self.shard, End.NEXT)
        except ClientError as e:
            return self._away(e)
        if offset < first:
            return Corrupt(
                f"the log {self.name} begins at {first}, after {offset}: records were deleted, by "
                "hand or by the topic's retention. Nothing is skipped; restore the log"
            )
        reached = max(offset, self._end)
        if reached > end:
            return Corrupt(
                f"the log {self.name} ends at {end}, before {reached}: it was truncated. Restore "
                "the log; to accept the shorter one, delete the index folder of this node"
            )
        return self._away(error)
