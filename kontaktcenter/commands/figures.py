"""`statistics` and `replay`: figures, always read to the log's end first."""

from __future__ import annotations

import asyncio
import tempfile
from contextlib import closing
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from core.vocabulary import kind_of
from projections.live import queues_now
from projections.read_models import ReadModels, all_projections
from projections.runner import Runner
from projections.statistics import StatisticsQuery
from projections.statistics import statistics as asked

if TYPE_CHECKING:
    from collections.abc import Mapping

    from core.eventlog.node import FeedCommit, Node
    from kontaktcenter.out import Out
    from kontaktcenter.wiring import House


async def statistics(house: House, args: Mapping[str, object], _out: Out) -> dict[str, object]:
    """Interval figures at the log's end. Raises: Invalid, naming the flag and what it may be."""
    query = _query(args)
    query.check()
    await house.node.settle()
    await asyncio.to_thread(house.catch_up)
    answer = await asyncio.to_thread(asked, house.read_models, query)
    return answer.as_json()


def _query(args: Mapping[str, object]) -> StatisticsQuery:
    return StatisticsQuery(
        begin=_time(args["from"]),
        end=_time(args["to"]),
        interval_s=int(str(args["interval"])),
        by=str(args["by"]),
        answer_within_s=float(str(args["answer_within"])),
        short_abandon_s=float(str(args["short_abandon"])),
    )


def _time(text: object) -> datetime | None:
    return None if text is None else datetime.fromisoformat(str(text))


CATALOGUE = "catalogue"


class Until:
    """A node's feed (`projections.base.Feed`) without what happened after a time, by `occurred_at`.

    The catalogue is today's: it was entered here long after what a recording tells of, to name it.

    A commit whose events are all later stays, empty, so that positions are the log's own.
    """

    def __init__(self, node: Node, until: datetime) -> None:
        self._node, self._until = node, until
        self._positions = node.positions()

    def shards(self) -> list[str]:
        """The shards that there are."""
        return sorted(self._positions)

    def positions(self) -> dict[str, int]:
        """Where the log's end was when this was made."""
        return self._positions

    def read(self, shard: str, after: int, limit: int) -> list[FeedCommit]:
        """Commits beyond `after`, ascending, at most `limit`, with the events that had happened."""
        return [self._kept(found) for found in self._node.read(shard, after, limit)]

    def _kept(self, found: FeedCommit) -> FeedCommit:
        events = [
            event
            for event in found.commit.events
            if event.occurred_at <= self._until or kind_of(event.stream) == CATALOGUE
        ]
        if len(events) == len(found.commit.events):
            return found
        return found._replace(commit=msgspec.structs.replace(found.commit, events=events))


async def replay(house: House, args: Mapping[str, object], _out: Out) -> dict[str, object]:
    """Queues and figures as they stood at `until`: the log folded anew, beside the read models."""
    until = _time(args["until"])
    assert until is not None
    await house.node.settle()
    return await asyncio.to_thread(_replay, house.node, until)


def _replay(node: Node, until: datetime) -> dict[str, object]:
    with tempfile.TemporaryDirectory(prefix="kontaktcenter-replay-") as name:
        folder = Path(name)
        with (
            closing(Runner(Until(node, until), folder, all_projections())) as runner,
            closing(ReadModels(folder)) as read_models,
        ):
            runner.catch_up()
            queues = queues_now(read_models, until).as_json()
            figures = asked(read_models, StatisticsQuery()).as_json()
    as_of = figures["as_of"]
    return {"until": until.isoformat(), "as_of": as_of, "queues": queues, "statistics": figures}
