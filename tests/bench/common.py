"""What the measurements share: the machine's name, rounds in shuffled order, medians, one table."""

from __future__ import annotations

import os
import platform
import random
import statistics
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

ROUNDS = int(os.environ.get("BENCH_ROUNDS", "3"))


@dataclass
class Figure:
    """One figure of a table: what, of whom, its rounds, and the unit."""

    what: str
    unit: str
    rounds: list[float] = field(default_factory=list)

    @property
    def median(self) -> float:
        """The median of the rounds."""
        return statistics.median(self.rounds)

    def text(self) -> str:
        """Median and range, for a table."""
        low, high = min(self.rounds), max(self.rounds)
        return f"{_short(self.median)} ({_short(low)}–{_short(high)})"


def machine() -> str:
    """The machine, in a line."""
    model = "unknown processor"
    for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
        if line.startswith("model name"):
            model = line.partition(":")[2].strip()
            break
    now = datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")
    return f"{now}; {os.cpu_count()} cores, {model}; Python {platform.python_version()}"


def rounds(
    measures: dict[str, tuple[str, Callable[[], float]]], seed: int = 1
) -> dict[str, Figure]:
    """Run each measure once a round, in another order each time: noise then hits all alike.

    Shape: `{name: (unit, measure)}`; a measure returns its figure.
    """
    figures = {name: Figure(name, unit) for name, (unit, _) in measures.items()}
    order = list(measures)
    chance = random.Random(seed)
    for _ in range(ROUNDS):
        chance.shuffle(order)
        for name in order:
            figures[name].rounds.append(measures[name][1]())
    return figures


def table(title: str, figures: dict[str, Figure], base: str | None = None) -> None:
    """Print a Markdown table; with `base`, a column of ratios to that row."""
    print(f"\n### {title}\n")
    print("| what | median (range) | unit |" + (f" ratio to {base} |" if base else ""))
    print("| --- | --- | --- |" + (" --- |" if base else ""))
    for name, figure in figures.items():
        ratio = f" {figure.median / figures[base].median:.2f} |" if base else ""
        print(f"| {name} | {figure.text()} | {figure.unit} |{ratio}", flush=True)


def per_second(count: int, work: Callable[[], object]) -> float:
    """How many a second."""
    started = time.perf_counter()
    work()
    return count / (time.perf_counter() - started)


def percentile(values: list[float], share: float) -> float:
    """The value below which `share` of them lie."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def _short(number: float) -> str:
    if number >= 100:
        return f"{number:,.0f}".replace(",", " ")
    return f"{number:.2f}" if number >= 0.2 else f"{number:.3f}"
