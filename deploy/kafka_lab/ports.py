"""Ports that stay ours while nothing listens on them, as when a broker was killed.

Below the kernel's range for outgoing connections: a client that knocks at a dead broker's port
from that range can end up connected to itself, and then the broker cannot have its port back.
"""

from __future__ import annotations

import fcntl
import os
import random
import socket
import tempfile
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from typing import IO

_LOWEST: Final = 15_000
_RANGE: Final = Path("/proc/sys/net/ipv4/ip_local_port_range")
_TRIES: Final = 500


class Port:
    """A port that no other process of the lab takes, until it is given back or we die."""

    def __init__(self, number: int, lock: IO[str]) -> None:
        self.number = number
        self._lock = lock

    def give_back(self) -> None:
        """Let others have it."""
        self._lock.close()


def claim(host: str = "127.0.0.1") -> Port:
    """A free port on `host`. Raises: OSError where none was found."""
    folder = Path(tempfile.gettempdir()) / f"kontaktcenter-ports-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    for _ in range(_TRIES):
        number = random.randrange(_LOWEST, _highest())
        lock = (folder / str(number)).open("w")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            with closing(socket.socket()) as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                probe.bind((host, number))
        except OSError:
            lock.close()
        else:
            return Port(number, lock)
    raise OSError(f"no free port on {host} in {_TRIES} tries")


def _highest() -> int:
    try:
        outgoing = int(_RANGE.read_text(encoding="ascii").split()[0])
    except (OSError, ValueError, IndexError):
        outgoing = 32_768
    return outgoing if outgoing > 2 * _LOWEST else 65_536
