"""A golden log: the records of a small shard, byte for byte, and what every node makes of them.

`python tests/golden_log.py` writes the one for the present format if it is not there; it changes
none. For one format the rule of judging never changes, so neither do position and digest.
"""

from __future__ import annotations

import asyncio
import json
import sys
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

ROOT = Path(__file__).parents[1]
FOLDER = Path(__file__).parent / "golden" / "log"
CLEAR = "Exempel Exempelsson 0700000001"
NOW = datetime(2026, 11, 22, 8, 0, tzinfo=UTC)
SECRET = bytes(range(32))


class Counted:
    """Entropy that is none: 1, 2, 3 …, as many bytes as are asked for."""

    def __init__(self) -> None:
        self._last = 0

    def __call__(self, size: int) -> bytes:
        self._last += 1
        return self._last.to_bytes(size, "big")


def drafts() -> list[Any]:
    """Facts, decisions, a repeat, a fork, a stale one and an empty one."""
    from core.calls import CallAnswered, CallEnded, CallQueued
    from core.commit import Draft, Happened
    from core.personal import Personal

    caller = Personal(CLEAR, "caller/golden")
    queued = CallQueued("avfall", "tnh_avfall", True, caller, "00ff", 1)
    stream, fact = "call/tnh/1795321176.1", "telephony:tnh"

    def draft(n: int, asking: str, origin: str, *events: tuple[Any, int | None]) -> Draft:
        happened = tuple(
            Happened(stream, event, NOW + timedelta(seconds=n), version)
            for event, version in events
        )
        return Draft(UUID(int=n), asking, "golden", origin, happened, None, None, stream)

    answered = CallAnswered("avfall", "anna", 12.0)
    return [
        draft(1, "queued", fact, (queued, None)),
        draft(2, "answer", "desk", (answered, 2)),
        draft(3, "answer too", "desk", (CallAnswered("avfall", "bo"), 2)),
        draft(2, "answer", "desk", (answered, 2)),
        draft(2, "something else", "desk", (answered, 3)),
        draft(4, "nothing", "desk"),
        draft(5, "ended", fact, (CallEnded("avfall", "anna", "caller", 12.0, 60.5), None)),
    ]


async def judged(folder: Path, bodies: list[str] | None = None) -> tuple[list[str], dict[str, Any]]:
    """The records and what a node makes of them.

    Made of the drafts where there are no bodies yet.
    """
    from core.eventlog.memory_log import MemoryStore
    from core.eventlog.node import Node, NodeSettings
    from core.personal import CitySecret

    store = MemoryStore()
    log = await store.open_shard("calls", 0)
    for body in bodies or []:
        await log.append(body.encode())
    settings = NodeSettings(
        "memory:", folder, clock=lambda: NOW, secret=CitySecret(SECRET), entropy=Counted(),
        store=store, books=("calls",),
    )  # fmt: skip
    node = await Node.open(settings)
    try:
        if bodies is None:
            for draft in drafts():
                await node.propose(draft)
        await node.settle()
        records = await log.read(0, 100, 0)
        position, digest = node.digests()["calls/0"]
        heads = node.heads(["call/tnh/1795321176.1"])
        told = {"position": position, "digest": digest, "heads": dict(heads)}
        return [record.body.decode() for record in records], told
    finally:
        await node.close()


def path_of(fmt: int) -> Path:
    """The golden log of a format."""
    return FOLDER / f"{fmt}.json"


def write_missing() -> None:
    """Write the golden log of the present format, if it is not there."""
    from golden_events import add_to_manifest

    from core.limits import FORMAT

    path = path_of(FORMAT)
    if path.exists():
        return
    FOLDER.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        records, told = asyncio.run(judged(Path(folder)))
    text = json.dumps({"records": records, **told}, ensure_ascii=False, indent=1)
    path.write_text(text + "\n", encoding="utf-8")
    add_to_manifest(f"log/{path.name}", path)


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))
    write_missing()
