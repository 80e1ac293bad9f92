"""An answer that found nothing tells nothing by its time either.

"There is no such case" leaves at an even time after the request came in: the next multiple of
`EVEN_TIME_S`. So whoever measures cannot tell a case that was hidden, one of a protected identity
and one that never was. Routes that search say `hold(request)` before they begin; then every answer
of theirs leaves so, with hits and without, because the time of a search tells what was left out.
"""

from __future__ import annotations

import asyncio
from http import HTTPStatus
from time import perf_counter
from typing import TYPE_CHECKING, Final

from core.limits import EVEN_TIME_S

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from starlette.requests import Request
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

_HELD: Final = "even_time"
_NOTHING: Final = frozenset({HTTPStatus.NOT_FOUND, HTTPStatus.GONE})


def hold(request: Request) -> None:
    """Let whatever this request is answered leave at an even time."""
    setattr(request.state, _HELD, True)


def wait_s(elapsed_s: float, grid_s: float = EVEN_TIME_S) -> float:
    """How long until the next even time; a whole step where one has just been reached."""
    return grid_s - elapsed_s % grid_s


class EvenTime:
    """The middleware. `now_s` measures, `sleep` waits; both are given so that tests need neither.

    Pure ASGI: it holds back the beginning of an answer and nothing else, so a stream is no matter.
    """

    def __init__(
        self,
        app: ASGIApp,
        now_s: Callable[[], float] = perf_counter,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._app, self._now_s, self._sleep = app, now_s, sleep

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request through; hold back the answer where it must not tell its time."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began_s = self._now_s()
        state = scope.setdefault("state", {})

        async def out(message: Message) -> None:
            if message["type"] == "http.response.start" and (
                message["status"] in _NOTHING or _HELD in state
            ):
                await self._sleep(wait_s(self._now_s() - began_s))
            await send(message)

        await self._app(scope, receive, out)
