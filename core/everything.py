"""All about one person, for the person: the right of access (*registerutdrag*). Pure.

What is about somebody else is masked, with the reason: cases that another person opened, who got a
copy, other people's telephone numbers, and whatever words the registrar names. The keyed hashes,
keys and addresses that tie things together are left out.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, fields
from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final

from core.cases import CaseDisclosed, CaseNoted, CaseRegistered
from core.personal import Erased, Personal, Sealed

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from core.commit import Recorded

SCHEMA: Final = "urn:kontaktcenter:person:1"
MASK: Final = "█████"
_LEFT_OUT: Final = frozenset({"caller_ref", "address", "key", "other"})  # `other`: another's case
# Digits with what people write between them: telephone numbers, personal identity numbers.
_NUMBER: Final = re.compile(r"(?<!\d)\+?\d(?:[\s\-–./()]{0,2}\d){5,}(?!\d)")
_NO_DIGIT: Final = re.compile(r"\D")
_TAIL_DIGITS: Final = 7  # what all ways to write one number have in common, without its beginning


class Why(StrEnum):
    """Why something is masked."""

    OTHER_PERSON = "other_person"
    OTHERS_CASE = "others_case"
    OTHERS_NUMBER = "others_number"
    PRIVATE_NOTE = "private_note"
    PROTECTED = "protected"
    WORD = "word"


@dataclass(frozen=True)
class Person:
    """Whose data: the keyed hashes of the `numbers` (all ways to write it), words to mask."""

    refs: frozenset[str]
    numbers: tuple[str, ...]
    words: tuple[str, ...] = ()

    @property
    def tail(self) -> str:
        """The last digits, by which the person's own number is known again in a text."""
        return _NO_DIGIT.sub("", self.numbers[0])[-_TAIL_DIGITS:]


@dataclass
class Told:
    """What was told, and how often what was masked, by `Why`."""

    rows: list[dict[str, Any]] = field(default_factory=list)
    masked: dict[str, int] = field(default_factory=dict)

    def mask(self, why: Why) -> dict[str, str]:
        """A masked field, counted."""
        self.masked[why] = self.masked.get(why, 0) + 1
        return {"masked": why.value}


def is_own(recorded: Iterable[Recorded], person: Person) -> bool:
    """Whether the person opened the case; else it is somebody else's, and this one got in touch."""
    for each in recorded:
        if isinstance(each.event, CaseRegistered):
            return each.event.caller_ref in person.refs
    return False


def about(recorded: Sequence[Recorded], person: Person, *, own: bool = True) -> Told:
    """What happened in one stream, a row for each event: a case (`own` or another's), or a call."""
    told = Told()
    for each in recorded:
        shown: dict[str, Any] = {}
        for item in fields(each.event):
            value = getattr(each.event, item.name)
            if item.name in _LEFT_OUT or value is None or value in ((), {}):
                continue
            if isinstance(value, Personal | Sealed | Erased):
                shown[item.name] = _personal(each, value, person, told, own=own)
            else:
                shown[item.name] = _plain(value)
        told.rows.append(
            {
                "type": each.event.TOPIC,
                "occurred_at": each.occurred_at.isoformat(),
                "recorded_at": each.recorded_at.isoformat(),
                "by": each.actor,
                "fields": shown,
            }
        )
    return told


def _personal(
    recorded: Recorded, value: Personal | Sealed | Erased, person: Person, told: Told, *, own: bool
) -> Any:
    if isinstance(value, Erased):
        return {"erased": True}
    if isinstance(value, Sealed):
        return told.mask(Why.PROTECTED)
    if not own:
        return told.mask(Why.OTHERS_CASE)
    if isinstance(recorded.event, CaseDisclosed):
        return told.mask(Why.OTHER_PERSON)
    if isinstance(recorded.event, CaseNoted) and recorded.event.private:
        return told.mask(Why.PRIVATE_NOTE)
    return _text(value.value, person, told)


def _text(text: str, person: Person, told: Told) -> str:
    """Text without others' numbers, and without the words that the registrar named."""

    def number(found: re.Match[str]) -> str:
        if _NO_DIGIT.sub("", found[0]).endswith(person.tail):
            return found[0]
        told.mask(Why.OTHERS_NUMBER)
        return MASK

    shown = _NUMBER.sub(number, text)
    if person.words:
        longest_first = sorted(person.words, key=len, reverse=True)
        pattern = "|".join(re.escape(word.strip()) for word in longest_first)
        shown, found = re.subn(pattern, MASK, shown, flags=re.IGNORECASE)
        for _ in range(found):
            told.mask(Why.WORD)
    return shown


def _plain(value: object) -> object:
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, tuple):
        return list(value)
    return value
