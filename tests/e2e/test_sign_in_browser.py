"""Signing in in a real Chromium: keys alone, small screens, another site's tricks."""

from __future__ import annotations

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

import pytest
from board_pages import Server, axe, chromium_browser, told, watched
from cli_process import kc
from sign_in_world import PASSWORD

from webdesk.sessions import COOKIE

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from board_pages import Watched
    from playwright.sync_api import Browser

pytestmark = [pytest.mark.browser, pytest.mark.slow]
NARROW = {"viewport": {"width": 320, "height": 640}}


@pytest.fixture(scope="module")
def browser(chromium: str) -> Iterator[Browser]:
    with chromium_browser(chromium) as found:
        yield found


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("sign-in")
    made = ("user", "create", "demo.agent", "--role", "administrator", "--name", "Demo Agent 1")
    kc(folder, *made, "--data", folder / "data", stdin=PASSWORD + "\n")
    found = Server(folder, more={"KC_PUBLIC_BOARD": "false"})
    found.start()
    try:
        yield found
    finally:
        found.stop()


def signed_in(seen: Watched, server: Server) -> None:
    seen.page.locator("#account").fill("demo.agent")
    seen.page.locator("#password").fill(PASSWORD)
    seen.page.locator("main button").first.click()
    seen.page.wait_for_url(f"{server.address}/**")


def cookies(seen: Watched) -> dict[str, str]:
    return {str(c["name"]): str(c["value"]) for c in seen.context.cookies()}


@pytest.mark.requirement("R49")
def test_one_signs_in_and_out_with_keys_alone(browser: Browser, server: Server) -> None:
    with watched(browser, server) as seen:
        page = seen.page
        assert page.url == f"{server.address}/sign-in?next=/"
        for _tab in range(20):
            page.keyboard.press("Tab")
            if page.evaluate("document.activeElement.id") == "account":
                break
        page.keyboard.type("demo.agent")
        page.keyboard.press("Tab")
        page.keyboard.type(PASSWORD)
        page.keyboard.press("Enter")
        page.wait_for_url(f"{server.address}/")
        assert "Demo Agent 1" in seen.text(".who")
        assert "1" not in page.evaluate("document.cookie")  # no script reads it
        for _tab in range(20):
            page.keyboard.press("Tab")
            if page.evaluate("document.activeElement.textContent") == "Logga ut":
                break
        page.keyboard.press("Enter")
        page.wait_for_url(f"{server.address}/sign-in?out=1&lang=sv")
        assert "utloggad" in seen.text("[role=status]")
        assert COOKIE not in cookies(seen)
        page.go_back()
        page.wait_for_url(f"{server.address}/sign-in**")
        assert "Demo Agent 1" not in seen.text("body")


@pytest.mark.parametrize("name", ["127.0.0.1", "localhost"])
def test_the_cookie_is_kept_on_this_machine_by_both_its_names(
    name: str, browser: Browser, server: Server
) -> None:
    context = browser.new_context()
    page = context.new_page()
    page.goto(f"http://{name}:{server.port}/sign-in")
    page.locator("#account").fill("demo.agent")
    page.locator("#password").fill(PASSWORD)
    page.locator("main button").first.click()
    page.wait_for_url(f"http://{name}:{server.port}/")
    (cookie,) = context.cookies()
    assert cookie["name"] == COOKIE
    assert (cookie["secure"], cookie["httpOnly"], cookie["sameSite"]) == (True, True, "Strict")
    assert (cookie["path"], cookie["expires"]) == ("/", -1)
    context.close()


def test_a_fault_is_told_first_and_leads_to_its_field(browser: Browser, server: Server) -> None:
    with watched(browser, server, path="/sign-in") as seen:
        page = seen.page
        page.locator("main button").first.click()
        assert page.title().startswith("Fel:")
        assert page.evaluate("document.activeElement.id") == "faults"
        assert told(axe(page)) == "[]"
        page.locator(".faults a").first.click()
        assert page.evaluate("document.activeElement.id") == "account"
        page.locator("#account").fill("demo.agent")
        page.locator("#password").fill("not-that-one-42")
        page.locator("main button").first.click()
        assert "fel. Kontrollera" in seen.text(".faults")
        assert page.locator("#account").input_value() == "demo.agent"
        assert page.locator("#password").input_value() == ""


