"""No route shows a person's data without a look: whatever is asked for, by everybody who may."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from access_routes import CASE, OPEN, QUESTIONS, ROOM, ROUTES
from access_world import GROUPS, Planted, World, askers, planted_for
from starlette.responses import JSONResponse, Response
from web_house import WebHouse, in_house

from core.looks import Look, PersonLookedAt, verify

if TYPE_CHECKING:
    from collections.abc import Iterator

    import httpx

    from core.access import Asker

pytestmark = [pytest.mark.requirement("R52"), pytest.mark.requirement("R54")]

# Who may open something, and so might be shown it without a look.
OPENING = (
    "agent_2-tk", "case_officer-tk", "registrar-tk", "protected-tk", "one-closed", "auditor-tk",
    "program-tk", "whole-city", "case_officer-expl",
)  # fmt: skip


class Unrecorded(AssertionError):
    """Somebody was shown a person's data, and the read log does not say so."""


def looks(house: WebHouse) -> list[Look]:
    found = house.node.load("look/house")
    return [
        Look(r.stream, r.version, r.occurred_at, r.event)
        for r in found
        if isinstance(r.event, PersonLookedAt)
    ]


def shown_in(answer: httpx.Response, cases: list[Planted]) -> list[Planted]:
    """The cases of which some text or number stands in the answer."""
    text = answer.content.decode("utf-8", "replace").lower()
    return [planted for planted in cases if any(mark in text for mark in planted.marks)]


async def asked(
    world: World, asker: Asker, method: str, path: str, body: Any = None, *, command: bool = False
) -> list[str]:
    """Ask for something; the cases that were shown. Raises: Unrecorded."""
    before = len(looks(world.house))
    if command:
        answer = await world.send(asker, path, body or {})
    else:
        answer = await world.client(asker).request(method, path, json=body)
    shown = shown_in(answer, world.cases)
    new = [look.event for look in looks(world.house)[before:]]
    seen = {event.case for event in new if event.who == asker.id}
    for planted in shown:
        if planted.stream not in seen:
            raise Unrecorded(f"{asker.id} {method} {path} shows {planted.name}")
    return [planted.name for planted in shown]


def reading() -> Iterator[tuple[str, str]]:
    """The routes that answer; a file is sent, and a stream never ends."""
    for key, route in ROUTES.items():
        if not (route.file or route.endless or route.form or route.where == OPEN):
            yield key


async def walk(world: World, asker: Asker) -> set[str]:
    """Ask for everything there is; which routes showed something."""
    showed = set()
    for method, path in reading():
        route = ROUTES[method, path]
        places = [f"{p.authority}/{p.case}" for p in world.cases] if route.where == CASE else [""]
        for place in places:
            for code in GROUPS if route.where == ROOM else ("",):
                here = (route.path or path).replace("{asker}", asker.id)
                here = here.replace("{authority}/{case}", place).replace("{authority}", code)
                for question in ("", *QUESTIONS.get((method, path), ())):
                    for body in route.bodies or (None,):
                        sent = body and {
                            k: code if v == "{authority}" else v for k, v in body.items()
                        }
                        found = await asked(
                            world, asker, method, here + question, sent, command=route.command
                        )
                        if found:
                            showed.add(f"{method} {path}")
    return showed


@pytest.mark.parametrize("name", OPENING)
def test_whatever_shows_a_persons_data_is_in_the_read_log(name: str, tmp_path: Any) -> None:
    @in_house()
    async def run(house: WebHouse) -> None:
        world, asker = World(house), askers()[name]
        world.cases = await planted_for(world, asker)
        await house.caught_up()
        showed = await walk(world, asker)
        assert verify(looks(house)).faults == []
        if name in {"case_officer-tk", "registrar-tk", "protected-tk"}:
            assert "GET /api/v1/cases/{authority}/{case}" in showed, "the walk sees what is shown"

    run(tmp_path=tmp_path)


@in_house()
async def test_all_about_a_person_is_in_the_read_log(house: WebHouse) -> None:
    world, rut = World(house), askers()["registrar-tk"]
    world.cases = await planted_for(world, rut)
    await house.caught_up()
    (tk,) = [planted for planted in world.cases if planted.name == "tk"]
    (number,) = [mark for mark in tk.marks if mark.isdigit() and mark.startswith("07")]
    body = {"number": number}
    assert "tk" in await asked(world, rut, "POST", "/api/v1/people/everything", body)


@in_house()
async def test_a_route_that_forgets_the_read_log_is_caught(house: WebHouse) -> None:
    world, olle = World(house), askers()["case_officer-tk"]
    world.cases = await planted_for(world, olle)
    (tk,) = [planted for planted in world.cases if planted.name == "tk"]

    async def forgetful() -> Response:
        return JSONResponse({"title": f"{max(tk.marks, key=len)} vatten"})

    house.app.add_api_route("/api/v1/forgetful", forgetful)
    with pytest.raises(Unrecorded, match="forgetful shows tk"):
        await asked(world, olle, "GET", "/api/v1/forgetful")


@in_house()
async def test_a_case_is_not_shown_where_the_look_cannot_be_recorded(house: WebHouse) -> None:
    world, olle = World(house), askers()["case_officer-tk"]
    world.cases = await planted_for(world, olle)
    (tk,) = [planted for planted in world.cases if planted.name == "tk"]
    shard = await house.node.book("looks")
    await shard.close()
    answer = await world.client(olle).get(tk.path)
    assert answer.status_code == 503
    assert answer.headers["Retry-After"]
    assert shown_in(answer, world.cases) == []
