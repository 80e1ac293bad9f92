"""Disks that fill up: a tmpfs of some size. Needs root."""

from __future__ import annotations

import subprocess
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@contextmanager
def small_disk(at: Path, size: str) -> Iterator[Path]:
    """A disk of `size` at `at`, which is made."""
    at.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", at], check=True)
    try:
        yield at
    finally:
        subprocess.run(["umount", "-l", at], check=True)  # also where a test left a file open


def enlarge(at: Path, size: str) -> None:
    """The disk at `at` has `size` from now on."""
    subprocess.run(["mount", "-o", f"remount,size={size}", at], check=True)
