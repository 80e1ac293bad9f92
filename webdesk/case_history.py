"""A caller's history, the directory of handlers, and an authority's figures over HTTP.

A caller's number comes in a body, never in an address, and is looked up by its keyed hash. The look
at the person, and at each case that is told, is recorded before the answer leaves.
"""

from __future__ import annotations

import asyncio
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import msgspec
from fastapi import APIRouter
from starlette.requests import Request  # noqa: TC002 -- FastAPI reads annotations
from starlette.responses import Response  # noqa: TC002 -- FastAPI reads annotations

from core.access import Deed, NoSuchCase, Place, Role
from core.case_rules import CASES
from core.errors import Invalid
from core.looks import Seen
from core.persons import ways_to_write
from core.vocabulary import case_stream
from projections.case_history_queries import history_of
from projections.case_queries import CasePeriod
from projections.case_volumes import DIMENSIONS, FORMULAS, suppressed, volumes
from projections.handlers_queries import HANDLER_ROLES, HANDLERS_MAX, HandlersQuery, handlers
from webdesk import answers
from webdesk.bodies import decode, read_body
from webdesk.case_bodies import Name
from webdesk.desk import body_doc
from webdesk.even_time import hold
from webdesk.paging import PAGE_ROWS, Asked, in_sight, parameters

if TYPE_CHECKING:
    from collections.abc import Callable

    from webdesk.gate import Gate
    from webdesk.services import Services

_MONTHS: Final = 12
_MONTH_CHARS: Final = 7
_YEARS: Final = (2000, 2200)
_HANDLERS: Final = ("q", "role", "authority", "group", "limit")


