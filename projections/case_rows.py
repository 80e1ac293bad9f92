"""What a list shows of a case: numbers, codes and times, and nothing that a person wrote."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from projections.times import moment

if TYPE_CHECKING:
    from collections.abc import Mapping

    from core.access import Sight

# The version of a type that a case does not tell is the last one, which stands as 0.
SQL_ROW: Final = """
    SELECT c.id, c.stream, c.authority, c.number, c.channel, c.case_type, t.name AS type_name,
        c.complaint, c.level, c.step, s.name AS step_name, s.level AS step_level,
        s.action AS step_action, coalesce(c.told_group, s.answer_group, c.registered_group)
        AS answer_group, c.officer, c.opened_by, c.registered_us, c.due_us, c.state, c.outcome,
        c.closed_us, c.registry, c.registry_number, c.protected, coalesce(t.priority, 3)
        AS priority, (SELECT group_concat(w.who) FROM waits w WHERE w."case" = c.id
            AND w.kind = 'handover' AND coalesce(w.receipt, '') <> 'returned') AS receivers
    FROM cases c
    LEFT JOIN types t ON t.code = c.case_type AND t.version = c.type_version
    LEFT JOIN steps s ON s.code = c.case_type AND s.version = c.type_version AND s.n = c.step
"""
# What `core.access.Sight` says, of a case `c`.
_SQL_OPENED: Final = """
    c.authority NOT IN (SELECT value FROM json_each(:closed))
    AND (NOT c.protected OR EXISTS (SELECT 1 FROM rooms p WHERE p."case" = c.id
        AND p.room IN (SELECT value FROM json_each(:protected))))
"""
SQL_IN_SIGHT: Final = f"""
    EXISTS (SELECT 1 FROM rooms r WHERE r."case" = c.id
        AND r.room IN (SELECT value FROM json_each(:rooms))) AND {_SQL_OPENED}
"""
# The same for lists, which begin with the asker's own rooms: the time that it takes tells nothing
# of others'. `live` cases are open, or something is still awaited in them.
SQL_LIVE_IN_SIGHT: Final = f"""
    c.id IN (SELECT r."case" FROM rooms r WHERE r.live
        AND r.room IN (SELECT value FROM json_each(:rooms))) AND {_SQL_OPENED}
"""
SQL_ALL_IN_SIGHT: Final = SQL_LIVE_IN_SIGHT.replace("r.live", "1")


@dataclass(frozen=True, slots=True)
class CaseRow:
    """A case as lists show it. `case` is its id within the authority `authority`, its owner.

    `answer_group` is who is to act now, `receivers` the authorities it was handed over to,
    `state` a `CaseWord`, `step` the next of its type's chain, from 0.
    """

    case: str
    stream: str
    authority: str
    number: str | None
    channel: str | None
    case_type: str | None
    type_name: str | None
    complaint: bool
    priority: int
    level: str
    step: int
    step_name: str | None
    step_level: str | None
    step_action: str | None
    answer_group: str | None
    receivers: tuple[str, ...]
    officer: str | None
    opened_by: str | None
    registered_at: datetime | None
    due_at: datetime | None
    state: str
    outcome: str | None
    closed_at: datetime | None
    registry: str | None
    registry_number: str | None
    protected: bool

    def as_json(self) -> dict[str, Any]:
        """The row as other programs get it."""
        return {
            name: jsonable(getattr(self, name))
            for name in self.__dataclass_fields__
            if name != "stream"
        }


def jsonable(value: object) -> object:
    """A value of a row as JSON has it: times as ISO 8601 with the offset of the city's zone."""
    if isinstance(value, tuple):
        return list(value)
    return value.isoformat() if hasattr(value, "isoformat") else value


def case_row(row: Mapping[str, Any]) -> CaseRow:
    """A row of `SQL_ROW`."""
    receivers = row["receivers"]
    return CaseRow(
        case=row["stream"].split("/", 2)[2],
        stream=row["stream"],
        authority=row["authority"],
        number=row["number"],
        channel=row["channel"],
        case_type=row["case_type"],
        type_name=row["type_name"],
        complaint=bool(row["complaint"]),
        priority=row["priority"],
        level=row["level"],
        step=row["step"],
        step_name=row["step_name"],
        step_level=row["step_level"],
        step_action=row["step_action"],
        answer_group=row["answer_group"],
        receivers=tuple(sorted(set(receivers.split(",")))) if receivers else (),
        officer=row["officer"],
        opened_by=row["opened_by"],
        registered_at=moment_or_none(row["registered_us"]),
        due_at=moment_or_none(row["due_us"]),
        state=row["state"],
        outcome=row["outcome"],
        closed_at=moment_or_none(row["closed_us"]),
        registry=row["registry"],
        registry_number=row["registry_number"],
        protected=bool(row["protected"]),
    )


def moment_or_none(at_us: int | None) -> datetime | None:
    """A time of a row; None where there is none."""
    return None if at_us is None else moment(at_us)


def sight_params(sight: Sight) -> dict[str, Any]:
    """The parameters of `SQL_IN_SIGHT`."""
    return {
        "rooms": json.dumps(sorted(sight.rooms)),
        "closed": json.dumps(sorted(sight.closed)),
        "protected": json.dumps(sorted(sight.protected & sight.rooms)),
        "asker": sight.asker,
    }
