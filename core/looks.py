"""The read log: every look at personal data, with its purpose, in the log before the data is shown.

Each node has a chain of its own, the stream `look/<chain>`: `n` is 1, 2, 3 …, and `previous` is the
hash of the look before it, so that one which was taken out or changed shows itself.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Protocol

from core.commit import Event

if TYPE_CHECKING:
    from collections.abc import Sequence

    from core.access import Asker, Purpose


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
