"""The product's figures: the read models of `projections`, asked as the web house needs it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from projections.live import Goal, queues_now
from projections.statistics import StatisticsQuery, statistics

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime

    from projections.read_models import ReadModels
    from projections.runner import Runner
    from webdesk.services import Target


class ReadFigures:
    """Implements `webdesk.services.Figures` on a runner and its files. From any thread."""

    def __init__(self, read_models: ReadModels, runner: Runner, target: Target) -> None:
        self._models = read_models
        self._runner = runner
        self._goal = Goal(target.share, target.answer_within_s, target.short_abandon_s)

    def queues(self, now: datetime) -> Mapping[str, Any]:
        """The queues as they stand. Raises: Unavailable."""
        return queues_now(self._models, now, self._goal).as_json()

    def statistics(self, asked: StatisticsQuery) -> Mapping[str, Any]:
        """The figures. Raises: Invalid, Unavailable."""
        return statistics(self._models, asked).as_json()

    def positions(self) -> dict[str, int]:
        """How far the read models have come: in each shard the one that is furthest behind."""
        lowest: dict[str, int] = {}
        for name in self._runner.names():
            for shard, position in self._runner.positions(name).items():
                lowest[shard] = min(position, lowest.get(shard, position))
        return lowest

    def parked(self) -> dict[str, int]:
        """How many events each read model has set aside."""
        return {name: self._runner.parked_count(name) for name in self._runner.names()}

    def subscribe(self, changed: Callable[[], None]) -> None:
        """Call `changed` whenever a read model has moved."""
        self._runner.on_change(lambda _name, _positions: changed())