class HistoryAsked(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """Body of `POST /api/v1/cases/history`: the caller's `number`, or a case that he or she made.

    A case is named by `authority` and `case`, for whoever may open it.
    """

    number: Name | None = None
    authority: Name | None = None
    case: Name | None = None


class HistoryDesk:
    """What the routes do."""

    def __init__(self, services: Services, gate: Gate) -> None:
        self._services, self._gate = services, gate

    async def history(self, request: Request) -> Response:
        """A caller's cases and calls, in the asker's rooms."""
        hold(request)
        self._gate.require(request, Deed.READ_HISTORY)
        asked = decode(await read_body(request), HistoryAsked)
        callers = self._callers(request, asked)
        seen = self._gate.sight(request, Deed.READ_HISTORY)
        found = await self._of(history_of, seen, callers)
        person = callers[0] if callers else None
        looks = [Seen(None, person), *(Seen(row.stream, person) for row in found.cases)]
        await self._gate.look(request, Deed.READ_HISTORY, looks)
        as_of = in_sight(found.as_of, seen.rooms)
        return answers.json_answer({**found.as_json(), "as_of": as_of})

    def _callers(self, request: Request, asked: HistoryAsked) -> tuple[str, ...]:
        """The keyed hashes of the person. Raises: Invalid, NotAllowed, NoSuchCase."""
        if asked.number is not None and asked.authority is None and asked.case is None:
            return tuple(map(self._services.node.caller_ref, ways_to_write(asked.number)))
        if asked.number is not None or asked.authority is None or asked.case is None:
            raise Invalid("send the caller's number, or authority and case")
        state, refs = CASES.initial, []
        for recorded in self._services.node.load(case_stream(asked.authority, asked.case)):
            state = CASES.evolve(state, recorded)
            refs.append(getattr(recorded.event, "caller_ref", None))
        place = Place(asked.authority) if state.number is None else state.place
        self._gate.require(request, Deed.READ_CASE, place)
        if state.number is None:
            raise NoSuchCase
        return tuple(dict.fromkeys(ref for ref in refs if ref is not None))

    async def officers(self, request: Request) -> Response:
        """Who handles cases where, and whether he or she is at work."""
        self._gate.require(request, Deed.READ_CATALOGUE)
        asked = Asked(request, _HANDLERS)
        query = HandlersQuery(
            text=asked.text("q"),
            role=asked.word("role", HANDLER_ROLES),
            authority=asked.text("authority"),
            group=asked.text("group"),
        )
        found = await self._of(handlers, query, self._services.clock(), asked.rows)
        return answers.json_answer({"rows": [row.as_json() for row in found]})

    async def report(self, request: Request, authority: str, month: str) -> Response:
        """An authority's cases of a month: small numbers are hidden from other authorities."""
        hold(request)
        asker = self._gate.require(request, Deed.READ_CASE_FIGURES, Place(authority))
        asked = Asked(request, ("by",))
        period = self._month(authority, month)
        now, by = self._services.clock(), asked.word("by", DIMENSIONS, "case_type")
        told = await self._of(volumes, frozenset({authority}), period, now, by)
        own = (Role.CASE_OFFICER, Role.REGISTRAR)
        if not any(g.role in own and g.authority == authority for g in asker.grants):
            told = suppressed(told)
        assert period.begin is not None
        assert period.end is not None
        return answers.json_answer(
            {
                "authority": authority,
                "begin": period.begin.isoformat(),
                "end": period.end.isoformat(),
                "by": told.by,
                "rows": [row.as_json() for row in told.rows],
                "total": told.total.as_json(),
                "formulas": dict(FORMULAS),
                "as_of": in_sight(told.as_of, {authority}),
            }
        )

    def _month(self, authority: str, month: str) -> CasePeriod:
        """A month of the city's calendar, such as `2026-11`. Raises: Invalid."""
        year, _, number = month.partition("-")
        plain = month.isascii() and len(month) == _MONTH_CHARS and (year + number).isdigit()
        if not plain or not 1 <= int(number) <= _MONTHS or not _YEARS[0] <= int(year) < _YEARS[1]:
            raise Invalid("month is a year and a month, such as 2026-11", field="month")
        zone, n = self._services.zone, int(year) * _MONTHS + int(number)
        begin = datetime(int(year), int(number), 1, tzinfo=zone)
        return CasePeriod(begin, datetime(n // _MONTHS, n % _MONTHS + 1, 1, tzinfo=zone), authority)

    async def _of(self, query: Callable[..., Any], *given: Any) -> Any:
        return await asyncio.to_thread(partial(query, self._services.read_models, *given))


_TEXT: Final = {"type": "string", "minLength": 1}
_OFFICERS_DOC: Final[dict[str, Any]] = {
    "parameters": parameters(
        q=("Beginnings of words of the name, or of the account", _TEXT),
        role=("With this role", {"type": "string", "enum": [role.value for role in HANDLER_ROLES]}),
        authority=("Of this authority", _TEXT),
        group=("In this answer group", _TEXT),
        limit=(
            "Rows at most",
            {"type": "integer", "minimum": 1, "maximum": HANDLERS_MAX, "default": PAGE_ROWS},
        ),
    ),
    "security": [{"token": []}],
}
_REPORT_DOC: Final[dict[str, Any]] = {
    "parameters": parameters(
        by=(
            "What a row is about",
            {"type": "string", "enum": list(DIMENSIONS), "default": "case_type"},
        )
    ),
    "security": [{"token": []}],
}


def router(services: Services, gate: Gate) -> APIRouter:
    """The routes of history, directory and figures."""
    routes = APIRouter(prefix="/api/v1")
    desk = HistoryDesk(services, gate)

    @routes.post(
        "/cases/history",
        tags=["cases"],
        summary="A caller's cases and calls, in one's own rooms",
        response_model=answers.CallerHistory,
        openapi_extra={**answers.LOOKED_AT, **body_doc(HistoryAsked)},
    )
    async def history(request: Request) -> Response:
        return await desk.history(request)

    @routes.get(
        "/officers",
        tags=["read"],
        summary="Who handles cases where",
        response_model=answers.Officers,
        openapi_extra=_OFFICERS_DOC,
    )
    async def officers(request: Request) -> Response:
        return await desk.officers(request)

    @routes.get(
        "/reports/{authority}/{month}",
        tags=["read"],
        summary="An authority's cases of a month",
        response_model=answers.Report,
        openapi_extra=_REPORT_DOC,
    )
    async def report(request: Request, authority: str, month: str) -> Response:
        return await desk.report(request, authority, month)

    return routes
