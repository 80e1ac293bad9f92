"""Whether the topics of a store are still those that were opened.

A topic that is deleted and made again has the same name, and a consumer that runs goes on reading
it as if nothing had happened; only the topic's id tells. So it is asked at opening, after every
trouble, and now and then.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Protocol

from core.eventlog.kafka_log.client import Away
from core.limits import KAFKA_IDENTITY_S

if TYPE_CHECKING:
    from core.eventlog.kafka_log.client import Describer, Topic

_AGAIN_S = 0.5  # a broker that has just started may not know everything yet


class Watched(Protocol):
    """One shard of a topic that is watched."""

    topic: str

    def seen(self, found: Topic | Away | None) -> None:
        """What the cluster says of the topic; None where it has none by that name."""
        ...


class Watch:
    """Looks at all topics of a store together."""

    def __init__(self, describer: Describer, every_s: float = KAFKA_IDENTITY_S) -> None:
        self._describer, self._every_s = describer, every_s
        self._watched: list[Watched] = []
        self._looking: asyncio.Task[None] | None = None
        self._task: asyncio.Task[None] | None = None

    def follow(self, watched: Watched) -> None:
        """Tell `watched` what is seen, from the next look on."""
        self._watched.append(watched)

    async def look(self) -> None:
        """Ask the cluster now; who asks while that is under way shares it. Raises: Away."""
        if self._looking is None or self._looking.done():
            self._looking = asyncio.ensure_future(self._look())
            self._looking.add_done_callback(_seen_to)
        if self._task is None:
            self._task = asyncio.ensure_future(self._now_and_then())
        await asyncio.shield(self._looking)

    async def _look(self) -> None:
        watched = list(self._watched)
        names = {each.topic for each in watched}
        found = await self._describer.describe(names)
        if names - found.keys():  # to say that a topic is gone stops a shard: ask twice
            await asyncio.sleep(_AGAIN_S)
            found = await self._describer.describe(names)
        for each in watched:
            each.seen(found.get(each.topic))

    async def _now_and_then(self) -> None:
        while True:
            await asyncio.sleep(self._every_s)
            try:
                await self.look()
            except Away:
                continue  # whoever reads or writes meets it

    async def close(self) -> None:
        """Look no more."""
        tasks = [task for task in (self._task, self._looking) if task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _seen_to(task: asyncio.Task[None]) -> None:
    """Everybody who waited may have gone: what it raised is theirs to meet next time."""
    if not task.cancelled():
        task.exception()
