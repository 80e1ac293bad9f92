"""One row for each entry of a call into a queue: what queues and statistics are counted from."""

from __future__ import annotations

from bisect import bisect_left
from typing import TYPE_CHECKING, Final

from msgspec.structs import asdict, astuple
from sqlite_utils.migrations import Migrations

from core.calls import ExchangeRestarted
from core.vocabulary import CALLS, CENTRE
from projections.call_facts import ANSWER, CALL_TOPICS, END, RESTART, CallFact, call_fact
from projections.entries import Entry, Folded, fold_call
from projections.fact_store import FactStore, Kept
from projections.groups import CATALOGUE_TOPICS, make_group_tables, write_catalogue
from projections.times import micros
from projections.upserts import Upsert

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from sqlite_utils import Database

    from projections.base import Fed

ENTRIES_PER_CALL_MAX: Final = (
    1 << 10
)  # a row's number is the call's times this, plus the entry's own

_COLUMNS: Final = {
    "id": int,
    "call": int,
    "exchange": str,
    "n": int,
    "queue": str,
    "answer_group": str,
    "group_known": int,
    "channel": str,
    "entered_us": int,
    "seq": int,
    "caller_ref": str,
    "outcome": str,
    "wait_s": float,
    "talk_s": float,
    "agent": str,
    "left_us": int,
    "ended_us": int,
    "transferred": int,
    "not_taken": int,
    "wrap_up_s": float,
    "wrapped_us": int,
    "wrap_up_outcome": str,
    "superseded": int,
    "mark": int,
}
assert tuple(_COLUMNS)[3:] == Entry.__struct_fields__
_ENTRIES: Final = Upsert("entries", tuple(_COLUMNS), ("id",), tuple(_COLUMNS)[3:])
_SEEN: Final = Upsert(
    "agents_seen",
    ("exchange", "agent", "queue", "seen_us"),
    ("exchange", "agent", "queue"),
    merge={"seen_us": "max(seen_us, excluded.seen_us)"},
)
_SQL_OPEN_AT: Final = (
    "SELECT call FROM entries WHERE ended_us IS NULL AND entered_us <= :at AND exchange = :exchange"
    " UNION SELECT call FROM entries"
    " WHERE ended_us >= :at AND entered_us <= :at AND exchange = :exchange"
)
_SQL_READABLE: Final = """
    SELECT s.stream AS call, e.n, e.exchange, e.queue, e.answer_group, e.group_known,
        g.authority, g.centre,
        e.channel, e.caller_ref, e.outcome, e.wait_s, e.talk_s, e.wrap_up_s, e.agent, e.transferred,
        e.not_taken, strftime('%Y-%m-%dT%H:%M:%SZ', e.entered_us / 1000000, 'unixepoch') AS
        entered_at, strftime('%Y-%m-%dT%H:%M:%SZ', e.left_us / 1000000, 'unixepoch') AS left_at,
        strftime('%Y-%m-%dT%H:%M:%SZ', e.ended_us / 1000000, 'unixepoch') AS ended_at FROM entries e
        JOIN streams s ON s.id = e.call LEFT JOIN answer_groups g ON g.id = e.answer_group
"""

_migrations = Migrations("queue_entries")


@_migrations()
def m001_entries(db: Database) -> None:
    """Calls' facts, entries, orphans, calls not taken, restarts, and the names of groups."""
    FactStore.make(db)
    entries = db.table("entries").create(_COLUMNS, pk="id")
    entries.create_index(["entered_us"])
    entries.create_index(["ended_us"])
    db.table("orphans").create(
        {
            "call": int,
            "at_us": int,
            "seq": int,
            "kind": int,
            "queue": str,
            "agent": str,
            "wait_s": float,
            "talk_s": float,
        },
        pk=("call", "seq"),
    )
    db.table("not_taken").create({"entry": int, "agent": str, "times": int}, pk=("entry", "agent"))
    db.table("restarts").create(
        {"exchange": str, "at_us": int, "shard": str, "seq": int}, pk=("exchange", "shard", "seq")
    )
    db.table("agents_seen").create(
        {"exchange": str, "agent": str, "queue": str, "seen_us": int},
        pk=("exchange", "agent", "queue"),
    )
    make_group_tables(db)
    db.create_view("entries_readable", _SQL_READABLE)


