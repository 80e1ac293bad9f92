"""A real Chromium on a real server, and what the tests of the board ask of a page."""

from __future__ import annotations

import json
import socket
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
from cli_process import Running
from playwright.sync_api import BrowserContext, Page, sync_playwright
from project import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser

TOKEN = "a-token-for-the-board"
SETTINGS = {"KC_FACTS_TOKEN": TOKEN, "KC_LANG": "sv", "KC_PUBLIC_BOARD": "true"}
AUTH = {"Authorization": f"Bearer {TOKEN}"}
AXE = ROOT / "tests" / "vendor" / "axe-core-4.14.1" / "axe.min.js"
AXE_TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]
QUIET = (
    "--no-sandbox", "--disable-gpu", "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync", "--no-first-run", "--mute-audio", "--disable-dev-shm-usage",
)  # fmt: skip


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@dataclass
class Server:
    """`kontaktcenter serve` on one data folder and port, which may be stopped and started again."""

    home: Path
    port: int = field(default_factory=free_port)
    running: Running | None = None
    more: dict[str, str] = field(default_factory=dict)

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        self.running = Running(
            self.home, "serve", "--data", self.home / "data", "--port", self.port,
            **{**SETTINGS, **self.more},
        )  # fmt: skip
        self.running.address()

    def stop(self) -> None:
        if self.running is not None:
            with self.running as running:
                running.stop()
            self.running = None

    def fact(self, kind: str, uniqueid: str, queue: str = "avfall", **more: Any) -> None:
        """Tell one fact that happens now."""
        at = datetime.now(UTC).isoformat()
        one = {
            "exchange": "tnh",
            "uniqueid": uniqueid,
            "queue": queue,
            "kind": kind,
            "occurred_at": at,
        }
        answer = httpx.post(
            f"{self.address}/api/v1/calls/facts",
            json={"facts": [one | more]},
            headers={"Authorization": f"Bearer {TOKEN}"},
            timeout=10,
        )
        assert answer.status_code == 200, answer.text
        assert answer.json()["results"][0]["status"] == "accepted", answer.text


@contextmanager
def chromium_browser(path: str) -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=list(QUIET))
        try:
            yield browser
        finally:
            browser.close()


@dataclass
class Watched:
    """A page, and everything that it complained of or asked of others."""

    page: Page
    context: BrowserContext
    complaints: list[str] = field(default_factory=list)
    foreign: list[str] = field(default_factory=list)

    def text(self, selector: str) -> str:
        return (self.page.locator(selector).first.text_content() or "").strip()

    def wait_for(self, script: str, within_s: float = 10) -> None:
        """Wait until the expression is true; asked from outside, since the page forbids `eval`."""
        until = time.monotonic() + within_s
        while not self.page.evaluate(script):
            assert time.monotonic() < until, f"still not: {script}"
            self.page.wait_for_timeout(20)


@contextmanager
def watched(
    browser: Browser, server: Server, *, path: str = "/", **options: Any
) -> Iterator[Watched]:
    given = {"viewport": {"width": 1366, "height": 768}, "locale": "sv-SE", **options}
    context = browser.new_context(**given)
    page = context.new_page()
    seen = Watched(page, context)
    page.on(
        "console",
        lambda m: (
            seen.complaints.append(f"{m.type}: {m.text}")
            if m.type in {"error", "warning"}
            else None
        ),
    )
    page.on("pageerror", lambda e: seen.complaints.append(f"uncaught: {e}"))
    page.on(
        "request",
        lambda r: seen.foreign.append(r.url) if not r.url.startswith(server.address) else None,
    )
    page.add_init_script(
        "document.addEventListener('securitypolicyviolation',"
        " e => console.error('CSP: ' + e.violatedDirective + ' ' + e.blockedURI));"
    )
    page.goto(server.address + path)
    try:
        yield seen
    finally:
        context.close()


def axe(page: Page) -> list[dict[str, Any]]:
    """What axe-core finds wrong; it comes past the page's own policy against foreign scripts."""
    page.evaluate(AXE.read_text(encoding="utf-8"))
    found: dict[str, Any] = page.evaluate(
        "tags => axe.run(document, {runOnly: {type: 'tag', values: tags}})", AXE_TAGS
    )
    return [
        {
            "id": v["id"],
            "nodes": [n["html"][:160] + " :: " + n["failureSummary"] for n in v["nodes"]],
        }
        for v in found["violations"]
    ]


def told(violations: list[dict[str, Any]]) -> str:
    return json.dumps(violations, indent=1, ensure_ascii=False)
