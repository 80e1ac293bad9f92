"""The queues as they stand: who waits, since when, the last hour, and agents by state."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from core.vocabulary import AgentState
from projections.agents_now import AgentNow, agents_now
from projections.kpi import OUTCOMES, Counts
from projections.read_models import positions_of
from projections.statistics import counted_json, sums_by_group
from projections.times import HOUR_S, SECOND_US, iso, micros, plain

if TYPE_CHECKING:
    from datetime import datetime

    from sqlite_utils import Database

    from projections.read_models import ReadModels

OPEN_MAX_S: Final = (
    4 * HOUR_S
)  # nobody waits or talks longer: an end was not told, and it is counted apart
_MINUTE_US: Final = 60 * SECOND_US
_HOUR_US: Final = HOUR_S * SECOND_US
_MINUTES: Final = 60

_SQL_GROUPS: Final = "SELECT id, queue, name, centre, authority FROM answer_groups ORDER BY id"
_SQL_OPEN: Final = """
    SELECT e.answer_group, min(e.queue) AS queue, min(e.group_known) AS known,
        total(e.left_us IS NULL AND e.entered_us > :oldest) AS waiting, min(CASE WHEN e.left_us IS
        NULL AND e.entered_us > :oldest THEN e.entered_us END) AS oldest_us, total(e.left_us IS NOT
        NULL AND e.left_us > :oldest) AS talking, total(max(e.entered_us, coalesce(e.left_us, 0)) <=
        :oldest) AS without_end FROM entries e WHERE e.ended_us IS NULL AND e.superseded = 0 AND
        e.entered_us <= :now GROUP BY e.answer_group
"""
_SQL_ENTERED: Final = """
    SELECT (:now / :minute - entered_us / :minute) AS ago, sum(outcome <> 'refused') AS entered,
        count(*) AS offered,
        sum(outcome = 'answered') AS answered, sum(outcome = 'abandoned') AS abandoned
    FROM entries WHERE entered_us >= :since AND entered_us <= :now AND superseded = 0 GROUP BY 1
"""
_SQL_LEFT: Final = """
    SELECT (:now / :minute - left_us / :minute) AS ago, count(*) AS gone FROM entries
    WHERE entered_us > :oldest AND left_us >= :since AND left_us <= :now AND outcome <> 'refused'
        AND superseded = 0
    GROUP BY 1
"""


@dataclass(frozen=True, slots=True)
class Goal:
    """What is aimed for: the share of offered calls that is answered within `answer_within_s`."""

    share: float = 0.8
    answer_within_s: float = 20
    short_abandon_s: float = 5


@dataclass(frozen=True, slots=True)
class GroupNow:
    """One answer group at this moment. `without_end` counts entries too old to be true."""

    answer_group: str
    queue: str
    name: str
    centre: str
    authority: str
    known: bool
    waiting: int
    oldest_us: int | None
    talking: int
    without_end: int
    hour: Counts
    agents: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Minute:
    """One minute of the chart: what entered in it and became of it, and who waited at its end."""

    at_us: int
    offered: int = 0
    answered: int = 0
    abandoned: int = 0
    waiting: int = 0


@dataclass(frozen=True, slots=True)
class QueuesNow:
    """The whole picture.

    `age_s` is how old it is: since the read models were last known to be current.
    """

    at_us: int
    as_of: Mapping[str, int]
    age_s: float | None
    goal: Goal
    groups: Sequence[GroupNow]
    hour: Counts
    agents: Sequence[AgentNow]
    series: Sequence[Minute] = field(default_factory=tuple)

    def as_json(self) -> dict[str, Any]:
        """The picture for a board; times carry their offset, what is not there is null."""
        counts = {state.value: 0 for state in AgentState}
        for agent in self.agents:
            counts[agent.state] += 1
        oldest = min((g.oldest_us for g in self.groups if g.oldest_us is not None), default=None)
        return {
            "as_of": dict(self.as_of),
            "at": iso(self.at_us),
            "age_s": plain(self.age_s),
            "target": {
                "share": self.goal.share,
                "answer_within_s": plain(self.goal.answer_within_s),
                "short_abandon_s": plain(self.goal.short_abandon_s),
            },
            "groups": [self._group(group) for group in self.groups],
            "total": {
                "waiting": sum(group.waiting for group in self.groups),
                "longest_wait_s": self._wait_s(oldest),
                "longest_since": None if oldest is None else iso(oldest),
                "talking": sum(group.talking for group in self.groups),
                "without_end": sum(group.without_end for group in self.groups),
                "last_hour": hour_json(self.hour),
            },
            "agents": counts,
            "agent_list": [agent.as_json() for agent in self.agents],
            "series": [
                {
                    "at": iso(minute.at_us),
                    "offered": minute.offered,
                    "answered": minute.answered,
                    "abandoned": minute.abandoned,
                    "waiting": minute.waiting,
                }
                for minute in self.series
            ],
        }

    def _group(self, group: GroupNow) -> dict[str, Any]:
        return {
            "answer_group": group.answer_group,
            "queue": group.queue,
            "name": group.name,
            "centre": group.centre or None,
            "authority": group.authority or None,
            "known": group.known,
            "waiting": group.waiting,
            "longest_wait_s": self._wait_s(group.oldest_us),
            "oldest_entered": None if group.oldest_us is None else iso(group.oldest_us),
            "talking": group.talking,
            "without_end": group.without_end,
            "agents": dict(group.agents),
            "last_hour": hour_json(group.hour),
        }

    def _wait_s(self, since_us: int | None) -> float | int | None:
        return None if since_us is None else plain(max(0, self.at_us - since_us) / SECOND_US)


def hour_json(counts: Counts) -> dict[str, Any]:
    """Counts and figures of an hour, as in the statistics' rows."""
    outcomes = {name: getattr(counts, name) for name in OUTCOMES}
    return {"offered": counts.offered, **outcomes, **counted_json(counts)}


