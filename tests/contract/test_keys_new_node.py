"""Keys on Kafka at a node that has just begun to read them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from keys_world import keys_of, keys_settings
from log_world import T0

if TYPE_CHECKING:
    from pathlib import Path

    from deploy.kafka_lab import SharedBroker

pytestmark = pytest.mark.kafka

A, B = "caller/a", "caller/b"


def test_a_new_node_answers_nothing_before_it_has_read_what_was_destroyed(
    kafka_broker: SharedBroker, kafka_prefix: str, tmp_path: Path
) -> None:
    """Its copy holds the key for as long as it has not come to the tombstone."""
    where = keys_settings(kafka_broker.servers, kafka_prefix)
    with keys_of(where, tmp_path / "a") as one:
        one.add([(f"{A}/1", b"gone soon"), (f"{B}/1", b"stays")])
        for part in range(4):
            one.add([(f"caller/{part}x{n}/1", b"wrapped") for n in range(1_000)])
        one.erase({A: T0}, 1)
        for n in range(3):
            with keys_of(where, tmp_path / f"new{n}") as new:
                assert new.of_subjects([A, B]) == {B: (f"{B}/1", b"stays")}
                assert new.wrapped(f"{A}/1") is None
