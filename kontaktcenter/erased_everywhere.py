"""An erasure is complete when the key is gone from every node, and from where they got it.

Each node does its own part of every erasure: its copy of the keys, its files, its read models; and
tells the log how far it has come. A decision is complete when all nodes that were not retired have
told so, and when the topic of keys holds no copy of the keys any more.
"""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from core.application import fact_draft
from core.erasure import ErasureCompleted, completed_id, erasure_stream
from core.errors import Unavailable
from core.eventlog.erasing import decisions_of
from core.eventlog.nodes import NodesFollower
from core.limits import PROJECTION_BATCH_COMMITS
from core.nodes import PROCESS, NodeErasuresCarriedOut, node_asking, node_stream, process_id
from core.vocabulary import CENTRE, Origin
from kontaktcenter.words import _
from projections import keeping_queries

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from core.commit import Clock, Draft
    from core.eventlog.node import Node
    from core.eventlog.nodes import KnownNode
    from projections.read_models import ReadModels

_SHARD: Final = f"{CENTRE}/0"
_DONE: Final = "erasures of this node"  # the last decision whose part here is done
_FAR: Final = 2**62  # no shard comes so far: what is new there is no news
_BREATH_S: Final = 0.5
_LATE: Final = timedelta(days=1)
_ORIGIN: Final = f"{Origin.PROCESS}:{PROCESS}"


