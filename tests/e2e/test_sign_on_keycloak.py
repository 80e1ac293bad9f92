"""Signing in at a real Keycloak, with a real browser, on a real server."""

from __future__ import annotations

import asyncio
import os
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

import keycloak as provider
import pytest
from board_pages import Server, axe, chromium_browser, told, watched
from cli_process import kc

from webdesk.oidc import Provider, SignOnFault
from webdesk.services import SignOnSettings
from webdesk.sessions import COOKIE

if TYPE_CHECKING:
    from collections.abc import Coroutine, Iterator

    from playwright.sync_api import Browser, Page

pytestmark = [pytest.mark.keycloak, pytest.mark.browser, pytest.mark.slow, pytest.mark.timeout(600)]
STRANGER = "inget konto här hör till dig"


@pytest.fixture(scope="module")
def realm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[provider.Keycloak]:
    home, why = provider.home()
    if home is None:
        pytest.skip(f"no Keycloak here ({why}): the tests of OpenID Connect are SKIPPED")
    base = tmp_path_factory.getbasetemp()
    common = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base
    with provider.shared(home, common) as found:
        yield found


@pytest.fixture(scope="module")
def browser(chromium: str) -> Iterator[Browser]:
    with chromium_browser(chromium) as found:
        yield found


@pytest.fixture(scope="module")
def server(realm: provider.Keycloak, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("sign-on")
    secret = folder / "secret"
    secret.touch(mode=0o600)
    secret.write_text(provider.SECRET)
    kc(
        folder, "user", "create", "demo.agent", "--role", "coordinator", "--no-password",
        "--name", "Demo Agent", "--data", folder / "data",
    )  # fmt: skip
    kc(
        folder, "user", "link", "demo.agent", "--issuer", realm.issuer, "--subject",
        provider.AGENT[1], "--data", folder / "data",
    )  # fmt: skip
    found = Server(
        folder,
        more={
            "KC_SIGN_ON_ISSUER": realm.issuer, "KC_SIGN_ON_CLIENT_ID": provider.CLIENT,
            "KC_SIGN_ON_SECRET_FILE": str(secret), "KC_SIGN_ON_NAME": "Staden",
            "KC_PUBLIC_BOARD": "false",
        },
    )  # fmt: skip
    found.start()
    try:
        yield found
    finally:
        found.stop()


def fill_in(page: Page, name: str) -> None:
    page.locator("#username").fill(name)
    page.locator("#password").fill(provider.PASSWORD)
    page.locator("#kc-login").click()


@pytest.mark.requirement("R49")
def test_one_signs_in_at_the_city_and_out_again(browser: Browser, server: Server) -> None:
    with watched(browser, server, path="/account") as seen:
        page = seen.page
        assert page.url.startswith(f"{server.address}/sign-in?next=/account")
        assert told(axe(page)) == "[]"
        page.get_by_role("link", name="Logga in med Staden").click()
        assert "code_challenge_method=S256" in page.url
        fill_in(page, provider.AGENT[0])
        page.wait_for_url(f"{server.address}/account")
        assert "demo.agent" in seen.text("main")
        (cookie,) = [c for c in seen.context.cookies() if c["name"] == COOKIE]
        assert (cookie["secure"], cookie["httpOnly"], cookie["sameSite"]) == (True, True, "Strict")
        me = page.request.get(f"{server.address}/api/v1/me").json()
        assert (me["account"], me["method"]) == ("demo.agent", "sign-on")
        page.get_by_role("button", name="Lås").click()
        page.get_by_role("link", name="Lås upp med Staden").click()
        page.locator("#password").fill(provider.PASSWORD)  # it asks again who it is
        page.locator("#kc-login").click()
        page.wait_for_url(f"{server.address}/")
        (again,) = [c for c in seen.context.cookies() if c["name"] == COOKIE]
        assert again["value"] != cookie["value"]
        page.get_by_role("button", name="Logga ut").click()
        page.get_by_role("link", name="Logga ut från Staden också").click()
        page.locator("#kc-logout").click()  # no token says whom: it asks whether one is sure
        page.wait_for_url(lambda url: url.startswith(f"{server.address}/sign-in?out=1"))
        assert not [c for c in seen.context.cookies() if c["name"] == COOKIE]


def test_whoever_has_no_account_here_is_told_what_to_do(browser: Browser, server: Server) -> None:
    with watched(browser, server, path="/sign-in") as seen:
        seen.page.get_by_role("link", name="Logga in med Staden").click()
        fill_in(seen.page, provider.STRANGER[0])
        seen.page.wait_for_url(f"{server.address}/sign-in/oidc/callback?*")
        assert STRANGER in seen.text("main")
        assert provider.STRANGER[1] in seen.text("main")
        assert told(axe(seen.page)) == "[]"
        assert not [c for c in seen.context.cookies() if c["name"] == COOKIE]


def test_an_answer_is_good_once_and_for_its_own_browser(browser: Browser, server: Server) -> None:
    with watched(browser, server, path="/sign-in") as seen:
        answers: list[str] = []
        seen.page.on(
            "request", lambda r: answers.append(r.url) if "oidc/callback" in r.url else None
        )
        seen.page.get_by_role("link", name="Logga in med Staden").click()
        fill_in(seen.page, provider.AGENT[0])
        seen.page.wait_for_url(f"{server.address}/")
        seen.context.clear_cookies()
        seen.page.goto(answers[0])
        assert "redan använd" in seen.text("main")
        assert not [c for c in seen.context.cookies() if c["name"] == COOKIE]
    with watched(browser, server, path="/sign-in") as seen:
        seen.page.get_by_role("link", name="Logga in med Staden").click()
        asked = parse_qs(urlsplit(seen.page.url).query)
        stolen = f"{server.address}/sign-in/oidc/callback?state={asked['state'][0]}&code=x"
        seen.context.clear_cookies()
        seen.page.goto(stolen)  # the state is right, but begun in another browser
        assert "redan använd" in seen.text("main")


def test_a_stolen_code_is_worth_nothing(browser: Browser, realm: provider.Keycloak) -> None:
    """Keycloak itself refuses it: whoever stole it does not have the verifier of its asking."""
    settings = SignOnSettings(realm.issuer, provider.CLIENT, provider.SECRET, "Staden")
    victim, thief = (Provider(settings, lambda: datetime.now(UTC), os.urandom) for _n in range(2))
    back = "http://127.0.0.1:9/callback"  # nobody listens there: the code is used by no one else

    def run(work: Coroutine[Any, Any, Any]) -> Any:  # Playwright has a loop in this thread
        with ThreadPoolExecutor(1) as pool:
            return pool.submit(asyncio.run, work).result()

    page = browser.new_page()
    sent: list[str] = []
    page.on("request", lambda r: sent.append(r.url) if r.url.startswith(back) else None)
    page.goto(run(victim.begin(back, "/"))[0])
    fill_in(page, provider.AGENT[0])
    page.wait_for_timeout(500)
    page.close()
    code = parse_qs(urlsplit(sent[0]).query)["code"][0]
    url, kept = run(thief.begin(back, "/"))
    state = parse_qs(urlsplit(url).query)["state"][0]
    with pytest.raises(SignOnFault) as refused:
        run(thief.finish(back, {"state": state, "code": code}, kept))
    assert refused.value.kind == "refused"


def test_without_the_city_the_password_still_works(
    browser: Browser, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("alone")
    found = Server(
        folder,
        more={"KC_SIGN_ON_ISSUER": "http://127.0.0.1:9", "KC_SIGN_ON_CLIENT_ID": "x"},
    )
    found.start()
    try:
        with watched(browser, found, path="/sign-in/oidc") as seen:
            assert "svarar inte" in seen.text("main")
            seen.page.get_by_role("link", name="Tillbaka").click()
            assert seen.page.locator("#password").is_visible()
    finally:
        found.stop()
