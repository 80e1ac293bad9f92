"""A copy to give out: what is masked, why, and what never goes out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from given import T0, recorded

from core.cases import (
    AttachmentAdded,
    CallbackPromised,
    CaseDisclosed,
    CaseNoted,
    CaseRegistered,
)
from core.disclosure import MASKED, Choices, Copy, Mask, copy_of
from core.errors import Invalid
from core.limits import COMMAND_ITEMS_MAX
from core.personal import ERASED, Personal, Sealed

if TYPE_CHECKING:
    from core.commit import Event

SUBJECT = "case/TK/a"
TEXT = "Exempel Exempelsson ringde från 070-000 00 07 om 20261122-0000, 3 gånger."


def personal(text: str) -> Personal:
    return Personal(text, SUBJECT)


def events() -> list[Event]:
    return [
        CaseRegistered(
            "TK-A", "TK", "anna", "phone", None, personal("Rubrik"), personal(TEXT), "ab" * 16
        ),
        CaseNoted("olle", personal("Exempelsson är arg"), private=True),
        CallbackPromised("p1", "anna", T0, number=personal("0700000007")),
        AttachmentAdded("anna", "ff" * 32, "k", 7, "text/plain", personal("brev.txt")),
        CaseNoted("olle", ERASED),
    ]


def copied(choices: Choices | None = None, *, protected: bool = False, **more: Any) -> Copy:
    found = [recorded(event, n) for n, event in enumerate(more.get("of", events()), start=1)]
    return copy_of(found, choices or Choices(), protected=protected)


def shown(copy: Copy, n: int) -> Any:
    return copy.rows[n - 1]["fields"]


@pytest.mark.requirement("R52")
def test_without_choices_all_goes_out_but_private_notes_and_pseudonyms() -> None:
    copy = copied()
    assert shown(copy, 1)["text"] == TEXT
    assert "caller_ref" not in shown(copy, 1)
    assert "key" not in shown(copy, 4)
    assert "address" not in shown(copy, 4)
    assert shown(copy, 2)["text"] == {"masked": "private", "reason": "egen minnesanteckning"}
    assert shown(copy, 5)["text"] == {"erased": True}
    assert [str(masked) for masked in copy.masked] == ["2.text private: egen minnesanteckning"]


def test_numbers_are_masked_in_fields_and_wherever_they_stand_in_text() -> None:
    copy = copied(Choices({Mask.NUMBERS: "OSL 21:3"}))
    text = f"Exempel Exempelsson ringde från {MASKED} om {MASKED}, 3 gånger."
    assert shown(copy, 1)["text"] == text
    assert shown(copy, 3)["number"] == {"masked": "numbers", "reason": "OSL 21:3"}
    assert {m.part for m in copy.masked} == {"1.text", "2.text", "3.number"}


@pytest.mark.parametrize(
    "number",
    ["0700000007", "070-000 00 07", "+46 70 000 00 07", "0046700000007", "20261122-0000",
     "261122–0000", "08-465 004 20", "(08) 465 004 20", "0 7 0 0 0 0 0 0 0 7"],
)  # fmt: skip
def test_a_number_is_seen_however_it_is_written(number: str) -> None:
    note = CaseNoted("olle", personal(f"före {number} efter"))
    copy = copied(Choices({Mask.NUMBERS: "skäl"}), of=[note])
    left = "".join(c for c in shown(copy, 1)["text"] if c.isdigit())
    assert left == "", shown(copy, 1)["text"]


@pytest.mark.parametrize("short", ["3 gånger", "kl 14.30", "rum 1204", "§ 12"])
def test_a_short_number_stays(short: str) -> None:
    copy = copied(Choices({Mask.NUMBERS: "skäl"}), of=[CaseNoted("olle", personal(short))])
    assert shown(copy, 1)["text"] == short


def test_words_are_masked_in_any_case_and_the_longest_first() -> None:
    choices = Choices({Mask.WORDS: "namn"}, ("exempel", "Exempel Exempelsson"))
    assert shown(copied(choices), 1)["text"].startswith(f"{MASKED} ringde")


@pytest.mark.parametrize("word", ["(a|b)*", ".", "\\", "[", "Åsa", "ß"])
def test_a_word_is_no_pattern(word: str) -> None:
    note = CaseNoted("olle", personal(f"x {word} y"))
    copy = copied(Choices({Mask.WORDS: "namn"}, (word,)), of=[note])
    assert word not in shown(copy, 1)["text"]
    assert shown(copy, 1)["text"].startswith("x")


def test_named_parts_are_masked_whole_and_a_star_is_all() -> None:
    one = copied(Choices({Mask.PARTS: "OSL"}, parts=frozenset({"1.text"})))
    assert shown(one, 1)["text"] == {"masked": "parts", "reason": "OSL"}
    assert shown(one, 1)["title"] == "Rubrik"
    every = copied(Choices({Mask.PARTS: "OSL"}, parts=frozenset({"*"})))
    assert all("masked" in shown(every, 1)[name] for name in ("title", "text"))


def test_a_part_that_is_not_there_is_refused() -> None:
    with pytest.raises(Invalid, match=r"9\.text"):
        copied(Choices({Mask.PARTS: "OSL"}, parts=frozenset({"9.text"})))


def test_what_is_about_others_is_masked_where_that_is_chosen() -> None:
    told = CaseDisclosed("rut", "purpose", (), personal("Tidningen Exempel"))
    copy = copied(Choices({Mask.OTHER_PERSONS: "annan"}), of=[*events(), told])
    assert shown(copy, 6)["recipient"] == {"masked": "other_persons", "reason": "annan"}
    assert shown(copy, 4)["name"] == {"masked": "other_persons", "reason": "annan"}
    assert copy.copies_before == 1


def test_a_protected_identity_is_masked_whatever_was_chosen() -> None:
    copy = copied(protected=True)
    personal_fields = [(1, "title"), (1, "text"), (2, "text"), (3, "number"), (4, "name")]
    assert all(shown(copy, n)[name]["masked"] == "protected" for n, name in personal_fields)
    assert "Exempel" not in str(copy.rows)


def test_what_stays_sealed_is_masked() -> None:
    note = CaseNoted("olle", Sealed("protected/case/TK/a/1", "box"))
    copy = copied(of=[note])
    assert shown(copy, 1)["text"]["masked"] == "protected"


@pytest.mark.parametrize(
    "choices",
    [
        Choices({Mask.NUMBERS: " "}),
        Choices({Mask.NUMBERS: "x" * 101}),
        Choices({Mask.WORDS: "why"}),
        Choices({}, words=("a",)),
        Choices({}, parts=frozenset({"1.text"})),
        Choices({Mask.WORDS: "why"}, words=(" ",)),
    ],
)
def test_a_choice_without_its_reason_or_its_object_is_refused(choices: Choices) -> None:
    with pytest.raises(Invalid):
        copied(choices)


def test_what_was_masked_fits_into_a_command_and_holds_nothing_that_was_masked() -> None:
    notes = [CaseNoted("olle", personal(f"Exempelsson {n}")) for n in range(300)]
    copy = copied(Choices({Mask.WORDS: "r" * 100}, ("Exempelsson",)), of=notes)
    assert len(copy.told) == COMMAND_ITEMS_MAX
    assert copy.told[-1] == "and 101 more, see the copy"
    assert all(len(line) <= 200 for line in copy.told)
    assert "Exempelsson" not in str(copy.told)
