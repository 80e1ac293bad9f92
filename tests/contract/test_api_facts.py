"""Facts over HTTP: taken in once, each by itself, and nothing kept that must not be kept."""

from __future__ import annotations

import asyncio
import json
from datetime import timedelta
from typing import Any

import msgspec
import pytest
from given import city
from web_house import AUTH, EXCHANGE, NOON, WebHouse, fact, in_house

from core.calls import KINDS, CallQueued
from core.commit import telephony_id, telephony_key
from core.limits import BODY_BYTES_MAX, FACTS_BATCH_MAX
from core.vocabulary import call_stream
from telephony.kinds import key_of as telephony_key_of
from telephony.queue_log import import_files
from webdesk.fact_shapes import Fact, key_of, to_event

CALL = call_stream(EXCHANGE, "1700000000.1")
S = timedelta(seconds=1)
# One of each kind, as an adapter would send it.
DATA: dict[str, dict[str, Any]] = {
    "offered": {"channel": "phone", "dialled": "08-465 004 03"},
    "queued": {"caller": "0700000001", "place": 3},
    "not_taken": {"reason": "no_answer", "ring_s": 8.0},
    "answered": {"wait_s": 12.5},
    "transferred": {"how": "blind", "to": "4711"},
    "deflected": {"message": "storm"},
    "diverted": {"to": "4711"},
    "left": {"how": "empty"},
    "callback_made": {"reached": True},
    "ended": {"by": "caller", "talk_s": 60},
    "wrapped_up": {"outcome": "solved"},
    "noted": {"name": "CONFIGRELOAD", "parameters": ["17"]},
}


@pytest.mark.requirement("R2")
@in_house()
async def test_a_fact_is_taken_in_once_however_often_it_is_sent(house: WebHouse) -> None:
    (first,) = await house.results(fact("queued"))
    (second,) = await house.results(fact("queued"))
    assert first["status"] == "accepted"
    assert second["status"] == "duplicate"
    assert second["position"] == first["position"]
    assert second["commit_id"] == first["commit_id"]
    assert len(house.node.load(CALL)) == 1


@in_house()
async def test_a_fact_with_its_number_is_a_duplicate_by_its_id(house: WebHouse) -> None:
    sent = fact("queued", n=1)
    assert [r["status"] for r in await house.results(sent)] == ["accepted"]
    assert [r["status"] for r in await house.results(sent)] == ["duplicate"]
    id_ = telephony_id(telephony_key(EXCHANGE, "1700000000.1", "avfall", "call.queued", "NONE", 1))
    assert house.node.load(CALL)[0].commit_id == id_


@in_house()
async def test_the_same_thing_later_in_the_call_is_the_next_fact(house: WebHouse) -> None:
    results = await house.results(
        fact("queued"), fact("queued"), fact("queued", NOON + 60 * S), fact("queued", NOON + 90 * S)
    )
    assert [r["status"] for r in results] == ["accepted", "duplicate", "accepted", "accepted"]
    again = await house.results(fact("queued", NOON + 60 * S))
    assert [r["status"] for r in again] == ["duplicate"]
    assert len(house.node.load(CALL)) == 3


@in_house()
async def test_a_live_telling_and_a_logged_one_of_a_fact_are_one(house: WebHouse) -> None:
    await house.results(fact("queued", NOON + 0.4 * S))
    (again,) = await house.results(fact("queued", NOON))
    assert again["status"] == "duplicate"


@in_house()
async def test_a_number_that_another_fact_has_is_not_used_again(house: WebHouse) -> None:
    await house.results(fact("queued", NOON + 300 * S, n=2))
    (result,) = await house.results(fact("queued"))
    assert result["status"] == "accepted"
    assert len(house.node.load(CALL)) == 2


@in_house()
async def test_ten_tellings_at_once_are_one_fact(house: WebHouse) -> None:
    answers = await asyncio.gather(*(house.results(fact("queued")) for _ in range(10)))
    assert sorted(r["status"] for (r,) in answers) == ["accepted", *["duplicate"] * 9]
    assert len(house.node.load(CALL)) == 1


@in_house()
async def test_six_different_facts_at_once_are_six(house: WebHouse) -> None:
    sent = [fact("queued", NOON + n * 60 * S) for n in range(6)]
    answers = await asyncio.gather(*(house.results(one) for one in sent))
    assert {r["status"] for (r,) in answers} == {"accepted"}
    assert len(house.node.load(CALL)) == 6
    again = await house.results(*sent)
    assert {r["status"] for r in again} == {"duplicate"}


