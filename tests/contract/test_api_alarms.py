"""Receipts that do not come are told to those who lead the work, and nothing of the matter."""

from __future__ import annotations

import pytest
from given import agent, officer
from web_house import NOON, WebHouse, in_house

from core.access import Asker, Grant, Role
from core.cases import CaseHandedOver, CaseRegistered
from core.commit import Draft, Happened, import_id
from core.vocabulary import case_stream

LEAD = Asker("lena", (Grant(Role.SHIFT_LEAD),))
LEAD_OF_WASTE = Asker("lars", (Grant(Role.SHIFT_LEAD), Grant(Role.CASE_OFFICER, "TK")))


async def handed_over(house: WebHouse, authority: str) -> None:
    stream = case_stream(authority, "1")
    registered = CaseRegistered(f"{authority}-NUMMER", authority, "anna", "phone")
    handed = CaseHandedOver("h1", "anna", authority, receipt_due_at=NOON)
    draft = Draft(
        id=import_id("test", stream), asking=stream, actor="anna", origin="import:test",
        events=tuple(Happened(stream, event, NOON) for event in (registered, handed)),
    )  # fmt: skip
    await house.node.propose(draft)
    await house.caught_up()


@pytest.mark.requirement("R6", "R9")
@in_house()
async def test_a_late_receipt_is_told_with_who_and_since_when_and_nothing_else(
    house: WebHouse,
) -> None:
    await handed_over(house, "TK")
    assert (await house.as_(LEAD).get("/api/v1/alarms")).json()["alarms"] == []  # not late yet
    house.clock.forward(1)
    answer = await house.as_(LEAD).get("/api/v1/alarms")
    expected = {
        "kind": "handover", "who": "TK", "group": None, "awaited": 1, "safety": 0,
        "oldest_at": "2026-11-22T13:00:00+01:00",
    }  # fmt: skip
    assert answer.json()["alarms"] == [expected]
    assert "NUMMER" not in answer.text


@pytest.mark.requirement("R54")
@in_house()
async def test_who_opens_one_side_of_a_conflict_is_told_of_none_of_the_others(
    house: WebHouse,
) -> None:
    await handed_over(house, "MF")
    house.clock.forward(1)
    assert len((await house.as_(LEAD).get("/api/v1/alarms")).json()["alarms"]) == 1
    assert (await house.as_(LEAD_OF_WASTE).get("/api/v1/alarms")).json()["alarms"] == []


@in_house()
async def test_alarms_are_for_those_who_lead(house: WebHouse) -> None:
    for asker in (agent(), officer("TK")):
        assert (await house.as_(asker).get("/api/v1/alarms")).status_code == 403
    assert (await house.nobody().get("/api/v1/alarms")).status_code == 401
