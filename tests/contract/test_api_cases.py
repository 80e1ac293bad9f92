"""Cases over HTTP: every command has its route, and a case is shown to those who may open it."""

from __future__ import annotations

import pytest
from contract_cases import PATH, PROBLEM, TYPE, Desk
from given import agent, city, officer
from web_house import AUTH, WebHouse, in_house

from core.access import Asker, Grant, Role
from core.case_commands import CaseCommand
from webdesk.case_bodies import NOT_VERBS, REGISTER, VERBS

CALLER = "0700000007"


def test_every_command_about_a_case_has_a_route_or_a_reason() -> None:
    def below(kind: type[CaseCommand]) -> set[type[CaseCommand]]:
        return {one for sub in kind.__subclasses__() for one in (sub, *below(sub))}

    routed = {verb.command for verb in (REGISTER, *VERBS)}
    assert below(CaseCommand) == routed | set(NOT_VERBS)
    assert routed.isdisjoint(NOT_VERBS)
    assert len({verb.name for verb in VERBS}) == len(VERBS)


@pytest.mark.requirement("R9")
@in_house()
async def test_a_case_goes_from_the_call_to_the_answer(house: WebHouse) -> None:
    anna = Desk(house, agent("anna"))
    path = await anna.register(title="Trasig lykta", text="Den blinkar.", caller=CALLER)
    early = await anna.post(f"{path}/close", {"outcome": "solved"})
    assert (early.status_code, early.json()["type"]) == (409, f"{PROBLEM}case-not-categorised")
    await anna.did(f"{path}/categorise", {"case_type": TYPE})
    await anna.did(f"{path}/note", {"text": "Ringde från torget."})
    case = await anna.case(path)
    assert (case["title"], case["text"]) == ("Trasig lykta", "Den blinkar.")
    assert (case["status"], case["case_type"], case["version"]) == ("open", TYPE, 3)
    assert [event["type"] for event in case["events"]] == [
        "case.registered", "case.categorised", "case.noted",
    ]  # fmt: skip
    assert case["events"][2]["data"]["text"] == "Ringde från torget."
    assert {event["by"] for event in case["events"]} == {"anna"}
    steps = city().case_type(TYPE)
    assert steps is not None
    assert [step["name"] for step in case["chain"]] == [step.name for step in steps.steps]
    assert CALLER not in str(case)


@pytest.mark.requirement("R52")
@in_house()
async def test_every_look_at_a_case_is_in_the_read_log_before_it_is_shown(house: WebHouse) -> None:
    anna = Desk(house, agent("anna"))
    path = await anna.register(caller=CALLER)
    stream = f"case{path}"
    person = house.node.caller_ref(CALLER)
    assert (await anna.get(path, **{"X-Purpose": "disclosure"})).status_code == 403
    assert not house.node.load("look/house")
    await anna.case(path)
    await anna.case(f"{path}/events")
    looks = [recorded.event for recorded in house.node.load("look/house")]
    assert [(e.who, e.case, e.person, e.purpose) for e in looks] == [  # type: ignore[attr-defined]
        ("anna", stream, person, "contact")
    ] * 2


@in_house()
async def test_who_has_read_an_older_case_changes_nothing(house: WebHouse) -> None:
    anna, olle = Desk(house, agent("anna")), Desk(house, officer("TK"))
    path = await anna.register()
    read = await olle.get(path)
    assert read.headers["etag"] == '"1"'
    await anna.did(f"{path}/categorise", {"case_type": TYPE})
    late = await olle.post(f"{path}/take", {}, key="k", **{"If-Match": '"1"'})
    assert (late.status_code, late.json()["type"]) == (412, f"{PROBLEM}changed-since")
    again = await olle.post(f"{path}/take", {}, key="k", **{"If-Match": '"1"'})
    assert again.content == late.content, "a no is as final as a yes"
    assert len(house.node.load(f"case{path}")) == 2
    await olle.did(f"{path}/take", {}, key="take", **{"If-Match": '"2"'})
    once_more = await olle.post(f"{path}/take", {}, key="take", **{"If-Match": '"2"'})
    assert once_more.status_code == 200
    for wrong in ("1", 'W/"1"', '"x"', '"1", "2"', ""):
        answer = await olle.post(f"{path}/take", {}, **{"If-Match": wrong})
        assert (answer.status_code, answer.json()["field"]) == (422, "If-Match"), wrong
    assert (await olle.post(f"{path}/take", {}, **{"If-Match": "*"})).status_code == 200


@in_house()
async def test_a_key_is_ones_own(house: WebHouse) -> None:
    anna, olle = Desk(house, agent("anna")), Desk(house, officer("TK"))
    one = await anna.did("", {"authority": "TK", "title": "Anna"}, key="same")
    other = await olle.did("", {"authority": "TK", "title": "Olle"}, key="same")
    assert one["case"] != other["case"]
    used = await anna.post("", {"authority": "TK", "title": "Other"}, key="same")
    assert (used.status_code, used.json()["type"]) == (409, f"{PROBLEM}idempotency-key-used")
    assert await anna.did("", {"authority": "TK", "title": "Anna"}, key="same") == one


