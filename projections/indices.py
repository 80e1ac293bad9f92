"""Key figures that are not counts of entries: satisfaction, first contact, comparison, waits.

Pure functions, each with its formula in the docstring's first line (`TEXTS` lists them for people).
Where there is nothing to divide by there is no value.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

from core.errors import Refused
from projections.kpi import KPIS, share

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

FCR_WINDOW_DAYS: Final = 7
_Z_95: Final = 1.959964
_PER: Final = 1000
_BAND: Final = (0.1, 0.9)
_BAND_STEPS: Final = 200

TEXTS: Final[Mapping[str, tuple[str, str, str, str]]] = {
    "fcr": (
        "Lösta vid första kontakten",
        "First-contact resolution",
        (
            "cases closed at the first contact, with no new contact by the same caller about the"
            " same case type within N days (exactly N days later still counts) / cases whose N days"
            " are over; the others are shown apart"
        ),
        "share",
    ),
    "complaint_level": (
        "Reklamationsnivå",
        "Complaint level",
        "complaints / contacts * 1000",
        "per 1000",
    ),
    "nki": (
        "Nöjd Kund-Index",
        "Satisfaction index",
        "each of three answers x (1-10) becomes (x - 1) / 9 * 100; their weighted mean",
        "0-100",
    ),
    "servicematning": (
        "Servicemätning",
        "Service survey",
        "answers 5, 4, 3, 2, 1 are worth 100, 75, 50, 25, 0; the mean over all answers",
        "0-100",
    ),
    "baseline_difference": (
        "Skillnad mot nollmätning",
        "Difference from the baseline",
        "after - before, +/- 1.959964 * root of (p1(1-p1)/n1 + p2(1-p2)/n2); only like with like",
        "share",
    ),
    "ewt": (
        "Beräknad väntetid",
        "Expected wait",
        "position * average handle time / agents in service; no value without agents",
        "s",
    ),
}

# Counts of cases. Each is of the cases that were registered in the period.
CASE_TEXTS: Final[Mapping[str, tuple[str, str, str, str]]] = {
    "case_volume": (
        "Registrerade ärenden",
        "Cases registered",
        "cases registered in the period, whatever became of them",
        "cases",
    ),
    "case_transfer_rate": (
        "Andel vidarelämnade",
        "Passed on",
        (
            "cases connected, handed over, sent to a complaint system or escalated beyond the"
            " centre's two levels / cases registered"
        ),
        "share",
    ),
    "case_guided_rate": (
        "Andel lotsade",
        "Guided",
        (
            "cases whose caller was shown the right way / cases registered; neither solved nor"
            " passed on by that"
        ),
        "share",
    ),
    "case_contacts": (
        "Kontakter",
        "Contacts",
        "registrations + further contacts about the cases that were registered in the period",
        "contacts",
    ),
}


class Incomparable(Refused):
    """The two measurements are not of the same thing, so they are not compared."""


# --- satisfaction and complaints ------------------------------------------------------------------
def nki_parts(answers: Sequence[int]) -> list[float]:
    """Each answer x (1-10) as (x - 1) / 9 * 100."""
    assert all(1 <= answer <= 10 for answer in answers), "answers are 1 to 10"  # noqa: PLR2004
    return [(answer - 1) / 9 * 100 for answer in answers]


def nki(answers: Sequence[int], weights: Sequence[float] | None = None) -> float | None:
    """The weighted mean of `nki_parts`, by default with equal weights."""
    parts = nki_parts(answers)
    use = weights or [1.0] * len(parts)
    return share(math.fsum(p * w for p, w in zip(parts, use, strict=True)), math.fsum(use))


def service_survey(counts: Mapping[int, int]) -> float | None:
    """The mean over all answers of 5, 4, 3, 2, 1 worth 100, 75, 50, 25, 0; `counts` by answer."""
    return share(sum((answer - 1) * 25 * n for answer, n in counts.items()), sum(counts.values()))


def complaint_level(complaints: int, contacts: int) -> float | None:
    """Complaints for each 1,000 contacts."""
    level = share(complaints, contacts)
    return None if level is None else level * _PER


# --- first contact --------------------------------------------------------------------------------
@dataclass(frozen=True, slots=True)
class ClosedCase:
    """A closed case, and when its caller later made contact about the same case type."""

    closed_at: datetime
    at_first_contact: bool
    returned_at: tuple[datetime, ...] = ()


@dataclass(frozen=True, slots=True)
class FirstContact:
    """First-contact resolution. Cases whose window is still open are counted apart."""

    resolved: int
    window_over: int
    window_open: int

    @property
    def value(self) -> float | None:
        """Resolved at the first contact, of the cases whose window is over."""
        return share(self.resolved, self.window_over)


def first_contact(
    cases: Iterable[ClosedCase], now: datetime, window_days: int = FCR_WINDOW_DAYS
) -> FirstContact:
    """Cases that needed no further contact; a return exactly `window_days` later still counts."""
    window = timedelta(days=window_days)
    resolved = over = still_open = 0
    for case in cases:
        until = case.closed_at + window
        if until >= now:
            still_open += 1
            continue
        over += 1
        returned = any(case.closed_at < at <= until for at in case.returned_at)
        resolved += case.at_first_contact and not returned
    return FirstContact(resolved, over, still_open)


# --- before and after -----------------------------------------------------------------------------
@dataclass(frozen=True, slots=True)
class Measurement:
    """A share as it was measured, with everything that must be alike before two are compared.

    `definition` is the key figure's id, `hours` the opening hours' id; `offered` None: the size is
    unknown.
    """

    answered: int
    offered: int | None
    definition: str
    hours: str
    answer_within_s: float
    short_abandon_s: float


@dataclass(frozen=True, slots=True)
class Difference:
    """After less before, with its 95 % interval."""

    before: float
    after: float
    difference: float
    standard_error: float
    half_width: float
    low: float
    high: float


def compare(before: Measurement, after: Measurement) -> Difference:
    """The difference of two shares, not pooled. Raises: Incomparable, with every reason."""
    reasons = [
        reason
        for differs, reason in (
            (before.definition != after.definition, "definition differs"),
            (before.hours != after.hours, "opening hours differ"),
            (before.answer_within_s != after.answer_within_s, "T_s differs"),
            (before.short_abandon_s != after.short_abandon_s, "S_s differs"),
            (not before.offered or not after.offered, "sample size unknown"),
        )
        if differs
    ]
    if reasons or not before.offered or not after.offered:
        raise Incomparable(f"not compared: {'; '.join(reasons)}", reasons=tuple(reasons))
    p1, p2 = before.answered / before.offered, after.answered / after.offered
    error = math.sqrt(p1 * (1 - p1) / before.offered + p2 * (1 - p2) / after.offered)
    half, gap = _Z_95 * error, p2 - p1
    return Difference(p1, p2, gap, error, half, gap - half, gap + half)


# --- expected waits -------------------------------------------------------------------------------
def ewma_waits(waits_s: Sequence[int]) -> list[int]:
    """Asterisk's average of answered waits: (3 times the old + the new) shifted right two bits."""
    series: list[int] = []
    for wait_s in waits_s:
        series.append((3 * series[-1] + wait_s) >> 2 if series else wait_s)
    return series


