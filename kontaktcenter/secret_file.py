"""A secret in a file of its own, which nobody else may read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from core.errors import Corrupt
from kontaktcenter.config import ConfigError
from kontaktcenter.words import _

if TYPE_CHECKING:
    from pathlib import Path

_OTHERS: Final = 0o077


def read_secret(path: Path, key: str) -> str:
    """What the file holds, without blanks around it. `key` is the setting that names it.

    Raises: ConfigError where it cannot be read; Corrupt where others may read it, or it is empty.
    """
    try:
        secret = path.read_text(encoding="utf-8").strip()
        mode = path.stat().st_mode
    except (OSError, UnicodeDecodeError) as e:
        said = _("{key}: {file} cannot be read: {why}").format(key=key, file=path, why=e)
        raise ConfigError(said, key=key) from e
    if mode & _OTHERS:
        said = _("{key}: {file} can be read by others: run chmod 600 on it")
        raise Corrupt(said.format(key=key, file=path))
    if not secret:
        said = _("{key}: {file} is empty: put the secret into it, or remove it and start again")
        raise Corrupt(said.format(key=key, file=path))
    return secret
