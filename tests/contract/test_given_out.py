"""Copies to give out, retention and the registrar's work, over HTTP."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING
from uuid import uuid4

import pytest
from privacy_world import (
    NUMBER,
    TO_REGISTER,
    WHY,
    closed_case,
    opened_case,
    post,
    registrar,
    texts,
    with_rules,
    worker,
)
from web_house import WebHouse, in_house

from core.cases import CaseDisclosed
from core.personal import ERASED, Personal

if TYPE_CHECKING:
    from core.taxonomy import Directory

WHAT = {"purpose": "Begäran om allmän handling"}


@pytest.mark.requirement("R55")
@in_house()
async def test_a_registrar_registers_a_case_or_keeps_it_unregistered_under_a_rule(
    house: WebHouse,
) -> None:
    one, two = await closed_case(house), await closed_case(house)
    async with house.as_(registrar()) as client:
        done = await post(
            client, f"cases/TK/{one}/registry", outcome="registered", registry_number="TK 2026-117"
        )
        kept = await post(
            client, f"cases/TK/{two}/registry", outcome="kept_unregistered", rule="OSL 5:1 st 4"
        )
        lacking = await post(client, f"cases/TK/{two}/registry", outcome="registered")
        erased = await post(client, "erasures", authority="TK", cases=[two], **WHY)
    async with house.as_(worker()) as client:
        denied = await post(
            client, f"cases/TK/{one}/registry", outcome="registered", registry_number="1"
        )
    assert (done.status_code, kept.status_code, erased.status_code) == (200, 200, 200)
    assert (lacking.status_code, denied.status_code) == (422, 403)
    assert set(texts(house, two)) == {ERASED}


@in_house()
async def test_a_copy_is_numbered_recorded_and_looked_at(house: WebHouse) -> None:
    case = await closed_case(house)
    masks = {"numbers": "OSL 21:3", "words": "OSL 21:1"}
    async with house.as_(registrar()) as client:
        first = await post(
            client, f"cases/TK/{case}/disclose", **WHAT, recipient="Tidningen Exempel",
            mask=masks, words=["Exempelsson"],
        )  # fmt: skip
        second = await post(client, f"cases/TK/{case}/disclose", **WHAT)
    assert first.status_code == 200, first.text
    told = first.json()
    assert "Exempelsson" not in str(told["rows"])
    assert NUMBER[-6:] not in str(told["rows"])
    assert {m["mask"] for m in told["masked"]} == {"numbers", "words"}
    assert (told["number"][-3:], second.json()["number"][-3:]) == ("-U1", "-U2")

    recorded = [r.event for r in house.node.load(f"case/TK/{case}")]
    (disclosed, _) = [event for event in recorded if isinstance(event, CaseDisclosed)]
    assert disclosed.recipient == Personal("Tidningen Exempel", f"case/TK/{case}")
    assert any(line.startswith("1.text words: OSL 21:1") for line in disclosed.masked)
    looks = [r.event for r in house.node.load("look/house")]
    assert [(look.who, look.purpose) for look in looks[-2:]] == [("rut", "disclosure")] * 2  # type: ignore[attr-defined]


@in_house()
async def test_a_copy_as_a_page_shows_markup_as_text(house: WebHouse) -> None:
    nasty = "<script>alert(1)</script> & \"Åsa\" 'ö' </td> \u202e\u0000\U0001f4a9".replace(
        "\x00", ""
    )
    case = await closed_case(house, text=nasty, title="<b>rubrik</b>")
    async with house.as_(registrar()) as client:
        page = await client.post(
            f"/api/v1/cases/TK/{case}/disclose",
            json=WHAT,
            headers={"Idempotency-Key": uuid4().hex, "Accept": "text/html"},
        )
    assert page.headers["content-type"].startswith("text/html")
    assert "<script" not in page.text
    assert "&lt;script&gt;alert(1)&lt;/script&gt; &amp; &quot;Åsa&quot;" in page.text
    assert "&lt;b&gt;rubrik&lt;/b&gt;" in page.text
    assert page.headers["content-disposition"] == 'attachment; filename="disclosure.html"'


@in_house()
async def test_a_repeat_gives_the_same_copy_and_records_it_once(house: WebHouse) -> None:
    case = await closed_case(house)
    key = {"Idempotency-Key": "copy"}
    path = f"/api/v1/cases/TK/{case}/disclose"
    async with house.as_(registrar()) as client:
        copies = [(await client.post(path, json=WHAT, headers=key)).json() for _ in range(2)]
        other = await client.post(path, json={"purpose": "another"}, headers=key)
    assert copies[0] == copies[1]
    assert other.status_code == 409
    events = [r.event for r in house.node.load(f"case/TK/{case}")]
    assert sum(isinstance(event, CaseDisclosed) for event in events) == 1


@in_house()
async def test_only_the_owners_registrar_gives_out_and_strangers_learn_nothing(
    house: WebHouse,
) -> None:
    case, protected = await closed_case(house), await closed_case(house, protected=True)
    async with house.as_(registrar("MF", "mia")) as client:
        answers = [await post(client, f"cases/TK/{c}/disclose", **WHAT) for c in (case, "never")]
    async with house.as_(registrar()) as client:
        hidden = await post(client, f"cases/TK/{protected}/disclose", **WHAT)
    async with house.as_(worker()) as client:
        denied = await post(client, f"cases/TK/{case}/disclose", **WHAT)
    assert {a.status_code for a in (*answers, hidden)} == {404}
    assert answers[0].json() == answers[1].json() == hidden.json()
    assert denied.status_code == 403


@in_house()
async def test_a_protected_case_goes_out_masked_even_by_whoever_may_open_it(
    house: WebHouse,
) -> None:
    case = await closed_case(house, protected=True)
    async with house.as_(registrar(protected=True)) as client:
        copy = await post(client, f"cases/TK/{case}/disclose", **WHAT)
    assert copy.status_code == 200, copy.text
    assert "Exempelsson" not in copy.text
    assert {m["mask"] for m in copy.json()["masked"]} == {"protected"}


@pytest.mark.parametrize("length", [20_000, 20_001, 100_000])
def test_long_text_is_kept_whole_or_refused_with_its_limit(
    length: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    @in_house()
    async def run(house: WebHouse) -> None:
        text = ("å€𝄞\u2028" * length)[:length]
        async with house.as_(worker()) as client:
            answer = await post(client, "cases", authority="TK", text=text)
        if length > 20_000:
            assert answer.status_code == 422
            assert "20000" in answer.text
            return
        assert answer.status_code == 200, answer.text
        (kept,) = texts(house, answer.json()["case"])
        assert kept.value == text

    run(tmp_path=tmp_path_factory.mktemp("house"))


# --- retention ------------------------------------------------------------------------------------
RULE = {"id": "plan_4_2", "authority": "TK", "months": 24, "rule": "Plan 4.2", "what": "erase"}


def city_with_rule() -> Directory:
    return with_rules(RULE)


async def register(house: WebHouse, case: str) -> None:
    async with house.as_(registrar()) as client:
        answer = await post(
            client, f"cases/TK/{case}/registry", outcome="kept_unregistered", rule="OSL 5:1"
        )
        assert answer.status_code == 200


@in_house()
async def test_rules_propose_and_nothing_is_erased_until_somebody_decides(
    house: WebHouse,
) -> None:
    old, unregistered = await closed_case(house), await closed_case(house, kind=TO_REGISTER)
    protected = await closed_case(house, protected=True)
    still_open = await opened_case(house)
    await register(house, old)
    house.clock.forward(timedelta(days=800).total_seconds())
    young = await closed_case(house)
    object.__setattr__(house.privacy.around, "directory", city_with_rule)

    async with house.as_(registrar()) as client:
        proposed = (await client.get("/api/v1/retention/TK")).json()["proposals"]
        assert {(p["case"], p["lacks"]) for p in proposed} == {
            (old, None), (unregistered, "registry"),
        }  # fmt: skip
        assert ERASED not in texts(house, old)
        body = {"rule": "plan_4_2", "reference": "Beslut 9", "purpose": "Gallring"}
        early = await post(client, "retention/TK/decide", **body, cases=[unregistered])
        decided = await post(client, "retention/TK/decide", **body)
        again = await post(client, "retention/TK/decide", **body)
    async with house.as_(worker()) as client:
        assert (await client.get("/api/v1/retention/TK")).status_code == 403
    async with house.as_(registrar("MF", "mia")) as client:
        assert (await client.get("/api/v1/retention/TK")).status_code == 404

    assert early.status_code == 422
    assert decided.status_code == 200, decided.text
    assert (decided.json()["rule"], decided.json()["cases"]) == ("plan_4_2: Plan 4.2", 1)
    assert again.status_code == 404
    assert set(texts(house, old)) == {ERASED}
    for case in (unregistered, protected, still_open, young):
        assert ERASED not in texts(house, case)
