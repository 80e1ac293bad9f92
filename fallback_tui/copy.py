"""The terminal's own copy of answer groups and types of matter, so that it needs no neighbour."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from core.reserve import Group

_SHIPPED = Path(__file__).parent / "groups.json"


@dataclass(frozen=True, slots=True)
class Copy:
    """The groups in the order of the list on the screen, and the day from which the copy is."""

    as_of: str
    groups: tuple[Group, ...]


def read_copy(path: Path = _SHIPPED) -> Copy:
    """The copy that came with the program."""
    raw = json.loads(path.read_text(encoding="utf-8"))
    groups = tuple(
        Group(
            g["id"],
            g["name"],
            bool(g["excluded"]),
            tuple((code, name) for code, name in g["matters"]),
        )
        for g in raw["groups"]
    )
    return Copy(raw["as_of"], groups)
