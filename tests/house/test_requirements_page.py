from __future__ import annotations

from project import ROOT
from requirements_page import SECTIONS, TITLES, page, shown_by


def test_the_page_of_requirements_is_up_to_date() -> None:
    kept = (ROOT / "docs" / "requirements.md").read_text(encoding="utf-8")
    assert kept == page(ROOT), "run `make docs`"


def test_the_page_has_each_of_sixty_requirements_once() -> None:
    assert [*TITLES] == [n for _, numbers in SECTIONS for n in numbers] == [*range(1, 61)]
    assert len(set(TITLES.values())) == len(TITLES)


def test_no_marker_names_a_requirement_that_does_not_exist() -> None:
    assert set(shown_by(ROOT / "tests")) == set(TITLES)