class Everywhere:
    """What of erasures is done here, and what of them is done on all nodes. On the node's loop."""

    def __init__(self, node: Node, clock: Clock, models: ReadModels) -> None:
        self._node, self._clock, self._models = node, clock, models
        self.nodes = NodesFollower(node)
        self._looked = 0
        self.late: list[dict[str, Any]] = []

    @property
    def here(self) -> str | None:
        """This node's id; None where it has the log alone."""
        return None if self._node.island is None else self._node.island.node

    # --- this node's own part -------------------------------------------------------------------
    async def own_part(self, scrub: Callable[[list[str]], Awaitable[None]]) -> bool:
        """Do this node's part of what was decided since, and tell; whether there was any.

        `scrub` gets subjects whose keys are gone, and has to let go of what is about them. Its
        position is kept with the keys: older keys that are put back have it done again.
        Raises: what `scrub` raises, Unavailable, Corrupt.
        """
        here, ring = self.here, self._node.keyring
        if here is None:
            return False
        upto = ring.erased_upto()
        done = ring.reached(_DONE)
        if done > upto or self._looked > upto:  # the log is an older copy
            done = self._looked = 0
        last, subjects = done, dict[str, None]()
        after = max(done, self._looked)
        while after < upto:
            batch = await asyncio.to_thread(
                self._node.read, _SHARD, after, PROJECTION_BATCH_COMMITS
            )
            for one in decisions_of(fed for fed in batch if fed.position <= upto):
                last, subjects[one.subject] = one.position, None
            after = batch[-1].position if batch else upto
        if subjects:
            await scrub(list(subjects))
            await asyncio.to_thread(ring.note, _DONE, last)
        self._looked = upto
        await self._tell(here, last)
        return bool(subjects)

    async def _tell(self, here: str, done: int) -> None:
        known = (await self.known()).get(here)
        if not done or (known is not None and known.erased_upto >= done):
            return
        asking = node_asking(here, "erasures", str(done))
        draft = fact_draft(
            id=process_id(PROCESS, asking),
            asking=asking,
            actor=PROCESS,
            origin=_ORIGIN,
            stream=node_stream(here),
            events=(NodeErasuresCarriedOut(done),),
            occurred_at=self._clock(),
        )
        await self._node.propose(draft)

    async def known(self) -> dict[str, KnownNode]:
        """All nodes that ever joined, by id."""
        await self._node.settle()
        return await asyncio.to_thread(self.nodes)

    async def news(self, within_s: float) -> None:
        """Return when some node has decided an erasure, or the time is over."""
        loop = asyncio.get_running_loop()
        until_s = loop.time() + within_s
        seen = max(self._looked, self._node.positions().get(_SHARD, 0))
        while (left_s := until_s - loop.time()) > 0:
            if self.here is None:
                await asyncio.sleep(left_s)
                return
            others = dict.fromkeys(self._node.positions(), _FAR)
            if await self._node.changed({**others, _SHARD: seen}, left_s):
                batch = await asyncio.to_thread(
                    self._node.read, _SHARD, seen, PROJECTION_BATCH_COMMITS
                )
                if decisions_of(batch):
                    return
                seen = batch[-1].position if batch else seen
                await asyncio.sleep(_BREATH_S)

    # --- all nodes ------------------------------------------------------------------------------
    async def standing(self, protocol: Mapping[str, Any]) -> dict[str, Any]:
        """The protocol, and how far it is carried out on each node and in the topic of keys.

        `complete` where nothing is waited for. `waiting_for`: `nodes`, `compaction` (the topic
        holds `copies` of the keys, for `compaction_s` seconds at most as it is set up), `keys`
        (the topic cannot be read now), `here` (nobody has told that it was carried out).
        """
        nodes = [node for node in (await self.known()).values() if node.retired_at is None]
        told = [_node_row(node, protocol["position"]) for node in nodes]
        found = {**protocol, "nodes": told, "waiting_for": [], "copies": 0, "compaction_s": None}
        done = protocol["carried_out_at"] is not None
        if protocol["completed_at"] is None and (nodes or not done):
            found |= await self._waiting(protocol, told)
        found["complete"] = not found["waiting_for"]
        return found

    async def _waiting(
        self, protocol: Mapping[str, Any], told: list[dict[str, Any]]
    ) -> dict[str, Any]:
        ring, waiting = self._node.keyring, []
        if protocol["carried_out_at"] is None:
            waiting.append("here")
        if any(row["carried_out_at"] is None for row in told):
            waiting.append("nodes")
        copies: int | None = None
        try:
            copies = await asyncio.to_thread(ring.remaining, protocol["subjects"])
        except Unavailable:
            waiting.append("keys")
        if copies:
            waiting.append("compaction")
        return {"waiting_for": waiting, "copies": copies, "compaction_s": ring.compaction_s()}

    async def complete(self) -> list[str]:
        """Tell the log which decisions are complete now; their numbers. Raises: Unavailable.

        `late` has those that are not complete after a day, as `standing` tells them, from then on.
        """
        numbers, late, before = [], [], self._clock() - _LATE
        for protocol in await self._open():
            found = await self.standing(protocol)
            if found["complete"]:
                await self._node.propose(_completed(found, self._clock()))
                numbers.append(found["number"])
            elif datetime.fromisoformat(found["decided_at"]) < before:
                late.append(found)
        self.late = late
        return numbers

    async def _open(self) -> list[dict[str, Any]]:
        if self.here is None:
            return []
        return await asyncio.to_thread(keeping_queries.incomplete, self._models)


def waits_for(found: Mapping[str, Any]) -> list[str]:
    """What an erasure waits for before it is complete."""
    nodes = [row["name"] or row["node"] for row in found["nodes"] if not row["carried_out_at"]]
    told = {
        "here": _("this node"),
        "nodes": _("the nodes {names}").format(names=", ".join(nodes)),
        "compaction": _("compaction of the topic of keys"),
        "keys": _("Kafka, which cannot be asked now"),
    }
    return [told[each] for each in found["waiting_for"]]


def _completed(found: Mapping[str, Any], now: datetime) -> Draft:
    return fact_draft(
        id=completed_id(found["number"]),
        asking=found["number"],
        actor=PROCESS,
        origin=_ORIGIN,
        stream=erasure_stream(found["authority"]),
        events=(ErasureCompleted(found["number"], len(found["nodes"])),),
        occurred_at=now,
    )


def _node_row(node: KnownNode, position: int) -> dict[str, Any]:
    at = node.erased_at_of(position)
    return {
        "node": node.id,
        "name": node.name,
        "carried_out_at": None if at is None else at.isoformat(),
    }
