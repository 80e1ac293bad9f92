"""Copies, forks, races, and what others write into the log: one judge, the same on every node."""

from __future__ import annotations

import re
import shutil
import time
from typing import TYPE_CHECKING

import msgspec
import pytest
from confluent_kafka import Producer, TopicPartition
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic
from kafka_fault_world import (
    FaultWorld,
    fault_world,
    goes_on,
    pytest_generate_tests,  # noqa: F401 -- pytest's: which clients
    until,
)
from kafka_fault_zygote import LARGE, TOO_LARGE, draft_of
from kafka_ledger import read_topic
from log_world import At, commit, record
from nodes_world import assert_same_digests

from core.vocabulary import shard_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from deploy.kafka_lab import SharedBroker

pytestmark = [pytest.mark.fault, pytest.mark.kafka]
SHARDS = 4


@pytest.fixture
def world(
    client: str, tmp_path: Path, kafka_broker: SharedBroker, kafka_prefix: str
) -> Iterator[FaultWorld]:
    with fault_world(tmp_path, kafka_broker.servers, kafka_prefix, client) as made:
        yield made


def write(world: FaultWorld, shard: int, *bodies: bytes | None, codec: str = "none") -> None:
    """As a program that is not ours does."""
    producer = Producer(
        {
            "bootstrap.servers": world.servers,
            "compression.type": codec,
            "message.max.bytes": 8_000_000,
        }
    )
    for body in bodies:
        producer.produce(f"{world.prefix}.calls", body, key=b"\x00", partition=shard)
    assert producer.flush(30) == 0


def stranger(name: str) -> tuple[int, bytes]:
    """A record that is right in all but its origin, and the shard that it belongs to."""
    stream = f"call/stranger/{name}"
    shard = shard_of(stream, SHARDS)
    return shard, record(commit(name, At(stream)), shard=shard)


def test_three_nodes_that_ask_for_the_same_things_are_told_the_same(world: FaultWorld) -> None:
    """Every id comes three times; then once more at a node that has read everything anew."""
    nodes = world.started("one", "two", "three", first=5_000_000, commits=300)
    for node in nodes:
        node.wait("quiet", 90)
    anew = nodes[0]
    anew.kill()
    shutil.rmtree(anew.data / "index")
    world.start(anew, retry=tuple(range(5_000_000, 5_000_300)), first=5_000_000, commits=0)
    anew.wait_anew("quiet", 90)
    judged = world.finish()
    duplicates = sum(one.counts["duplicate"] for one in judged.values())
    assert duplicates >= 3 * 300, "each id at each node, and once more"
    assert all(node.doubtful() == () for node in nodes)


def test_three_nodes_that_decide_about_the_same_streams_have_one_order(world: FaultWorld) -> None:
    nodes = world.started("one", "two", "three", pace_s=0.002)
    until(lambda: all(node.answers("stale") > 3 for node in nodes), "they meet")
    judged = world.finish()
    stale = [first for one in judged.values() for first in one.first.values()]
    assert any(first.answer == "stale" for first in stale)


def test_a_second_asking_under_the_same_id_is_a_fork_on_every_node(world: FaultWorld) -> None:
    one, two = world.node("one"), world.node("two")
    world.start(one, first=6_000_000, commits=100).wait("quiet", 60)
    world.start(two, first=6_000_000, commits=100, other=True).wait("quiet", 60)
    judged = world.finish()
    assert sum(shard.counts["fork"] for shard in judged.values()) == 100
    for node in (one, two):
        counts = node.wait("ended")["counts"]
        assert {name: told["fork"] for name, told in counts.items()} == {
            name: shard.counts["fork"] for name, shard in judged.items()
        }


def test_what_others_write_is_judged_or_void_and_never_in_anybodys_way(world: FaultWorld) -> None:
    world.strangers = ("import:test",)
    nodes = world.started("one", "two")
    shard, valid = stranger("a")
    for codec in ("none", "gzip", "snappy", "lz4", "zstd"):
        write(
            world, shard, b"not JSON", None, b"", b"\x00\xff" * 5_000, b"[" * 100_000,
            record(commit(codec, At("call/stranger/a")), shard=shard),
            record(commit(f"book {codec}", At("call/stranger/a")), shard=shard, book="centre"),
            record(commit(f"shard {codec}", At("call/stranger/a")), shard=(shard + 1) % SHARDS),
            record(commit(f"newer {codec}", At("call/stranger/a")), shard=shard, fmt=2),
            codec=codec,
        )  # fmt: skip
    write(world, shard, valid, valid, b"x" * 7_000_000)
    topic = f"{world.prefix}.calls"
    early = [body for _, body in read_topic(world.servers, topic, shard)[:20]]
    write(world, shard, *early)  # with the genesis, which is void where it stands now
    goes_on(*nodes)
    judged = world.finish()[f"calls/{shard}"]
    assert judged.counts["void"] >= 5 * 8 + 2
    assert judged.counts["duplicate"] >= 1
    for node in nodes:
        counts = node.wait("ended")["counts"][f"calls/{shard}"]
        assert {key: counts[key] for key in ("void", "fork", "duplicate")} == {
            key: judged.counts[key] for key in ("void", "fork", "duplicate")
        }


