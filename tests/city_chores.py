"""What else is asked in the city's day, at its time: changes of the catalogue, and what is refused.

The owner of parking moves its first step to level 2 at one o'clock. The supervisor's change was to
take effect at eleven; its approval came in the afternoon, and nothing was rewritten.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from given import city, officer

from core import case_commands as ask
from core.access import Asker, Grant, Role
from core.changes import ApproveChange, ProposeChange
from core.commands import Command
from core.commit import desk_id
from core.personal import Personal

if TYPE_CHECKING:
    from collections.abc import Iterator

PARKING, FOOD = "TK-PAR-01", "MF-LIV-01"
CHANGED = {PARKING: 13.0, FOOD: 14.1}  # type to the hour from which its second version stands
_WRITER = Asker("writer", (Grant(Role.COMMUNICATOR),))


@dataclass(frozen=True)
class Chore:
    """A command, and the refusal that it has to meet; None where it is allowed."""

    at: datetime
    command: Command
    refused: str | None = None


def changed_rows() -> dict[str, dict[str, Any]]:
    """The second versions."""
    rows = {code: copy.deepcopy(dict(city().rows("case_type")[code])) for code in CHANGED}
    steps: Any = rows[PARKING]["steps"]
    steps[0]["level"] = "2"
    rows[FOOD]["sla_hours"] = 1
    return rows


def chores(seed: int, begins: datetime) -> Iterator[Chore]:
    """All of them, in the order of their time."""
    hour = timedelta(hours=1)
    rows = changed_rows()

    def proposed(code: str, at: float, effective: float, approved: float) -> Iterator[Chore]:
        asked: dict[str, Any] = {"section": "case_type", "key": code}
        change = desk_id(f"chore/{seed}/{code}")
        owner = officer(code.partition("-")[0], f"chief-{code}", approves=True)
        yield Chore(
            begins + at * hour,
            ProposeChange(
                id=change, now=begins + at * hour, actor=_WRITER.id, asker=_WRITER,
                fields=rows[code], effective_from=begins + effective * hour, **asked,
            ),
        )  # fmt: skip
        yield Chore(
            begins + approved * hour,
            ApproveChange(
                id=desk_id(f"chore/{seed}/{code}/ok"), now=begins + approved * hour,
                actor=owner.id, asker=owner, change=str(change), **asked,
            ),
        )  # fmt: skip

    found = [
        *proposed(FOOD, 9.5, 11.0, CHANGED[FOOD]),
        *proposed(PARKING, 12.5, CHANGED[PARKING], 12.7),
        _refused(seed, begins + 9.1 * hour, "SOC", "AuthorityExcluded"),
        _refused(seed, begins + 9.2 * hour, "FUN", "AuthorityExcluded"),
    ]
    return iter(sorted(found, key=lambda chore: chore.at))


def _refused(seed: int, at: datetime, authority: str, why: str) -> Chore:
    """Somebody tries to write down what must not be kept."""
    by = Asker("sdn_allmant-1-0", (Grant(Role.AGENT_1, groups=("sdn_allmant",)),))
    command = ask.RegisterCase(
        id=desk_id(f"chore/{seed}/{authority}"), now=at, actor=by.id, asker=by, agent=by.id,
        authority=authority, case="secret", caller_ref="0700000007",
        text=Personal("en hemlighet", f"case/{authority}/secret"),
    )  # fmt: skip
    return Chore(at, command, why)
