"""What the archivist goes by: when each case was closed, what was decided on it, what is erased.

No text is here: ids, numbers, codes, times, and the keyed hash of the caller. Cases and erasures
come from different books, so neither looks at the other's rows; questions bring them together.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sqlite_utils.migrations import Migrations

from core.cases import (
    CASE_EVENTS,
    AttachmentAdded,
    CaseCategorised,
    CaseClosed,
    CaseProtected,
    CaseRegistered,
    CaseReopened,
    RegistryDecided,
)
from core.catalogue import fields_of
from core.erasure import (
    ErasureCarriedOut,
    ErasureCompleted,
    ErasureDecided,
    ErasureOrdered,
)
from core.eventlog.codec import decode_event
from core.retention import ArchiveExported
from core.vocabulary import CASES_PREFIX, CENTRE
from projections.times import micros

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlite_utils import Database

    from core.commit import Event
    from projections.base import Fed

_CASE_TOPICS: Final = frozenset(event_class.TOPIC for event_class in CASE_EVENTS)
_WRITES: Final = frozenset(
    event_class.TOPIC
    for event_class in CASE_EVENTS
    if any(item.personal for item in fields_of(event_class))
)
_migrations = Migrations("case_keeping")


@_migrations()
def m001_keeping(db: Database) -> None:
    """Cases with the moments that retention goes by, erasures with their protocols, exports."""
    db.table("cases").create(
        {
            "stream": str, "authority": str, "id": str, "number": str, "caller_ref": str,
            "case_type": str, "protected": int, "registered_us": int, "closed_us": int,
            "written_us": int, "registry": str, "registry_number": str, "attachments": int,
        },
        pk="stream",
        not_null={"authority", "id", "protected", "written_us", "attachments"},
        defaults={"protected": 0, "written_us": 0, "attachments": 0},
    )  # fmt: skip
    db.table("cases").create_index(["authority", "closed_us"])
    db.table("cases").create_index(["authority", "caller_ref"])
    db.table("erased").create({"subject": str, "number": str, "us": int}, pk=("subject", "number"))
    db.table("erased").create_index(["number"])
    db.table("protocols").create(
        {
            "number": str, "authority": str, "rule": str, "reference": str, "purpose": str,
            "registrar": str, "cases": int, "callers": int, "again": str, "decided_us": int,
            "shard": str, "position": int, "carried_out_us": int, "keys": int, "attachments": int,
            "completed_us": int,
        },
        pk="number",
    )  # fmt: skip
    db.table("protocols").create_index(["authority", "position"])
    db.table("exports").create(
        {
            "shard": str, "seq": int, "authority": str, "begin_us": int, "end_us": int,
            "exported_us": int, "sha256": str, "cases": int, "registrar": str, "position": int,
        },
        pk=("shard", "seq"),
    )  # fmt: skip
    db.table("exports").create_index(["authority", "begin_us"])


class CaseKeeping:
    """The projection of cases as they are kept. See `docs/reference/read-models.md`."""

    name = "case_keeping"
    version = 2
    topics = _CASE_TOPICS | {
        event_class.TOPIC
        for event_class in (
            ErasureDecided, ErasureOrdered, ErasureCarriedOut, ErasureCompleted, ArchiveExported
        )
    }  # fmt: skip
    migrations = _migrations

    def follows(self, shard: str) -> bool:
        """Every authority's cases, and the centre's decisions."""
        book = shard.rpartition("/")[0]
        return book.startswith(CASES_PREFIX) or book == CENTRE

    def fresh(self) -> CaseKeeping:
        """Another one, for another file."""
        return CaseKeeping()

    def forget(self) -> None:
        """Nothing is kept beside the file."""

    def handle(self, db: Database, events: Sequence[Fed]) -> None:
        """Write what each event changes, in the order of its shard."""
        for fed in events:
            event = decode_event(fed.event.type, fed.event.schema, fed.event.data)
            if fed.event.type in _CASE_TOPICS:
                assert event is not None
                _case(db, fed, event)
            elif event is not None:
                _centre(db, fed, event)


def _case(db: Database, fed: Fed, event: Event) -> None:
    stream, at = fed.event.stream, micros(fed.event.occurred_at)
    _kind, authority, case = stream.split("/", 2)
    db.execute(
        "INSERT INTO cases (stream, authority, id) VALUES (?, ?, ?) ON CONFLICT DO NOTHING",
        [stream, authority, case],
    )
    if fed.event.type in _WRITES:
        _set(db, stream, "written_us = max(written_us, ?)", at)
    match event:
        case CaseRegistered():
            db.execute(
                "UPDATE cases SET number = ?, caller_ref = ?, protected = ?, registered_us = ?"
                " WHERE stream = ? AND number IS NULL",
                [event.number, event.caller_ref, int(event.protected), at, stream],
            )
        case CaseCategorised():
            _set(db, stream, "case_type = ?", event.case_type)
        case CaseClosed():
            _set(db, stream, "closed_us = ?", at)
        case CaseReopened():
            _set(db, stream, "closed_us = ?", None)
        case CaseProtected():
            _set(db, stream, "protected = ?", int(event.protected))
        case RegistryDecided():
            _set(db, stream, "registry = ?, registry_number = ?", event.outcome,
                 event.registry_number)  # fmt: skip
        case AttachmentAdded():
            _set(db, stream, "attachments = attachments + 1")
        case _:
            pass


def _set(db: Database, stream: str, what: str, *values: object) -> None:
    db.execute(f"UPDATE cases SET {what} WHERE stream = ?", [*values, stream])


def _centre(db: Database, fed: Fed, event: Event) -> None:
    at = micros(fed.event.occurred_at)
    match event:
        case ErasureOrdered():
            db.execute(
                "INSERT INTO protocols (number, authority, rule, reference, purpose, registrar,"
                " cases, callers, again, decided_us, shard, position)"
                " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
                [
                    event.number, event.authority, event.rule, event.reference, event.purpose,
                    event.registrar, event.cases, event.callers, event.again, at, fed.shard,
                    fed.position,
                ],
            )  # fmt: skip
        case ErasureDecided():
            db.execute(
                "INSERT INTO erased VALUES (?, ?, ?) ON CONFLICT DO NOTHING",
                [event.subject, event.number or "", at],
            )
        case ErasureCarriedOut():
            db.execute(
                "UPDATE protocols SET carried_out_us = ?, keys = ?, attachments = ?"
                " WHERE number = ? AND carried_out_us IS NULL",
                [at, event.keys, event.attachments, event.number],
            )
        case ErasureCompleted():
            db.execute(
                "UPDATE protocols SET completed_us = ? WHERE number = ? AND completed_us IS NULL",
                [at, event.number],
            )
        case ArchiveExported():
            db.execute(
                "INSERT INTO exports VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
                [
                    fed.shard, fed.seq, event.authority, micros(event.begin), micros(event.end),
                    at, event.sha256, event.cases, event.registrar, event.position,
                ],
            )  # fmt: skip
        case _:
            pass
