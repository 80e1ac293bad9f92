"""The files of secrets: made once, never replaced; without them what is sealed stays sealed.

`city.key` opens everything but what is about protected identities; `protected.key` opens that.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from core.errors import Corrupt, Refused, Unavailable
from core.personal import SECRET_BYTES, CitySecret, ProtectedSecret

if TYPE_CHECKING:
    from pathlib import Path

_OTHERS = 0o077


def load_secret(path: Path, *, may_make: bool, entropy: bytes) -> CitySecret:
    """The city secret in `path`, 64 hex digits.

    Made there from `entropy` (32 bytes) where `may_make`.

    Raises: Corrupt where it is missing or unreadable though a log needs it, Refused where others
    may read it, Unavailable.
    """
    try:
        text = path.read_text(encoding="ascii").strip()
    except FileNotFoundError:
        if not may_make:
            msg = (
                f"the city secret {path} is missing, and the log was made with one: put it back "
                "from its safe place. "
                "Without it nothing that is sealed can be read, and nothing can be recorded"
            )
            raise Corrupt(msg) from None
        return CitySecret(_made(path, entropy, f"the city secret {path}"))
    except (OSError, UnicodeDecodeError) as e:
        msg = f"the city secret {path} cannot be read ({e})"
        raise Corrupt(msg) from e
    try:
        secret = CitySecret(bytes.fromhex(text))
    except ValueError as e:
        msg = (
            f"the city secret {path} is damaged: it must be {2 * SECRET_BYTES} hex digits. Put it "
            "back from its safe place"
        )
        raise Corrupt(msg) from e
    if path.stat().st_mode & _OTHERS:
        msg = f"the city secret {path} can be read by others: run chmod 600 on it"
        raise Refused(msg)
    return secret


def load_protected(path: Path, *, may_make: bool, entropy: bytes) -> ProtectedSecret:
    """The secret of protected identities in `path`, 64 hex digits; made as the city's is.

    Raises: Corrupt where it is missing or unreadable though keys need it, Refused where others may
    read it, Unavailable.
    """
    name = f"the secret of protected identities {path}"
    try:
        secret = ProtectedSecret(bytes.fromhex(path.read_text(encoding="ascii").strip()))
    except FileNotFoundError:
        if may_make:
            return ProtectedSecret(_made(path, entropy, name))
        msg = (
            f"{name} is missing: put it back from its safe place (KC_PROTECTED_KEY_FILE). Without "
            "it nothing about protected identities can be read or recorded; all else goes on"
        )
        raise Corrupt(msg) from None
    except (OSError, ValueError) as e:
        msg = f"{name} cannot be used: it must be {2 * SECRET_BYTES} hex digits"
        raise Corrupt(msg) from e
    if path.stat().st_mode & _OTHERS:
        msg = f"{name} can be read by others: run chmod 600 on it"
        raise Refused(msg)
    return secret


def _made(path: Path, entropy: bytes, name: str) -> bytes:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        unfinished = path.with_name(
            f"{path.name}.unfinished"
        )  # a crash must not leave half a secret
        unfinished.unlink(missing_ok=True)
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        with os.fdopen(os.open(unfinished, flags, 0o600), "w", encoding="ascii") as file:
            file.write(entropy.hex() + "\n")
            file.flush()
            os.fsync(file.fileno())
        unfinished.rename(path)
        folder = os.open(path.parent, os.O_RDONLY)
        os.fsync(folder)
        os.close(folder)
    except OSError as e:
        msg = f"{name} cannot be made ({e.strerror}): check the folder and its rights"
        raise Unavailable(msg, neighbour="data folder") from e
    return entropy
