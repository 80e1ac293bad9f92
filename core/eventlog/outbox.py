"""What waits to be appended to one shard, and what is under way. Nothing is judged here.

What waits goes as one envelope. An append whose outcome is not known is proposed again with the
same ids, until the log has judged it or whoever asked has waited long enough: a copy that landed
all the same is a duplicate (design §1).
"""

from __future__ import annotations

import asyncio
from collections import deque
from itertools import chain
from typing import TYPE_CHECKING, Protocol

from core.errors import KontaktcenterError, Refused, Unavailable, Unknown
from core.eventlog.flights import Flight, Group, Item, unforeseen, unknown
from core.limits import (
    ANSWER_S_MAX,
    ENVELOPE_BYTES_MAX,
    ENVELOPE_COMMITS_MAX,
    LOG_RETRY_S,
    WAITING_COMMITS_MAX,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from core.eventlog.log import Log

_SWEEP_S = 0.25
_CLOSE_S = 5.0


class Judging(Protocol):
    """The shard, as the outbox needs it."""

    def envelope(self, flight: Flight) -> bytes:
        """The record that the flight is."""
        ...

    def new_flight(self) -> Flight:
        """An empty flight of the log's present format."""
        ...

    def acknowledged(self, offset: int, flight: Flight) -> None:
        """The flight is in the log, at `offset`."""
        ...

    def unjudged(self) -> Iterable[Flight]:
        """The flights that are in the log and not judged yet."""
        ...

    def broken(self, error: KontaktcenterError) -> None:
        """The log cannot be trusted, or this program: nothing more is sent."""
        ...


class Outbox:
    """Sends for one shard. All on the node's loop."""

    def __init__(self, log: Log, shard: Judging) -> None:
        self.in_flight = 0
        self.held = False  # nothing is sent before the log's genesis was read
        self._log, self._shard = log, shard
        self._waiting: deque[Item] = deque()
        self._flying: set[Flight] = set()
        self._sending = False
        self._backing_off = False
        self._sweeping = False
        self._closed = False
        self._appends: set[asyncio.Task[None]] = set()

    def check_room(self, commits: int) -> None:
        """Raises: Unavailable where too much waits already."""
        if self._closed:
            raise Unavailable("this node is closing", neighbour="log", retry_after_s=5)
        if len(self._waiting) + commits > WAITING_COMMITS_MAX:
            msg = "more is waiting to be recorded than this node takes: try again soon"
            raise Unavailable(msg, neighbour="log", retry_after_s=2)

    def put(self, items: Sequence[Item]) -> None:
        """Take commits; they go when the caller says `send` or `send_soon`."""
        self._waiting.extend(items)
        if self._log.shared and not self._sweeping:
            self._sweeping = True
            asyncio.get_running_loop().call_later(_SWEEP_S, self._sweep)

    # --- sending ----------------------------------------------------------------------------------
    def send_soon(self) -> None:
        """Send at the loop's next turn, so that all who are ready now go in one envelope."""
        if not self._sending and self._waiting:
            self._sending = True
            asyncio.get_running_loop().call_soon(self.send)

    def send(self) -> None:
        """Send what waits, as far as so many appends at once are worth having."""
        self._sending = False
        if self.held or self._backing_off:
            return
        while self._waiting and self.in_flight < self._log.in_flight_max:
            flight = self._next_flight()
            if not flight.items:
                return
            flight.body = self._shard.envelope(flight)
            try:
                offset = None if self.in_flight else self._log.append_now(flight.body)
            except Exception as e:  # noqa: BLE001 -- the edge of a task: whoever waits must hear of it
                self._not_appended(flight, e)
                continue
            if offset is not None:
                self._shard.acknowledged(offset, flight)
                self.send_soon()  # those who were answered may ask again before the next envelope
                return
            self.in_flight += 1
            self._flying.add(flight)
            task = asyncio.ensure_future(self._append(flight))
            self._appends.add(task)
            task.add_done_callback(self._appends.discard)

    def _next_flight(self) -> Flight:
        # Nothing of a stream that is under way: were that to fail and go again, it came later.
        flight, size = self._shard.new_flight(), 0
        several = self._log.in_flight_max > 1
        under_way = [other.streams for other in self._flying]
        while self._waiting and len(flight.items) < ENVELOPE_COMMITS_MAX:
            item = self._waiting[0]
            if item.group.future.done():  # withdrawn, or told that it took too long
                self._waiting.popleft()
                continue
            size += len(item.raw) + 1
            if size > ENVELOPE_BYTES_MAX and flight.items:
                break
            if several:
                streams = {event.stream for event in item.claim.events}
                if not all(streams.isdisjoint(others) for others in under_way):
                    break
                flight.streams |= streams
            flight.items.append(self._waiting.popleft())
        return flight

    async def _append(self, flight: Flight) -> None:
        try:
            offset = await self._log.append(flight.body)
        except Exception as e:  # noqa: BLE001 -- the edge of a task: whoever waits must hear of it
            self._flying.discard(flight)
            self._not_appended(flight, e)
        else:
            self._flying.discard(flight)
            self._shard.acknowledged(offset, flight)
        finally:
            self.in_flight -= 1
            self.send_soon()

    def _not_appended(self, flight: Flight, error: Exception) -> None:
        if self._log.shared and isinstance(error, Unavailable) and not self._closed:
            self._again(flight, sent=isinstance(error, Unknown))
        elif isinstance(error, Unavailable | Refused):
            flight.fail(error)
        elif isinstance(error, KontaktcenterError):  # another log in this one's place
            flight.fail(error)
            self._shard.broken(error)
        else:  # a mistake in the program: nobody can say how far it came
            flight.fail(unknown(f"{type(error).__name__}: {error}"))
            self._shard.broken(unforeseen(error))

    def _again(self, flight: Flight, *, sent: bool) -> None:
        """Propose the same commits again, before all that came later, in a little while."""
        for item in flight.items:
            item.again = item.again or sent
        self._waiting.extendleft(reversed(flight.items))
        if not self._backing_off:
            self._backing_off = True
            asyncio.get_running_loop().call_later(LOG_RETRY_S, self._breathed)

    def _breathed(self) -> None:
        self._backing_off = False
        self.send_soon()

    def note_copy(self, body: bytes) -> None:
        """A record was read that was not acknowledged: it may be an earlier copy of one that is."""
        for flight in chain(self._flying, self._shard.unjudged()):
            if flight.body == body:
                for item in flight.items:
                    item.again = True

    # --- whoever waits ----------------------------------------------------------------------------
    def _sweep(self) -> None:
        """Tell those who have waited long enough."""
        self._sweeping = False
        loop = asyncio.get_running_loop()
        oldest_s = loop.time() - ANSWER_S_MAX
        sent = [i for flight in chain(self._flying, self._shard.unjudged()) for i in flight.items]
        for item in sent:
            _tell_if_late(item.group, oldest_s, sent=True)
        for item in self._waiting:
            _tell_if_late(item.group, oldest_s, sent=item.again)
        if sent or self._waiting:
            self._sweeping = True
            loop.call_later(_SWEEP_S, self._sweep)

    def fail(self, error: KontaktcenterError) -> None:
        """Tell everyone whose commit waits."""
        waiting, self._waiting = self._waiting, deque()
        Flight(0, [item for item in waiting if not item.again]).fail(error)
        Flight(0, [item for item in waiting if item.again]).fail(unknown(str(error)))

    async def close(self) -> None:
        """Send what waits and finish what is under way, where the log answers."""
        if not self._log.shared:
            while self.in_flight or self._waiting:
                self.send()
                await asyncio.gather(*self._appends, return_exceptions=True)
            self._closed = True
            return
        self.send()
        self._closed = True
        if self._appends:
            await asyncio.wait(self._appends, timeout=_CLOSE_S)
        for task in self._appends:
            task.cancel()
        for flight in self._flying:
            flight.fail(unknown("this node is closing"))
        self.fail(Unavailable("this node is closing", neighbour="log", retry_after_s=5))


def _tell_if_late(group: Group, oldest_s: float, *, sent: bool) -> None:
    if group.asked_s > oldest_s or group.future.done():
        return
    if sent:
        group.future.set_exception(unknown("the log has not answered"))
    else:
        msg = "the log does not answer, and this was not recorded: try again in a while"
        group.future.set_exception(Unavailable(msg, neighbour="log", retry_after_s=5))
