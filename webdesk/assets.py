"""Static files, under names that change with their content: a browser may keep them."""

from __future__ import annotations

import hashlib
import json
from functools import cache
from pathlib import Path
from typing import Final

STATIC_FOLDER: Final = Path(__file__).parent / "static"
VENDOR_FOLDER: Final = STATIC_FOLDER / "vendor"
MANIFEST: Final = VENDOR_FOLDER / "manifest.json"
PREFIX: Final = "/static"


def sha256_of(path: Path) -> str:
    """The SHA-256 of a file, hex."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


@cache
def address(name: str) -> str:
    """The address of a static file. Raises: FileNotFoundError."""
    return f"{PREFIX}/{name}?v={sha256_of(STATIC_FOLDER / name)[:12]}"


def vendored() -> dict[str, str]:
    """The files of others that we ship, with the SHA-256 that each must have."""
    found = json.loads(MANIFEST.read_text(encoding="utf-8"))
    return {str(name): str(digest) for name, digest in found["files"].items()}
