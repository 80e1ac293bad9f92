"""Where every command over HTTP passes: who asks, its id, its body, and how it is answered.

The `Idempotency-Key` header, together with who asks, makes the id of the commit: the same key with
the same body gets the first answer again, with another body it is a conflict, and nobody gets what
somebody else was answered.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

import msgspec

from core.access import Asker, NotAllowed, Role
from core.application import Application, IdUsedBefore
from core.commit import desk_id, first_of, judged
from core.errors import Invalid
from core.personal import Personal
from core.persons import without_spaces
from webdesk import answers
from webdesk.bodies import decode, read_body
from webdesk.gate import Gate
from webdesk.problems import problem

if TYPE_CHECKING:
    from uuid import UUID

    from starlette.requests import Request
    from starlette.responses import Response

    from core.commands import Command
    from webdesk.metrics import Metrics
    from webdesk.services import Services

__all__ = ["KEY_CHARS_MAX", "CommandsDesk", "body_doc", "documented", "expected_version"]

KEY_CHARS_MAX: Final = 200  # of an Idempotency-Key
_ETAG: Final = re.compile('"[0-9]{1,15}"')


class CommandsDesk:
    """Hands commands to the application and words its answers. One for each server."""

    def __init__(self, services: Services, metrics: Metrics) -> None:
        self._services = services
        self._metrics = metrics
        self.gate = Gate(services)
        self.application = Application(services.node, services.directory, services.events)

    async def asked(self, request: Request, shape: type[Any]) -> tuple[Any, dict[str, Any]]:
        """The body, and what every command has: id, time, actor and asker.

        Raises: Problem (401, 413, 415), Invalid.
        """
        asker = self.asker(request)
        key = self.key(request)
        body = decode(await read_body(request), shape)
        return body, self.common(asker, key)

    def common(self, asker: Asker, key: str) -> dict[str, Any]:
        """What every command has: id, time, actor and asker."""
        return {
            "id": self.id_of(asker, key),
            "now": self._services.clock(),
            "actor": asker.id,
            "asker": asker,
        }

    def key(self, request: Request) -> str:
        """The Idempotency-Key. Raises: Invalid."""
        key = request.headers.get("idempotency-key", "").strip()
        if not key or len(key) > KEY_CHARS_MAX or not key.isprintable():
            raise Invalid(
                f"send an Idempotency-Key of 1 to {KEY_CHARS_MAX} printable characters",
                field="Idempotency-Key",
            )
        return key

    @staticmethod
    def id_of(asker: Asker, key: str) -> UUID:
        """The id of what `asker` asks under `key`; a printable key holds no line break."""
        return desk_id(f"{asker.id}\n{key}")

    def asker(self, request: Request) -> Asker:
        """Who asks. Raises: Problem 401 where nobody has signed in."""
        return self.gate.known(request)

    @staticmethod
    def agent_of(asker: Asker, said: str | None) -> str:
        """Who does it: the asker; a program says for whom it speaks.

        Raises: Invalid where a program does not say it; NotAllowed where a person names another.
        """
        if asker.is_a(Role.PROGRAM):
            if said is None:
                raise Invalid("a program says for which agent it speaks", field="agent")
            return said
        if said not in {None, asker.id}:
            raise NotAllowed("You record in your own name alone: leave agent out.", field="agent")
        return asker.id

    async def done(
        self, command: Command, *, tell_position: bool = True, **told: object
    ) -> Response:
        """Handle `command`; `told` goes into the answer. Raises: as `Application.handle`.

        Positions count what is recorded in a room: without `tell_position` they are left out.
        """
        try:
            answer = await self.application.handle(command)
        except IdUsedBefore:
            return problem(
                409,
                "idempotency-key-used",
                "This Idempotency-Key was used before to ask for something else.",
            )
        verdict = judged(answer)
        self._metrics.judged(verdict)
        first = first_of(verdict)
        return answers.json_answer(
            {
                "status": "accepted" if answer.recorded else "nothing_to_do",
                "commit_id": str(command.id),
                "shard": answer.shard if tell_position else None,
                "position": first.position if tell_position else None,
                "durability": answer.durability,
                "events": [event.TOPIC for event in answer.recorded],
                **told,
            }
        )

    def sealed(self, value: str | None, subject: str) -> Personal | None:
        """Free text of a person, to be sealed under `subject`; None where there is none."""
        return Personal(value, subject) if value else None

    def caller_ref(self, number: str | None) -> str | None:
        """The keyed hash of a caller's number; None where there is none."""
        return self._services.node.caller_ref(without_spaces(number)) if number else None


def expected_version(request: Request) -> int | None:
    """The version in `If-Match`; None where any will do. Raises: Invalid."""
    given = request.headers.get("if-match", "*").strip()
    if given == "*":
        return None
    if not _ETAG.fullmatch(given):
        raise Invalid("If-Match is one ETag of this server, with its quotes", field="If-Match")
    return int(given.strip('"'))


def documented(shape: type[Any], *, if_match: bool = False) -> dict[str, Any]:
    """What OpenAPI is told of a command's route: its body, its headers, that it needs rights."""
    return {
        **body_doc(shape),
        "parameters": [_KEY, _IF_MATCH] if if_match else [_KEY],
        "security": [{"token": []}],
    }


def body_doc(shape: type[Any]) -> dict[str, Any]:
    """What OpenAPI is told of a body: the schema of `shape`."""
    schema = msgspec.json.schema(shape)
    found = schema.get("$defs", {}).get(shape.__name__, schema)
    return {"requestBody": {"content": {"application/json": {"schema": found}}, "required": True}}


_KEY: Final[dict[str, Any]] = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": True,
    "description": "Makes the commit's id: the same again gets the first answer.",
    "schema": {"type": "string", "minLength": 1, "maxLength": KEY_CHARS_MAX},
}
_IF_MATCH: Final[dict[str, Any]] = {
    "name": "If-Match",
    "in": "header",
    "required": False,
    "description": "The ETag that was read: nothing is done where the case has changed since.",
    "schema": {"type": "string", "pattern": r'^(\*|"[0-9]{1,15}")$'},
}
