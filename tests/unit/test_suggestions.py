"""What a caller's words may mean: types and articles, parts of words, dots and no dots."""

from __future__ import annotations

import pytest
from given import city

from core.directory import Directory
from core.entries import EntrySet
from projections.suggestions import suggestions


def small() -> Directory:
    def a_type(code: str, name: str, **more: object) -> EntrySet:
        return EntrySet("case_type", code, {"name": name, "authority": "TK", **more})

    fields: dict[str, object] = {
        "title": "När hämtas julgranen?", "body": "Grovsopor och granar i januari.", "owner": "TK",
        "case_types": ["T1"],
    }  # fmt: skip
    return Directory.of(
        [
            a_type("T1", "Fråga om avfall"),
            a_type("T2", "Trygghetslarm"),
            a_type("T3", "Larm"),
            a_type("T4", "Lång kö"),
            a_type("T5", "Ko på vägen"),
            EntrySet("authority", "SOC", {"name": "Socialtjänst", "excluded": True}),
            EntrySet("case_type", "T6", {"name": "Försörjningsstöd", "authority": "SOC"}),
            EntrySet("article", "A1", fields),
        ]
    )


def codes(text: str) -> list[str]:
    return [one.code for one in suggestions(small(), text)]


@pytest.mark.requirement("R20")
def test_words_of_an_article_find_it_and_the_type_that_it_belongs_to() -> None:
    assert codes("julgran") == ["A1", "T1"]
    assert codes("grovsopor") == ["T1", "A1"]
    (article,) = [one for one in suggestions(small(), "julgran") if one.kind == "article"]
    assert (article.case_types, article.authority) == (("T1",), "TK")
    assert article.as_json()["case_types"] == ["T1"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [("larm", ["T3", "T2"]), ("kö", ["T4"]), ("ko", ["T5", "T4"]), ("frag avf", ["T1"]), ("", []),
     ("***", []), ("x", []), ("larm xyz", [])],
)  # fmt: skip
def test_a_word_is_a_word_then_its_beginning_then_a_part_then_without_dots(
    text: str, expected: list[str]
) -> None:
    assert codes(text) == expected


@pytest.mark.requirement("R11")
def test_an_excluded_area_is_recognised() -> None:
    (found,) = suggestions(small(), "försörjning")
    assert (found.code, found.excluded) == ("T6", True)


def test_every_type_of_the_city_is_found_by_its_own_name() -> None:
    for code in city().rows("case_type"):
        found = city().case_type(code)
        assert found is not None
        assert code in [one.code for one in suggestions(city(), found.name)]
