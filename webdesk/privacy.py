"""For the archivist over HTTP: erasures, retention, copies to give out; and the files of cases."""

from __future__ import annotations

import asyncio
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

from fastapi import APIRouter
from starlette.requests import Request  # noqa: TC002 -- FastAPI reads annotations
from starlette.responses import HTMLResponse, Response, StreamingResponse

from core.access import Deed
from core.application import IdUsedBefore
from core.disclosure import Choices
from core.errors import Unavailable
from core.looks import Seen
from core.vocabulary import case_stream
from webdesk import answers
from webdesk import privacy_answers as shapes
from webdesk.desk import documented
from webdesk.privacy_house import DecideDue, Disclose, Erase
from webdesk.problems import Problem
from webdesk.uploads import Upload

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from webdesk.desk import CommandsDesk
    from webdesk.privacy_house import PrivacyHouse
    from webdesk.services import Services

_DISPOSITION: Final = "attachment; filename=\"bilaga\"; filename*=UTF-8''{}"
_USED: Final = "This Idempotency-Key was used before to ask for something else."
_FILE: Final[dict[str, Any]] = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "properties": {"file": {"type": "string", "format": "binary"}},
                    "required": ["file"],
                }
            }
        },
    }
}


class PrivacyRoutes:
    """What the routes do."""

    def __init__(self, services: Services, desk: CommandsDesk) -> None:
        self._services, self._desk = services, desk

    @property
    def _house(self) -> PrivacyHouse:
        house = self._services.privacy
        if house is None:
            raise Unavailable("the archivist's desk is not open here", neighbour="privacy")
        return house

    async def erase(self, request: Request) -> Response:
        """Decide an erasure."""
        body, common = await self._desk.asked(request, Erase)
        found = await _once(self._house.erase(common["asker"], body, common["id"]))
        return answers.json_answer(found)

    async def protocols(self, request: Request) -> Response:
        """All protocols of the asker's rooms."""
        asker = self._desk.gate.require(request, Deed.DECIDE_ERASURE)
        return answers.json_answer({"protocols": await self._house.protocols(asker)})

    async def protocol(self, request: Request, number: str) -> Response:
        """One protocol, as JSON or as a page."""
        asker = self._desk.gate.require(request, Deed.DECIDE_ERASURE)
        found = await self._house.protocol(asker, number)
        return self._shown(request, "protocol", found)

    async def proposed(self, request: Request, authority: str) -> Response:
        """What is due."""
        asker = self._desk.gate.require(request, Deed.DECIDE_ERASURE)
        return answers.json_answer({"proposals": await self._house.proposed(asker, authority)})

    async def decide_proposed(self, request: Request, authority: str) -> Response:
        """Decide what is due."""
        body, common = await self._desk.asked(request, DecideDue)
        found = await _once(
            self._house.decide_proposed(common["asker"], authority, body, common["id"])
        )
        return answers.json_answer(found)

    async def give_out(self, request: Request, authority: str, case: str) -> Response:
        """A copy of a case, as JSON or as a page."""
        body, common = await self._desk.asked(request, Disclose)
        choices = Choices(dict(body.mask), body.words, frozenset(body.parts))
        found = await _once(
            self._house.give_out(
                common["asker"],
                (authority, case),
                choices,
                body.purpose,
                body.recipient,
                common["id"],
            )
        )
        return self._shown(request, "disclosure", found)

    def _shown(self, request: Request, kind: str, found: dict[str, Any]) -> Response:
        if "text/html" not in request.headers.get("accept", ""):
            return answers.json_answer(found)
        # Its style stands in the page itself: it is saved and printed, and fetches nothing.
        headers = {
            "Cache-Control": "no-store",
            "Content-Disposition": f'attachment; filename="{kind}.html"',
        }
        return HTMLResponse(self._house.page(kind, found), headers=headers)

    async def add_file(self, request: Request, authority: str, case: str) -> Response:
        """Take a file in; whether the asker may is asked before anything of it is read."""
        asker, key = self._desk.asker(request), self._desk.key(request)
        self._house.require_may_add(asker, authority, case)
        upload = Upload(request)
        await upload.begin()
        told = await _once(
            self._house.add_file(
                asker,
                self._desk.agent_of(asker, None),
                (authority, case),
                upload.name,
                upload.media_type,
                upload.pieces(),
                self._desk.id_of(asker, key),
            )
        )
        return answers.json_answer(told)

    async def files(self, request: Request, authority: str, case: str) -> Response:
        """The files of a case; the look is recorded first."""
        await self._look(request, authority, case)
        return answers.json_answer({"attachments": self._house.files_of(authority, case)})

    async def file(self, request: Request, authority: str, case: str, address: str) -> Response:
        """One file, piece by piece; the look is recorded first."""
        await self._look(request, authority, case)
        shown = await asyncio.to_thread(self._house.file, authority, case, address)
        if shown.content is None:
            raise Problem(HTTPStatus.GONE, "The file was erased.")
        headers = {
            "Cache-Control": "no-store",
            "Content-Disposition": _DISPOSITION.format(quote(shown.name or "bilaga", safe="")),
        }
        return StreamingResponse(shown.content, media_type=shown.media_type, headers=headers)

    async def _look(self, request: Request, authority: str, case: str) -> None:
        asker = self._desk.asker(request)
        persons = self._house.require_may_see(asker, authority, case)
        stream = case_stream(authority, case)
        await self._desk.gate.look(request, Deed.READ_CASE, [Seen(stream, p) for p in persons])


