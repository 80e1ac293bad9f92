"""The name of a data folder's chain of looks: made once, kept in the folder."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, Final

from core.errors import Corrupt, Unavailable
from kontaktcenter.words import _

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

FILE: Final = "look-chain"
_BYTES: Final = 8
_NAME: Final = re.compile(r"[0-9a-f]{16}")


def chain_of(data: Path, entropy: Callable[[int], bytes]) -> str:
    """The chain's name; made of `entropy` and on disk before the first look is recorded.

    Raises: Corrupt where the file is not ours, Unavailable.
    """
    path = data / FILE
    try:
        if not path.exists():
            _make(path, entropy(_BYTES).hex())
        name = path.read_text(encoding="ascii", errors="replace").strip()
    except OSError as e:
        said = _("the file {file} cannot be used ({why}): check the folder and its rights")
        raise Unavailable(
            said.format(file=path, why=e.strerror), neighbour="data folder", retry_after_s=5
        ) from e
    if not _NAME.fullmatch(name):
        said = _("the file {file} is damaged: remove it, and this node begins a new chain of looks")
        raise Corrupt(said.format(file=path))
    return name


def _make(path: Path, name: str) -> None:
    unfinished = path.with_name(f"{path.name}.unfinished")  # half a name would be another chain
    with unfinished.open("w", encoding="ascii") as file:
        file.write(name + "\n")
        file.flush()
        os.fsync(file.fileno())
    unfinished.replace(path)
    folder = os.open(path.parent, os.O_RDONLY)
    os.fsync(folder)
    os.close(folder)
