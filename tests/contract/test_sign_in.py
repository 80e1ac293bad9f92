"""Signing in and out over HTTP: what opens, what does not, and what it tells whom."""

from __future__ import annotations

import asyncio
import re
from typing import Any

import httpx
import pytest
import structlog
from access_routes import served as served_routes
from given import officer
from sign_in_world import PASSWORD, browser, do, person
from web_house import WebHouse, fact, in_house

from core.access import Asker, Grant, Role
from core.account_rules import (
    CloseAccount,
    IssueToken,
    OpenAccount,
    WithdrawToken,
)
from core.accounts import BreakGlassUsed
from webdesk.attempts import BOTH_MAX, WINDOW_S
from webdesk.passwords import Passwords
from webdesk.services import DemoPerson
from webdesk.sessions import token_of

WRONG = "Användarnamnet eller lösenordet är fel"


# --- default deny ---------------------------------------------------------------------------------
OPEN = {
    "/livez", "/readyz", "/version", "/favicon.ico", "/sign-in", "/sign-in/unlock", "/sign-in/demo",
    "/sign-out", "/lock", "/static",
}  # fmt: skip


@pytest.mark.requirement("R52")
@in_house()
async def test_every_route_is_closed_to_whoever_has_not_signed_in(house: WebHouse) -> None:
    routes = sorted(set(served_routes(house.app.routes)))
    assert ("GET", "/api/v1/me") in routes
    assert len(routes) > 20
    async with house.nobody(**{"Sec-Fetch-Site": "same-origin"}) as client:
        for method, path in routes:
            if path in OPEN or path.startswith("/static"):
                continue
            asked = re.sub(r"\{[^}]*\}", "x", path)
            answer = await client.request(method, asked)
            assert answer.status_code == 401, (method, path, answer.status_code)
            if method != "HEAD":
                assert answer.headers["content-type"] == "application/problem+json"


@in_house()
async def test_what_is_not_there_is_closed_too(house: WebHouse) -> None:
    async with house.nobody() as client:
        for path in ("/nosuch", "/api/v1/nosuch", "//", "/sign-in/../api/v1/queues", "/%73tatic"):
            assert (await client.get(path)).status_code in {401, 404}, path
        assert (await client.get("/static/../../etc/passwd")).status_code in {401, 404}


@in_house()
async def test_a_page_leads_to_the_sign_in_page_and_back(house: WebHouse) -> None:
    await person(house)
    guest = browser(house)
    answer = await guest.get("/?lang=en")
    assert answer.status_code == 303
    assert answer.headers["location"] == "/sign-in?next=/%3Flang%3Den"
    form = await guest.get(answer.headers["location"])
    assert form.status_code == 200
    assert 'value="/?lang=en"' in form.text
    signed_in = await guest.post(
        "/sign-in", {"account": " Anna ", "password": PASSWORD, "next": "/?lang=en"}
    )
    assert (signed_in.status_code, signed_in.headers["location"]) == (303, "/?lang=en")
    board = await guest.get("/?lang=en")
    assert board.status_code == 200
    assert "Demo anna" in board.text


@pytest.mark.parametrize(
    "wanted",
    [
        "//evil.example", "/\\evil.example", "https://evil.example", "/sign-out", "javascript:1",
        "", "/a\nb",
    ],
)  # fmt: skip
def test_nobody_is_led_to_another_site(wanted: str, tmp_path: Any) -> None:
    from webdesk.authentication import local_path

    assert local_path(wanted) == "/"


@in_house(public_board=True)
async def test_an_open_board_opens_the_board_alone(house: WebHouse) -> None:
    async with house.nobody() as client:
        for path in ("/", "/api/v1/queues"):
            assert (await client.get(path)).status_code == 200
        for path in ("/api/v1/statistics", "/metrics", "/api-docs", "/api/v1/me", "/account"):
            assert (await client.get(path)).status_code == 401, path
        assert "Logga in" in (await client.get("/")).text


