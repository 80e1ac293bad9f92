"""`POST /api/v1/calls/facts`: what exchanges tell, in batches that may be sent again.

The id of a fact is derived from the exchange's own, so a repeat is a duplicate whatever the way it
came. A fact without `n` is first looked for among what its call already holds; only if it is not
there it gets the next.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Final

import msgspec
from fastapi import APIRouter
from starlette.requests import Request  # noqa: TC002 -- FastAPI reads annotations
from starlette.responses import Response  # noqa: TC002 -- FastAPI reads annotations

from core.access import Deed
from core.application import GuardedPort, fact_draft
from core.commit import (
    Accepted,
    Duplicate,
    Event,
    Fork,
    Kept,
    KeptFact,
    Recorded,
    first_of,
    telephony_id,
    telephony_key,
)
from core.errors import Invalid, Refused
from core.limits import EXCHANGE_SAME_FACT_S, FACTS_BATCH_MAX
from core.vocabulary import Origin, call_stream
from webdesk import answers
from webdesk.bodies import decode, read_body, reason_of
from webdesk.fact_shapes import Fact, Key, checked, comparable, key_of, to_event
from webdesk.gate import Gate

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from core.commit import Answer, Draft
    from webdesk.metrics import Metrics
    from webdesk.services import Services

_Held = Recorded | KeptFact
_AT_ONCE_MAX: Final = 8  # facts that are read on the loop: a thread costs more than they do
_TRIES_MAX: Final = 8  # somebody else may take an `n` between looking and recording


class Batch(msgspec.Struct, forbid_unknown_fields=True):
    """The body: facts, each judged by itself."""

    facts: Annotated[list[msgspec.Raw], msgspec.Meta(max_length=FACTS_BATCH_MAX)]


@dataclass(slots=True)
class _Item:
    """One fact on its way. `result` is set when it is answered."""

    fact: Fact | None = None
    event: Event | None = None
    n: int = 0
    result: dict[str, Any] | None = None

    @property
    def stream(self) -> str:
        assert self.fact is not None
        return call_stream(self.fact.exchange, self.fact.uniqueid)

    @property
    def origin(self) -> str:
        assert self.fact is not None
        return f"{Origin.TELEPHONY}:{self.fact.exchange}"

    def asking(self) -> str:
        """What identifies the fact at its exchange."""
        assert self.fact is not None
        assert self.event is not None
        key = key_of(self.event)
        return telephony_key(
            self.fact.exchange, self.fact.uniqueid, key.queue, key.kind, key.member, self.n
        )

    def draft(self) -> Draft:
        """The commit that records it."""
        assert self.fact is not None
        assert self.event is not None
        asking = self.asking()
        return fact_draft(
            id=telephony_id(asking), asking=asking, actor=self.origin, origin=self.origin,
            stream=self.stream, events=(self.event,), occurred_at=self.fact.occurred_at,
        )  # fmt: skip


class _Told:
    """What a call already holds, by key: time and content of each fact, and where it stands."""

    def __init__(self, recorded: Sequence[_Held], origin: str) -> None:
        self._by_key: dict[Key, list[tuple[datetime, Event, _Held | None]]] = {}
        for fact in recorded:
            if fact.origin == origin:
                self._slot(key_of(fact.event)).append((fact.occurred_at, fact.event, fact))

    def _slot(self, key: Key) -> list[tuple[datetime, Event, _Held | None]]:
        return self._by_key.setdefault(key, [])

    def find(self, item: _Item) -> tuple[bool, _Held | None]:
        """Whether the fact is known, and as what recorded (None: earlier in this very batch)."""
        assert item.event is not None
        assert item.fact is not None
        for at, event, recorded in self._slot(key_of(item.event)):
            if same_fact(at, event, item.fact.occurred_at, item.event):
                return True, recorded
        return False, None

    def add(self, item: _Item) -> int:
        """Take the fact in; its `n` in its key."""
        assert item.event is not None
        assert item.fact is not None
        slot = self._slot(key_of(item.event))
        slot.append((item.fact.occurred_at, item.event, None))
        return len(slot)


def same_fact(at: datetime, event: Event, other_at: datetime, other: Event) -> bool:
    """Whether two tellings of one key are one fact: alike in all but `n`, and close in time.

    Two times in whole seconds are from a source that tells a row the same way for ever: they must
    be equal.
    """
    apart_s = abs((at - other_at).total_seconds())
    whole = not at.microsecond and not other_at.microsecond
    near = apart_s == 0 if whole else apart_s <= EXCHANGE_SAME_FACT_S
    return near and comparable(event) == comparable(other)


class FactsDesk:
    """Takes batches in."""

    def __init__(self, services: Services, metrics: Metrics) -> None:
        self._services = services
        self._metrics = metrics
        self._port = GuardedPort(services.node, services.directory)

    async def take(self, batch: Batch) -> dict[str, Any]:
        """The answer to a batch. Raises: Unavailable: the same batch may be sent again."""
        if len(batch.facts) <= _AT_ONCE_MAX:
            items = [self._parsed(raw) for raw in batch.facts]
        else:
            items = await asyncio.to_thread(lambda: [self._parsed(raw) for raw in batch.facts])
        as_of: dict[str, int] = {}
        for attempt in range(_TRIES_MAX):
            open_items = [item for item in items if item.result is None]
            if not open_items:
                break
            loose = [item for item in open_items if item.fact is not None and item.fact.n is None]
            if loose:
                await asyncio.to_thread(self._number, loose, attempt)
            sending = [item for item in open_items if item.result is None]
            for item, answer in zip(sending, await self._propose(sending), strict=True):
                if isinstance(answer, Refused):
                    item.result = _result("invalid", reason=answer.message)
                elif not self._taken_by_another(item, answer):
                    item.result = self._judged(item, answer, as_of)
        for item in items:
            if item.result is None:
                item.result = _result(
                    "invalid", reason=f"n: no free number after {_TRIES_MAX} attempts"
                )
            self._metrics.fact(item.result["status"])
        return {"results": [item.result for item in items], "as_of": as_of}

    def _parsed(self, raw: msgspec.Raw) -> _Item:
        try:
            fact = decode(raw, Fact)
            checked(fact)
            event = to_event(fact, self._services.directory(), self._services.node.caller_ref)
        except Invalid as e:
            return _Item(result=_result("invalid", reason=e.message))
        return _Item(fact, event, fact.n or 0)

    def _number(self, loose: Sequence[_Item], attempt: int) -> None:
        """Give facts without an `n` their own, or find them as recorded. In a worker thread."""
        streams = {item.stream for item in loose}
        kept = {stream: self._port.kept(stream) for stream in streams}
        seen = self._port.heads(streams)  # afterwards: what leaves the journal is in the log
        told: dict[str, _Told] = {}
        for item in loose:
            stream = item.stream
            if stream not in told:
                told[stream] = _Told(self._held(stream, kept[stream], seen), item.origin)
            known, where = told[stream].find(item)
            if isinstance(where, KeptFact):
                item.result = _kept(self._services.node.shard_name(stream), str(where.commit_id))
            elif known and where is not None:
                item.result = _result(
                    "duplicate", where.position, where.shard, str(where.commit_id)
                )
            elif known:
                item.result = _result("duplicate", reason="it stands earlier in this batch")
            else:
                item.n = told[stream].add(item) + attempt

    def _held(
        self, stream: str, kept: Sequence[KeptFact], seen: Mapping[str, int]
    ) -> Sequence[_Held]:
        """What the call holds: in the log as this node has judged it, and in its journal."""
        recorded = self._port.load(stream) if stream in seen else ()
        known = {fact.commit_id for fact in recorded}
        return (*recorded, *(fact for fact in kept if fact.commit_id not in known))

    async def _propose(self, items: Sequence[_Item]) -> list[Answer | Refused]:
        drafts = [item.draft() for item in items]
        if not drafts:
            return []
        try:
            return list(await self._port.propose_many(drafts))
        except Refused:
            pass  # one of them cannot be recorded at all: it must not block the others
        found: list[Answer | Refused] = []
        for draft in drafts:
            try:
                found.append(await self._port.propose(draft))
            except Refused as e:
                found.append(e)
        return found

    def _taken_by_another(self, item: _Item, answer: Answer) -> bool:
        """Whether the `n` that we chose was taken by another fact: then the next one is tried."""
        assert item.fact is not None
        assert item.event is not None
        if item.fact.n is not None or not isinstance(answer.verdict, Duplicate):
            return False
        commit_id = telephony_id(item.asking())
        return not any(
            recorded.commit_id == commit_id
            and same_fact(recorded.occurred_at, recorded.event, item.fact.occurred_at, item.event)
            for recorded in self._port.load(item.stream)
        )

    def _judged(self, item: _Item, answer: Answer, as_of: dict[str, int]) -> dict[str, Any]:
        self._metrics.judged(answer.verdict)
        commit_id = str(telephony_id(item.asking()))
        if isinstance(answer.verdict, Kept):
            return _kept(answer.shard, commit_id)
        first = first_of(answer.verdict)
        if isinstance(answer.verdict, Fork):
            reason = "recorded with another content: somebody must look"
            return _result("fork", first.position, answer.shard, commit_id, reason)
        as_of[answer.shard] = max(as_of.get(answer.shard, 0), first.position)
        if isinstance(answer.verdict, Accepted):
            return _result("accepted", first.position, answer.shard, commit_id)
        return _result("duplicate", first.position, answer.shard, commit_id)


def _result(
    status: str, position: int | None = None, shard: str | None = None,
    commit_id: str | None = None, reason: str | None = None,
) -> dict[str, Any]:  # fmt: skip
    return {
        "status": status,
        "position": position,
        "shard": shard,
        "commit_id": commit_id,
        "reason": reason,
        "durability": None if shard is None else "log",
    }


def _kept(shard: str, commit_id: str) -> dict[str, Any]:
    """A fact that is durable on this node, and in the log when the node has it again."""
    return {**_result("kept", None, shard, commit_id), "durability": "local"}


def router(services: Services, metrics: Metrics) -> APIRouter:
    """The route that takes facts."""
    routes = APIRouter(prefix="/api/v1/calls", tags=["record"])
    desk = FactsDesk(services, metrics)
    gate = Gate(services)
    body = {"content": {"application/json": {"schema": _schema()}}, "required": True}
    documented = {"requestBody": body, "security": [{"token": []}]}

    @routes.post(
        "/facts",
        summary="Facts from an exchange",
        response_model=answers.FactsAnswer,
        openapi_extra=documented,
    )
    async def facts(request: Request) -> Response:
        gate.require(request, Deed.RECORD_FACTS)
        raw = await read_body(request)
        try:
            batch = msgspec.json.decode(raw, type=Batch)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as e:
            raise Invalid(
                f"{reason_of(e)}; a batch is at most {FACTS_BATCH_MAX} facts", field="facts"
            ) from e
        return answers.json_answer(await desk.take(batch))

    return routes


def _schema() -> dict[str, Any]:
    one: dict[str, Any] = {
        "type": "object",
        "required": ["exchange", "uniqueid", "kind", "occurred_at"],
        "properties": {
            "exchange": {"type": "string"},
            "uniqueid": {"type": "string"},
            "queue": {"type": ["string", "null"]},
            "kind": {"type": "string"},
            "member": {"type": ["string", "null"]},
            "n": {"type": ["integer", "null"], "minimum": 1},
            "occurred_at": {"type": "string", "format": "date-time"},
            "data": {"type": "object"},
        },
    }
    return {
        "type": "object",
        "required": ["facts"],
        "properties": {"facts": {"type": "array", "maxItems": FACTS_BATCH_MAX, "items": one}},
    }
