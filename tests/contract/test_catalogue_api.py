"""The catalogue over HTTP: what stands and stood, proposals, approvals, refusals, settings."""

from __future__ import annotations

import hashlib
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from given import agent, officer
from web_house import WebHouse, in_house

from core.access import Asker, Grant, Role

if TYPE_CHECKING:
    import httpx

ADMIN = Asker("ada", (Grant(Role.ADMINISTRATOR),))
COMMUNICATOR = Asker("cilla", (Grant(Role.COMMUNICATOR, "TK"),))
OWNER = officer("TK", "olle", approves=True)
ROOT = "/api/v1/catalogue"
TYPE = {"section": "case_type", "key": "TK-AVF-02"}
GROUP = {"section": "answer_group", "key": "tnh_avfall"}


async def get(house: WebHouse, by: Asker, path: str = "", **query: str) -> httpx.Response:
    await house.node.settle()
    return await house.as_(by).get(ROOT + path, params=query)


async def post(
    house: WebHouse, by: Asker, path: str, body: dict[str, Any], **headers: str
) -> httpx.Response:
    await house.node.settle()
    key = {"Idempotency-Key": hashlib.sha256(f"{path} {body}".encode()).hexdigest()}
    return await house.as_(by).post(ROOT + path, json=body, headers=key | headers)


async def row(house: WebHouse, of: dict[str, str], **changed: Any) -> dict[str, Any]:
    found = (await get(house, ADMIN, f"/{of['section']}/{of['key']}")).json()["fields"]
    return {**found, **changed}


@in_house()
async def test_sections_rows_and_entries_are_read_by_all_staff(house: WebHouse) -> None:
    anna = agent()
    sections = (await get(house, anna)).json()["sections"]
    assert (sections["case_type"], sections["authority"], sections["on_call"]) == (67, 18, 0)
    rows = (await get(house, anna, "/wrap_up")).json()["rows"]
    assert rows["solved"]["solved"] is True
    answer = await get(house, anna, "/conflict_pair/MF/TK")
    assert answer.json()["fields"]["enforced"] is True
    assert answer.headers["etag"] == '"1"'
    for path, title in (("/nosuch", "There is no such section"), ("/area/nosuch", "no such entry")):
        answer = await get(house, anna, path)
        assert answer.status_code == 404
        assert title in answer.text
    assert (await house.nobody().get(ROOT)).status_code == 401


@pytest.mark.requirement("R45")
@in_house()
async def test_a_change_is_proposed_seen_and_approved_by_its_owner_alone(house: WebHouse) -> None:
    new = await row(house, TYPE, sla_hours=8)
    asked = {**TYPE, "fields": new, "note": "kortare"}
    answer = await post(house, COMMUNICATOR, "/changes", asked)
    assert answer.status_code == 200, answer.text
    change = answer.json()["change"]
    again = await post(house, COMMUNICATOR, "/changes", asked)
    assert again.json()["commit_id"] == answer.json()["commit_id"]

    (shown,) = (await get(house, agent(), "/changes")).json()["changes"]
    assert (shown["change"], shown["owner"], shown["proposed_by"]) == (change, "TK", "cilla")
    assert shown["fields"] == [{"field": "sla_hours", "before": 24, "after": 8}]
    for by in (officer("MF", "mia", approves=True), officer("TK", "tea"), ADMIN, COMMUNICATOR):
        answer = await post(house, by, f"/changes/{change}/approve", {})
        assert answer.status_code == 403, (by.id, answer.text)
    approved = await post(house, OWNER, f"/changes/{change}/approve", {})
    assert approved.json()["events"] == ["catalogue.entry_set"]
    repeated = await post(house, OWNER, f"/changes/{change}/approve", {})
    assert repeated.json()["commit_id"] == approved.json()["commit_id"]

    found = (await get(house, agent(), "/case_type/TK-AVF-02")).json()
    assert (found["version"], found["fields"]["sla_hours"], found["waiting"]) == (2, 8, [])
    assert [v["approved_by"] for v in found["versions"]] == [None, "TK"]
    answer = await post(house, OWNER, f"/changes/{change}/refuse", {"reason": "för sent"})
    assert answer.status_code == 409


@in_house()
async def test_an_owner_refuses_and_a_proposer_takes_back(house: WebHouse) -> None:
    changes = []
    for hours in (7, 9):
        new = await row(house, TYPE, sla_hours=hours)
        answer = await post(house, COMMUNICATOR, "/changes", {**TYPE, "fields": new})
        changes.append(answer.json()["change"])
    one, two = changes
    assert (await post(house, OWNER, f"/changes/{one}/refuse", {})).status_code == 422
    answer = await post(house, OWNER, f"/changes/{one}/refuse", {"reason": "nej"})
    assert answer.json()["events"] == ["catalogue.change_refused"]
    answer = await post(house, ADMIN, f"/changes/{two}/take-back", {"reason": "fel"})
    assert answer.status_code == 409, "somebody else's"
    await post(house, COMMUNICATOR, f"/changes/{two}/take-back", {"reason": "fel"})
    assert (await get(house, ADMIN, "/changes")).json()["changes"] == []
    answer = await post(house, OWNER, f"/changes/{one}/approve", {})
    assert answer.status_code == 409
    assert (await post(house, OWNER, "/changes/nosuch/approve", {})).status_code == 404


