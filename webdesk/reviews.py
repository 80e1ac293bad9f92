"""Review items over HTTP: what contradicts the rest, and what came of looking at it.

Items about cases are their owner's alone, so they have ways of their own: what is not in sight is
answered in the words of an item that never was.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Annotated, Any, Final

import msgspec
from fastapi import APIRouter
from pydantic import BaseModel
from starlette.requests import Request  # noqa: TC002 -- FastAPI reads annotations
from starlette.responses import Response  # noqa: TC002 -- FastAPI reads annotations

from core.access import Deed, NoSuchCase
from core.errors import Unavailable
from core.limits import NAME_CHARS_MAX, TEXT_CHARS_MAX
from core.personal import PROTECTED, Personal
from core.reviews import CloseCaseReview, CloseReview, ReviewUnknown
from projections.review_queries import STATES, ReviewsQuery, review_of, reviews_of, waiting
from webdesk import answers
from webdesk.desk import documented
from webdesk.even_time import hold
from webdesk.paging import PAGE_ROWS, PAGE_ROWS_MAX, Asked, in_sight, parameters

if TYPE_CHECKING:
    from core.access import Sight
    from core.commands import Command
    from webdesk.desk import CommandsDesk
    from webdesk.services import Services

_PARAMETERS: Final = ("state", "limit", "after")
_DESCRIBED: Final = parameters(
    state=("Which of them", {"type": "string", "enum": list(STATES), "default": "open"}),
    limit=(
        "Rows of a page",
        {"type": "integer", "minimum": 1, "maximum": PAGE_ROWS_MAX, "default": PAGE_ROWS},
    ),
    after=("`next` of the page before", {"type": "string", "maxLength": NAME_CHARS_MAX}),
)


class ReviewItem(BaseModel):
    """One item: where to look, and what came of it."""

    id: str
    kind: str
    about: str
    version: int | None
    shard: str
    position: int | None
    offset: int | None
    event: str
    reason: str
    authority: str | None
    protected: bool
    opened_at: str
    closed_at: str | None
    closed_by: str | None
    outcome: str | None
    noted: bool


class ReviewItems(BaseModel):
    """A page of review items, the oldest first. `next` asks for the page after it."""

    reviews: list[ReviewItem]
    next: str | None
    as_of: dict[str, int]


class CloseBody(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """Body of `POST /api/v1/reviews/{review}/close`."""

    outcome: Annotated[str, msgspec.Meta(min_length=1, max_length=NAME_CHARS_MAX)]


class CloseCaseBody(CloseBody, kw_only=True):
    """Body of `POST /api/v1/reviews/cases/{review}/close`; the note is sealed with the case."""

    note: Annotated[str, msgspec.Meta(min_length=1, max_length=TEXT_CHARS_MAX)] | None = None


class ReviewsDesk:
    """What the routes of review items do."""

    def __init__(self, services: Services, desk: CommandsDesk) -> None:
        self._services, self._desk = services, desk

    async def page(self, request: Request, deed: Deed) -> Response:
        """A page of the items that the deed opens."""
        hold(request)
        seen = self._sight(request, deed)
        asked = Asked(request, _PARAMETERS)
        query = ReviewsQuery(seen, str(asked.text("state", "open")), asked.after, asked.rows)
        found = dict(await asyncio.to_thread(reviews_of, self._services.read_models, query))
        found["as_of"] = in_sight(found["as_of"], () if seen is None else seen.rooms)
        return answers.json_answer(found)

    async def close(
        self, request: Request, review: str, deed: Deed, shape: type[CloseBody]
    ) -> Response:
        """Close an item that is in sight. Raises: ReviewUnknown where it is not."""
        hold(request)
        body, common = await self._desk.asked(request, shape)
        seen = self._sight(request, deed)
        models = self._services.read_models
        item = await asyncio.to_thread(review_of, models, review, seen)
        if item is None:
            raise ReviewUnknown
        command = command_of(item, body.outcome, getattr(body, "note", None), common)
        try:
            return await self._desk.done(command, tell_position=seen is None)
        except NoSuchCase:  # protected, or another's, since the read model was asked
            raise ReviewUnknown from None

    def _sight(self, request: Request, deed: Deed) -> Sight | None:
        """None for what is not about cases. Raises: as `Gate.require`."""
        seen = self._desk.gate.sight(request, deed)
        return seen if deed is Deed.REVIEW_CASES else None


async def waiting_now(services: Services) -> int | None:
    """How many items wait, those about cases apart; None where that cannot be asked now."""
    try:
        return await asyncio.to_thread(waiting, services.read_models)
    except Unavailable:
        return None


def command_of(
    item: dict[str, Any], outcome: str, note: str | None, common: dict[str, Any]
) -> Command:
    """The command that closes an item as it was read."""
    if item["authority"] is None:
        return CloseReview(**common, review=item["id"], outcome=outcome)
    subject = f"{PROTECTED}{item['about']}" if item["protected"] else item["about"]
    sealed = None if note is None else Personal(note, subject)
    return CloseCaseReview(**common, review=item["id"], outcome=outcome, note=sealed)


def router(services: Services, desk: CommandsDesk) -> APIRouter:
    """The routes of review items."""
    routes = APIRouter(prefix="/api/v1/reviews", tags=["reviews"])
    reviews = ReviewsDesk(services, desk)
    described = {"parameters": _DESCRIBED}

    @routes.get("", summary="What contradicts the rest in calls, shifts and the centre's own",
                response_model=ReviewItems, openapi_extra=described)  # fmt: skip
    async def items(request: Request) -> Response:
        return await reviews.page(request, Deed.REVIEW_FACTS)

    @routes.get("/cases", summary="What contradicts the rest in one's rooms' own cases",
                response_model=ReviewItems, openapi_extra=described)  # fmt: skip
    async def items_of_cases(request: Request) -> Response:
        return await reviews.page(request, Deed.REVIEW_CASES)

    @routes.post(
        "/{review}/close",
        summary="Close an item with what came of it",
        response_model=answers.CommandAnswer,
        openapi_extra=documented(CloseBody),
    )
    async def close(request: Request, review: str) -> Response:
        return await reviews.close(request, review, Deed.REVIEW_FACTS, CloseBody)

    @routes.post(
        "/cases/{review}/close",
        summary="Close an item about a case",
        response_model=answers.CommandAnswer,
        openapi_extra=documented(CloseCaseBody),
    )
    async def close_of_a_case(request: Request, review: str) -> Response:
        return await reviews.close(request, review, Deed.REVIEW_CASES, CloseCaseBody)

    return routes
