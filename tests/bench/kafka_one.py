"""One contender, once, in this process: `python -m bench.kafka_one NAME SETTING PID…`."""

from __future__ import annotations

import importlib
import sys

import msgspec
from bench.kafka_drive import Setting, blocking, looping, peak_mb

CONTENDERS = {
    "kafka-python, bare": ("kafka_clients", "KafkaPython"),
    "aiokafka, bare": ("kafka_clients", "Aiokafka"),
    "confluent-kafka, bare": ("kafka_clients", "Confluent"),
    "ours, over aiokafka": ("kafka_ours", "OursFast"),
    "ours, over kafka-python": ("kafka_ours", "OursClassic"),
    "`eventsourcing` on SQLite": ("kafka_databases", "LibrarySqlite"),
    "`eventsourcing` on PostgreSQL 15": ("kafka_databases", "LibraryPostgres"),
    "`fdatasync` alone": ("kafka_databases", "Fdatasync"),
}


def main(arguments: list[str]) -> int:
    """Measure and print the figures as JSON."""
    name, given, *pids = arguments
    setting = msgspec.json.decode(given, type=Setting)
    module, kind = CONTENDERS[name]
    contender = getattr(importlib.import_module(f"bench.{module}"), kind)(setting)
    servers = [int(pid) for pid in pids]
    if hasattr(contender, "open"):
        found = looping(contender, setting, servers)
    else:
        found = blocking(contender, setting, servers)
        contender.close()
    print(msgspec.json.encode(found | {"peak_mb": peak_mb()}).decode())
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
