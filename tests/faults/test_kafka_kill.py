"""Nodes on Kafka that are killed: what they acknowledged is in the log, once, for every reader."""

from __future__ import annotations

import random
import shutil
import signal
import time
from typing import TYPE_CHECKING

import pytest
from kafka_fault_world import (
    FaultWorld,
    fault_world,
    pytest_generate_tests,  # noqa: F401 -- pytest's: which clients
    until,
)
from kafka_fault_zygote import KILL_POINTS

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from deploy.kafka_lab import SharedBroker

pytestmark = [pytest.mark.fault, pytest.mark.kafka]


@pytest.fixture
def world(
    client: str, tmp_path: Path, kafka_broker: SharedBroker, kafka_prefix: str
) -> Iterator[FaultWorld]:
    with fault_world(tmp_path, kafka_broker.servers, kafka_prefix, client) as made:
        yield made


def test_whenever_a_node_on_kafka_is_killed_what_it_acknowledged_survives_once(
    world: FaultWorld, whole: bool
) -> None:
    """Two at a time, beside one that lives on; every fourth time the index is lost too."""
    rounds, dice = (50 if whole else 2), random.Random(world.client)
    (steady,) = world.started("steady", pace_s=0.05)
    killed = [world.node("killed"), world.node("killed-too")]
    for n in range(rounds):
        for node in killed:
            if n % 4 == 2:
                shutil.rmtree(node.data / "index", ignore_errors=True)
            world.start(node, pace_s=0.002)
        if dice.random() < 0.8:
            killed[n % 2].wait_anew("open")
        for node in killed:
            time.sleep(dice.choice([0.05, 0.3, 0.8]) * dice.random())
            node.kill()
    for node in killed:
        world.start(node).wait_anew("working")
    world.finish()
    assert steady.answers("accepted") > rounds
    assert all(node.answers("accepted") > rounds for node in killed)
    assert all(node.doubtful() == () for node in killed)


def test_at_whichever_point_a_node_on_kafka_is_killed_its_ids_have_one_verdict(
    world: FaultWorld, whole: bool
) -> None:
    """Before and after an append, before judging, and inside the index's transaction."""
    killed, other = world.started("killed", "other", pace_s=0.002)
    killed.kill()
    for nth in range(1, 13 if whole else 2):
        for point in KILL_POINTS:
            world.start(killed, kill_at=point, kill_nth=nth * 3, pace_s=0.002)
            assert killed.zygote.end(killed.pid, sent=None) == -signal.SIGKILL
    world.start(killed).wait_anew("working")
    world.finish()
    assert killed.doubtful() == other.doubtful() == ()


def test_a_node_that_stood_still_for_a_long_time_goes_on(world: FaultWorld, whole: bool) -> None:
    """There is no lease to lose: what it asked for meanwhile is late, and nothing else."""
    still, other = world.started("still", "other", pace_s=0.02)
    still.pause()
    time.sleep(30 if whole else 4)
    before = still.answers("accepted")
    still.resume()
    until(lambda: still.answers("accepted") > before + 20, "it goes on")
    world.finish()
    assert other.answers("kept") == 0
