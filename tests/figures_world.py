"""What the tests of read models share: a node with facts in it, and the read models over it."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import NAMESPACE_OID, uuid5

from core.commit import Draft, Event, Happened
from core.eventlog.kafka_log import KafkaSettings, parse_address
from core.eventlog.node import NodeSettings
from core.eventlog.recorder.blocking import BlockingNode
from core.personal import CitySecret
from projections.read_models import ReadModels, all_projections
from projections.runner import Runner

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from core.commit import Clock

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
_NUMBER = count()

Told = tuple[str, Event, datetime]


@dataclass
class Figures:
    """A node in memory with a runner and the read models; `tell` records facts."""

    node: BlockingNode
    folder: Path
    runner: Runner
    models: ReadModels = field(init=False)

    def __post_init__(self) -> None:
        self.models = ReadModels(self.folder)

    def tell(
        self,
        facts: Iterable[Told],
        *,
        origin: str = "telephony:lab",
        together: bool = False,
    ) -> None:
        """Record facts, one commit each or one for all, and wait until the figures hold them."""
        told = list(facts)
        parts = [told] if together else [[fact] for fact in told]
        self.node.propose_many([draft(part, origin) for part in parts if part])
        self.node.settle()
        self.runner.catch_up()


def draft(facts: Sequence[Told], origin: str = "telephony:lab") -> Draft:
    number = f"test {next(_NUMBER)}"
    happened = tuple(Happened(stream, event, at) for stream, event, at in facts)
    return Draft(uuid5(NAMESPACE_OID, number), number, "test", origin, happened)


@contextmanager
def figures_at(
    folder: Path, log: str = "memory:", now: datetime = NOW, clock: Clock | None = None
) -> Iterator[Figures]:
    kafka = KafkaSettings(parse_address(log), create="unsafe") if "kafka:" in log else None
    settings = NodeSettings(
        log, folder, clock or (lambda: now), CitySecret(bytes(range(32))), kafka=kafka
    )
    node = BlockingNode(settings)
    try:
        projections = all_projections(node.node.keyring.by_id)
        runner = Runner(node, folder / "projections", projections)
        figures = Figures(node, folder / "projections", runner)
        runner.catch_up()
        try:
            yield figures
        finally:
            runner.close()
            figures.models.close()
    finally:
        node.close()