# --- passwords ------------------------------------------------------------------------------------
@in_house()
async def test_a_password_opens_a_session_with_a_careful_cookie(house: WebHouse) -> None:
    await person(house)
    guest = browser(house)
    answer = await guest.sign_in()
    (cookie,) = answer.headers.get_list("set-cookie")
    name, _semicolon, attributes = cookie.partition("; ")
    assert name.startswith("__Host-kontaktcenter=")
    assert attributes == "Path=/; Secure; HttpOnly; SameSite=Strict"
    assert (await guest.get("/api/v1/me")).json()["account"] == "anna"


@in_house()
async def test_wrong_names_and_wrong_passwords_get_the_very_same_answer(house: WebHouse) -> None:
    await person(house)
    await person(house, "empty", password=None)
    await person(house, "gone")
    await do(house, CloseAccount, "gone")
    await do(house, OpenAccount, "robot", kind="program")
    answers = {}
    for name, password in (
        ("anna", "not-that-one-42"), ("nobody-here", PASSWORD), ("empty", PASSWORD),
        ("empty", ""), ("gone", PASSWORD), ("robot", PASSWORD), ("../anna", PASSWORD),
        ("operator", PASSWORD),
    ):  # fmt: skip
        answer = await browser(house).sign_in(name, password or " x")
        answers[name] = (answer.status_code, re.sub(r'value="[^"]*"', "", answer.text))
        assert "set-cookie" not in answer.headers
        assert WRONG in answer.text
    assert len(set(answers.values())) == 1
    assert next(iter(answers.values()))[0] == 401


class Counting(Passwords):
    """The real thing; it remembers what work was done."""

    def __init__(self) -> None:
        import os

        from sign_in_world import CHEAP

        super().__init__(os.urandom, CHEAP)
        self.checked: list[bool] = []

    def verify(self, stored: str | None, password: str) -> bool:
        self.checked.append(stored is None)
        return super().verify(stored, password)


def test_the_same_work_is_done_for_a_name_that_nobody_has(tmp_path: Any) -> None:
    counting = Counting()

    @in_house(passwords=counting)
    async def work(house: WebHouse) -> None:
        await person(house)
        for name in ("anna", "nobody-here"):
            await browser(house).sign_in(name, "not-that-one-42")

    work(tmp_path)
    assert counting.checked == [False, True]  # once each: nobody's hash is checked as well


@in_house()
async def test_what_is_left_out_is_said_at_its_field(house: WebHouse) -> None:
    answer = await browser(house).sign_in("", "")
    assert answer.status_code == 422
    assert 'href="#account"' in answer.text
    assert 'href="#password"' in answer.text
    assert 'aria-invalid="true"' in answer.text
    assert "<title>Fel:" in answer.text


@in_house()
async def test_guessing_is_stopped_and_told_until_when(house: WebHouse) -> None:
    await person(house)
    for name in ("anna", "nobody-here"):
        for _n in range(BOTH_MAX):
            assert (await browser(house).sign_in(name, "wrong-wrong-42")).status_code == 401
        answer = await browser(house).sign_in(name)
        assert answer.status_code == 429
        assert "Vänta till 13:15:00" in answer.text
    house.clock.forward(WINDOW_S)
    assert (await browser(house).sign_in()).status_code == 303


@in_house()
async def test_many_guesses_at_once_are_no_way_around(house: WebHouse) -> None:
    await person(house)
    many = [browser(house).sign_in("anna", f"wrong-wrong-{n}") for n in range(20)]
    answers = [answer.status_code for answer in await asyncio.gather(*many)]
    assert answers.count(401) == BOTH_MAX
    assert answers.count(429) == 20 - BOTH_MAX


@in_house()
async def test_another_address_may_try_while_one_is_locked_out(house: WebHouse) -> None:
    await person(house)
    for _n in range(BOTH_MAX):
        await browser(house).sign_in("anna", "wrong-wrong-42")
    # Nobody gets a new address by writing one: no proxy is trusted unless it is configured.
    guest = browser(house)
    answer = await guest.post(
        "/sign-in", {"account": "anna", "password": PASSWORD}, X_Forwarded_For="192.0.2.7"
    )
    assert answer.status_code == 429


