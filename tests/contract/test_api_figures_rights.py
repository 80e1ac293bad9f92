"""Figures by agent and by case type are for those whom they concern."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from given import agent, officer
from web_house import NOON, fact, in_house

from core.access import Asker, Grant, Role
from core.cases import CaseCategorised, CaseRegistered
from core.commit import Draft, Happened, import_id
from core.vocabulary import case_stream

if TYPE_CHECKING:
    from web_house import WebHouse

ANALYST = Asker("ann-lytisk", (Grant(Role.ANALYST),), closed_to=frozenset({"MF"}))
TYPES = {"TK": "TK-AVF-01", "MF": "MF-DIR-01"}
UNIQUEIDS = {"TK": "1700000000.1", "MF": "1700000000.2"}


async def one_case_on_each_side(house: WebHouse) -> None:
    for authority, case_type in TYPES.items():
        uniqueid = UNIQUEIDS[authority]
        told = await house.results(
            fact("queued", uniqueid=uniqueid), fact("answered", uniqueid=uniqueid, member="anna")
        )
        assert [result["status"] for result in told] == ["accepted", "accepted"]
        stream = case_stream(authority, "1")
        registered = CaseRegistered(
            f"{authority}-1", authority, "anna", "phone", f"call/tnh/{uniqueid}"
        )
        events = (registered, CaseCategorised(case_type, "anna"))
        await house.node.propose(
            Draft(
                id=import_id("test", stream), asking=stream, actor="anna", origin="import:test",
                events=tuple(Happened(stream, event, NOON) for event in events),
            )
        )  # fmt: skip
    await house.caught_up()


@pytest.mark.requirement("R54")
@in_house()
async def test_calls_by_case_type_tell_of_the_askers_own_side_alone(house: WebHouse) -> None:
    await one_case_on_each_side(house)
    for asker, mine, others in (
        (officer("TK"), "TK", "MF"),
        (officer("MF"), "MF", "TK"),
        (ANALYST, "TK", "MF"),
    ):
        answer = await house.as_(asker).get("/api/v1/statistics?by=case_type")
        assert answer.status_code == 200, answer.text
        assert TYPES[mine] in answer.text
        assert TYPES[others] not in answer.text


@in_house()
async def test_figures_of_single_agents_are_for_those_who_lead_the_work(house: WebHouse) -> None:
    await one_case_on_each_side(house)
    assert (await house.as_(agent()).get("/api/v1/statistics")).status_code == 200
    for by in ("agent", "case_type"):
        refused = await house.as_(agent()).get(f"/api/v1/statistics?by={by}")
        assert refused.status_code == 403
        assert "anna" not in refused.text
    lead = Asker("lena", (Grant(Role.SHIFT_LEAD),))
    assert "anna" in (await house.as_(lead).get("/api/v1/statistics?by=agent")).text


@in_house()
async def test_a_monitor_does_not_learn_how_much_an_authoritys_cases_move(house: WebHouse) -> None:
    await one_case_on_each_side(house)
    ready = (await house.nobody().get("/readyz")).json()
    assert ready["positions"]["calls/0"] > 0
    assert not [name for name in ready["positions"] if name.startswith("cases.")]
    assert not [name for name in ready["read_models"] if name.startswith("cases.")]
