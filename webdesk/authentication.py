"""Who asks: the session of the cookie, or the program of the bearer token. Default deny.

Pure ASGI, inside `Guards`. It puts into the request's state `asker` (an `Asker`, `NOBODY` where
nobody signed in), `signed_in` (a `SignedIn`, or None), and lets nobody through to anything but what
`is_open` names. What the asker may do is asked of `webdesk.gate` by every route.
"""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Final
from urllib.parse import quote

import structlog
from starlette.datastructures import Headers
from starlette.requests import cookie_parser
from starlette.responses import HTMLResponse, RedirectResponse

from core.access import NOBODY, Asker, Deed, Grant, Place, Role, Verdict, verdict
from core.errors import KontaktcenterError
from webdesk.problems import problem, problem_of
from webdesk.sessions import COOKIE, Session, is_token_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.requests import Request
    from starlette.types import ASGIApp, Receive, Scope, Send

    from webdesk.services import Services

SIGN_IN: Final = "/sign-in"
UNLOCK: Final = "/sign-in/unlock"
TOKEN_HEADER: Final = "x-kontaktcenter-token"  # noqa: S105 -- a header's name
IDLE_HEADER: Final = "x-kontaktcenter-idle"
CONFIGURED: Final = "api"  # the program that has the configured token
# What the configured token opens: it records what exchanges and simulations tell, and reads queues.
FACTS_SCOPES: Final = frozenset(
    {
        Deed.RECORD_FACTS.value, Deed.WORK_CALL.value, Deed.WORK_SHIFT.value,
        Deed.REGISTER_CASE.value, Deed.READ_QUEUES.value, Deed.READ_CATALOGUE.value,
    }
)  # fmt: skip
_OPEN: Final = frozenset(
    {"/livez", "/readyz", "/version", "/favicon.ico", SIGN_IN, "/sign-out", "/lock"}
)
_BOARD: Final = frozenset({"/", "/api/v1/queues", "/api/v1/stream"})
# Their forms carry the token in a field, which they look at themselves.
_FORMS: Final = frozenset({"/sign-out", "/lock", "/account/password"})
_SAFE: Final = frozenset({"GET", "HEAD", "OPTIONS"})
_WATCHES: Final = frozenset({"/api/v1/queues", "/api/v1/stream", "/api/v1/me"})
_ASK: Final = {"WWW-Authenticate": 'Bearer realm="kontaktcenter"'}
_LOG: Final = structlog.get_logger("webdesk.authentication")


@dataclass(frozen=True, slots=True)
class SignedIn:
    """A session that a request came with. `cookie` is what it is known by: never shown."""

    cookie: str
    session: Session

    def __repr__(self) -> str:
        return "SignedIn(…)"


def is_open(path: str, *, public_board: bool) -> bool:
    """Whether a path may be asked for by anybody at all."""
    if path in _OPEN or path.startswith(("/static/", SIGN_IN + "/")):
        return True
    return public_board and path in _BOARD


class Authentication:
    """The middleware; everything that it needs is in `services`."""

    def __init__(self, app: ASGIApp, services: Services) -> None:
        self._app, self._services = app, services

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Say who asks and pass on, or answer here."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        try:
            answer = self._answer(scope)
        except KontaktcenterError as e:
            answer = problem_of(e)
        await (answer or self._app)(scope, receive, send)

    def _answer(self, scope: Scope) -> ASGIApp | None:
        """The answer to whoever is not let through; None where he or she is."""
        headers, path = Headers(scope=scope), scope["path"]
        state = scope.setdefault("state", {})
        state["asker"], state["signed_in"] = NOBODY, None
        given = headers.get("authorization")
        if given is not None:
            asker = program_of(given, self._services)
            if asker is None and not self._open(path):
                return problem(
                    HTTPStatus.UNAUTHORIZED, "unauthorized", "The token is not one of this server,"
                    " or it has ended: Authorization: Bearer …",
                    {"WWW-Authenticate": _ASK["WWW-Authenticate"] + ', error="invalid_token"'},
                )  # fmt: skip
            state["asker"] = asker or NOBODY
            return None
        signed_in = signed_in_of(headers, self._services)
        if signed_in is not None:
            refused = self._person(scope, headers, signed_in)
            if refused is not None:
                return refused
        if state["asker"] is NOBODY and not self._open(path):
            return _turned_away(scope, headers, locked=signed_in is not None)
        return None

    def _open(self, path: str) -> bool:
        return is_open(path, public_board=self._services.public_board)

    def _person(self, scope: Scope, headers: Headers, signed_in: SignedIn) -> ASGIApp | None:
        """Put the session's owner into the request; the answer where it did not make it."""
        state, path = scope["state"], scope["path"]
        state["signed_in"] = signed_in
        safe = scope["method"] in _SAFE
        formal = path in _FORMS or path == SIGN_IN or path.startswith(SIGN_IN + "/")
        if not safe and not formal:
            sent = headers.get(TOKEN_HEADER, "")
            if not is_token_of(sent, signed_in.cookie):
                return problem(
                    HTTPStatus.FORBIDDEN, "token-missing",
                    "Send the token of /api/v1/me in the header X-Kontaktcenter-Token.",
                )  # fmt: skip
        if signed_in.session.locked:
            return None
        asker = self._services.accounts().asker(signed_in.session.account)
        if asker is None:  # closed a moment ago
            return None
        state["asker"] = asker
        if (not safe or path not in _WATCHES) and IDLE_HEADER not in headers:
            self._services.sessions.use(signed_in.cookie)
        return None


