"""Work lists equal a recount from the raw events, and show nothing outside of what may be seen."""

from __future__ import annotations

import tempfile
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from case_recount import Recounted, recount
from case_world import erasure_of
from figures_world import NOW, Figures, Told, figures_at
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from core import cases as c
from core.access import Sight
from core.personal import Personal
from core.vocabulary import case_stream
from projections.case_history_queries import history_of
from projections.case_queries import CasePeriod
from projections.case_search_queries import search_cases
from projections.case_volumes import volumes
from projections.case_wait_queries import WAIT_KINDS, WaitQuery, silences, waiting
from projections.case_work_queries import (
    WorkQuery,
    find_case,
    my_registered,
    work_counts,
    work_list,
)

if TYPE_CHECKING:
    from core.commit import Event

CODES = ("TK", "MF", "SBK")
PEOPLE = ("anna", "olle", "maja")
REFS = ("a" * 32, "b" * 32)
LATER = NOW + timedelta(hours=3)
EXAMPLES = 100 if settings.get_current_profile_name() == "whole" else 10
FEW = settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))

SOONER = st.integers(0, 360).map(lambda minutes: NOW + timedelta(minutes=minutes))
WHO, CODE = st.sampled_from(PEOPLE), st.sampled_from(CODES)
RECEIPT = st.sampled_from(["sent", "received", "accepted", "returned"])


def text(stream: str) -> Personal:
    return Personal(f"hemlig gatsten {stream.replace('/', ' ')}", stream)


@st.composite
def event(draw: st.DrawFn, stream: str, n: int, before: list[int]) -> Event:
    """Anything that may happen to a case, in any order, also what does not fit.

    What is answered is mostly something that happened to it `before`.
    """
    new, some = str(n), str(draw(st.sampled_from([*before[-3:], 99])))
    match draw(st.sampled_from([0, 3, 3, 3, 4, 4, 4, *range(2, 18)])):
        case 0:
            return c.CaseCategorised(
                draw(st.sampled_from(["T1", "T2"])), "anna", due_at=draw(SOONER)
            )
        case 2:
            return c.CaseEscalated(draw(WHO), "1", draw(st.sampled_from(["2", "specialist"])))
        case 3:
            return c.CaseHandedOver(new, draw(WHO), draw(CODE), receipt_due_at=draw(SOONER))
        case 4:
            return c.HandoverReceiptNoted(some, draw(RECEIPT), draw(WHO))
        case 6:
            return c.HandoverSilent(some, NOW)
        case 7:
            return c.CaseTaken(draw(WHO))
        case 8:
            return c.CaseQuestionAsked("olle", new, "caller", text(stream))
        case 9:
            return c.CaseQuestionAnswered("anna", some, text(stream))
        case 10:
            return c.ComplaintSent(new, "kk", "anna", draw(SOONER))
        case 11:
            kinds = (c.ComplaintReceiptNoted, c.ComplaintSilent, c.ComplaintAnswered)
            kind = draw(st.sampled_from(kinds))
            return kind(some, NOW) if kind is c.ComplaintSilent else kind(some, "ref")
        case 12:
            return c.CallbackPromised(new, "anna", draw(SOONER))
        case 13:
            return c.CallbackKept(some, draw(WHO))
        case 14:
            return c.CaseClosed("solved", draw(WHO))
        case 15:
            return c.CaseReopened(draw(WHO))
        case 16:
            return c.CaseProtected("olle", draw(st.booleans()))
        case _:
            return c.CaseContactAdded("anna", "phone", caller_ref=draw(st.sampled_from(REFS)))


_ASKS = (c.CaseHandedOver, c.ComplaintSent, c.CallbackPromised, c.CaseQuestionAsked)


@st.composite
def histories(draw: st.DrawFn) -> list[Told]:
    """Some cases of several authorities, their events mixed."""
    told: list[Told] = []
    streams = []
    for n in range(draw(st.integers(1, 8))):
        authority = draw(CODE)
        stream = case_stream(authority, f"k{n}")
        streams.append(stream)
        first = c.CaseRegistered(
            f"NR{n}", authority, draw(WHO), "phone", title=text(stream),
            caller_ref=draw(st.sampled_from((None, *REFS))), protected=draw(st.sampled_from(
                [False, False, True])),
        )  # fmt: skip
        told.append((stream, first, NOW))
    before: dict[str, list[int]] = {stream: [] for stream in streams}
    for n in range(draw(st.integers(0, 40))):
        stream = draw(st.sampled_from(streams[:3]))
        happened = draw(event(stream, n, before[stream]))
        if isinstance(happened, _ASKS):
            before[stream].append(n)
        told.append((stream, happened, NOW + timedelta(seconds=n + 1)))
    return told


