"""Commands over HTTP: decided by the rules of `core`, answered with their place in the log.

The `Idempotency-Key` header makes the id of the commit: the same key with the same body gets the
first answer again, with another body it is a conflict.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Final, TypeVar

import msgspec
from fastapi import APIRouter
from starlette.requests import Request  # noqa: TC002 -- FastAPI reads annotations
from starlette.responses import Response  # noqa: TC002 -- FastAPI reads annotations

from core import shifts
from core.access import Asker, Grant, Role
from core.application import Application, IdUsedBefore
from core.call_rules import WrapUpCall
from core.case_commands import CategoriseCase, CloseCase, RegisterCase
from core.commit import desk_id, first_of
from core.errors import Invalid
from core.limits import NAME_CHARS_MAX, TEXT_CHARS_MAX
from core.personal import Personal
from core.vocabulary import Channel, call_stream, case_stream
from webdesk import answers
from webdesk.bodies import decode, read_body
from webdesk.problems import problem
from webdesk.tokens import require_token

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from uuid import UUID

    from core.commands import Command
    from webdesk.metrics import Metrics
    from webdesk.services import Services

_KEY_CHARS_MAX: Final = 200
_CASE_ID_CHARS: Final = 12  # of the hexadecimal id: 48 bits, told to nobody until it is recorded
Route = TypeVar("Route", bound="Callable[..., Awaitable[Response]]")
_Name = Annotated[str, msgspec.Meta(min_length=1, max_length=NAME_CHARS_MAX)]
_Names = Annotated[tuple[_Name, ...], msgspec.Meta(max_length=100)]
_Text = Annotated[str, msgspec.Meta(max_length=TEXT_CHARS_MAX)]


class _Body(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    agent: _Name


class Register(_Body):
    """Body of `POST /api/v1/cases`. `contact` is the call's stream; `caller` a telephone number."""

    authority: _Name
    case: _Name | None = None
    number: _Name | None = None
    channel: str = Channel.PHONE.value
    contact: _Name | None = None
    caller: _Name | None = None
    title: _Name | None = None
    text: _Text | None = None


class Categorise(_Body):
    """Body of `POST /api/v1/cases/{authority}/{case}/categorise`."""

    case_type: _Name
    complaint: bool = False


class Close(_Body):
    """Body of `POST /api/v1/cases/{authority}/{case}/close`."""

    outcome: _Name
    first_contact: bool = False


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


class CommandsDesk:
    """Hands commands to the application and words its answers."""

    def __init__(self, services: Services, metrics: Metrics) -> None:
        self._services = services
        self._metrics = metrics
        self._check = require_token(services.facts_token)
        self._application = Application(services.node, services.directory, services.events)

    async def asked(self, request: Request, shape: type[Any]) -> tuple[Any, dict[str, Any]]:
        """The body, and what every command has: id, time, actor. Raises: Problem, Invalid."""
        self._check(request)
        key = request.headers.get("idempotency-key", "").strip()
        if not key or len(key) > _KEY_CHARS_MAX or not key.isprintable():
            raise Invalid(
                f"send an Idempotency-Key of 1 to {_KEY_CHARS_MAX} printable characters",
                field="Idempotency-Key",
            )
        body = decode(await read_body(request), shape)
        return body, {
            "id": desk_id(key),
            "now": self._services.clock(),
            "actor": "api",
            "asker": self._asker(),
        }

    def _asker(self) -> Asker:
        """Until people sign in: whoever has the token leads all work but one side's."""
        directory = self._services.directory()
        codes = [code for code in directory.rows("authority") if code != "MF"]
        grants = (Grant(Role.SHIFT_LEAD), *(Grant(Role.CASE_OFFICER, code) for code in codes))
        return Asker("api", grants, closed_to=frozenset({"MF"}))

    async def done(self, command: Command, **told: str) -> Response:
        """Handle `command`; `told` goes into the answer."""
        try:
            answer = await self._application.handle(command)
        except IdUsedBefore:
            return problem(
                409,
                "idempotency-key-used",
                "This Idempotency-Key was used before to ask for something else.",
            )
        self._metrics.judged(answer.verdict)
        first = first_of(answer.verdict)
        return answers.json_answer(
            {
                "status": "accepted" if answer.recorded else "nothing_to_do",
                "commit_id": str(command.id),
                "shard": answer.shard,
                "position": first.position,
                "durability": answer.durability,
                "events": [event.TOPIC for event in answer.recorded],
                **told,
            }
        )

    def sealed(self, value: str | None, subject: str) -> Personal | None:
        """Free text of a person, to be sealed under `subject`."""
        return Personal(value, subject) if value else None

    def caller_ref(self, number: str | None) -> str | None:
        """The keyed hash of a caller's number."""
        return self._services.node.caller_ref(number) if number else None