@in_house()
async def test_a_call_told_live_and_imported_later_counts_once(
    house: WebHouse,
) -> None:
    epoch = int(NOON.timestamp())
    rows = (
        f"{epoch}|1700000000.1|avfall|NONE|ENTERQUEUE||0700000001|1",
        f"{epoch + 9}|1700000000.1|avfall|Anna|CONNECT|9|1700000000.2|3",
        f"{epoch + 69}|1700000000.1|avfall|Anna|COMPLETECALLER|9|60|1",
    )
    log = house.folder / "queue_log"
    log.write_text("\n".join(rows) + "\n")
    told = [
        fact("queued", data={"caller": "0700000001", "place": 1}),
        fact("answered", NOON + 9 * S, member="Anna", data={"wait_s": 9, "ring_s": 3}),
        fact(
            "ended", NOON + 69 * S, member="Anna", data={"by": "caller", "wait_s": 9, "talk_s": 60}
        ),
    ]
    assert {r["status"] for r in await house.results(*told)} == {"accepted"}
    report = await import_files(house.node, [log], EXCHANGE, city())
    assert (report.facts, report.already_known) == (0, 3)
    assert {r["status"] for r in await house.results(*told)} == {"duplicate"}
    assert len(house.node.load(CALL)) == 3


@in_house()
async def test_a_bad_fact_never_blocks_the_others(house: WebHouse) -> None:
    results = await house.results(
        fact("queued"),
        fact("telepathy"),
        fact("answered"),  # no member
        fact("answered", member="Anna", data={"wait_s": -1}),
        fact("queued", uniqueid="a/b"),
        fact("queued", occurred_at="2026-11-22T12:00:00"),
        fact("queued", occurred_at="1926-11-22T12:00:00Z"),
        fact("queued", colour="red"),
        fact("ended", member="Anna", data={"by": "nobody"}),
        fact("answered", member="Anna", data={"wait_s": 9}),
    )
    assert [r["status"] for r in results] == ["accepted", *["invalid"] * 8, "accepted"]
    assert all(r["reason"] for r in results[1:-1])
    assert all(r["position"] is None for r in results[1:-1])


@in_house()
async def test_a_batch_may_hold_anything_but_objects_too(house: WebHouse) -> None:
    body: dict[str, Any] = {"facts": [5, None, "x", [], {}, fact("queued")]}
    answer = await house.client.post("/api/v1/calls/facts", json=body, headers=AUTH)
    assert [r["status"] for r in answer.json()["results"]] == [*["invalid"] * 5, "accepted"]


@in_house()
async def test_every_kind_of_fact_can_be_sent(house: WebHouse) -> None:
    sent = [
        fact(kind, NOON + n * S, member="Anna", data=DATA.get(kind, {}))
        for n, kind in enumerate(KINDS)
    ]
    results = await house.results(*sent)
    assert {r["status"] for r in results} == {"accepted"}, results
    assert [type(r.event) for r in house.node.load(CALL)] == list(KINDS.values())


def test_the_api_and_the_telephone_adapter_make_the_same_key_of_every_kind() -> None:
    for kind, event_class in KINDS.items():
        raw = msgspec.Raw(json.dumps(DATA.get(kind, {})).encode())
        sent = Fact(EXCHANGE, "1.1", kind, NOON, "avfall", "Anna", None, raw)
        event = to_event(sent, city(), lambda number: f"ref-{number[-2:]}")
        assert isinstance(event, event_class)
        ours = key_of(event)
        assert telephony_key_of(event) == f"{ours.queue}/{ours.kind}/{ours.member}"


@pytest.mark.requirement("R11")
@in_house()
async def test_of_an_excluded_group_no_number_hash_or_text_is_kept(house: WebHouse) -> None:
    group = next(group for group in city().groups.values() if group.excluded)
    sent = [
        fact("queued", queue=group.queue, data={"caller": "0700000002"}),
        fact("transferred", queue=group.queue, member="Anna", data={"how": "warm", "to": "4711"}),
        fact("noted", queue=group.queue, data={"name": "X", "parameters": ["17", "hemligt"]}),
    ]
    assert {r["status"] for r in await house.results(*sent)} == {"accepted"}
    for recorded in house.node.load(CALL):
        told = vars(recorded.event)
        assert told.get("caller") is None
        assert told.get("caller_ref") is None
        assert told.get("to") is None
        assert told.get("parameters") in {None, ()}