async def _once(asked: Awaitable[dict[str, Any]]) -> dict[str, Any]:
    """Raises: Problem 409 where the key was used before to ask for something else."""
    try:
        return await asked
    except IdUsedBefore as e:
        raise Problem(HTTPStatus.CONFLICT, _USED) from e


def router(services: Services, desk: CommandsDesk) -> APIRouter:
    """The routes of the archivist, and of the files of cases."""
    routes = APIRouter(prefix="/api/v1", tags=["privacy"])
    does = PrivacyRoutes(services, desk)
    safe: dict[str, Any] = {"security": [{"token": []}]}

    @routes.post(
        "/erasures",
        summary="Decide to erase closed cases, or a caller; carried out at once",
        response_model=shapes.Protocol,
        openapi_extra=documented(Erase),
    )
    async def erase(request: Request) -> Response:
        return await does.erase(request)

    @routes.get(
        "/erasures",
        summary="Protocols of erasures, the latest first",
        response_model=shapes.Protocols,
        openapi_extra=safe,
    )
    async def protocols(request: Request) -> Response:
        return await does.protocols(request)

    @routes.get(
        "/erasures/{number}",
        summary="One protocol; with Accept: text/html a page in Swedish",
        response_model=shapes.Protocol,
        openapi_extra=safe,
    )
    async def protocol(request: Request, number: str) -> Response:
        return await does.protocol(request, number)

    @routes.get(
        "/retention/{authority}",
        summary="What retention rules propose; nothing is done",
        response_model=shapes.Proposals,
        openapi_extra=safe,
    )
    async def proposed(request: Request, authority: str) -> Response:
        return await does.proposed(request, authority)

    @routes.post(
        "/retention/{authority}/decide",
        summary="Decide what a rule proposes",
        response_model=shapes.Protocol,
        openapi_extra=documented(DecideDue),
    )
    async def decide_proposed(request: Request, authority: str) -> Response:
        return await does.decide_proposed(request, authority)

    @routes.post(
        "/cases/{authority}/{case}/disclose",
        summary="A copy of a case to give out, with what was masked and why",
        response_model=shapes.Disclosure,
        openapi_extra=documented(Disclose),
    )
    async def give_out(request: Request, authority: str, case: str) -> Response:
        return await does.give_out(request, authority, case)

    _file_routes(routes, does)
    return routes


def _file_routes(routes: APIRouter, does: PrivacyRoutes) -> None:
    path = "/cases/{authority}/{case}/attachments"
    adding = {**_FILE, **{k: v for k, v in documented(Erase).items() if k != "requestBody"}}

    @routes.post(
        path,
        summary="Add a file to a case",
        response_model=shapes.AttachmentAdded,
        openapi_extra=adding,
    )
    async def add_file(request: Request, authority: str, case: str) -> Response:
        return await does.add_file(request, authority, case)

    @routes.get(
        path,
        summary="The files of a case",
        response_model=shapes.Attachments,
        openapi_extra=answers.LOOKED_AT,
    )
    async def files(request: Request, authority: str, case: str) -> Response:
        return await does.files(request, authority, case)

    @routes.get(
        path + "/{address}",
        summary="One file of a case",
        response_class=Response,
        openapi_extra=answers.LOOKED_AT,
    )
    async def file(request: Request, authority: str, case: str, address: str) -> Response:
        return await does.file(request, authority, case, address)
