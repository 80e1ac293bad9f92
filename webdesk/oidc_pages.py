"""The routes of signing in at the city's provider: there, back, and out."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, Final

import structlog
from fastapi import APIRouter
from starlette.requests import Request  # noqa: TC002 -- FastAPI reads annotations
from starlette.responses import RedirectResponse, Response

from webdesk.authentication import SIGN_IN, SignedIn, bounce, local_path
from webdesk.oidc import Pending, Provider, SignOnFault
from webdesk.sessions import cookie_header
from webdesk.sign_on_names import identity_of

if TYPE_CHECKING:
    from core.accounts import Account
    from webdesk.services import Services
    from webdesk.sign_in import SignInPages

# Lax: it has to come with the provider's redirect, which is another site's.
BROWSER_COOKIE: Final = "__Host-kontaktcenter-sign-on"
_ATTRIBUTES: Final = "Path=/; Secure; HttpOnly; SameSite=Lax"
_CALLBACK: Final = f"{SIGN_IN}/oidc/callback"
_LOOPBACK: Final = frozenset({"localhost", "127.0.0.1", "::1"})
_LOG: Final = structlog.get_logger("webdesk.sign_in")


class OidcPages:
    """There and back again."""

    def __init__(self, services: Services, provider: Provider, pages: SignInPages) -> None:
        self._services, self._provider, self._pages = services, provider, pages

    async def go(self, request: Request) -> Response:
        """To the provider's page; with `unlock` it asks again who it is."""
        signed_in: SignedIn | None = request.state.signed_in
        unlock = "unlock" in request.query_params and signed_in is not None
        wanted = local_path(request.query_params.get("next"))
        try:
            url, browser = await self._provider.begin(
                _address(request, _CALLBACK), wanted, unlock=unlock,
                cookie=signed_in.cookie if signed_in else None,
            )  # fmt: skip
        except SignOnFault as e:
            return self._failed(request, e)
        answer = RedirectResponse(url, HTTPStatus.SEE_OTHER, headers={"Cache-Control": "no-store"})
        kept = f"{BROWSER_COOKIE}={browser}; Max-Age=600; {_ATTRIBUTES}"
        answer.headers.append("Set-Cookie", kept)
        return answer

    async def back(self, request: Request) -> Response:
        """From the provider's page: who it is stands in its signed answer."""
        browser = request.cookies.get(BROWSER_COOKIE, "")
        try:
            subject, pending = await self._provider.finish(
                _address(request, _CALLBACK), dict(request.query_params), browser
            )
        except SignOnFault as e:
            return self._failed(request, e)
        issuer = self._provider.settings.issuer
        identity = identity_of(self._services.node, issuer, subject)
        account = self._services.accounts().of_identity(issuer, identity)
        if account is None:
            _LOG.warning("sign_in.failed", method="sign-on", why="no account")
            return self._pages.not_signed_in(request, HTTPStatus.FORBIDDEN, "stranger", subject)
        answer = self._entered(request, account, pending)
        answer.headers.append("Set-Cookie", f"{BROWSER_COOKIE}=; Max-Age=0; {_ATTRIBUTES}")
        return answer

    async def out(self, request: Request) -> Response:
        """To the provider's page that ends its own session."""
        try:
            url = await self._provider.left(_address(request, f"{SIGN_IN}?out=1"))
        except SignOnFault as e:
            return self._failed(request, e)
        return RedirectResponse(url or SIGN_IN, HTTPStatus.SEE_OTHER)

    def _entered(self, request: Request, account: Account, pending: Pending) -> Response:
        """A new session; or the locked one goes on, where it is the same person's."""
        sessions = self._services.sessions
        answer = bounce(pending.wanted)
        session = sessions.find(pending.cookie)
        if pending.unlock and pending.cookie is not None and session is not None:
            if session.account != account.id:
                return self._pages.not_signed_in(request, HTTPStatus.FORBIDDEN, "another")
            cookie = sessions.unlock(pending.cookie)
            answer.headers.append("Set-Cookie", cookie_header(cookie))
            return answer
        if pending.cookie is not None:
            sessions.end(pending.cookie)
        return self._pages.begin(request, account, "sign-on", answer)

    def _failed(self, request: Request, fault: SignOnFault) -> Response:
        _LOG.warning("sign_in.failed", method="sign-on", why=fault.kind)
        unavailable = fault.kind == "unavailable"
        status = HTTPStatus.SERVICE_UNAVAILABLE if unavailable else HTTPStatus.BAD_REQUEST
        return self._pages.not_signed_in(request, status, fault.kind)


def router(pages: OidcPages) -> APIRouter:
    """The routes; there are none where no provider is configured."""
    routes = APIRouter(include_in_schema=False)
    routes.add_api_route(f"{SIGN_IN}/oidc", pages.go, methods=["GET"])
    routes.add_api_route(_CALLBACK, pages.back, methods=["GET"])
    routes.add_api_route(f"{SIGN_IN}/oidc/out", pages.out, methods=["GET"])
    return routes


def _address(request: Request, path: str) -> str:
    """A path of this server as browsers have it: over TLS, unless they are on this machine.

    The host is one of those that `Guards` lets through.
    """
    scheme = "http" if request.url.hostname in _LOOPBACK else "https"
    return f"{scheme}://{request.headers['host']}{path}"
