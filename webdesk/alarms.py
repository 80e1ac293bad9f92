"""Receipts that do not come, for those who lead the work: somebody has to telephone."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING, Any

from fastapi import APIRouter
from pydantic import BaseModel, Field
from starlette.requests import Request  # noqa: TC002 -- FastAPI reads annotations
from starlette.responses import Response  # noqa: TC002 -- FastAPI reads annotations

from core.access import Deed
from projections.case_wait_queries import Silence, silences
from projections.times import iso, micros
from webdesk import answers

if TYPE_CHECKING:
    from webdesk.gate import Gate
    from webdesk.services import Services


class Alarm(BaseModel):
    """Receipts that are late from one receiver; nothing of the cases is told."""

    kind: str = Field(description="handover or complaint")
    who: str = Field(description="the authority or complaint system that is to give the receipt")
    group: str | None = Field(description="the receiver's answer group, where one was named")
    awaited: int = Field(description="how many are late")
    safety: int = Field(description="of these, how many are about somebody's safety")
    oldest_at: str


class Alarms(BaseModel):
    """The alarms now, the most urgent first."""

    at: str
    alarms: list[Alarm]


def router(services: Services, gate: Gate) -> APIRouter:
    """The route of alarms."""
    routes = APIRouter(prefix="/api/v1", tags=["cases"])

    @routes.get("/alarms", summary="Receipts that do not come", response_model=Alarms)
    async def alarms(request: Request) -> Response:
        sight = gate.sight(request, Deed.READ_ALARMS)
        now = services.clock()
        late = await asyncio.to_thread(
            partial(silences, services.read_models, now, closed=sight.closed)
        )
        at = iso(micros(now))
        return answers.json_answer({"at": at, "alarms": [_told(one) for one in late]})

    return routes


def _told(late: Silence) -> dict[str, Any]:
    return {
        "kind": late.kind,
        "who": late.who,
        "group": late.group,
        "awaited": late.awaited,
        "safety": late.safety,
        "oldest_at": late.oldest_at.isoformat(),
    }
