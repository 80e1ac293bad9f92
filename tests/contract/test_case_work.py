"""Work lists: whose turn it is by the chain, what is awaited, and pages of them."""

from __future__ import annotations

import hashlib
from dataclasses import fields
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from case_world import a_type, of_case, opened, seeing, typed
from figures_world import NOW, Figures, figures_at

from core import case_parts
from core.case_state import CaseState
from core.cases import (
    CallbackKept,
    CallbackPromised,
    CaseAnswered,
    CaseClosed,
    CaseEscalated,
    CaseHandedOver,
    CaseRegistered,
    CaseTaken,
    ComplaintReceiptNoted,
    ComplaintSent,
    HandoverReceiptNoted,
    HandoverSilent,
)
from core.errors import Invalid
from core.personal import Personal
from projections.case_standing import Standing, follow
from projections.case_wait_queries import WaitQuery, silences, waiting
from projections.case_work import CaseWork
from projections.case_work_queries import WorkQuery, my_registered, work_counts, work_list

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from core.commit import Recorded

TK = seeing("TK", asker="anna")
HOUR = timedelta(hours=1)
CHAIN: tuple[dict[str, object], ...] = (
    {"name": "Ta emot", "level": "1", "group": "tnh_avfall", "action": "register"},
    {"name": "Besluta", "level": "specialist", "group": "spec_tk_avfall", "action": "decide"},
)


@pytest.fixture
def figures(tmp_path: Path) -> Iterator[Figures]:
    with figures_at(tmp_path) as world:
        yield world


def of_group(figures: Figures, group: str) -> list[str]:
    found = work_list(figures.models, TK, WorkQuery(group=group), NOW)
    return [row.case for row in found.rows]


@pytest.mark.requirement("R8", "R12")
@pytest.mark.parametrize("catalogue_first", [True, False])
def test_a_case_is_on_the_list_of_the_group_whose_step_it_is(
    figures: Figures, *, catalogue_first: bool
) -> None:
    kind = [a_type("T1", "Sopor", *CHAIN)]
    case = [*opened("1", group="first"), *typed("1", "T1", type_version=1)]
    for told in (kind, case) if catalogue_first else (case, kind):
        figures.tell(told)
    assert of_group(figures, "tnh_avfall") == ["1"]
    figures.tell(of_case("1", CaseAnswered("anna", "phone", step=0)))
    assert (of_group(figures, "tnh_avfall"), of_group(figures, "spec_tk_avfall")) == ([], ["1"])
    figures.tell(of_case("1", CaseEscalated("anna", "1", "2", "tnh_skrivet")))
    assert of_group(figures, "tnh_skrivet") == ["1"]
    (row,) = work_list(figures.models, TK, WorkQuery(), NOW).rows
    assert (row.type_name, row.step, row.step_name, row.level) == ("Sopor", 1, "Besluta", "2")
    newer = a_type("T1", "Nya sopor", {"name": "Allt", "group": "other", "level": "1"})
    figures.tell([newer])  # what was categorised in version 1 goes by version 1
    (row,) = work_list(figures.models, TK, WorkQuery(), NOW).rows
    assert (row.type_name, row.answer_group) == ("Sopor", "tnh_skrivet")


@pytest.mark.requirement("R8")
def test_what_is_handed_over_and_returned_is_with_who_registered_it(figures: Figures) -> None:
    figures.tell(opened("1", group="tnh_avfall"))
    figures.tell(of_case("1", CaseHandedOver("h", "anna", "SAM", group="samverkan")))
    assert of_group(figures, "samverkan") == ["1"]
    reason = Personal("fel", "case/TK/1")
    figures.tell(of_case("1", HandoverReceiptNoted("h", "returned", "per", reason)))
    assert of_group(figures, "tnh_avfall") == ["1"]


