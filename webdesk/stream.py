"""`GET /api/v1/stream`: the situation as server-sent events.

The id of a message is the log's position. An unnamed message is the whole situation; a `fresh` one
says that it still holds. A client that comes back with `Last-Event-ID` gets the whole situation as
soon as it is not older than what that client has seen.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

import structlog
from starlette.responses import Response

from core.errors import Unavailable
from core.limits import HEARTBEAT_S, STALE_AFTER_S, STREAM_CLIENTS_MAX
from webdesk.situation import position_text

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from starlette.types import Receive, Scope, Send

    from webdesk.live import LiveFeed, Published

RETRY_MS: Final = 2_000  # how soon a browser tries again
SEND_S_MAX: Final = (
    30.0  # a client that takes nothing for so long is let go: its place is another's
)
_LAST_ID_CHARS_MAX: Final = 4_000
_DIGITS_MAX: Final = 18  # of a position: 64 bits
_LOG = structlog.get_logger("webdesk.stream")


def parse_last_id(text: str | None) -> dict[str, int]:
    """The positions of a `Last-Event-ID`; empty where there is none, or it is not ours."""
    found: dict[str, int] = {}
    if not text or len(text) > _LAST_ID_CHARS_MAX:
        return found
    for part in text.split(","):
        shard, colon, position = part.strip().rpartition(":")
        book, dot, number = shard.rpartition(".")
        digits = position.isascii() and position.isdigit() and len(position) <= _DIGITS_MAX
        if not (colon and dot and book and number.isdigit() and digits):
            return {}
        found[f"{book}/{number}"] = int(position)
    return found


class Stream(Response):
    """One client's stream, until it goes or the server closes."""

    media_type = "text/event-stream"

    def __init__(
        self, feed: LiveFeed, last_id: str | None, allowed: Callable[[], bool] = lambda: True
    ) -> None:
        """`allowed` is asked before each message: a right that was withdrawn ends the stream."""
        if feed.clients >= STREAM_CLIENTS_MAX:
            raise Unavailable(
                f"{STREAM_CLIENTS_MAX} clients watch already", neighbour="stream", retry_after_s=30
            )
        super().__init__(headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"})
        del self.headers["content-length"]
        self._feed = feed
        self._seen = parse_last_id(last_id)
        self._allowed = allowed

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send until the client has gone."""
        del scope
        self._feed.clients += 1
        sending = asyncio.create_task(self._send_all(send))
        gone = asyncio.create_task(_gone(receive))
        try:
            await asyncio.wait({sending, gone}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._feed.clients -= 1
            for task in (sending, gone):
                task.cancel()
            await asyncio.gather(sending, gone, return_exceptions=True)

    async def _send_all(self, send: Send) -> None:
        await send(
            {"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers}
        )
        await _chunk(send, b"retry: %d\n\n" % RETRY_MS)
        try:
            first = await self._first()
        except Unavailable:
            first = None  # the client comes back by itself, after RETRY_MS
        if first is None:
            await send({"type": "http.response.body", "body": b""})
            return
        await _chunk(send, message(first))
        seen = first
        while True:
            try:
                async with asyncio.timeout(HEARTBEAT_S):  # wait_for may swallow a cancellation
                    latest = await self._feed.after(seen.number)
            except TimeoutError:
                if not self._allowed():
                    await send({"type": "http.response.body", "body": b""})
                    return
                await _chunk(send, b": heartbeat\n\n")
                continue
            if latest is None or not self._allowed():
                await send({"type": "http.response.body", "body": b""})
                return
            await _chunk(send, message(latest) if latest.whole > seen.whole else sign(latest))
            seen = latest

    async def _first(self) -> Published | None:
        """The situation, once it is no older than what the client has seen, or that takes long."""
        try:
            async with asyncio.timeout(STALE_AFTER_S):
                latest: Published | None = await self._feed.now()
                while latest is not None and not _reaches(latest.positions, self._seen):
                    latest = await self._feed.after(latest.number)
                return latest
        except TimeoutError:
            return await self._feed.now()


def message(published: Published) -> bytes:
    """A whole situation as an unnamed event."""
    return b"id: %s\ndata: %s\n\n" % (position_text(published.positions).encode(), published.body)


def sign(published: Published) -> bytes:
    """The short event that says that the last whole situation still holds."""
    return b"event: fresh\nid: %s\ndata: %s\n\n" % (
        position_text(published.positions).encode(),
        published.fresh,
    )


def _reaches(positions: Mapping[str, int], seen: Mapping[str, int]) -> bool:
    return all(positions.get(shard, 0) >= position for shard, position in seen.items())


async def _chunk(send: Send, data: bytes) -> None:
    async with asyncio.timeout(SEND_S_MAX):
        await send({"type": "http.response.body", "body": data, "more_body": True})


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
