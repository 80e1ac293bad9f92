"""A process that works on keys until it is killed, or kills itself at a point that it is told.

    python tests/keys_run.py SERVERS PREFIX FOLDER LEDGER SEED [POINT]

The ledger has a line before each deed (`i`) and one after it (`d`): add, kept, sent, erase, wrap.
POINT is `CLASS.METHOD:before` or `:after`, the first call of it once the deeds begin; all of them
are deeds of the replica or of the topic.
"""

from __future__ import annotations

import os
import random
import signal
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

from keys_world import keys_settings
from log_world import T0

from core.errors import Unavailable
from core.eventlog.kafka_log.keys import KafkaKeys, open_keys
from core.eventlog.kafka_log.keys_topic import KeysTopic
from core.eventlog.kafka_log.replica import Replica

POINTS = tuple(
    f"{name}:{when}"
    for name in (
        "KeysTopic.publish",
        "Replica.take",
        "Replica.erase_these",
        "Replica.forget",
        "Replica.rewrap",
    )
    for when in ("before", "after")
)
_CLASSES: dict[str, Any] = {"KeysTopic": KeysTopic, "Replica": Replica}


def die_at(point: str) -> None:
    """End as by kill -9 at the next call of a method."""
    place, _, when = point.partition(":")
    owner, _, name = place.partition(".")
    method = getattr(_CLASSES[owner], name)

    def dying(*args: Any, **named: Any) -> Any:
        if when == "after":
            method(*args, **named)
        os.kill(os.getpid(), signal.SIGKILL)

    setattr(_CLASSES[owner], name, dying)


class Ledger:
    """What was meant, and what was answered; a line is the kernel's when it returns."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("a", encoding="ascii", buffering=1)

    def line(self, *parts: object) -> None:
        self._file.write(" ".join(map(str, parts)) + "\n")


def deed(book: KafkaKeys, ledger: Ledger, dice: random.Random, n: int) -> None:
    """One thing after another, on few subjects."""
    subject, key = f"caller/{dice.randrange(6)}", f"{os.getpid()}x{n}"
    value = f"wrapped {key}".encode()
    what = dice.choice(("add", "add", "kept", "sent", "erase", "wrap"))
    ledger.line("i", what, subject, key, n)
    if what == "add":
        book.add([(f"{subject}/{key}", value)])
    elif what == "kept":
        book.add_kept([(f"{subject}/{key}", value)])
    elif what == "sent":
        book.send_kept()
    elif what == "erase":
        book.erase({subject: T0 + timedelta(seconds=n)}, book.erased_upto() + 1)
    else:
        book.rewrap([(k, w + b"'") for k, w in book.live([subject])], ("wraps", n))
    ledger.line("d", what, subject, key, n)


def main() -> None:
    """Work until killed."""
    servers, prefix, folder, ledger_path, seed, *point = sys.argv[1:]
    dice, ledger = random.Random(int(seed)), Ledger(Path(ledger_path))
    book = open_keys(keys_settings(servers, prefix), Path(folder))
    book.live(["caller/0"])  # it is connected
    ledger.line("ready", os.getpid())
    if point:
        die_at(point[0])
    for n in range(int(seed) * 1_000, int(seed) * 1_000 + 1_000):
        try:
            deed(book, ledger, dice, n)
        except Unavailable as e:
            ledger.line("u", type(e).__name__)


if __name__ == "__main__":
    main()
