"""The device's key, and the sealing of numbers and notes: none lies in clear on the disk.

The key lies in the same folder as the journal, so this protects a copy of the journal alone (a
backup, a USB stick, a file sent for repair), not a stolen computer: encryption under a passphrase
comes with the reserve issue.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from core.commit import reserve_id
from core.errors import Unavailable
from core.personal import DataKey, Personal, Sealed, open_sealed, seal

if TYPE_CHECKING:
    from pathlib import Path

    from core.reserve import Head

KEY_BYTES: Final = 32
NONCE_BYTES: Final = 12


class CannotSeal(Unavailable):
    """Numbers and notes cannot be saved on this computer; the rest of a call can."""


@dataclass(frozen=True, slots=True)
class Sealer:
    """Seals one device's fields. `entropy` gives that many fresh random bytes."""

    key: DataKey
    entropy: Callable[[int], bytes]

    def seal(self, head: Head, name: str, text: str) -> Sealed | None:
        """`text` sealed for the entry after `head` and its field `name`; None for an empty text."""
        if not text:
            return None
        place = _place(head.device, head.epoch, head.seq + 1, name)
        return seal(Personal(text, place), self.key, place, self.entropy(NONCE_BYTES))

    def open(self, head: Head, seq: int, name: str, sealed: Sealed) -> str:
        """What was sealed. Raises: ValueError where key, box or place do not fit."""
        return open_sealed(sealed, self.key, _place(head.device, head.epoch, seq, name)).value


def _place(device: str, epoch: int, seq: int, name: str) -> str:
    return f"{reserve_id(device, epoch, seq)}/0/{name}"


def open_sealer(folder: Path, head: Head, entropy: Callable[[int], bytes]) -> Sealer:
    """The sealer with the device's key, which is made with the journal.

    Raises: CannotSeal, with `why`.
    """
    if importlib.util.find_spec("cryptography") is None:
        raise CannotSeal("the program part 'cryptography' is missing on this computer")
    path = folder / "device.key"
    try:
        if not path.exists():
            if head.seq:
                raise CannotSeal("the key file device.key is missing: put it back from its copy")
            _make(path, entropy(KEY_BYTES))
        secret = path.read_bytes()
    except OSError as e:
        raise CannotSeal("the key file device.key cannot be read") from e
    if len(secret) != KEY_BYTES:
        raise CannotSeal("the key file device.key is damaged: put it back from its copy")
    name = hashlib.sha256(b"kontaktcenter device key\n" + secret).hexdigest()[:16]
    return Sealer(DataKey(f"reserve-{head.device}/{name}", secret), entropy)


def _make(path: Path, secret: bytes) -> None:
    """The whole file or none: a key of half its length would lock out what is sealed next."""
    fresh = path.with_suffix(".new")
    fresh.unlink(missing_ok=True)
    handle = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "wb") as out:
        out.write(secret)
        out.flush()
        os.fsync(out.fileno())
    fresh.rename(path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
