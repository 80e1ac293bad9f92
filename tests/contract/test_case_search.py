"""Searching for cases: words, parts of words, dots, rooms, and what must never be found."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from case_world import a_type, erasure_of, of_case, opened, seeing, typed
from figures_world import NOW, Figures, figures_at

from core.cases import (
    CaseHandedOver,
    CaseProtected,
    CaseRegistered,
    HandoverReceiptNoted,
    RegistryDecided,
)
from core.entries import EntrySet
from core.errors import Invalid
from core.personal import Personal
from core.vocabulary import case_stream, catalogue_stream
from projections.case_search import CaseSearch
from projections.case_search_queries import CaseHits, search_cases

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from core.access import Sight

TK = seeing("TK")


@pytest.fixture
def figures(tmp_path: Path) -> Iterator[Figures]:
    with figures_at(tmp_path) as world:
        yield world


def found(figures: Figures, text: str, sight: Sight = TK) -> list[str]:
    return [hit.row.case for hit in search_cases(figures.models, sight, text).hits]


def test_words_are_found_by_their_beginning_in_any_order_and_case(figures: Figures) -> None:
    figures.tell(opened("1", "Läckande brandpost", "Vatten rinner på gatan"))
    figures.tell(opened("2", "Trasig lykta"))
    assert found(figures, "vatt brandp") == ["1"]
    assert found(figures, "GATAN läckande") == ["1"]
    assert found(figures, "lykta brandpost") == []


def test_a_part_of_a_compound_is_found_after_whole_words(figures: Figures) -> None:
    figures.tell(opened("1", "Trygghetslarmen tjuter"))
    figures.tell(opened("2", "Larm från källaren"))
    assert found(figures, "larm") == ["2", "1"]
    assert found(figures, "gghetsla") == ["1"]


@pytest.mark.parametrize(
    ("typed_text", "cases"),
    [
        ("kö", ["1"]),
        ("ko", ["2", "1"]),
        ("gård", ["5", "3"]),
        ("gard", ["5"]),  # only beginnings of words are looked for without their dots
        ("ÅNGA", ["4"]),
        ("o\u0308ppet", ["6"]),
    ],
)
def test_letters_with_dots_are_letters_of_their_own(
    figures: Figures, typed_text: str, cases: list[str]
) -> None:
    texts = ("Lång kö", "Brunt ko", "Innergård", "ånga", "gården", "Stod o\u0308ppet")
    for n, text in enumerate(texts, start=1):
        figures.tell(opened(str(n), text))
    assert found(figures, typed_text) == cases


@pytest.mark.requirement("R55")
def test_a_number_or_registry_number_comes_first(figures: Figures) -> None:
    figures.tell(opened("1", "Handlar om NR-2"))
    figures.tell(opened("2"))
    figures.tell(of_case("2", RegistryDecided("rut", "registered", "TK 2026-417")))
    assert found(figures, "NR-2") == ["2", "1"]
    assert found(figures, "TK 2026-417") == ["2"]
    assert found(figures, "417") == ["2"]


def test_a_word_of_the_types_name_may_stand_for_one_of_the_text(figures: Figures) -> None:
    figures.tell([a_type("T1", "Trasig belysning"), a_type("T2", "Sopor")])
    figures.tell(opened("1", "vid Odenplan") + typed("1", "T1"))
    figures.tell(opened("2", "vid Odenplan") + typed("2", "T2"))
    figures.tell(opened("3", "vid Slussen") + typed("3", "T1", at=NOW + timedelta(hours=1)))
    assert found(figures, "belysning odenplan") == ["1"]
    assert found(figures, "belysning") == ["3", "1"]


@pytest.mark.requirement("R53")
def test_nothing_is_found_outside_of_the_rooms(figures: Figures) -> None:
    figures.tell([a_type("T1", "Råttor")])
    figures.tell(opened("1", "Råttor i köket", authority="MF") + typed("1", "T1", authority="MF"))
    for text in ("råttor", "ttor", "rattor", "NR-1", "1 råttor"):
        assert found(figures, text) == []
        assert found(figures, text, seeing("MF")) == ["1"]
    assert found(figures, "råttor", seeing()) == []


@pytest.mark.requirement("R54")
def test_a_receiver_finds_what_was_handed_over_until_it_is_returned(figures: Figures) -> None:
    figures.tell(opened("1", "Dimma på bron"))
    assert found(figures, "dimma", seeing("SAM")) == []
    figures.tell(of_case("1", CaseHandedOver("h", "anna", "SAM")))
    assert found(figures, "dimma", seeing("SAM")) == ["1"]
    assert found(figures, "dimma", seeing("SAM", closed=frozenset({"TK"}))) == []
    reason = Personal("fel", case_stream("TK", "1"))
    figures.tell(of_case("1", HandoverReceiptNoted("h", "returned", "olle", reason)))
    assert found(figures, "dimma", seeing("SAM")) == []
    assert found(figures, "dimma") == ["1"]


def test_what_was_found_is_shown_only_to_those_who_ask_for_it(figures: Figures) -> None:
    long = "ord " * 60 + "trasiga brandposten " + "slut " * 60
    figures.tell(opened("1", "Rubrik", long))
    (plain,) = search_cases(figures.models, TK, "brandp").hits
    assert (plain.title, plain.snippet, plain.how) == (None, None, "words")
    (shown,) = search_cases(figures.models, TK, "brandp", texts=True).hits
    assert shown.title == "Rubrik"
    assert shown.snippet is not None
    assert "brandposten" in shown.snippet
    assert shown.snippet.startswith("…")
    assert shown.snippet.endswith("…")
    assert "Rubrik" not in str(plain.as_json())


def test_an_odd_search_is_a_search_and_no_error(figures: Figures) -> None:
    figures.tell(opened("1", "text"))
    for text in (
        '"ab',
        "ab OR c",
        "NEAR(ab",
        "' ; -- ab",
        "ab*",
        "åäö",
        "x\0yz",
        "a" * 5000,
        "ab " * 99,
    ):
        assert isinstance(search_cases(figures.models, TK, text), CaseHits)
    for text in ("", "   ", "***", "a", "- -"):
        with pytest.raises(Invalid):
            search_cases(figures.models, TK, text)


def test_there_is_a_bound_on_hits_and_it_is_said(figures: Figures) -> None:
    figures.tell([fact for n in range(7) for fact in opened(str(n), "sten")])
    some = search_cases(figures.models, TK, "sten", most=3)
    assert (len(some.hits), some.more) == (3, True)
    assert not search_cases(figures.models, TK, "sten", most=7).more


# --- what must never be found ---------------------------------------------------------------------
def test_a_protected_case_is_in_no_index_and_its_number_opens_it_for_those_who_may(
    figures: Figures,
) -> None:
    figures.tell(opened("1", "hemlig adress", protected=True))
    figures.tell(opened("2", "hemlig adress") + of_case("2", CaseProtected("olle")))
    assert found(figures, "hemlig") == found(figures, "NR-1") == found(figures, "mlig") == []
    may = seeing("TK", protected=frozenset({"TK"}))
    assert found(figures, "NR-1", may) == ["1"]
    assert found(figures, "hemlig", may) == []
    figures.tell(of_case("2", CaseProtected("olle", protected=False)))
    assert found(figures, "NR-2") == ["2"]
    assert found(figures, "hemlig") == []  # what was protected once is not indexed again


@pytest.mark.requirement("R11")
@pytest.mark.parametrize("catalogue_first", [True, False])
def test_nothing_of_an_excluded_area_is_indexed_whatever_comes_first(
    figures: Figures, *, catalogue_first: bool
) -> None:
    fields: dict[str, object] = {"name": "Socialtjänst", "excluded": True}
    closing = (catalogue_stream("authority", "SOC"), EntrySet("authority", "SOC", fields), NOW)
    telling = opened("1", "en hemlighet", authority="SOC")
    for told in ([closing], telling) if catalogue_first else (telling, [closing]):
        figures.tell(told)
    assert found(figures, "hemlighet", seeing("SOC")) == []
    assert b"hemlighet" not in bytes_of(figures)


def bytes_of(figures: Figures) -> bytes:
    """The files of the index as they are on the disk while it is open, the log beside included."""
    return b"".join(path.read_bytes() for path in figures.folder.glob("case_search*"))


@pytest.mark.requirement("R11")
@pytest.mark.parametrize("erased_first", [False, True])
def test_what_was_erased_is_in_no_page_and_never_comes_in_again(
    figures: Figures, *, erased_first: bool
) -> None:
    stream = case_stream("TK", "500")
    others = [fact for n in range(300) for fact in opened(str(n), f"gata{n:04d}", "annat " * 30)]
    erasure = [erasure_of(stream), erasure_of(f"protected/{stream}")]
    figures.tell(others[:150])
    if erased_first:
        figures.tell(erasure)
    figures.tell(opened("500", "Zebrahjort bor här", "Kvarkxylofon " * 40))
    figures.tell(others[150:])
    if not erased_first:
        assert found(figures, "zebrah") == ["500"]
        assert b"Zebrahjort" in bytes_of(figures)
        figures.tell(erasure)
    assert found(figures, "zebrah") == found(figures, "xylofo") == []
    assert found(figures, "NR-500") == ["500"]
    for trace in (b"ebrahjort", b"arkxylofon", b"ebrah", b"xylof"):
        assert trace not in bytes_of(figures).replace(b"\0", b"")
    figures.tell(opened("500", "Zebrahjort igen"))
    assert b"ebrahjort" not in bytes_of(figures)
    figures.runner.rebuild("case_search")
    assert found(figures, "zebrah") == []
    assert b"ebrahjort" not in bytes_of(figures)
    assert found(figures, "gata0007") == ["7"]


def test_a_reader_that_looks_at_a_former_moment_delays_the_scrub_and_no_more(
    figures: Figures,
) -> None:
    figures.tell(opened("1", "Zebrahjort"))
    with figures.models.snapshot("case_search") as db:
        assert db.execute("SELECT count(*) FROM docs").fetchone()[0] == 1
        figures.runner._slots["case_search"].store.db.execute("PRAGMA busy_timeout=10")
        figures.tell([erasure_of(case_stream("TK", "1"))])
        assert scrub_due(figures)
    figures.runner.catch_up()
    assert not scrub_due(figures)
    assert b"Zebrahjort" not in bytes_of(figures)


def scrub_due(figures: Figures) -> bool:
    return figures.runner._slots["case_search"].store.scrub_due


def test_the_file_is_for_its_owner_alone(figures: Figures) -> None:
    figures.tell(opened("1", "Zebrahjort"))
    modes = {path.stat().st_mode & 0o777 for path in figures.folder.glob("case_search*")}
    assert modes == {0o600}


def test_a_damaged_index_is_not_kept_aside(figures: Figures) -> None:
    figures.tell([fact for n in range(200) for fact in opened(str(n), "Zebrahjort " * 9)])
    figures.runner.close()
    path = (figures.folder / "case_search.db").resolve()
    damaged = bytearray(path.read_bytes())
    damaged[4096 * 2 : 4096 * 5] = b"\xff" * (4096 * 3)
    path.write_bytes(damaged)
    figures.models.close()
    from projections.runner import Runner

    key_of = figures.node.node.keyring.by_id
    figures.runner = Runner(figures.node, figures.folder, [CaseSearch(key_of)])
    figures.runner.catch_up()
    assert not [*figures.folder.glob("case_search*.damaged")]


def test_without_keys_only_numbers_are_indexed(figures: Figures) -> None:
    from projections.runner import Runner

    figures.tell(opened("1", "Zebrahjort"))
    figures.runner.close()
    for path in figures.folder.glob("case_search*"):
        path.unlink()
    figures.runner = Runner(figures.node, figures.folder, [CaseSearch()])
    figures.runner.catch_up()
    assert b"Zebrahjort" not in bytes_of(figures)
    assert found(figures, "NR-1") == ["1"]


def test_a_case_told_twice_keeps_its_first_registration(figures: Figures) -> None:
    figures.tell(opened("1", "först"))
    again = CaseRegistered("NR-9", "TK", "bo", "phone", title=Personal("sedan", "case/TK/1"))
    figures.tell(of_case("1", again))
    assert (found(figures, "först"), found(figures, "sedan")) == (["1"], [])
