"""Who may record over HTTP: until people sign in, whoever has the token of the configuration."""

from __future__ import annotations

import hashlib
import hmac
from http import HTTPStatus
from typing import TYPE_CHECKING

from webdesk.problems import Problem

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.requests import Request

_ASK = {"WWW-Authenticate": 'Bearer realm="kontaktcenter"'}


def require_token(expected: str | None) -> Callable[[Request], None]:
    """A check of a bearer token; it raises Problem: 401 without one, 403 with a wrong one."""
    digest = None if expected is None else _digest(expected)

    def check(request: Request) -> None:
        scheme, _, given = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not given.strip():
            raise Problem(HTTPStatus.UNAUTHORIZED, "Send the token: Authorization: Bearer …", _ASK)
        # Digests are of one length: neither length nor the first wrong letter shows in the time.
        if digest is None or not hmac.compare_digest(_digest(given.strip()), digest):
            raise Problem(HTTPStatus.FORBIDDEN, "The token is not the one of this server.")

    return check


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode("utf-8", "surrogateescape")).digest()