def test_a_format_that_was_raised_stops_every_node_where_it_was_raised(world: FaultWorld) -> None:
    nodes = world.started("one", "two")
    write(world, 0, record(commit("raised by nobody", At("call/y/1")), fmt=7))
    write(world, 0, record(commit("raised", raises_format=2)))
    for node in nodes:
        assert "upgrade" in node.wait("stopped")["why"]
        time.sleep(0.2)
        node.kill()
    assert_same_digests(*(node.data for node in nodes))
    world.start(nodes[0])
    assert "upgrade" in nodes[0].wait("failed")["why"]
    nodes[0].pid = 0


def test_a_commit_that_is_too_large_is_refused_alone(world: FaultWorld) -> None:
    (node,) = world.started("one", retry=(LARGE, TOO_LARGE))
    other = world.started("two", clock_h=-2.0)[0]
    world.finish()
    answers = {line["told"]: line["answer"] for line in node.told() if "told" in line}
    assert answers[str(draft_of(TOO_LARGE).id)] == "refused"
    assert answers[str(draft_of(LARGE).id)] == "accepted"
    assert node.answers("refused") == 1
    assert other.answers("refused") == 0


def test_clocks_that_are_two_hours_wrong_change_no_order(world: FaultWorld) -> None:
    world.started("behind", clock_h=-2.0)
    world.started("ahead", clock_h=2.0)
    world.started("right")
    judged = world.finish()["calls/0"]
    times = [first.commit["recorded_at"] for first in judged.first.values()]
    assert times != sorted(times)


@pytest.mark.parametrize("how", ["deleted", "made again", "longer", "cut at its beginning"])
def test_a_log_that_is_not_the_one_that_was_read_stops_the_node(
    world: FaultWorld, how: str
) -> None:
    """The node may make topics, and makes none in the place of one that it has read."""
    (node,) = world.started("one")
    until(lambda: node.answers("accepted") > 20, "it works")
    node.kill()
    changed(world, how)
    if how == "cut at its beginning":
        shutil.rmtree(node.data / "index")
    world.start(node)
    why = node.wait("failed")["why"]
    assert "Corrupt" in why
    assert any(word in why for word in ("Restore", "restore", "deleted")), why
    node.pid = 0


def changed(world: FaultWorld, how: str) -> None:
    """What nobody should do to a topic."""
    topic = f"{world.prefix}.calls"
    records = read_topic(world.servers, topic, 0)
    admin = AdminClient({"bootstrap.servers": world.servers})
    if how == "cut at its beginning":
        for done in admin.delete_records([TopicPartition(topic, 0, 3)]).values():
            done.result(30)
        return
    for done in admin.delete_topics([topic]).values():
        done.result(30)
    if how == "deleted":
        return
    again = NewTopic(topic, SHARDS, 1, config={"max.message.bytes": "8388608"})
    until(lambda: topic not in admin.list_topics(timeout=10).topics, "it is gone")
    time.sleep(0.5)
    for done in admin.create_topics([again]).values():
        done.result(30)
    time.sleep(0.5)
    if how == "longer":
        write(world, 0, *(body for _, body in records), *(body for _, body in records[1:]))


def in_a_transaction(world: FaultWorld) -> None:
    """A record and, after it, the offset without one that ends the transaction."""
    producer = Producer({"bootstrap.servers": world.servers, "transactional.id": world.prefix})
    producer.init_transactions(20)
    producer.begin_transaction()
    producer.produce(f"{world.prefix}.calls", msgspec.json.encode("x"), partition=0)
    producer.commit_transaction(20)


def missing_in(why: str) -> str:
    found = re.search(r"kafka_void=(calls/0:[0-9]+)", why)
    assert found is not None, why
    return found[1]


def test_a_stranger_in_a_transaction_stops_the_nodes_until_an_operator_has_looked(
    world: FaultWorld,
) -> None:
    """Its end is an offset without a record: nothing is skipped in silence."""
    nodes = world.started("one", "two")
    in_a_transaction(world)
    (void,) = {missing_in(node.wait("stopped", 30)["why"]) for node in nodes}
    for node in nodes:
        node.kill()
    assert_same_digests(*(node.data for node in nodes))

    in_a_transaction(world)  # nothing comes after this one: a start meets it
    late = world.start(world.node("late"), void=void)
    last = missing_in(late.wait("failed", 60)["why"])
    late.kill()
    late.marks_file.unlink()
    for node in (*nodes, late):
        world.start(node, void=f"{void}, {last}")
    goes_on(*nodes, late)
    world.markers[0] = frozenset(int(each.rpartition(":")[2]) for each in (void, last))
    world.finish()
