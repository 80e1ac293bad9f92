"""The monthly report: own figures, formulas beside them, and the same bytes for the same log."""

from __future__ import annotations

import csv
import io
import re
from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser
from typing import TYPE_CHECKING

import pytest
from case_world import of_case, opened, typed
from figures_world import Figures, Told, figures_at
from given import TAXONOMY

from core.calls import CallAnswered, CallQueued
from core.cases import CaseClosed, CaseGuided, CaseHandedOver
from core.entries import EntrySet
from core.errors import Invalid, NotFound
from core.eventlog.directory import DirectoryFollower
from core.taxonomy import read_taxonomy
from core.vocabulary import call_stream, catalogue_stream
from kontaktcenter.report import report_of
from kontaktcenter.report_files import as_csv, as_html
from projections.monthly import AuthorityMonth, authority_month, month_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

MONTH = "2026-11"
IN_IT = datetime(2026, 11, 10, 9, tzinfo=UTC)
AFTER = datetime(2026, 12, 3, tzinfo=UTC)
NOTHING, NOT_TOLD = "inget värde", "–"


@pytest.fixture
def figures(tmp_path: Path) -> Iterator[Figures]:
    with figures_at(tmp_path, now=AFTER) as world:
        drafts = read_taxonomy(TAXONOMY.read_text(encoding="utf-8"), IN_IT)
        world.node.propose_many(drafts)
        world.tell([])
        yield world


def made(figures: Figures, authority: str = "TK", *, public: bool = False) -> AuthorityMonth:
    directory = DirectoryFollower(figures.node)()
    return authority_month(figures.models, directory, authority, MONTH, public=public)


def cases(count: int, kind: str, *, owner: str = "TK", at: datetime = IN_IT) -> list[Told]:
    told: list[Told] = []
    for n in range(count):
        number = f"{kind}-{n}-{at.month}"
        told += opened(number, authority=owner, at=at, caller_ref=number)
        told += typed(number, kind, authority=owner, at=at)
        events = (CaseGuided("anna", "eservice"), CaseClosed("guided", "anna", first_contact=True))
        told += of_case(number, *events, authority=owner, at=at + timedelta(minutes=1))
    return told


def rows_of(text: str) -> dict[tuple[str, str, str], str]:
    """The CSV by part, code and column."""
    listed = list(csv.reader(io.StringIO(text.removeprefix("\ufeff")), delimiter=";"))
    return {(row[1], row[2], row[4]): row[5] for row in listed[1:]}


def table(figures: Figures, authority: str = "TK", *, public: bool = False) -> dict[
    tuple[str, str, str], str
]:  # fmt: skip
    return rows_of(as_csv(report_of(made(figures, authority, public=public))))


@pytest.mark.requirement("R38", "R40")
def test_it_counts_the_month_of_one_authority_with_formulas_beside_the_numbers(
    figures: Figures,
) -> None:
    figures.tell(cases(6, "TK-AVF-01") + cases(3, "TK-TRP-01") + cases(5, "MF-LIV-01", owner="MF"))
    figures.tell(cases(2, "TK-AVF-01", at=IN_IT + timedelta(days=25)))  # December
    figures.tell(of_case("TK-TRP-01-0-11", CaseHandedOver("h", "anna", "TK")))
    call = call_stream("lab", "1.1")
    figures.tell([(call, CallQueued("avfall", "tnh_avfall"), IN_IT)])
    figures.tell([(call, CallAnswered("avfall", "A1", 9.0), IN_IT + timedelta(seconds=9))])
    shared = call_stream("lab", "2.1")
    figures.tell([(shared, CallQueued("projekt", "tnh_projekt"), IN_IT)])
    found = table(figures)
    assert found["summary", "case_volume", "Värde"] == "9"
    assert found["case_types", "TK-AVF-01", "Registrerade"] == "6"
    assert found["results", "TK-TRP-01", "Vidarelämnade"] == "1"
    assert found["summary", "case_transfer_rate", "Värde"] == "0,1111"
    assert found["summary", "fcr", "Värde"] == "1,0000"
    assert (found["calls", "*", "Inkomna"], found["calls", "*", "Besvarade"]) == ("1", "1")
    assert found["channels", "phone", "Registrerade"] == "9"
    assert not [key for key in found if key[1].startswith("MF")]
    assert {key[1] for key in found if key[0] == "positions"} == {
        "calls/0", "cases.TK/0", "centre/0",
    }  # fmt: skip
    page = as_html(report_of(made(figures)))
    assert "besvarade inom 20 s / inkomna" in page
    assert "flytta" in page


def test_where_nothing_was_measured_there_is_no_value(figures: Figures) -> None:
    page = as_html(report_of(made(figures, "IDR")))
    assert page.count(NOTHING) >= 5
    assert "Inget är registrerat under perioden." in page
    assert not re.search(r">\s*(0,0|100,0)\s%<", page.replace("\N{NO-BREAK SPACE}", " "))


