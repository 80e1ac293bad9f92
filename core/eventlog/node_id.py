"""The id of a node: made once, kept in its data folder; a copy of the folder is the same node."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, Final

from core.errors import Corrupt, Unavailable

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

FILE: Final = "node.id"
_BYTES: Final = 8
_ID: Final = re.compile(r"[0-9a-f]{16}")


def node_id(data: Path, entropy: Callable[[int], bytes]) -> str:
    """The id of the node whose data folder this is; made of `entropy` where there is none.

    Raises: Corrupt where the file is not ours, Unavailable.
    """
    path = data / FILE
    try:
        if not path.exists():
            _make(path, entropy(_BYTES).hex())
        found = path.read_text(encoding="ascii", errors="replace").strip()
    except OSError as e:
        msg = f"the file {path} cannot be used ({e.strerror}): check the folder and its rights"
        raise Unavailable(msg, neighbour="data folder", retry_after_s=5) from e
    if not _ID.fullmatch(found):
        msg = f"the file {path} is damaged: remove it, and this is a new node from now on"
        raise Corrupt(msg)
    return found


def _make(path: Path, name: str) -> None:
    unfinished = path.with_name(f"{path.name}.unfinished")  # half an id would be another node
    with unfinished.open("w", encoding="ascii") as file:
        file.write(name + "\n")
        file.flush()
        os.fsync(file.fileno())
    unfinished.replace(path)
    folder = os.open(path.parent, os.O_RDONLY)
    os.fsync(folder)
    os.close(folder)
