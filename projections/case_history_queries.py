"""A caller's history, by the keyed hashes of the number: cases in sight, and when he or she called.

Of calls only queue, time and outcome are told, and only of answer groups all of whose authorities
the asker opens. Of a caller with a protected identity no call is told to others: the answer is that
of a number that never called.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from projections.case_rows import (
    SQL_IN_SIGHT,
    SQL_ROW,
    CaseRow,
    case_row,
    jsonable,
    moment_or_none,
    sight_params,
)
from projections.case_work_queries import MODEL, ROWS_MAX
from projections.look_queries import streams_of
from projections.queue_entries import ENTRIES_PER_CALL_MAX
from projections.read_models import positions_of
from projections.times import moment

if TYPE_CHECKING:
    from collections.abc import Sequence

    from core.access import Sight
    from projections.read_models import ReadModels

_CALLS: Final = "queue_entries"
_SQL_THEIRS: Final = (
    'c.id IN (SELECT k."case" FROM callers k WHERE k.caller_ref IN'
    " (SELECT value FROM json_each(:callers)))"
)
_SQL_CASES: Final = f"""
    {SQL_ROW} WHERE {_SQL_THEIRS} AND {SQL_IN_SIGHT}
    ORDER BY c.registered_us DESC, c.id DESC LIMIT :most
"""
_SQL_PROTECTED: Final = f"""
    SELECT 1 FROM cases c WHERE {_SQL_THEIRS} AND c.protected AND NOT ({SQL_IN_SIGHT}) LIMIT 1
"""
_SQL_CALLS: Final = f"""
    SELECT e.entered_us, e.left_us, e.ended_us, e.queue, e.answer_group, g.name AS group_name,
        e.outcome, e.channel
    FROM streams s JOIN entries e ON e.id >= s.id * {ENTRIES_PER_CALL_MAX}
        AND e.id < (s.id + 1) * {ENTRIES_PER_CALL_MAX}
    JOIN answer_groups g ON g.id = e.answer_group
    WHERE s.stream IN (SELECT value FROM json_each(:streams)) AND g.authorities <> '[]'
        AND e.caller_ref IN (SELECT value FROM json_each(:callers))
        AND NOT EXISTS (SELECT 1 FROM json_each(g.authorities) a
            WHERE a.value NOT IN (SELECT value FROM json_each(:rooms)))
    ORDER BY e.entered_us DESC, e.id DESC LIMIT :most
"""


@dataclass(frozen=True, slots=True)
class CallTold:
    """A call of the history: queue, group, outcome (`EntryOutcome`) and times; no more."""

    entered_at: datetime
    left_at: datetime | None
    ended_at: datetime | None
    queue: str
    group: str
    group_name: str
    outcome: str
    channel: str

    def as_json(self) -> dict[str, Any]:
        """The call as other programs get it."""
        return {name: jsonable(getattr(self, name)) for name in self.__dataclass_fields__}


@dataclass(frozen=True, slots=True)
class History:
    """Cases and calls, each the latest first."""

    cases: tuple[CaseRow, ...]
    calls: tuple[CallTold, ...]
    as_of: Mapping[str, int]

    def as_json(self) -> dict[str, Any]:
        """The history as other programs get it."""
        return {
            "cases": [row.as_json() for row in self.cases],
            "calls": [call.as_json() for call in self.calls],
        }


def history_of(
    read_models: ReadModels, sight: Sight, callers: Sequence[str], most: int = ROWS_MAX
) -> History:
    """What is known of a caller in the asker's rooms. Raises: Unavailable.

    `callers` are the keyed hashes of one number in its ways to be written (`core.persons`). A look
    at the person and at each case has to be in the read log before this is shown.
    """
    params: dict[str, Any] = {
        **sight_params(sight), "callers": json.dumps(sorted(set(callers))),
        "most": max(1, min(most, ROWS_MAX)),
    }  # fmt: skip
    with read_models.snapshot(MODEL) as db:
        cases = tuple(case_row(row) for row in db.query(_SQL_CASES, params))
        hidden = db.execute(_SQL_PROTECTED, params).fetchone() is not None
        as_of = positions_of(db)
    streams = streams_of(read_models, tuple(callers))
    params["streams"] = json.dumps([] if hidden else streams)
    with read_models.snapshot(_CALLS) as db:
        calls = tuple(_call(row) for row in db.query(_SQL_CALLS, params))
    return History(cases, calls, as_of)


def _call(row: Mapping[str, Any]) -> CallTold:
    return CallTold(
        entered_at=moment(row["entered_us"]),
        left_at=moment_or_none(row["left_us"]),
        ended_at=moment_or_none(row["ended_us"]),
        queue=row["queue"],
        group=row["answer_group"],
        group_name=row["group_name"],
        outcome=row["outcome"],
        channel=row["channel"],
    )
