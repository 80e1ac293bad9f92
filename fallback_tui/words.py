"""The terminal's words: English in the code, Swedish from the catalogue beside it."""

from __future__ import annotations

import gettext
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

_FOLDER = Path(__file__).parent / "locale"


def speaker(language: str, folder: Path = _FOLDER) -> Callable[[str], str]:
    """The function that turns a sentence of the code into `language` (`sv` or `en`).

    Raises: FileNotFoundError where the Swedish catalogue is not compiled; the caller then says so
    in English.
    """
    if language == "en":
        return gettext.NullTranslations().gettext
    return gettext.translation("fallback_tui", folder, languages=[language]).gettext
