"""A cluster of three whose brokers are killed, restarted, paused: nothing acknowledged is lost."""

from __future__ import annotations

import asyncio
import contextlib
import time
import uuid
from typing import TYPE_CHECKING

import pytest
from kafka_fault_world import (
    CLIENTS,
    FaultWorld,
    fault_world,
    goes_on,
    pytest_generate_tests,  # noqa: F401 -- pytest's: which clients
    until,
)
from kafka_kinds import settings_on
from log_world import story

from core.errors import Unavailable
from core.eventlog.kafka_log.store import KafkaStore

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from deploy.kafka_lab import Cluster

pytestmark = [pytest.mark.fault, pytest.mark.kafka, pytest.mark.slow]


@pytest.fixture
def world(client: str, tmp_path: Path, kafka_cluster: Cluster) -> Iterator[FaultWorld]:
    prefix = f"t{uuid.uuid4().hex[:10]}"
    servers = kafka_cluster.servers
    with fault_world(tmp_path, servers, prefix, client, create="safe") as made:
        yield made


def test_whichever_leader_is_killed_under_load_nothing_is_lost_or_doubled(
    world: FaultWorld, kafka_cluster: Cluster, whole: bool
) -> None:
    nodes = world.started("one", "two")
    for n in range(6 if whole else 1):
        leader = kafka_cluster.leader_of(f"{world.prefix}.calls", n % 4)
        leader.kill()
        goes_on(*nodes)
        kafka_cluster.restore()
    world.finish()


def test_brokers_that_are_restarted_one_after_the_other_are_hardly_noticed(
    world: FaultWorld, kafka_cluster: Cluster, whole: bool
) -> None:
    nodes = world.started("one", "two")
    for broker in list(kafka_cluster.brokers.values())[: 3 if whole else 1]:
        broker.restart()
        goes_on(*nodes)
        kafka_cluster.restore()
    world.finish()


def test_too_few_replicas_stop_the_writing_until_there_are_enough(
    world: FaultWorld, kafka_cluster: Cluster, whole: bool
) -> None:
    """All three must have it here, and one of them stands still; reading goes on."""
    for book, partitions in (("calls", 4), ("centre", 1)):
        kafka_cluster.create_topic(
            f"{world.prefix}.{book}", partitions, settings={"min.insync.replicas": "3"}
        )
    nodes = world.started("one", "two")
    follower = kafka_cluster.follower_of(f"{world.prefix}.calls")
    follower.pause()
    until(lambda: all(node.answers("kept") for node in nodes), "both are islands")
    time.sleep(60 if whole else 1)
    follower.resume()
    goes_on(*nodes)
    kafka_cluster.restore()
    world.finish()


def test_with_all_brokers_gone_facts_are_kept_and_come_into_the_log_once(
    world: FaultWorld, kafka_cluster: Cluster, whole: bool
) -> None:
    """One of the nodes is killed meanwhile, and starts with no broker there."""
    one, two = world.started("one", "two", pace_s=0.05)
    for broker in kafka_cluster.brokers.values():
        broker.kill()
    until(lambda: one.answers("kept") > 5 and two.answers("kept") > 5, "both are islands")
    one.kill()
    world.start(one, pace_s=0.05)
    assert one.wait_anew("open", 30)["away"]
    kept = one.answers("kept")
    until(lambda: one.answers("kept") > kept + 5, "facts are kept after the start too")
    time.sleep(60 if whole else 0)
    kafka_cluster.start()
    goes_on(one, two)
    judged = world.finish()
    kinds = {first.commit["events"][0]["type"] for first in judged["centre/0"].first.values()}
    assert {"node.cut_off", "node.returned"} <= kinds


@pytest.mark.parametrize("which", CLIENTS)
@story
async def test_a_log_finds_its_new_leader_although_the_old_one_is_back(
    kafka_cluster: Cluster, which: str
) -> None:
    """kafka-python asks the broker that it knows for ever, though that says it leads no more."""
    topic = f"t{uuid.uuid4().hex[:10]}.centre"
    prefix = topic.partition(".")[0]
    for name in (topic, f"{prefix}.looks", f"{prefix}.cases.TK"):
        kafka_cluster.create_topic(name)
    settings = settings_on(kafka_cluster.servers, prefix, which)
    store = KafkaStore(settings)
    try:
        log = await store.open_shard("centre", 0)
        assert await log.append(b"0") == 0
        assert await log.end() == 1
        former = kafka_cluster.leader_of(topic)
        await asyncio.to_thread(former.kill)
        await asyncio.to_thread(kafka_cluster.wait_leader, topic, other_than=former)
        await asyncio.to_thread(kafka_cluster.restore)
        others = [await store.open_shard(book, 0) for book in ("looks", "cases.TK")]
        for _ in range(8):
            await asyncio.gather(*(log.end() for log in others), return_exceptions=True)
            with contextlib.suppress(Unavailable):
                assert await log.end() == 1
                break
        else:
            raise AssertionError("it does not find the new leader")
        assert [r.body for r in await log.read(0, 9, 5)] == [b"0"]
    finally:
        await store.close()
