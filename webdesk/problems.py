"""The one place where errors become HTTP answers: problem details (RFC 9457), without tracebacks.

| family | status |
|---|---|
| `Invalid` | 422 |
| `NotFound` | 404 |
| `NotAllowed` | 403 |
| `ChangedSince` | 412 |
| other `Refused`, `Stale` | 409 |
| `Unavailable` and its kin | 503, with `Retry-After` |
| `Corrupt`, and anything unforeseen | 500, without detail |
"""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final

import msgspec
import structlog
from starlette.exceptions import HTTPException
from starlette.responses import Response

from core.access import NotAllowed
from core.application import ChangedSince
from core.errors import (
    Corrupt,
    Invalid,
    KontaktcenterError,
    NotFound,
    Refused,
    Stale,
    Unavailable,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from fastapi import FastAPI
    from starlette.requests import Request

MEDIA_TYPE: Final = "application/problem+json"
RETRY_AFTER_S: Final = 5
_LOG = structlog.get_logger("webdesk.problems")

# The only details of an error that leave the server: none of them can be about a person.
_SHOWN: Final = (
    "field", "neighbour", "retry_after_s", "limit", "allowed", "faults", "agent", "outcome",
)  # fmt: skip


class Problem(Exception):
    """Something wrong with the request itself, which no rule of ours has to judge."""

    def __init__(
        self,
        status: HTTPStatus,
        detail: str,
        headers: Mapping[str, str] | None = None,
        **members: Any,
    ) -> None:
        self.status, self.detail, self.members = status, detail, members
        self.headers = dict(headers or {})
        super().__init__(detail)


def problem(
    status: int, name: str, detail: str, headers: Mapping[str, str] | None = None, **members: Any
) -> Response:
    """One problem as an answer. `name` ends its `type`: a stable word for programs."""
    body = {
        "type": f"urn:kontaktcenter:problem:{name}",
        "title": HTTPStatus(status).phrase,
        "status": int(status),
        "detail": detail,
        **members,
    }
    return Response(
        msgspec.json.encode(body),
        status_code=status,
        media_type=MEDIA_TYPE,
        headers={"Cache-Control": "no-store", **(headers or {})},
    )


def problem_of(error: KontaktcenterError) -> Response:
    """The answer that one of the four families makes."""
    shown: dict[str, Any] = {name: error.details[name] for name in _SHOWN if name in error.details}
    if isinstance(error, Corrupt):
        return problem(500, "corrupt", "An invariant of the log broke. The operator has been told.")
    if isinstance(error, Unavailable):
        after = shown.get("retry_after_s", RETRY_AFTER_S)
        seconds = int(after) if isinstance(after, int | float) else RETRY_AFTER_S
        return problem(
            503, _name(error), error.message, {"Retry-After": str(max(1, seconds))}, **shown
        )
    if isinstance(error, Invalid):
        return problem(422, _name(error), error.message, **shown)
    if isinstance(error, NotFound):
        return problem(404, _name(error), error.message, **shown)
    if isinstance(error, NotAllowed):
        return problem(403, _name(error), error.message, **shown)
    if isinstance(error, ChangedSince):
        return problem(412, _name(error), error.message, **shown)
    if isinstance(error, Refused | Stale):
        return problem(409, _name(error), error.message, **shown)
    return problem(500, "unforeseen", "Something went wrong.")


def _name(error: KontaktcenterError) -> str:
    """The error's class as a word with dashes: `CallAlreadyAnswered` is `call-already-answered`."""
    name = type(error).__name__
    return "".join(f"-{c.lower()}" if c.isupper() and i else c.lower() for i, c in enumerate(name))


def unforeseen() -> Response:
    """The answer where the program itself is at fault; what happened stands in the log alone."""
    return problem(500, "unforeseen", "Something went wrong. The operator has been told.")


def install(app: FastAPI) -> None:
    """Make every error of `app` a problem."""

    async def on_error(request: Request, error: Exception) -> Response:
        assert isinstance(error, KontaktcenterError)
        if isinstance(error, Corrupt):
            _LOG.error("corrupt", error=type(error).__name__, route=_route(request))
        return problem_of(error)

    async def on_problem(request: Request, error: Exception) -> Response:
        del request
        assert isinstance(error, Problem)
        name = error.status.phrase.lower().replace(" ", "-")
        return problem(error.status, name, error.detail, error.headers, **error.members)

    async def on_http(request: Request, error: Exception) -> Response:
        del request
        assert isinstance(error, HTTPException)
        status = HTTPStatus(error.status_code)
        name = status.phrase.lower().replace(" ", "-")
        return problem(status, name, status.description or status.phrase, error.headers)

    app.add_exception_handler(KontaktcenterError, on_error)
    app.add_exception_handler(Problem, on_problem)
    app.add_exception_handler(HTTPException, on_http)


def _route(request: Request) -> str:
    return getattr(request.scope.get("route"), "path", "")
