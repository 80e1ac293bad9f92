"""Sessions over HTTP: how they lock, end and cannot be taken over, and no request is forged."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from given import staff
from sign_in_world import PASSWORD, browser, do, person
from web_house import EXCHANGE, WebHouse, fact, in_house, served

from core.account_rules import (
    CloseAccount,
    GiveGrant,
    SetPassword,
    WithdrawGrant,
)
from core.personal import Personal
from webdesk.sessions import COOKIE, SessionTimes, token_of

if TYPE_CHECKING:
    import httpx

SHORT = SessionTimes(idle_s=600, life_s=3_600)


# --- sessions -------------------------------------------------------------------------------------
@in_house()
async def test_a_session_gets_an_id_of_its_own_whatever_cookie_was_there(house: WebHouse) -> None:
    await person(house)
    guest = browser(house)
    planted = "A" * 43
    guest.cookies[COOKIE] = planted
    await guest.sign_in()
    assert guest.session != planted
    first = guest.session
    assert (await guest.sign_in()).status_code == 303
    assert guest.session != first
    old = browser(house)
    old.cookies[COOKIE] = first
    assert (await old.get("/api/v1/me")).status_code == 401


@in_house(times=SHORT)
async def test_an_idle_session_locks_and_the_password_opens_it_under_another_id(
    house: WebHouse,
) -> None:
    await person(house)
    guest = browser(house)
    await guest.sign_in()
    house.clock.forward(599)
    assert (await guest.get("/")).status_code == 200  # somebody did something
    house.clock.forward(599)
    assert (await guest.get("/api/v1/queues")).status_code == 200  # a screen asks by itself
    house.clock.forward(2)
    locked = await guest.get("/api/v1/queues")
    assert locked.status_code == 401
    assert locked.json()["type"].endswith("session-locked")
    page = await guest.get("/")
    assert page.headers["location"].startswith("/sign-in/unlock?next=/")
    form = await guest.get("/sign-in/unlock")
    assert "Demo anna" in form.text
    first = guest.session
    body = {"token": token_of(first), "password": "wrong-wrong-42", "next": "/account"}
    assert (await guest.post("/sign-in/unlock", body)).status_code == 401
    opened = await guest.post("/sign-in/unlock", {**body, "password": PASSWORD})
    assert (opened.status_code, opened.headers["location"]) == (303, "/account")
    assert guest.session != first
    assert (await guest.get("/api/v1/me")).status_code == 200


@in_house(times=SHORT)
async def test_a_session_ends_for_good_however_busy(house: WebHouse) -> None:
    await person(house)
    guest = browser(house)
    await guest.sign_in()
    for _n in range(7):
        house.clock.forward(500)
        assert (await guest.get("/")).status_code == 200
    house.clock.forward(100)
    assert (await guest.get("/")).headers["location"].startswith("/sign-in?")


@in_house()
async def test_a_person_locks_and_signs_out(house: WebHouse) -> None:
    await person(house)
    guest = browser(house)
    await guest.sign_in()
    token = (await guest.get("/api/v1/me")).json()["token"]
    assert (await guest.post("/lock", {"token": token})).status_code == 303
    assert (await guest.get("/api/v1/me")).status_code == 401
    cookie = guest.session
    assert (await guest.post("/sign-out", {"token": token})).status_code == 303
    assert COOKIE not in guest.cookies
    guest.cookies[COOKIE] = cookie
    assert (await guest.get("/sign-in/unlock")).headers["location"].startswith("/sign-in?")


@in_house()
async def test_rights_hold_and_end_at_once_in_open_sessions(house: WebHouse) -> None:
    await person(house)
    guest = browser(house)
    await guest.sign_in()
    assert (await guest.get("/api/v1/statistics")).status_code == 200
    await do(house, WithdrawGrant, "anna", role="coordinator")
    assert (await guest.get("/api/v1/statistics")).status_code == 403
    await do(house, GiveGrant, "anna", role="auditor")
    assert (await guest.get("/api/v1/statistics")).status_code == 200
    await do(house, CloseAccount, "anna")
    assert (await guest.get("/api/v1/statistics")).status_code == 401
    assert (await browser(house).sign_in()).status_code == 401


@in_house()
async def test_a_right_that_is_withdrawn_ends_an_open_stream(house: WebHouse) -> None:
    await person(house)
    guest = browser(house)
    await guest.sign_in()
    async with served(house) as client:
        del client.headers["Authorization"]
        client.headers["Cookie"] = f"{COOKIE}={guest.session}"
        await watch_until_the_right_ends(house, client)


async def watch_until_the_right_ends(house: WebHouse, client: httpx.AsyncClient) -> None:
    async with client.stream("GET", "/api/v1/stream") as answer:
        chunks = answer.aiter_text()
        assert "data:" in await anext(chunks) + await anext(chunks)
        await do(house, WithdrawGrant, "anna", role="coordinator")
        await house.results(fact("queued"))
        await house.caught_up()
        async with asyncio.timeout(20):
            rest = [chunk async for chunk in chunks]
    assert not any("1700000000" in chunk for chunk in rest)


@in_house()
async def test_a_new_password_ends_all_other_sessions(house: WebHouse) -> None:
    await person(house)
    one, two = browser(house), browser(house)
    await one.sign_in()
    await two.sign_in()
    house.clock.forward(1)
    form = {"token": token_of(one.session), "old": PASSWORD, "again": "en helt annan fras 7"}
    short = await one.post("/account/password", {**form, "new": "kort"})
    assert short.status_code == 422
    assert 'href="#new"' in short.text
    wrong = await one.post(
        "/account/password", {**form, "old": "nej-nej-nej-42", "new": form["again"]}
    )
    assert 'href="#old"' in wrong.text
    done = await one.post("/account/password", {**form, "new": form["again"]})
    assert done.headers["location"].startswith("/account?changed=1")
    assert (await one.get("/account?changed=1")).status_code == 200
    assert (await two.get("/api/v1/me")).status_code == 401
    assert (await browser(house).sign_in()).status_code == 401
    assert (await browser(house).sign_in(password=form["again"])).status_code == 303


@in_house()
async def test_a_password_set_by_another_ends_the_sessions(house: WebHouse) -> None:
    await person(house)
    guest = browser(house)
    await guest.sign_in()
    house.clock.forward(1)
    await do(house, SetPassword, "anna", hash=Personal("x", "account/anna"))
    assert (await guest.get("/api/v1/me")).status_code == 401


# --- forged requests ------------------------------------------------------------------------------
@in_house()
async def test_a_cookie_alone_changes_nothing(house: WebHouse) -> None:
    async with house.as_(staff()) as client:
        cookie = client.headers["Cookie"]
        path = f"/api/v1/shifts/{EXCHANGE}/anna/2026-11-22/sign-on"
        body = {"groups": ["tnh_avfall"], "levels": ["1"]}
        token = client.headers["x-kontaktcenter-token"]
        for headers, status in (
            ({"Cookie": cookie}, 403),
            ({"Cookie": cookie, "X-Kontaktcenter-Token": "x"}, 403),
            ({"Cookie": cookie, "X-Kontaktcenter-Token": token[:-1]}, 403),
            ({"Cookie": cookie, "X-Kontaktcenter-Token": token, "Origin": "https://x.se"}, 403),
            ({"Cookie": cookie, "X-Kontaktcenter-Token": token, "Origin": "null"}, 403),
            ({"Cookie": cookie, "X-Kontaktcenter-Token": token}, 200),
        ):
            more = {**headers, "Idempotency-Key": "k1"}
            answer = await house.nobody().post(path, json=body, headers=more)
            assert answer.status_code == status, (headers, answer.text)


@in_house()
async def test_forms_are_sent_from_our_own_pages_alone(house: WebHouse) -> None:
    await person(house)
    fields = {"account": "anna", "password": PASSWORD}
    async with house.nobody() as client:
        for headers, status in (
            ({}, 403),
            ({"Origin": "https://evil.example"}, 403),
            ({"Origin": "null"}, 403),
            ({"Sec-Fetch-Site": "cross-site"}, 403),
            ({"Origin": "http://localhost", "Sec-Fetch-Site": "same-site"}, 403),
            ({"Origin": "http://localhost"}, 303),
            ({"Sec-Fetch-Site": "same-origin"}, 303),
        ):
            answer = await client.post("/sign-in", data=fields, headers=headers)
            assert answer.status_code == status, headers
    guest = browser(house)
    await guest.sign_in()
    for path in ("/sign-out", "/lock", "/account/password"):
        assert (await guest.post(path, {"token": "x"})).status_code == 403, path
    assert (await guest.get("/api/v1/me")).status_code == 200


@in_house()
async def test_a_link_from_another_site_is_followed_by_our_own_page(house: WebHouse) -> None:
    guest = browser(house)
    answer = await guest.get("/account", Sec_Fetch_Site="cross-site")
    assert answer.status_code == 200
    assert 'content="0;url=/sign-in?next=/account"' in answer.text
