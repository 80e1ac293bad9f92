"""Which topics there are, and their ids, asked through kafka-python's admin client.

Both clients use it: aiokafka does not tell a topic's id.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from kafka.admin import KafkaAdminClient
from kafka.errors import KafkaError

from core.eventlog.kafka_log.client import Away, Topic
from core.eventlog.kafka_log.made import made
from core.eventlog.kafka_log.worker import Worker
from core.limits import KAFKA_CLOSE_S_MAX, KAFKA_CONNECT_S_MAX, KAFKA_REQUEST_S_MAX

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

_UNKNOWN_TOPIC: Final = 3
_LIMIT_S: Final = KAFKA_CONNECT_S_MAX + 0.5  # a node starts without a broker within 3 s


class AdminDescriber:
    """Implements `Describer` on a thread of its own; connects when it is first asked."""

    def __init__(self, options: Mapping[str, Any]) -> None:
        self._options = {
            **options,
            "request_timeout_ms": int(KAFKA_REQUEST_S_MAX * 1000),
            "bootstrap_timeout_ms": int(KAFKA_CONNECT_S_MAX * 1000),
            "reconnect_backoff_max_ms": 500,
        }
        self._worker = Worker("kafka-describer")
        self._admin: KafkaAdminClient | None = None  # of the worker's thread

    async def topics(self) -> Mapping[str, Topic]:
        """All topics that we may see. Raises: Away."""
        found = await self._asked(None)
        return {name: topic for name, topic in found.items() if isinstance(topic, Topic)}

    async def describe(self, names: Collection[str]) -> Mapping[str, Topic | Away]:
        """Those of `names` that are there; Away for one that we may not look at. Raises: Away."""
        return await self._asked(sorted(names))

    async def _asked(self, names: list[str] | None) -> Mapping[str, Topic | Away]:
        try:
            return await self._worker.run(lambda: self._described(names), _LIMIT_S)
        except TimeoutError as e:
            raise Away("no broker answered in time") from e

    def _described(self, names: list[str] | None) -> Mapping[str, Topic | Away]:
        try:
            if self._admin is None:
                self._admin = made(KafkaAdminClient, self._options)
            found = self._admin.describe_topics(names)
        except Exception as e:
            self._drop()
            if not isinstance(e, (KafkaError, OSError, RuntimeError)):
                raise
            raise Away(f"{type(e).__name__}: {e}") from e
        topics: dict[str, Topic | Away] = {}
        for topic in found:
            error = topic["error_code"]
            if error and error != _UNKNOWN_TOPIC:
                said = f"the broker does not describe {topic['name']} (error {error})"
                topics[topic["name"]] = Away(said)
            elif not error:
                found_now = Topic(str(topic["topic_id"]), len(topic["partitions"]))
                topics[topic["name"]] = found_now
        return topics

    def _drop(self) -> None:
        admin, self._admin = self._admin, None
        if admin is not None:
            admin.close()

    async def close(self) -> None:
        """Let go, within the limit."""
        self._worker.post(self._drop)
        self._worker.stop()
        await self._worker.joined(KAFKA_CLOSE_S_MAX)
