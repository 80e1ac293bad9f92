"""The read log over HTTP: for those who watch over it, and to look into it is a look."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from given import agent, officer
from web_house import NOON, WebHouse, in_house

from core.access import Asker, Grant, Role
from core.looks import PersonLookedAt

PATH = "/api/v1/looks"
AUDITOR = Asker("vera", (Grant(Role.AUDITOR),))
CALLER = "0700000007"

pytestmark = pytest.mark.requirement("R52")


async def registered(house: WebHouse, authority: str = "TK", **body: Any) -> str:
    """The stream of a new case of the caller."""
    answer = await house.as_(agent()).post(
        "/api/v1/cases", json={"authority": authority, "caller": CALLER, **body},
        headers={"Idempotency-Key": f"{authority} {body}"},
    )  # fmt: skip
    assert answer.status_code == 200, answer.text
    return f"case/{authority}/{answer.json()['case']}"


async def looked(house: WebHouse, stream: str, asker: Asker) -> None:
    answer = await house.as_(asker).get(f"/api/v1/{stream.replace('case/', 'cases/', 1)}")
    assert answer.status_code == 200, answer.text


async def asked(house: WebHouse, path: str = "", **params: str) -> dict[str, Any]:
    await house.caught_up()
    answer = await house.as_(AUDITOR).get(f"{PATH}{path}", params=params)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def chain(house: WebHouse) -> list[PersonLookedAt]:
    return [r.event for r in house.node.load("look/house") if isinstance(r.event, PersonLookedAt)]


@in_house()
async def test_who_looked_at_a_case_is_found_by_its_number_by_its_place_and_by_who(
    house: WebHouse,
) -> None:
    one, two = await registered(house), await registered(house, title="another")
    await looked(house, one, officer(name="olle"))
    house.clock.forward(60)
    await looked(house, two, officer(name="oda"))
    case = (await house.as_(officer()).get(f"/api/v1/{one.replace('case', 'cases', 1)}")).json()
    house.clock.forward(60)
    wanted = {"who": "olle", "deed": "read_case", "purpose": "casework", "case": one}
    for params in ({"case": case["number"]}, {"case": one.removeprefix("case/")}):
        looks = (await asked(house, **params))["looks"]
        assert [{k: v for k, v in look.items() if k != "at"} for look in looks][-1] == wanted
        assert {look["case"] for look in looks} == {one}
    assert {"oda"} == {look["who"] for look in (await asked(house, who="oda"))["looks"]}
    begin = (NOON + timedelta(seconds=30)).isoformat()
    end = (NOON + timedelta(seconds=90)).isoformat()
    assert [
        look["who"]
        for look in (await asked(house, **{"from": begin, "to": end}))["looks"]
        if look["case"] == two
    ] == ["oda"]


@in_house()
async def test_who_looked_at_a_person_is_found_however_the_number_is_written(
    house: WebHouse,
) -> None:
    stream = await registered(house)
    await looked(house, stream, officer(name="olle"))
    await house.caught_up()
    for number in (CALLER, "070-000 00 07", "+46700000007", "0046 70 000 00 07"):
        answer = await house.as_(AUDITOR).post(f"{PATH}/search", json={"number": number})
        assert answer.status_code == 200, answer.text
        assert "olle" in {look["who"] for look in answer.json()["looks"]}
        assert "person" not in answer.text
    answer = await house.as_(AUDITOR).post(f"{PATH}/search", json={"number": "0700000008"})
    assert answer.json()["looks"] == []


@in_house()
async def test_looking_into_the_read_log_is_a_look(house: WebHouse) -> None:
    stream = await registered(house)
    await asked(house, case=stream.removeprefix("case/"))
    await house.as_(AUDITOR).post(f"{PATH}/search", json={"number": CALLER})
    one, two = chain(house)
    assert (one.who, one.deed, one.purpose, one.case) == ("vera", "read_looks", "oversight", stream)
    assert two.person == house.node.caller_ref(CALLER)


@in_house()
async def test_pages_hold_every_look_once(house: WebHouse) -> None:
    stream = await registered(house)
    for _ in range(7):
        await looked(house, stream, officer())
    first = await asked(house, who="olle", limit="3")
    seen, found = [*first["looks"]], first
    while found["next"]:
        found = await asked(house, who="olle", limit="3", after=found["next"])
        seen += found["looks"]
    assert len(seen) == 7


@pytest.mark.parametrize("asker", [agent(), officer(), Asker("rut", (Grant(Role.REGISTRAR, "TK"),)),
                                   Asker("adam", (Grant(Role.ADMINISTRATOR),))])  # fmt: skip
def test_nobody_else_looks_into_the_read_log(tmp_path: Any, asker: Asker) -> None:
    @in_house()
    async def run(house: WebHouse) -> None:
        assert (await house.as_(asker).get(PATH)).status_code == 403
        answer = await house.as_(asker).post(f"{PATH}/search", json={"number": CALLER})
        assert answer.status_code == 403
        assert chain(house) == []

    run(tmp_path)


@in_house()
async def test_what_cannot_be_understood_is_said_and_never_repeated(house: WebHouse) -> None:
    client = house.as_(AUDITOR)
    for params in ({"number": CALLER}, {"limit": "0"}, {"after": "x"}, {"from": "2026-11-22"}):
        answer = await client.get(PATH, params=params)
        assert answer.status_code == 422, params
        assert CALLER not in answer.text
    for body in ({"number": "Greta Gömd"}, {"number": "12"}, {"person": CALLER}):
        answer = await client.post(f"{PATH}/search", json=body)
        assert answer.status_code == 422, body
        assert "Greta" not in answer.text
