"""One row for each case, with what figures need of it; names of case types; search over both.

Personal text is sealed in the log and is not here: only numbers, codes and the hash of the caller.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from sqlite_utils.migrations import Migrations

from core.cases import CaseCategorised, CaseClosed, CaseRegistered
from core.eventlog.codec import decode_event
from core.taxonomy import EntryRemoved, EntrySet
from core.vocabulary import CASES_PREFIX, CENTRE
from projections.call_facts import mark_of, worse
from projections.fact_store import FactStore, Kept
from projections.times import micros

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from sqlite_utils import Database

    from projections.base import Fed

REGISTER, CATEGORISE, CLOSE = range(3)


class CaseFact(NamedTuple):
    """One event of a case; `word` is its type or outcome, `flag` complaint or first contact."""

    at_us: int
    seq: int
    kind: int
    mark: int
    flag: bool = False
    number: str | None = None
    authority: str | None = None
    agent: str | None = None
    channel: str | None = None
    contact: str | None = None
    caller_ref: str | None = None
    word: str | None = None


class Case(NamedTuple):
    """One case.

    Times are microseconds since the epoch; `contact` is the stream of the call it came from.
    """

    number: str | None
    authority: str
    channel: str | None
    contact: str | None
    caller_ref: str | None
    case_type: str | None
    complaint: bool
    outcome: str | None
    first_contact: bool
    registered_us: int | None
    closed_us: int | None
    registered_by: str | None
    closed_by: str | None
    mark: int


def fold_case(stream: str, facts: Sequence[CaseFact]) -> Case:
    """What a case comes to: first registration, last type and first close, told in any order."""
    registered = categorised = closed = None
    mark = 0
    for fact in sorted(facts):
        mark = worse(mark, fact.mark)
        if fact.kind == REGISTER:
            registered = registered or fact
        elif fact.kind == CATEGORISE:
            categorised = fact
        else:
            closed = closed or fact
    return Case(
        number=registered.number if registered else None,
        authority=stream.split("/", 2)[1],
        channel=registered.channel if registered else None,
        contact=registered.contact if registered else None,
        caller_ref=registered.caller_ref if registered else None,
        case_type=categorised.word if categorised else None,
        complaint=categorised.flag if categorised else False,
        outcome=closed.word if closed else None,
        first_contact=closed.flag if closed else False,
        registered_us=registered.at_us if registered else None,
        closed_us=closed.at_us if closed else None,
        registered_by=registered.agent if registered else None,
        closed_by=closed.agent if closed else None,
        mark=mark,
    )


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
}
assert tuple(_COLUMNS)[2:] == Case._fields

_migrations = Migrations("case_figures")


@_migrations()
def m001_cases(db: Database) -> None:
    """Cases and case types, with search: parts of words in numbers, whole words in names."""
    FactStore.make(db)
    cases = db.table("cases").create(_COLUMNS, pk="id")
    for columns in (["contact"], ["caller_ref", "case_type"], ["authority", "case_type"]):
        cases.create_index(columns)
    cases.enable_fts(["number", "case_type"], tokenize="trigram", create_triggers=True)
    types = db.table("case_types").create(
        {"id": int, "code": str, "name": str, "english": str, "authority": str}, pk="id"
    )
    types.create_index(["code"], unique=True)
    types.enable_fts(
        ["code", "name", "english"],
        tokenize="unicode61 remove_diacritics 2",
        create_triggers=True,
    )
    db.create_view(
        "contact_types",
        "SELECT DISTINCT contact, case_type FROM cases"
        " WHERE contact IS NOT NULL AND case_type IS NOT NULL",
    )


class CaseFigures:
    """The projection of cases. See `docs/reference/read-models.md` for its tables."""

    name = "case_figures"
    version = 1
    topics = frozenset(
        e.TOPIC for e in (CaseRegistered, CaseCategorised, CaseClosed, EntrySet, EntryRemoved)
    )
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
        told: list[tuple[Fed, CaseFact]] = []
        for fed in events:
            event = decode_event(fed.event.type, fed.event.schema, fed.event.data)
            if isinstance(event, EntrySet | EntryRemoved):
                _case_type(db, event)
            elif isinstance(event, CaseRegistered | CaseCategorised | CaseClosed):
                told.append((fed, _fact(fed, event)))
        cases = self._facts.load(db, {fed.event.stream: fed.shard for fed, _ in told})
        changed: dict[str, Kept[CaseFact]] = {}
        for fed, fact in told:
            case = cases[fed.event.stream]
            if all(fact.seq != known.seq for known in case.facts):
                case.facts.append(fact)
                changed[case.stream] = case
        self._facts.save(db, changed.values())
        db.table("cases").upsert_all(_rows(changed.values()), pk="id")


def _rows(cases: Iterable[Kept[CaseFact]]) -> Iterable[dict[str, object]]:
    for case in cases:
        row = fold_case(case.stream, case.facts)
        yield {"id": case.id, "stream": case.stream, **row._asdict()}


def _fact(fed: Fed, event: CaseRegistered | CaseCategorised | CaseClosed) -> CaseFact:
    at, seq = micros(fed.event.occurred_at), fed.seq
    mark = mark_of(fed.commit.origin, fed.event.occurred_at, fed.commit.recorded_at)
    if isinstance(event, CaseRegistered):
        return CaseFact(
            at,
            seq,
            REGISTER,
            mark,
            False,
            event.number,
            event.authority,
            event.agent,
            event.channel,
            event.contact,
            event.caller_ref,
        )
    if isinstance(event, CaseCategorised):
        return CaseFact(
            at, seq, CATEGORISE, mark, event.complaint, agent=event.agent, word=event.case_type
        )
    return CaseFact(
        at, seq, CLOSE, mark, event.first_contact, agent=event.agent, word=event.outcome
    )


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