@in_house(trusted_proxies=("127.0.0.1",))
async def test_a_trusted_proxy_says_who_asks(house: WebHouse) -> None:
    await person(house)
    for _n in range(BOTH_MAX):
        await browser(house).post(
            "/sign-in", {"account": "anna", "password": "wrong-42-wrong"},
            X_Forwarded_For="192.0.2.8, 192.0.2.7",
        )  # fmt: skip
    for said, status in (("192.0.2.9, 192.0.2.7", 429), ("192.0.2.7, 192.0.2.9", 303)):
        answer = await browser(house).post(
            "/sign-in", {"account": "anna", "password": PASSWORD}, X_Forwarded_For=said
        )
        assert answer.status_code == status, said


@in_house(trusted_proxies=("127.0.0.1",))
async def test_a_network_of_ipv6_is_one_address(house: WebHouse) -> None:
    await person(house)
    statuses = []
    for address in (*(f"2001:db8::{n}" for n in range(6)), "2001:db8:0:1::1", "::ffff:192.0.2.1"):
        answer = await browser(house).post(
            "/sign-in", {"account": "anna", "password": "wrong-42-wrong"}, X_Forwarded_For=address
        )
        statuses.append(answer.status_code)
    assert statuses == [401] * 5 + [429, 401, 401]


@in_house()
async def test_the_emergency_account_alarms(house: WebHouse) -> None:
    await person(house, "break-glass", break_glass=True)
    with structlog.testing.capture_logs() as lines:
        assert (await browser(house).sign_in("break-glass")).status_code == 303
    assert [x["log_level"] for x in lines if x["event"] == "sign_in.break_glass"] == ["warning"]
    used = [r.event for r in house.node.load("account/break-glass")]
    assert used[-1] == BreakGlassUsed("break-glass")


@in_house()
async def test_no_log_line_says_who_signed_in_or_with_what(house: WebHouse) -> None:
    await person(house)
    with structlog.testing.capture_logs() as lines:
        guest = browser(house)
        await guest.sign_in("anna", "wrong-wrong-42")
        await guest.sign_in()
        cookie = guest.session
        await guest.post("/sign-out", {"token": token_of(cookie)})
    text = repr(lines)
    assert "sign_in.failed" in text
    for secret in ("anna", "wrong-wrong-42", PASSWORD, cookie):
        assert secret not in text


# --- tokens ---------------------------------------------------------------------------------------
async def issued(house: WebHouse, *scopes: str, rooms: tuple[str, ...] = ()) -> httpx.AsyncClient:
    import hashlib
    from datetime import timedelta

    digest = hashlib.sha256(b"a-programs-token").hexdigest()
    await do(house, OpenAccount, "exchange", kind="program")
    await do(
        house, IssueToken, "exchange", token="1", digest=digest, scopes=scopes, rooms=rooms,
        ends_at=house.clock() + timedelta(days=1),
    )  # fmt: skip
    return house.nobody(Authorization="Bearer a-programs-token")


@pytest.mark.requirement("R49")
@in_house(token=None)
async def test_a_program_does_what_its_token_is_scoped_to(house: WebHouse) -> None:
    async with await issued(house, "record_facts") as client:
        answer = await client.post("/api/v1/calls/facts", json={"facts": [fact("queued")]})
        assert answer.status_code == 200
        assert (await client.get("/api/v1/queues")).status_code == 403
        assert (await client.get("/api/v1/me")).json()["scopes"] == ["record_facts"]
        await do(house, WithdrawToken, "exchange", token="1")
        assert (await client.get("/api/v1/me")).status_code == 401


