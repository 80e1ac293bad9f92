"""A node that has lost its index reads the topic again, beside bare consumers of the same records.

`python -m bench.kafka_rebuild WHAT BROKERS PREFIX FOLDER COMMITS` is one reader.
"""

from __future__ import annotations

import asyncio
import os
import random
import sys
import tempfile
import time
from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
from bench.common import Figure
from bench.kafka_drive import Results, cpu_here_s, peak_mb
from bench.material import PER_ENVELOPE, raws

from core.eventlog.envelope import encode_envelope
from kontaktcenter import event_loop

if TYPE_CHECKING:
    from collections.abc import Callable

    from bench.kafka_servers import Brokers

ROUNDS = int(os.environ.get("BENCH_REBUILD_ROUNDS", "3"))
EVENTS = int(os.environ.get("BENCH_REBUILD_EVENTS", "1000000"))
_ONE_S = 300


def _settings(what: str, brokers: str, prefix: str, folder: str):  # type: ignore[no-untyped-def]  # noqa: ANN202 -- imported late
    from bench.kafka_ours import settings_of

    return settings_of(brokers, prefix, what, Path(folder))


async def _ours(what: str, brokers: str, prefix: str, folder: str, commits: int) -> Results:
    from core.eventlog.node import Node

    settings = _settings(what, brokers, prefix, folder)
    used, started = cpu_here_s(), time.perf_counter()
    node = await Node.open(settings, wait_for_index=False)
    ready = time.perf_counter() - started
    await node.settle()
    found = {
        "ready_s": ready,
        "whole_s": time.perf_counter() - started,
        "cpu_s": cpu_here_s() - used,
        "peak_mb": peak_mb(),
    }
    judged = sum(v for k, v in node.judged().items() if k.startswith("calls/"))
    assert judged == commits, (judged, commits)
    await node.close()
    started = time.perf_counter()
    node = await Node.open(settings)
    found["again_s"] = time.perf_counter() - started
    await node.close()
    return found


def _kafka_python(brokers: str, topic: str, records: int) -> int:
    from kafka import KafkaConsumer, TopicPartition

    consumer = KafkaConsumer(bootstrap_servers=brokers, group_id=None, enable_auto_commit=False)
    here = TopicPartition(topic, 0)
    consumer.assign([here])
    consumer.seek(here, 0)
    read = size = 0
    while read < records:
        for found in consumer.poll(1_000).values():
            read += len(found)
            size += sum(len(record.value) for record in found)
    consumer.close()
    return size


def _aiokafka(brokers: str, topic: str, records: int) -> int:
    async def work() -> int:
        from aiokafka import AIOKafkaConsumer, TopicPartition

        consumer = AIOKafkaConsumer(bootstrap_servers=brokers, enable_auto_commit=False)
        await consumer.start()
        here = TopicPartition(topic, 0)
        consumer.assign([here])
        consumer.seek(here, 0)
        read = size = 0
        while read < records:
            for found in (await consumer.getmany(timeout_ms=1_000)).values():
                read += len(found)
                size += sum(len(record.value or b"") for record in found)
        await consumer.stop()
        return size

    return asyncio.run(work())


def _confluent(brokers: str, topic: str, records: int) -> int:
    from confluent_kafka import Consumer, TopicPartition

    consumer = Consumer(
        {"bootstrap.servers": brokers, "group.id": "bench", "enable.auto.commit": False}
    )
    consumer.assign([TopicPartition(topic, 0, 0)])
    read = size = 0
    while read < records:
        found = consumer.consume(500, 1.0)
        read += len(found)
        size += sum(len(record.value() or b"") for record in found)
    consumer.close()
    return size


BARE: dict[str, Callable[[str, str, int], int]] = {
    "kafka-python": _kafka_python, "aiokafka": _aiokafka, "confluent-kafka": _confluent,
}  # fmt: skip


def main(arguments: list[str]) -> None:
    """One reader, in this process."""
    what, brokers, prefix, folder, commits = arguments
    if what.startswith("bare "):
        used, started = cpu_here_s(), time.perf_counter()
        BARE[what.removeprefix("bare ")](
            brokers, f"{prefix}.calls", int(commits) // PER_ENVELOPE + 1
        )
        found = {
            "whole_s": time.perf_counter() - started,
            "cpu_s": cpu_here_s() - used,
            "peak_mb": peak_mb(),
        }
    else:
        ours = _ours(what, brokers, prefix, folder, int(commits))
        found = event_loop.run(ours, f"kafka://{brokers}?client={what}")
    print(msgspec.json.encode(found).decode())


async def _fill(log: Brokers, prefix: str, folder: str) -> None:
    """A topic of ours with so many one-event commits, a hundred to a record."""
    from aiokafka import AIOKafkaProducer

    from core.eventlog.node import Node

    node = await Node.open(_settings("aiokafka", log.address, prefix, folder))
    await node.close()
    producer = AIOKafkaProducer(
        bootstrap_servers=log.address, acks="all", max_batch_size=1 << 20, max_request_size=8 << 20
    )
    await producer.start()
    sent = []
    waiting: list[bytes] = []
    for raw in raws(EVENTS):
        waiting.append(raw)
        if len(waiting) == PER_ENVELOPE:
            body = encode_envelope("calls", 0, waiting)
            sent.append(await producer.send(f"{prefix}.calls", body, partition=0))
            waiting = []
    await asyncio.gather(*sent)
    await producer.stop()


def measure(log: Brokers) -> None:
    """The table of a lost index."""
    from bench.kafka import run_apart

    prefix = f"bench{os.getpid()}m"
    log.make_topics([f"{prefix}.calls", f"{prefix}.centre"], flushed=False)
    rows = ["aiokafka", "kafka-python", *(f"bare {name}" for name in BARE)]
    found: dict[str, list[Results]] = defaultdict(list)
    chance = random.Random(9)
    try:
        with tempfile.TemporaryDirectory(prefix="bench-") as folder:
            asyncio.run(_fill(log, prefix, folder))
        for number in range(ROUNDS):
            for what in chance.sample(rows, len(rows)):
                with tempfile.TemporaryDirectory(prefix="bench-") as folder:
                    told = run_apart(
                        ["bench.kafka_rebuild", what, log.address, prefix, folder, EVENTS], _ONE_S
                    )
                found[what].append(msgspec.json.decode(told, type=Results))
                print(f"· round {number + 1}: rebuild, {what}", file=sys.stderr)
    finally:
        log.drop_topics(f"{prefix}.")
    columns = ("ready_s", "whole_s", "again_s", "cpu_s", "peak_mb")
    print(f"\n### A lost index: {EVENTS:,} one-event commits, 100 a record, {ROUNDS} rounds\n")
    print("| reader | judges and takes facts, s | whole, s | opened again, s | CPU s | peak MB |")
    print("| --- | --- | --- | --- | --- | --- |")
    for what in rows:
        cells = [
            Figure("", "", [r[c] for r in found[what]]).text() if c in found[what][0] else "–"
            for c in columns
        ]
        named = what if what.startswith("bare") else f"ours, over {what}"
        print(f"| {named} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