def queues_now(
    read_models: ReadModels, now: datetime, goal: Goal | None = None, age_s: float | None = None
) -> QueuesNow:
    """The queues at `now`.

    `age_s` comes from the runner; without it, it is since the last event was told.

    Raises: Unavailable where a read model is not there.
    """
    goal = goal or Goal()
    now_us = micros(now)
    with read_models.snapshot("agent_states") as db:
        shifts_as_of = positions_of(db)
        standing = list(db.query("SELECT * FROM agents"))
    with read_models.snapshot("queue_entries") as db:
        as_of = positions_of(db)
        if age_s is None:
            age_s = _age_s(db, now_us)
        names = {row["id"]: row for row in db.query(_SQL_GROUPS)}
        open_rows = {
            row["answer_group"]: row
            for row in db.query(
                _SQL_OPEN, {"now": now_us, "oldest": now_us - OPEN_MAX_S * SECOND_US}
            )
        }
        since = now_us - _HOUR_US
        hours, hour = sums_by_group(
            db, since, now_us + 1, goal.answer_within_s, goal.short_abandon_s
        )
        agents = agents_now(db, standing, names, now_us)
        waiting = sum(int(row["waiting"]) for row in open_rows.values())
        series = _series(db, now_us, waiting)
    ids = [*names, *sorted({*open_rows, *hours} - set(names))]
    groups = [
        _group(name, names.get(name), open_rows.get(name), hours.get(name), agents) for name in ids
    ]
    merged = {
        shard: min(as_of.get(shard, p), shifts_as_of.get(shard, p))
        for shard, p in {**shifts_as_of, **as_of}.items()
    }
    return QueuesNow(now_us, merged, age_s, goal, groups, hour, agents, series)


def _group(
    name: str,
    known: Mapping[str, Any] | None,
    standing: Mapping[str, Any] | None,
    hour: Counts | None,
    agents: Sequence[AgentNow],
) -> GroupNow:
    states: dict[str, int] = {}
    for agent in agents:
        if name in agent.groups:
            states[agent.state] = states.get(agent.state, 0) + 1
    queue = known["queue"] if known else standing["queue"] if standing else name
    return GroupNow(
        answer_group=name,
        queue=queue,
        name=known["name"] if known else name,
        centre=known["centre"] if known else "",
        authority=known["authority"] if known else "",
        known=known is not None,
        waiting=int(standing["waiting"]) if standing else 0,
        oldest_us=standing["oldest_us"] if standing else None,
        talking=int(standing["talking"]) if standing else 0,
        without_end=int(standing["without_end"]) if standing else 0,
        hour=hour or Counts(),
        agents=states,
    )


def _age_s(db: Database, now_us: int) -> float | None:
    row = db.execute("SELECT max(recorded_us) FROM positions").fetchone()
    return None if row[0] is None else max(0, now_us - row[0]) / SECOND_US


def _series(db: Database, now_us: int, waiting: int) -> list[Minute]:
    """The last sixty minutes, oldest first, this one unfinished.

    Who waited then is counted backwards from who waits now.
    """
    this = now_us // _MINUTE_US * _MINUTE_US
    since = this - _HOUR_US + _MINUTE_US
    params = {"now": now_us, "minute": _MINUTE_US, "since": since}
    entered = {row["ago"]: row for row in db.query(_SQL_ENTERED, params)}
    oldest = since - OPEN_MAX_S * SECOND_US
    gone = {row["ago"]: row["gone"] for row in db.query(_SQL_LEFT, {**params, "oldest": oldest})}
    minutes = []
    for ago in range(_MINUTES):
        row = entered.get(ago)
        minutes.append(
            Minute(
                this - ago * _MINUTE_US,
                row["offered"] if row else 0,
                row["answered"] if row else 0,
                row["abandoned"] if row else 0,
                max(0, waiting),
            )
        )
        waiting += gone.get(ago, 0) - (row["entered"] if row else 0)
    return minutes[::-1]