class QueueEntries:
    """The projection of calls. See `docs/reference/read-models.md` for its tables."""

    name = "queue_entries"
    version = 3
    topics = CALL_TOPICS | CATALOGUE_TOPICS | {ExchangeRestarted.TOPIC}
    migrations = _migrations

    def __init__(self) -> None:
        self._facts: FactStore[CallFact] = FactStore(CallFact)
        self._restarts: dict[str, list[tuple[int, str, int]]] | None = None

    def follows(self, shard: str) -> bool:
        """Calls, and the centre's catalogue."""
        return shard.partition("/")[0] in {CALLS, CENTRE}

    def fresh(self) -> QueueEntries:
        """Another one, for another file."""
        return QueueEntries()

    def forget(self) -> None:
        """Drop the calls in memory."""
        self._facts.forget()
        self._restarts = None

    def handle(self, db: Database, events: Sequence[Fed]) -> None:
        """Add the facts, fold each touched call anew, write the rows that differ."""
        write_catalogue(db, events)
        restarts = [fed for fed in events if fed.event.type == ExchangeRestarted.TOPIC]
        told = [(fed, call_fact(fed)) for fed in events if fed.event.type in CALL_TOPICS]
        calls = self._facts.load(db, {fed.event.stream: fed.shard for fed, _ in told})
        changed: dict[str, Kept[CallFact]] = {}
        for fed, fact in told:
            call = calls[fed.event.stream]
            if fact is not None and _is_new(fact, call.facts):
                call.facts.append(fact)
                changed[call.stream] = call
        self._facts.save(db, changed.values())
        _write_seen(db, told)
        self._write(db, changed.values())
        if restarts:
            self._restart(db, restarts)

    def _restart(self, db: Database, events: Sequence[Fed]) -> None:
        """Take over restarts, and fold anew every call that was in a queue at one."""
        known = self._known_restarts(db)
        for fed in events:
            exchange = fed.event.stream.partition("/")[2]
            at_us = micros(fed.event.occurred_at)
            db.table("restarts").upsert(
                {"exchange": exchange, "at_us": at_us, "shard": fed.shard, "seq": fed.seq},
                pk=("exchange", "shard", "seq"),
            )
            times = known.setdefault(exchange, [])
            if (at_us, fed.shard, fed.seq) not in times:
                times.append((at_us, fed.shard, fed.seq))
                times.sort()
            numbers = [
                row["call"] for row in db.query(_SQL_OPEN_AT, {"exchange": exchange, "at": at_us})
            ]
            self._write(db, self._facts.load(db, self._facts.named(db, numbers)).values())

    def _write(self, db: Database, calls: Iterable[Kept[CallFact]]) -> None:
        rows: list[tuple[object, ...]] = []
        for call in calls:
            exchange = call.stream.split("/", 2)[1]
            folded = fold_call(call.facts, self._restarts_for(db, call, exchange))
            if len(folded.entries) > ENTRIES_PER_CALL_MAX:
                raise ValueError(f"a call has more than {ENTRIES_PER_CALL_MAX} entries")
            before = call.written.entries if call.written else ()
            first = call.id * ENTRIES_PER_CALL_MAX
            for n, entry in enumerate(folded.entries):
                if n >= len(before) or before[n] != entry:
                    rows.append((first + n, call.id, exchange, *astuple(entry)))
            _write_rest(db, call, folded, first)
            call.written = folded
        _ENTRIES.write(db, rows)

    def _restarts_for(
        self, db: Database, call: Kept[CallFact], exchange: str
    ) -> Sequence[CallFact]:
        """The restarts of the call's exchange from its first fact on; most often there are none.

        Within one shard the log's order decides between a restart and an entry of one moment;
        across shards there is no order, and the restart is taken to be first.
        """
        times = self._known_restarts(db).get(exchange)
        if not times or not call.facts:
            return ()
        since = min(fact.at_us for fact in call.facts)
        later = times[bisect_left(times, (since, "", 0)) :]
        return [
            CallFact(at_us, seq if name == call.shard else -1, RESTART)
            for at_us, name, seq in later
        ]

    def _known_restarts(self, db: Database) -> dict[str, list[tuple[int, str, int]]]:
        if self._restarts is None:
            self._restarts = {}
            rows = db.table("restarts").rows_where(order_by="exchange, at_us, shard, seq")
            for row in rows:
                times = self._restarts.setdefault(row["exchange"], [])
                times.append((row["at_us"], row["shard"], row["seq"]))
        return self._restarts


def _write_seen(db: Database, told: Sequence[tuple[Fed, CallFact | None]]) -> None:
    """When each agent last began or ended a talk in a queue: the latest of all, in any order."""
    seen: dict[tuple[str, str, str], int] = {}
    for fed, fact in told:
        if fact is not None and fact.kind in {ANSWER, END} and fact.agent is not None:
            key = (fed.event.stream.split("/", 2)[1], fact.agent, fact.queue)
            seen[key] = max(seen.get(key, fact.at_us), fact.at_us)
    _SEEN.write(db, [(*key, at_us) for key, at_us in seen.items()])


def _is_new(fact: CallFact, facts: Sequence[CallFact]) -> bool:
    """Whether the fact is not there yet; they stand in the order in which they were told."""
    return not facts or fact.seq > facts[-1].seq or all(fact.seq != known.seq for known in facts)


def _write_rest(db: Database, call: Kept[CallFact], folded: Folded, first: int) -> None:
    """Orphans and calls not taken: seldom any, and rewritten where they may have changed."""
    before = call.written
    if before is None or (before and before.orphans != folded.orphans) or folded.orphans:
        db.table("orphans").delete_where("call = ?", [call.id])
        db.table("orphans").insert_all(
            {"call": call.id, **asdict(orphan)} for orphan in folded.orphans
        )
    if before is None or (before and before.not_taken != folded.not_taken) or folded.not_taken:
        last = first + ENTRIES_PER_CALL_MAX
        db.table("not_taken").delete_where("entry >= ? AND entry < ?", [first, last])
        db.table("not_taken").insert_all(
            {"entry": first + n, "agent": agent, "times": times}
            for n, agent, times in folded.not_taken
        )
