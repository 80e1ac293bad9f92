"""The ways to write one telephone number: whoever asks for a person has only one of them."""

from __future__ import annotations

import re
from typing import Final

from core.errors import Invalid

_COUNTRY: Final = "46"
_DIGITS_MIN: Final = 5
_DIGITS_MAX: Final = 15
_BETWEEN: Final = re.compile(r"[\s\-–./()]")


def without_spaces(number: str) -> str:
    """A number as an exchange keeps it: without what people set between the digits."""
    return _BETWEEN.sub("", number.strip())


def ways_to_write(number: str) -> tuple[str, ...]:
    """All ways in which sources write `number`: as given, without spaces, with and without 46.

    An exchange keeps what the network sent, a form what somebody typed; the keyed hashes differ.
    Raises: Invalid where it is no telephone number; it is not repeated.
    """
    given = number.strip()
    plain = without_spaces(given)
    digits = plain.removeprefix("+")
    if not digits.isascii() or not digits.isdigit():
        raise Invalid("number is digits, with + before the country's", field="number")
    if not _DIGITS_MIN <= len(digits) <= _DIGITS_MAX:
        raise Invalid(f"number has {_DIGITS_MIN} to {_DIGITS_MAX} digits", field="number")
    ways = [given, plain, *_national(plain)]
    return tuple(dict.fromkeys(ways))


def _national(plain: str) -> list[str]:
    for before in (f"+{_COUNTRY}", f"00{_COUNTRY}", "0"):
        if plain.startswith(before):
            rest = plain.removeprefix(before).removeprefix("0")
            return [f"0{rest}", f"+{_COUNTRY}{rest}", f"00{_COUNTRY}{rest}", f"{_COUNTRY}{rest}"]
    return []
