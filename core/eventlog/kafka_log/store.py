"""All books of a deployment as topics of a Kafka cluster."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from core.errors import Refused, Unavailable
from core.eventlog.kafka_log.address import book_of_topic, client_name, fast_is_there, topic_of
from core.eventlog.kafka_log.client import Away
from core.eventlog.kafka_log.describer import AdminDescriber
from core.eventlog.kafka_log.gaps import Gaps
from core.eventlog.kafka_log.options import connection_options
from core.eventlog.kafka_log.shard_log import KafkaLog
from core.eventlog.kafka_log.watch import Watch
from core.eventlog.kafka_log.worker import Worker
from core.limits import KAFKA_CREATE_S_MAX, KAFKA_IDENTITY_S
from core.vocabulary import KEYS

_LOOK_S = 0.1

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from core.eventlog.kafka_log.address import KafkaSettings
    from core.eventlog.kafka_log.client import Client, Topic

_LOOKS_AFTER_MAKING: Final = 15
_BETWEEN_LOOKS_S: Final = 0.2


class KafkaStore:
    """Implements `core.eventlog.log.LogStore`. To make one needs no broker; use from one loop.

    Raises, when made: Refused (files for TLS; a client that is not installed).
    """

    shared = True

    def __init__(
        self, settings: KafkaSettings, *, identity_every_s: float = KAFKA_IDENTITY_S
    ) -> None:
        self.settings = settings
        options = connection_options(settings)
        self.client = client_of(settings, options)
        self._describer = AdminDescriber(options)
        self._watch = Watch(self._describer, identity_every_s)
        self._logs: dict[tuple[str, int], KafkaLog] = {}
        self._creating = asyncio.Lock()

    async def books(self) -> Mapping[str, int]:
        """The books that exist, with their number of shards. Raises: Unavailable."""
        prefix = self.settings.address.prefix
        found = {}
        for name, topic in sorted((await self._topics()).items()):
            book = book_of_topic(prefix, name)
            if book not in {None, KEYS}:
                found[str(book)] = topic.partitions
        return found

    async def _topics(self) -> Mapping[str, Topic]:
        try:
            return await self._describer.topics()
        except Away as e:
            raise self._away(e) from e

    async def open_shard(self, book: str, shard: int) -> KafkaLog:
        """The log of one shard, its topic made where the settings allow it.

        Raises: Unavailable, Refused.
        """
        if (book, shard) not in self._logs:
            topic = topic_of(self.settings.address.prefix, book)
            async with self._creating:
                await self._there(book, topic, shard)
        return self.known_shard(book, shard)

    def known_shard(self, book: str, shard: int) -> KafkaLog:
        """As `open_shard`, of one that was there before; asks nobody."""
        known = self._logs.get((book, shard))
        if known is None:
            topic = topic_of(self.settings.address.prefix, book)
            void = frozenset(at for b, n, at in self.settings.void if (b, n) == (book, shard))
            gaps = Gaps(f"{topic}/{shard}", f"{book}/{shard}", void)
            known = KafkaLog(self.client, self._watch, topic, shard, gaps)
            self._logs[book, shard] = known
        return known

    async def _there(self, book: str, topic: str, shard: int) -> None:
        """Return when the topic is there and has the shard."""
        try:
            found = (await self._describer.describe([topic])).get(topic)
            if found is None and self.settings.create:
                await self._create(book)
                found = await self._described_soon(topic)
        except Away as e:
            raise self._away(e) from e
        if isinstance(found, Away):
            raise self._away(found)
        if found is None:
            raise Unavailable(
                f"there is no topic {topic}: make it with 'kontaktcenter log create'",
                neighbour="log",
                retry_after_s=5,
            )
        if shard >= found.partitions:
            raise Unavailable(
                f"the topic {topic} has {found.partitions} partitions and no shard {shard}: make "
                "it anew with as many as are wanted ('kontaktcenter log create')",
                neighbour="log",
                retry_after_s=60,
            )

    async def _described_soon(self, topic: str) -> Topic | Away | None:
        """A topic that was just made, here or by another node: a broker learns of it by and by."""
        loop = asyncio.get_running_loop()
        until_s = loop.time() + KAFKA_CREATE_S_MAX
        while True:
            found = (await self._describer.describe([topic])).get(topic)
            if found is not None or loop.time() > until_s:
                return found
            await asyncio.sleep(_LOOK_S)

    async def _described_anew(self, topic: str) -> Topic | Away | None:
        """A topic that was just made: not every broker knows of it at once."""
        found = None
        for _ in range(_LOOKS_AFTER_MAKING):
            found = (await self._describer.describe([topic])).get(topic)
            if found is not None:
                break
            await asyncio.sleep(_BETWEEN_LOOKS_S)
        return found

    async def _create(self, book: str) -> None:
        from core.eventlog.kafka_log.admin import ensure_topics  # noqa: PLC0415 -- for those who may

        worker = Worker("kafka-creator")
        try:
            await worker.run(lambda: ensure_topics(self.settings, {book: None}), KAFKA_CREATE_S_MAX)
        except TimeoutError as e:
            raise Away("the topic was not made in time") from e
        finally:
            worker.stop()

    def _away(self, why: object) -> Unavailable:
        servers = ",".join(self.settings.address.servers)
        msg = f"the log on Kafka at {servers} does not answer ({why}): see kontaktcenter doctor"
        return Unavailable(msg, neighbour="log", retry_after_s=1)

    async def close(self) -> None:
        """Let go of connections and threads, within five seconds, whatever the brokers do."""
        await self._watch.close()
        await asyncio.gather(self.client.close(), self._describer.close())


def client_of(settings: KafkaSettings, options: Mapping[str, Any]) -> Client:
    """The client that the address names, else aiokafka where it is installed. Raises: Refused."""
    if client_name(settings.address) == "kafka-python":
        from core.eventlog.kafka_log.classic import ClassicClient  # noqa: PLC0415 -- one of the two

        return ClassicClient(options)
    if not fast_is_there():
        raise Refused(
            "KC_LOG asks for client=aiokafka, which is not installed: "
            "pip install 'kontaktcenter[fast]', or leave client= out"
        )
    from core.eventlog.kafka_log.fast import FastClient  # noqa: PLC0415 -- it may not be installed

    return FastClient(options)
