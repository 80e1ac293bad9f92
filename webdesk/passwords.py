"""Passwords: argon2id, and the same work for a name that nobody has.

Source: RFC 9106 (its second recommended option, argon2-cffi's default: 64 MiB, three passes); NIST
SP 800-63B for what a password must be: long, not common, not the name.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from core.limits import PASSWORD_CHARS_MAX, PASSWORD_CHARS_MIN

if TYPE_CHECKING:
    from collections.abc import Callable

_DUMMY_BYTES: Final = 24
_DIFFERENT_MIN: Final = 5
_WORD_CHARS_MIN: Final = 4
_BESIDE_MIN: Final = 8  # of a password that holds the name, so much is something else
# What people take first, in Swedish and in English: with digits and signs around them they are no
# better. Names of the city and of this program are guessed first of all here.
_COMMON: Final = frozenset(
    {
        "password", "passord", "passwort", "losenord", "lösenord", "hemligt", "hemlighet",
        "secret", "letmein", "welcome", "valkommen", "välkommen", "qwerty", "qwertyuiop",
        "qwertyuiopå", "asdfgh", "asdfghjkl", "zxcvbnm", "admin", "administrator",
        "administratör", "root", "user", "användare", "anvandare", "test", "testar", "changeme",
        "default", "sommar", "sommaren", "vinter", "vintern", "host", "hosten", "höst", "hösten",
        "var", "vår", "varen", "våren", "semester", "summer", "winter", "spring", "autumn",
        "januari", "februari", "mars", "april", "maj", "juni", "juli", "augusti", "september",
        "oktober", "november", "december", "mandag", "måndag", "fredag", "stockholm", "goteborg",
        "göteborg", "malmo", "malmö", "sverige", "sweden", "kontaktcenter", "kontaktcentret",
        "kommun", "kommunen", "staden", "stad", "arbete", "jobb", "sunshine", "monkey", "dragon",
        "football", "fotboll", "hockey", "iloveyou", "jagalskardig", "princess", "prinsessa",
        "master", "batman", "superman", "starwars", "abc", "abcd", "abcdef", "abcdefgh", "hejsan",
        "hejhej", "tjena",
    }
)  # fmt: skip
_ROWS: Final = ("abcdefghijklmnopqrstuvwxyzåäö", "0123456789", "qwertyuiopå", "asdfghjklöä")


class Passwords:
    """Makes and checks hashes. A check takes a tenth of a second: never on the server's loop.

    `entropy` gives the password that nobody has, checked in the place of one that is not there.
    """

    def __init__(
        self, entropy: Callable[[int], bytes], hasher: PasswordHasher | None = None
    ) -> None:
        self._hasher = hasher or PasswordHasher()
        self._nobodys = self._hasher.hash(entropy(_DUMMY_BYTES))

    def hash(self, password: str) -> str:
        """The hash of a password, with its salt and its cost."""
        return self._hasher.hash(password)

    def verify(self, stored: str | None, password: str) -> bool:
        """Whether it is the password. With no hash it is not, after the same work."""
        try:
            self._hasher.verify(stored or self._nobodys, password)
        except (VerificationError, InvalidHashError):
            return False
        return stored is not None


def fault_of(password: str, *names: str) -> str | None:
    """Why a password may not be set, as a word: `short`, `long`, `name`, `common`; None: it may."""
    if len(password) < PASSWORD_CHARS_MIN:
        return "short"
    if len(password) > PASSWORD_CHARS_MAX:
        return "long"
    plain = password.casefold()
    letters = re.sub(r"[^a-zåäö]+", "", plain.translate(_LEET))
    for name in names:
        bare = name.casefold().strip()
        if len(bare) >= _WORD_CHARS_MIN and bare in plain and len(plain) - len(bare) < _BESIDE_MIN:
            return "name"
        if plain in {bare, bare[::-1]}:
            return "name"
    if len(set(plain)) < _DIFFERENT_MIN or _is_row(plain):
        return "common"
    return "common" if letters in _COMMON or re.sub(r"[\W\d_]+", "", plain) in _COMMON else None


_LEET: Final = str.maketrans({"0": "o", "1": "i", "3": "e", "4": "a", "5": "s", "@": "a", "$": "s"})


def _is_row(plain: str) -> bool:
    """Whether it is a row of the keyboard or alphabet, forwards, backwards or again and again."""
    for row in _ROWS:
        for one in (row, row[::-1]):
            if plain in one * (PASSWORD_CHARS_MAX // len(one) + 2):
                return True
    half = len(plain) // 2
    return any(plain == (plain[:n] * len(plain))[: len(plain)] for n in range(1, half))
