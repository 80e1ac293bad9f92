"""Ours: `Node.propose`, with conflict check, digest and index, acknowledged and read back."""

from __future__ import annotations

import asyncio
import random
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from bench.kafka_material import clock, draft

from core.commit import Accepted
from core.eventlog.kafka_log import KafkaSecurity, KafkaSettings, parse_address
from core.eventlog.node import Node, NodeSettings
from kontaktcenter import collecting
from kontaktcenter.event_loop import loop_factory

if TYPE_CHECKING:
    from collections.abc import Callable

    from bench.kafka_drive import Setting

    from core.commit import Answer, Draft


def settings_of(brokers: str, prefix: str, client: str, folder: Path) -> NodeSettings:
    """What a node on these brokers is opened with; its topics are made where they are missing."""
    log = f"kafka://{brokers}/{prefix}?client={client}"
    kafka = KafkaSettings(parse_address(log), KafkaSecurity(), "unsafe", "trial")
    return NodeSettings(log, folder, clock, kafka=kafka)


class Ours:
    """A node with its index; each answer is checked to be an acceptance."""

    commits: ClassVar[int] = 16_000
    client: ClassVar[str]

    @property
    def loop_factory(self) -> Callable[[], asyncio.AbstractEventLoop] | None:
        """The loop that `serve` takes for this client."""
        return loop_factory(f"kafka://{self._setting.brokers}?client={self.client}")

    def __init__(self, setting: Setting) -> None:
        self._setting, self._chance = setting, random.Random(setting.prefix)

    async def open(self) -> None:
        here = self._setting
        folder = Path(here.folder)
        self._node = await Node.open(settings_of(here.brokers, here.prefix, self.client, folder))
        collecting.settle()  # as `serve` does

    def make(self, _number: int) -> Draft:
        return draft(self._chance)

    async def commit(self, made: Draft) -> None:
        _check(await self._node.propose(made))

    async def pipeline(self, many: list[Draft]) -> None:
        for answer in await asyncio.gather(*map(self._node.propose, many)):
            _check(answer)

    def make_large(self, _number: int) -> Draft:
        return draft(self._chance, 1_000)

    async def commit_large(self, made: Draft) -> None:
        _check(await self._node.propose(made))

    async def close(self) -> None:
        await self._node.close()


def _check(answer: Answer) -> None:
    assert isinstance(answer.verdict, Accepted), answer


class OursFast(Ours):
    """Over aiokafka."""

    client = "aiokafka"


class OursClassic(Ours):
    """Over kafka-python."""

    client = "kafka-python"
    commits = 8_000
