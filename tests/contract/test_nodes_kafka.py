"""Two nodes on one real Kafka: a snapshot, equal digests, their lag, and one review item."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from cli_here import kc, kc_json
from cli_process import RECORDING
from log_world import SECRET, T0, opened, queued, sqlite_settings, story
from nodes_world import assert_same_digests

from core.calls import CallEnded
from core.commit import Draft, Happened, import_id
from core.eventlog.kafka_log import KafkaSettings, parse_address
from core.eventlog.lag import READY, Lags
from core.reviews import ReviewOpened, review_id, review_stream
from kontaktcenter.reviewing import Reviewing

if TYPE_CHECKING:
    from pathlib import Path

    from core.eventlog.node import Node, NodeSettings
    from deploy.kafka_lab import SharedBroker

pytestmark = pytest.mark.kafka


def node_at(broker: SharedBroker, prefix: str, folder: Path) -> NodeSettings:
    log = f"kafka://{broker.servers}/{prefix}"
    kafka = KafkaSettings(parse_address(log), create="unsafe")
    return replace(sqlite_settings(folder), log=log, kafka=kafka, secret=SECRET)


async def _alike(*nodes: Node) -> None:
    """Until all have judged and indexed what the first has."""
    goal = nodes[0].judged()
    for node in nodes:
        while any(node.positions().get(name, 0) < at for name, at in goal.items()):
            await node.changed(node.positions(), 1.0)
        await node.settle()


@pytest.fixture
def on_kafka(
    kafka_broker: SharedBroker, kafka_prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Commands in this process work on a log of their own on the broker."""
    monkeypatch.setenv("KC_LOG", f"kafka://{kafka_broker.servers}/{kafka_prefix}")
    monkeypatch.setenv("KC_LOG_CREATE", "unsafe")


@pytest.mark.usefixtures("on_kafka")
def test_a_new_node_begins_with_anothers_index_and_they_agree(tmp_path: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    one.mkdir()
    two.mkdir()
    part = tmp_path / "part.queue_log"
    part.write_text("".join(RECORDING.read_text().splitlines(keepends=True)[:300]))
    kc(one, "import", "queue-log", part, "--exchange", "tnh")
    made = kc_json(one, "index", "snapshot", "--to", tmp_path / "snapshot")
    assert made["shards"]["calls/0"]["identity"] is not None
    kc(one, "import", "queue-log", RECORDING, "--exchange", "tnh")
    kc(two, "index", "restore", "--from", tmp_path / "snapshot")
    told = tmp_path / "one.json"
    told.write_text(json.dumps(kc_json(one, "log", "digest")))
    assert "agrees" in kc(two, "log", "digest", "--compare", told).stdout
    kc(one, "log", "digest")  # the new node has joined meanwhile, which is in the log
    compared = assert_same_digests(one / "data", two / "data", alike=True)
    assert compared.keys() == {"calls/0", "calls/1", "calls/2", "calls/3", "centre/0"}
    assert kc_json(one, "statistics")["total"] == kc_json(two, "statistics")["total"]


@pytest.mark.usefixtures("on_kafka")
def test_a_topic_that_was_made_anew_is_not_the_snapshots(
    tmp_path: Path, kafka_broker: SharedBroker, kafka_prefix: str
) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    one.mkdir()
    two.mkdir()
    kc(one, "import", "queue-log", RECORDING, "--exchange", "tnh")
    kc(one, "index", "snapshot", "--to", tmp_path / "snapshot")
    kafka_broker.delete_topics(f"{kafka_prefix}.calls")
    kc(two, "import", "queue-log", RECORDING, "--exchange", "tnh")
    said = kc(two, "index", "restore", "--from", tmp_path / "snapshot", "--replace", code=1).stderr
    assert "not of this log" in said


@story
async def test_nodes_that_propose_to_one_log_agree_and_know_that_they_are_at_its_end(
    kafka_broker: SharedBroker, kafka_prefix: str, tmp_path: Path
) -> None:
    one, two = (node_at(kafka_broker, kafka_prefix, tmp_path / name) for name in ("one", "two"))
    async with opened(one) as first, opened(two) as second:
        await asyncio.gather(
            first.propose_many([queued(n) for n in range(40)]),
            second.propose_many([queued(n) for n in range(30, 60)]),
        )
        await _alike(first, second)
        await _alike(second, first)
        assert_same_digests(first, second)
        for node in (first, second):
            lags = Lags(node, asyncio.get_running_loop().time)
            await lags.sample()
            found = lags.now()
            assert {lag.state for lag in found.values()} == {READY}
            assert {lag.unread_records for lag in found.values()} == {0}
            assert {lag.behind_s for lag in found.values()} == {0.0}


@story
async def test_what_contradicts_the_rest_is_one_item_on_both(
    kafka_broker: SharedBroker, kafka_prefix: str, tmp_path: Path
) -> None:
    one, two = (node_at(kafka_broker, kafka_prefix, tmp_path / name) for name in ("one", "two"))
    async with opened(one) as first, opened(two) as second:
        happened = Happened("call/x/odd", CallEnded("avfall", "anna", "agent"), T0)
        await first.propose(Draft(import_id("t", "odd"), "odd", "t", "import:t", (happened,)))
        await _alike(first, second)
        both = [
            asyncio.ensure_future(Reviewing(node, lambda: T0, folder / "reviews.seen").run())
            for node, folder in ((first, tmp_path / "one"), (second, tmp_path / "two"))
        ]
        stream = review_stream(str(review_id("call/x/odd", 1)))
        while not (first.load(stream) and second.load(stream)):  # noqa: ASYNC110 -- from outside
            await asyncio.sleep(0.05)
        for task in both:
            task.cancel()
        await asyncio.gather(*both, return_exceptions=True)
        await _alike(first, second)
        await _alike(second, first)
        for node in (first, second):
            assert [type(one.event) for one in node.load(stream)] == [ReviewOpened]
        assert_same_digests(first, second)