def router(services: Services, metrics: Metrics) -> APIRouter:
    """The routes that ask for a decision."""
    routes = APIRouter(prefix="/api/v1", tags=["command"])
    desk = CommandsDesk(services, metrics)

    def post(path: str, summary: str, shape: type[Any]) -> Callable[[Route], Route]:
        return routes.post(
            path,
            summary=summary,
            response_model=answers.CommandAnswer,
            openapi_extra=_documented(shape),
        )

    @post("/cases", "Register a case", Register)
    async def register(request: Request) -> Response:
        body, common = await desk.asked(request, Register)
        case = body.case or _case_id(common["id"])
        subject = case_stream(body.authority, case)
        command = RegisterCase(
            **common, authority=body.authority, case=case, agent=body.agent, channel=body.channel,
            contact=body.contact, number=body.number, title=desk.sealed(body.title, subject),
            text=desk.sealed(body.text, subject), caller_ref=desk.caller_ref(body.caller),
        )  # fmt: skip
        return await desk.done(command, authority=body.authority, case=case)

    @post("/cases/{authority}/{case}/categorise", "Give a case its type", Categorise)
    async def categorise(request: Request, authority: str, case: str) -> Response:
        body, common = await desk.asked(request, Categorise)
        command = CategoriseCase(
            **common, authority=authority, case=case, agent=body.agent, case_type=body.case_type,
            complaint=body.complaint,
        )  # fmt: skip
        return await desk.done(command)

    @post("/cases/{authority}/{case}/close", "Close a case", Close)
    async def close(request: Request, authority: str, case: str) -> Response:
        body, common = await desk.asked(request, Close)
        command = CloseCase(
            **common, authority=authority, case=case, agent=body.agent, outcome=body.outcome,
            first_contact=body.first_contact,
        )  # fmt: skip
        return await desk.done(command)

    @post("/calls/{exchange}/{uniqueid}/wrap-up", "Wrap up a call with its outcome", WrapUp)
    async def wrap_up(request: Request, exchange: str, uniqueid: str) -> Response:
        body, common = await desk.asked(request, WrapUp)
        call = call_stream(exchange, uniqueid)
        return await desk.done(
            WrapUpCall(**common, call=call, agent=body.agent, outcome=body.outcome)
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


def _case_id(commit_id: UUID) -> str:
    return commit_id.hex[:_CASE_ID_CHARS]


def _documented(shape: type[Any]) -> dict[str, Any]:
    schema = msgspec.json.schema(shape)
    found = schema.get("$defs", {}).get(shape.__name__, schema)
    return {
        "requestBody": {"content": {"application/json": {"schema": found}}, "required": True},
        "parameters": [
            {
                "name": "Idempotency-Key",
                "in": "header",
                "required": True,
                "description": "Makes the commit's id: the same again gets the first answer.",
                "schema": {"type": "string", "maxLength": _KEY_CHARS_MAX},
            }
        ],
        "security": [{"token": []}],
    }
