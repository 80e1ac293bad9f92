"""What every request passes first: host, origin, headers, one log line, a last net for faults.

Pure ASGI, because a stream must not be buffered on its way.
"""

from __future__ import annotations

from http import HTTPStatus
from time import perf_counter
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

import structlog
from starlette.datastructures import Headers, MutableHeaders

from webdesk.problems import problem, unforeseen

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.types import ASGIApp, Message, Receive, Scope, Send

_LOG = structlog.get_logger("webdesk.request")
_SAFE: Final = frozenset({"GET", "HEAD", "OPTIONS"})
_LOOPBACK: Final = frozenset({"localhost", "127.0.0.1", "::1"})
SECURITY_HEADERS: Final = {
    "Content-Security-Policy": (
        "default-src 'self'; object-src 'none'; base-uri 'none'; form-action 'self'; "
        "frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
}

Seen = "Callable[[str, str, int, float], None]"


class Guards:
    """The outermost middleware. `seen(method, route, status, seconds)` counts each answer."""

    def __init__(
        self, app: ASGIApp, hosts: tuple[str, ...], seen: Callable[[str, str, int, float], None]
    ) -> None:
        self._app = app
        self._hosts = _LOOPBACK | {host.lower() for host in hosts}
        self._seen = seen

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request through, or answer it here."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began = perf_counter()
        status = 0

        async def out(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = MutableHeaders(scope=message)
                for name, value in SECURITY_HEADERS.items():
                    headers[name] = value
                headers.setdefault("Cache-Control", "no-store")
            await send(message)

        try:
            refused = self._refusal(scope)
            await (refused or self._app)(scope, receive, out)
        except Exception as e:  # noqa: BLE001 -- the edge: no fault shows its insides
            _LOG.error("request.failed", route=_route(scope), error=type(e).__name__)
            if status == 0:
                await unforeseen()(scope, receive, out)
        finally:
            seconds = perf_counter() - began
            self._seen(scope["method"], _route(scope), status, seconds)
            _LOG.info(
                "request", method=scope["method"], route=_route(scope), status=status,
                ms=round(seconds * 1000, 1),
            )  # fmt: skip

    def _refusal(self, scope: Scope) -> ASGIApp | None:
        """Why this request is not even looked at; None where it is."""
        headers = Headers(scope=scope)
        host = headers.get("host", "")
        if _name_of(f"//{host}") not in self._hosts:  # DNS rebinding: another name that leads to us
            return problem(
                HTTPStatus.MISDIRECTED_REQUEST,
                "misdirected-request",
                "This server has another name.",
            )
        if scope["method"] in _SAFE:
            return None
        origin = headers.get("origin")
        foreign = origin is not None and urlsplit(origin).netloc.lower() != host.lower()
        if foreign or headers.get("sec-fetch-site") in {"cross-site", "same-site"}:
            return problem(
                HTTPStatus.FORBIDDEN, "cross-origin", "Another site's page may not send this."
            )
        return None


def _name_of(url: str) -> str | None:
    try:
        return urlsplit(url).hostname
    except ValueError:
        return None


def _route(scope: Scope) -> str:
    """The route's template, never the path: a path may hold a case's number."""
    return getattr(scope.get("route"), "path", "")