@pytest.mark.requirement("R36")
def test_receipts_wait_until_they_come_and_the_silent_are_told_without_the_matter(
    figures: Figures,
) -> None:
    figures.tell(opened("1") + opened("2"))
    due = NOW + HOUR
    figures.tell(of_case("1", CaseHandedOver("h", "anna", "SAM", receipt_due_at=due, safety=True)))
    figures.tell(of_case("2", ComplaintSent("d", "kk_tk", "anna", due)))
    assert silences(figures.models, NOW) == ()
    later = NOW + 2 * HOUR
    figures.tell(of_case("1", HandoverSilent("h", due)))
    (row,) = waiting(figures.models, TK, WaitQuery("handover", silent=True), later)
    assert (row.who, row.overdue, row.silent, row.safety, row.case.case) == (
        "SAM", True, True, True, "1",
    )  # fmt: skip
    first, second = silences(figures.models, later)
    assert (first.who, first.safety, second.who) == ("SAM", 1, "kk_tk")
    assert not {"case", "number", "authority"} & set(first.__dataclass_fields__)
    figures.tell(of_case("2", ComplaintReceiptNoted("d", "KK-7")))
    (row,) = waiting(figures.models, TK, WaitQuery("complaint"), later)
    assert (row.receipt, row.overdue, row.receipt_at is not None) == ("KK-7", False, True)
    assert waiting(figures.models, TK, WaitQuery("complaint", unreceived=True), later) == ()
    figures.tell(of_case("2", CaseClosed("complaint", "anna")))
    assert len(waiting(figures.models, TK, WaitQuery("complaint"), later)) == 1  # till answered
    with pytest.raises(Invalid):
        waiting(figures.models, TK, WaitQuery("nothing"), NOW)


@pytest.mark.requirement("R16")
def test_a_promised_call_is_listed_for_whom_it_was_promised_until_it_is_made(
    figures: Figures,
) -> None:
    figures.tell(opened("1"))
    figures.tell(of_case("1", CallbackPromised("p", "anna", NOW + HOUR, officer="olle")))
    query = WaitQuery("callback", officer="olle", overdue=True)
    assert waiting(figures.models, TK, query, NOW) == ()
    assert len(waiting(figures.models, TK, query, NOW + 2 * HOUR)) == 1
    (counts,) = work_counts(figures.models, TK, NOW + 2 * HOUR)
    assert (counts.callbacks, counts.callbacks_overdue) == (1, 1)
    figures.tell(of_case("1", CallbackKept("p", "olle")))
    assert waiting(figures.models, TK, query, NOW + 2 * HOUR) == ()


def test_a_list_comes_in_pages_by_deadline_and_each_case_once(figures: Figures) -> None:
    for n in range(7):
        due = NOW + timedelta(minutes=n % 3) if n < 5 else None
        figures.tell(opened(str(n)) + typed(str(n), "T1", due_at=due))
    seen: list[str] = []
    after = None
    for _ in range(4):
        page = work_list(figures.models, TK, WorkQuery(), NOW, 2, after)
        seen += [row.case for row in page.rows]
        after = page.next
    assert after is None
    assert seen == ["0", "3", "1", "4", "2", "5", "6"]
    for wrong in ("x", "1", "1.2.3", "9" * 60 + ".1", "-1.x"):
        with pytest.raises(Invalid):
            work_list(figures.models, TK, WorkQuery(), NOW, 2, wrong)
    for odd in (WorkQuery(state="odd"), WorkQuery(registry="odd")):
        with pytest.raises(Invalid):
            work_list(figures.models, TK, odd, NOW)


def test_what_one_registered_is_ones_own_until_somebody_takes_it(figures: Figures) -> None:
    figures.tell(opened("1", authority="SBK") + opened("2", authority="MF"))
    mine = seeing(asker="anna", closed=frozenset({"MF"}))
    assert [row.case for row in my_registered(figures.models, mine)] == ["1"]
    assert my_registered(figures.models, seeing(asker="bo")) == ()
    figures.tell(of_case("1", CaseTaken("olle"), authority="SBK"))
    assert my_registered(figures.models, mine) == ()


def test_an_event_that_cannot_be_handled_is_parked_and_the_rest_go_on(
    figures: Figures, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(standing: Standing, recorded: Recorded) -> None:
        if getattr(getattr(recorded, "event", None), "number", "") == "NR-2":
            raise ValueError("poison")
        follow(standing, recorded)

    monkeypatch.setattr("projections.case_work.follow", fails)
    figures.tell([fact for n in "123" for fact in opened(n)])
    assert [parked["type"] for parked in figures.runner.parked("case_work")] == [
        CaseRegistered.TOPIC
    ]
    assert {row.case for row in work_list(figures.models, TK, WorkQuery(), NOW).rows} == {"1", "3"}


def test_a_changed_state_of_cases_asks_for_a_new_version_of_the_read_model() -> None:
    """The file holds the rules' state: raise `CaseWork.version` and set the new shape here."""
    shapes = (
        CaseState, case_parts.Handover, case_parts.Delivery, case_parts.Question,
        case_parts.Callback,
    )  # fmt: skip
    said = [
        f"{shape.__name__} {[(f.name, str(f.type)) for f in fields(shape)]}" for shape in shapes
    ]
    shape = hashlib.sha256("\n".join(said).encode()).hexdigest()[:12]
    assert (CaseWork.version, shape) == (1, "6532778fd86e")
