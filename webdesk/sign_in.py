"""The pages of signing in and out, of locking, and of one's own account."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote
from uuid import UUID

import structlog
from fastapi import APIRouter
from starlette.requests import Request  # noqa: TC002 -- FastAPI reads annotations
from starlette.responses import HTMLResponse, RedirectResponse, Response

from core.access import Deed, Place
from core.account_rules import ChangePassword
from core.application import Application
from core.limits import PASSWORD_CHARS_MIN
from core.personal import Personal
from core.vocabulary import account_stream
from webdesk import answers
from webdesk.addresses import address_of, is_own_machine
from webdesk.authentication import SIGN_IN, UNLOCK, SignedIn, local_path
from webdesk.formats import Formats
from webdesk.forms import read_form
from webdesk.gate import Gate
from webdesk.passwords import fault_of
from webdesk.problems import Problem
from webdesk.sessions import cookie_header, is_token_of, no_cookie_header, token_of
from webdesk.sign_in_desk import Known, LockedOut, SignInDesk
from webdesk.sign_in_words import demo_groups, fault_text, rights_of, sign_on_fault
from webdesk.translations import catalogue, choose_language

if TYPE_CHECKING:
    from collections.abc import Mapping

    from jinja2 import Environment

    from core.accounts import Account
    from webdesk.services import Services
    from webdesk.who import WhoIs

_UUID_BYTES: Final = 16
_LOG: Final = structlog.get_logger("webdesk.sign_in")


class SignInPages:
    """What the pages show and do; the routes below are one line each."""

    def __init__(
        self,
        services: Services,
        desk: SignInDesk,
        who_is: WhoIs,
        templates: Mapping[str, Environment],
    ) -> None:
        self._services, self._desk, self._who_is = services, desk, who_is
        self._templates = templates
        self._gate = Gate(services)
        self._application = Application(services.node, services.directory, services.events)

    # --- signing in -------------------------------------------------------------------------------
    async def show(self, request: Request) -> Response:
        """The page to sign in on; who has done so already goes on."""
        wanted = local_path(request.query_params.get("next"))
        signed_in: SignedIn | None = request.state.signed_in
        if signed_in is not None:
            to = f"{UNLOCK}?next={quote(wanted, safe='/')}" if signed_in.session.locked else wanted
            return _go(to)
        said = "signed_out" if "out" in request.query_params else None
        return self._page(request, "sign_in.html", next=wanted, said=said)

    async def enter(self, request: Request) -> Response:
        """Sign in with a password."""
        form = await read_form(request)
        name = form.get("account", "").strip().lower()
        wanted = local_path(form.get("next"))
        lacking = [field for field in ("account", "password") if not form.get(field, "").strip()]
        if lacking:
            return self._page(
                request, "sign_in.html", HTTPStatus.UNPROCESSABLE_ENTITY, form, next=wanted,
                account=name, faults={field: f"no_{field}" for field in lacking},
            )  # fmt: skip
        outcome = await self._desk.check(
            name, form["password"], address_of(request, self._services.trusted_proxies)
        )
        if isinstance(outcome, Known):
            if outcome.account.break_glass:
                await self._desk.alarm(outcome.account)
            return self.begin(request, outcome.account, "password", _go(wanted))
        return self._failed(request, "sign_in.html", outcome, form, next=wanted, account=name)

    def begin(self, request: Request, account: Account, method: str, answer: Response) -> Response:
        """A session of its own, whatever cookie the browser came with; `answer` carries it."""
        self._end(request)
        cookie = self._services.sessions.begin(account.id, method)
        answer.headers.append("Set-Cookie", cookie_header(cookie))
        _LOG.info("sign_in", method=method)
        return answer

    async def demo(self, request: Request) -> Response:
        """Sign in as somebody of the demo: one click, on this machine alone. Raises: Problem."""
        form = await read_form(request)
        chosen = form.get("account", "")
        account = self._services.accounts().account(chosen)
        known = {person.account for person in self._services.demo_people}
        if account is None or chosen not in known or not is_own_machine(request):
            raise Problem(HTTPStatus.FORBIDDEN, "The demo is for this machine alone.")
        return self.begin(request, account, "demo", _go(local_path(form.get("next"))))

    # --- out and locked ---------------------------------------------------------------------------
    async def leave(self, request: Request) -> Response:
        """Sign out. The sign-on service's own session is left by its link on the page."""
        form = await read_form(request)
        signed_in: SignedIn | None = request.state.signed_in
        if signed_in is not None:
            _own_form(form, signed_in)
        self._end(request)
        _LOG.info("sign_out")
        answer = _go(f"{SIGN_IN}?out=1{_lang(form)}")
        answer.headers.append("Set-Cookie", no_cookie_header())
        return answer

    async def lock(self, request: Request) -> Response:
        """Lock the session."""
        form = await read_form(request)
        signed_in: SignedIn | None = request.state.signed_in
        if signed_in is None:
            return _go(SIGN_IN)
        _own_form(form, signed_in)
        self._services.sessions.lock(signed_in.cookie)
        wanted = quote(local_path(form.get("next")), safe="/")
        return _go(f"{UNLOCK}?next={wanted}{_lang(form)}")

    async def show_locked(self, request: Request) -> Response:
        """The page that opens a locked session again."""
        signed_in: SignedIn | None = request.state.signed_in
        wanted = local_path(request.query_params.get("next"))
        if signed_in is None:
            return _go(f"{SIGN_IN}?next={quote(wanted, safe='/')}")
        if not signed_in.session.locked:
            return _go(wanted)
        return self._locked_page(request, signed_in, HTTPStatus.OK, next=wanted)

    async def unlock(self, request: Request) -> Response:
        """Open a locked session with the password of its owner."""
        form = await read_form(request)
        signed_in: SignedIn | None = request.state.signed_in
        wanted = local_path(form.get("next"))
        if signed_in is None:
            return _go(f"{SIGN_IN}?next={quote(wanted, safe='/')}")
        _own_form(form, signed_in)
        if not signed_in.session.locked:
            return _go(wanted)
        account = signed_in.session.account
        outcome = await self._desk.check(
            account, form.get("password", ""), address_of(request, self._services.trusted_proxies)
        )
        if not isinstance(outcome, Known):
            status, faults = self._fault(request, outcome, form, "wrong_password")
            return self._locked_page(request, signed_in, status, form, next=wanted, faults=faults)
        answer = _go(wanted)
        answer.headers.append(
            "Set-Cookie", cookie_header(self._services.sessions.unlock(signed_in.cookie))
        )
        return answer

    def not_signed_in(
        self, request: Request, status: HTTPStatus, why: str, subject: str | None = None
    ) -> Response:
        """The page of a sign-on that did not work: why, and what to do."""
        name = self._services.sign_on.name if self._services.sign_on else ""
        text = sign_on_fault(catalogue(self._language(request, None)), why, name)
        return self._page(request, "sign_on_failed.html", status, text=text, subject=subject)

    # --- one's own account ------------------------------------------------------------------------
    async def account(self, request: Request) -> Response:
        """One's own account: rights, and the password."""
        asker = self._gate.known(request)
        self._gate.require(request, Deed.OWN_ACCOUNT, Place(person=asker.id))
        return self._account_page(request, HTTPStatus.OK, changed="changed" in request.query_params)

    async def change_password(self, request: Request) -> Response:
        """Set another password; all other sessions of the account end."""
        asker = self._gate.known(request)
        self._gate.require(request, Deed.OWN_ACCOUNT, Place(person=asker.id))
        form = await read_form(request)
        signed_in: SignedIn = request.state.signed_in
        _own_form(form, signed_in)
        new = form.get("new", "")
        fault = fault_of(new, asker.id, self._who_is.name_of(asker.id))
        faults = {"new": fault} if fault else {}
        if new != form.get("again", ""):
            faults["again"] = "differs"
        if not faults:
            address = address_of(request, self._services.trusted_proxies)
            outcome = await self._desk.check(asker.id, form.get("old", ""), address)
            if not isinstance(outcome, Known):
                faults["old"] = "locked_out" if isinstance(outcome, LockedOut) else "wrong_old"
        if faults:
            return self._account_page(request, HTTPStatus.UNPROCESSABLE_ENTITY, form, faults=faults)
        hashed = Personal(await self._desk.hash(new), account_stream(asker.id))
        await self._application.handle(
            ChangePassword(
                id=UUID(bytes=self._services.entropy(_UUID_BYTES), version=4),
                now=self._services.clock(), actor=asker.id, asker=asker, account=asker.id,
                hash=hashed,
            )
        )  # fmt: skip
        self._services.sessions.end_all(asker.id)
        account = self._services.accounts().account(asker.id)
        assert account is not None
        answer = _go(f"/account?changed=1{_lang(form)}")
        return self.begin(request, account, signed_in.session.method, answer)

    async def me(self, request: Request) -> Response:
        """Who asks, and what he, she or it may do. Raises: Problem 401."""
        self._gate.known(request)
        return answers.json_answer(self._who_is.me(request))

    # --- pages ------------------------------------------------------------------------------------
    def _failed(
        self, request: Request, template: str, outcome: object, form: Mapping[str, str], **more: Any
    ) -> Response:
        status, faults = self._fault(request, outcome, form)
        return self._page(request, template, status, form, faults=faults, **more)

    def _fault(
        self, request: Request, outcome: object, form: Mapping[str, str], wrong: str = "wrong"
    ) -> tuple[HTTPStatus, dict[str, str]]:
        if isinstance(outcome, LockedOut):
            language = self._language(request, form)
            until = Formats(language, self._services.zone).clock_of(outcome.until.isoformat())
            return HTTPStatus.TOO_MANY_REQUESTS, {"password": f"locked_out {until}"}
        return HTTPStatus.UNAUTHORIZED, {"password": wrong}

    def _locked_page(
        self, request: Request, signed_in: SignedIn, status: HTTPStatus,
        form: Mapping[str, str] | None = None, **more: Any,
    ) -> Response:  # fmt: skip
        session = signed_in.session
        return self._page(
            request, "locked.html", status, form, token=token_of(signed_in.cookie),
            name=self._who_is.name_of(session.account), method=session.method, **more,
        )  # fmt: skip

    def _account_page(
        self, request: Request, status: HTTPStatus, form: Mapping[str, str] | None = None,
        **more: Any,
    ) -> Response:  # fmt: skip
        language = self._language(request, form)
        asker = self._gate.known(request)
        rows = rights_of(asker, self._services.directory(), catalogue(language))
        standing = self._services.accounts().account(asker.id)
        return self._page(
            request, "account.html", status, form, who=self._who_is.of(request), rights=rows,
            has_password=standing is not None and standing.password is not None,
            chars_min=PASSWORD_CHARS_MIN, **more,
        )  # fmt: skip

    def _page(
        self, request: Request, template: str, status: HTTPStatus = HTTPStatus.OK,
        form: Mapping[str, str] | None = None, faults: Mapping[str, str] | None = None, **more: Any,
    ) -> Response:  # fmt: skip
        language = self._language(request, form)
        words = catalogue(language)
        people = self._services.demo_people if is_own_machine(request) else ()
        html = self._templates[language].get_template(template).render(
            faults={field: fault_text(words, fault) for field, fault in (faults or {}).items()},
            demo_groups=demo_groups(people, words),
            demo_note=self._services.demo_note,
            sign_on=self._services.sign_on.name if self._services.sign_on else None,
            version=self._services.version,
            **{"account": "", "said": None, "changed": False, "next": "/", **more},
        )  # fmt: skip
        return HTMLResponse(html, status, headers={"Content-Language": language})

    def _language(self, request: Request, form: Mapping[str, str] | None) -> str:
        asked = request.query_params.get("lang") or (form or {}).get("lang")
        return choose_language(asked, self._services.language)

    def _end(self, request: Request) -> None:
        signed_in: SignedIn | None = request.state.signed_in
        if signed_in is not None:
            self._services.sessions.end(signed_in.cookie)


