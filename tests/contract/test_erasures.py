"""Erasures over HTTP: decided by the registrar, carried out at once, with a protocol for ever."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING
from uuid import uuid4

import pytest
from privacy_world import (
    NUMBER,
    SECRET,
    WHY,
    add_file,
    close,
    closed_case,
    fact,
    opened_case,
    post,
    registrar,
    texts,
    worker,
)
from web_house import NOON, WebHouse, in_house

from core.cases import CaseNoted
from core.erasure import ErasureCarriedOut
from core.personal import ERASED, Personal
from core.vocabulary import case_stream

if TYPE_CHECKING:
    import httpx


async def erase(house: WebHouse, **more: object) -> httpx.Response:
    async with house.as_(registrar()) as client:
        return await post(client, "erasures", **{"authority": "TK", **WHY, **more})


@pytest.mark.requirement("R55")
@in_house()
async def test_a_registrar_erases_a_closed_case_and_gets_a_protocol(house: WebHouse) -> None:
    case, other = await closed_case(house), await closed_case(house)

    answer = await erase(house, cases=[case])

    told = answer.json()
    assert answer.status_code == 200, answer.text
    assert told["status"] == "accepted"
    assert told["number"].startswith("TK-G1-")
    assert (told["cases"], told["callers"], told["keys"], told["registrar"]) == (1, 0, 1, "rut")
    assert told["carried_out_at"] is not None
    assert set(texts(house, case)) == {ERASED}
    assert all(isinstance(text, Personal) for text in texts(house, other))


@in_house()
async def test_a_protocol_is_printed_again_for_its_own_registrar_alone(house: WebHouse) -> None:
    case = await closed_case(house)
    number = (await erase(house, cases=[case])).json()["number"]
    path = f"/api/v1/erasures/{number}"

    async with house.as_(registrar()) as client:
        told = (await client.get(path)).json()
        listed = (await client.get("/api/v1/erasures")).json()["protocols"]
        page = await client.get(path, headers={"Accept": "text/html"})
    async with house.as_(registrar("MF", "mia")) as client:
        hidden, unknown = await client.get(path), await client.get("/api/v1/erasures/TK-G9-ABCD")
        assert (await client.get("/api/v1/erasures")).json() == {"protocols": []}
    async with house.as_(worker()) as client:
        denied = await client.get(path)

    assert told["subjects"] == [f"case/TK/{case}", f"protected/case/TK/{case}"]
    assert [p["number"] for p in listed] == [number]
    assert WHY["reference"] in page.text
    assert "Gallringsprotokoll" in page.text
    for text in (page.text, str(told)):
        assert NUMBER not in text
        assert "Exempelsson" not in text
    assert (hidden.status_code, hidden.json()) == (404, unknown.json())
    assert denied.status_code == 403


@in_house()
async def test_a_person_is_erased_with_all_cases_and_the_number_in_calls(house: WebHouse) -> None:
    mine = [await closed_case(house), await closed_case(house, caller="+46700000007")]
    other = await closed_case(house, caller="0700000008")
    elsewhere = await closed_case(house, "MF")

    told = (await erase(house, caller=NUMBER)).json()

    assert (told["cases"], told["callers"]) == (2, 1)
    assert f"caller/{house.node.caller_ref(NUMBER)}" in told["subjects"]
    assert {text for case in mine for text in texts(house, case)} == {ERASED}
    assert ERASED not in texts(house, other)
    assert ERASED not in texts(house, elsewhere, "MF"), "another authority decides on its own"


@in_house()
async def test_what_is_open_is_not_erased_and_what_is_hidden_does_not_exist(
    house: WebHouse,
) -> None:
    still_open = await opened_case(house)
    protected = await closed_case(house, protected=True)

    refused = await erase(house, cases=[still_open])
    hidden, unknown = (
        await erase(house, cases=[protected]), await erase(house, cases=["nothing"])
    )  # fmt: skip

    assert refused.status_code == 409
    assert "close it first" in refused.json()["detail"]
    assert (hidden.status_code, hidden.json()) == (unknown.status_code, unknown.json())
    assert ERASED not in texts(house, protected)


@pytest.mark.parametrize("who", ["officer", "other"])
def test_nobody_else_erases(who: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    asker = worker() if who == "officer" else registrar("MF")

    @in_house()
    async def run(house: WebHouse) -> None:
        case = await closed_case(house)
        async with house.as_(asker) as client:
            answer = await post(client, "erasures", authority="TK", cases=[case], **WHY)
        assert answer.status_code == (403 if who == "officer" else 404)
        assert ERASED not in texts(house, case)

    run(tmp_path=tmp_path_factory.mktemp("house"))


@in_house()
async def test_a_repeat_gets_the_first_protocol_again(house: WebHouse) -> None:
    case = await closed_case(house)
    body, key = {"authority": "TK", "cases": [case], **WHY}, {"Idempotency-Key": "k"}
    async with house.as_(registrar()) as client:
        answers = [await client.post("/api/v1/erasures", json=body, headers=key) for _ in range(2)]
    assert answers[0].json() == answers[1].json()


@in_house()
async def test_two_at_once_make_two_protocols_and_both_are_carried_out(house: WebHouse) -> None:
    cases = [await closed_case(house) for _ in range(2)]
    told = await asyncio.gather(*(erase(house, cases=[case]) for case in cases))
    numbers = {answer.json()["number"][:6] for answer in told}
    assert numbers == {"TK-G1-", "TK-G2-"}
    assert all(answer.json()["carried_out_at"] for answer in told)
    assert {text for case in cases for text in texts(house, case)} == {ERASED}


@in_house()
async def test_files_of_an_erased_case_are_gone(house: WebHouse) -> None:
    case = await opened_case(house)
    address = (await add_file(house, case)).json()["address"]
    await close(house, case)
    store = house.privacy.around.store
    assert store.path(address).is_file()

    told = (await erase(house, cases=[case])).json()

    assert told["attachments"] == 1
    assert not store.path(address).exists()
    async with house.as_(worker()) as client:
        path = f"/api/v1/cases/TK/{case}/attachments"
        assert (await client.get(f"{path}/{address}")).status_code == 410
        (listed,) = (await client.get(path)).json()["attachments"]
    assert (listed["erased"], listed["name"]) == (True, None)


@in_house()
async def test_a_decision_that_was_interrupted_is_carried_out_at_the_next_start(
    house: WebHouse,
) -> None:
    """The process died between the decision and everything after it."""
    from core.erasure import DecideErasure

    case = await opened_case(house)
    address = (await add_file(house, case)).json()["address"]
    await close(house, case)
    asker = registrar()
    command = DecideErasure(
        id=uuid4(), now=house.clock(), actor=asker.id, asker=asker, authority="TK", cases=(case,),
        **WHY,
    )  # fmt: skip
    await house.privacy.around.application.handle(command)
    assert ERASED not in texts(house, case)

    await house.privacy.begin()

    assert set(texts(house, case)) == {ERASED}
    assert not house.privacy.around.store.path(address).exists()
    done = [r.event for r in house.node.load("erasure/TK")][-1]
    assert isinstance(done, ErasureCarriedOut)
    assert (done.keys, done.attachments) == (1, 1)
    await house.privacy.begin()
    assert len([r for r in house.node.load("erasure/TK") if r.event == done]) == 1


@in_house()
async def test_text_that_arrives_late_about_an_erased_case_is_erased(house: WebHouse) -> None:
    case = await closed_case(house)
    stream = case_stream("TK", case)
    house.clock.forward(60)
    await erase(house, cases=[case])

    await house.node.propose(fact(stream, CaseNoted("anna", Personal(SECRET, stream)), NOON))

    assert set(texts(house, case)) == {ERASED}


@in_house()
async def test_a_protected_case_is_erased_by_a_registrar_who_may_open_it(house: WebHouse) -> None:
    case = await closed_case(house, protected=True)
    async with house.as_(registrar(protected=True)) as client:
        answer = await post(client, "erasures", authority="TK", cases=[case], **WHY)
    assert answer.status_code == 200, answer.text
    assert set(texts(house, case)) == {ERASED}
