"""An owner's own system fetches what was handed over and gives the receipt: nobody types twice."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from given import agent, officer
from web_house import WebHouse, in_house

from core.access import Asker, Deed, Grant, Role
from core.cases import CaseHandedOver, ComplaintReceiptNoted, HandoverReceiptNoted

if TYPE_CHECKING:
    import httpx

CASES = "/api/v1/cases"
SCOPES = frozenset({Deed.READ_WORK_LIST.value, Deed.READ_CASE.value, Deed.RECEIVE_CASE.value})
LEAD = Asker("lena", (Grant(Role.SHIFT_LEAD),))
DAY_S = 24 * 3_600


def system_of(authority: str) -> Asker:
    """The token of an authority's case system."""
    return Asker(f"system-{authority}", (Grant(Role.PROGRAM, authority),), scopes=SCOPES)


async def done(client: httpx.AsyncClient, path: str, key: str, **body: Any) -> dict[str, Any]:
    answer = await client.post(f"{CASES}{path}", json=body, headers={"Idempotency-Key": key})
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def fetch(client: httpx.AsyncClient, theirs: dict[str, str]) -> list[str]:
    """One round of a case system: what is not there yet is written down, then received."""
    listed = (await client.get(CASES, params={"list": "handovers"})).json()["rows"]
    for row in listed:
        authority, case = row["case"]["authority"], row["case"]["case"]
        path = f"/{authority}/{case}"
        theirs[row["key"]] = (await client.get(f"{CASES}{path}")).json()["text"]
        for receipt in ("received", "accepted"):
            await done(
                client, f"{path}/note-receipt", f"{row['key']} {receipt}",
                handover=row["key"], receipt=receipt, agent="system-TK",
            )  # fmt: skip
    return [row["key"] for row in listed]


@pytest.mark.requirement("R51")
@in_house()
async def test_what_is_fetched_again_and_again_is_there_once_and_received_once(
    house: WebHouse,
) -> None:
    anna, system = house.as_(agent("anna")), house.as_(system_of("TK"))
    told = await done(anna, "", "register", authority="TK", text="Kärlet blev kvar.")
    path = f"/TK/{told['case']}"
    await done(anna, f"{path}/categorise", "type", case_type="TK-AVF-01")
    await done(anna, f"{path}/hand-over", "over")
    await house.caught_up()
    theirs: dict[str, str] = {}
    first = await fetch(system, theirs)
    again = await fetch(system, theirs)  # before the list has heard of the receipt
    assert first == again == list(theirs)
    await house.caught_up()
    assert await fetch(system, theirs) == []
    assert list(theirs.values()) == ["Kärlet blev kvar."]
    events = [recorded.event for recorded in house.node.load(f"case{path}")]
    receipts = [e.receipt for e in events if isinstance(e, HandoverReceiptNoted)]
    assert receipts == ["received", "accepted"]
    assert sum(isinstance(e, CaseHandedOver) for e in events) == 1


@pytest.mark.requirement("R50", "R53")
@in_house()
async def test_a_system_sees_its_own_authority_alone(house: WebHouse) -> None:
    anna, system = house.as_(agent("anna")), house.as_(system_of("MF"))
    told = await done(anna, "", "register", authority="TK", text="Kärlet blev kvar.")
    await done(anna, f"/TK/{told['case']}/categorise", "type", case_type="TK-AVF-01")
    await done(anna, f"/TK/{told['case']}/hand-over", "over")
    await house.caught_up()
    assert (await system.get(CASES, params={"list": "handovers"})).json()["rows"] == []
    assert (await system.get(f"{CASES}/TK/{told['case']}")).status_code == 404


@pytest.mark.requirement("R50", "R36")
@in_house()
async def test_each_system_that_is_silent_is_told_of_by_itself_and_the_others_go_on(
    house: WebHouse,
) -> None:
    lead = house.as_(LEAD)
    deliveries = {}
    for authority in ("TK", "IDR"):
        olle = house.as_(officer(authority, f"olle-{authority}"))
        told = await done(olle, "", f"register {authority}", authority=authority, text="Dåligt.")
        path = f"/{authority}/{told['case']}"
        await done(olle, f"{path}/categorise", f"type {path}", case_type="ALL-KLA-01")
        await done(olle, f"{path}/send-complaint", f"send {path}")
        case = (await olle.get(f"{CASES}{path}")).json()
        deliveries[authority] = (path, case["deliveries"][0]["id"])
    path, delivery = deliveries["IDR"]
    await done(
        house.as_(system_of("IDR")), f"{path}/note-complaint-receipt", "receipt",
        delivery=delivery, reference="IDR-1", agent="system-IDR",
    )  # fmt: skip
    house.clock.forward(DAY_S + 1)
    await house.caught_up()
    alarms = (await lead.get("/api/v1/alarms")).json()["alarms"]
    assert [(one["kind"], one["who"], one["awaited"]) for one in alarms] == [
        ("complaint", "kk_tk", 1)
    ]
    events = [recorded.event for recorded in house.node.load(f"case{path}")]
    assert [e.reference for e in events if isinstance(e, ComplaintReceiptNoted)] == ["IDR-1"]
