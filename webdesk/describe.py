"""The API's description (OpenAPI 3.1) as it is: what every operation needs, and how it says no.

FastAPI describes what it checks itself. Bodies, rights and problems are ours: here they are added
to what each route says, in one place, so that no route can forget one.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final

from core.access import PROGRAM_SCOPES
from webdesk.authentication import TOKEN_HEADER, is_open
from webdesk.problems import MEDIA_TYPE
from webdesk.sessions import COOKIE

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from fastapi import FastAPI

__all__ = ["describe"]

_PROBLEM: Final = {"$ref": "#/components/schemas/Problem"}
_SECURITY: Final[list[dict[str, list[str]]]] = [{"token": []}, {"session": []}]
_SAID: Final[Mapping[int, str]] = {
    401: "Nobody has signed in, or the token is not of this server.",
    403: "The role may not do this, or another site's page sent it.",
    404: "There is no such case, or there is none for whoever asks.",
    409: "A rule says no, somebody was first, or the Idempotency-Key was used for something else.",
    412: "It has changed since it was read.",
    413: "The body is too large.",
    415: "The body is of another kind.",
    421: "The server was asked by another name.",
    422: "It cannot be read: `field` says what is wrong.",
    503: "A neighbour is down: ask again, with the same key.",
}
_BY_WHOM: Final = (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN)
_ETAG: Final[dict[str, Any]] = {
    "ETag": {
        "description": "The case's version: for If-Match.",
        "schema": {"type": "string", "pattern": '^"[0-9]+"$'},
    }
}


def describe(app: FastAPI) -> None:
    """Complete what `app.openapi()` tells."""
    made = app.openapi

    def described() -> dict[str, Any]:
        api = made()
        components = api.setdefault("components", {})
        components["securitySchemes"] = _schemes()
        for unused in ("HTTPValidationError", "ValidationError"):
            components.get("schemas", {}).pop(unused, None)
        for path, operations in api["paths"].items():
            for method, operation in operations.items():
                _complete(path, method, operation)
        return api

    app.openapi = described  # type: ignore[method-assign]


def _schemes() -> dict[str, Any]:
    scopes = ", ".join(sorted(deed.value for deed in PROGRAM_SCOPES))
    return {
        "token": {
            "type": "http",
            "scheme": "bearer",
            "description": f"A program's token. Its scopes may be: {scopes}.",
        },
        "session": {
            "type": "apiKey",
            "in": "cookie",
            "name": COOKIE,
            "description": (
                "A person who has signed in. Whatever is not GET also needs the header "
                f"{TOKEN_HEADER}, with the token of /api/v1/me."
            ),
        },
    }


def _complete(path: str, method: str, operation: dict[str, Any]) -> None:
    """Say who may ask and what the noes look like; safe to repeat."""
    operation["security"] = [] if is_open(path, public_board=False) else list(_SECURITY)
    answers: dict[str, Any] = operation["responses"]
    answers.pop("422", None)  # FastAPI's own, which nothing here answers with
    for status in sorted(_noes(path, operation)):
        answers[str(int(status))] = {"description": _SAID[status], "content": _content()}
    answers["default"] = {"description": "A problem (RFC 9457)", "content": _content()}
    operation["responses"] = answers = dict(sorted(answers.items()))
    if (
        method == "get"
        and path.startswith("/api/v1/cases/{authority}/{case}")
        and (path.endswith(("{case}", "/events")))
    ):
        answers["200"]["headers"] = _ETAG


def _content() -> dict[str, Any]:
    return {MEDIA_TYPE: {"schema": _PROBLEM}}


def _noes(path: str, operation: Mapping[str, Any]) -> Iterator[int]:
    """The statuses of the problems that an operation may answer with."""
    headers = {
        given["name"] for given in operation.get("parameters", ()) if given["in"] == "header"
    }
    yield HTTPStatus.MISDIRECTED_REQUEST
    yield HTTPStatus.SERVICE_UNAVAILABLE
    if operation["security"]:
        yield from _BY_WHOM
    if "{" in path or "requestBody" in operation:
        yield HTTPStatus.NOT_FOUND
    if operation.get("parameters") or "requestBody" in operation:
        yield HTTPStatus.UNPROCESSABLE_ENTITY
    if "requestBody" in operation:
        yield HTTPStatus.REQUEST_ENTITY_TOO_LARGE
        yield HTTPStatus.UNSUPPORTED_MEDIA_TYPE
    if "Idempotency-Key" in headers:
        yield HTTPStatus.CONFLICT
    if "If-Match" in headers:
        yield HTTPStatus.PRECONDITION_FAILED
