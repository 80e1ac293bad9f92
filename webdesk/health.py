"""Is it alive, is it ready, which version is it, how is it doing: for monitors and for people."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from fastapi import APIRouter
from starlette.requests import Request  # noqa: TC002 -- FastAPI reads annotations
from starlette.responses import Response

from core.access import Deed
from core.errors import KontaktcenterError
from core.limits import STALE_AFTER_S
from core.vocabulary import CASES_PREFIX
from webdesk import answers, island, log_health
from webdesk.gate import Gate
from webdesk.metrics import CONTENT_TYPE
from webdesk.reviews import waiting_now

if TYPE_CHECKING:
    from collections.abc import Mapping

    from webdesk.live import LiveFeed
    from webdesk.metrics import Metrics
    from webdesk.services import Services


def router(services: Services, feed: LiveFeed, metrics: Metrics) -> APIRouter:
    """The routes of health."""
    routes = APIRouter(tags=["health"])
    gate = Gate(services)

    @routes.get("/livez", summary="The process is alive", response_model=answers.Alive)
    async def livez() -> Response:
        return answers.json_answer({"status": "alive"})

    @routes.get(
        "/readyz",
        summary="It can serve; degraded is ready, with detail",
        response_model=answers.Ready,
    )
    async def readyz() -> Response:
        return answers.json_answer(await _readiness(services, feed))

    @routes.get("/version", summary="Which program this is", response_model=answers.Version)
    async def version() -> Response:
        return answers.json_answer({"name": "kontaktcenter", "version": services.version})

    @routes.get("/metrics", summary="Prometheus metrics", response_class=Response)
    async def exposition(request: Request) -> Response:
        gate.require(request, Deed.READ_QUEUES)
        state: dict[str, Any] | None
        try:
            state = (await feed.now()).state
        except (KontaktcenterError, OSError):
            state = None  # the other figures still tell a monitor that something is wrong
        parked = sum((await asyncio.to_thread(services.figures.parked)).values())
        lag = await asyncio.to_thread(feed.lag)
        metrics.behind(None if services.lags is None else services.lags.now())
        metrics.island(services.node.island)
        metrics.to_review(await waiting_now(services))
        text = metrics.exposition(
            state, lag=lag, parked=parked, clients=feed.clients, receipts=services.receipts
        )
        return Response(text, media_type=CONTENT_TYPE)

    return routes


async def _readiness(services: Services, feed: LiveFeed) -> dict[str, Any]:
    degraded: list[dict[str, str]] = []
    lag = await asyncio.to_thread(feed.lag)
    parked = await asyncio.to_thread(services.figures.parked)
    age_s = None
    try:
        age_s = (await feed.now()).state["age_s"]
    except (KontaktcenterError, OSError) as e:
        degraded.append(
            {"part": "board", "detail": f"the figures cannot be worked out: {type(e).__name__}"}
        )
    if age_s is not None and age_s > STALE_AFTER_S:
        degraded.append(
            {"part": "read models", "detail": f"{lag} commits behind the log, {age_s:.0f} s old"}
        )
    degraded += [
        {"part": f"read model {name}", "detail": f"{count} events are parked"}
        for name, count in parked.items()
        if count
    ]
    if services.facts_token is None:
        degraded.append(
            {"part": "facts", "detail": "no token is configured: nothing can be recorded over HTTP"}
        )
    lags = None if services.lags is None else services.lags.now()
    degraded += [] if lags is None else log_health.degraded(lags)
    degraded += island.degraded(services.node.island)
    degraded += [] if services.privacy is None else services.privacy.degraded()
    return {
        "status": "degraded" if degraded else "ready",
        "positions": _open(services.node.positions()),
        "read_models": _open(await asyncio.to_thread(services.figures.positions)),
        "lag": lag,
        "age_s": age_s,
        "log": None if lags is None else log_health.told(lags),
        "reviews": await waiting_now(services),
        "island": island.told(services.node.island),
        "degraded": degraded,
    }


def _open(positions: Mapping[str, int]) -> dict[str, int]:
    """Positions for whoever asks: how much an authority's cases move is its own matter (R53)."""
    return {
        shard: position
        for shard, position in positions.items()
        if not shard.startswith(CASES_PREFIX)
    }
