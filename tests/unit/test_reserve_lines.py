from __future__ import annotations

import os
from contextlib import nullcontext
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from core.errors import Unavailable
from core.reserve import Group, RegisterCall
from core.vocabulary import WrapUpOutcome
from fallback_tui.copy import read_copy
from fallback_tui.journal import Journal, NotSaved
from fallback_tui.lines import Around, Lines, banner
from fallback_tui.seal import open_sealer
from fallback_tui.words import speaker

if TYPE_CHECKING:
    from pathlib import Path

GROUPS = (
    Group("tnh_avfall", "Avfall", matters=(("TK-AVF-01", "Fråga om avfall"),)),
    Group("ext_soc", "Socialtjänst", excluded=True),
)
NOW = datetime(2026, 11, 22, 13, 3, tzinfo=UTC)


class Terminal:
    """A person at the keyboard: the answers that they give, and what the screen said."""

    def __init__(self, *answers: str) -> None:
        self.answers = list(answers)
        self.screen: list[str] = []

    def ask(self, prompt: str) -> str:
        self.screen.append(prompt)
        if not self.answers:
            raise EOFError
        return self.answers.pop(0)

    def around(self, language: str = "en") -> Around:
        return Around(
            ask=self.ask,
            tell=self.screen.append,
            _=speaker(language),
            now=lambda: NOW,
            tick_ns=lambda: 7,
            undisturbed=nullcontext,
            actor="anna",
            boot="b",
        )

    def said(self, text: str) -> bool:
        return any(text in line for line in self.screen)


def register(
    folder: Path, *answers: str, sealed: bool = True
) -> tuple[Terminal, list[dict[str, object]]]:
    """Let a person give `answers`; the terminal, and what the journal then holds."""
    terminal = Terminal(*answers)
    with Journal.open(folder, "000") as journal:
        sealer = open_sealer(folder, journal.head, os.urandom) if sealed else None
        try:
            Lines(terminal.around(), journal, sealer, GROUPS).run()
        except EOFError:
            terminal.screen.append("<end>")
        return terminal, [dict(e.payload) for e in journal.entries()]


@pytest.mark.requirement("R3")
def test_a_call_is_registered_and_gets_its_reserve_number(tmp_path: Path) -> None:
    terminal, kept = register(tmp_path, "1", "08-465 004 12", "1", "5", "ring före fyra", "", "")
    (entry,) = kept
    assert (entry["group"], entry["matter"], entry["outcome"]) == (
        "tnh_avfall",
        "TK-AVF-01",
        "callback",
    )
    assert terminal.said("Saved on the computer. Reserve number R-000-0001-95")


def test_what_may_be_left_out_is_left_out_by_enter(tmp_path: Path) -> None:
    _, kept = register(tmp_path, "1", "", "", "1", "", "", "")
    assert kept == [{"number": "R-000-0001-95", "group": "tnh_avfall", "outcome": "solved"}]


@pytest.mark.requirement("R4")
def test_a_registration_takes_seven_key_presses_at_the_least(tmp_path: Path) -> None:
    _, kept = register(tmp_path, "1", "", "", "1", "", "")
    assert len(kept) == 1


@pytest.mark.requirement("R11")
def test_an_excluded_group_is_asked_for_nothing_but_the_outcome(tmp_path: Path) -> None:
    terminal, kept = register(tmp_path, "2", "4", "", "")
    assert kept == [{"number": "R-000-0001-95", "group": "ext_soc", "outcome": "handed_over"}]
    assert not terminal.said("Caller's number")
    assert not terminal.said("Note, one line")
    assert terminal.said("Connect it onward")


@pytest.mark.parametrize("wrong", ["0", "3", "x", "-1", "1.0", "²", "9" * 400])
def test_a_wrong_answer_is_asked_again_with_the_reason(tmp_path: Path, wrong: str) -> None:
    terminal, kept = register(tmp_path, wrong, "2", "1", "", "")
    assert len(kept) == 1
    assert terminal.said("Write a number from 1 to 2, then Enter.")


def test_a_telephone_number_that_cannot_be_one_is_asked_again(tmp_path: Path) -> None:
    terminal, kept = register(tmp_path, "1", "12", "08-465 004 12", "", "1", "", "", "")
    assert "caller" in kept[0]
    assert terminal.said("A telephone number has 5 to 15 digits.")


def test_a_note_that_is_too_long_is_asked_again(tmp_path: Path) -> None:
    terminal, kept = register(tmp_path, "1", "", "", "1", "å" * 4001, "å" * 4000, "", "")
    assert "note" in kept[0]
    assert terminal.said("A note has at most 4000 characters.")


def test_a_registration_may_be_begun_anew_and_nothing_of_it_is_kept(tmp_path: Path) -> None:
    terminal, kept = register(tmp_path, "1", "08-465 004 12", "<", "2", "1", "", "")
    assert [e["group"] for e in kept] == ["ext_soc"]
    assert terminal.said("Begun anew. Nothing of it was saved.")


def test_only_enter_alone_saves(tmp_path: Path) -> None:
    terminal, kept = register(tmp_path, "2", "1", "n")
    assert kept == []
    assert terminal.said("Press Enter alone to save")


