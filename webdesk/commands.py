"""Commands about calls and shifts over HTTP, decided by the rules of `core`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Final, TypeVar

import msgspec
from fastapi import APIRouter
from starlette.requests import Request  # noqa: TC002 -- FastAPI reads annotations
from starlette.responses import Response  # noqa: TC002 -- FastAPI reads annotations

from core import shifts
from core.call_rules import WrapUpCall
from core.errors import Invalid
from core.limits import NAME_CHARS_MAX
from core.vocabulary import call_stream
from webdesk import answers
from webdesk.desk import CommandsDesk, documented

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

Route = TypeVar("Route", bound="Callable[..., Awaitable[Response]]")
_Name = Annotated[str, msgspec.Meta(min_length=1, max_length=NAME_CHARS_MAX)]
_Names = Annotated[tuple[_Name, ...], msgspec.Meta(max_length=100)]


class _Body(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    agent: _Name | None = None


class WrapUp(_Body):
    """Body of `POST /api/v1/calls/{exchange}/{uniqueid}/wrap-up`."""

    outcome: _Name


class ShiftBody(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """Body of `POST /api/v1/shifts/{exchange}/{agent}/{on}/{verb}`: what the verb needs alone."""

    groups: _Names | None = None
    levels: _Names | None = None
    reason: _Name | None = None
    call: _Name | None = None


_SHIFT_VERBS: Final[dict[str, type[shifts.ShiftCommand]]] = {
    "sign-on": shifts.SignOn,
    "available": shifts.BecomeAvailable,
    "pause": shifts.Pause,
    "unpause": shifts.Unpause,
    "wrap-up": shifts.StartWrapUp,
    "sign-off": shifts.SignOff,
}


def router(desk: CommandsDesk) -> APIRouter:
    """The routes that ask for a decision."""
    routes = APIRouter(prefix="/api/v1", tags=["command"])

    def post(path: str, summary: str, shape: type[Any]) -> Callable[[Route], Route]:
        return routes.post(
            path,
            summary=summary,
            response_model=answers.CommandAnswer,
            openapi_extra=documented(shape),
        )

    @post("/calls/{exchange}/{uniqueid}/wrap-up", "Wrap up a call with its outcome", WrapUp)
    async def wrap_up(request: Request, exchange: str, uniqueid: str) -> Response:
        body, common = await desk.asked(request, WrapUp)
        call = call_stream(exchange, uniqueid)
        return await desk.done(
            WrapUpCall(
                **common, call=call, agent=body.agent or common["actor"], outcome=body.outcome
            )
        )

    @post("/shifts/{exchange}/{agent}/{on}/{verb}", "Sign on and off, pause, wrap up", ShiftBody)
    async def shift(request: Request, exchange: str, agent: str, on: str, verb: str) -> Response:
        body, common = await desk.asked(request, ShiftBody)
        command_class = _SHIFT_VERBS.get(verb)
        if command_class is None:
            raise Invalid(
                f"the last part of the path may be: {', '.join(_SHIFT_VERBS)}", field="verb"
            )
        given = {n: v for n in body.__struct_fields__ if (v := getattr(body, n)) is not None}
        try:
            command = command_class(**common, exchange=exchange, agent=agent, on=on, **given)
        except TypeError as e:
            raise Invalid(f"{verb} takes other fields than: {', '.join(given) or 'none'}") from e
        return await desk.done(command)

    return routes
