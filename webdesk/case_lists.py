"""Lists of cases over HTTP: work lists, what is awaited, and search.

Every query is given what the asker sees (`Gate.sight`) and nothing filters after it. Every answer
leaves at an even time: how long a search takes would tell what it left out.
"""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any, Final

import msgspec
from fastapi import APIRouter
from starlette.requests import Request  # noqa: TC002 -- FastAPI reads annotations
from starlette.responses import Response  # noqa: TC002 -- FastAPI reads annotations

from core.access import Deed, Place, Verdict, sight, verdict
from core.looks import Seen
from core.vocabulary import Level
from projections.case_search_queries import HITS_MAX, search_cases
from projections.case_standing import CALLBACK, COMPLAINT, HANDOVER, QUESTION, CaseWord
from projections.case_wait_queries import WaitQuery, waiting
from projections.case_work_queries import WorkQuery, my_registered, work_counts, work_list
from webdesk import answers
from webdesk.bodies import decode, read_body
from webdesk.case_bodies import Name
from webdesk.desk import body_doc
from webdesk.even_time import hold
from webdesk.paging import PAGE_ROWS, PAGE_ROWS_MAX, Asked, in_sight, page, parameters

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from core.access import Sight
    from projections.case_rows import CaseRow
    from webdesk.gate import Gate
    from webdesk.services import Services

_WAITS: Final[Mapping[str, str]] = {
    "handovers": HANDOVER, "complaints": COMPLAINT, "callbacks": CALLBACK, "questions": QUESTION,
}  # fmt: skip
# What a list needs to be said beside its name.
_NEEDS: Final[Mapping[str, str]] = {
    "group": "group", "authority": "authority", "officer": "officer", "received": "receiver",
}  # fmt: skip
LISTS: Final = ("open", "mine", "registered", *_NEEDS, "registrar", "overdue", *_WAITS)
_FILTERS: Final = ("authority", "receiver", "group", "officer", "case_type", "level", "state")
_WORK: Final = ("list", *_FILTERS, "closed", "limit", "after")


