"""Commands over HTTP: decided by the rules, answered with their place in the log, repeatable."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
from given import city, staff
from web_house import AUTH, EXCHANGE, WebHouse, fact, in_house

if TYPE_CHECKING:
    import httpx

    from core.access import Asker

UID = "1700000000.1"
CASE = {"authority": "TK", "agent": "anna", "title": "Trasig lampa", "caller": "0700000001"}


CASE_OF_ANNA = {name: value for name, value in CASE.items() if name != "agent"}


async def send(
    house: WebHouse, path: str, key: str, body: dict[str, Any], by: Asker | None = None
) -> httpx.Response:
    headers = {"Idempotency-Key": key}
    if by is None:  # a program that speaks for agents
        return await house.client.post(f"/api/v1{path}", json=body, headers={**AUTH, **headers})
    async with house.as_(by) as client:
        return await client.post(f"/api/v1{path}", json=body, headers=headers)


@pytest.mark.requirement("R9")
@in_house()
async def test_a_case_is_registered_categorised_and_closed(house: WebHouse) -> None:
    registered = (await send(house, "/cases", "k1", CASE_OF_ANNA, staff())).json()
    assert registered["status"] == "accepted"
    assert registered["shard"] == "cases.TK/0"
    assert registered["events"] == ["case.registered"]
    case = f"/cases/TK/{registered['case']}"
    early = await send(house, f"{case}/close", "k2", {"outcome": "solved"}, staff())
    assert early.status_code == 409
    assert early.json()["type"] == "urn:kontaktcenter:problem:case-not-categorised"
    types = [c for c, row in city().rows("case_type").items() if row["authority"] == "TK"]
    body = {"case_type": types[0]}
    done = (await send(house, f"{case}/categorise", "k3", body, staff())).json()
    assert done["events"] == ["case.categorised"]
    closed = (await send(house, f"{case}/close", "k4", {"outcome": "solved"}, staff())).json()
    assert closed["events"] == ["case.closed"]
    assert closed["position"] > done["position"] > registered["position"]


@in_house()
async def test_a_command_sent_twice_is_done_once_and_answered_alike(house: WebHouse) -> None:
    first = (await send(house, "/cases", "k1", CASE)).json()
    await asyncio.sleep(0.1)
    again = (await send(house, "/cases", "k1", CASE)).json()
    assert again == first
    assert len(house.node.load(f"case/TK/{first['case']}")) == 1


@in_house()
async def test_a_key_used_for_something_else_is_a_conflict(house: WebHouse) -> None:
    await send(house, "/cases", "k1", CASE)
    other = await send(house, "/cases", "k1", {**CASE, "agent": "bo"})
    assert other.status_code == 409
    assert other.json()["type"] == "urn:kontaktcenter:problem:idempotency-key-used"


@in_house()
async def test_ten_at_once_with_one_key_register_one_case(house: WebHouse) -> None:
    answers = await asyncio.gather(*(send(house, "/cases", "k1", CASE) for _ in range(10)))
    assert {a.status_code for a in answers} == {200}
    cases = {a.json()["case"] for a in answers}
    assert len(cases) == 1
    assert len(house.node.load(f"case/TK/{cases.pop()}")) == 1


@pytest.mark.requirement("R18")
@in_house()
async def test_a_call_is_wrapped_up_by_whoever_had_it(house: WebHouse) -> None:
    await house.results(
        fact("queued"), fact("answered", member="anna"),
        fact("ended", member="anna", data={"by": "caller"}),
    )  # fmt: skip
    path = f"/calls/{EXCHANGE}/{UID}/wrap-up"
    stranger = await send(house, path, "k1", {"agent": "bo", "outcome": "guided"})
    assert stranger.status_code == 409
    done = await send(house, path, "k2", {"agent": "anna", "outcome": "guided"})
    assert done.json()["events"] == ["call.wrapped_up"]
    unknown = await send(
        house, f"/calls/{EXCHANGE}/9.9/wrap-up", "k3", {"agent": "anna", "outcome": "guided"}
    )
    assert unknown.status_code == 404
    wrong = await send(house, path, "k4", {"agent": "anna", "outcome": "danced"})
    assert wrong.status_code == 422
    assert wrong.json()["field"] == "outcome"


@pytest.mark.requirement("R4")
@in_house()
async def test_a_shift_goes_from_sign_on_to_sign_off(house: WebHouse) -> None:
    day = "/shifts/desk/anna/2026-11-22"
    for verb, body, events in (
        ("sign-on", {"groups": ["tnh_avfall"]}, ["shift.signed_on"]),
        ("available", {}, ["shift.available"]),
        ("available", {}, []),
        ("sign-off", {}, ["shift.signed_off"]),
    ):
        answer = await send(house, f"{day}/{verb}", f"{verb}{len(events)}", body)
        assert answer.status_code == 200, answer.text
        assert answer.json()["events"] == events
        assert answer.json()["status"] == ("accepted" if events else "nothing_to_do")
    assert (await send(house, f"{day}/dance", "k9", {})).status_code == 422
    assert (await send(house, f"{day}/sign-on", "k8", {"reason": "lunch"})).status_code == 422
    assert (await send(house, "/shifts/desk/anna/today/sign-off", "k7", {})).status_code == 422


@pytest.mark.requirement("R11")
@in_house()
async def test_of_an_excluded_area_no_case_is_kept(house: WebHouse) -> None:
    answer = await send(house, "/cases", "k1", {**CASE, "authority": "SOC"})
    assert answer.status_code == 409
    assert answer.json()["type"] == "urn:kontaktcenter:problem:authority-excluded"
    assert "cases.SOC/0" not in house.node.positions()


@in_house()
async def test_bad_commands_are_refused_in_one_shape(house: WebHouse) -> None:
    for path, key, body, status in (
        ("/cases", "", CASE_OF_ANNA, 422),
        ("/cases", "k" * 201, CASE_OF_ANNA, 422),
        ("/cases", "k1", {}, 422),
        ("/cases", "k1", {**CASE_OF_ANNA, "authority": "XX"}, 404),
        ("/cases", "k1", {**CASE_OF_ANNA, "extra": 1}, 422),
        ("/cases", "k1", {**CASE_OF_ANNA, "channel": "telepathy"}, 422),
        ("/cases", "k1", {**CASE_OF_ANNA, "title": "x" * 300}, 422),
        ("/cases/TK/nosuch/close", "k1", {"outcome": "solved"}, 404),
        ("/cases/TK/nosuch/close", "k2", {"outcome": ""}, 422),
        ("/cases/TK/nosuch/close", "k2", {"agent": "bo", "outcome": "solved"}, 403),
        ("/cases/TK/nosuch/dance", "k2", {}, 404),
    ):
        answer = await send(house, path, key, body, staff())
        assert answer.status_code == status, (path, body, answer.text)
        assert answer.headers["content-type"] == "application/problem+json"
        assert {"type", "title", "status", "detail"} <= set(answer.json())
    bare = await house.nobody().post("/api/v1/cases", json=CASE, headers={"Idempotency-Key": "k1"})
    assert bare.status_code == 401
