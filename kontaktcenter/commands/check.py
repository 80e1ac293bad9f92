"""A line of `doctor`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

OK: Final = "ok"
WARN: Final = "warn"
FAIL: Final = "fail"


@dataclass(frozen=True)
class Check:
    """One line: what was looked at, `ok`, `warn` or `fail`, what was found, and what to do."""

    name: str
    state: str
    found: str
    do: str = ""
