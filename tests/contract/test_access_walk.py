"""The walk: every route × every role × every room. What the table of rights says, and no more."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, Any

import pytest
from access_routes import CASE, CENTRE, OPEN, QUESTIONS, ROOM, ROUTES, SELF, Route, served
from access_world import GROUPS, Leak, Planted, World, askers, judged, planted_for
from starlette.requests import Request  # noqa: TC002 -- FastAPI reads annotations
from starlette.responses import JSONResponse, Response
from web_house import WebHouse, in_house

from core.access import NOBODY, RIGHTS, Asker, Deed, Place, Role, Verdict
from core.application import DECIDERS
from core.case_commands import CaseCommand
from core.commands import Command

if TYPE_CHECKING:
    import httpx

    Key = tuple[str, str]

A, H, D = Verdict.ALLOWED, Verdict.HIDDEN, Verdict.DENIED
NEVER = "zqneverwas"
NO_SUCH_CASE = "urn:kontaktcenter:problem:no-such-case"


def commands(kind: type[Command] = Command) -> set[type[Command]]:
    """Every command there is."""
    assert DECIDERS, "their rooms are imported"
    below = {one for sub in kind.__subclasses__() for one in (sub, *commands(sub))}
    return {command for command in below if command.__module__.startswith("core.")}


def test_every_command_names_its_deed_and_every_deed_has_its_row() -> None:
    for command in commands():
        if not command.__subclasses__():
            assert isinstance(command.DEED, Deed), command
            assert command.DEED in RIGHTS
    assert any(issubclass(command, CaseCommand) for command in commands())


@in_house()
async def test_every_route_is_in_the_table_of_the_walk(house: WebHouse) -> None:
    there = set(served(house.app.routes))
    assert there - set(ROUTES) == set(), "place the new route in tests/access_routes.py"
    assert set(ROUTES) - there == set(), "these are gone"


@in_house()
async def test_a_route_that_nobody_placed_is_found(house: WebHouse) -> None:
    house.app.add_api_route("/api/v1/new", lambda: None, methods=["PUT"])
    assert set(served(house.app.routes)) - set(ROUTES) == {("PUT", "/api/v1/new")}


def expected(route: Route, asker: Asker, place: Place) -> Verdict | None:
    """What the table of rights says; None where nobody has to sign in."""
    if route.where == OPEN:
        return None
    if asker is NOBODY:
        return D
    if route.deed is None:
        return A
    return judged(asker, route.deed, place)


async def ask(
    world: World, asker: Asker, key: Key, path: str, body: dict[str, Any] | None
) -> httpx.Response:
    if ROUTES[key].file:
        files = {"file": ("a.txt", b"En bilaga", "text/plain")}
        headers = {"Idempotency-Key": f"file {next(world.numbers)}"}
        return await world.client(asker).post(path, files=files, headers=headers)
    if ROUTES[key].command:
        return await world.send(asker, path, body or {})
    return await world.client(asker).request(key[0], path, json=body)


def check(found: httpx.Response, wanted: Verdict | None, asker: Asker, said: str) -> None:
    status, kind = HTTPStatus(found.status_code), ""
    assert status < 500, f"{said}: {found.text}"
    if found.headers.get("content-type") == "application/problem+json":
        kind = found.json()["type"]
    turned_away = {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}
    if wanted is None:
        return
    if asker is NOBODY:
        assert status is HTTPStatus.UNAUTHORIZED, f"{said}: {found.text}"
    elif wanted is D:
        assert status is HTTPStatus.FORBIDDEN, f"{said}: {status} {found.text}"
    elif wanted is H:
        assert kind == NO_SUCH_CASE, f"{said}: {status} {found.text}"
    else:
        assert status not in turned_away, f"{said}: {found.text}"
        assert kind != NO_SUCH_CASE or "link" in said, f"{said}: {found.text}"


async def walk_case(world: World, asker: Asker, key: Key, planted: Planted) -> None:
    """Ask for one route of one case; what is hidden is answered as what never was."""
    route, path = ROUTES[key], key[1]
    body = dict(route.bodies[0]) if route.bodies else None
    here = route.path or path
    here = here.replace("{authority}/{case}", f"{planted.authority}/{planted.case}")
    wanted = expected(route, asker, world.place(planted))
    before = len(world.house.node.load(planted.stream))
    found = await ask(world, asker, key, here, body)
    said = f"{asker.id} {key[0]} {path} of {planted.name}"
    world.look_for_leaks(asker, found, said)
    # A program speaks for agents, and sends no file.
    check(found, None if route.file and wanted is A else wanted, asker, said)
    if wanted is not A:
        assert len(world.house.node.load(planted.stream)) == before, said
    if wanted is H:
        never = await ask(world, asker, key, here.replace(planted.case, NEVER), body)
        assert (never.status_code, never.content) == (found.status_code, found.content), said
        assert _shape(never) == _shape(found), said


def _shape(answer: httpx.Response) -> list[tuple[str, str]]:
    return sorted((name, value) for name, value in answer.headers.items())


async def walk_rest(world: World, asker: Asker, key: Key) -> None:
    """Ask for one route that is of no single case."""
    route = ROUTES[key]
    for code in (*GROUPS, "SOC") if route.where == ROOM else ("",):
        path = (route.path or key[1]).replace("{asker}", asker.id).replace("{authority}", code)
        place = Place(code or None, person=asker.id if route.where == SELF else None)
        wanted = expected(route, asker, place)
        if route.endless and wanted is A:
            return
        for body in route.bodies or (None,):
            sent = None
            if body is not None:
                sent = {k: code if v == "{authority}" else v for k, v in body.items()}
            for question in ("", *QUESTIONS.get(key, ())):
                found = await ask(world, asker, key, path + question, sent)
                said = f"{asker.id} {key[0]} {path}{question} {body}"
                names = route.names and wanted is A
                world.look_for_leaks(asker, found, said, names=names)
                if not question:
                    check(found, None if route.form else wanted, asker, said)
                elif asker is NOBODY:
                    assert found.status_code == HTTPStatus.UNAUTHORIZED


@pytest.mark.requirement("R13", "R53", "R54", "R49")
@pytest.mark.parametrize("name", sorted(askers()))
def test_every_route_opens_what_the_rights_say_and_nothing_leaks(
    name: str,
    tmp_path: Any,
    whole: bool,
) -> None:
    asker = askers()[name]

    @in_house()
    async def walk(house: WebHouse) -> None:
        world = World(house)
        world.cases = await planted_for(world, asker)
        await house.caught_up()
        for key, route in ROUTES.items():
            if route.where != CASE and key[1] not in {"/sign-out", "/lock"}:
                await walk_rest(world, asker, key)
        of_cases = [key for key, route in ROUTES.items() if route.where == CASE]
        for n, key in enumerate(of_cases):
            for planted in world.cases if whole else world.cases[n % 2 :: 2]:
                await walk_case(world, asker, key, planted)
        await house.caught_up()
        for key, route in ROUTES.items():
            if key[0] == "GET" and route.where in {CENTRE, ROOM}:
                await walk_rest(world, asker, key)

    walk(tmp_path=tmp_path)


@in_house()
async def test_a_planted_leak_is_caught_wherever_it_is(house: WebHouse) -> None:
    world = World(house)
    olle = askers()["case_officer-tk"]
    world.cases = await planted_for(world, olle)
    (mf,) = [planted for planted in world.cases if planted.name == "mf"]
    mark = max(mf.marks, key=len)

    async def in_a_body(request: Request) -> Response:
        return JSONResponse({"rows": [{"title": mark.upper()}]})

    async def in_a_header(request: Request) -> Response:
        return Response(headers={"ETag": f'"{mark}"'})

    async def in_an_error(request: Request) -> Response:
        return JSONResponse({"detail": f"{mark} is not yours"}, status_code=403)

    async def in_a_position(request: Request) -> Response:
        return JSONResponse({"as_of": {"cases.MF/0": 7}})

    for leaking in (in_a_body, in_a_header, in_an_error, in_a_position):
        path = f"/api/v1/{leaking.__name__}"
        house.app.add_api_route(path, leaking)
        answer = await world.client(olle).get(path)
        with pytest.raises(Leak):
            world.look_for_leaks(olle, answer, path)
        mf_officer = askers()["case_officer-mf"]
        world.look_for_leaks(mf_officer, await world.client(mf_officer).get(path), path)


def test_the_walk_has_everybody_in_it() -> None:
    roles = {grant.role for asker in askers().values() for grant in asker.grants}
    assert roles == set(Role)
    assert NOBODY in askers().values()
