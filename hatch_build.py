"""Build step: compile the gettext catalogues, so that what runs needs only the standard library."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


def compile_catalogues(root: Path) -> list[Path]:
    """Write a `.mo` beside each `.po` that is newer than it; returns what was written."""
    from babel.messages.mofile import write_mo  # noqa: PLC0415 -- only a build has Babel
    from babel.messages.pofile import read_po  # noqa: PLC0415

    written = []
    for source in sorted(root.glob("*/locale/*/LC_MESSAGES/*.po")):
        target = source.with_suffix(".mo")
        if target.exists() and target.stat().st_mtime >= source.stat().st_mtime:
            continue
        with source.open("rb") as lines:
            catalogue = read_po(lines)
        with target.open("wb") as out:
            write_mo(out, catalogue)
        written.append(target)
    return written


class CataloguesHook(BuildHookInterface[Any]):
    """Runs for the wheel and for an editable install alike."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:  # noqa: ARG002
        """Hatchling calls it before it collects files."""
        compile_catalogues(Path(self.root))
