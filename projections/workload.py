"""Agents' work clipped to a period: talk, after-call work, time signed on, and pauses."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

from projections.shifts import IN_WRAP_UP, PAUSED, SIGNED_ON, Interval, clipped_us, common
from projections.statistics import sums_by_group
from projections.times import HOUR_S, SECOND_US, micros

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from sqlite_utils import Database

    from projections.kpi import Counts
    from projections.read_models import ReadModels

WORK_MAX_S: Final = (
    12 * HOUR_S
)  # a call that entered earlier than this before a period is not at work in it
_Agent = tuple[str, str]

_SQL_SHIFTS: Final = """
    SELECT a.exchange, a.agent, i.state, i.reason, i.from_us, i.to_us
    FROM intervals i JOIN agents a ON a.id = i.agent
    WHERE i.from_us < :end AND (i.to_us IS NULL OR i.to_us > :begin)
"""
_SQL_WORK: Final = """
    SELECT exchange, agent, left_us, ended_us, talk_s, wrapped_us, wrap_up_s FROM entries
    WHERE entered_us >= :oldest AND entered_us < :end AND outcome = 'answered' AND agent IS NOT NULL
"""


@dataclass(frozen=True, slots=True)
class AgentTime:
    """One agent's seconds inside a period.

    Pauses count only while signed on; `by_reason` splits them.
    """

    exchange: str
    agent: str
    staffed_s: float
    paused_s: float
    work_s: float
    by_reason: dict[str, float]


def agent_times(read_models: ReadModels, begin: datetime, end: datetime) -> list[AgentTime]:
    """Each agent who signed on or worked in the period, in order of exchange and name.

    An exchange's configured members never sign on; their `staffed_s` is 0, and nothing can be said
    of their occupancy. Raises: Unavailable.
    """
    period = micros(begin), micros(end)
    params = {"begin": period[0], "end": period[1]}
    with read_models.snapshot("agent_states") as db:
        shifts = _by_agent(db.query(_SQL_SHIFTS, params))
    with read_models.snapshot("queue_entries") as db:
        oldest = period[0] - WORK_MAX_S * SECOND_US
        calls = _work(db, {"end": period[1], "oldest": oldest}, period[1])
    found = []
    for exchange, agent in sorted({*shifts, *calls}):
        parts = shifts.get((exchange, agent), [])
        staffed = [part for part in parts if part.state == SIGNED_ON]
        paused = common([part for part in parts if part.state == PAUSED], staffed)
        reasons = {part.reason for part in paused}
        wrap_up = [part for part in parts if part.state == IN_WRAP_UP]
        found.append(
            AgentTime(
                exchange,
                agent,
                clipped_us(staffed, *period) / SECOND_US,
                clipped_us(paused, *period) / SECOND_US,
                clipped_us([*calls.get((exchange, agent), []), *wrap_up], *period) / SECOND_US,
                {
                    reason: clipped_us([p for p in paused if p.reason == reason], *period)
                    / SECOND_US
                    for reason in sorted(reasons)
                },
            )
        )
    return [time for time in found if time.staffed_s or time.work_s]


def figures_of_period(
    read_models: ReadModels,
    begin: datetime,
    end: datetime,
    *,
    answer_within_s: float = 20,
    short_abandon_s: float = 5,
) -> Counts:
    """Everything that the key figures of one period are made of, over all groups.

    Raises: Unavailable.

    Counts and waits are of calls that entered in the period; work, staffed time and pauses are
    clipped to it, of those who signed on.
    """
    times = [time for time in agent_times(read_models, begin, end) if time.staffed_s]
    with read_models.snapshot("queue_entries") as db:
        _, counts = sums_by_group(db, micros(begin), micros(end), answer_within_s, short_abandon_s)
    return replace(
        counts,
        work_s=sum(time.work_s for time in times),
        staffed_s=sum(time.staffed_s for time in times),
        paused_s=sum(time.paused_s for time in times),
    )


def _by_agent(rows: Iterable[dict[str, Any]]) -> dict[_Agent, list[Interval]]:
    found: dict[_Agent, list[Interval]] = {}
    for row in rows:
        part = Interval(row["state"], row["reason"], row["from_us"], row["to_us"])
        found.setdefault((row["exchange"], row["agent"]), []).append(part)
    return found


def _work(db: Database, params: dict[str, int], end_us: int) -> dict[_Agent, list[Interval]]:
    """Talk from the answer on, as long as the exchange says; after-call work up to its end."""
    found: dict[_Agent, list[Interval]] = {}
    for row in db.query(_SQL_WORK, params):
        parts = found.setdefault((row["exchange"], row["agent"]), [])
        answered_us, talk_s = row["left_us"], row["talk_s"]
        talked = row["ended_us"] if talk_s is None else answered_us + round(talk_s * SECOND_US)
        parts.append(Interval("talk", "", answered_us, talked or end_us))
        if row["wrap_up_s"]:
            since = row["wrapped_us"] - round(row["wrap_up_s"] * SECOND_US)
            parts.append(Interval(IN_WRAP_UP, "", since, row["wrapped_us"]))
    return found
