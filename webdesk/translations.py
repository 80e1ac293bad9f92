"""The languages of the screens: gettext catalogues, read by the standard library alone."""

from __future__ import annotations

import gettext
from functools import cache
from pathlib import Path
from typing import Final

LANGUAGES: Final = ("sv", "en")
LOCALE_FOLDER: Final = Path(__file__).parent / "locale"
_DOMAIN: Final = "webdesk"


@cache
def catalogue(language: str) -> gettext.NullTranslations:
    """The catalogue of a language. Raises: FileNotFoundError where it is not compiled."""
    return gettext.translation(_DOMAIN, LOCALE_FOLDER, [language])


def choose_language(asked: str | None, default: str) -> str:
    """The language asked for in the address, else `default`.

    What the browser prefers does not decide: a city's computers often stand on English, and its
    screens, runbooks and colleagues speak Swedish.
    """
    return asked if asked in LANGUAGES else default
