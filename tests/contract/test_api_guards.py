"""What every request passes: host, origin, headers, health, documents, and one shape of errors."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest
import structlog.testing
from web_house import AUTH, NOON, WebHouse, fact, in_house

from core.errors import (
    Corrupt,
    InUse,
    Invalid,
    KontaktcenterError,
    NeedsUpgrade,
    NotFound,
    Refused,
    Stale,
    Unavailable,
    Unknown,
)
from webdesk.problems import problem_of

GETS = (
    "/", "/?lang=en", "/api-docs", "/api/v1/queues", "/api/v1/statistics", "/api/v1/openapi.json",
    "/livez", "/readyz", "/version", "/metrics", "/static/board.css", "/favicon.ico",
)  # fmt: skip


@in_house()
async def test_every_page_answers_with_the_headers_of_a_careful_server(house: WebHouse) -> None:
    for path in GETS:
        answer = await house.client.get(path)
        assert answer.status_code in {200, 308}, (path, answer.text[:200])
        assert answer.headers["content-security-policy"].startswith("default-src 'self'")
        assert "unsafe" not in answer.headers["content-security-policy"]
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["referrer-policy"] == "same-origin"
        assert "cache-control" in answer.headers


@in_house()
async def test_a_page_holds_no_script_or_style_of_its_own(house: WebHouse) -> None:
    for path in ("/", "/api-docs"):
        text = (await house.client.get(path)).text
        assert "<script>" not in text
        assert "<style" not in text
        assert " style=" not in text
        assert " onclick=" not in text
        assert "http://" not in text.replace("http://www.w3.org", "")
        assert "https://" not in text


@in_house(hosts=("kc.example",))
async def test_only_its_own_names_are_answered(house: WebHouse) -> None:
    for host, status in (
        ("localhost", 200),
        ("localhost:8080", 200),
        ("127.0.0.1:8080", 200),
        ("[::1]:8080", 200),
        ("kc.example", 200),
        ("KC.example:443", 200),
        ("evil.example", 421),
        ("127.0.0.1.evil.example", 421),
        ("", 421),
        ("[", 421),
    ):
        answer = await house.client.get("/livez", headers={"Host": host})
        assert answer.status_code == status, host


@in_house()
async def test_another_sites_page_may_not_post(house: WebHouse) -> None:
    for headers, status in (
        ({"Origin": "http://localhost"}, 200),
        ({"Origin": "http://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Sec-Fetch-Site": "same-origin"}, 200),
    ):
        assert (await house.facts(fact("queued"), **headers)).status_code == status, headers


@in_house()
async def test_what_is_not_there_is_a_problem_too(house: WebHouse) -> None:
    for method, path, status in (
        ("GET", "/nowhere", 404),
        ("GET", "/static/../app.py", 404),
        ("GET", "/static/%2e%2e/app.py", 404),
        ("POST", "/api/v1/queues", 405),
        ("GET", "/api/v1/calls/facts", 405),
        ("DELETE", "/", 405),
    ):
        answer = await house.client.request(method, path)
        assert answer.status_code == status, path
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.json()["status"] == status


@in_house()
async def test_a_fault_of_the_program_shows_nothing_of_its_insides(house: WebHouse) -> None:
    @house.app.get("/broken")
    async def broken() -> None:
        raise RuntimeError("secret 0700000001")

    answer = await house.client.get("/broken")
    assert answer.status_code == 500
    assert answer.json()["type"] == "urn:kontaktcenter:problem:unforeseen"
    assert "secret" not in answer.text


@in_house()
async def test_without_read_models_people_get_a_page_and_programs_a_problem(
    house: WebHouse,
) -> None:
    for link in (house.folder / "projections").glob("*.db"):
        link.unlink()
    house.app.state.feed._services.figures._models.close()
    page = await house.client.get("/")
    assert (page.status_code, page.headers["content-type"].split(";")[0]) == (503, "text/html")
    assert "Siffrorna kan inte visas just nu" in page.text
    assert page.headers["retry-after"]
    for path in ("/api/v1/queues", "/api/v1/statistics"):
        answer = await house.client.get(path)
        assert answer.status_code == 503
        assert answer.headers["content-type"] == "application/problem+json"
    assert (await house.client.get("/api/v1/stream")).text == "retry: 2000\n\n"
    ready = (await house.client.get("/readyz")).json()
    assert ready["status"] == "degraded"
    assert ready["degraded"][0]["part"] == "board"
    assert (await house.client.get("/metrics")).status_code == 200
    assert (await house.client.get("/livez")).status_code == 200
    (taken,) = await house.results(fact("queued"))
    assert taken["status"] == "accepted"


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (Refused("no"), 409),
        (Invalid("bad", field="x"), 422),
        (NotFound("none"), 404),
        (Stale("late"), 409),
        (Unavailable("down", neighbour="disk", retry_after_s=7), 503),
        (Unknown("perhaps"), 503),
        (InUse("held"), 503),
        (Corrupt("secret insides"), 500),
        (NeedsUpgrade("newer"), 500),
        (KontaktcenterError("other"), 500),
    ],
)
def test_each_family_of_errors_has_its_status(error: KontaktcenterError, status: int) -> None:
    answer = problem_of(error)
    body = json.loads(bytes(answer.body))
    assert (answer.status_code, body["status"]) == (status, status)
    assert answer.media_type == "application/problem+json"
    assert body["type"].startswith("urn:kontaktcenter:problem:")
    assert ("retry-after" in answer.headers) is (status == 503)
    assert status != 500 or error.message not in body["detail"]


@in_house()
async def test_health_tells_positions_lag_and_what_is_degraded(house: WebHouse) -> None:
    assert (await house.client.get("/livez")).json() == {"status": "alive"}
    ready = (await house.client.get("/readyz")).json()
    assert ready["status"] == "ready"
    assert ready["positions"]["centre/0"] == ready["read_models"]["centre/0"] > 0
    assert ready["lag"] == 0
    assert (await house.client.get("/version")).json()["name"] == "kontaktcenter"


@in_house()
async def test_metrics_count_and_hold_no_person(house: WebHouse) -> None:
    await house.results(fact("queued", NOON - timedelta(seconds=9)), fact("queued", n=1), fact("x"))
    await house.caught_up()
    text = (await house.client.get("/metrics")).text
    assert "calls_waiting 1.0" in text
    assert "projection_lag_commits 0.0" in text
    assert 'facts_total{status="accepted"} 1.0' in text
    assert 'facts_total{status="invalid"} 1.0' in text
    assert 'commits_total{verdict="accepted"} 1.0' in text
    assert "sse_clients 0.0" in text
    assert 'route="/api/v1/calls/facts"' in text


@in_house()
async def test_the_documents_describe_every_route(house: WebHouse) -> None:
    api = (await house.client.get("/api/v1/openapi.json")).json()
    assert api["openapi"].startswith("3.1")
    for path in (
        "/api/v1/queues", "/api/v1/statistics", "/api/v1/stream", "/api/v1/calls/facts",
        "/api/v1/cases", "/livez", "/readyz", "/version", "/metrics",
    ):  # fmt: skip
        assert path in api["paths"]
    assert api["paths"]["/api/v1/calls/facts"]["post"]["requestBody"]
    page = (await house.client.get("/api-docs?lang=en")).text
    assert "/api/v1/calls/facts" in page
    parameters = json.dumps(api)
    assert "personnummer" not in parameters


@in_house()
async def test_the_page_comes_in_the_language_that_was_asked_for(house: WebHouse) -> None:
    for path, accept, language in (
        ("/", "", "sv"),
        ("/?lang=en", "", "en"),
        ("/", "en-GB,en;q=0.9", "sv"),
        ("/?lang=sv", "en", "sv"),
        ("/?lang=xx", "", "sv"),
    ):
        answer = await house.client.get(path, headers={"Accept-Language": accept})
        assert f'<html lang="{language}">' in answer.text
        assert answer.headers["content-language"] == language


@in_house()
async def test_nobody_needs_the_token_to_read_and_nobody_gets_it(house: WebHouse) -> None:
    for path in GETS:
        answer = await house.client.get(path)
        assert AUTH["Authorization"].split()[1] not in answer.text


@in_house()
async def test_the_log_of_requests_names_routes_and_never_what_was_in_them(house: WebHouse) -> None:
    with structlog.testing.capture_logs() as lines:
        await house.client.get("/api/v1/statistics?from=0700000001")
        await house.facts(fact("queued", data={"caller": "0700000001"}))
        await house.client.post(
            "/api/v1/cases/TK/0700000001/close",
            json={"agent": "anna", "outcome": "solved"},
            headers={**AUTH, "Idempotency-Key": "0700000001"},
        )
    assert [line["status"] for line in lines] == [422, 200, 403]
    assert lines[2]["route"] == "/api/v1/cases/{authority}/{case}/close"
    for line in lines:
        assert set(line) == {"event", "log_level", "method", "route", "status", "ms"}
        assert "0700000001" not in str(line)