def test_the_same_positions_give_the_same_bytes_whenever_it_is_asked_for(figures: Figures) -> None:
    figures.tell(cases(3, "TK-AVF-01"))
    first = report_of(made(figures))
    later: dict[str, object] = {"name": "Nytt namn", "authority": "TK"}
    for name in ("queue_entries", "case_figures"):
        figures.runner.rebuild(name)
    second = report_of(made(figures))
    assert (as_html(first), as_csv(first)) == (as_html(second), as_csv(second))
    entry = EntrySet("case_type", "TK-AVF-01", later)
    figures.tell([(catalogue_stream("case_type", "TK-AVF-01"), entry, AFTER)])
    third = report_of(made(figures))
    assert third.number != first.number
    assert "Nytt namn" in as_html(third)


def test_an_unfinished_month_says_so(tmp_path: Path) -> None:
    with figures_at(tmp_path, now=IN_IT + timedelta(hours=1)) as world:
        world.node.propose_many(read_taxonomy(TAXONOMY.read_text(encoding="utf-8"), IN_IT))
        world.tell(cases(1, "TK-AVF-01"))
        assert "Månaden är inte slut" in as_html(report_of(made(world)))


@pytest.mark.requirement("R40")
def test_outside_of_the_authority_no_small_number_is_told(figures: Figures) -> None:
    figures.tell(cases(9, "TK-AVF-01") + cases(3, "TK-TRP-01") + cases(7, "TK-AVF-02"))
    figures.tell([(call_stream("lab", "1.1"), CallQueued("avfall", "tnh_avfall"), IN_IT)])
    own, told = table(figures), table(figures, public=True)
    assert own["case_types", "TK-TRP-01", "Registrerade"] == "3"
    assert told["case_types", "TK-TRP-01", "Registrerade"] == ""
    assert told["case_types", "TK-AVF-02", "Registrerade"] == ""  # else by subtraction
    assert told["case_types", "TK-AVF-01", "Registrerade"] == "9"
    assert told["calls", "*", "Inkomna"] == told["summary", "offered", "Värde"] == ""
    page = as_html(report_of(made(figures, public=True)))
    assert "Små tal är borttagna" in page


class Checker(HTMLParser):
    """Looks at a page: what is open, what has a label, what it would fetch or run."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.faults: list[str] = []
        self.scripts = 0
        self.feed(page)
        self.faults += [f"{name} is not closed" for name in self.open]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        names = dict(attrs)
        self.scripts += tag == "script"
        if tag != "meta":
            self.open.append(tag)
        if tag == "svg" and not (names.get("role") == "img" and names.get("aria-label")):
            self.faults.append("a picture without words")
        if tag == "th" and "scope" not in names:
            self.faults.append("a heading of nothing")
        if {"src", "href", "srcset", "onload", "onclick"} & set(names):
            self.faults.append(f"{tag} fetches or runs something")

    def handle_endtag(self, tag: str) -> None:
        if not self.open or self.open.pop() != tag:
            self.faults.append(f"{tag} closes what is not open")


@pytest.mark.parametrize("public", [False, True])
def test_the_page_is_well_made_whatever_stands_in_the_catalogue(
    figures: Figures, *, public: bool
) -> None:
    for code, name in (("TK-X1", "<script>alert(1)</script>"), ("TK-X2", '=cmd|" /c calc"!A1')):
        fields: dict[str, object] = {"name": name, "authority": "TK"}
        entry = (catalogue_stream("case_type", code), EntrySet("case_type", code, fields), IN_IT)
        figures.tell([entry])
        figures.tell(cases(8, code))
    report = report_of(made(figures, public=public))
    checker = Checker(as_html(report))
    assert (checker.faults, checker.scripts) == ([], 0)
    assert "&lt;script&gt;" in as_html(report)
    assert 'lang="sv"' in as_html(report)
    names = {row[3] for row in csv.reader(io.StringIO(as_csv(report)), delimiter=";")}
    assert not [name for name in names if name.startswith(("=", "+", "-", "@"))]


def test_a_month_is_the_citys_own_and_a_wrong_one_is_refused(figures: Figures) -> None:
    begin, end = month_of("2026-10")
    assert (end - begin) == timedelta(days=31)  # on the wall; an hour more went by
    assert (begin.astimezone(UTC).hour, end.astimezone(UTC).hour) == (22, 23)
    assert month_of("2026-12")[1].isoformat() == "2027-01-01T00:00:00+01:00"
    for text in ("2026-13", "nov", "", "2026-11-01"):
        with pytest.raises(Invalid):
            month_of(text)
    directory = DirectoryFollower(figures.node)()
    for authority in ("XX", "SOC"):  # one that is not there, one that is excluded
        with pytest.raises(NotFound):
            authority_month(figures.models, directory, authority, MONTH)