@in_house()
async def test_the_centres_own_is_set_at_a_time_and_the_past_stays_readable(
    house: WebHouse,
) -> None:
    at = house.clock() + timedelta(hours=1)
    new = await row(house, GROUP, max_waiting=9)
    body = {**GROUP, "fields": new, "effective_from": at.isoformat()}
    assert (await post(house, ADMIN, "/entries", body)).status_code == 200
    path = "/answer_group/tnh_avfall"
    assert (await get(house, ADMIN, path)).json()["version"] == 1
    later = await get(house, ADMIN, path, at=at.isoformat())
    assert later.json()["fields"]["max_waiting"] == 9
    house.clock.forward(3600)
    now = (await get(house, ADMIN, path)).json()
    assert (now["version"], now["fields"]["max_waiting"]) == (2, 9)
    before = await get(house, ADMIN, path, at=(at - timedelta(seconds=1)).isoformat())
    assert before.json()["fields"]["max_waiting"] == 60
    for wrong in ("i går", "2026-11-22T12:00:00"):
        assert (await get(house, ADMIN, path, at=wrong)).status_code == 422


@in_house()
async def test_what_is_not_ones_to_do_or_does_not_fit_is_refused(house: WebHouse) -> None:
    new = await row(house, GROUP, max_waiting=9)
    assert (
        await post(house, COMMUNICATOR, "/entries", {**GROUP, "fields": new})
    ).status_code == 403
    assert (await post(house, agent(), "/changes", {**TYPE, "fields": new})).status_code == 403
    own = await row(house, TYPE, sla_hours=8)
    answer = await post(house, ADMIN, "/entries", {**TYPE, "fields": own})
    assert (answer.status_code, "TK's matter" in answer.text) == (409, True)
    answer = await post(house, ADMIN, "/entries", {**GROUP, "fields": {**new, "calendar": "x"}})
    assert (answer.status_code, "no calendar x" in answer.text) == (422, True)
    answer = await post(house, ADMIN, "/entries", {**GROUP, "fields": None})
    assert answer.status_code == 422, "others refer to it"
    answer = await post(house, ADMIN, "/entries", {"section": "nosuch", "key": "x", "fields": {}})
    assert answer.status_code == 422


@in_house()
async def test_who_writes_over_what_was_read_before_is_told(house: WebHouse) -> None:
    path = "/answer_group/tnh_avfall"
    etag = (await get(house, ADMIN, path)).headers["etag"]
    for waiting, status in ((9, 200), (8, 412)):
        new = await row(house, GROUP, max_waiting=waiting)
        answer = await post(
            house, ADMIN, "/entries", {**GROUP, "fields": new}, **{"If-Match": etag}
        )
        assert answer.status_code == status, answer.text
    assert (await get(house, ADMIN, path)).json()["fields"]["max_waiting"] == 9


@pytest.mark.requirement("R14")
@in_house()
async def test_a_step_of_authority_moves_by_a_decision_that_stands_in_the_log(
    house: WebHouse,
) -> None:
    permit = {"section": "case_type", "key": "SBK-LOV-02"}
    new = await row(house, permit)
    new["steps"] = [{**step, "exercise_of_authority": "false"} for step in new["steps"]]
    answer = await post(house, ADMIN, "/changes", {**permit, "fields": new})
    change = answer.json()["change"]
    owner = officer("SBK", "siv", approves=True)
    answer = await post(house, owner, f"/changes/{change}/approve", {})
    assert (answer.status_code, "R14" in answer.text) == (409, True)
    body = {"decision": "SBN 2026/7"}
    assert (await post(house, owner, f"/changes/{change}/approve", body)).status_code == 200
    found = (await get(house, ADMIN, "/case_type/SBK-LOV-02")).json()
    assert found["versions"][-1]["decision"] == "SBN 2026/7"
    assert {step["exercise_of_authority"] for step in found["fields"]["steps"]} == {"false"}


@pytest.mark.requirement("R12", "R14")
@in_house()
async def test_a_case_goes_on_by_the_version_that_it_was_begun_with(house: WebHouse) -> None:
    """The type's chain changes while a case is under way: the old chain is the case's still."""
    olle = house.as_(OWNER)

    async def send(path: str, body: dict[str, Any]) -> dict[str, Any]:
        headers = {"Idempotency-Key": f"case{path}"}
        answer = await olle.post(f"/api/v1/cases{path}", json=body, headers=headers)
        assert answer.status_code == 200, answer.text
        await house.node.settle()
        return dict(answer.json())

    case = (await send("", {"authority": "TK", "title": "Tunna"}))["case"]
    await send(f"/TK/{case}/categorise", {"case_type": TYPE["key"]})
    new = await row(house, TYPE)
    new["steps"] = new["steps"][:1]
    change = (await post(house, COMMUNICATOR, "/changes", {**TYPE, "fields": new})).json()["change"]
    await post(house, OWNER, f"/changes/{change}/approve", {})
    assert (await get(house, ADMIN, "/case_type/TK-AVF-02")).json()["version"] == 2

    old = (await olle.get(f"/api/v1/cases/TK/{case}")).json()
    assert (old["type_version"], len(old["chain"])) == (1, 3)
    other = (await send("?", {"authority": "TK", "title": "En till"}))["case"]
    await send(f"/TK/{other}/categorise", {"case_type": TYPE["key"]})
    now = (await olle.get(f"/api/v1/cases/TK/{other}")).json()
    assert (now["type_version"], len(now["chain"])) == (2, 1)
