"""What a journal holds about a stream, opened as far as a reader may."""

from __future__ import annotations

from typing import TYPE_CHECKING

from core.commit import KeptFact
from core.eventlog.codec import decode_event, open_event
from core.eventlog.envelope import Unreadable, decode_commit

if TYPE_CHECKING:
    from collections.abc import Callable

    from core.eventlog.island.journal import Journal
    from core.personal import DataKey


def kept_facts(
    journal: Journal, stream: str, key_of: Callable[[str], DataKey | None]
) -> list[KeptFact]:
    """The facts about a stream in a journal, in order; a row that is damaged tells none.

    From any thread. Raises: Corrupt, Unavailable.
    """
    found: list[KeptFact] = []
    for row in journal.of_stream(stream):
        try:
            commit = decode_commit(row.raw)
        except Unreadable:
            continue  # told where it is proposed
        for nth, logged in enumerate(commit.events):
            event = decode_event(logged.type, logged.schema, logged.data)
            if logged.stream == stream and event is not None:
                opened = open_event(event, commit.id, nth, key_of)
                found.append(
                    KeptFact(
                        stream, commit.id, commit.actor, commit.origin, commit.recorded_at,
                        logged.occurred_at, opened,
                    )
                )  # fmt: skip
    return found
