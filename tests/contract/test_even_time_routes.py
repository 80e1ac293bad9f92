"""What is hidden, what is protected and what never was: one answer, at one even time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from given import agent, city, officer
from web_house import WebHouse, in_house

from core.access import Asker, Grant, Role, conflicts
from core.limits import EVEN_TIME_S
from webdesk.even_time import EvenTime

if TYPE_CHECKING:
    import httpx

pytestmark = pytest.mark.requirement("R54")
CALLER = "0700000007"
AUDITOR = Asker("vera", (Grant(Role.AUDITOR),))


class Watch:
    """A clock that stands at what a route is said to take, and a sleep that only counts."""

    def __init__(self, house: WebHouse) -> None:
        self.s, self.work_s, self.slept = 0.0, 0.0, []  # type: float, float, list[float]
        for middleware in house.app.user_middleware:
            if getattr(middleware.cls, "__name__", "") == EvenTime.__name__:
                middleware.kwargs.update(now_s=self.now_s, sleep=self.sleep)

    def now_s(self) -> float:
        """The second look at it, when the answer is ready, is later by the work."""
        self.s += self.work_s
        return self.s

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.s += seconds

    async def left_s(self, asked: Any) -> tuple[httpx.Response, float | None]:
        """The answer, and how long after the question it left; None where nothing held it."""
        self.slept.clear()
        answer: httpx.Response = await asked
        return answer, round(self.work_s + sum(self.slept), 9) if self.slept else None


async def registered(house: WebHouse, authority: str, **body: Any) -> str:
    key = {"Idempotency-Key": ascii((authority, body))}
    answer = await house.as_(agent()).post(
        "/api/v1/cases", json={"authority": authority, "caller": CALLER, **body}, headers=key
    )
    assert answer.status_code == 200, answer.text
    case: str = answer.json()["case"]
    return case


@in_house()
async def test_the_hidden_the_protected_and_what_never_was_are_answered_alike(
    house: WebHouse,
) -> None:
    watch = Watch(house)
    one, two = sorted(min(conflicts(city()), key=sorted))
    hidden = await registered(house, two, text="theirs")
    protected = await registered(house, one, text="Greta", protected=True)
    await house.caught_up()
    client = house.as_(officer(one))
    questions = [
        (f"{two}/{hidden}", 0.001), (f"{one}/{protected}", 0.03), (f"{one}/{'f' * 16}", 0.0),
        (f"{two}/{'f' * 16}", 0.049), ("NOSUCH/1", 0.01),
    ]  # fmt: skip
    for rest in ("", "/events", "/attachments"):
        answers = []
        for place, watch.work_s in questions:
            answer, left_s = await watch.left_s(client.get(f"/api/v1/cases/{place}{rest}"))
            assert left_s == EVEN_TIME_S, place
            answers.append((answer.status_code, answer.content, sorted(answer.headers.items())))
        assert answers == [answers[0]] * len(questions)
    for place, watch.work_s in questions:
        answer, left_s = await watch.left_s(
            client.post(f"/api/v1/cases/{place}/take", json={}, headers={"Idempotency-Key": place})
        )
        assert answer.status_code == 404, place
        assert left_s == EVEN_TIME_S, place


@in_house()
async def test_searches_leave_at_an_even_time_with_hits_and_without(house: WebHouse) -> None:
    watch = Watch(house)
    await registered(house, "TK", title="Lampan blinkar")
    await registered(house, "TK", title="Greta Gömd", protected=True)
    await house.caught_up()
    rut = Asker("rut", (Grant(Role.REGISTRAR, "TK"),))
    watch.work_s = 0.02
    for asker, path, body in (
        (officer(), "cases/search", {"text": "Lampan"}),
        (officer(), "cases/search", {"text": "Greta"}),
        (officer(), "cases/search", {"text": "finns inte"}),
        (officer(), "cases/history", {"number": CALLER}),
        (officer(), "cases/history", {"number": "0700000009"}),
        (rut, "people/everything", {"number": CALLER}),
        (rut, "people/everything", {"number": "0700000009"}),
        (AUDITOR, "looks/search", {"number": CALLER}),
        (AUDITOR, "looks/search", {"number": "0700000009"}),
    ):
        asked = house.as_(asker).post(f"/api/v1/{path}", json=body)
        answer, left_s = await watch.left_s(asked)
        assert answer.status_code == 200, answer.text
        assert left_s == EVEN_TIME_S, (path, body)
