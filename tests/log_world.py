"""Commits, records and nodes for the tests of the log."""

from __future__ import annotations

import asyncio
import functools
import sqlite3
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid5

import msgspec

from core.calls import CallQueued
from core.commit import NAMESPACE, Accepted, Answer, Draft, Happened, Verdict, judged, telephony_key
from core.eventlog.envelope import (
    Claim,
    Genesis,
    LoggedCommit,
    LoggedEvent,
    LoggedTracking,
    decode_claim,
    encode_commit,
    encode_envelope,
)
from core.eventlog.node import Node, NodeSettings
from core.personal import CitySecret, Personal

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Sequence
    from pathlib import Path

T0 = datetime(2026, 11, 22, 8, 0, tzinfo=UTC)
SECRET = CitySecret(bytes(range(32)))
GENESIS = Genesis("calls", 0, 1, 1, SECRET.fingerprint)
WAIT_S = 240.0


def story(test: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., None]:
    """A test that is a coroutine, on a loop of its own and with an end."""

    @functools.wraps(test)
    def run(*args: Any, **named: Any) -> None:
        asyncio.run(asyncio.wait_for(test(*args, **named), WAIT_S))

    return run


class Ticks:
    """A clock that a test moves; a second at each look."""

    def __init__(self, now: datetime = T0) -> None:
        self.now = now

    def __call__(self) -> datetime:
        self.now += timedelta(seconds=1)
        return self.now


def an_id(name: object) -> UUID:
    """The id that a test means by a name."""
    return uuid5(NAMESPACE, f"test/{name}")


@dataclass(frozen=True)
class At:
    """An event as a test writes it: its stream, and the version where it is a decision's."""

    stream: str
    version: int | None = None


def commit(
    name: object,
    *events: At,
    intent: str | None = None,
    tracking: tuple[str, int] | None = None,
    raises_format: int | None = None,
) -> LoggedCommit:
    """A commit of events without content; a name gives its id and, unless given, its intent."""
    logged = [
        LoggedEvent(e.stream, "test.happened", 1, T0, msgspec.Raw(b"{}"), e.version) for e in events
    ]
    return LoggedCommit(
        an_id(name),
        intent or f"intent of {name}",
        T0,
        "tester",
        "import:test",
        logged,
        tracking=LoggedTracking(*tracking) if tracking else None,
        raises_format=raises_format,
    )


def claim(*args: Any, **named: Any) -> Claim:
    """As `commit`, as `judge` sees it."""
    return decode_claim(encode_commit(commit(*args, **named)))


def record(*commits: LoggedCommit, fmt: int = 1, book: str = "calls", shard: int = 0) -> bytes:
    """One envelope."""
    return encode_envelope(book, shard, [encode_commit(c) for c in commits], fmt)


def queued(n: int, *, stream: int | None = None, number: str | None = None) -> Draft:
    """The fact that call `n` entered a queue, as the telephone adapter proposes it."""
    key = telephony_key("x", f"{n}.1", "avfall", "ENTER", "NONE", 1)
    number = number or f"070000{n % 4001:04d}"
    ref = SECRET.caller_ref(number)
    event = CallQueued(
        queue="avfall",
        group="tnh_avfall",
        caller=Personal(number, f"caller/{ref}"),
        caller_ref=ref,
    )
    where = f"call/x/{n if stream is None else stream}.1"
    happened = Happened(where, event, T0 + timedelta(seconds=n))
    return Draft(an_id(f"queued {n}"), key, "telephony", "telephony:x", (happened,))


def decided(name: object, stream: str, version: int) -> Draft:
    """A decision that expects `version` to be the stream's next."""
    event = CallQueued(queue="avfall", group="tnh_avfall")
    happened = Happened(stream, event, T0, version)
    return Draft(an_id(name), f"asking {name}", "desk", "desk", (happened,))


def sqlite_settings(folder: Path, **changes: Any) -> NodeSettings:
    """A node in `folder` on the SQLite log, as the command line makes it."""
    made = NodeSettings(
        f"sqlite:{folder / 'log.db'}", folder, Ticks(), secret_file=folder / "city.key"
    )
    return replace(made, **changes)


@asynccontextmanager
async def opened(settings: NodeSettings) -> AsyncIterator[Node]:
    """A node, closed at the end whatever happens."""
    node = await Node.open(settings)
    try:
        yield node
    finally:
        await node.close()


def positions(answers: Sequence[Answer]) -> list[int]:
    """Where accepted commits stand; fails where one was not accepted."""
    verdicts: list[Verdict] = [judged(answer) for answer in answers]
    assert all(isinstance(v, Accepted) for v in verdicts), verdicts
    return [v.position for v in verdicts if isinstance(v, Accepted)]


def rows(node: Node, name: str = "calls/0") -> list[list[tuple[object, ...]]]:
    """All that the index of a shard says about the log."""
    conn = sqlite3.connect(node.shard(name).state.index.path)
    tables = ("judged", "event", "tracking", "state")
    found = [conn.execute(f"SELECT * FROM {t} ORDER BY 1").fetchall() for t in tables]
    conn.close()
    return found


def flips(size: int, count: int, *, seed: int = 7) -> Iterator[int]:
    """Places in a file of `size` bytes, spread over all of it, the same each time."""
    step = max(1, size // count)
    for n in range(count):
        yield min(size - 1, n * step + (seed * 7919 * (n + 1)) % step)
