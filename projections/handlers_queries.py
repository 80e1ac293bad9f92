"""The directory: who handles cases where, and whether he or she is at work now (R16).

Nothing of a case is here, so every member of the staff may ask (`Deed.READ_CATALOGUE`). Of the
shift only whether somebody is at work and free is told, never the reason of an absence.
"""

from __future__ import annotations

import json
import unicodedata
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from core.access import Role
from core.vocabulary import AgentState
from projections.handlers import NAME
from projections.live import queues_now

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from projections.read_models import ReadModels

HANDLERS_MAX: Final = 100
HANDLER_ROLES: Final = (
    Role.AGENT_1, Role.AGENT_2, Role.ON_CALL_EXPERT, Role.CASE_OFFICER, Role.REGISTRAR,
    Role.COMMUNICATOR, Role.SHIFT_LEAD,
)  # fmt: skip
FREE, BUSY, AWAY = "free", "busy", "away"
_PRESENCE: Final = {
    AgentState.AVAILABLE: FREE,
    AgentState.RINGING: BUSY,
    AgentState.TALKING: BUSY,
    AgentState.WRAP_UP: BUSY,
    AgentState.PAUSED: AWAY,
    AgentState.OFF: AWAY,
}
_SQL: Final = """
    SELECT a.account, a.name, r.role, r.authority, r.groups
    FROM accounts a JOIN roles r ON r.account = a.account
    WHERE NOT a.closed AND r.role IN (SELECT value FROM json_each(:roles))
    ORDER BY a.account, r.role, r.authority
"""


@dataclass(frozen=True, slots=True)
class HandlerRole:
    """One role; `authority` is `*` for the centre's own."""

    role: str
    authority: str
    groups: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Handler:
    """Somebody of the directory. `presence` is `free`, `busy`, `away`, or None: nobody knows."""

    account: str
    name: str | None
    roles: tuple[HandlerRole, ...]
    presence: str | None

    def as_json(self) -> dict[str, Any]:
        """The row as other programs get it."""
        return {
            "account": self.account,
            "name": self.name,
            "roles": [
                {"role": one.role, "authority": one.authority, "groups": list(one.groups)}
                for one in self.roles
            ],
            "presence": self.presence,
        }


@dataclass(frozen=True, slots=True)
class HandlersQuery:
    """Who is looked for; everything that is said must hold of one of his or her roles.

    `text` are beginnings of words of the name, or of the id, however dotted.
    """

    text: str | None = None
    role: str | None = None
    authority: str | None = None
    group: str | None = None


def handlers(
    read_models: ReadModels, query: HandlersQuery, now: datetime, most: int = HANDLERS_MAX
) -> tuple[Handler, ...]:
    """Those who are looked for, in order of name. Raises: Unavailable."""
    with read_models.snapshot(NAME) as db:
        rows = list(db.query(_SQL, {"roles": json.dumps(HANDLER_ROLES)}))
    names: dict[str, str | None] = {}
    roles: dict[str, list[HandlerRole]] = {}
    for row in rows:
        names[row["account"]] = row["name"]
        one = HandlerRole(row["role"], row["authority"], tuple(json.loads(row["groups"])))
        roles.setdefault(row["account"], []).append(one)
    found = [
        account
        for account, held in roles.items()
        if any(_fits(one, query) for one in held) and _named(account, names[account], query.text)
    ]
    found.sort(key=lambda account: (names[account] is None, _order(names[account]), account))
    at_work = _presence(read_models, now) if found else {}
    return tuple(
        Handler(account, names[account], tuple(roles[account]), at_work.get(account))
        for account in found[: max(1, min(most, HANDLERS_MAX))]
    )


def _fits(one: HandlerRole, query: HandlersQuery) -> bool:
    return (
        query.role in {None, one.role}
        and query.authority in {None, one.authority}
        and (query.group is None or query.group in one.groups)
    )


def _named(account: str, name: str | None, text: str | None) -> bool:
    words = _folded(f"{account} {name or ''}").split()
    return all(any(w.startswith(part) for w in words) for part in _folded(text or "").split())


def _folded(text: str) -> str:
    letters = unicodedata.normalize("NFKD", text)
    return "".join(c for c in letters if not unicodedata.combining(c)).casefold()


_LAST_LETTERS: Final = str.maketrans("åäö", "{|}")  # å, ä and ö come after z, in that order


def _order(name: str | None) -> str:
    return _folded((name or "").casefold().translate(_LAST_LETTERS))


def _presence(read_models: ReadModels, now: datetime) -> Mapping[str, str]:
    return {
        agent.agent: _PRESENCE[AgentState(agent.state)]
        for agent in queues_now(read_models, now).agents
    }