def router(pages: SignInPages) -> APIRouter:
    """The routes of signing in."""
    routes = APIRouter()
    hidden = APIRouter(include_in_schema=False)
    hidden.add_api_route(SIGN_IN, pages.show, methods=["GET"])
    hidden.add_api_route(SIGN_IN, pages.enter, methods=["POST"])
    hidden.add_api_route(f"{SIGN_IN}/demo", pages.demo, methods=["POST"])
    hidden.add_api_route(UNLOCK, pages.show_locked, methods=["GET"])
    hidden.add_api_route(UNLOCK, pages.unlock, methods=["POST"])
    hidden.add_api_route("/sign-out", pages.leave, methods=["POST"])
    hidden.add_api_route("/lock", pages.lock, methods=["POST"])
    hidden.add_api_route("/account", pages.account, methods=["GET"])
    hidden.add_api_route("/account/password", pages.change_password, methods=["POST"])
    routes.include_router(hidden)
    routes.add_api_route(
        "/api/v1/me", pages.me, methods=["GET"], tags=["read"], summary="Who asks, and may what",
        response_model=answers.Me,
    )  # fmt: skip
    return routes


def _own_form(form: Mapping[str, str], signed_in: SignedIn) -> None:
    """Raises: Problem 403 where the form is not of this session's own page."""
    if not is_token_of(form.get("token", ""), signed_in.cookie):
        raise Problem(HTTPStatus.FORBIDDEN, "The form is of another session: open the page again.")


def _lang(form: Mapping[str, str]) -> str:
    return f"&lang={form['lang']}" if form.get("lang") in {"sv", "en"} else ""


def _go(to: str) -> Response:
    return RedirectResponse(to, HTTPStatus.SEE_OTHER, headers={"Cache-Control": "no-store"})
