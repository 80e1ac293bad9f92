"""All about one person: each authority answers for its room, and every case shown is a look."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from given import agent, city, officer
from web_house import WebHouse, fact, in_house

from core.access import Asker, Grant, Role, conflicts
from webdesk.people_shapes import Everything, json_schema

PATH = "/api/v1/people/everything"
CALLER, OTHER = "0700000007", "0700000008"
TEXT = "Granne Karl på 0700000008 ringer mig på 0700000007."

pytestmark = [pytest.mark.requirement("R52"), pytest.mark.requirement("R53")]


def registrar(authority: str = "TK", **more: Any) -> Asker:
    return Asker("rut", (Grant(Role.REGISTRAR, authority, **more),))


async def did(house: WebHouse, asker: Asker, path: str, **body: Any) -> dict[str, Any]:
    key = {"Idempotency-Key": ascii((path, body))}
    answer = await house.as_(asker).post(f"/api/v1/cases{path}", json=body, headers=key)
    assert answer.status_code == 200, answer.text
    told: dict[str, Any] = answer.json()
    return told


async def registered(house: WebHouse, authority: str = "TK", **body: Any) -> str:
    told = await did(house, agent(), "", authority=authority, **{"caller": CALLER, **body})
    return f"/{authority}/{told['case']}"


async def everything(house: WebHouse, asker: Asker, **body: Any) -> dict[str, Any]:
    await house.caught_up()
    answer = await house.as_(asker).post(PATH, json={"number": CALLER, **body})
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    msgspec.convert(found, Everything)
    return found


def looks(house: WebHouse) -> list[tuple[Any, ...]]:
    found: list[Any] = [r.event for r in house.node.load("look/house")]
    return [(e.who, e.deed, e.purpose, e.case, e.person) for e in found]


@in_house()
async def test_the_persons_cases_calls_and_looks_are_told_and_the_look_is_recorded_first(
    house: WebHouse,
) -> None:
    (result,) = await house.results(fact("queued", data={"caller": CALLER}))
    assert result["status"] == "accepted"
    path = await registered(house, title="Sophämtning", text=TEXT)
    await house.as_(officer()).get(f"/api/v1/cases{path}")
    found = await everything(house, registrar())
    (case,) = found["cases"]
    assert (case["own"], case["authority"], case["status"]) == (True, "TK", "open")
    shown = case["events"][0]["fields"]
    assert shown["title"] == "Sophämtning"
    assert shown["text"] == "Granne Karl på █████ ringer mig på 0700000007."
    assert found["masked"] == {"others_number": 1}
    assert [row["type"] for call in found["calls"] for row in call["events"]] == ["call.queued"]
    assert {look["who"]: look["purpose"] for look in found["looks"]} == {"olle": "casework"}
    stream, ref = f"case{path}", house.node.caller_ref(CALLER)
    assert looks(house)[-2:] == [
        ("rut", "subject_access", "right_to_know", None, ref),
        ("rut", "subject_access", "right_to_know", stream, ref),
    ]
    assert ref not in str(found)


@in_house()
async def test_the_registrar_may_mask_words(house: WebHouse) -> None:
    await registered(house, text=TEXT)
    found = await everything(house, registrar(), mask=["karl"])
    assert found["cases"][0]["events"][0]["fields"]["text"].startswith("Granne █████ på")
    assert found["masked"]["word"] == 1


@in_house()
async def test_a_case_of_somebody_else_is_told_without_its_text(house: WebHouse) -> None:
    path = await registered(house, caller=OTHER, text="mitt eget")
    await did(house, agent(), f"{path}/add-contact", caller=CALLER)
    (case,) = (await everything(house, registrar()))["cases"]
    assert case["own"] is False
    assert case["events"][0]["fields"]["text"] == {"masked": "others_case"}
    assert "mitt eget" not in str(case)


@in_house()
async def test_a_private_note_is_its_writers_alone(house: WebHouse) -> None:
    path = await registered(house)
    await did(house, officer(), f"{path}/note", text="min lapp", private=True)
    found = await everything(house, registrar())
    assert "min lapp" not in str(found)
    assert found["masked"] == {"private_note": 1}


@pytest.mark.requirement("R54")
@in_house()
async def test_each_authority_answers_for_its_own_room_and_tells_nothing_of_others(
    house: WebHouse,
) -> None:
    one, two = sorted(min(conflicts(city()), key=sorted))
    mine, theirs = await registered(house, one, text="mitt"), await registered(house, two)
    await house.as_(officer(two)).get(f"/api/v1/cases{theirs}")
    found = await everything(house, registrar(one))
    assert [case["case"] for case in found["cases"]] == [f"case{mine}"]
    assert theirs not in str(found)
    assert found["looks"] == []
    assert [case["case"] for case in (await everything(house, registrar(two)))["cases"]] == [
        f"case{theirs}"
    ]


@pytest.mark.requirement("R54")
@in_house()
async def test_a_protected_case_is_told_by_those_alone_who_may_open_it(house: WebHouse) -> None:
    path = await registered(house, text="Greta Gömd", protected=True)
    found = await everything(house, registrar())
    assert (found["cases"], found["looks"], found["masked"]) == ([], [], {})
    nobody = await everything(house, registrar(), number="0700000009")
    assert {**found, "number": ""} == {**nobody, "number": ""}
    (case,) = (await everything(house, registrar(protected=True)))["cases"]
    assert case["case"] == f"case{path}"
    assert case["events"][0]["fields"]["text"] == "Greta Gömd"


@pytest.mark.parametrize("asker", [agent(), officer(), Asker("vera", (Grant(Role.AUDITOR),))])
def test_nobody_else_asks_for_all_about_a_person(tmp_path: Any, asker: Asker) -> None:
    @in_house()
    async def run(house: WebHouse) -> None:
        answer = await house.as_(asker).post(PATH, json={"number": CALLER})
        assert answer.status_code == 403
        assert looks(house) == []

    run(tmp_path)


@in_house()
async def test_where_the_look_cannot_be_recorded_nothing_is_shown(house: WebHouse) -> None:
    await registered(house, text="Greta Gömd")
    await house.caught_up()
    shard = await house.node.book("looks")
    await shard.close()
    answer = await house.as_(registrar()).post(PATH, json={"number": CALLER})
    assert answer.status_code == 503
    assert "Greta" not in answer.text


def test_the_schema_is_one_that_programs_know() -> None:
    schema = json_schema()
    assert schema["$schema"].endswith("2020-12/schema")
    assert set(schema["$defs"]["Everything"]["properties"]) >= {"cases", "calls", "looks"}