@in_house(token=None)
async def test_a_token_ends(house: WebHouse) -> None:
    async with await issued(house, "read_queues") as client:
        assert (await client.get("/api/v1/queues")).status_code == 200
        house.clock.forward(86_400)
        answer = await client.get("/api/v1/queues")
        assert answer.status_code == 401
        assert 'error="invalid_token"' in answer.headers["www-authenticate"]


@in_house()
async def test_the_configured_token_records_and_opens_no_case(house: WebHouse) -> None:
    me = (await house.client.get("/api/v1/me")).json()
    assert me["account"] == "api"
    assert me["rooms"] == {}
    assert "read_case" not in me["deeds"]
    assert (await house.client.get("/account")).status_code == 403


# --- who asks -------------------------------------------------------------------------------------
@pytest.mark.requirement("R52")
@in_house()
async def test_me_tells_who_and_what_and_where(house: WebHouse) -> None:
    async with house.as_(officer("TK", "olle", approves=True)) as client:
        me = (await client.get("/api/v1/me")).json()
    assert me["account"] == "olle"
    assert me["grants"][0] == {
        "role": "case_officer", "authority": "TK", "groups": [], "approves": True,
        "protected": False,
    }  # fmt: skip
    assert me["rooms"]["read_case"] == ["TK"]
    assert me["purposes"] == ["casework"]
    assert "manage_accounts" not in me["deeds"]
    assert me["token"]


@pytest.mark.requirement("R54")
@in_house()
async def test_me_shows_no_room_that_a_conflict_closes(house: WebHouse) -> None:
    both = Asker("olle", (Grant(Role.CASE_OFFICER, "TK"), Grant(Role.CASE_OFFICER, "MF")))
    async with house.as_(both) as client:
        assert "read_case" not in (await client.get("/api/v1/me")).json()["rooms"]
        page = await client.get("/account", headers={"Accept": "text/html"})
        assert page.text.count("stängt på grund av jäv") == 2


# --- the demo -------------------------------------------------------------------------------------
PEOPLE = (DemoPerson("demo-agent-1", "Demo Agent 1", "agent_1"),)


@in_house(demo_people=PEOPLE)
async def test_the_demo_signs_in_with_one_click_on_this_machine_alone(house: WebHouse) -> None:
    await person(house, "demo-agent-1", password=None)
    await person(house, "anna")
    guest = browser(house)
    assert "Demo Agent 1" in (await guest.get("/sign-in")).text
    assert (await guest.post("/sign-in/demo", {"account": "demo-agent-1"})).status_code == 303
    assert (await guest.get("/api/v1/me")).json()["account"] == "demo-agent-1"
    for account, headers in (
        ("anna", {}),
        ("demo-agent-1", {"X_Forwarded_For": "192.0.2.7"}),
    ):
        refused = await browser(house).post("/sign-in/demo", {"account": account}, **headers)
        assert refused.status_code == 403
    assert (
        "Demo Agent 1"
        not in (await browser(house).get("/sign-in", X_Forwarded_For="192.0.2.7")).text
    )


@in_house(demo_people=PEOPLE, hosts=("board.example",))
async def test_nobody_from_another_machine_is_in_the_demo(house: WebHouse) -> None:
    await person(house, "demo-agent-1", password=None)
    for peer, name in (("192.0.2.7", "localhost"), ("127.0.0.1", "board.example"), ("", "::1")):
        transport = httpx.ASGITransport(house.app, client=(peer, 1))
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
            headers = {"Host": f"[{name}]" if ":" in name else name}
            page = await client.get("/sign-in", headers=headers)
            assert page.status_code == 200
            assert "Demo Agent 1" not in page.text
            headers["Origin"] = f"http://{headers['Host']}"
            form = {"account": "demo-agent-1"}
            answer = await client.post("/sign-in/demo", data=form, headers=headers)
            assert answer.status_code == 403, (peer, name)


@in_house()
async def test_without_a_demo_nobody_signs_in_with_one_click(house: WebHouse) -> None:
    await person(house, "demo-agent-1")
    answer = await browser(house).post("/sign-in/demo", {"account": "demo-agent-1"})
    assert answer.status_code == 403