def program_of(given: str, services: Services) -> Asker | None:
    """The program whose token an `Authorization` header holds; None where it is nobody's."""
    scheme, _space, token = given.partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        return None
    digest = _digest(token.strip())
    found = services.accounts().of_token(digest, services.clock())
    configured = services.facts_token
    # Both are hashes of one length: neither length nor the first wrong letter shows in the time.
    if configured is not None and hmac.compare_digest(digest, _digest(configured)):
        return Asker(CONFIGURED, (Grant(Role.PROGRAM),), scopes=FACTS_SCOPES)
    return found


def signed_in_of(headers: Headers, services: Services) -> SignedIn | None:
    """The session that a request came with, where its account still stands.

    A session that is older than the account's password, or whose account is closed, is ended here.
    """
    cookie = cookie_parser(headers.get("cookie", "")).get(COOKIE)
    session = services.sessions.find(cookie)
    if session is None or cookie is None:
        return None
    accounts = services.accounts()
    account = accounts.account(session.account)
    after = account.sessions_after if account else None
    if accounts.asker(session.account) is None or (after and session.started_at < after):
        services.sessions.end(cookie)
        _LOG.info("session.ended", why="account changed")
        return None
    return SignedIn(cookie, session)


def watching(request: Request, services: Services) -> Callable[[], bool]:
    """Whether whoever asked may still watch the queues: asked again and again by an open stream."""
    headers = request.headers

    def allowed() -> bool:
        if services.public_board:
            return True
        found = signed_in_of(headers, services)
        if headers.get("authorization") is None and (found is None or found.session.locked):
            return False
        asker = (
            program_of(headers["authorization"], services)
            if found is None
            else services.accounts().asker(found.session.account)
        )
        found_verdict = asker and verdict(asker, Deed.READ_QUEUES, Place(), services.directory())
        return found_verdict is Verdict.ALLOWED

    return allowed


def local_path(asked: str | None) -> str:
    """Where to go after signing in: a path of this server, else the start page."""
    if not asked or not asked.startswith("/") or asked[1:2] in {"/", "\\"}:
        return "/"
    if not asked.isprintable() or "\\" in asked or len(asked) > 2_000:  # noqa: PLR2004 -- a URL's
        return "/"
    return "/" if asked.startswith((SIGN_IN, "/sign-out", "/lock")) else asked


def bounce(path: str) -> HTMLResponse:
    """A page that goes on to `path` by itself.

    A strict cookie does not come with a request that another site's page led to, redirects
    included; with one that our own page leads to, it does.
    """
    target = quote(path, safe="/?&=%:,;~+-._")
    return HTMLResponse(
        "<!doctype html><html lang=sv><meta charset=utf-8><title>Kontaktcenter</title>"
        f'<meta http-equiv=refresh content="0;url={target}"><p><a href="{target}">Kontaktcenter</a>'
    )


def _turned_away(scope: Scope, headers: Headers, *, locked: bool) -> ASGIApp:
    path = scope["path"]
    page = scope["method"] in {"GET", "HEAD"} and "text/html" in headers.get("accept", "")
    if not page or path.startswith("/api/"):
        detail = "The session is locked: open it again." if locked else "Sign in, or send a token."
        name = "session-locked" if locked else "unauthorized"
        return problem(HTTPStatus.UNAUTHORIZED, name, detail, _ASK)
    query = scope["query_string"].decode("ascii", "replace")
    wanted = local_path(path + (f"?{query}" if query else ""))
    to = f"{UNLOCK if locked else SIGN_IN}?next={quote(wanted, safe='/')}"
    if headers.get("sec-fetch-site") in {"cross-site", "same-site"}:
        return bounce(to)
    return RedirectResponse(to, HTTPStatus.SEE_OTHER, headers={"Cache-Control": "no-store"})


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode("utf-8", "surrogateescape")).hexdigest()
