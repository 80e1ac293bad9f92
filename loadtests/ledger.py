"""What was meant and what was acknowledged, on disk before and after: the oracle of a load test.

An intent is synced before its request goes out, an ack as soon as it is here, so that the ledger
survives both the server and the generator. Syncs are shared by all that wait. Standard library
alone.
"""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

Apart = Callable[[Callable[[], None]], object]


def here(work: Callable[[], None]) -> None:
    """Sync in this very thread."""
    work()


class Ledger:
    """A file of JSON lines that only grows. `apart` runs a blocking sync beside the event loop."""

    def __init__(self, path: Path, apart: Apart = here) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o600)
        self._apart = apart
        self._changed = threading.Condition()
        self._written = 0
        self._synced = 0
        self._syncing = False

    def intend(self, key: str, **what: Any) -> None:
        """Returns when the intent is on the disk."""
        self._add({"intent": key, **what})

    def acknowledge(self, key: str, **what: Any) -> None:
        """Returns when the acknowledgement is on the disk."""
        self._add({"ack": key, **what})

    def close(self) -> None:
        """Sync and close."""
        os.fsync(self._file)
        os.close(self._file)

    def _add(self, entry: dict[str, Any]) -> None:
        os.write(self._file, json.dumps(entry, ensure_ascii=False).encode() + b"\n")
        with self._changed:
            self._written += 1
            mine = self._written
            while self._synced < mine:
                if self._syncing:
                    self._changed.wait()
                else:
                    self._sync()

    def _sync(self) -> None:
        """Sync for everyone who has written so far; the lock is held but for the sync itself."""
        upto, self._syncing = self._written, True
        self._changed.release()
        try:
            self._apart(lambda: os.fsync(self._file))
        finally:
            self._changed.acquire()
            self._syncing = False
        self._synced = upto
        self._changed.notify_all()


@dataclass
class Told:
    """A ledger read back: each key's intent, and the acks that came for it."""

    intents: dict[str, dict[str, Any]] = field(default_factory=dict)
    acks: dict[str, list[dict[str, Any]]] = field(default_factory=dict)


def read_ledger(path: Path) -> Told:
    """The ledger; a torn last line is one that nobody waited for. Raises: ValueError elsewhere."""
    told = Told()
    lines = path.read_bytes().split(b"\n")
    for line in lines[:-1]:
        entry = json.loads(line)
        if "intent" in entry:
            told.intents[entry["intent"]] = entry
        else:
            told.acks.setdefault(entry["ack"], []).append(entry)
    return told
