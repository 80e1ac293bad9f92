"""The read log over HTTP, for those who watch over it: who looked at whom, when and why.

A telephone number never stands in an address: who asks for a person's looks sends it in a body. To
look into the read log is itself a look.
"""

from __future__ import annotations

import asyncio
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any, Final

import msgspec
from fastapi import APIRouter
from pydantic import BaseModel
from starlette.requests import Request  # noqa: TC002 -- FastAPI reads annotations
from starlette.responses import Response  # noqa: TC002 -- FastAPI reads annotations

from core.access import Deed
from core.errors import Invalid
from core.limits import NAME_CHARS_MAX
from core.looks import Seen
from core.persons import ways_to_write
from projections.look_queries import LooksQuery, cases_named, looks_of, streams_of
from webdesk import answers
from webdesk.bodies import decode, read_body
from webdesk.even_time import hold
from webdesk.paging import PAGE_ROWS, PAGE_ROWS_MAX, Asked, moment_of, parameters

if TYPE_CHECKING:
    from collections.abc import Callable

    from projections.read_models import ReadModels
    from webdesk.gate import Gate
    from webdesk.services import Services

_PARAMETERS: Final = ("case", "who", "from", "to", "after", "limit")
_DIGITS_MAX: Final = 15
_TEXT: Final[dict[str, Any]] = {"type": "string", "maxLength": NAME_CHARS_MAX}
_TIME: Final[dict[str, Any]] = {"type": "string", "format": "date-time"}
_LIMIT: Final[dict[str, Any]] = {
    "type": "integer", "minimum": 1, "maximum": PAGE_ROWS_MAX, "default": PAGE_ROWS,
}  # fmt: skip
_ASKED: Final[dict[str, tuple[str, dict[str, Any]]]] = {
    "case": ("The case's number, or AUTHORITY/ID", _TEXT),
    "who": ("The account that looked", _TEXT),
    "from": ("Begin, ISO 8601 with offset", _TIME),
    "to": ("End, not included, ISO 8601 with offset", _TIME),
    "after": ("`next` of the page before", _TEXT),
    "limit": ("Rows of a page", _LIMIT),
}
_DESCRIBED: Final = parameters(**_ASKED)
_Name = Annotated[str, msgspec.Meta(min_length=1, max_length=NAME_CHARS_MAX)]
_Moment = Annotated[datetime, msgspec.Meta(tz=True)]


class LooksAsked(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """Body of `POST /api/v1/looks/search`. `number` is a telephone number; times with offset."""

    number: _Name | None = None
    case: _Name | None = None
    who: _Name | None = None
    begin: _Moment | None = msgspec.field(name="from", default=None)
    end: _Moment | None = msgspec.field(name="to", default=None)
    after: _Name | None = None
    limit: Annotated[int, msgspec.Meta(ge=1, le=PAGE_ROWS_MAX)] = PAGE_ROWS


class Look(BaseModel):
    """One look. `case` is `case/AUTHORITY/ID`, null where no single case was looked at."""

    at: str
    who: str
    deed: str
    purpose: str
    case: str | None


class Looks(BaseModel):
    """A page of the read log, the latest first. `next` asks for the page after it."""

    looks: list[Look]
    next: str | None
    as_of: dict[str, int]


class LooksDesk:
    """What the routes of the read log do."""

    def __init__(self, services: Services, gate: Gate) -> None:
        self._services, self._gate = services, gate

    async def found(self, request: Request, asked: LooksAsked) -> Response:
        """A page, with the look into the read log recorded first."""
        hold(request)
        self._gate.require(request, Deed.READ_LOOKS)
        node, models = self._services.node, self._services.read_models
        query, seen = await asyncio.to_thread(looks_query, models, node.caller_ref, asked)
        await self._gate.look(request, Deed.READ_LOOKS, seen)
        found = await asyncio.to_thread(looks_of, models, query)
        following = found["next"]
        return answers.json_answer({**found, "next": following and str(following)})


def looks_query(
    models: ReadModels, caller_ref: Callable[[str], str], asked: LooksAsked
) -> tuple[LooksQuery, list[Seen]]:
    """What is asked of the read model, and what has to be recorded as seen before it is told.

    Blocking. Raises: Invalid, Unavailable.
    """
    ways = () if asked.number is None else ways_to_write(asked.number)
    refs = tuple(map(caller_ref, ways))
    streams = streams_of(models, refs) if refs else []
    cases = None if asked.case is None else cases_named(models, asked.case)
    query = LooksQuery(
        persons=refs or None,
        persons_cases=tuple(stream for stream in streams if stream.startswith("case/")),
        cases=cases,
        who=asked.who,
        begin=asked.begin,
        end=asked.end,
        before=_before(asked.after),
        limit=asked.limit,
    )
    person = refs[0] if refs else None
    return query, [Seen(case, person) for case in cases or (None,)]


def _before(after: str | None) -> int | None:
    if after is None:
        return None
    if not after.isascii() or not after.isdigit() or len(after) > _DIGITS_MAX:
        raise Invalid("after is `next` of the page before", field="after")
    return int(after)


def _asked(request: Request) -> LooksAsked:
    asked = Asked(request, _PARAMETERS)
    return LooksAsked(
        case=asked.text("case"), who=asked.text("who"), begin=_time(asked, "from"),
        end=_time(asked, "to"), after=asked.after, limit=asked.rows,
    )  # fmt: skip


def _time(asked: Asked, name: str) -> datetime | None:
    text = asked.text(name)
    return None if text is None else moment_of(name, text)


def body_of(shape: type[Any]) -> dict[str, Any]:
    """What OpenAPI is told of a route that asks with a body, and looks at personal data."""
    schema = msgspec.json.schema(shape)
    found = schema.get("$defs", {}).get(shape.__name__, schema)
    return {
        **answers.LOOKED_AT,
        "requestBody": {"content": {"application/json": {"schema": found}}, "required": True},
    }


def router(services: Services, gate: Gate) -> APIRouter:
    """The routes of the read log."""
    routes = APIRouter(prefix="/api/v1/looks", tags=["privacy"])
    desk = LooksDesk(services, gate)
    described = {
        **answers.LOOKED_AT,
        "parameters": [*answers.LOOKED_AT["parameters"], *_DESCRIBED],
    }

    @routes.get("", summary="Who looked, when and why", response_model=Looks,
                openapi_extra=described)  # fmt: skip
    async def looks(request: Request) -> Response:
        return await desk.found(request, _asked(request))

    @routes.post("/search", summary="Who looked at a person, by telephone number",
                 response_model=Looks, openapi_extra=body_of(LooksAsked))  # fmt: skip
    async def search(request: Request) -> Response:
        gate.require(request, Deed.READ_LOOKS)
        return await desk.found(request, decode(await read_body(request), LooksAsked))

    return routes
