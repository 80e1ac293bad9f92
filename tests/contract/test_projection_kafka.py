"""Read models of two nodes on one real Kafka: what happens to one node's figures stays there."""

from __future__ import annotations

import time
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from figures_world import NOW, Figures, Told, draft, figures_at
from nodes_world import assert_same_digests

from core.calls import CallQueued
from core.vocabulary import call_stream
from projections.queue_entries import QueueEntries
from projections.runner import Runner

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from sqlite_utils import Database

    from deploy.kafka_lab import SharedBroker
    from projections.base import Fed

pytestmark = [pytest.mark.kafka, pytest.mark.fault]
FACTS, _MET_S = 60, 30.0


def queued(n: int, queue: str = "kris") -> Told:
    event = CallQueued(queue, f"tnh_{queue}", caller_ref=f"c{n}")
    return call_stream("lab", f"{n}.1"), event, NOW + timedelta(seconds=n)


class Poisoned(QueueEntries):
    """Cannot handle what enters one queue."""

    def handle(self, db: Database, events: Sequence[Fed]) -> None:
        if any(b'"poison"' in bytes(fed.event.data) for fed in events):
            raise ZeroDivisionError
        super().handle(db, events)

    def fresh(self) -> Poisoned:
        return Poisoned()


def rows(figures: Figures) -> int:
    with figures.models.snapshot("queue_entries") as db:
        return int(db.table("entries").count)


def met(one: Figures, two: Figures) -> None:
    """Until both nodes have indexed the same."""
    until = time.monotonic() + _MET_S
    while one.node.positions() != two.node.positions():
        assert time.monotonic() < until, (one.node.positions(), two.node.positions())
        time.sleep(0.02)


def test_a_poison_event_and_figures_that_stand_still_hold_up_neither_node_nor_log(
    kafka_broker: SharedBroker, kafka_prefix: str, tmp_path: Path
) -> None:
    log = f"kafka://{kafka_broker.servers}/{kafka_prefix}"
    with figures_at(tmp_path / "one", log) as one, figures_at(tmp_path / "two", log) as two:
        one.runner.close()
        one.runner = Runner(one.node, one.folder, [Poisoned()])
        facts = [queued(n, "poison" if n == 7 else "kris") for n in range(FACTS)]
        one.tell(facts)
        met(one, two)

        (parked,) = one.runner.parked("queue_entries")
        assert (parked["type"], parked["reason"]) == ("call.queued", "ZeroDivisionError")
        assert rows(one) == FACTS - 1
        assert one.runner.positions("queue_entries") == one.node.positions()

        # The other's figures stand still: it takes facts and judges all the same, and says how far.
        assert rows(two) == 0
        assert two.runner.status("queue_entries").behind > 0
        two.node.propose_many([draft([queued(n)]) for n in range(FACTS, FACTS + 10)])
        two.node.settle()
        assert rows(two) == 0
        met(two, one)
        two.runner.catch_up()
        assert rows(two) == FACTS + 10
        assert two.runner.status("queue_entries").behind == 0
        assert_same_digests(one.node.node, two.node.node)
