"""The event that every contender records: about 300 bytes of JSON, the same for all."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING
from uuid import UUID

from core.calls import CallEnded
from core.commit import Draft, Happened

if TYPE_CHECKING:
    import random

AGENT = "Agent 101 " + "x" * 200
ENDED = CallEnded(queue="kris", agent=AGENT, by="agent", wait_s=12.0, talk_s=100.0)
EVENT = f'{{"queue":"kris","agent":"{AGENT}","by":"agent","wait_s":12.0,"talk_s":100.0}}'.encode()
AT = datetime(2026, 11, 22, 4, tzinfo=UTC)


def clock() -> datetime:
    """Now, UTC."""
    return datetime.now(UTC)


def name(chance: random.Random) -> UUID:
    """A random id, as the product's are."""
    return UUID(int=chance.getrandbits(128))


def draft(chance: random.Random, events: int = 1) -> Draft:
    """A decision on a stream of its own: each event says which version it must get."""
    this = name(chance)
    stream = f"call/bench/{this}"
    happened = tuple(Happened(stream, ENDED, AT, version) for version in range(1, events + 1))
    return Draft(this, f"bench/{this}", "bench", "bench", happened)