@in_house()
async def test_a_caller_is_sealed_and_a_number_elsewhere_is_left_out(house: WebHouse) -> None:
    await house.results(
        fact("queued", data={"caller": "0700000003"}),
        fact("noted", data={"name": "AGENTDUMP", "parameters": ["0700000003", "Anna", "12"]}),
        fact("transferred", member="Anna", data={"how": "blind", "to": "0700000003"}),
        fact("answered", member="Local/0700000003@agents"),
    )
    (queued, noted, transferred, answered) = [r.event for r in house.node.load(CALL)]
    assert isinstance(queued, CallQueued)
    assert queued.caller_ref == house.node.caller_ref("0700000003")
    assert vars(noted)["parameters"] == ("", "", "12")
    assert vars(transferred)["to"] is None
    assert "0700000003" not in vars(answered)["agent"]
    await house.node.settle()
    raw = b"".join(
        bytes(e.data) for c in house.node.read("calls/0", 0, 99) for e in c.commit.events
    )
    assert b"0700000003" not in raw


@in_house()
async def test_a_caller_whose_way_in_is_unknown_is_not_kept(house: WebHouse) -> None:
    await house.results(
        fact("offered", queue=None, data={"channel": "phone", "caller": "0700000004"})
    )
    assert vars(house.node.load(CALL)[0].event)["caller"] is None


@in_house()
async def test_an_unknown_queue_gets_a_group_of_its_own_name(house: WebHouse) -> None:
    await house.results(fact("queued", queue="ny-grupp"))
    (queued,) = [r.event for r in house.node.load(CALL)]
    assert isinstance(queued, CallQueued)
    assert (queued.group, queued.group_known) == ("ny-grupp", False)


@in_house()
async def test_without_the_token_nothing_is_taken_in(house: WebHouse) -> None:
    for headers, status in (
        ({}, 401),
        ({"Authorization": "Basic abc"}, 401),
        ({"Authorization": "Bearer "}, 401),
        ({"Authorization": "Bearer another"}, 401),
        ({"Authorization": "Bearer a-token-for-test"}, 401),
    ):
        answer = await house.nobody().post(
            "/api/v1/calls/facts", json={"facts": [fact("queued")]}, headers=headers
        )
        assert answer.status_code == status
        assert answer.headers["content-type"] == "application/problem+json"
        assert ("www-authenticate" in answer.headers) is (status == 401)
    assert not house.node.load(CALL)


@in_house(token=None)
async def test_a_server_without_a_token_takes_nothing_and_says_so(house: WebHouse) -> None:
    answer = await house.facts(fact("queued"))
    assert answer.status_code == 401
    ready = (await house.client.get("/readyz")).json()
    assert ready["status"] == "degraded"
    assert ready["degraded"][0]["part"] == "facts"


@in_house()
async def test_what_is_no_batch_is_told_where_it_is_wrong(house: WebHouse) -> None:
    for body, status in (
        (b"", 422),
        (b"{", 422),
        (b"[]", 422),
        (b'{"facts":{}}', 422),
        (b'{"facts":[],"more":1}', 422),
        (b'{"facts":' + b"[" * 100_000 + b"]" * 100_000 + b"}", 422),
        (b"\xff\xfe", 422),
        (json.dumps({"facts": [1] * (FACTS_BATCH_MAX + 1)}).encode(), 422),
        (b" " * (BODY_BYTES_MAX + 1), 413),
    ):
        answer = await house.client.post(
            "/api/v1/calls/facts",
            content=body,
            headers={**AUTH, "Content-Type": "application/json"},
        )
        assert answer.status_code == status, (body[:20], answer.text[:200])
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.json()["status"] == status


@in_house()
async def test_a_body_without_a_length_is_bounded_too(house: WebHouse) -> None:
    async def endless() -> Any:
        for _ in range(BODY_BYTES_MAX // 65_536 + 2):
            yield b" " * 65_536

    answer = await house.client.post(
        "/api/v1/calls/facts",
        content=endless(),
        headers={**AUTH, "Content-Type": "application/json"},
    )
    assert answer.status_code == 413


@in_house()
async def test_only_json_is_taken(house: WebHouse) -> None:
    answer = await house.client.post(
        "/api/v1/calls/facts", content=b"facts=1", headers={**AUTH, "Content-Type": "text/plain"}
    )
    assert answer.status_code == 415