@in_house()
async def test_people_record_in_their_own_name_and_programs_say_for_whom(house: WebHouse) -> None:
    anna = Desk(house, agent("anna"))
    forged = await anna.post("", {"authority": "TK", "agent": "bo"})
    assert (forged.status_code, forged.json()["field"]) == (403, "agent")
    path = await anna.register(agent="anna")
    assert (await anna.case(path))["registered_by"] == "anna"
    headers = {**AUTH, "Idempotency-Key": "k"}
    silent = await house.client.post(PATH, json={"authority": "TK"}, headers=headers)
    assert (silent.status_code, silent.json()["field"]) == (422, "agent")
    spoken = await house.client.post(
        PATH, json={"authority": "TK", "agent": "anna"}, headers=headers
    )
    assert spoken.status_code == 200
    assert spoken.json()["position"] is None, "it opens no room, so nothing is counted for it"


@in_house()
async def test_a_private_note_is_for_the_one_who_wrote_it(house: WebHouse) -> None:
    anna, olle = Desk(house, agent("anna")), Desk(house, officer("TK"))
    path = await anna.register()
    await anna.did(f"{path}/note", {"text": "För mig själv", "private": True})
    assert "För mig själv" in str(await anna.case(path))
    for shown in (await olle.case(path), await olle.case(f"{path}/events")):
        assert "För mig själv" not in str(shown)
        assert [event["type"] for event in shown["events"]] == ["case.registered"]


@in_house()
async def test_a_link_tells_of_another_case_to_those_alone_who_open_both(house: WebHouse) -> None:
    anna, olle = Desk(house, agent("anna")), Desk(house, officer("TK"))
    one, other = await anna.register(), await anna.register()
    hidden = await olle.register(protected=True)
    body = {"other": other.rpartition("/")[2], "kind": "duplicate"}
    linked = await anna.did(f"{one}/link", body, key="link")
    for wanted in (hidden.rpartition("/")[2], "nosuch"):
        answer = await anna.post(f"{one}/link", {**body, "other": wanted})
        assert (answer.status_code, answer.json()["type"]) == (404, f"{PROBLEM}no-such-case")
    assert (await anna.post(f"{one}/link", body, key="link")).json() == linked


@pytest.mark.requirement("R54")
@in_house()
async def test_who_registers_for_the_other_side_is_told_what_was_done_and_nothing_else(
    house: WebHouse,
) -> None:
    anna = Desk(house, agent("anna", "tnh_miljo"))
    told = await anna.did("", {"authority": "TK", "title": "Damm från gatan"})
    assert (told["shard"], told["position"]) == (None, None)
    path = f"/TK/{told['case']}"
    noted = await anna.did(f"{path}/note", {"text": "Ringde igen"}, key="note")
    never = await anna.get("/TK/nosuch")
    for answer in (await anna.get(path), await anna.get(f"{path}/events")):
        assert (answer.status_code, answer.content) == (404, never.content)
    olle = Desk(house, officer("TK"))
    await olle.did(f"{path}/take", {})
    gone = await anna.post(f"{path}/note", {"text": "En gång till"})
    assert (gone.status_code, gone.content) == (404, never.content)
    assert await anna.did(f"{path}/note", {"text": "Ringde igen"}, key="note") == noted
    assert (await olle.case(path))["title"] == "Damm från gatan"


@in_house()
async def test_a_refusal_to_whoever_may_not_read_the_case_holds_nothing_of_it(
    house: WebHouse,
) -> None:
    anna = Desk(house, agent("anna", "tnh_miljo"))
    path = await anna.register("TK")
    await anna.did(f"{path}/categorise", {"case_type": TYPE})
    answer = await anna.post(f"{path}/categorise", {"case_type": "nosuch"})
    assert answer.status_code == 409
    assert set(answer.json()) == {"type", "title", "status", "detail"}
    assert "nosuch" not in answer.text


@in_house()
async def test_a_protected_persons_texts_have_a_key_of_their_own(house: WebHouse) -> None:
    olle = Desk(house, officer("TK"))
    eva = Desk(house, Asker("eva", (Grant(Role.CASE_OFFICER, "TK", protected=True),)))
    path = await olle.register(title="Skyddad", protected=True)
    never = await olle.get("/TK/nosuch")
    hidden = await olle.get(path)
    assert (hidden.status_code, hidden.content) == (404, never.content)
    assert (await eva.case(path))["title"] == "Skyddad"
    (recorded,) = house.node.load(f"case{path}", protected=True)
    assert recorded.event.title.subject == f"protected/case{path}"  # type: ignore[attr-defined]
