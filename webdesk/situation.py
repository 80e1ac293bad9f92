"""The queues as people judge them: what the read models say, held against the target. Pure.

What the API answers, what the stream pushes and what the first page shows is this one shape, so
that a coordinator and a program never see two different judgements.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from webdesk.services import Target

TABLE_MINUTES: Final = 5  # one row of the table beside the chart
_FEW_CALLS: Final = 3  # below it a share says nothing, and a tile must not cry wolf


def situation(figures: Mapping[str, Any], target: Target, *, age_s: float) -> dict[str, Any]:
    """`figures` (as `QueuesNow.as_json()`) with a state for each group and for the whole.

    Shape: `groups[].status` is `good`, `watch`, `alarm` or `quiet`, `groups[].reason` says why in
    one word of the catalogue (`long_wait`, `far_below`, `below`, `on_target`, `few_calls`,
    `no_calls`); `busy` groups are those that the board lists; the others' `last_hour` is null.
    `age_s` is how long ago the read models were last known to be up to date.
    """
    groups = [_judged(group, target) for group in figures["groups"]]
    waiting = [group for group in groups if group["waiting"]]
    worst = max(waiting, key=lambda group: group["longest_wait_s"] or 0, default=None)
    total = dict(figures["total"])
    level, _ = _level_status(total["last_hour"], target)
    total |= {
        "groups_waiting": len(waiting),
        "longest_group": worst["name"] if worst else None,
        "waiting_status": "quiet",
        "longest_status": "alarm" if _too_long(total, target) else "quiet",
        "level_status": level,
    }
    return {
        "as_of": figures["as_of"],
        "position": position_text(figures["as_of"]),
        "at": figures["at"],
        "age_s": round(age_s, 3),
        "target": {
            "share": target.share,
            "answer_within_s": _plain(target.answer_within_s),
            "short_abandon_s": _plain(target.short_abandon_s),
            "share_alarm": target.share_alarm,
            "wait_s_alarm": _plain(target.wait_s_alarm),
        },
        "groups": groups,
        "total": total,
        "agents": figures["agents"],
        "series": figures["series"],
        "table": table_of(figures["series"]),
    }


def position_text(as_of: Mapping[str, int]) -> str:
    """Positions as the id of a server-sent event: `calls.0:812,centre.0:790`."""
    return ",".join(f"{shard.replace('/', '.')}:{as_of[shard]}" for shard in sorted(as_of))


def table_of(series: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The chart's points, five minutes to a row, newest first: most waiting, sums of the rest."""
    rows = []
    for start in range(0, len(series), TABLE_MINUTES):
        part = series[start : start + TABLE_MINUTES]
        rows.append(
            {
                "at": part[0]["at"],
                "waiting": max(point["waiting"] for point in part),
                "offered": sum(point["offered"] for point in part),
                "answered": sum(point["answered"] for point in part),
                "abandoned": sum(point["abandoned"] for point in part),
            }
        )
    return rows[::-1]


def _judged(group: Mapping[str, Any], target: Target) -> dict[str, Any]:
    hour = group["last_hour"]
    busy = bool(group["waiting"] or group.get("talking") or hour["offered"])
    if _too_long(group, target):
        status, reason = "alarm", "long_wait"
    else:
        status, reason = _level_status(hour, target)
    judged = {**group, "busy": busy, "status": status, "reason": reason}
    if not busy:
        judged["last_hour"] = None  # nothing happened, and most groups are so: half of a message
    return judged


def _too_long(figures: Mapping[str, Any], target: Target) -> bool:
    return bool(figures["waiting"]) and (figures["longest_wait_s"] or 0) > target.wait_s_alarm


def _level_status(hour: Mapping[str, Any], target: Target) -> tuple[str, str]:
    level = hour["service_level"]["of_offered"]
    if not hour["offered"] or level is None:
        return "quiet", "no_calls"
    if hour["offered"] < _FEW_CALLS:
        return "quiet", "few_calls"
    if level < target.share_alarm:
        return "alarm", "far_below"
    if level < target.share:
        return "watch", "below"
    return "good", "on_target"


def _plain(number: float) -> float | int:
    """A whole number without its `.0`, for people and for JSON."""
    return int(number) if float(number).is_integer() else number
