"""The mark of a folder with a demo's made-up calls, so that they never get among real ones."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from core.errors import Refused
from kontaktcenter.words import _

if TYPE_CHECKING:
    from pathlib import Path

    from kontaktcenter.config import Config

_MARK: Final = "demo"


def claim(config: Config) -> None:
    """Mark the folder as the demo's. Raises: Refused where it holds a log that is not."""
    mark, log = config.data / _MARK, config.data / "log.db"
    if log.exists() and not mark.exists():
        said = _(
            "{folder} holds a log that is not the demo's, and the demo would write made-up calls "
            "into it: choose another folder with --data"
        )
        raise Refused(said.format(folder=config.data))
    config.data.mkdir(mode=0o700, parents=True, exist_ok=True)
    mark.touch()


def note(data: Path) -> str | None:
    """What a board says of a folder with a demo's calls; None for any other."""
    return _("From a demo: nothing here is real.") if (data / _MARK).exists() else None
