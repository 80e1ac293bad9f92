"""`node`: the nodes that ever joined this log, and how one that is gone for good is left out."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from core.application import fact_draft
from core.errors import Invalid, NotFound, Refused
from core.nodes import NAME_CHARS_MAX, PROCESS, NodeRetired, node_asking, node_stream, process_id
from core.vocabulary import Origin
from kontaktcenter.words import _
from projections import keeping_queries

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from core.eventlog.nodes import KnownNode
    from kontaktcenter.out import Out
    from kontaktcenter.wiring import House


async def list_all(house: House, _args: Mapping[str, object], _out: Out) -> dict[str, object]:
    """The nodes in the order in which they joined; which erasures each has to carry out yet."""
    everywhere = house.privacy.erasures.everywhere
    known = await everywhere.known()
    await asyncio.to_thread(house.catch_up)
    waiting = await asyncio.to_thread(keeping_queries.incomplete, house.read_models)
    rows = [_row(node, everywhere.here, waiting) for node in known.values()]
    return {"here": everywhere.here, "nodes": rows}


def _row(node: KnownNode, here: str | None, waiting: list[dict[str, Any]]) -> dict[str, object]:
    mine = [p["number"] for p in waiting if node.erased_at_of(p["position"]) is None]
    return {
        "node": node.id,
        "name": node.name,
        "here": node.id == here,
        "joined_at": _told(node.joined_at),
        "cut_off_at": _told(node.cut_off_at),
        "retired_at": _told(node.retired_at),
        "reason": node.retired_why,
        "erasures_waiting": [] if node.retired_at is not None else mine,
    }


def _told(at: datetime | None) -> str | None:
    return None if at is None else at.isoformat()


async def retire(house: House, args: Mapping[str, object], _out: Out) -> dict[str, object]:
    """Tell the log that a node is gone for good; its id, or the beginning of one, or its name.

    Raises: NotFound; Refused for this node itself; Invalid for several of that name; Unavailable.
    """
    everywhere, asked = house.privacy.erasures.everywhere, str(args["node"])
    node = _named(await everywhere.known(), asked)
    if node.id == everywhere.here:
        said = _("{node} is this node: retire it from another one, when it is stopped for good")
        raise Refused(said.format(node=asked))
    if node.retired_at is None:
        now = house.clock()
        asking = node_asking(node.id, "retired", now.isoformat())
        draft = fact_draft(
            id=process_id(PROCESS, asking),
            asking=asking,
            actor="operator",
            origin=f"{Origin.PROCESS}:{PROCESS}",
            stream=node_stream(node.id),
            events=(NodeRetired(str(args.get("reason") or "")[:NAME_CHARS_MAX]),),
            occurred_at=now,
        )
        await house.node.propose(draft)
        completed = await everywhere.complete()
    else:
        completed = []
    return {"node": node.id, "name": node.name, "completed": completed}


def _named(known: Mapping[str, KnownNode], asked: str) -> KnownNode:
    found = [
        node
        for node in known.values()
        if asked and (node.id.startswith(asked) or node.name == asked)
    ]
    if not found:
        said = _("there is no node {node}; kontaktcenter node list shows them all")
        raise NotFound(said.format(node=asked))
    exact = [node for node in found if node.id == asked]
    if len(exact or found) > 1:
        said = _("several nodes are called {node}: give the id, as node list shows it")
        raise Invalid(said.format(node=asked))
    return (exact or found)[0]
