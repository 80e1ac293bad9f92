"""One row for each case, with what figures need of it; names of case types, and search in them.

Personal text is sealed in the log and is not here: only numbers, codes and the hash of the caller.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sqlite_utils.migrations import Migrations

from core.entries import EntryRemoved, EntrySet
from core.eventlog.codec import decode_event
from core.vocabulary import CASES_PREFIX, CENTRE
from projections.case_facts import CONTACT, FIGURE_TOPICS, Case, CaseFact, case_fact, fold_case
from projections.fact_store import FactStore, Kept
from projections.later import ENTRY_TOPICS, entries_due, make_later_tables
from projections.upserts import Upsert

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlite_utils import Database

    from projections.base import Fed

_COLUMNS: Final = {
    "id": int,
    "stream": str,
    "number": str,
    "authority": str,
    "channel": str,
    "contact": str,
    "caller_ref": str,
    "case_type": str,
    "complaint": int,
    "outcome": str,
    "first_contact": int,
    "registered_us": int,
    "closed_us": int,
    "registered_by": str,
    "closed_by": str,
    "mark": int,
    "level": str,
    "answer_group": str,
    "contacts": int,
    "guided": int,
    "passed_on": int,
    "reopened": int,
}
assert tuple(_COLUMNS)[2:] == Case._fields
_CASES: Final = Upsert("cases", tuple(_COLUMNS), ("id",))
_CONTACTS: Final = Upsert("contacts", ('"case"', "seq", "at_us", "caller_ref"), ('"case"', "seq"))

_migrations = Migrations("case_figures")


@_migrations()
def m001_cases(db: Database) -> None:
    """Cases, and case types with search of whole words in their names."""
    FactStore.make(db)
    cases = db.table("cases").create(_COLUMNS, pk="id")
    for columns in (["contact"], ["caller_ref", "case_type"], ["authority", "case_type"]):
        cases.create_index(columns)
    cases.create_index(["registered_us"])
    contacts = db.table("contacts").create(
        {"case": int, "seq": int, "at_us": int, "caller_ref": str}, pk=("case", "seq")
    )
    contacts.create_index(["case", "caller_ref"])
    make_later_tables(db)
    types = db.table("case_types").create(
        {"id": int, "code": str, "name": str, "english": str, "authority": str}, pk="id"
    )
    types.create_index(["code"], unique=True)
    types.enable_fts(
        ["code", "name", "english"],
        tokenize="unicode61 remove_diacritics 2",
        create_triggers=True,
    )


class CaseFigures:
    """The projection of cases. See `docs/reference/read-models.md` for its tables."""

    name = "case_figures"
    version = 3
    topics = FIGURE_TOPICS | ENTRY_TOPICS
    migrations = _migrations

    def __init__(self) -> None:
        self._facts: FactStore[CaseFact] = FactStore(CaseFact)

    def follows(self, shard: str) -> bool:
        """Every authority's cases, and the centre's catalogue."""
        book = shard.rpartition("/")[0]
        return book.startswith(CASES_PREFIX) or book == CENTRE

    def fresh(self) -> CaseFigures:
        """Another one, for another file."""
        return CaseFigures()

    def forget(self) -> None:
        """Drop the cases in memory."""
        self._facts.forget()

    def handle(self, db: Database, events: Sequence[Fed]) -> None:
        """Add the facts and write the touched cases anew."""
        for entry in entries_due(db, events):
            _case_type(db, entry)
        told: list[tuple[Fed, CaseFact]] = []
        for fed in events:
            if fed.event.type in ENTRY_TOPICS:
                continue
            event = decode_event(fed.event.type, fed.event.schema, fed.event.data)
            if event is not None and (fact := case_fact(fed, event)) is not None:
                told.append((fed, fact))
        cases = self._facts.load(db, {fed.event.stream: fed.shard for fed, _ in told})
        changed: dict[str, Kept[CaseFact]] = {}
        for fed, fact in told:
            case = cases[fed.event.stream]
            if all(fact.seq != known.seq for known in case.facts):
                case.facts.append(fact)
                changed[case.stream] = case
        self._facts.save(db, changed.values())
        _CASES.write(db, [_row(case) for case in changed.values()])
        _CONTACTS.write(
            db,
            [
                (case.id, fact.seq, fact.at_us, fact.caller_ref)
                for case in changed.values()
                for fact in case.facts
                if fact.kind == CONTACT
            ],
        )


def _row(case: Kept[CaseFact]) -> tuple[object, ...]:
    return (case.id, case.stream, *fold_case(case.stream, case.facts))


def _case_type(db: Database, event: EntrySet | EntryRemoved) -> None:
    if event.section != "case_type":
        return
    if isinstance(event, EntryRemoved):
        db.table("case_types").delete_where("code = ?", [event.key])
        return
    row = {
        "code": event.key,
        "name": str(event.fields.get("name", event.key)),
        "english": str(event.fields.get("english", "")),
        "authority": str(event.fields.get("authority", "")),
    }
    found = list(db.table("case_types").pks_and_rows_where("code = ?", [event.key]))
    if found:
        db.table("case_types").update(found[0][0], row)
    else:
        db.table("case_types").insert(row)