def test_the_end_of_input_before_saving_keeps_nothing(tmp_path: Path) -> None:
    terminal, kept = register(tmp_path, "1", "08-465 004 12", "1", "1", "text")
    assert kept == []
    assert not terminal.said("Saved")


def test_the_screen_says_saved_only_after_the_journal_has_it(tmp_path: Path) -> None:
    terminal = Terminal("2", "1", "", "")
    with Journal.open(tmp_path, "000") as journal:
        seen: list[int] = []
        around = terminal.around()

        def tell(line: str) -> None:
            if "Saved" in line:
                seen.append(journal.head.seq)

        Lines(Around(**{**vars(around), "tell": tell}), journal, None, GROUPS).run()
    assert seen == [1]


def test_a_disk_that_is_full_is_told_of_and_tried_again(tmp_path: Path) -> None:
    terminal = Terminal("2", "1", "", "", "")
    with Journal.open(tmp_path, "000") as journal:
        (pages,) = journal._database.execute("PRAGMA page_count").fetchone()
        journal._database.execute(f"PRAGMA max_page_count = {pages}")  # SQLite's own "full"
        fill(journal)
        given = journal.head.numbers

        def ask(prompt: str) -> str:
            if terminal.said("NOT SAVED"):
                journal._database.execute("PRAGMA max_page_count = 1000000")
            return terminal.ask(prompt)

        Lines(Around(**{**vars(terminal.around()), "ask": ask}), journal, None, GROUPS).run()
        assert journal.head.numbers == given + 1
    assert terminal.said("NOT SAVED. The computer could not write: database or disk is full.")
    assert terminal.said("Saved on the computer.")


def fill(journal: Journal) -> None:
    """Register calls until no further one has room."""
    lines = Lines(Terminal().around(), journal, None, GROUPS)
    try:
        while True:
            lines._save(RegisterCall(GROUPS[1], WrapUpOutcome.SOLVED), NOW)
    except NotSaved:
        return


def test_without_a_key_no_number_and_no_note_is_asked_for_and_the_screen_says_so(
    tmp_path: Path,
) -> None:
    terminal, kept = register(tmp_path, "1", "1", "1", "", "", sealed=False)
    assert kept == [
        {
            "number": "R-000-0001-95",
            "group": "tnh_avfall",
            "outcome": "solved",
            "matter": "TK-AVF-01",
        }
    ]
    with Journal.open(tmp_path, "000") as journal:
        banner(terminal.around(), journal, "2026-11-01", Unavailable("the key is away."))
    assert terminal.said("NOTE: number and note cannot be saved here: the key is away.")


def test_nothing_personal_lies_in_clear_on_the_disk(tmp_path: Path) -> None:
    register(tmp_path, "1", "08-465 004 12", "1", "5", "fru Fiktion ringer", "", "")
    files = [p for p in tmp_path.iterdir() if p.is_file()]
    assert {p.name for p in files} >= {"journal.db", "device.key"}
    for path in files:
        assert b"0846500412" not in path.read_bytes()
        assert b"Fiktion" not in path.read_bytes()


def test_control_characters_never_reach_the_journal(tmp_path: Path) -> None:
    with Journal.open(tmp_path, "000") as journal:
        terminal = Terminal("1", "", "", "1", "a\x1b[2Jb\x07", "", "")
        sealer = open_sealer(tmp_path, journal.head, os.urandom)
        Lines(terminal.around(), journal, sealer, GROUPS).run()
        (entry,) = journal.entries()
    from core.personal import Sealed
    from core.reserve import start

    note = entry.payload["note"]
    assert isinstance(note, dict)
    sealed = Sealed(str(note["key"]), str(note["box"]))
    assert sealer.open(start("000", 1), 1, "note", sealed) == "a[2Jb"


def test_every_sentence_of_the_terminal_has_its_swedish() -> None:
    import re

    from project import sources

    swedish = speaker("sv")
    text = "\n".join(p.read_text(encoding="utf-8") for p in sources("fallback_tui"))
    sentences = set(re.findall(r"\b_\(\s*\"((?:[^\"\\]|\\.)+)\"\s*\)", text))
    assert len(sentences) > 30
    assert [s for s in sorted(sentences) if swedish(s) == s] == []


@pytest.mark.parametrize("family", ["fallback_tui.journal", "core.reserve"])
def test_every_reason_that_the_terminal_may_give_has_its_swedish(family: str) -> None:
    import importlib
    import inspect

    from core.errors import KontaktcenterError

    swedish = speaker("sv")
    errors = [
        c
        for _, c in inspect.getmembers(importlib.import_module(family), inspect.isclass)
        if issubclass(c, KontaktcenterError) and c.__module__ == family
    ]
    assert errors
    assert [c().message for c in errors if swedish(c().message) == c().message] == []


@pytest.mark.requirement("R11")
def test_the_copy_knows_the_excluded_groups_and_gives_them_no_matters() -> None:
    excluded = [g for g in read_copy().groups if g.excluded]
    assert {g.id for g in excluded} == {"ext_soc", "ext_fun"}
    assert all(g.matters == () for g in excluded)
