"""Numbers, shares and times as people read them, in Swedish or English; `formats.js` does the same.

Own code and not Babel: the runtime has the standard library's gettext only, and these are six
rules.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, tzinfo
from typing import Final

NO_VALUE: Final = "–"
_THIN: Final = "\N{NO-BREAK SPACE}"
_MINUTE_S: Final = 60
_HOUR_S: Final = 3600


@dataclass(frozen=True, slots=True)
class Formats:
    """How one language writes figures; `zone` is the city's own time zone."""

    language: str
    zone: tzinfo

    def whole(self, number: int | None) -> str:
        """`12 345` in Swedish, `12,345` in English; a dash where there is no value."""
        if number is None:
            return NO_VALUE
        return f"{number:,}".replace(",", _THIN) if self.language == "sv" else f"{number:,}"

    def share(self, share: float | None) -> str:
        """A rate 0-1 in whole per cent: `62 %`; a dash where nothing was measured, never 0 %."""
        if share is None:
            return NO_VALUE
        percent = int(share * 100 + 0.5)
        return f"{percent}{_THIN}%" if self.language == "sv" else f"{percent}%"

    def decimal(self, number: float | None) -> str:
        """One decimal: `3,5` in Swedish."""
        if number is None:
            return NO_VALUE
        text = f"{number:.1f}"
        return text.replace(".", ",") if self.language == "sv" else text

    def duration(self, seconds: float | None) -> str:
        """Minutes and seconds as on a clock: `0:07`, `1:02:09`; a dash where there is none."""
        if seconds is None:
            return NO_VALUE
        whole = max(0, int(seconds))
        hours, rest = divmod(whole, _HOUR_S)
        minutes, left = divmod(rest, _MINUTE_S)
        return f"{hours}:{minutes:02}:{left:02}" if hours else f"{minutes}:{left:02}"

    def clock(self, at: datetime) -> str:
        """The time of day with seconds, 24 hours, in the city's zone."""
        return at.astimezone(self.zone).strftime("%H:%M:%S")

    def clock_of(self, iso: str) -> str:
        """`clock` of a time in ISO 8601."""
        return self.clock(datetime.fromisoformat(iso))

    def minute(self, at: datetime) -> str:
        """The time of day without seconds, in the city's zone."""
        return at.astimezone(self.zone).strftime("%H:%M")
