"""What each agent is doing at a moment: the shift's facts, and the calls that the agent is in."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from core.vocabulary import AgentState
from projections.times import HOUR_S, SECOND_US, iso

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sqlite_utils import Database

_SEEN_S: Final = 12 * HOUR_S  # who has not been heard of for so long is not at work
_TALK_MAX_S: Final = 4 * HOUR_S  # as in `projections.live`
_SQL_SEEN: Final = """
    SELECT exchange, agent, json_group_array(queue) AS queues, max(seen_us) AS seen_us
    FROM agents_seen WHERE seen_us >= :since GROUP BY 1, 2
"""
_SQL_TALKING: Final = """
    SELECT exchange, agent, max(left_us) AS since_us FROM entries
    WHERE ended_us IS NULL AND outcome = 'answered' AND superseded = 0 AND left_us > :talk_since
        AND agent IS NOT NULL
    GROUP BY 1, 2
"""


@dataclass(frozen=True, slots=True)
class AgentNow:
    """One agent. `groups` are our groups' ids, or a queue's name where there is no such group."""

    exchange: str
    agent: str
    state: str
    since_us: int | None
    reason: str | None
    groups: tuple[str, ...]

    def as_json(self) -> dict[str, Any]:
        """The agent for a board."""
        return {
            "agent": self.agent,
            "exchange": self.exchange,
            "state": self.state,
            "since": None if self.since_us is None else iso(self.since_us),
            "reason": self.reason,
            "groups": list(self.groups),
        }


def agents_now(
    db: Database,
    standing: Sequence[Mapping[str, Any]],
    groups: Mapping[str, Mapping[str, Any]],
    now_us: int,
) -> list[AgentNow]:
    """Agents who signed on, paused or answered lately, in order of exchange and name.

    An exchange's configured members never sign on: whoever answers or pauses is at work. `standing`
    are the rows of `agents` in the read model of shifts, `db` is that of calls.
    """
    since_us = now_us - _SEEN_S * SECOND_US
    seen = db.query(_SQL_SEEN, {"since": since_us})
    calls = {(row["exchange"], row["agent"]): row for row in seen}
    open_calls = db.query(_SQL_TALKING, {"talk_since": now_us - _TALK_MAX_S * SECOND_US})
    talking = {(row["exchange"], row["agent"]): row["since_us"] for row in open_calls}
    shifts = {(row["exchange"], row["agent"]): row for row in standing}
    by_queue = {row["queue"]: name for name, row in groups.items()}
    found = []
    for key in sorted({*calls, *shifts, *talking}):
        shift = shifts.get(key)
        if key in talking or key in calls or (shift and (shift["seen_us"] or 0) >= since_us):
            found.append(_agent(key, talking.get(key), calls.get(key), shift, by_queue))
    return found


def _agent(
    key: tuple[str, str],
    talking_us: int | None,
    calls: Mapping[str, Any] | None,
    shift: Mapping[str, Any] | None,
    by_queue: Mapping[str, str],
) -> AgentNow:
    named = json.loads(shift["groups"] or "[]") if shift else []
    answered = json.loads(calls["queues"]) if calls else []
    groups = tuple(sorted({by_queue.get(name, name) for name in named or answered}))
    state, at_us, reason = _state(talking_us, shift)
    if state is None:
        off = shift is not None and _signed_off(shift, calls)
        state = AgentState.OFF if off else AgentState.AVAILABLE
        at_us = max((calls or {}).get("seen_us") or 0, (shift or {}).get("seen_us") or 0) or None
    return AgentNow(key[0], key[1], state.value, at_us, reason, groups)


def _state(
    talking_us: int | None, shift: Mapping[str, Any] | None
) -> tuple[AgentState | None, int | None, str | None]:
    """Talking before all, because it is seen; then after-call work, then a pause."""
    if talking_us is not None:
        return AgentState.TALKING, talking_us, None
    if shift is not None and shift["wrap_up_since_us"] is not None:
        return AgentState.WRAP_UP, shift["wrap_up_since_us"], None
    if shift is not None and shift["paused_since_us"] is not None:
        return AgentState.PAUSED, shift["paused_since_us"], shift["reason"] or None
    return None, None, None


def _signed_off(shift: Mapping[str, Any], calls: Mapping[str, Any] | None) -> bool:
    """Whether the last that was heard is a sign-off: nothing is on, and no call came after it."""
    if shift["on_since_us"] is not None or not shift["left_us"]:
        return False
    return calls is None or (calls["seen_us"] or 0) <= shift["left_us"]
