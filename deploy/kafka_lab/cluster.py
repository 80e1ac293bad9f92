"""Three brokers that are one cluster: replication 3, and an acknowledgement needs two."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

from deploy.kafka_lab import wire
from deploy.kafka_lab.broker import READY_S, Broker, cluster_id

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path
    from types import TracebackType

    from deploy.kafka_lab.broker import Listener
    from deploy.kafka_lab.fetch import Software

SIZE: Final = 3
_LOOK_S: Final = 0.1
_SAFE: Final = {"default.replication.factor": "3", "min.insync.replicas": "2"}


class Cluster:
    """Three combined nodes, each broker and controller, on free ports of loopback.

    As a context it is started, and stopped at the end. Two of three down is also the loss of the
    controllers' majority. `properties` are for all nodes; `listeners(node_id)` gives each its own.
    """

    def __init__(  # noqa: PLR0913 -- likewise
        self,
        software: Software,
        folder: Path,
        *,
        properties: Mapping[str, str] | None = None,
        listeners: Callable[[int], Sequence[Listener]] = lambda _node_id: (),
        advertised_ports: Mapping[int, int] | None = None,
        jvm: Sequence[str] = (),
    ) -> None:
        self.folder, made = folder, cluster_id()
        self.brokers = {
            node_id: Broker(
                software,
                folder / f"broker-{node_id}",
                node_id=node_id,
                properties={**_SAFE, **(properties or {})},
                listeners=listeners(node_id),
                advertised_port=(advertised_ports or {}).get(node_id),
                jvm=jvm,
                cluster=made,
            )
            for node_id in range(1, SIZE + 1)
        }
        quorum = {node_id: broker.voter for node_id, broker in self.brokers.items()}
        for broker in self.brokers.values():
            broker.quorum = quorum

    @property
    def servers(self) -> str:
        """What a client is given: `HOST:PORT,HOST:PORT,HOST:PORT`."""
        return ",".join(broker.servers for broker in self.brokers.values())

    def start(self) -> None:
        """Start what does not run, and wait until all know of all. Raises: RuntimeError."""
        for broker in self.brokers.values():
            broker.start(wait=False)
        self.wait_ready()

    def wait_ready(self, within_s: float = READY_S) -> None:
        """Wait until every broker answers and knows of the others. Raises: RuntimeError."""
        for broker in self.brokers.values():
            broker.wait_ready(within_s)
        everyone = set(self.brokers)
        self._until(
            lambda: all(set(b.metadata().brokers) == everyone for b in self.brokers.values()),
            "the brokers do not know of each other",
            within_s,
        )

    def restore(self) -> None:
        """Whatever was done to it: all run, and every partition is in sync on all its brokers."""
        for broker in self.brokers.values():
            broker.resume()
        self.start()
        self.wait_in_sync()

    def wait_in_sync(self, *topics: str, within_s: float = READY_S) -> None:
        """Wait until these topics, or all, are in sync wherever they are kept.

        Raises: RuntimeError.
        """
        self._until(
            lambda: all(
                partition.leader >= 0 and set(partition.in_sync) == set(partition.replicas)
                for found in self.metadata(*topics).topics.values()
                for partition in found.values()
            ),
            "the replicas are not in sync",
            within_s,
        )

    def metadata(self, *topics: str) -> wire.Metadata:
        """What the first broker that answers says of these topics, or of all. Raises: OSError."""
        for broker in self.brokers.values():
            if not broker.running:
                continue
            try:
                return wire.metadata(broker.address, topics or None)
            except OSError:
                continue
        raise OSError("no broker of the cluster answers")

    def leader_of(self, topic: str, partition: int = 0) -> Broker:
        """The broker that leads a partition. Raises: LookupError where none does, OSError."""
        leader = self._partition(topic, partition).leader
        if leader not in self.brokers:
            raise LookupError(f"nobody leads {topic}/{partition}")
        return self.brokers[leader]

    def follower_of(self, topic: str, partition: int = 0) -> Broker:
        """A broker that holds a partition without leading it. Raises: LookupError, OSError."""
        found = self._partition(topic, partition)
        return self.brokers[next(n for n in found.replicas if n != found.leader)]

    def wait_leader(
        self, topic: str, partition: int = 0, *, other_than: Broker, within_s: float = 30.0
    ) -> Broker:
        """Wait for another leader than that one. Raises: RuntimeError."""

        def led_by_another() -> bool:
            return self._partition(topic, partition).leader not in {-1, other_than.node_id}

        self._until(led_by_another, f"no other leader of {topic}/{partition}", within_s)
        return self.leader_of(topic, partition)

    def _partition(self, topic: str, partition: int) -> wire.Partition:
        return self.metadata(topic).topics[topic][partition]

    def create_topic(
        self,
        name: str,
        partitions: int = 1,
        *,
        replication: int = SIZE,
        settings: Mapping[str, str] | None = None,
    ) -> None:
        """Make a topic, and wait until it has leaders. Raises: OSError, RuntimeError."""
        found = self.metadata()
        wire.create_topic(
            self.brokers[found.controller].address, name, partitions, replication, settings
        )
        self._until(
            lambda: len(self.metadata(name).topics.get(name, {})) == partitions,
            f"{name} was not made",
            READY_S,
        )
        self.wait_in_sync(name)

    def close(self, *, keep_log: bool = False) -> None:
        """End all nodes and remove their data."""
        for broker in self.brokers.values():
            broker.close(keep_log=keep_log)

    def __enter__(self) -> Cluster:
        try:
            self.start()
        except BaseException:
            self.close(keep_log=True)
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        _t: TracebackType | None,
    ) -> None:
        self.close(keep_log=kind is not None)
        if error is not None:
            error.add_note(f"the brokers' logs: {self.folder}")

    def _until(self, done: Callable[[], bool], otherwise: str, within_s: float) -> None:
        until = time.monotonic() + within_s
        while time.monotonic() < until:
            try:
                if done():
                    return
            except (OSError, LookupError):
                pass  # not yet
            time.sleep(_LOOK_S)
        raise RuntimeError(f"{otherwise} after {within_s:.0f} s; the brokers' logs: {self.folder}")
