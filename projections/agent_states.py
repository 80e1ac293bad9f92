"""Agents: what each is doing, and the intervals of each state, from the facts of their shifts."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

import msgspec
from sqlite_utils.migrations import Migrations

from core.eventlog.codec import decode_event
from core.shifts import (
    AgentAvailable,
    AgentPaused,
    AgentSignedOff,
    AgentSignedOn,
    AgentUnpaused,
    WrapUpStarted,
)
from core.vocabulary import CENTRE
from projections.call_facts import mark_of
from projections.fact_store import FactStore
from projections.shifts import (
    AVAILABLE,
    PAUSE,
    SIGN_OFF,
    SIGN_ON,
    UNPAUSE,
    WRAP_UP,
    Interval,
    ShiftFact,
    Standing,
    fold_shift,
)
from projections.times import micros

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlite_utils import Database

    from core.commit import Event
    from projections.base import Fed

_OPEN: Final = ""  # the day under which intervals that have not ended are kept
_DECODE = msgspec.msgpack.Decoder(Standing).decode
_ENCODE = msgspec.msgpack.Encoder().encode
_SQL_DAYS_FROM: Final = (
    "SELECT day, standing FROM agent_days WHERE agent = ? AND day >= ? ORDER BY day"
)
_SQL_DAY_BEFORE: Final = (
    "SELECT standing FROM agent_days WHERE agent = ? AND day < ? ORDER BY day DESC LIMIT 1"
)
_SQL_DAY: Final = (
    "INSERT INTO agent_days (agent, day, standing) VALUES (?, ?, ?)"
    " ON CONFLICT (agent, day) DO UPDATE SET standing = excluded.standing"
)
_SQL_INTERVAL: Final = (
    "INSERT INTO intervals (agent, day, state, reason, from_us, to_us) VALUES (?, ?, ?, ?, ?, ?)"
)

_migrations = Migrations("agent_states")


@_migrations()
def m001_agents(db: Database) -> None:
    """Agents, their days with how they stood at each one's end, and their intervals."""
    FactStore.make(db)
    agents = db.table("agents").create(
        {
            "id": int,
            "exchange": str,
            "agent": str,
            "groups": str,
            "everywhere": int,
            "on_since_us": int,
            "paused_since_us": int,
            "reason": str,
            "wrap_up_since_us": int,
            "seen_us": int,
            "left_us": int,
        },
        pk="id",
    )
    agents.create_index(["exchange", "agent"], unique=True)
    db.table("agent_days").create(
        {"agent": int, "day": str, "standing": bytes}, pk=("agent", "day")
    )
    intervals = db.table("intervals").create(
        {"agent": int, "day": str, "state": str, "reason": str, "from_us": int, "to_us": int}
    )
    intervals.create_index(["agent", "day"])
    intervals.create_index(["from_us"])
    db.create_view(
        "intervals_readable",
        "SELECT a.exchange, a.agent, i.state, i.reason,"
        " strftime('%Y-%m-%dT%H:%M:%SZ', i.from_us / 1000000, 'unixepoch') AS from_at,"
        " strftime('%Y-%m-%dT%H:%M:%SZ', i.to_us / 1000000, 'unixepoch') AS to_at"
        " FROM intervals i JOIN agents a ON a.id = i.agent",
    )