class Search(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """Body of `POST /api/v1/cases/search`. What people search for is no matter for an address."""

    text: Name
    limit: Annotated[int, msgspec.Meta(ge=1, le=HITS_MAX)] = 20


class CaseLists:
    """What the routes of lists do."""

    def __init__(self, services: Services, gate: Gate) -> None:
        self._services, self._gate = services, gate

    async def listed(self, request: Request) -> Response:
        """A work list."""
        hold(request)
        asked = Asked(request, _WORK)
        name = asked.word("list", LISTS, "open") or "open"
        if name in _NEEDS:
            asked.needed(_NEEDS[name])
        if name == "registered":
            asked.only("list", "limit")
            return await self._registered(request, asked)
        seen = self._gate.sight(request, Deed.READ_WORK_LIST)
        if name in _WAITS:
            return await self._awaited(seen, asked, _WAITS[name])
        query = WorkQuery(
            authority=asked.text("authority"),
            receiver=asked.text("receiver"),
            group=asked.text("group"),
            officer=asked.text("officer"),
            case_type=asked.text("case_type"),
            level=asked.word("level", Level),
            state=asked.word("state", CaseWord),
            registry="undecided" if name == "registrar" else None,
            mine=name == "mine",
            overdue=name == "overdue",
            closed=None if name == "registrar" else asked.flag("closed"),
        )
        found = await self._of(
            work_list, seen, query, self._services.clock(), asked.rows, asked.after
        )
        return answers.json_answer(page(_rows(found.rows), found.next, found.as_of, seen.rooms))

    async def counts(self, request: Request) -> Response:
        """How many open cases each of the asker's rooms has, and what is awaited in them."""
        hold(request)
        Asked(request, ())
        seen = self._gate.sight(request, Deed.READ_WORK_LIST)
        found = await self._of(work_counts, seen, self._services.clock())
        return answers.json_answer({"rows": [_plain(row) for row in found]})

    async def search(self, request: Request) -> Response:
        """What is found in the asker's rooms; a look at each case is recorded first."""
        hold(request)
        self._gate.require(request, Deed.SEARCH_CASES)
        body = decode(await read_body(request), Search)
        seen = self._gate.sight(request, Deed.SEARCH_CASES)
        found = await self._of(search_cases, seen, body.text, most=body.limit, texts=True)
        looks = [Seen(case=hit.row.stream) for hit in found.hits]
        await self._gate.look(request, Deed.SEARCH_CASES, looks)
        return answers.json_answer(
            {
                "rows": [hit.as_json() for hit in found.hits],
                "more": found.more,
                "as_of": in_sight(found.as_of, seen.rooms),
            }
        )

    async def _registered(self, request: Request, asked: Asked) -> Response:
        """What the asker registered and nobody has taken over, in any room.

        Such cases are in no room of the asker's, so each is judged by itself.
        """
        asker = self._gate.known(request)
        directory = self._services.directory()
        seen = sight(asker, Deed.READ_CASE, directory)
        found = await self._of(my_registered, seen, asked.rows)
        opened = [
            row
            for row in found
            if verdict(
                asker,
                Deed.READ_CASE,
                Place(row.authority, frozenset(row.receivers), asker.id, row.protected),
                directory,
            )
            is Verdict.ALLOWED
        ]
        return answers.json_answer(page(_rows(opened), None, {}, ()))

    async def _awaited(self, seen: Sight, asked: Asked, kind: str) -> Response:
        asked.only("list", "receiver", "group", "officer", "limit")
        query = WaitQuery(
            kind=kind,
            who=asked.text("receiver"),
            group=asked.text("group"),
            officer=asked.text("officer"),
        )
        found = await self._of(waiting, seen, query, self._services.clock(), asked.rows)
        return answers.json_answer(page((row.as_json() for row in found), None, {}, ()))

    async def _of(self, query: Callable[..., Any], *given: Any, **named: Any) -> Any:
        """Ask the read models, in a worker thread. Raises: Invalid, Unavailable."""
        return await asyncio.to_thread(partial(query, self._services.read_models, *given, **named))


def _rows(rows: Iterable[CaseRow]) -> list[dict[str, Any]]:
    return [row.as_json() for row in rows]


def _plain(row: Any) -> dict[str, Any]:
    values = {name: getattr(row, name) for name in row.__dataclass_fields__}
    return {n: v.isoformat() if hasattr(v, "isoformat") else v for n, v in values.items()}


_TEXT: Final = {"type": "string", "minLength": 1}
_LISTS_DOC: Final[dict[str, Any]] = {
    "parameters": parameters(
        list=("Which list", {"type": "string", "enum": list(LISTS), "default": "open"}),
        authority=("Of this owner", _TEXT),
        receiver=("Handed over to this authority", _TEXT),
        group=("This answer group's turn", _TEXT),
        officer=("This officer's", _TEXT),
        case_type=("Of this type", _TEXT),
        level=("On this level", {"type": "string", "enum": [level.value for level in Level]}),
        state=("In this state", {"type": "string", "enum": [word.value for word in CaseWord]}),
        closed=("Closed ones alone", {"type": "boolean", "default": False}),
        limit=(
            "Rows of a page",
            {"type": "integer", "minimum": 1, "maximum": PAGE_ROWS_MAX, "default": PAGE_ROWS},
        ),
        after=("`next` of the page before", _TEXT),
    ),
    "security": [{"token": []}],
}


def router(services: Services, gate: Gate) -> APIRouter:
    """The routes of lists."""
    routes = APIRouter(prefix="/api/v1", tags=["cases"])
    lists = CaseLists(services, gate)

    @routes.get(
        "/cases",
        summary="Work lists",
        response_model=answers.CasePage,
        openapi_extra=_LISTS_DOC,
    )
    async def listed(request: Request) -> Response:
        return await lists.listed(request)

    @routes.get(
        "/cases/counts",
        summary="How many open cases each of one's rooms has",
        response_model=answers.CaseCounts,
        openapi_extra={"security": [{"token": []}]},
    )
    async def counts(request: Request) -> Response:
        return await lists.counts(request)

    @routes.post(
        "/cases/search",
        summary="Search in one's own rooms: number, words, parts of words",
        response_model=answers.CaseHits,
        openapi_extra={**answers.LOOKED_AT, **body_doc(Search)},
    )
    async def search(request: Request) -> Response:
        return await lists.search(request)

    return routes
