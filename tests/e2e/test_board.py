"""The board in a real Chromium on a real server: quick, honest when old, and usable by all."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest
from board_pages import AUTH, Server, axe, chromium_browser, told, watched

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser

pytestmark = [pytest.mark.browser, pytest.mark.slow]
LIVE = "document.getElementById('badge').dataset.state === 'live'"
LOST = "document.getElementById('badge').dataset.state === 'lost'"
WAITING = "document.querySelector('[data-k=\"total.waiting\"]').textContent"


@pytest.fixture(scope="module")
def browser(chromium: str) -> Iterator[Browser]:
    with chromium_browser(chromium) as found:
        yield found


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    found = Server(tmp_path_factory.mktemp("board"))
    found.start()
    for n in range(4):
        found.fact("queued", f"10.{n}")
        found.fact("answered", f"10.{n}", member="Agent 1", data={"wait_s": 10 + 5 * n})
        found.fact("ended", f"10.{n}", member="Agent 1", data={"by": "caller", "talk_s": 60})
    found.fact("queued", "11.1", "kris")
    found.fact("queued", "12.1", "bygg")
    found.fact("abandoned", "12.1", "bygg", data={"wait_s": 9})
    try:
        yield found
    finally:
        found.stop()


@pytest.mark.requirement("R2")
def test_a_call_is_on_the_board_within_a_second(browser: Browser, server: Server) -> None:
    with watched(browser, server) as board:
        board.wait_for(LIVE)
        before = int(board.text('[data-k="total.waiting"]'))
        server.fact("queued", "20.1", "trafik")
        began = time.perf_counter()
        board.wait_for(f"{WAITING} === '{before + 1}'", 5)
        assert time.perf_counter() - began < 1.0
        row = board.page.locator('tr[data-group="tnh_trafik"]')
        assert row.locator('[data-k="waiting"]').text_content() == "1"
        server.fact("abandoned", "20.1", "trafik", data={"wait_s": 2})
        board.wait_for(f"{WAITING} === '{before}'", 5)


def test_the_board_goes_grey_with_the_server_and_recovers_without_a_reload(
    browser: Browser, tmp_path_factory: pytest.TempPathFactory
) -> None:
    server = Server(tmp_path_factory.mktemp("outage"))
    server.start()
    try:
        with watched(browser, server) as board:
            board.wait_for(LIVE)
            board.page.evaluate("window.sameDocument = true")
            assert not board.page.locator(".stale-note:visible").count()
            server.stop()
            board.wait_for(LOST, 5)
            assert board.page.locator(".tile .stale-note:visible").count() == 5
            assert board.page.locator(".card .stale-note:visible").count() == 2
            board.wait_for(
                "/^Gamla uppgifter, \\d+ s$/.test("
                "document.querySelector('.stale-note').textContent)"
            )
            assert "Ingen kontakt sedan" in board.text("#badge-text")
            assert "bruten" in board.text("#summary")
            assert told(axe(board.page)) == "[]"
            server.start()
            board.wait_for(LIVE, 20)
            assert not board.page.locator(".stale-note:visible").count()
            server.fact("queued", "30.1")
            board.wait_for(f"{WAITING} === '1'", 5)
            assert board.page.evaluate("window.sameDocument") is True
    finally:
        server.stop()


def test_old_figures_are_grey_although_the_connection_stands(
    browser: Browser, server: Server
) -> None:
    with watched(browser, server) as board:
        board.wait_for(LIVE)
        # Eleven seconds pass at once on the page's clock; a sign from the server may undo it.
        old = "document.getElementById('badge').dataset.state === 'old'"
        for _ in range(5):
            board.page.evaluate(
                "const now = performance.now.bind(performance);"
                "performance.now = () => now() + 11000"
            )
            board.page.wait_for_timeout(1200)
            if board.page.evaluate(old):
                break
        assert board.page.evaluate(old)
        assert board.page.locator(".tile .stale-note:visible").count() == 5
        assert board.text("#badge-text") == "Gamla uppgifter"
        board.wait_for(LIVE, 8)


def test_a_board_whose_stream_is_refused_asks_instead(browser: Browser, server: Server) -> None:
    with watched(browser, server) as board:
        board.page.route("**/api/v1/stream", lambda route: route.fulfill(status=503, body="{}"))
        board.page.reload()
        board.wait_for(LIVE, 10)
        before = int(board.text('[data-k="total.waiting"]'))
        server.fact("queued", "50.1", "parkering")
        board.wait_for(f"{WAITING} === '{before + 1}'", 10)
        server.fact("abandoned", "50.1", "parkering", data={"wait_s": 2})


def test_a_strange_name_of_a_queue_is_only_text(browser: Browser, server: Server) -> None:
    name = "<img src=x onerror=alert(1)> två ord"
    with watched(browser, server) as board:
        board.wait_for(LIVE)
        server.fact("queued", "60.1", name)
        board.wait_for(f"document.getElementById('rows').textContent.includes({name!r})", 5)
        row = board.page.locator(f"tr[data-group={name!r}]")
        assert row.locator(".flag").is_visible()
        tip = row.locator(".figure").get_attribute("aria-describedby")
        assert row.locator(".tip").get_attribute("id") == tip
        board.page.reload()
        board.wait_for(LIVE)
        assert not board.page.locator("#rows img").count()
        assert board.complaints == []
        server.fact("abandoned", "60.1", name, data={"wait_s": 2})


@pytest.mark.parametrize(
    ("width", "height", "scheme"),
    [
        (1366, 768, "light"),
        (1366, 768, "dark"),
        (1920, 1080, "light"),
        (320, 800, "light"),
        (720, 900, "dark"),
    ],
)
def test_every_width_fits_and_axe_finds_nothing(
    browser: Browser, server: Server, width: int, height: int, scheme: str
) -> None:
    size = {"width": width, "height": height}
    with watched(browser, server, viewport=size, color_scheme=scheme) as board:
        board.wait_for(LIVE)
        assert board.page.evaluate("document.documentElement.scrollWidth") <= width
        for element in board.page.locator(".tile, .card, .row, .status").all():
            box = element.bounding_box()
            assert box is None or box["x"] + box["width"] <= width + 0.5
        assert told(axe(board.page)) == "[]"


def test_what_matters_is_above_the_fold_at_1366_by_768(browser: Browser, server: Server) -> None:
    with watched(browser, server) as board:
        board.wait_for(LIVE)
        for selector in ('[data-tile="waiting"]', '[data-tile="longest"]', '[data-tile="level"]',
                         '[data-tile="agents"]', "#rows tr:first-child", "#chart canvas",
                         "#badge"):  # fmt: skip
            box = board.page.locator(selector).bounding_box()
            assert box is not None, selector
            assert box["y"] + box["height"] <= 768, selector


def test_axe_can_fail(browser: Browser, server: Server) -> None:
    bad = (
        "<title>x</title><img src='/favicon.ico'><button></button><input>"
        "<p style='color:#bbb;background:#fff'>faint</p>"
        "<button aria-label=a style='width:9px;height:9px;padding:0;border:0'></button>"
        "<button aria-label=b style='width:9px;height:9px;padding:0;border:0'></button>"
    )
    with watched(browser, server) as board:
        board.page.route("**/bad", lambda r: r.fulfill(content_type="text/html", body=bad))
        board.page.goto(server.address + "/bad")
        found = {violation["id"] for violation in axe(board.page)}
    assert {
        "image-alt",
        "button-name",
        "label",
        "color-contrast",
        "html-has-lang",
        "target-size",
    } <= found


def test_nothing_is_fetched_from_elsewhere_and_nothing_is_complained_of(
    browser: Browser, server: Server
) -> None:
    for path in ("/", "/?lang=en", "/api-docs"):
        with watched(browser, server, path=path, extra_http_headers=AUTH) as board:
            board.page.wait_for_timeout(1500)
            assert board.foreign == []
            assert board.complaints == []


def test_the_documents_page_passes_axe(browser: Browser, server: Server) -> None:
    with watched(browser, server, path="/api-docs", extra_http_headers=AUTH) as page:
        assert told(axe(page.page)) == "[]"


@pytest.mark.requirement("R38")
def test_a_figure_tells_its_formula_on_hover_and_on_focus(browser: Browser, server: Server) -> None:
    with watched(browser, server) as board:
        board.wait_for(LIVE)
        tip = board.page.locator("#tip-level")
        assert not tip.is_visible()
        board.page.locator('[data-tile="level"] .figure').hover()
        assert tip.is_visible()
        assert "/" in (tip.text_content() or "")
        assert "inom 20 s" in (tip.text_content() or "")
        board.page.keyboard.press("Escape")
        assert not tip.is_visible()
        board.page.mouse.move(5, 5)
        board.page.locator('[data-tile="level"] .figure').focus()
        board.page.keyboard.press("Shift+Tab")
        board.page.keyboard.press("Tab")
        assert tip.is_visible()


def test_the_keyboard_reaches_everything_in_order(browser: Browser, server: Server) -> None:
    with watched(browser, server) as board:
        board.wait_for(LIVE)
        reached = []
        for _ in range(60):
            board.page.keyboard.press("Tab")
            if board.page.evaluate("document.activeElement === document.body"):
                break
            name = board.page.evaluate(
                "(e => e.id || e.textContent.trim().slice(0, 30))(document.activeElement)"
            )
            outline = board.page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
            assert outline != "none", name
            reached.append(name)
        assert reached[0] == "Gå till svarsgrupperna"
        assert "pause" in reached
        assert "English" in reached
        assert "Visa diagrammet som tabell" in reached
        board.page.locator(".as-table summary").focus()
        board.page.keyboard.press("Enter")
        assert board.page.locator("#series tr").count() == 12
        assert board.page.locator("#series").is_visible()


def test_a_paused_board_stands_still_until_it_goes_on(browser: Browser, server: Server) -> None:
    with watched(browser, server) as board:
        board.wait_for(LIVE)
        before = board.text('[data-k="total.waiting"]')
        board.page.locator("#pause").press("Enter")
        assert board.text("#badge-text") == "Pausad"
        server.fact("queued", "40.1", "miljo")
        board.page.wait_for_timeout(700)
        assert board.text('[data-k="total.waiting"]') == before
        board.page.locator("#pause").press("Enter")
        board.wait_for(f"{WAITING} === '{int(before) + 1}'", 5)
        server.fact("abandoned", "40.1", "miljo", data={"wait_s": 2})


def test_only_the_summary_and_a_node_that_is_cut_off_are_announced(
    browser: Browser, server: Server
) -> None:
    with watched(browser, server) as board:
        live = board.page.locator("[aria-live], [role=status], [role=alert]")
        ids = [live.nth(n).get_attribute("id") for n in range(live.count())]
        assert sorted(map(str, ids)) == ["island", "summary"]
        assert board.page.locator("#island").is_hidden()
        assert board.page.locator("#summary").get_attribute("aria-live") == "polite"


def test_without_a_script_the_page_has_its_figures(browser: Browser, server: Server) -> None:
    with watched(browser, server, java_script_enabled=False) as board:
        assert int(board.text('[data-k="total.waiting"]')) >= 1
        assert board.page.locator("#rows tr").count() >= 2
        assert board.page.locator("#chart svg polyline").count() == 3
        assert board.page.locator("noscript a").is_visible()


def test_the_page_is_the_same_before_and_after_its_script(browser: Browser, server: Server) -> None:
    names = (
        "total.waiting",
        "total.level",
        "total.level_note",
        "total.level_worked",
        "total.abandonment_note",
    )
    with watched(browser, server, java_script_enabled=False) as still:
        before = [still.text(f'[data-k="{name}"]') for name in names]
        rows = still.page.locator("#rows").inner_text()
    with watched(browser, server) as board:
        board.wait_for(LIVE)
        assert [board.text(f'[data-k="{name}"]') for name in names] == before
        after = board.page.locator("#rows").inner_text()
    assert _without_waits(after) == _without_waits(rows)


def _without_waits(text: str) -> list[str]:
    """Waits tick, so they differ from one moment to the next."""
    return [word for word in text.split() if ":" not in word]


def test_forced_colours_and_reduced_motion_keep_the_words(browser: Browser, server: Server) -> None:
    with watched(browser, server, forced_colors="active", reduced_motion="reduce") as board:
        board.wait_for(LIVE)
        assert board.page.locator(".status").first.is_visible()
        assert board.page.evaluate(
            "getComputedStyle(document.querySelector('.tile')).transitionDuration"
        ) in {"0s", ""}
