"""The shapes of the API's answers, for its description, and how they are sent: uncached JSON."""

from __future__ import annotations

from typing import Any, Final

import msgspec
from pydantic import BaseModel, Field
from starlette.responses import Response

from core.access import Purpose


def json_answer(body: object, status: int = 200, **headers: str) -> Response:
    """`body` as JSON. What the models below describe is what is sent; msgspec writes it."""
    return Response(
        msgspec.json.encode(body),
        status_code=status,
        media_type="application/json",
        headers={"Cache-Control": "no-store", **headers},
    )


class Alive(BaseModel):
    """The process answers."""

    status: str


class Version(BaseModel):
    """Name and version of the program."""

    name: str
    version: str


class GrantShown(BaseModel):
    """A role that somebody has."""

    role: str
    authority: str
    groups: list[str]
    approves: bool
    protected: bool


class Me(BaseModel):
    """Who asks. `rooms` are authorities by deed; `token` goes into X-Kontaktcenter-Token."""

    account: str
    name: str
    grants: list[GrantShown]
    closed_to: list[str]
    scopes: list[str]
    deeds: list[str]
    rooms: dict[str, list[str]]
    purposes: list[str]
    method: str
    token: str | None


class Degraded(BaseModel):
    """One part that does not do what it should."""

    part: str
    detail: str


class ReadyShard(BaseModel):
    """How far one shard is behind its log. `state` is ready, offline or stopped.

    `unread_records` is null where the log does not answer; `behind_s` is how long ago this node was
    last known to be at the log's end, 0 while it is.
    """

    state: str
    unread_records: int | None
    unindexed_commits: int
    behind_s: float


class ReadyLog(BaseModel):
    """How far the node is behind its logs, in all and by shard; books of cases only in all."""

    unread_records: int | None
    unindexed_commits: int
    behind_s: float
    shards: dict[str, ReadyShard]


class Island(BaseModel):
    """A node that is cut off from the log, or was: `kept` commits wait on it since `since`.

    `cut_off` is false where the log is back and what was kept is on its way.
    """

    since: str
    cut_off: bool
    kept: int


class Ready(BaseModel):
    """How the server stands; a degraded server is ready.

    `lag` is in commits that the read models are behind, `log` the node's own lag; `reviews` wait
    for somebody to look at them, those about cases apart.
    """

    status: str
    positions: dict[str, int]
    read_models: dict[str, int]
    lag: int
    age_s: float | None
    log: ReadyLog | None
    reviews: int | None
    island: Island | None
    degraded: list[Degraded]


class Problem(BaseModel):
    """An error, as RFC 9457 has it; `type` ends in a stable word for programs."""

    type: str
    title: str
    status: int
    detail: str
    field: str | None = None
    retry_after_s: float | None = None


class FactResult(BaseModel):
    """What became of one fact. `position` is null where the log has not accepted it.

    `kept`: this node cannot reach the log; the fact is durable on this node, with `durability`
    `local`, and is recorded when the log is back. Nothing has to be sent again.
    """

    status: str = Field(description="accepted, duplicate, kept, fork or invalid")
    position: int | None
    shard: str | None = None
    commit_id: str | None = None
    reason: str | None
    durability: str | None = Field(
        default=None, description="log, or local: on this node until it has the log again"
    )


class FactsAnswer(BaseModel):
    """The results in the order of the facts; a bad one never blocks the others."""

    results: list[FactResult]
    as_of: dict[str, int] = Field(
        description="the last position of each shard that a fact went into"
    )


class CommandAnswer(BaseModel):
    """What a command led to. `events` are types of what is recorded; none: it was so already.

    `shard` and `position` are null for whoever does not open the room where it was recorded.
    """

    status: str = Field(description="accepted or nothing_to_do")
    commit_id: str
    shard: str | None
    position: int | None
    durability: str
    events: list[str]


class RegisteredAnswer(CommandAnswer):
    """What registering a case led to."""

    authority: str
    case: str


class CaseEvent(BaseModel):
    """One thing that happened to a case. `erased` names the fields of `data` that are erased."""

    version: int
    type: str
    occurred_at: str
    recorded_at: str
    by: str
    origin: str
    data: dict[str, Any]
    erased: list[str]


class CaseEvents(BaseModel):
    """What happened to a case, oldest first; `version` is its ETag."""

    authority: str
    case: str
    version: int
    events: list[CaseEvent]


class Case(BaseModel):
    """One case: its state, its chain of steps, its texts, and what happened to it."""

    authority: str
    case: str
    number: str
    version: int
    status: str = Field(description="open or closed")
    title: str | None
    text: str | None
    contact: str | None
    contacts: int
    case_type: str | None
    type_version: int
    complaint: bool
    due_at: str | None
    level: str
    step: int
    outcome: str | None
    first_contact: bool
    registered_by: str | None
    officer: str | None
    protected: bool
    answered: bool
    guided: bool
    decided: str | None
    registry_number: str | None
    registry: str | None
    handovers: list[dict[str, Any]]
    deliveries: list[dict[str, Any]]
    questions: list[dict[str, Any]]
    callbacks: list[dict[str, Any]]
    links: list[dict[str, str]] = Field(description="to cases that the asker may open")
    attachments: list[str]
    chain: list[dict[str, Any]]
    contradictions: list[dict[str, Any]]
    events: list[CaseEvent]


class CasePage(BaseModel):
    """One page of a list. `next` asks for the one after it; null on the last."""

    rows: list[dict[str, Any]]
    next: str | None
    as_of: dict[str, int]


class CaseHits(BaseModel):
    """What a search found, the best first; `more`: there was more than was asked for."""

    rows: list[dict[str, Any]]
    more: bool
    as_of: dict[str, int]


class CallerHistory(BaseModel):
    """A caller's cases, and when he or she called: each the latest first."""

    cases: list[dict[str, Any]]
    calls: list[dict[str, Any]]
    as_of: dict[str, int]


class Officers(BaseModel):
    """The directory: account, name, roles, and whether somebody is at work now."""

    rows: list[dict[str, Any]]


class Report(BaseModel):
    """An authority's cases of a period. A number that is too small to be told is null."""

    authority: str
    begin: str
    end: str
    by: str
    rows: list[dict[str, Any]]
    total: dict[str, Any]
    formulas: dict[str, str]
    as_of: dict[str, int]


class CaseCounts(BaseModel):
    """Counts of open cases, a row for each of one's own rooms that has any."""

    rows: list[dict[str, Any]]


LOOKED_AT: Final[dict[str, Any]] = {
    "parameters": [
        {
            "name": "X-Purpose",
            "in": "header",
            "required": False,
            "description": "Why: one of the purposes of your role. It stands in the read log.",
            "schema": {"type": "string", "enum": [purpose.value for purpose in Purpose]},
        }
    ],
    "security": [{"token": []}],
}


class Queues(BaseModel):
    """The situation, see the reference."""

    as_of: dict[str, int]
    position: str
    at: str
    age_s: float
    target: dict[str, float]
    groups: list[dict[str, Any]]
    total: dict[str, Any]
    agents: dict[str, int]
    series: list[dict[str, Any]]
    table: list[dict[str, Any]]
    island: Island | None = Field(
        default=None, description="where this node is cut off from the log, or was until just now"
    )
    reviews: int | None = Field(
        default=None, description="review items that wait, those about cases apart"
    )


class Statistics(BaseModel):
    """Statistics, as `kontaktcenter statistics --json` gives them."""

    as_of: dict[str, int]
    rows: list[dict[str, Any]]
    total: list[dict[str, Any]]