CODE_SETS = st.frozensets(CODE, max_size=3)
SIGHTS = st.builds(
    Sight, rooms=CODE_SETS, closed=CODE_SETS, protected=CODE_SETS, asker=st.sampled_from(PEOPLE)
)


@FEW
@given(histories(), SIGHTS)
@pytest.mark.requirement("R8", "R9", "R36", "R53")
def test_lists_and_counts_equal_a_recount_of_what_may_be_seen(
    told: list[Told], somebody: Sight
) -> None:
    with tempfile.TemporaryDirectory() as name, figures_at(Path(name)) as figures:
        for first in range(0, len(told), 12):  # rows are changed by what comes later, too
            figures.tell(told[first : first + 12])
        assert figures.runner.parked("case_work") == []
        cases = recount(told)
        for sight in (somebody, *(Sight(frozenset({code}), asker="anna") for code in CODES)):
            seen = {s: case for s, case in cases.items() if case.in_sight(sight)}
            check_lists(figures, sight, seen)
            check_waits(figures, sight, seen)
            check_counts(figures, sight, seen)
            check_the_rest(figures, sight, cases, seen)


def listed(figures: Figures, sight: Sight, **asked: Any) -> set[str]:
    found = work_list(figures.models, sight, WorkQuery(**asked), LATER)
    assert [r.due_at or LATER + timedelta(days=9) for r in found.rows] == sorted(
        r.due_at or LATER + timedelta(days=9) for r in found.rows
    )
    return {row.stream for row in found.rows}


def check_lists(figures: Figures, sight: Sight, seen: dict[str, Recounted]) -> None:
    still = {s: case for s, case in seen.items() if case.outcome is None}
    assert listed(figures, sight) == set(still)
    assert listed(figures, sight, closed=None) == set(seen)
    assert listed(figures, sight, closed=True) == set(seen) - set(still)
    assert listed(figures, sight, mine=True) == {
        s for s, case in still.items() if case.officer == sight.asker
    }
    assert listed(figures, sight, opened=True) == {
        s for s, case in still.items() if case.opened_by == sight.asker
    }
    assert listed(figures, sight, overdue=True) == {
        s for s, case in still.items() if case.due is not None and case.due < LATER
    }
    for code in CODES:
        assert listed(figures, sight, authority=code) == {
            s for s, case in still.items() if case.authority == code
        }
        assert listed(figures, sight, receiver=code) == {
            s for s, case in still.items() if case.authority != code and code in case.receivers()
        }
    for row in work_list(figures.models, sight, WorkQuery(closed=None), LATER).rows:
        case = seen[row.stream]
        assert (row.number, row.case_type, row.level) == (case.number, case.kind, case.level)
        assert (row.officer, row.outcome, row.due_at) == (case.officer, case.outcome, case.due)
        assert (set(row.receivers), row.registry) == (case.receivers(), case.registry)
        assert "hemlig" not in str(row.as_json())


def check_waits(figures: Figures, sight: Sight, seen: dict[str, Recounted]) -> None:
    for kind in WAIT_KINDS:
        expected = {
            (s, key): wait for s, case in seen.items() for key, wait in case.awaited(kind).items()
        }
        rows = {
            (row.case.stream, row.key): row
            for row in waiting(figures.models, sight, WaitQuery(kind), LATER)
        }
        assert set(rows) == set(expected)
        for key, row in rows.items():
            wait = expected[key]
            late = "due" in wait and wait["due"] < LATER and not wait.get("came", False)
            assert (row.overdue, row.silent) == (
                late, wait.get("silent", False) and not wait["came"],
            )  # fmt: skip
        late_rows = waiting(figures.models, sight, WaitQuery(kind, overdue=True), LATER)
        assert {(r.case.stream, r.key) for r in late_rows} == {
            k for k, r in rows.items() if r.overdue
        }


def check_counts(figures: Figures, sight: Sight, seen: dict[str, Recounted]) -> None:
    still = [case for case in seen.values() if case.outcome is None]
    counts = {row.authority: row for row in work_counts(figures.models, sight, LATER)}
    assert set(counts) == {case.authority for case in still}
    for code, row in counts.items():
        own = [case for case in still if case.authority == code]
        assert row.open == len(own)
        assert row.mine == sum(case.officer == sight.asker for case in own)
        assert row.not_categorised == sum(case.kind is None for case in own)
        assert row.overdue == sum(case.due is not None and case.due < LATER for case in own)
        assert row.questions == sum(len(case.awaited("question")) for case in own)
        assert row.callbacks == sum(len(case.awaited("callback")) for case in own)
        assert row.receipts_awaited == sum(
            not wait["came"]
            for case in own
            for kind in ("handover", "complaint")
            for wait in case.awaited(kind).values()
        )


