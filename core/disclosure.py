"""A copy of a case to give out (*utlämnande*): what is shown, what is masked, and why.

A registrar chooses; protected identities and what somebody noted for himself alone are masked
always, whatever was chosen. Pure: the case's
events come opened, and what goes out is rows ready for JSON.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from core.cases import (
    AttachmentAdded,
    CaseContactAdded,
    CaseDisclosed,
    CaseNoted,
    CaseRegistered,
)
from core.errors import Invalid
from core.limits import COMMAND_ITEMS_MAX, NAME_CHARS_MAX
from core.personal import Erased, Personal, Sealed

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from core.commit import Recorded

MASKED: Final = "█████"
# Digits with what people write between them: telephone numbers, personal identity numbers.
_NUMBER: Final = re.compile(r"(?<!\d)\+?\d(?:[\s\-–./()]{0,2}\d){5,}(?!\d)")
_NUMBER_FIELDS: Final = frozenset({"number"})
_HIDDEN: Final = frozenset({"caller_ref", "address", "key"})  # pseudonyms and places, for nobody


class Mask(StrEnum):
    """What may be masked, each with its reason."""

    NUMBERS = "numbers"
    WORDS = "words"
    PARTS = "parts"
    OTHER_PERSONS = "other_persons"
    PROTECTED = "protected"
    PRIVATE = "private"


@dataclass(frozen=True)
class Choices:
    """What the registrar masks, and why: `reasons` by `Mask`; what has none is shown.

    `words` are names and the like, masked wherever they stand; `parts` are fields by their place
    (`3.text` is the text of the third event), or `*` for all free text.
    """

    reasons: Mapping[Mask, str] = field(default_factory=dict)
    words: tuple[str, ...] = ()
    parts: frozenset[str] = frozenset()

    def check(self) -> None:
        """Raises: Invalid where a choice has no reason, or is without what it masks."""
        for mask, reason in self.reasons.items():
            if not reason.strip() or len(reason) > NAME_CHARS_MAX // 2:
                raise Invalid(f"say why, for {mask}: 1 to {NAME_CHARS_MAX // 2} characters")
        for mask, given in ((Mask.WORDS, self.words), (Mask.PARTS, self.parts)):
            if bool(given) != (mask in self.reasons):
                raise Invalid(f"{mask} and its reason go together", field=mask.value)
        if any(not word.strip() for word in self.words):
            raise Invalid("words holds an empty one", field="words")


@dataclass(frozen=True, slots=True)
class Masked:
    """One field that was not shown, or not whole."""

    part: str
    mask: Mask
    reason: str

    def __str__(self) -> str:
        """As it stands in the log: where, what and why; never what was there."""
        return f"{self.part} {self.mask}: {self.reason}"[:NAME_CHARS_MAX]


@dataclass(frozen=True)
class Copy:
    """What goes out: a row for each event, and what was masked."""

    rows: list[dict[str, object]]
    masked: list[Masked]
    copies_before: int

    @property
    def told(self) -> tuple[str, ...]:
        """What was masked, for the log: at most `COMMAND_ITEMS_MAX`, the last one says how many."""
        lines = [str(each) for each in self.masked]
        if len(lines) <= COMMAND_ITEMS_MAX:
            return tuple(lines)
        left = len(lines) - COMMAND_ITEMS_MAX + 1
        return (*lines[: COMMAND_ITEMS_MAX - 1], f"and {left} more, see the copy")


def copy_of(recorded: Sequence[Recorded], choices: Choices, *, protected: bool) -> Copy:
    """The copy of a case whose events are opened. Raises: Invalid for choices that are not whole.

    A part that is named and not there is refused: whoever masks must not be mistaken about it.
    """
    choices.check()
    masked: list[Masked] = []
    rows = [_row(n, each, choices, masked, protected=protected) for n, each in _numbered(recorded)]
    there = {f"{n}.{name}" for n, each in _numbered(recorded) for name in _personal(each)}
    missing = sorted(choices.parts - there - {"*"})
    if missing:
        raise Invalid(f"there is no text at {', '.join(missing)}", field="parts")
    copies = sum(isinstance(each.event, CaseDisclosed) for each in recorded)
    return Copy(rows, masked, copies)


def _numbered(recorded: Iterable[Recorded]) -> Iterable[tuple[int, Recorded]]:
    return enumerate(recorded, start=1)


def _personal(recorded: Recorded) -> list[str]:
    return [
        item.name
        for item in fields(recorded.event)
        if isinstance(getattr(recorded.event, item.name), Personal | Sealed | Erased)
    ]


def _row(
    n: int, recorded: Recorded, choices: Choices, masked: list[Masked], *, protected: bool
) -> dict[str, object]:
    shown: dict[str, object] = {}
    for item in fields(recorded.event):
        value = getattr(recorded.event, item.name)
        if value is None or item.name in _HIDDEN or value in ((), {}):
            continue
        if isinstance(value, Personal | Sealed | Erased):
            part = f"{n}.{item.name}"
            why = _whole(part, recorded, choices, protected=protected)
            if isinstance(value, Erased):
                shown[item.name] = {"erased": True}
            elif why is not None or isinstance(value, Sealed):
                why = why or Masked(part, Mask.PROTECTED, "sealed")
                masked.append(why)
                shown[item.name] = {"masked": why.mask.value, "reason": why.reason}
            else:
                shown[item.name] = _text(part, value.value, choices, masked)
        else:
            shown[item.name] = _plain(value)
    return {
        "n": n,
        "type": recorded.event.TOPIC,
        "occurred_at": recorded.occurred_at.isoformat(),
        "recorded_at": recorded.recorded_at.isoformat(),
        "actor": recorded.actor,
        "fields": shown,
    }


def _whole(part: str, recorded: Recorded, choices: Choices, *, protected: bool) -> Masked | None:
    """Why the whole field is masked; None where it is not."""
    name = part.partition(".")[2]
    if protected:
        reason = choices.reasons.get(Mask.PROTECTED, "skyddade personuppgifter")
        return Masked(part, Mask.PROTECTED, reason)
    if isinstance(recorded.event, CaseNoted) and recorded.event.private:
        return Masked(part, Mask.PRIVATE, "egen minnesanteckning")
    asked = [
        (Mask.PARTS, part in choices.parts or ("*" in choices.parts)),
        (Mask.NUMBERS, name in _NUMBER_FIELDS),
        (Mask.OTHER_PERSONS, _of_another(recorded)),
    ]
    for mask, wanted in asked:
        if wanted and mask in choices.reasons:
            return Masked(part, mask, choices.reasons[mask])
    return None


def _of_another(recorded: Recorded) -> bool:
    """Whether what the event holds is about somebody else than the one whose case it is."""
    return isinstance(recorded.event, CaseDisclosed | CaseContactAdded | AttachmentAdded)


def _text(part: str, text: str, choices: Choices, masked: list[Masked]) -> str:
    """Text with numbers and words taken out where that was chosen."""
    shown = text
    if Mask.WORDS in choices.reasons:
        words = sorted(choices.words, key=len, reverse=True)
        pattern = "|".join(re.escape(word.strip()) for word in words)
        shown, found = re.subn(pattern, MASKED, shown, flags=re.IGNORECASE)
        if found:
            masked.append(Masked(part, Mask.WORDS, choices.reasons[Mask.WORDS]))
    if Mask.NUMBERS in choices.reasons:
        shown, found = _NUMBER.subn(MASKED, shown)
        if found:
            masked.append(Masked(part, Mask.NUMBERS, choices.reasons[Mask.NUMBERS]))
    return shown


def _plain(value: object) -> object:
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, tuple):
        return list(value)
    return value


def caller_of(recorded: Iterable[Recorded]) -> str | None:
    """The keyed hash of whoever opened the case, for the read log."""
    for each in recorded:
        if isinstance(each.event, CaseRegistered):
            return each.event.caller_ref
    return None