@pytest.mark.parametrize("language", ["sv", "en"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_pages_pass_axe_and_fit_a_narrow_screen(
    language: str, scheme: str, browser: Browser, server: Server
) -> None:
    options = {**NARROW, "color_scheme": scheme}
    with watched(browser, server, path=f"/sign-in?lang={language}", **options) as seen:
        page = seen.page
        paths = [f"/account?lang={language}", f"/?lang={language}", f"/api-docs?lang={language}"]
        assert told(axe(page)) == "[]"
        assert page.evaluate("document.documentElement.scrollWidth") <= 320
        signed_in(seen, server)
        for path in paths:
            page.goto(server.address + path)
            assert told(axe(page)) == "[]", path
            if not path.startswith("/api-docs"):
                assert page.evaluate("document.documentElement.scrollWidth") <= 320, path
        page.goto(f"{server.address}/account?lang={language}")
        page.locator(".who form[action='/lock'] button").click()
        page.wait_for_url("**/sign-in/unlock**")
        assert told(axe(page)) == "[]"
        assert page.evaluate("document.documentElement.scrollWidth") <= 320
        assert "Demo Agent 1" in seen.text("main")
        page.locator("#password").fill(PASSWORD)
        page.locator("main button").click()
        page.wait_for_url(f"{server.address}/**")
        assert seen.complaints == []
        assert seen.foreign == []


class _Evil(BaseHTTPRequestHandler):
    """Another site: its page posts to ours, links to it, and frames it."""

    target = ""

    def do_GET(self) -> None:
        body = f"""<!doctype html><title>x</title>
<form id=out method=post action="{self.target}/sign-out"><input name=token value=x></form>
<form id=in method=post action="{self.target}/sign-in">
<input name=account value=demo.agent><input name=password value="{PASSWORD}"></form>
<form id=api method=post enctype="text/plain" action="{self.target}/api/v1/cases">
<input name='{{"authority":"TK","x":"' value='"}}'></form>
<a id=link href="{self.target}/account">link</a>
<iframe src="{self.target}/sign-in"></iframe>""".encode()
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_args: object) -> None:
        pass


@pytest.fixture
def evil(server: Server) -> Iterator[str]:
    handler = type("Evil", (_Evil,), {"target": server.address})
    other = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=other.serve_forever, args=(0.05,), daemon=True).start()
    yield f"http://localhost:{other.server_address[1]}/"  # another site than 127.0.0.1
    other.shutdown()
    other.server_close()


def test_another_site_can_do_nothing_in_ones_name(
    browser: Browser, server: Server, evil: str
) -> None:
    with watched(browser, server, path="/sign-in") as seen:
        page = seen.page
        signed_in(seen, server)
        before = cookies(seen)
        for form in ("out", "in", "api"):
            page.goto(evil)
            with page.expect_navigation() as went:
                page.evaluate(f"document.getElementById('{form}').submit()")
            assert went.value is not None
            assert went.value.status == 403, form
            assert cookies(seen) == before, form
        page.goto(evil)
        frame = page.frames[-1]
        assert "Logga in" not in (frame.content() if frame is not page.main_frame else "")
        fetched = page.evaluate(
            f"fetch('{server.address}/api/v1/me', {{credentials: 'include'}})"
            ".then(r => r.text(), e => 'refused')"
        )
        assert fetched == "refused"
        page.locator("#link").click()  # a link is only a link: one is signed in at its end
        page.wait_for_url(f"{server.address}/account")
        assert "demo.agent" in seen.text("main")


def test_the_demo_signs_in_as_any_role_with_one_click(browser: Browser, tmp_path: Path) -> None:
    from cli_process import Running

    with Running(tmp_path, "demo", "--data", tmp_path / "data", "--port", 0, KC_LANG="sv") as demo:
        address = demo.address().rstrip("/")
        context = browser.new_context(locale="sv-SE")
        page = context.new_page()
        page.goto(address + "/")
        assert page.locator("#groups").is_visible()  # the board is open at once
        page.get_by_role("link", name="Logga in").click()
        names = page.locator(".people button").all_text_contents()
        roles = page.locator(".people dt").all_text_contents()
        assert len(roles) >= 11
        for name in names:
            page.goto(address + "/sign-in")
            page.get_by_role("button", name=name, exact=True).click()
            page.wait_for_url(address + "/")
            assert name in (page.locator(".who").text_content() or "")
            me = page.request.get(address + "/api/v1/me").json()
            assert me["method"] == "demo"
            page.get_by_role("button", name="Logga ut").click()
        context.close()
