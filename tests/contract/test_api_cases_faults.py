"""What goes wrong about a case: two at once, lost replies, and whatever somebody may send."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import pytest
from contract_cases import PATH, PROBLEM, TYPE, Desk
from given import agent, officer
from web_house import WebHouse, in_house

from core.access import Asker, Grant, Role
from core.limits import BODY_BYTES_MAX, TEXT_CHARS_MAX

if TYPE_CHECKING:
    import httpx

# Every kind of character: markup, right to left, joined, wide, none at all, and Swedish.
TEXTS = (
    "Åsa Öberg på Ärlavägen", "<script>alert(1)</script>", "'; DROP TABLE cases; --",
    "مرحبا بالعالم", "👩‍👩‍👧‍👦 🇸🇪", "a\u0300\u0301\u0302", "\u202eomvänd\u202c",
    "rad 1\nrad 2\ttabb\r\n",
    "\u0000\u0001\u001f", "\ufeff\ufffe\uffff", "{{7*7}} ${7*7} %s %n", "\\\"/\b\f", "𝕌𝕟𝕚𝕔𝕠𝕕𝕖" * 10,
    "x" * TEXT_CHARS_MAX, "å" * TEXT_CHARS_MAX,
)  # fmt: skip


@in_house()
async def test_two_officers_take_one_case_and_one_has_it(house: WebHouse) -> None:
    olle, eva = Desk(house, officer("TK")), Desk(house, officer("TK", "eva"))
    path = await olle.register()
    await olle.did(f"{path}/categorise", {"case_type": TYPE})
    answers = await asyncio.gather(
        *(desk.post(f"{path}/take", {}, key="take") for desk in (olle, eva) for _ in range(3))
    )
    told = {answer.content for answer in answers}
    taken = [r for r in house.node.load(f"case{path}") if r.event.TOPIC == "case.taken"]
    assert len(taken) == 1
    assert {answer.status_code for answer in answers} <= {200, 409}
    assert len(told) == 2, "each of them always gets the same answer"
    first = taken[0].event.officer  # type: ignore[attr-defined]
    assert (await olle.case(path))["officer"] == first


@in_house()
async def test_two_who_read_the_same_version_change_it_once(house: WebHouse) -> None:
    olle, eva = Desk(house, officer("TK")), Desk(house, officer("TK", "eva"))
    path = await olle.register()
    answers = await asyncio.gather(
        olle.post(f"{path}/note", {"text": "Olle"}, **{"If-Match": '"1"'}),
        eva.post(f"{path}/note", {"text": "Eva"}, **{"If-Match": '"1"'}),
    )
    assert sorted(answer.status_code for answer in answers) == [200, 412]
    assert len(house.node.load(f"case{path}")) == 2


@in_house()
async def test_a_lost_reply_is_given_again_after_the_case_has_gone_out_of_sight(
    house: WebHouse,
) -> None:
    anna, olle = Desk(house, agent("anna", "tnh_bygg")), Desk(house, officer("TK"))
    path = await anna.register("TK")
    sent = [
        ("", {"authority": "TK"}, "key 1"),
        (f"{path}/note", {"text": "Mer"}, "note"),
        (f"{path}/note", {"text": "Mer"}, "again"),
        (f"{path}/close", {"outcome": "solved"}, "close"),
        (f"{path}/categorise", {"case_type": TYPE}, "type"),
    ]
    first = [await anna.post(where, body, key=key) for where, body, key in sent]
    await olle.did(f"{path}/take", {})
    assert (await anna.get(path)).status_code == 404
    for (where, body, key), answer in zip(sent, first, strict=True):
        repeated = await anna.post(where, body, key=key)
        if answer.status_code == 200:
            assert (repeated.status_code, repeated.content) == (200, answer.content), where
        else:
            assert repeated.status_code in {answer.status_code, 404}
    late = await anna.post(f"{path}/note", {"text": "Ny"}, key="new")
    assert (late.status_code, late.json()["type"]) == (404, f"{PROBLEM}no-such-case")


@in_house()
async def test_a_case_that_becomes_protected_answers_a_repeat_as_before(house: WebHouse) -> None:
    eva = Desk(house, Asker("eva", (Grant(Role.CASE_OFFICER, "TK", protected=True),)))
    path = await eva.register()
    noted = await eva.did(f"{path}/note", {"text": "Före"}, key="note")
    await eva.did(f"{path}/protect", {})
    assert await eva.did(f"{path}/note", {"text": "Före"}, key="note") == noted
    await eva.did(f"{path}/note", {"text": "Efter"})
    subjects = [
        recorded.event.text.subject  # type: ignore[attr-defined]
        for recorded in house.node.load(f"case{path}", protected=True)
        if recorded.event.TOPIC == "case.noted"
    ]
    assert subjects[-1] == f"protected/case{path}"


@in_house()
async def test_a_text_comes_back_as_it_was_written_whatever_it_holds(house: WebHouse) -> None:
    anna = Desk(house, agent("anna"))
    path = await anna.register()
    for text in TEXTS:
        await anna.did(f"{path}/note", {"text": text})
    shown = await anna.case(f"{path}/events")
    assert [e["data"]["text"] for e in shown["events"][1:]] == list(TEXTS)
    answer = await anna.get(path)
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["x-content-type-options"] == "nosniff"


async def raw(desk: Desk, body: bytes, **headers: str) -> httpx.Response:
    desk.keys += 1
    given = {"Content-Type": "application/json", "Idempotency-Key": f"raw {desk.keys}", **headers}
    return await desk.client.post(PATH, content=body, headers=given)


@in_house()
async def test_what_is_too_much_or_no_json_is_refused_in_one_shape(house: WebHouse) -> None:
    anna = Desk(house, agent("anna"))
    secret = "Zqhemlig Zqsson 0700000001"
    too_long = json.dumps({"authority": "TK", "text": secret + "x" * 100_000}).encode()
    bodies: list[tuple[bytes, int]] = [
        (too_long, 422),
        (b" " * (BODY_BYTES_MAX + 1), 413),
        (b"", 422),
        (b"null", 422),
        (b"[" * 100_000, 422),
        (b'{"authority": ' + b"[" * 5_000 + b"]" * 5_000 + b"}", 422),
        (b'{"a":' * 5_000 + b"1" + b"}" * 5_000, 422),
        (b'{"authority": "TK", "protected": 1e999}', 422),
        (b'{"authority": "TK", "text": 99999999999999999999999999999999}', 422),
        (b'{"authority": "TK", "text": "\\ud800"}', 422),
        (b'{"authority": "TK", "text": "\xff\xfe"}', 422),
        (json.dumps({"authority": "TK", secret: 1}).encode(), 422),
        (json.dumps({"authority": "TK", "channel": secret}).encode(), 422),
        (json.dumps({"authority": "TK", "contact": "0700000001"}).encode(), 422),
        (json.dumps({"authority": "TK", "case": "x"}).encode(), 422),
        (json.dumps({"authority": "TK", "number": "TK-1"}).encode(), 422),
        (json.dumps({"authority": "TK", "contact": "call/tnh/1.1"}).encode(), 200),
        (json.dumps({"authority": secret}).encode(), 404),
        (json.dumps({"authority": "TK/../MF"}).encode(), 404),
    ]
    for body, status in bodies:
        answer = await raw(anna, body)
        assert answer.status_code == status, (body[:60], answer.text)
        assert status == 200 or answer.headers["content-type"] == "application/problem+json"
        assert "Zq" not in answer.text, "nothing that was sent comes back"
        assert "0700000001" not in answer.text


@in_house()
async def test_huge_numbers_and_far_times_are_refused_and_never_a_fault(house: WebHouse) -> None:
    anna = Desk(house, agent("anna"))
    path = await anna.register()
    await anna.did(f"{path}/categorise", {"case_type": TYPE})
    for verb, body in (
        ("answer", {"article": "x", "article_version": 2**53 + 1}),
        ("answer", {"article": "x", "article_version": -1}),
        ("answer", {"article": "x", "article_version": 2**53}),
        ("promise-callback", {"promised_at": "9999-12-31T23:59:59-14:00"}),
        ("promise-callback", {"promised_at": "0001-01-01T00:00:00+14:00"}),
        ("promise-callback", {"promised_at": "2026-11-23T08:00:00"}),
        ("promise-callback", {"promised_at": 1e300}),
        ("categorise", {"case_type": "\x00"}),
        ("guide", {"to": " "}),
    ):
        answer = await anna.post(f"{path}/{verb}", body)
        assert answer.status_code in {200, 409, 422}, (body, answer.text)
    await house.caught_up()
    parked = house.runner.parked_count
    assert {name: parked(name) for name in house.runner.names() if parked(name)} == {}
    assert (await anna.get(path)).status_code == 200


@pytest.mark.parametrize("case", ["%00", "x" * 4_000, "%2e%2e", "a%20b", "%F0%9F%91%A9", "'"])
def test_any_address_of_a_case_that_is_not_there_is_one_answer(case: str, tmp_path: Any) -> None:
    @in_house()
    async def ask(house: WebHouse) -> None:
        olle = Desk(house, officer("TK"))
        never = await olle.get("/TK/nosuch")
        for where in (f"/TK/{case}", f"/MF/{case}", f"/{case}/{case}"):
            answer = await olle.get(where)
            assert (answer.status_code, answer.json()["status"]) == (404, 404), where
            assert answer.content == never.content or "%2e" in case

    ask(tmp_path=tmp_path)
