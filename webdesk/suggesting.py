"""What a caller's words may mean: case types and articles, for whoever registers a case."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING, Annotated

import msgspec
from fastapi import APIRouter
from pydantic import BaseModel, Field
from starlette.requests import Request  # noqa: TC002 -- FastAPI reads annotations
from starlette.responses import Response  # noqa: TC002 -- FastAPI reads annotations

from core.access import Deed
from projections.suggestions import SUGGESTIONS_MAX, suggestions
from webdesk import answers
from webdesk.bodies import decode, read_body
from webdesk.case_bodies import Name
from webdesk.desk import body_doc

if TYPE_CHECKING:
    from webdesk.gate import Gate
    from webdesk.services import Services


class Suggest(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """Body of `POST /api/v1/suggestions`. What a caller says is no matter for an address."""

    text: Name
    limit: Annotated[int, msgspec.Meta(ge=1, le=SUGGESTIONS_MAX)] = SUGGESTIONS_MAX


class SuggestionRow(BaseModel):
    """A case type or an article that has every word."""

    kind: str = Field(description="case_type or article")
    code: str
    title: str
    authority: str
    excluded: bool = Field(description="an area of which nothing is kept: connect the caller")
    case_types: list[str] = Field(description="of an article: those that it belongs to")


class Suggestions(BaseModel):
    """The best first."""

    rows: list[SuggestionRow]


def router(services: Services, gate: Gate) -> APIRouter:
    """The route of suggestions."""
    routes = APIRouter(prefix="/api/v1", tags=["cases"])

    @routes.post(
        "/suggestions",
        summary="What words may mean",
        response_model=Suggestions,
        openapi_extra=body_doc(Suggest),
    )
    async def suggest(request: Request) -> Response:
        gate.require(request, Deed.READ_CATALOGUE)
        body = decode(await read_body(request), Suggest)
        found = await asyncio.to_thread(
            partial(suggestions, services.directory(), body.text, most=body.limit)
        )
        return answers.json_answer({"rows": [one.as_json() for one in found]})

    return routes
