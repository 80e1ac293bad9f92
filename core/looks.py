"""The read log: every look at personal data, with its purpose, in the log before the data is shown.

Each node has a chain of its own, the stream `look/<chain>`: `n` is 1, 2, 3 …, and `previous` is the
hash of the look before it, so that one which was taken out or changed shows itself. Whoever keeps a
chain's end (`n` and hash) elsewhere also sees that its last looks were cut off, or all of it
written anew.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field, fields
from datetime import UTC, datetime
from typing import TYPE_CHECKING, ClassVar, Final, NamedTuple, Protocol

from core.commit import Event

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from core.access import Asker, Purpose

FAULTS_TOLD_MAX: Final = 1_000


@dataclass(frozen=True, slots=True)
class Seen:
    """What was shown of one person: the case's stream, and the caller's keyed hash if known."""

    case: str | None = None
    person: str | None = None


@dataclass(frozen=True)
class PersonLookedAt(Event):
    """Somebody looked at data about a person.

    `deed` says how (`read_case`, `search_cases` …), `purpose` why. `person` is the keyed hash.
    """

    TOPIC: ClassVar[str] = "look.made"
    n: int
    previous: str
    who: str
    deed: str
    purpose: str
    case: str | None = None
    person: str | None = None


class ReadLog(Protocol):
    """Where looks are recorded."""

    async def record(self, asker: Asker, deed: str, purpose: Purpose, seen: Sequence[Seen]) -> None:
        """Record looks; returns when the log has them, so that the data may be shown.

        Raises: Unavailable, and then nothing may be shown.
        """
        ...


class Look(NamedTuple):
    """One look as the log holds it; `at` is when it was made."""

    stream: str
    version: int | None
    at: datetime
    event: PersonLookedAt


class End(NamedTuple):
    """The last look of a chain: its number, and the hash that the next one will carry."""

    n: int
    hash: str


def beginning(stream: str) -> End:
    """What the first look of a chain follows; bound to it: no look can begin another chain."""
    return End(0, hashlib.sha256(f"chain of looks {stream}".encode()).hexdigest())


def look_hash(look: Look) -> str:
    """The hash of a look, hexadecimal: SHA-256 of its canonical JSON with stream and time.

    Fields that are None are left out, so that a later field changes no hash of before.
    """
    event = {
        item.name: value
        for item in fields(look.event)
        if (value := getattr(look.event, item.name)) is not None
    }
    at = look.at.astimezone(UTC).isoformat(timespec="microseconds")
    whole = {**event, "stream": look.stream, "at": at}
    text = json.dumps(whole, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


@dataclass
class Verification:
    """What walking the chains came to: `ends` by stream, and every fault as a sentence."""

    looks: int = 0
    ends: dict[str, End] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)


def verify(looks: Iterable[Look], known: Mapping[str, End] | None = None) -> Verification:
    """Walk the chains of `looks`, which come in the log's order; which is missing or changed.

    `known` are ends that were noted before, by stream: each chain has to go through its own.
    """
    found = Verification()
    noted = dict(known or {})
    for look in looks:
        verify_one(found, look, noted)
    return verify_whole(found, noted)


def verify_whole(found: Verification, noted: Mapping[str, End]) -> Verification:
    """What was found when all looks have been followed: whether the ends that were noted came."""
    for stream, end in sorted(noted.items()):
        at = found.ends.get(stream, End(0, "")).n
        if at < end.n:
            _fault(found, f"{stream}: {_span(at + 1, end.n)} at its end")
    return found


def verify_one(found: Verification, look: Look, noted: Mapping[str, End]) -> None:
    """Follow one more look."""
    found.looks += 1
    stream, n = look.stream, look.event.n
    last = found.ends.get(stream) or beginning(stream)
    if look.version not in {None, n}:
        _fault(found, f"{stream}: look {n} was changed: it stands in place {look.version}")
    if n > last.n + 1:
        _fault(found, f"{stream}: {_span(last.n + 1, n - 1)}")
    elif n <= last.n:
        _fault(found, f"{stream}: look {n} stands after look {last.n}")
    elif look.event.previous != last.hash:
        which = f"look {n}" if n == 1 else f"look {n - 1} or {n}"
        _fault(found, f"{stream}: {which} was changed")
    end, wanted = End(n, look_hash(look)), noted.get(stream)
    if wanted is not None and wanted.n == n and wanted != end:
        _fault(found, f"{stream}: look {n} is not the one that was noted")
    found.ends[stream] = end


def _fault(found: Verification, text: str) -> None:
    if len(found.faults) < FAULTS_TOLD_MAX:
        found.faults.append(text)


def _span(first: int, last: int) -> str:
    return f"look {first} is missing" if first == last else f"looks {first} to {last} are missing"
