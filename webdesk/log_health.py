"""How the node stands with its logs, for whoever asks whether it is ready.

A book of cases is never named to everybody: how much an authority's cases move, and whether, is its
own matter (R53).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from core.eventlog.lag import OFFLINE, READY, STOPPED
from core.limits import LAG_TOLD_S
from core.vocabulary import CASES_PREFIX

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from core.eventlog.lag import ShardLag


def told(lags: Mapping[str, ShardLag]) -> dict[str, Any]:
    """The lag in all, and of each shard that may be named."""
    return {
        **in_all(lags.values()),
        "shards": {
            name: {
                "state": lag.state,
                "unread_records": lag.unread_records,
                "unindexed_commits": lag.unindexed_commits,
                "behind_s": round(lag.behind_s, 1),
            }
            for name, lag in sorted(lags.items())
            if not name.startswith(CASES_PREFIX)
        },
    }


def in_all(lags: Iterable[ShardLag]) -> dict[str, Any]:
    """All shards together: sums, and the longest time. Records are unknown where one's are."""
    found = list(lags)
    unread = [lag.unread_records for lag in found]
    known = [count for count in unread if count is not None]
    return {
        "unread_records": sum(known) if len(known) == len(unread) else None,
        "unindexed_commits": sum(lag.unindexed_commits for lag in found),
        "behind_s": round(max((lag.behind_s for lag in found), default=0.0), 1),
    }


def degraded(lags: Mapping[str, ShardLag]) -> list[dict[str, str]]:
    """What an operator has to know of the shards; books of cases in one line and unnamed."""
    found = []
    of_cases = set()
    for name, lag in sorted(lags.items()):
        detail = _detail(lag)
        if detail is None:
            continue
        if name.startswith(CASES_PREFIX):
            of_cases.add(lag.state if lag.state != READY else "behind")
        else:
            found.append({"part": f"shard {name}", "detail": detail})
    if of_cases:
        said = f"a book of cases is {' or '.join(sorted(of_cases))}: see kontaktcenter doctor"
        found.append({"part": "shards of cases", "detail": said})
    return found


def _detail(lag: ShardLag) -> str | None:
    if lag.state == STOPPED:
        return f"stopped: {lag.why}"
    if lag.state == OFFLINE:
        return f"its log has not been reached since the start: {lag.why}"
    if lag.why is not None:
        return lag.why
    if lag.behind_s <= LAG_TOLD_S:
        return None
    if lag.unread_records is None:
        return f"its log has not answered for {lag.behind_s:.0f} s"
    return f"{lag.unread_records} records behind its log, for {lag.behind_s:.0f} s"
