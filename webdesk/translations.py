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


def choose_language(asked: str | None, accept: str | None, default: str) -> str:
    """The language asked for, else the browser's first that we have, else `default`.

    `accept` is an Accept-Language header; a malformed one counts as none.
    """
    if asked in LANGUAGES:
        return str(asked)
    ranked: list[tuple[float, int, str]] = []
    for place, part in enumerate((accept or "").split(",")[:20]):
        tag, _, rest = part.strip().partition(";")
        try:
            quality = float(rest.strip().removeprefix("q=")) if rest else 1.0
        except ValueError:
            continue
        language = tag.strip().lower().partition("-")[0]
        if language in LANGUAGES and quality > 0:
            ranked.append((-quality, place, language))
    return min(ranked)[2] if ranked else default
