"""The demo's clock: it runs faster than the world, so that waits look right at any speed."""

from __future__ import annotations

import time
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from core.commit import Clock


class DemoClock:
    """A clock (`core.commit.Clock`) that began at `start` and runs at `speed` times real time."""

    def __init__(
        self, start: datetime, speed: float, elapsed: Callable[[], float] = time.monotonic
    ) -> None:
        """`elapsed` gives real seconds that only grow."""
        self._start, self._speed, self._elapsed = start, speed, elapsed
        self._began = elapsed()

    def __call__(self) -> datetime:
        """The time in the demo."""
        return self._start + timedelta(seconds=(self._elapsed() - self._began) * self._speed)

    def begin_after(self, last: datetime | None) -> None:
        """Show nothing before `last`: where that is later than now, go on from there."""
        if last is not None and last > self():
            self._start, self._began = last, self._elapsed()

    def real_s_until(self, moment: datetime) -> float:
        """Real seconds until the demo's clock shows `moment`; 0 if it has passed."""
        return max(0.0, (moment - self()).total_seconds() / self._speed)


class LiveClock(DemoClock):
    """A demo's clock for a log that others read with theirs: it is never ahead of the world's.

    It stands still `behind` the world until it is told to begin, runs at `speed` until it has
    caught up, and then keeps the world's time.
    """

    def __init__(
        self,
        real: Clock,
        behind: timedelta,
        speed: float,
        elapsed: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__(real() - behind, speed, elapsed)
        self._real, self._runs = real, False

    def __call__(self) -> datetime:
        """The time in the demo."""
        return min(super().__call__(), self._real()) if self._runs else self._start

    def begin_after(self, last: datetime | None) -> None:
        """Run from now on. Show nothing before `last`: where that is later, go on from there."""
        self._start = self._start if last is None else max(last, self._start)
        self._began, self._runs = self._elapsed(), True
