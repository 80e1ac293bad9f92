"""The API's description: complete, true, and within the profile that Swedish authorities share."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from access_routes import OPEN, ROUTES
from access_world import TK, World
from project import ROOT
from web_house import WebHouse, in_house

from core.personal import Personal
from webdesk.case_bodies import REGISTER, VERBS

if TYPE_CHECKING:
    from collections.abc import Iterator

OPEN_API = {"/livez", "/readyz", "/version"}
_PATH = re.compile(r"(/(v1|[a-z]+(-[a-z]+)*|\{[a-z]+\}))+")
# What is never in an address: numbers of people, and what they wrote.
_PERSONAL = re.compile(r"caller|phone|personnummer|pnr|ssn|text|title|note|reason|recipient")

DESCRIBED = {(method, path.replace(":path}", "}")): at for (method, path), at in ROUTES.items()}


def operations(api: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, methods in api["paths"].items():
        for method, operation in methods.items():
            yield method, path, operation


@in_house()
async def test_every_route_of_the_api_is_described(house: WebHouse) -> None:
    api = house.app.openapi()
    assert api["openapi"].startswith("3.1")
    there = {(method.upper(), path) for method, path, _ in operations(api)}
    wanted = {key for key in DESCRIBED if key[1].startswith("/api/v1/") or key[1] in OPEN_API}
    assert wanted - there == {("GET", "/api/v1/openapi.json")}
    assert json.dumps(api) == json.dumps(house.app.openapi()), "describing twice says the same"


@in_house()
async def test_every_operation_says_who_may_ask_and_how_it_says_no(house: WebHouse) -> None:
    api = house.app.openapi()
    names = []
    for method, path, operation in operations(api):
        names.append(operation["operationId"])
        assert operation["summary"], path
        assert _PATH.fullmatch(path), path
        noes = set(operation["responses"]) - {"200"}
        assert "default" in noes
        if DESCRIBED[method.upper(), path].where == OPEN:
            assert operation["security"] == []
        else:
            assert {"401", "403", "503"} <= noes
            assert {name for one in operation["security"] for name in one} == {"token", "session"}
        if "{case}" in path:
            assert "404" in noes, path
        if "requestBody" in operation:
            assert {"413", "415", "422"} <= noes, path
        for status in noes:
            content = operation["responses"][status]["content"]
            assert set(content) == {"application/problem+json"}, (path, status)
    assert len(names) == len(set(names))
    assert set(api["components"]["securitySchemes"]) == {"token", "session"}
    assert "HTTPValidationError" not in json.dumps(api)


@in_house()
async def test_nothing_personal_is_asked_for_in_an_address_or_a_header(house: WebHouse) -> None:
    for _, path, operation in operations(house.app.openapi()):
        for given in operation.get("parameters", ()):
            assert not _PERSONAL.search(given["name"].lower()), (path, given["name"])


@in_house()
async def test_every_command_asks_for_a_key_and_takes_an_etag(house: WebHouse) -> None:
    api = house.app.openapi()
    for verb in VERBS:
        operation = api["paths"][f"/api/v1/cases/{{authority}}/{{case}}/{verb.name}"]["post"]
        headers = {p["name"]: p for p in operation["parameters"] if p["in"] == "header"}
        assert headers["Idempotency-Key"]["required"] is True
        assert headers["If-Match"]["required"] is False
        assert "412" in operation["responses"]
    for path in ("/api/v1/cases/{authority}/{case}", "/api/v1/cases/{authority}/{case}/events"):
        assert "ETag" in api["paths"][path]["get"]["responses"]["200"]["headers"]


@in_house()
async def test_every_body_is_described_with_its_bounds(house: WebHouse) -> None:
    api = house.app.openapi()
    for _, path, operation in operations(api):
        for kind, shape in operation.get("requestBody", {}).get("content", {}).items():
            schema = shape["schema"]
            if kind != "application/json" or "$ref" in schema:
                continue
            assert schema["type"] == "object", path
            assert schema.get("additionalProperties") is not True
            for name, field in schema["properties"].items():
                for one in field.get("anyOf", [field]):
                    free = one.get("type") == "string" and not {"enum", "const"} & set(one)
                    bounded = {"maxLength", "format", "pattern"} & set(one)
                    assert not free or bounded, (path, name)


def test_what_a_body_says_in_clear_is_sealed_in_the_command() -> None:
    for verb in (REGISTER, *VERBS):
        for name in verb.clear:
            assert "Personal" in str(verb.command.__annotations__.get(name, "PersonalField"))
        assert "caller_ref" not in verb.body.__struct_fields__
        assert {"id", "now", "actor", "asker", "expected_version"}.isdisjoint(
            verb.body.__struct_fields__
        )
    assert Personal.__slots__


@in_house()
async def test_what_is_shown_of_a_case_is_what_is_described(house: WebHouse) -> None:
    world = World(house)
    planted = await world.plant("tk", "TK", TK, ("note", TK, {"text": "{mark}"}), ("take", TK, {}))
    shown = (await world.client(TK).get(planted.path)).json()
    described = house.app.openapi()["components"]["schemas"]["Case"]
    assert set(shown) == set(described["properties"]) == set(described["required"])


@in_house()
async def test_the_page_about_the_api_is_there_for_people_who_signed_in(house: WebHouse) -> None:
    page = await house.as_(TK).get("/api-docs?lang=en")
    assert page.status_code == 200
    for verb in VERBS:
        assert f"/api/v1/cases/{{authority}}/{{case}}/{verb.name}" in page.text


@in_house()
async def test_another_method_is_a_problem_too(house: WebHouse) -> None:
    answer = await house.as_(TK).put("/api/v1/cases")
    assert answer.status_code == 405
    assert answer.headers["content-type"] == "application/problem+json"


@in_house()
async def test_the_reference_names_every_address_and_every_verb_with_its_fields(
    house: WebHouse,
) -> None:
    page = (ROOT / "docs" / "reference" / "api.md").read_text(encoding="utf-8")
    told = {word for cell in page.split("`") for word in cell.split()}
    verbs = {verb.name for verb in VERBS}
    for _, path, _ in operations(house.app.openapi()):
        last = path.rpartition("/")[2]
        assert path in told or last in verbs or f"…/{last}" in told or f"…{_tail(path)}" in told, (
            path
        )
    for verb in VERBS:
        names = [f for f in verb.body.__struct_fields__ if f != "agent"]
        (row,) = (line for line in page.splitlines() if line.startswith(f"| `{verb.name}` |"))
        assert f"`{verb.command.DEED.value}`" in row
        assert {f"`{name}`" for name in names} <= set(row.replace("?", "").replace(",", "").split())


def _tail(path: str) -> str:
    return path.removeprefix("/api/v1/cases/{authority}/{case}")
