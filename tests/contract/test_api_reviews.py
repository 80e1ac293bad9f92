"""Review items over HTTP and on the command line: who sees which, and how they are closed."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any
from uuid import UUID

import pytest
from cli_here import kc, kc_json, with_accounts
from cli_process import Running
from given import officer
from web_house import NOON, WebHouse, in_house

from core.access import Asker, Grant, Role
from core.calls import CallEnded
from core.cases import CaseClosed, CaseProtected, CaseRegistered
from core.commit import Draft, Happened, import_id
from core.reviews import ReviewOpened, review_id, review_stream
from core.vocabulary import case_stream
from kontaktcenter.reviewing import Reviewing
from projections.review_queries import ReviewsQuery, reviews_of, waiting

if TYPE_CHECKING:
    from pathlib import Path

    from core.commit import Event

LEAD = Asker("lena", (Grant(Role.SHIFT_LEAD),))
ALL = "/api/v1/reviews"
CASES = "/api/v1/reviews/cases"


async def planted(house: WebHouse) -> None:
    """An odd call, an odd case of TK and of MF, and one of TK that is protected."""
    odd: list[tuple[str, tuple[Event, ...]]] = [
        ("call/x/1", (CallEnded("avfall", "anna", "agent"),)),
        (case_stream("TK", "1"), _odd_case("TK")),
        (case_stream("MF", "2"), _odd_case("MF")),
        (case_stream("TK", "3"), (*_odd_case("TK"), CaseProtected("olle"))),
    ]
    await house.node.propose_many([_fact(stream, *events) for stream, events in odd])
    reviewing = Reviewing(house.node, house.clock, house.folder / "reviews.seen")
    await house.node.settle()
    while not await reviewing.step():
        pass
    await house.caught_up()


def _odd_case(authority: str) -> tuple[Event, ...]:
    registered = CaseRegistered(f"{authority}-NUMMER", authority, "anna", "phone")
    return registered, CaseClosed("solved", "anna")


def _fact(stream: str, *events: Event, name: str = "") -> Draft:
    happened = tuple(Happened(stream, event, NOON) for event in events)
    key = stream + name
    return Draft(import_id("test", key), key, "anna", "import:test", happened)


async def _seen(house: WebHouse, asker: Asker, path: str) -> list[str]:
    answer = await house.as_(asker).get(path)
    assert answer.status_code == 200, answer.text
    return [item["about"] for item in answer.json()["reviews"]]


async def _close(house: WebHouse, asker: Asker, path: str, key: str = "1", **body: Any) -> Any:
    return await house.as_(asker).post(
        path, json={"outcome": "corrected", **body}, headers={"Idempotency-Key": key}
    )


@pytest.mark.requirement("R53", "R54")
@in_house()
async def test_each_sees_what_is_his_to_review(house: WebHouse) -> None:
    await planted(house)
    assert await _seen(house, LEAD, ALL) == ["call/x/1"]
    assert await _seen(house, officer("TK"), CASES) == ["case/TK/1"]
    assert await _seen(house, officer("MF"), CASES) == ["case/MF/2"]
    both = await _seen(house, officer("TK", protected=True), CASES)
    assert sorted(both) == ["case/TK/1", "case/TK/3"]
    for asker, path in ((LEAD, CASES), (officer("TK"), ALL)):
        assert (await house.as_(asker).get(path)).status_code == 403
    assert (await house.nobody().get(ALL)).status_code == 401


@in_house()
async def test_an_item_is_closed_once_and_then_no_longer_waits(house: WebHouse) -> None:
    await planted(house)
    item = (await house.as_(LEAD).get(ALL)).json()["reviews"][0]
    assert item["reason"] == "somebody acted on it while unknown"
    assert (item["event"], item["version"], item["outcome"]) == ("call.ended", 1, None)
    path = f"{ALL}/{item['id']}/close"
    answer = await _close(house, LEAD, path)
    assert answer.json()["events"] == ["review.closed"], answer.text
    assert (await _close(house, LEAD, path)).json()["status"] == "accepted"  # the same key again
    assert (await _close(house, LEAD, path, "2")).json()["status"] == "nothing_to_do"
    again = await _close(house, LEAD, path, "3", outcome="mistaken")
    assert again.status_code == 409
    await house.caught_up()
    assert await _seen(house, LEAD, ALL) == []
    (closed,) = (await house.as_(LEAD).get(f"{ALL}?state=closed")).json()["reviews"]
    assert (closed["closed_by"], closed["outcome"]) == ("lena", "corrected")


@pytest.mark.requirement("R53")
@in_house()
async def test_what_is_not_in_sight_is_answered_as_what_never_was(house: WebHouse) -> None:
    await planted(house)
    never = await _close(house, officer("TK"), f"{CASES}/{UUID(int=7)}/close")
    assert never.status_code == 404
    for stream in (case_stream("MF", "2"), case_stream("TK", "3"), "call/x/1"):
        item = str(review_id(stream, 1 if stream.startswith("call") else 2))
        found = await _close(house, officer("TK"), f"{CASES}/{item}/close")
        assert (found.status_code, found.content) == (never.status_code, never.content), stream
    case = review_id(case_stream("TK", "1"), 2)
    assert (await _close(house, LEAD, f"{ALL}/{case}/close")).status_code == 404
    assert len(house.node.load(review_stream(str(case)))) == 1
    done = await _close(house, officer("TK"), f"{CASES}/{case}/close", note="Stängd igen")
    assert done.status_code == 200, done.text
    assert "Stängd" not in repr(house.node.read("centre/0", 0, 10_000))


@in_house()
async def test_pages_go_on_where_they_ended(house: WebHouse) -> None:
    opened = [
        _fact(review_stream(str(UUID(int=n))),
              ReviewOpened("fork", f"call/x/{n}", "calls/0", "call.ended", "twice"))
        for n in range(1, 8)
    ]  # fmt: skip
    await house.node.propose_many(opened)
    await house.caught_up()
    seen: list[str] = []
    after = ""
    for _ in range(4):
        page = (await house.as_(LEAD).get(f"{ALL}?limit=2{after}")).json()
        seen += [item["about"] for item in page["reviews"]]
        after = f"&after={page['next']}"
    assert seen == [f"call/x/{n}" for n in range(1, 8)]
    assert page["next"] is None
    for question in ("after=x", "state=nosuch", "limit=0", "nosuch=1"):
        assert (await house.as_(LEAD).get(f"{ALL}?{question}")).status_code == 422, question


@in_house()
async def test_what_anybody_may_know_is_how_many_wait_that_are_not_about_cases(
    house: WebHouse,
) -> None:
    await planted(house)
    models = house.app.state.feed._services.read_models
    assert waiting(models) == 1
    assert (await house.as_(LEAD).get("/api/v1/queues")).json()["reviews"] == 1
    assert "en uppgift att granska" in (await house.as_(LEAD).get("/?lang=sv")).text
    assert len(reviews_of(models, ReviewsQuery())["reviews"]) == 1


@in_house()
async def test_a_case_that_is_protected_later_goes_out_of_sight(house: WebHouse) -> None:
    await planted(house)
    protect = _fact(case_stream("TK", "1"), CaseProtected("olle"), name="later")
    await house.node.propose(protect)
    await house.caught_up()
    assert await _seen(house, officer("TK"), CASES) == []
    item = review_id(case_stream("TK", "1"), 2)
    assert (await _close(house, officer("TK"), f"{CASES}/{item}/close")).status_code == 404


def test_items_are_listed_shown_and_closed_on_the_command_line(tmp_path: Path) -> None:
    with_accounts(tmp_path, {"adam": ("administrator",), "lena": ("shift_lead",),
                             "karin": ("communicator",)})  # fmt: skip
    odd = tmp_path / "odd"
    odd.write_text("1763794800|9.1|avfall|Agent/bo|COMPLETEAGENT|1|2|1\n")
    kc(tmp_path, "import", "queue-log", odd, "--exchange", "other")
    assert kc_json(tmp_path, "review", "list", "--as", "lena") == {"reviews": [], "more": False}
    with Running(tmp_path, "serve", "--port", 0, "--data", tmp_path / "data") as serving:
        serving.address()
        until = time.monotonic() + 60
        while not (found := kc_json(tmp_path, "review", "list", "--as", "lena")["reviews"]):
            assert time.monotonic() < until, "nobody opened it"
        (item,) = found
        assert item["about"] == "call/other/9.1"
        assert "Agent/bo" not in item["reason"]
        told = kc(tmp_path, "doctor", code=3).stdout
        assert "review items" in told
        assert "1 to review" in told
        shown = kc(tmp_path, "review", "show", item["id"], "--as", "lena").stdout
        assert "call.ended" in shown
        close = ("review", "close", item["id"], "--as", "lena", "--outcome")
        assert (
            "sealed with the case"
            in kc(tmp_path, *close, "mistaken", "--note", "fel", code=2).stderr
        )
        assert "closed: mistaken" in kc(tmp_path, *close, "mistaken").stdout
        assert "closed so before" in kc(tmp_path, *close, "mistaken").stdout
        assert kc(tmp_path, *close, "corrected", code=1).stderr
        serving.stop()
    listed = kc(tmp_path, "review", "list", "--as", "adam", "--state", "all").stdout
    assert "1 to review" in listed
    assert "mistaken" in listed
    assert "may not do this" in kc(tmp_path, "review", "list", "--as", "karin", code=1).stderr
    unknown = kc(tmp_path, "review", "show", str(UUID(int=1)), "--as", "lena", code=1).stderr
    assert "no such review item" in unknown