def check_the_rest(
    figures: Figures, sight: Sight, cases: dict[str, Recounted], seen: dict[str, Recounted]
) -> None:
    """Search, history, look-up and figures: nothing outside, and what is there is found."""
    found = search_cases(figures.models, sight, "gatsten", most=50)
    assert {hit.row.stream for hit in found.hits} <= set(seen)
    never = {s for s, case in seen.items() if case.protected}
    assert not never & {hit.row.stream for hit in found.hits}
    for stream, case in cases.items():
        assert case.number is not None
        row = find_case(figures.models, sight, case.number)
        assert (row is not None) == (stream in seen)
        hits = search_cases(figures.models, sight, case.number).hits
        assert {hit.row.stream for hit in hits} <= set(seen)
        assert (stream in {hit.row.stream for hit in hits}) == (stream in seen)
    for ref in REFS:
        told = history_of(figures.models, sight, [ref])
        assert {row.stream for row in told.cases} == {
            s for s, case in seen.items() if ref in case.callers
        }
    for row in my_registered(figures.models, sight):
        case = cases[row.stream]
        assert case.opened_by == sight.asker
        assert not case.protected
        assert case.authority not in sight.closed
    counted = volumes(figures.models, sight.rooms, CasePeriod(), LATER, "authority")
    assert {row.about: row.registered for row in counted.rows} == {
        code: sum(case.authority == code for case in cases.values())
        for code in sight.rooms
        if any(case.authority == code for case in cases.values())
    }
    assert {silence.who for silence in silences(figures.models, LATER)} <= {*CODES, "kk"}


def everything(figures: Figures, model: str, tables: dict[str, str]) -> dict[str, list[Any]]:
    """The rows of a read model, without the numbers that it gives them."""
    with figures.models.snapshot(model) as db:
        return {name: sorted(map(repr, db.execute(sql).fetchall())) for name, sql in tables.items()}


WORK = {
    "cases": (
        "SELECT stream, authority, number, case_type, level, step, officer, registered_by, due_us,"
        " state, outcome, closed_us, protected, at_us FROM cases"
    ),
    "rooms": 'SELECT c.stream, r.room, r.live FROM rooms r JOIN cases c ON c.id = r."case"',
    "waits": (
        "SELECT c.stream, w.kind, w.key, w.since_us, w.who, w.due_us, w.receipt, w.receipt_us,"
        ' w.done_us, w.silent FROM waits w JOIN cases c ON c.id = w."case"'
    ),
    "callers": (
        'SELECT c.stream, k.caller_ref, k.at_us FROM callers k JOIN cases c ON c.id = k."case"'
    ),
}
SEARCH = {
    "docs": (
        "SELECT stream, number, registry_number, title, text, protected, excluded, places FROM docs"
    ),
    "erased": "SELECT * FROM erased",
}


@FEW
@given(
    histories(), st.permutations(CODES), st.lists(st.sampled_from(["k0", "k1", "k2"]), max_size=2)
)
def test_rows_are_the_same_in_whatever_order_shards_are_read_and_after_a_rebuild(
    told: list[Told], order: list[str], gone: list[str]
) -> None:
    erasures = [erasure_of(case_stream(code, name)) for name in gone for code in CODES]
    by_book = {code: [fact for fact in told if fact[0].split("/")[1] == code] for code in order}
    with tempfile.TemporaryDirectory() as one, tempfile.TemporaryDirectory() as two:
        with figures_at(Path(one)) as figures:
            figures.tell(told + erasures)
            first = (
                everything(figures, "case_work", WORK),
                everything(figures, "case_search", SEARCH),
            )
            figures.runner.rebuild("case_work")
            figures.runner.rebuild("case_search")
            assert first == (
                everything(figures, "case_work", WORK), everything(figures, "case_search", SEARCH)
            )  # fmt: skip
        with figures_at(Path(two)) as figures:
            figures.tell(erasures)  # the erasure is read before the text
            for code in order:
                figures.tell(by_book[code])
            assert first == (
                everything(figures, "case_work", WORK), everything(figures, "case_search", SEARCH)
            )  # fmt: skip
