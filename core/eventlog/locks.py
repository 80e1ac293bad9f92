"""A file for one process alone, by a lock of the operating system."""

from __future__ import annotations

import fcntl
import os
from typing import TYPE_CHECKING

from core.errors import InUse, Unavailable

if TYPE_CHECKING:
    from pathlib import Path


def hold(lock: Path, what: str) -> int:
    """Take `lock` for this process, with the folders above it; the open file is the hold.

    It goes with the process, whatever ends it. `what` is what people call the locked thing.
    Raises: InUse, Unavailable.
    """
    try:
        lock.parent.mkdir(parents=True, exist_ok=True)
        held = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as e:
        msg = f"{what} cannot be used ({e.strerror}): check the folder and its rights"
        raise Unavailable(msg, neighbour="data folder") from e
    try:
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as e:
        os.close(held)
        raise InUse(f"{what} is in use by another process", neighbour="data folder") from e
    return held
