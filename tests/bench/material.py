"""What is measured on: the recorded crisis many times over, and a million one-event commits."""

from __future__ import annotations

import asyncio
import shutil
import sqlite3
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import NAMESPACE_DNS, uuid5
from zlib import crc32

import msgspec

from core.calls import CallAnswered, CallEnded, CallQueued, CallWrappedUp
from core.eventlog.codec import encode_event
from core.eventlog.envelope import LoggedCommit, LoggedEvent, encode_commit, encode_envelope
from core.eventlog.node import Node, NodeSettings

if TYPE_CHECKING:
    from collections.abc import Iterator

RECORDING = Path(__file__).parent.parent / "data" / "crisis.queue_log"
PER_ENVELOPE = 100
_SHIFT_S = 3_600


def clock() -> datetime:
    """Now, UTC."""
    return datetime.now(UTC)


def crisis(path: Path, times: int) -> int:
    """Write the recording so many times over, every call a new one; how many lines."""
    rows = [line.split("|") for line in RECORDING.read_text(encoding="utf-8").splitlines()]
    with path.open("w", encoding="utf-8") as file:
        for n in range(times):
            for epoch, uniqueid, *rest in rows:
                if uniqueid != "NONE":
                    made, _, number = uniqueid.partition(".")
                    uniqueid = f"{int(made) + n * _SHIFT_S}.{number}"  # noqa: PLW2901 -- the row's own
                file.write("|".join((str(int(epoch) + n * _SHIFT_S), uniqueid, *rest)) + "\n")
    return len(rows) * times


def million(folder: Path, events: int) -> None:
    """A data folder whose log holds so many one-event commits, and which has no index."""
    asyncio.run(_open_and_close(folder))
    bodies: list[bytes] = []
    waiting: list[bytes] = []
    for raw in raws(events):
        waiting.append(raw)
        if len(waiting) == PER_ENVELOPE:
            bodies.append(encode_envelope("calls", 0, waiting))
            waiting = []
    conn = sqlite3.connect(folder / "log.db")
    number = conn.execute("SELECT id FROM shard WHERE book = 'calls'").fetchone()[0]
    conn.executemany(
        f"INSERT INTO record_{number} VALUES (?, ?, ?)",
        ((offset, body, crc32(body)) for offset, body in enumerate(bodies, start=1)),
    )
    conn.commit()
    conn.close()
    shutil.rmtree(folder / "index")


async def _open_and_close(folder: Path) -> None:
    node = await Node.open(NodeSettings(f"sqlite:{folder}/log.db", folder, clock))
    await node.close()


def raws(events: int) -> Iterator[bytes]:
    """Encoded one-event commits of calls of four events each."""
    begin = datetime(2026, 11, 22, 4, tzinfo=UTC)
    for n in range(events // 4):
        at = begin + timedelta(seconds=n // 10)
        stream = f"call/bench/{1_795_000_000 + n // 10}.{n}"
        life = (
            CallQueued(queue="kris", group="tnh_kris", caller_ref=f"{n % 5_000:032x}", place=3),
            CallAnswered(queue="kris", agent="Agent 101", wait_s=12.0, ring_s=1.0),
            CallEnded(queue="kris", agent="Agent 101", by="agent", wait_s=12.0, talk_s=100.0),
            CallWrappedUp(agent="Agent 101", outcome="solved", wrap_up_s=20.0),
        )
        for step, event in enumerate(life):
            name = uuid5(NAMESPACE_DNS, f"{n}/{step}")
            data = msgspec.Raw(msgspec.json.encode(encode_event(event)))
            logged = LoggedEvent(stream, event.TOPIC, 1, at, data)
            yield encode_commit(
                LoggedCommit(name, name.hex, at, "bench", "telephony:bench", [logged])
            )
