"""Where the project is and what belongs to it, for tests of the house."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[1]
PACKAGES: Final = ("core", "projections", "telephony", "webdesk", "fallback_tui", "kontaktcenter")


def sources(*folders: str) -> list[Path]:
    """The Python files under `folders`; all of the project's where none is named."""
    chosen = folders or (*PACKAGES, "loadtests", "deploy", "tests")
    return sorted(
        p for f in chosen for p in (ROOT / f).rglob("*.py") if "__pycache__" not in p.parts
    )


def kept_files() -> list[Path]:
    """Every file that git keeps, or would keep when added."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
        cwd=ROOT,
        capture_output=True,
        check=True,
    )
    paths = (ROOT / name for name in listed.stdout.decode().split("\0") if name)
    return sorted(p for p in paths if p.is_file())


def markdown(*folders: str) -> list[Path]:
    """The Markdown files under `folders`, and README.md and CHANGELOG.md."""
    found = [p for f in folders or ("docs", "runbooks") for p in (ROOT / f).rglob("*.md")]
    return sorted([*found, ROOT / "README.md", ROOT / "CHANGELOG.md"])
