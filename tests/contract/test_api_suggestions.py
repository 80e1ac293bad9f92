"""What a caller's words may mean, for whoever registers a case."""

from __future__ import annotations

import pytest
from given import agent
from web_house import WebHouse, in_house


@pytest.mark.requirement("R20")
@in_house()
async def test_a_callers_words_find_the_type_and_the_article(house: WebHouse) -> None:
    asked = {"text": "utebliven hämtning", "limit": 5}
    answer = await house.as_(agent()).post("/api/v1/suggestions", json=asked)
    assert answer.status_code == 200, answer.text
    found = [(row["kind"], row["code"]) for row in answer.json()["rows"]]
    assert ("case_type", "TK-AVF-02") in found
    assert ("article", "A005") in found
    assert len(found) <= 5
    nothing = await house.as_(agent()).post("/api/v1/suggestions", json={"text": "qqqq"})
    assert nothing.json() == {"rows": []}


@in_house()
async def test_words_are_asked_about_by_those_who_signed_in(house: WebHouse) -> None:
    refused = await house.nobody().post("/api/v1/suggestions", json={"text": "sopor"})
    assert refused.status_code == 401
