"""An answer that found nothing leaves at an even time; the clock and the sleep are the test's."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import httpx
import pytest
from starlette.applications import Starlette
from starlette.responses import Response
from starlette.routing import Route

from core.access import NoSuchCase
from core.limits import EVEN_TIME_S
from webdesk.even_time import EvenTime, hold, wait_s
from webdesk.problems import problem_of

if TYPE_CHECKING:
    from starlette.requests import Request


class Clock:
    """Time that passes only where a route works or somebody sleeps."""

    def __init__(self) -> None:
        self.s = 7.0
        self.slept: list[float] = []

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.s += seconds


def answered_s(work_s: float, path: str) -> tuple[float, httpx.Response, Clock]:
    """How long after the request the answer left, where the route worked for `work_s`."""
    clock = Clock()

    async def missing(request: Request) -> Response:
        clock.s += work_s
        return problem_of(NoSuchCase())

    async def search(request: Request) -> Response:
        hold(request)
        clock.s += work_s
        return Response("found")

    async def found(request: Request) -> Response:
        clock.s += work_s
        return Response("found")

    routes = [Route("/missing", missing), Route("/search", search), Route("/found", found)]
    app = EvenTime(Starlette(routes=routes), lambda: clock.s, clock.sleep)

    async def ask() -> httpx.Response:
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
            return await client.get(path)

    answer = asyncio.run(ask())
    return clock.s - 7.0, answer, clock


@pytest.mark.requirement("R54")
@pytest.mark.parametrize("path", ["/missing", "/search"])
def test_what_found_nothing_leaves_at_the_same_time_however_long_it_was_looked_for(
    path: str,
) -> None:
    times = {round(answered_s(work_s, path)[0], 9) for work_s in (0.0, 0.001, 0.01, 0.03, 0.049)}
    assert times == {EVEN_TIME_S}
    assert round(answered_s(0.051, path)[0], 9) == 2 * EVEN_TIME_S


def test_a_case_that_is_shown_does_not_wait() -> None:
    took_s, answer, clock = answered_s(0.02, "/found")
    assert (round(took_s, 9), answer.text, clock.slept) == (0.02, "found", [])


def test_the_wait_ends_on_the_grid() -> None:
    assert wait_s(0.0, 0.05) == 0.05
    assert round(0.012 + wait_s(0.012, 0.05), 9) == 0.05
    assert round(0.11 + wait_s(0.11, 0.05), 9) == 0.15
