"""The words that people see: English in the code, Swedish from the gettext catalogue."""

from __future__ import annotations

import gettext
from functools import lru_cache
from pathlib import Path
from typing import Final

_chosen: Final = ["sv"]


@lru_cache(maxsize=4)
def _catalogue(language: str) -> gettext.NullTranslations:
    folder = Path(__file__).parent / "locale"
    return gettext.translation("kontaktcenter", folder, languages=[language], fallback=True)


def choose(language: str) -> None:
    """Speak `language` (`sv` or `en`) from now on; one process is one person's."""
    _chosen[0] = language


def _(text: str) -> str:
    """`text` in the language chosen."""
    return _catalogue(_chosen[0]).gettext(text) if text else text


def plural(one: str, many: str, n: int) -> str:
    """The right form of a counted thing, with `{n}` filled in."""
    return _catalogue(_chosen[0]).ngettext(one, many, n).format(n=n)