def mean_of_last_two(old_s: float, last_s: float) -> float:
    """(The former estimate + the last wait) / 2."""
    return (old_s + last_s) / 2


def smoothed_times_position(old_s: float, new_s: float, position: int) -> tuple[float, float]:
    """The smoothed time between answers, (9 * old + new) / 10, and that times the position."""
    average = (9 * old_s + new_s) / 10
    return average, average * position


def position_times_aht(position: int, aht_s: float, agents: int) -> float | None:
    """Position times average handle time, divided by agents in service; no value without agents."""
    return position * aht_s / agents if agents else None


def little(waiting: int, served_per_min: float) -> float | None:
    """Little's law: calls waiting / calls served per second."""
    return waiting / served_per_min * 60 if served_per_min else None


def head_of_line(now: datetime, head_entered: datetime | None) -> float | None:
    """How long the first in the queue has waited already."""
    return (now - head_entered).total_seconds() if head_entered else None


def last_to_enter_service(last_answered_wait_s: float | None) -> float | None:
    """The wait of the caller who was answered last."""
    return last_answered_wait_s


def position_band(position: int, aht_s: float, agents: int) -> tuple[float, float, float] | None:
    """10 % point, mean and 90 % point of `position` exponential times of mean aht / agents."""
    if not agents or position < 1:
        return None
    mean = aht_s / agents
    low, high = (_erlang_quantile(position, share_) * mean for share_ in _BAND)
    return low, position * mean, high


def _erlang_quantile(shape: int, probability: float) -> float:
    """The quantile of a sum of `shape` unit exponentials, by bisection."""
    low, high = 0.0, 2.0 * shape + 50.0
    for _ in range(_BAND_STEPS):
        middle = (low + high) / 2
        below = 1 - math.fsum(
            math.exp(k * math.log(middle) - middle - math.lgamma(k + 1)) for k in range(shape)
        )
        low, high = (middle, high) if below < probability else (low, middle)
    return (low + high) / 2


# --- volumes --------------------------------------------------------------------------------------
@dataclass(frozen=True, slots=True)
class PassedOn:
    """A year's calls split by whether they were passed on."""

    passed_on_per_year: float
    passed_on_per_working_day: float
    answered_without_passing_on_per_year: float


def passed_on(calls_per_year: float, share_passed_on: float, working_days: int) -> PassedOn:
    """How many calls are passed on, in a year and in a working day."""
    passed = calls_per_year * share_passed_on
    return PassedOn(passed, passed / working_days, calls_per_year - passed)


def catalogue_page() -> str:
    """All key figures as a page in Markdown: `docs/reference/kpi.md` is made of it."""
    lines = [
        "# Key figures",
        "",
        "Made from `projections/kpi.py` and `projections/indices.py`; do not edit by hand.",
        "Where nothing was measured a figure has no value: never 0 % and never 100 %.",
        "T is the limit of an answer in time: a wait of exactly T is in time.",
        "S is the limit of a short abandonment: a wait of exactly S is not short.",
        "",
        "| Id | Swedish | English | Formula | Unit |",
        "|---|---|---|---|---|",
    ]
    lines += [f"| `{k.id}` | {k.name_sv} | {k.name_en} | {k.formula} | {k.unit} |" for k in KPIS]
    lines += [
        f"| `{name}` | {sv} | {en} | {formula} | {unit} |"
        for name, (sv, en, formula, unit) in {**TEXTS, **CASE_TEXTS}.items()
    ]
    return "\n".join([*lines, *_SMALL_NUMBERS]) + "\n"


_SMALL_NUMBERS: Final = (
    "",
    "## Small numbers",
    "",
    "An authority gets its own figures whole (R40). Where figures leave it, `report --public`:",
    "",
    "- counts of 1 to 4 are not told, and of a row of so few cases nothing is;",
    "- where only one row or one outcome would be missing, the next smallest is not told either,",
    "  so that nobody finds it by subtraction;",
    "- first contact is told where each of its parts is 0 or at least 5.",
    "",
    "A case counts where it was registered, first contact where it was closed. A return is counted",
    "within the same authority, so that nobody's figures tell of another's room.",
)
