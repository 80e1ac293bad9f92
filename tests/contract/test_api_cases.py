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


@in_house()
async def test_a_link_to_a_case_that_one_may_not_open_is_not_shown(house: WebHouse) -> None:
    olle = Desk(house, officer("TK"))
    eva = Desk(house, Asker("eva", (Grant(Role.CASE_OFFICER, "TK", protected=True),)))
    one, other = await olle.register(), await olle.register()
    hidden = await eva.register(protected=True)
    for path in (other, hidden):
        body = {"other": path.rpartition("/")[2], "kind": "incident"}
        await eva.did(f"{one}/link", body)
    seen, whole = await olle.case(one), await eva.case(one)
    assert seen["links"] == [{"other": f"case{other}", "kind": "incident"}]
    assert len(whole["links"]) == 2
    for shown in (seen, await olle.case(f"{one}/events")):
        assert hidden.rpartition("/")[2] not in str(shown)
        assert [e["type"] for e in shown["events"]] == ["case.registered", "case.linked"]


@pytest.mark.requirement("R13")
@in_house()
async def test_an_agent_guides_where_power_is_exercised_and_the_reason_is_told(
    house: WebHouse,
) -> None:
    code = next(
        code
        for code, row in sorted(city().rows("case_type").items())
        if row["authority"] == "TK"
        and (found := city().case_type(code)) is not None
        and found.steps[0].stops_the_centre
    )
    anna, olle = Desk(house, agent("anna")), Desk(house, officer("TK"))
    path = await anna.register()
    await anna.did(f"{path}/categorise", {"case_type": code})
    stopped = await anna.post(f"{path}/answer", {"text": "Ja, det går bra."})
    assert (stopped.status_code, stopped.json()["type"]) == (409, f"{PROBLEM}exercise-of-authority")
    assert stopped.json()["detail"]
    denied = await anna.post(f"{path}/decide", {"outcome": "bifall"})
    assert (denied.status_code, denied.json()["type"]) == (403, f"{PROBLEM}not-allowed")
    await anna.did(f"{path}/guide", {"to": "eservice"})
    case = await olle.case(path)
    assert case["chain"][0]["exercise_of_authority"] != "false"
    assert not any("Ja, det" in str(event) for event in case["events"])


@pytest.mark.requirement("R52")
@in_house()
async def test_a_program_reads_what_its_scope_says_and_every_look_is_recorded(
    house: WebHouse,
) -> None:
    path = await Desk(house, officer("TK")).register(title="Lampa")
    reader = Desk(
        house, Asker("crm", (Grant(Role.PROGRAM, "TK"),), scopes=frozenset({"read_case"}))
    )
    assert (await reader.case(path))["title"] == "Lampa"
    refused = await reader.post(f"{path}/note", {"agent": "anna", "text": "Nej"})
    assert refused.status_code == 403
    (look,) = [recorded.event for recorded in house.node.load("look/house")]
    assert (look.who, look.purpose) == ("crm", "operation")  # type: ignore[attr-defined]


@in_house()
async def test_lists_searches_and_histories_leave_at_an_even_time_with_and_without_hits(
    house: WebHouse,
) -> None:
    waits: list[float] = []

    async def counted(seconds: float) -> None:
        waits.append(seconds)

    for middleware in house.app.user_middleware:
        if middleware.cls.__name__ == "EvenTime":  # type: ignore[attr-defined]
            middleware.kwargs["sleep"] = counted
    olle = Desk(house, officer("TK"))
    path = await olle.register(title="Lampa", caller=CALLER)
    await house.caught_up()
    asked = [
        olle.get(""), olle.get("?list=mine"), olle.get("?list=handovers"), olle.get("/counts"),
        olle.client.post(f"{PATH}/search", json={"text": "lampa"}),
        olle.client.post(f"{PATH}/search", json={"text": "zqneverwas"}),
        olle.client.post(f"{PATH}/history", json={"number": CALLER}),
        olle.client.post(f"{PATH}/history", json={"number": "0700003999"}),
        olle.client.get("/api/v1/reports/TK/2026-11"),
        olle.client.get("/api/v1/reports/MF/2026-11"),
        olle.get("/MF/nosuch"), olle.post("/MF/nosuch/take", {}),
    ]  # fmt: skip
    for nth, one in enumerate(asked, start=1):
        await one
        assert len(waits) == nth
    await olle.get(path)
    assert len(waits) == len(asked), "what is shown as one's own tells nothing by its time"


@in_house()
async def test_a_search_and_a_history_are_looks_with_their_purpose(house: WebHouse) -> None:
    olle = Desk(house, officer("TK"))
    path = await olle.register(title="Lampa", caller=CALLER)
    await house.caught_up()
    found = await olle.client.post(f"{PATH}/search", json={"text": "lampa"})
    assert [row["title"] for row in found.json()["rows"]] == ["Lampa"]
    told = await olle.client.post(f"{PATH}/history", json={"number": "+46 70-000 00 07"})
    assert [row["case"] for row in told.json()["cases"]] == [path.rpartition("/")[2]]
    by_case = await olle.client.post(
        f"{PATH}/history", json={"authority": "TK", "case": path.rpartition("/")[2]}
    )
    assert by_case.json() == told.json()
    looks = [recorded.event for recorded in house.node.load("look/house")]
    assert [(e.deed, e.case) for e in looks] == [  # type: ignore[attr-defined]
        ("search_cases", f"case{path}"),
        ("read_history", None), ("read_history", f"case{path}"),
        ("read_history", None), ("read_history", f"case{path}"),
    ]  # fmt: skip
    refused = await olle.client.post(
        f"{PATH}/search", json={"text": "lampa"}, headers={"X-Purpose": "curiosity"}
    )
    assert refused.status_code == 403
    assert "Lampa" not in refused.text


@in_house()
async def test_a_number_with_spaces_is_the_callers_that_the_exchange_knows(house: WebHouse) -> None:
    anna = Desk(house, agent("anna"))
    path = await anna.register(caller="070-000 00 07")
    registered = house.node.load(f"case{path}")[0].event
    assert registered.caller_ref == house.node.caller_ref(CALLER)  # type: ignore[attr-defined]