class AgentStates:
    """The projection of shifts. See `docs/reference/read-models.md` for its tables.

    Facts are kept by agent and UTC day; a day begins with how the day before ended. A late fact
    folds its day anew, and those after it as long as their beginnings change.
    """

    name = "agent_states"
    version = 1
    topics = frozenset(
        e.TOPIC
        for e in (
            AgentSignedOn,
            AgentSignedOff,
            AgentPaused,
            AgentUnpaused,
            WrapUpStarted,
            AgentAvailable,
        )
    )
    migrations = _migrations

    def __init__(self) -> None:
        self._facts: FactStore[ShiftFact] = FactStore(ShiftFact)
        self._agents: dict[tuple[str, str], int] = {}

    def follows(self, shard: str) -> bool:
        """Shifts are in the centre's book."""
        return shard.partition("/")[0] == CENTRE

    def fresh(self) -> AgentStates:
        """Another one, for another file."""
        return AgentStates()

    def forget(self) -> None:
        """Drop what is in memory."""
        self._facts.forget()
        self._agents.clear()

    def handle(self, db: Database, events: Sequence[Fed]) -> None:
        """Add the facts to their days, and fold those anew."""
        told: dict[tuple[str, str], dict[str, list[ShiftFact]]] = {}
        shards: dict[str, str] = {}
        for fed in events:
            event = decode_event(fed.event.type, fed.event.schema, fed.event.data)
            assert event is not None
            exchange = fed.event.stream.split("/", 2)[1]
            fact, agent = _fact(fed, event)
            day = fed.event.occurred_at.date().isoformat()
            told.setdefault((exchange, agent), {}).setdefault(day, []).append(fact)
            shards[_key(exchange, agent, day)] = fed.shard
        kept = self._facts.load(db, shards)
        changed = []
        for (exchange, agent), days in told.items():
            for day, facts in days.items():
                stream = kept[_key(exchange, agent, day)]
                seqs = {fact.seq for fact in stream.facts}
                stream.facts.extend(fact for fact in facts if fact.seq not in seqs)
                changed.append(stream)
        self._facts.save(db, changed)
        for (exchange, agent), days in told.items():
            self._fold(db, exchange, agent, set(days))

    def _fold(self, db: Database, exchange: str, agent: str, touched: set[str]) -> None:
        number = self._number(db, exchange, agent)
        first = min(touched)
        known = dict(db.execute(_SQL_DAYS_FROM, [number, first]).fetchall())
        row = db.execute(_SQL_DAY_BEFORE, [number, first]).fetchone()
        standing = _DECODE(row[0]) if row else Standing()
        for day in sorted({*known, *touched}):
            stream = _key(exchange, agent, day)
            facts = self._facts.load(db, {stream: ""})[stream].facts
            ended, standing = fold_shift(facts, standing)
            after = _ENCODE(standing)
            _write_intervals(db, number, day, ended)
            same = known.get(day) == after
            if not same:
                db.execute(_SQL_DAY, [number, day, after])
            if same and not any(later > day for later in touched):
                return  # the days after it begin as before
        _write_intervals(db, number, _OPEN, standing.open())
        db.table("agents").update(number, _standing_row(standing))

    def _number(self, db: Database, exchange: str, agent: str) -> int:
        number = self._agents.get((exchange, agent))
        if number is None:
            table = db.table("agents")
            number = table.lookup({"exchange": exchange, "agent": agent})
            self._agents[exchange, agent] = number
        return number


def _key(exchange: str, agent: str, day: str) -> str:
    return f"{exchange}/{agent}/{day}"


def _standing_row(standing: Standing) -> dict[str, object]:
    return {
        "groups": json.dumps(standing.groups),
        "everywhere": standing.everywhere,
        "on_since_us": standing.on_since_us,
        "paused_since_us": standing.paused_since_us,
        "reason": standing.reason,
        "wrap_up_since_us": standing.wrap_up_since_us,
        "seen_us": standing.seen_us,
        "left_us": standing.left_us,
    }


def _write_intervals(db: Database, agent: int, day: str, parts: Sequence[Interval]) -> None:
    db.execute("DELETE FROM intervals WHERE agent = ? AND day = ?", [agent, day])
    db.conn.executemany(_SQL_INTERVAL, [(agent, day, *part) for part in parts])


def _fact(fed: Fed, event: Event) -> tuple[ShiftFact, str]:
    at = fed.event.occurred_at
    mark = mark_of(fed.commit.origin, at, fed.commit.recorded_at)
    at_us, seq = micros(at), fed.seq
    if isinstance(event, AgentSignedOn):
        return ShiftFact(at_us, seq, SIGN_ON, event.groups, mark=mark), event.agent
    if isinstance(event, AgentSignedOff):
        return ShiftFact(at_us, seq, SIGN_OFF, event.groups, mark=mark), event.agent
    if isinstance(event, AgentPaused):
        fact = ShiftFact(at_us, seq, PAUSE, _queues(event.queue), event.reason, mark)
        return fact, event.agent
    if isinstance(event, AgentUnpaused):
        return ShiftFact(at_us, seq, UNPAUSE, _queues(event.queue), mark=mark), event.agent
    if isinstance(event, WrapUpStarted):
        return ShiftFact(at_us, seq, WRAP_UP, mark=mark), event.agent
    assert isinstance(event, AgentAvailable)
    return ShiftFact(at_us, seq, AVAILABLE, mark=mark), event.agent


def _queues(queue: str | None) -> tuple[str, ...]:
    return () if queue is None else (queue,)
