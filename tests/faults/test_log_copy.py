"""`log copy` while replies are lost and the broker dies: byte for byte, or told that it is not."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING, Any

import pytest
from copy_world import config_of, in_file, log_in_file, on_kafka
from tcp_proxy import Proxy

from core.errors import Corrupt
from kontaktcenter import log_copy, words
from kontaktcenter.commands.copies import copy

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from deploy.kafka_lab import Broker

pytestmark = [pytest.mark.kafka, pytest.mark.fault]
CLIENTS = ("aiokafka", "kafka-python")


def at_wave(
    patch: pytest.MonkeyPatch, happen: dict[int, Callable[[], None]], most: int = 8
) -> None:
    """Let something happen just before a wave of records is handed over."""
    appended, n = log_copy._appended, 0

    async def appending(*given: Any) -> list[int]:
        nonlocal n
        n += 1
        if n in happen:
            happen[n]()
        return await appended(*given)

    patch.setattr(log_copy, "_appended", appending)
    patch.setattr(log_copy, "_WAVE", most)


def test_a_reply_that_is_lost_makes_no_record_twice(
    own_broker: Callable[..., Broker],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    whole: bool,
) -> None:
    source = tmp_path / "a" / "log.db"
    log_in_file(source, records=300)
    with Proxy() as proxy:
        broker = own_broker(advertised_port=proxy.port)
        proxy.target = broker.address
        waves = (5, 20, 40, 60) if whole else (20,)
        for client in CLIENTS if whole else CLIENTS[:1]:
            dropped = proxy.dropped
            at_wave(monkeypatch, dict.fromkeys(waves, proxy.drop_replies))
            address = f"kafka://{proxy.servers}/{client}?client={client}"
            copied = copy(config_of(tmp_path), f"sqlite:{source}", address, "with")

            assert proxy.dropped == dropped + len(waves)
            assert on_kafka(address) == in_file(source)
            assert copied["shards"]["calls/0"]["records"] == 301


def test_a_broker_that_dies_and_comes_back_is_waited_for(
    own_broker: Callable[..., Broker], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = tmp_path / "a" / "log.db"
    log_in_file(source, records=300)
    broker = own_broker()
    address = f"kafka://{broker.servers}/tnh"
    coming: list[threading.Thread] = []

    def die() -> None:
        broker.kill()
        coming.append(threading.Thread(target=broker.start))
        coming[0].start()

    at_wave(monkeypatch, {20: die})
    copy(config_of(tmp_path), f"sqlite:{source}", address, "with")
    coming[0].join()

    assert on_kafka(address) == in_file(source)


def test_a_node_that_works_on_the_target_is_noticed(
    own_broker: Callable[..., Broker], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from copy_world import settings_of

    from core.eventlog.kafka_log.store import KafkaStore

    source = tmp_path / "a" / "log.db"
    log_in_file(source, records=100)
    address = f"kafka://{own_broker().servers}/tnh"

    def interfere() -> None:
        async def append() -> None:
            store = KafkaStore(settings_of(address))
            await (await store.open_shard("calls", 0)).append(b"{}")
            await store.close()

        other = threading.Thread(target=lambda: asyncio.run(append()))
        other.start()
        other.join()

    at_wave(monkeypatch, {4: interfere})
    words.choose("en")
    with pytest.raises(Corrupt, match="end moved"):
        copy(config_of(tmp_path), f"sqlite:{source}", address, "with")
    words.choose("sv")
