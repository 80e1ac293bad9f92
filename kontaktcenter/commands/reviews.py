"""`review list|show|close`: what contradicts the rest, with the rights of an account."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from core.access import Deed, NoSuchCase, Place, Verdict, purpose_of, require, sight, verdict
from core.application import Application
from core.errors import Invalid
from core.eventlog.product import product_events
from core.looks import Seen
from core.personal import Personal
from core.reviews import ReviewClosed, ReviewUnknown, review_stream
from kontaktcenter.words import _
from projections.review_queries import ReviewsQuery, review_of, reviews_of
from webdesk.reviews import command_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from core.access import Asker, Sight
    from kontaktcenter.out import Out
    from kontaktcenter.wiring import House

ORIGIN = "cli"


async def list_all(house: House, args: Mapping[str, object], _out: Out) -> dict[str, object]:
    """The items that the account's rights open, the oldest first; at most `limit` of each kind.

    Raises: NotAllowed, Invalid.
    """
    asker = await _begun(house, args)
    found: list[dict[str, Any]] = []
    more = False
    for seen in _sights(house, asker):
        query = ReviewsQuery(seen, str(args["state"]), limit=int(str(args["limit"])))
        page = await asyncio.to_thread(reviews_of, house.read_models, query)
        found += page["reviews"]
        more = more or page["next"] is not None
    found.sort(key=lambda item: (item["opened_at"], item["id"]))
    return {"reviews": found, "more": more}


async def show(house: House, args: Mapping[str, object], _out: Out) -> dict[str, object]:
    """One item, with its note. Of a case a look is recorded first. Raises: ReviewUnknown."""
    asker = await _begun(house, args)
    item = await _item(house, asker, str(args["review"]))
    if item["noted"]:
        purpose = purpose_of(asker, Deed.REVIEW_CASES)
        seen = [Seen(item["about"])]
        await house.read_log.record(asker, Deed.REVIEW_CASES.value, purpose, seen)
    return {**item, "note": await asyncio.to_thread(_note, house, item["id"])}


async def close(house: House, args: Mapping[str, object], _out: Out) -> dict[str, object]:
    """Close an item with what came of it. Raises: ReviewUnknown, ReviewIsClosed, Invalid."""
    asker = await _begun(house, args)
    item = await _item(house, asker, str(args["review"]))
    note = args.get("note")
    if note is not None and item["authority"] is None:
        raise Invalid(_("only an item about a case takes a note: it is sealed with the case"))
    common = {"id": uuid4(), "now": house.clock(), "actor": asker.id, "asker": asker}
    given = None if note is None else str(note)
    command = command_of(item, str(args["outcome"]), given, common)
    application = Application(house.node, house.directory, product_events(house.node))
    try:
        answer = await application.handle(command, origin=ORIGIN)
    except NoSuchCase:
        raise ReviewUnknown from None
    return {"id": item["id"], "outcome": str(args["outcome"]), "changed": bool(answer.recorded)}


async def _begun(house: House, args: Mapping[str, object]) -> Asker:
    """Who acts, with the read models at the log's end. Raises: NotFound, NotAllowed."""
    asker = house.asker(str(args["as"]))
    if not _sights(house, asker):
        require(asker, Deed.REVIEW_FACTS, Place(), house.directory())
    await asyncio.to_thread(house.catch_up)
    return asker


def _sights(house: House, asker: Asker) -> list[Sight | None]:
    """What the account sees: None for what is not about cases, and its rooms'."""
    directory = house.directory()
    seen: list[Sight | None] = []
    if verdict(asker, Deed.REVIEW_FACTS, Place(), directory) is Verdict.ALLOWED:
        seen.append(None)
    if verdict(asker, Deed.REVIEW_CASES, Place(), directory) is Verdict.ALLOWED:
        seen.append(sight(asker, Deed.REVIEW_CASES, directory))
    return seen


async def _item(house: House, asker: Asker, review: str) -> dict[str, Any]:
    for seen in _sights(house, asker):
        item = await asyncio.to_thread(review_of, house.read_models, review, seen)
        if item is not None:
            return item
    raise ReviewUnknown


def _note(house: House, review: str) -> str | None:
    for one in house.node.load(review_stream(review), protected=True):
        if isinstance(one.event, ReviewClosed) and isinstance(one.event.note, Personal):
            return one.event.note.value
    return None
