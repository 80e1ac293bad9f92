"""The way between a node and its brokers is cut, loses replies, or ends at a broker that sleeps."""

from __future__ import annotations

import time
import uuid
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import pytest
from kafka_fault_world import (
    fault_world,
    goes_on,
    kafka_zygote,
    pytest_generate_tests,  # noqa: F401 -- pytest's: which clients
    until,
)
from net_namespace import namespace  # noqa: F401 -- a fixture
from tcp_proxy import Proxy

from deploy.kafka_lab.broker import Listener

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from net_namespace import Namespace

    from deploy.kafka_lab import Broker

pytestmark = [pytest.mark.fault, pytest.mark.kafka, pytest.mark.slow]


@pytest.fixture
def prefix() -> str:
    return f"t{uuid.uuid4().hex[:10]}"


def types_in(judged: dict[str, Any], shard: str) -> list[str]:
    return [first.commit["events"][0]["type"] for first in judged[shard].first.values()]


def test_replies_that_are_lost_make_copies_and_one_effect(
    own_broker: Callable[..., Broker], tmp_path: Path, client: str, prefix: str, whole: bool
) -> None:
    with Proxy() as proxy:
        broker = own_broker(advertised_port=proxy.port)
        proxy.target = broker.address
        with fault_world(tmp_path, broker.servers, prefix, client) as world:
            nodes = world.started("one", "two")
            for n in range(20 if whole else 4):
                proxy.drop_replies(2, close=n % 2 == 0)
                goes_on(*nodes)
            assert proxy.dropped > 4
            judged = world.finish()
            assert sum(one.counts["duplicate"] for one in judged.values()) > 0


def test_a_broker_that_slept_wakes_to_late_copies_and_nodes_that_live(
    own_broker: Callable[..., Broker], tmp_path: Path, client: str, prefix: str, whole: bool
) -> None:
    broker = own_broker()
    with fault_world(tmp_path, broker.servers, prefix, client) as world:
        nodes = world.started("one", "two", pace_s=0.05)
        broker.pause()
        until(lambda: all(node.answers("kept") for node in nodes), "both are islands", 10)
        time.sleep(148 if whole else 6)
        broker.resume()
        goes_on(*nodes)
        judged = world.finish(180)
        assert types_in(judged, "centre/0").count("node.returned") >= 2


def test_three_short_cuts_after_each_other_leave_every_fact_once(
    own_broker: Callable[..., Broker], tmp_path: Path, client: str, prefix: str
) -> None:
    with Proxy() as proxy:
        broker = own_broker(advertised_port=proxy.port)
        proxy.target = broker.address
        with fault_world(tmp_path, broker.servers, prefix, client) as world:
            nodes = world.started("one", "two", pace_s=0.05)
            for _ in range(3):
                kept = [node.answers("kept") for node in nodes]
                proxy.blackhole()
                until(
                    lambda kept=kept: all(  # type: ignore[misc]
                        node.answers("kept") > n for node, n in zip(nodes, kept, strict=True)
                    ),
                    "both are islands",
                )
                proxy.pass_on()
                goes_on(*nodes)
            world.finish()


@pytest.mark.root
def test_a_node_that_is_cut_off_while_the_others_go_on_ends_with_the_same_digest(
    own_broker: Callable[..., Broker],
    namespace: Namespace,  # noqa: F811 -- the fixture
    tmp_path: Path,
    client: str,
    prefix: str,
    whole: bool,
) -> None:
    broker = own_broker(listeners=[Listener("CABLE", host=namespace.outside)])
    with ExitStack() as stack:
        world = stack.enter_context(fault_world(tmp_path, broker.servers, prefix, client))
        with namespace.inside():
            inside = stack.enter_context(kafka_zygote())
        (outer,) = world.started("outer", pace_s=0.02)
        cut = world.node("cut", inside)
        world.start(cut, servers=broker.servers_of("CABLE"), pace_s=0.02)
        cut.wait("working")
        namespace.cut()
        until(lambda: cut.answers("kept") > 10, "it is an island")
        goes_on(outer)
        time.sleep(60 if whole else 1)
        namespace.mend()
        goes_on(cut, outer)
        judged = world.finish()
        assert outer.answers("kept") == 0
        assert "node.cut_off" in types_in(judged, "centre/0")
