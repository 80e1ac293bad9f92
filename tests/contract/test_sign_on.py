"""OpenID Connect against a provider that lies in every way: only a true answer opens a session."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

import pytest
from joserfc import jwt
from joserfc.jwk import RSAKey
from sign_in_world import Browser, browser, do, person
from web_house import WebHouse, in_house

from core.account_rules import CloseAccount, LinkIdentity, UnlinkIdentity
from webdesk.oidc_pages import BROWSER_COOKIE
from webdesk.services import SignOnSettings
from webdesk.sessions import COOKIE
from webdesk.sign_on_names import identity_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    import httpx

KEY, OTHER = (RSAKey.generate_key(2048, {"kid": kid}, private=True) for kid in ("1", "1"))
SUBJECT = "00000000-0000-4000-8000-00000000a001"
BACK = "/sign-in/oidc/callback"


class LyingProvider:
    """A provider whose every answer a test may bend."""

    def __init__(self) -> None:
        self.issuer = ""
        self.tokens: list[dict[str, str]] = []  # what the token endpoint was asked
        self.make: Callable[[dict[str, Any]], str] = signed
        self.document: dict[str, Any] = {}
        self.keys = [KEY]
        self.nonce = ""
        self.now = 0
        self.claims: dict[str, Any] = {}
        self.down = False

    def answer(self, path: str, form: dict[str, str] | None) -> tuple[int, Any]:
        if self.down:
            return 503, {}
        if path.endswith("/openid-configuration"):
            return 200, {
                "issuer": self.issuer, "authorization_endpoint": f"{self.issuer}/auth",
                "token_endpoint": f"{self.issuer}/token", "jwks_uri": f"{self.issuer}/keys",
                "end_session_endpoint": f"{self.issuer}/out", **self.document,
            }  # fmt: skip
        if path == "/keys":
            return 200, {"keys": [{**k.as_dict(private=False), "use": "sig"} for k in self.keys]}
        if path == "/token" and form is not None:
            self.tokens.append(form)
            claims = {
                "iss": self.issuer, "sub": SUBJECT, "aud": "us", "nonce": self.nonce,
                "iat": self.now, "exp": self.now + 300, **self.claims,
            }  # fmt: skip
            kept = {name: value for name, value in claims.items() if value is not None}
            return 200, {"access_token": "a", "token_type": "Bearer", "id_token": self.make(kept)}
        return 404, {}


def signed(claims: dict[str, Any], key: RSAKey = KEY, **header: Any) -> str:
    return jwt.encode({"alg": "RS256", "kid": "1", **header}, claims, key)


def unsigned(claims: dict[str, Any]) -> str:
    parts = ({"alg": "none", "kid": "1"}, claims)
    return ".".join((*(encoded(json.dumps(part).encode()) for part in parts), ""))


def encoded(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def by_secret(claims: dict[str, Any]) -> str:
    """Signed with our public key as if it were a shared secret (algorithm confusion)."""
    parts = ({"alg": "HS256", "kid": "1"}, claims)
    text = ".".join(encoded(json.dumps(part).encode()) for part in parts)
    made = hmac.digest(KEY.as_pem(private=False), text.encode(), "sha256")
    return f"{text}.{encoded(made)}"


@contextmanager
def running(provider: LyingProvider) -> Iterator[None]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._send(*provider.answer(urlsplit(self.path).path, None))

        def do_POST(self) -> None:
            raw = self.rfile.read(int(self.headers["content-length"])).decode()
            form = {name: values[0] for name, values in parse_qs(raw).items()}
            self._send(*provider.answer(self.path, form))

        def _send(self, status: int, body: Any) -> None:
            data = json.dumps(body).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    provider.issuer = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()


def with_provider(test: Callable[[WebHouse, LyingProvider], Any]) -> Callable[[Path], None]:
    """Run a test in a house whose sign-on service is a lying one, with one linked account."""

    def run(tmp_path: Path) -> None:
        provider = LyingProvider()
        with running(provider):

            async def whole(house: WebHouse) -> None:
                provider.now = int(house.clock().timestamp())
                await person(house, password=None)
                await link(house, provider)
                await test(house, provider)

            settings = SignOnSettings(provider.issuer, "us", "secret", "Staden")
            in_house(sign_on=settings)(whole)(tmp_path)

    run.__name__ = test.__name__
    run.__doc__ = test.__doc__
    return run


async def link(house: WebHouse, provider: LyingProvider, account: str = "anna") -> None:
    identity = identity_of(house.node, provider.issuer, SUBJECT)
    await do(house, LinkIdentity, account, issuer=provider.issuer, identity=identity)


async def begun(guest: Browser, provider: LyingProvider, more: str = "") -> dict[str, str]:
    answer = await guest.get(f"/sign-in/oidc?next=/account{more}")
    assert answer.status_code == 303, answer.text
    asked = {k: v[0] for k, v in parse_qs(urlsplit(answer.headers["location"]).query).items()}
    provider.nonce = asked["nonce"]
    return asked


async def answered(guest: Browser, state: str, **more: str) -> httpx.Response:
    query = "&".join(f"{k}={v}" for k, v in {"state": state, "code": "c", **more}.items())
    return await guest.get(f"{BACK}?{query}", Sec_Fetch_Site="cross-site")


@pytest.mark.requirement("R49")
@with_provider
async def test_a_true_answer_opens_a_session(house: WebHouse, provider: LyingProvider) -> None:
    guest = browser(house)
    asked = await begun(guest, provider)
    assert (asked["response_type"], asked["scope"]) == ("code", "openid")
    assert asked["code_challenge_method"] == "S256"
    assert asked["redirect_uri"] == f"http://localhost{BACK}"
    answer = await answered(guest, asked["state"], iss=provider.issuer)
    assert answer.status_code == 200
    assert 'content="0;url=/account"' in answer.text
    assert BROWSER_COOKIE not in guest.cookies
    assert (await guest.get("/api/v1/me")).json()["account"] == "anna"
    verifier = provider.tokens[0]["code_verifier"]
    assert encoded(hashlib.sha256(verifier.encode()).digest()) == asked["code_challenge"]


LIES: tuple[tuple[dict[str, Any], Callable[[dict[str, Any]], str]], ...] = (
    ({"nonce": "another"}, signed),
    ({"nonce": None}, signed),
    ({"iss": "http://127.0.0.1:1"}, signed),
    ({"aud": "others"}, signed),
    ({"aud": ["us", "others"]}, signed),
    ({"aud": ["us", "others"], "azp": "others"}, signed),
    ({"azp": "others"}, signed),
    ({"exp": 1}, signed),
    ({"exp": None}, signed),
    ({"iat": None}, signed),
    ({"iat": 4_000_000_000}, signed),
    ({"sub": None}, signed),
    ({"sub": ""}, signed),
    ({"sub": ["x"]}, signed),
    ({}, unsigned),
    ({}, by_secret),
    ({}, lambda claims: signed(claims, OTHER)),
    ({}, lambda claims: signed(claims)[:-4] + "AAAA"),
    ({}, lambda claims: signed(claims).replace(".", "..", 1)),
    ({}, lambda _claims: ""),
    ({}, lambda claims: signed({**claims, "nonce": "x"}, kid="9")),
)


@with_provider
async def test_a_token_that_is_not_for_us_and_now_opens_nothing(
    house: WebHouse, provider: LyingProvider
) -> None:
    for n, (claims, make) in enumerate(LIES):
        provider.claims, provider.make = claims, make
        guest = browser(house)
        answer = await answered(guest, (await begun(guest, provider))["state"])
        assert answer.status_code == 400, (n, claims)
        assert "går inte att lita på" in answer.text, (n, claims)
        assert COOKIE not in guest.cookies


@with_provider
async def test_an_answer_is_good_once(house: WebHouse, provider: LyingProvider) -> None:
    guest = browser(house)
    asked = await begun(guest, provider)
    kept = dict(guest.cookies)
    assert (await answered(guest, asked["state"])).status_code == 200
    again = browser(house)
    again.cookies = kept
    assert (await answered(again, asked["state"])).status_code == 400
    assert len(provider.tokens) == 1


@with_provider
async def test_an_answer_is_for_its_own_browser_and_in_time(
    house: WebHouse, provider: LyingProvider
) -> None:
    victim, attacker = browser(house), browser(house)
    asked = await begun(attacker, provider)
    assert (await answered(victim, asked["state"])).status_code == 400
    await begun(victim, provider)
    asked = await begun(attacker, provider)
    assert (await answered(victim, asked["state"])).status_code == 400
    asked = await begun(victim, provider)
    house.clock.forward(600)
    assert (await answered(victim, asked["state"])).status_code == 400
    for state in ("", "x", asked["state"] + "x"):
        assert (await answered(victim, state)).status_code == 400
    assert not provider.tokens


@with_provider
async def test_another_issuers_answer_is_refused(house: WebHouse, provider: LyingProvider) -> None:
    guest = browser(house)
    asked = await begun(guest, provider)
    assert (await answered(guest, asked["state"], iss="https://x.example")).status_code == 400
    asked = await begun(guest, provider)
    refused = await answered(guest, asked["state"], error="access_denied")
    assert "loggade inte in dig" in refused.text
    assert not provider.tokens


@with_provider
async def test_a_provider_that_is_another_or_silent_opens_nothing(
    house: WebHouse, provider: LyingProvider
) -> None:
    for document in (
        {"issuer": "http://127.0.0.1:1"},
        {"token_endpoint": "ftp://x"},
        {"jwks_uri": None},
    ):
        provider.document = document
        assert (await browser(house).get("/sign-in/oidc")).status_code == 503
    provider.document, provider.down = {}, True
    assert (await browser(house).get("/sign-in/oidc")).status_code == 503
    provider.down = False
    guest = browser(house)
    asked = await begun(guest, provider)
    provider.down = True  # it was known; now it does not give the token
    assert (await answered(guest, asked["state"])).status_code in {400, 503}
    assert COOKIE not in guest.cookies


@with_provider
async def test_new_keys_of_the_provider_are_found(house: WebHouse, provider: LyingProvider) -> None:
    guest = browser(house)
    await begun(guest, provider)
    newer = RSAKey.generate_key(2048, {"kid": "2"}, private=True)
    provider.keys, provider.make = [newer], lambda claims: signed(claims, newer, kid="2")
    asked = await begun(guest, provider)
    assert (await answered(guest, asked["state"])).status_code == 400  # asked a moment ago
    house.clock.forward(60)
    provider.now += 60
    asked = await begun(guest, provider)
    assert (await answered(guest, asked["state"])).status_code == 200


@with_provider
async def test_an_identity_opens_its_own_account_alone(
    house: WebHouse, provider: LyingProvider
) -> None:
    provider.claims = {"sub": "somebody-else"}
    guest = browser(house)
    answer = await answered(guest, (await begun(guest, provider))["state"])
    assert answer.status_code == 403
    assert "somebody-else" in answer.text
    provider.claims = {}
    identity = identity_of(house.node, provider.issuer, SUBJECT)
    await do(house, UnlinkIdentity, "anna", identity=identity)
    assert (await answered(guest, (await begun(guest, provider))["state"])).status_code == 403
    await link(house, provider)
    await do(house, CloseAccount, "anna")
    assert (await answered(guest, (await begun(guest, provider))["state"])).status_code == 403


@with_provider
async def test_a_locked_session_is_opened_by_its_owner_anew(
    house: WebHouse, provider: LyingProvider
) -> None:
    guest = browser(house)
    await answered(guest, (await begun(guest, provider))["state"])
    first = guest.session
    house.sessions.lock(first)
    assert "Lås upp med Staden" in (await guest.get("/sign-in/unlock")).text
    asked = await begun(guest, provider, "&unlock=1")
    assert (asked["prompt"], asked["max_age"]) == ("login", "0")
    assert (await answered(guest, asked["state"])).status_code == 400  # it does not say when
    provider.claims = {"auth_time": provider.now - 3_600}
    asked = await begun(guest, provider, "&unlock=1")
    assert (await answered(guest, asked["state"])).status_code == 400
    provider.claims = {"auth_time": provider.now}
    asked = await begun(guest, provider, "&unlock=1")
    assert (await answered(guest, asked["state"])).status_code == 200
    assert guest.session != first
    assert (await guest.get("/api/v1/me")).status_code == 200


@with_provider
async def test_nobody_opens_somebody_elses_locked_session(
    house: WebHouse, provider: LyingProvider
) -> None:
    await person(house, "bo")
    guest = browser(house)
    await guest.sign_in("bo")
    house.sessions.lock(guest.session)
    provider.claims = {"auth_time": provider.now}
    asked = await begun(guest, provider, "&unlock=1")
    answer = await answered(guest, asked["state"])
    assert answer.status_code == 403
    assert "Någon annans" in answer.text
    assert (await guest.get("/api/v1/me")).status_code == 401


@with_provider
async def test_signing_out_there_names_nobody(house: WebHouse, provider: LyingProvider) -> None:
    answer = await browser(house).get("/sign-in/oidc/out")
    assert answer.headers["location"].startswith(f"{provider.issuer}/out?client_id=us&")
    assert "anna" not in answer.headers["location"]
