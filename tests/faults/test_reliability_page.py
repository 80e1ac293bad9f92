"""The page on reliability names tests that are there, and every fault test stands on it."""

from __future__ import annotations

import re

from project import ROOT

PAGE = (ROOT / "docs" / "reliability.md").read_text(encoding="utf-8")


def names_in(pattern: str) -> set[str]:
    found: set[str] = set()
    for path in (ROOT / "tests").glob(pattern):
        found.update(
            re.findall(r"^(?:async )?def (test_\w+)", path.read_text("utf-8"), re.MULTILINE)
        )
    return found


def test_every_test_that_the_page_names_is_there() -> None:
    assert set(re.findall(r"`(test_\w+)`", PAGE)) - names_in("**/test_*.py") == set()


def test_every_fault_of_the_log_stands_on_the_page() -> None:
    ours = names_in("faults/test_[!r]*.py")
    exempt = {  # they show how the tests themselves are made, or a neighbour of a row
        "test_a_node_that_ends_by_itself_has_answered_everything",
        "test_a_clock_at_the_end_of_time_is_still_a_clock",
    }
    assert ours - exempt - set(re.findall(r"`(test_\w+)`", PAGE)) == set()
