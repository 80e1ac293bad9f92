from __future__ import annotations

import pytest
from generated import generated
from project import ROOT
from requirements_page import SECTIONS, TITLES, shown_by


@pytest.mark.parametrize("path", [str(p.relative_to(ROOT)) for p in generated()])
def test_what_is_made_from_other_files_is_up_to_date(path: str) -> None:
    kept = (ROOT / path).read_text(encoding="utf-8")
    assert kept == generated()[ROOT / path], "run `make docs`"


def test_the_page_has_each_of_sixty_requirements_once() -> None:
    assert [*TITLES] == [n for _, numbers in SECTIONS for n in numbers] == [*range(1, 61)]
    assert len(set(TITLES.values())) == len(TITLES)


def test_no_marker_names_a_requirement_that_does_not_exist() -> None:
    assert set(shown_by(ROOT / "tests")) == set(TITLES)
