"""The chain of looks of one node, in the log: no data is shown before the look at it is recorded.

All looks that wait go into the next commit together, and one commit is under way at a time. A look
expects its number as the stream's version, so that the log itself decides who is next: a second
process with the same chain is stale, reads the chain again and goes on behind the first. There is
no fork and no hole, whatever was interrupted.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING, Final, NamedTuple, cast

from core.commit import Accepted, Draft, Fork, Happened, Kept, first_of, read_log_id
from core.errors import KontaktcenterError, Unavailable
from core.limits import DECISION_ATTEMPTS_MAX, LOOKS_PER_COMMIT_MAX, LOOKS_WAITING_MAX
from core.looks import End, Look, PersonLookedAt, Seen, beginning, look_hash
from core.vocabulary import Origin, look_stream

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from eventsourcing.persistence import EventStore

    from core.access import Asker, Purpose
    from core.commit import Clock, KeptFact, Port, Recorded, Verdict

ACTOR: Final = "read_log"
_RETRY_S: Final = 2.0


class _Wanted(NamedTuple):
    """One look that waits for its place in the chain."""

    at: datetime
    who: str
    deed: str
    purpose: str
    seen: Seen


class _Waiting(NamedTuple):
    looks: tuple[_Wanted, ...]
    told: asyncio.Future[None]


class ChainedReadLog:
    """Implements `core.looks.ReadLog` on the port. Use from the port's own loop.

    `events` is the library's event store that reads what this node has judged. `chain` names the
    node's data folder; `session` is new for each start (it makes the ids of the commits).
    """

    def __init__(
        self, port: Port, events: EventStore[str], clock: Clock, chain: str, session: str
    ) -> None:
        self._port, self._events, self._clock = port, events, clock
        self.stream = look_stream(chain)
        self._session, self._commits = session, 0
        self._end: End | None = None  # None: the log has to be asked
        self._waiting: deque[_Waiting] = deque()
        self._running: asyncio.Task[None] | None = None
        self._closed = False

    async def record(self, asker: Asker, deed: str, purpose: Purpose, seen: Sequence[Seen]) -> None:
        """As `ReadLog`. Raises: Unavailable, also where too much waits already."""
        at = self._clock()
        looks = [_Wanted(at, asker.id, deed, purpose.value, each) for each in seen]
        waiting = sum(len(each.looks) for each in self._waiting)
        if self._closed or waiting + len(looks) > LOOKS_WAITING_MAX:
            raise _unavailable("this node is closing" if self._closed else "too many looks wait")
        told = [self._wait(tuple(part)) for part in _parts(looks)]
        if self._running is None or self._running.done():
            self._running = asyncio.ensure_future(self._run())
        await asyncio.gather(*told)

    async def close(self) -> None:
        """Record what waits, then take no more."""
        self._closed = True
        if self._running is not None:
            await asyncio.gather(self._running, return_exceptions=True)

    def _wait(self, looks: tuple[_Wanted, ...]) -> asyncio.Future[None]:
        told: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(_Waiting(looks, told))
        return told

    async def _run(self) -> None:
        while self._waiting:
            batch = self._take()
            failed: Exception | None = None
            try:
                await self._commit([look for each in batch for look in each.looks])
            except asyncio.CancelledError:
                _tell([*batch, *self._waiting], _unavailable("this node is closing"))
                self._waiting.clear()
                raise
            except KontaktcenterError as e:
                failed = _unavailable(e.message)
                failed.__cause__ = e
            except Exception as e:  # noqa: BLE001 -- whoever waits must be told, whatever went wrong
                failed = _unavailable(type(e).__name__)
                failed.__cause__ = e
            _tell(batch, failed)

    def _take(self) -> list[_Waiting]:
        """What goes into the next commit; whoever has gone away since has not seen anything."""
        batch: list[_Waiting] = []
        looks = 0
        while self._waiting and looks + len(self._waiting[0].looks) <= LOOKS_PER_COMMIT_MAX:
            each = self._waiting.popleft()
            if not each.told.done():
                batch.append(each)
                looks += len(each.looks)
        return batch

    async def _commit(self, looks: Sequence[_Wanted]) -> None:
        """Put looks at the chain's end. Raises: KontaktcenterError; the log is then asked again."""
        for _ in range(DECISION_ATTEMPTS_MAX if looks else 0):
            end = self._end or self._read_end()
            self._end = None  # until the log has answered nobody knows where the chain ends
            events, end = self._chained(looks, end)
            self._commits += 1
            name = f"{self.stream}/{self._session}/{self._commits}"
            draft = Draft(
                read_log_id(name), name, ACTOR, Origin.DESK, events, also_as_fact=True
            )  # a look that this node's journal has is as durable as the data that it was at
            if _stands((await self._port.propose(draft)).verdict):
                self._end = end
                return
        if looks:
            raise Unavailable("another node writes in this chain of looks")

    def _chained(self, looks: Sequence[_Wanted], end: End) -> tuple[tuple[Happened, ...], End]:
        happened = []
        for look in looks:
            n = end.n + 1
            event = PersonLookedAt(
                n=n, previous=end.hash, who=look.who, deed=look.deed, purpose=look.purpose,
                case=look.seen.case, person=look.seen.person,
            )  # fmt: skip
            happened.append(Happened(self.stream, event, look.at, n))
            end = End(n, look_hash(Look(self.stream, n, look.at, event)))
        return tuple(happened), end

    def _read_end(self) -> End:
        """Where the chain ends as this node has judged it, and beyond that kept it."""
        kept = self._port.kept(self.stream)
        if kept:
            return _end_of(self.stream, kept[-1])
        found = cast("list[Recorded]", list(self._events.get(self.stream, desc=True, limit=1)))
        if not found:
            return beginning(self.stream)
        return _end_of(self.stream, found[0])


def _stands(verdict: Verdict | Kept) -> bool:
    """Whether the look is recorded: in the log, or in this node's journal on its way there."""
    if isinstance(verdict, Kept | Fork):
        return isinstance(verdict, Kept)
    return isinstance(first_of(verdict), Accepted)


def _end_of(stream: str, last: Recorded | KeptFact) -> End:
    assert isinstance(last.event, PersonLookedAt), f"{stream} holds looks alone"
    return End(last.event.n, look_hash(Look(stream, None, last.occurred_at, last.event)))


def _parts(looks: list[_Wanted]) -> list[list[_Wanted]]:
    return [
        looks[start : start + LOOKS_PER_COMMIT_MAX]
        for start in range(0, len(looks), LOOKS_PER_COMMIT_MAX)
    ]


def _tell(batch: Sequence[_Waiting], failed: Exception | None) -> None:
    for each in batch:
        if each.told.done():  # it went away
            continue
        if failed is None:
            each.told.set_result(None)
        else:
            each.told.set_exception(failed)


def _unavailable(why: str) -> Unavailable:
    msg = f"the look could not be recorded, so nothing is shown ({why}); ask again"
    return Unavailable(msg, neighbour="read_log", retry_after_s=_RETRY_S)
