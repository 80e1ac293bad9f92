"""Islands on a real Kafka: a node whose network is cut, a broker that is paused, no broker at all.

One node reaches the broker through a proxy, which cuts it off alone; the other goes on beside it.
"""

from __future__ import annotations

import asyncio
from itertools import count
from typing import TYPE_CHECKING

import pytest
from island_world import island_of, returned, topics, until
from kafka_kinds import CLIENTS, settings_on
from log_world import SECRET, Ticks, decided, queued, story
from nodes_world import assert_same_digests
from tcp_proxy import Proxy

from core.commit import Accepted, Kept
from core.errors import Unavailable
from core.eventlog.node import Node, NodeSettings
from deploy.kafka_lab import Broker, Listener

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from deploy.kafka_lab import Software

pytestmark = [pytest.mark.kafka, pytest.mark.fault, pytest.mark.slow]
_PREFIX = count()


class Lab:
    """One broker with two ways in: the proxy's, and one beside it."""

    def __init__(self, broker: Broker, proxy: Proxy) -> None:
        self.broker, self.proxy = broker, proxy

    def settings(self, folder: Path, prefix: str, client: str, *, beside: bool) -> NodeSettings:
        """A node that goes one of the ways."""
        servers = self.broker.servers_of("BESIDE") if beside else self.broker.servers
        kafka = settings_on(servers, prefix, client)
        log = f"kafka://{servers}/{prefix}?client={client}"
        return NodeSettings(log, folder, Ticks(), secret=SECRET, kafka=kafka, name=folder.name)


@pytest.fixture(scope="module")
def _lab(kafka_software: Software, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    with Proxy() as proxy:
        listeners = [Listener("BESIDE")]
        folder = tmp_path_factory.mktemp("kafka")
        with Broker(
            kafka_software, folder, advertised_port=proxy.port, listeners=listeners
        ) as broker:
            proxy.target = broker.address
            yield Lab(broker, proxy)


@pytest.fixture
def lab(_lab: Lab) -> Iterator[Lab]:
    yield _lab
    _lab.proxy.pass_on()
    _lab.broker.restore()


async def alike(*nodes: Node) -> None:
    """Wait until all nodes have judged equally far, and compare their digests."""
    await until(lambda: all(node.judged() == nodes[0].judged() for node in nodes))
    for node in nodes:
        await node.settle()
    assert_same_digests(*nodes, alike=True)


def everything(node: Node, numbers: range) -> list[int]:
    """How often each fact stands in the log."""
    return [len(node.load(f"call/x/{n}.1")) for n in numbers]


@pytest.mark.requirement("R3")
@pytest.mark.parametrize("client", CLIENTS)
@story
async def test_a_node_that_is_cut_off_alone_three_times_ends_like_the_one_that_went_on(
    lab: Lab, tmp_path: Path, client: str
) -> None:
    prefix = f"p{next(_PREFIX)}"
    cut = await Node.open(lab.settings(tmp_path / "cut", prefix, client, beside=False))
    other = await Node.open(lab.settings(tmp_path / "other", prefix, client, beside=True))
    await cut.propose_many([queued(n) for n in range(10)])
    at = 10
    for flap in range(3):
        lab.proxy.blackhole()
        # of the same calls, at both nodes: what is kept arrives behind what the other one told
        mine = asyncio.gather(*(cut.propose(queued(n, stream=n % 7)) for n in range(at, at + 30)))
        theirs = [
            other.propose(queued(n, stream=n % 7, number="0700000001"))
            for n in range(at + 30, at + 60)
        ]
        assert {type(a.verdict) for a in await asyncio.gather(*theirs)} == {Accepted}
        assert {type(answer.verdict) for answer in await mine} <= {Kept, Accepted}
        assert Kept in {type((await cut.propose(queued(n))).verdict) for n in range(at, at + 1)}
        lab.proxy.pass_on()
        await returned(cut)
        await until(lambda: topics(cut).count("node.returned") == flap + 1)  # noqa: B023 -- awaited
        at += 100
    await alike(cut, other)
    assert topics(other) == ["node.joined"]
    told = [topic for topic in topics(cut) if topic != "node.joined"]
    assert told == ["node.cut_off", "node.returned"] * 3
    for flap in range(3):
        for n in range(10 + 100 * flap, 70 + 100 * flap):
            found = [
                r
                for r in other.load(f"call/x/{n % 7}.1")
                if r.occurred_at == queued(n).events[0].occurred_at
            ]
            assert len(found) == 1, n
    assert not island_of(cut).asides
    await cut.close()
    await other.close()


@pytest.mark.parametrize("client", CLIENTS)
@story
async def test_a_broker_that_is_paused_makes_islands_of_all_and_decisions_wait_or_are_refused(
    lab: Lab, tmp_path: Path, client: str
) -> None:
    prefix = f"p{next(_PREFIX)}"
    nodes = [
        await Node.open(lab.settings(tmp_path / name, prefix, client, beside=True)) for name in "ab"
    ]
    assert isinstance((await nodes[0].propose(decided("open", "call/x/d", 1))).verdict, Accepted)
    lab.broker.pause()
    kept = await asyncio.gather(
        *(node.propose(queued(n)) for node in nodes for n in range(40))
    )  # the same facts at both nodes
    assert {type(answer.verdict) for answer in kept} == {Kept}
    with pytest.raises(Unavailable):
        await nodes[0].propose(decided("refused", "call/x/d", 2))
    lab.broker.resume()
    for node in nodes:
        await returned(node)
    await alike(*nodes)
    assert everything(nodes[1], range(40)) == [1] * 40
    for node in nodes:
        await node.close()


@pytest.mark.parametrize("client", CLIENTS)
@story
async def test_a_node_that_starts_without_kafka_serves_its_index_and_keeps_facts(
    lab: Lab, tmp_path: Path, client: str
) -> None:
    prefix = f"p{next(_PREFIX)}"
    settings = lab.settings(tmp_path / "a", prefix, client, beside=False)
    node = await Node.open(settings)
    await node.propose_many([queued(n) for n in range(5)])
    await node.close()
    lab.proxy.refuse()
    node = await Node.open(settings, may_wait=True)
    assert everything(node, range(5)) == [1] * 5
    answers = await node.propose_many([queued(n) for n in range(5, 9)])
    assert {type(answer.verdict) for answer in answers} == {Kept}
    await node.close()
    node = await Node.open(settings, may_wait=True)
    lab.proxy.pass_on()
    await returned(node)
    assert everything(node, range(9)) == [1] * 9
    await until(lambda: "node.returned" in topics(node))
    assert topics(node).count("node.cut_off") == topics(node).count("node.returned") == 1
    await node.close()
