"""The catalogue's entries: their events, their versions, and changes that wait for approval.

One stream for each entry, `catalogue/<section>/<key>`, so that a change is an event and nothing is
rewritten. `core.directory` folds them into the catalogue as it stands at a time.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import ClassVar, Final

from core.commit import Event

ANY_AUTHORITY: Final = "*"


@dataclass(frozen=True)
class EntrySet(Event):
    """An entry of the catalogue was set. `fields` is its row, JSON-ready.

    It takes effect at `effective_from`, or when it was recorded if that is later or nothing is
    said. `change` is the proposal that it comes of, `approved_by` the authority that approved it
    (R45), `decision` the reference of the decision that it rests on (R14).
    """

    TOPIC: ClassVar[str] = "catalogue.entry_set"
    section: str
    key: str
    fields: dict[str, object] = field(default_factory=dict)
    effective_from: datetime | None = None
    change: str | None = None
    approved_by: str | None = None
    decision: str | None = None


@dataclass(frozen=True)
class EntryRemoved(Event):
    """An entry of the catalogue was withdrawn; what was recorded under it stays.

    The other fields are those of `EntrySet`.
    """

    TOPIC: ClassVar[str] = "catalogue.entry_removed"
    section: str
    key: str
    effective_from: datetime | None = None
    change: str | None = None
    approved_by: str | None = None
    decision: str | None = None


@dataclass(frozen=True)
class ChangeProposed(Event):
    """Somebody proposed a change that its owner has to approve (R45).

    `change` is the proposal's id, `owner` the authority, `fields` the whole row as it would be;
    `withdraw` proposes to withdraw the entry instead. `base` is how often the entry had been
    changed when it was proposed: a later change makes the proposal out of date.
    """

    TOPIC: ClassVar[str] = "catalogue.change_proposed"
    change: str
    section: str
    key: str
    owner: str
    fields: dict[str, object] = field(default_factory=dict)
    withdraw: bool = False
    base: int = 0
    effective_from: datetime | None = None
    decision: str | None = None
    note: str | None = None


@dataclass(frozen=True)
class ChangeRefused(Event):
    """The owner refused a proposed change, or its proposer took it back; the reason is said."""

    TOPIC: ClassVar[str] = "catalogue.change_refused"
    change: str
    section: str
    key: str
    reason: str
    taken_back: bool = False


CATALOGUE_EVENTS: Final = (EntrySet, EntryRemoved, ChangeProposed, ChangeRefused)
Row = dict[str, object]


@dataclass(frozen=True, slots=True)
class EntryVersion:
    """One version of an entry: its row, None where it was withdrawn, and since when it stands."""

    fields: Row | None
    effective_at: datetime
    recorded_at: datetime
    change: str | None = None
    approved_by: str | None = None
    decision: str | None = None


@dataclass(frozen=True, slots=True)
class Change:
    """A proposed change that waits for its owner. `fields` is None where a withdrawal is meant."""

    id: str
    section: str
    key: str
    owner: str
    fields: Row | None
    proposed_by: str
    proposed_at: datetime
    base: int = 0
    effective_from: datetime | None = None
    decision: str | None = None
    note: str | None = None
