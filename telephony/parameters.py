"""Reading the parameters of a row: so many of them, and numbers that are numbers."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from core.limits import NAME_CHARS_MAX
from telephony.rows import looks_like_phone

if TYPE_CHECKING:
    from telephony.rows import Row

SECONDS_MAX: Final = 10_000_000  # nobody waits four months: two rows have run into one
PAUSE_REASON_CHARS_MAX: Final = 60
_NUMBER: Final = re.compile(r"[0-9]{1,9}(\.[0-9]{1,6})?")
_SHORT_NUMBER: Final = re.compile(r"-?[0-9]{1,5}(\.[0-9]{1,3})?")
_EXCHANGE_WORDS: Final = frozenset({"PAUSED", "yes", "no", "true", "false", "on", "off"})
_NO_NUMBERS: Final = frozenset(
    {
        "",
        "unknown",
        "<unknown>",
        "anonymous",
        "unavailable",
        "restricted",
        "private",
        "withheld",
        "none",
    }
)


class WrongError(Exception):
    """What is wrong with a row, without its content."""


def count(row: Row, least: int, most: int) -> tuple[str, ...]:
    """The parameters, so many; empty ones at the end are not too many. Raises: WrongError."""
    given = row.parameters
    if len(given) < least:
        raise WrongError(f"parameters: {len(given)}, {row.event} has at least {least}")
    if any(given[most:]):
        raise WrongError(f"parameters: {len(given)}, {row.event} has at most {most}")
    return given


def seconds(text: str, what: str) -> float:
    """A number that is not negative; `what` names it in the error. Raises: WrongError."""
    if text.startswith("-"):
        raise WrongError(f"{what}: negative")
    if _NUMBER.fullmatch(text) is None:
        raise WrongError(f"{what}: not a number")
    value = float(text)
    if value > SECONDS_MAX:
        raise WrongError(f"{what}: more than {SECONDS_MAX} s")
    return value


def position(text: str) -> int | None:
    """A place in the queue, None where the field is empty. Raises: WrongError."""
    if not text:
        return None
    if text.startswith("-"):
        raise WrongError("position: negative")
    if not (text.isascii() and text.isdigit()) or len(text) > len(str(SECONDS_MAX)):
        raise WrongError("position: not a number")
    return int(text)


def wait_last(row: Row) -> float:
    """The wait of a row of position, position at entry, wait. Raises: WrongError."""
    now, at_entry, wait = count(row, 3, 3)[:3]
    position(now)
    position(at_entry)
    return seconds(wait, "wait")


def wait_first(row: Row) -> float | None:
    """The wait of a custom row, where its dialplan gives one. Raises: WrongError."""
    first = row.parameters[0] if row.parameters else ""
    return seconds(first, "wait") if first else None


def caller_number(text: str) -> str | None:
    """A caller's number, None where it is hidden or no network would send it."""
    number = text.strip()
    hidden = number.lower() in _NO_NUMBERS or len(number) > NAME_CHARS_MAX
    return None if hidden else number


def pause_reason(row: Row) -> str:
    """A pause's reason, empty where it looks like more than a code. Raises: WrongError."""
    given = count(row, 0, 1)
    text = given[0] if given else ""
    return "" if len(text) > PAUSE_REASON_CHARS_MAX or looks_like_phone(text) else text


def harmless(parameters: tuple[str, ...]) -> tuple[str, ...]:
    """Those that cannot be personal data, the others empty in their places; () if none is kept."""
    kept = [p if p in _EXCHANGE_WORDS or _SHORT_NUMBER.fullmatch(p) else "" for p in parameters]
    return tuple(kept) if any(kept) else ()
