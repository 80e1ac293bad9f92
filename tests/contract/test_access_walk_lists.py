"""Search, history, lists and counts: of a room that is not one's own not even a trace."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from access_routes import CENTRE, QUESTIONS, ROOM, ROUTES
from access_world import GROUPS, MF, World, askers, judged, planted_for
from web_house import WebHouse, in_house

from core.access import Asker, Deed, Place, Verdict

if TYPE_CHECKING:
    import httpx

SEARCH, HISTORY = "/api/v1/cases/search", "/api/v1/cases/history"
NOT_MF = (
    "agent_1-tk", "case_officer-tk", "registrar-tk", "analyst-tk", "coordinator-tk", "whole-city",
    "both-sides", "one-closed", "program-tk", "auditor-tk",
)  # fmt: skip
REGISTRAR = askers()["registrar-mf"]
# What counts requests or looks, or never ends; and what lists them: it tells of the asking itself.
_OF_ITSELF = {"/metrics", "/api/v1/stream", "/api/v1/looks"}


@pytest.mark.requirement("R53", "R54")
@pytest.mark.parametrize("name", sorted(askers()))
def test_nobody_finds_what_he_may_not_open_by_any_word_or_number(name: str, tmp_path: Any) -> None:
    asker = askers()[name]

    @in_house()
    async def walk(house: WebHouse) -> None:
        world = World(house)
        world.cases = await planted_for(world, asker)
        await house.caught_up()
        client = world.client(asker)
        never = await client.post(SEARCH, json={"text": "zqneverwas"})
        unknown = await client.post(HISTORY, json={"number": "0700003999"})
        for planted in world.cases:
            opens = world.verdict(asker, Deed.READ_CASE, planted) is Verdict.ALLOWED
            for text in sorted(planted.marks | planted.names):
                found = await client.post(SEARCH, json={"text": text})
                world.look_for_leaks(asker, found, f"a search for {text}")
                if not opens:
                    assert found.content == never.content
            (number,) = (mark for mark in planted.marks if mark.startswith("07000"))
            told = await client.post(HISTORY, json={"number": number})
            world.look_for_leaks(asker, told, f"the history of {number}")
            own = {"authority": planted.authority, "case": planted.case}
            by_case = await client.post(HISTORY, json=own)
            world.look_for_leaks(asker, by_case, f"the history of {planted.name}")
            if not opens:
                assert told.content == unknown.content
                assert by_case.status_code in {401, 403, 404}

    walk(tmp_path=tmp_path)


async def everything_asked(world: World, asker: Asker) -> dict[str, bytes]:
    """All that `asker` gets to see in lists, counts, figures and pages."""
    told = {}
    for (method, path), route in ROUTES.items():
        reads = method == "GET" or path in {SEARCH, HISTORY}
        if not reads or route.where not in {CENTRE, ROOM} or path in _OF_ITSELF:
            continue
        for code in GROUPS if route.where == ROOM else ("",):
            for question in ("", *QUESTIONS.get((method, path), ())):
                for body in route.bodies or (None,):
                    address = (route.path or path).replace("{authority}", code) + question
                    sent = None if body is None else dict(body)
                    answer: httpx.Response = await world.client(asker).request(
                        method, address, json=sent
                    )
                    headers = {k: v for k, v in answer.headers.items() if k != "content-length"}
                    told[f"{method} {address} {body}"] = repr(
                        (answer.status_code, headers)
                    ).encode() + _steady(answer.content)
    return told


def _steady(content: bytes) -> bytes:
    """Without the age of figures, which is time alone."""
    before, _, after = content.partition(b'"age_s":')
    return before + after.lstrip(b"0123456789.e-") if after else content


@pytest.mark.requirement("R54")
@pytest.mark.parametrize("name", NOT_MF)
def test_whatever_happens_on_the_other_side_nothing_changes_on_this_one(
    name: str, tmp_path: Any
) -> None:
    asker = askers()[name]
    assert judged(asker, Deed.READ_CASE, Place("MF")) is not Verdict.ALLOWED

    @in_house()
    async def walk(house: WebHouse) -> None:
        world = World(house)
        await world.plant("mf", "MF", MF)
        await house.caught_up()
        before = await everything_asked(world, asker)
        assert before == await everything_asked(world, asker), "asking again changes nothing"
        for nth in range(3):
            await world.plant(
                f"mf{nth}", "MF", MF, ("note", MF, {"text": "{mark}"}), ("take", MF, {}),
                ("ask", MF, {"to": "caller", "text": "{mark}"}),
                ("promise-callback", MF, {"promised_at": "2026-11-23T08:00:00Z"}),
                ("registry", REGISTRAR, {"outcome": "kept_unregistered", "rule": "OSL 5:1"}),
            )  # fmt: skip
        await house.caught_up()
        after = await everything_asked(world, asker)
        assert {key for key in before if before[key] != after[key]} == set()

    walk(tmp_path=tmp_path)


@pytest.mark.requirement("R54")
def test_how_much_happened_on_the_other_side_does_not_show_in_ones_own_rows(tmp_path: Any) -> None:
    told: list[Any] = []
    olle = askers()["case_officer-tk"]

    def with_others(others: int) -> None:
        @in_house()
        async def walk(house: WebHouse) -> None:
            world = World(house)
            for nth in range(3):
                own = {"authority": "TK", "title": f"vatten {nth}"}
                answer = await world.client(olle).post(
                    "/api/v1/cases", json=own, headers={"Idempotency-Key": f"own {nth}"}
                )
                assert answer.status_code == 200
                told.append(answer.content)
                for _ in range(others):
                    await world.plant("mf", "MF", MF)
                await house.caught_up()  # in between, as the read models of a real day
            seen = await everything_asked(world, olle)
            # A page holds its session's token, and a session is never the same twice.
            told.append({key: answer for key, answer in seen.items() if b"<!doctype" not in answer})
            for asked in ("?limit=1", "?limit=2"):
                page = await world.client(olle).get(f"/api/v1/cases{asked}")
                following = page.json()["next"]
                assert following is not None
                told.append((page.content, following))
                rest = await world.client(olle).get(
                    "/api/v1/cases", params={"limit": "2", "after": following}
                )
                told.append(rest.content)

        folder = tmp_path / str(others)
        folder.mkdir()
        walk(tmp_path=folder)

    with_others(0)
    half = len(told)
    with_others(4)
    assert told[:half] == told[half:]
