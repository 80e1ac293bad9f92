"""What may be asked: the queues now, statistics of a time, and the stream."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from fastapi import APIRouter
from starlette.requests import Request  # noqa: TC002 -- FastAPI reads annotations
from starlette.responses import Response

from core.access import Deed
from core.errors import Invalid
from projections.statistics import DIMENSIONS, StatisticsQuery
from webdesk import answers
from webdesk.authentication import watching
from webdesk.gate import Gate
from webdesk.paging import moment_of
from webdesk.stream import Stream

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from webdesk.live import LiveFeed
    from webdesk.services import Services

_HOUR_S: Final = 3_600
_SECONDS_MAX: Final = 86_400.0
_DIGITS_MAX: Final = 12
_PARAMETERS: Final = frozenset({"from", "to", "interval", "by", "answer_within", "short_abandon"})
_TIME: Final = {"type": "string", "format": "date-time"}


def _number(default: float) -> dict[str, object]:
    return {"type": "number", "default": default}


_STATISTICS_DOC: Final[dict[str, Any]] = {
    "parameters": [
        {"name": name, "in": "query", "required": False, "description": text, "schema": schema}
        for name, text, schema in (
            ("from", "Begin, ISO 8601 with offset; left out: the whole log", _TIME),
            ("to", "End, not included, ISO 8601 with offset", _TIME),
            ("interval", "Seconds; divides an hour", {"type": "integer", "default": 900}),
            ("by", "What a row is about", {"type": "string", "enum": list(DIMENSIONS)}),
            ("answer_within", "Seconds; a wait of exactly that is in time", _number(20)),
            ("short_abandon", "Seconds; an abandonment of less is short", _number(5)),
        )
    ]
}  # fmt: skip
_STREAM_DOC: Final[dict[str, Any]] = {
    "parameters": [
        {
            "name": "Last-Event-ID",
            "in": "header",
            "required": False,
            "description": "The id of the last message seen: the answer is not older than it.",
            "schema": {"type": "string", "example": "calls.0:812,centre.0:790"},
        }
    ],
    "responses": {
        "200": {
            "description": "Server-sent events: the situation, and `fresh` signs",
            "content": {"text/event-stream": {"schema": {"type": "string"}}},
        }
    },
}


def parse_statistics(given: Mapping[str, str]) -> StatisticsQuery:
    """The question in the query string. Raises: Invalid, naming the parameter."""
    for name in given:
        if name not in _PARAMETERS:
            allowed = ", ".join(sorted(_PARAMETERS))
            raise Invalid(f"{name[:40]!r} is no parameter; these are: {allowed}", field=name[:40])
    begin, end = _time(given, "from"), _time(given, "to")
    if begin is not None and end is not None and end <= begin:
        raise Invalid("to is not after from", field="to")
    interval = given.get("interval", "900")
    digits = interval.isascii() and interval.isdigit() and len(interval) <= _DIGITS_MAX
    if not digits or not int(interval) or _HOUR_S % int(interval):
        raise Invalid("interval is seconds that divide an hour, such as 900", field="interval")
    by = given.get("by", "answer_group")
    if by not in DIMENSIONS:
        raise Invalid(f"by may be one of: {', '.join(DIMENSIONS)}", field="by")
    within, short = _seconds(given, "answer_within", 20.0), _seconds(given, "short_abandon", 5.0)
    return StatisticsQuery(begin, end, int(interval), by, within, short)


def _time(given: Mapping[str, str], name: str) -> datetime | None:
    text = given.get(name)
    return None if text is None else moment_of(name, text)


def _seconds(given: Mapping[str, str], name: str, default: float) -> float:
    text = given.get(name)
    if text is None:
        return default
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds <= _SECONDS_MAX:
        raise Invalid(f"{name} is seconds, 0 to {_SECONDS_MAX:.0f}", field=name)
    return seconds


def router(services: Services, feed: LiveFeed) -> APIRouter:
    """The routes that read."""
    routes = APIRouter(prefix="/api/v1", tags=["read"])
    gate = Gate(services)

    @routes.get("/queues", summary="The queues now", response_model=answers.Queues)
    async def queues(request: Request) -> Response:
        gate.watch(request)
        published = await feed.now()
        headers = {"Cache-Control": "no-store"}
        return Response(published.body, media_type="application/json", headers=headers)

    @routes.get(
        "/statistics",
        summary="Figures of a time",
        response_model=answers.Statistics,
        openapi_extra=_STATISTICS_DOC,
    )
    async def statistics(request: Request) -> Response:
        gate.require(request, Deed.READ_QUEUES)
        asked = parse_statistics(request.query_params)
        if asked.by == "agent":
            gate.require(request, Deed.READ_STAFF_FIGURES)
        elif asked.by == "case_type":
            asked = replace(asked, rooms=gate.rooms(request, Deed.READ_CASE_FIGURES))
        answer = dict(await asyncio.to_thread(services.figures.statistics, asked))
        published = await feed.now()
        answer["at"], answer["age_s"] = published.state["at"], published.state["age_s"]
        return answers.json_answer(answer)

    @routes.get(
        "/stream", summary="The queues, pushed", response_class=Response, openapi_extra=_STREAM_DOC
    )
    async def stream(request: Request) -> Response:
        gate.watch(request)
        allowed = watching(request, services)
        return Stream(feed, request.headers.get("last-event-id"), allowed)

    return routes
