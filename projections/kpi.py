"""The catalogue of key figures: each with names, formula as text, unit and function (R38, R42).

One definition of each figure everywhere: statistics, boards and reports compute it here. Where
nothing was measured there is no value (None), never 0 and never 1. `T` is the limit of an answer in
time (a wait of exactly T is in time), `S` that of a short abandonment (a wait of exactly S is not
short).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Final


@dataclass(frozen=True, slots=True)
class Counts:
    """What is counted and summed over some entries into queues. Units: seconds.

    `work_s`, `staffed_s` and `paused_s` are clipped to the period; they are of agents, not of one
    queue.
    """

    offered: int = 0
    answered: int = 0
    abandoned: int = 0
    timed_out: int = 0
    refused: int = 0
    callback: int = 0
    deflected: int = 0
    diverted: int = 0
    other: int = 0
    in_progress: int = 0
    answered_within: int = 0
    abandoned_within: int = 0
    short_abandoned: int = 0
    wait_s_answered_sum: float = 0
    wait_s_abandoned_sum: float = 0
    wait_s_sum: float = 0
    wait_s_max: float | None = None
    talk_s_sum: float = 0
    wrap_up_s_sum: float = 0
    transferred: int = 0
    not_taken: int = 0
    unique_callers: int = 0
    callers_answered: int = 0
    work_s: float = 0
    staffed_s: float = 0
    paused_s: float = 0

    def __add__(self, other: Counts) -> Counts:
        """The two together, where they share no caller: only a query can join sets of callers."""
        sums = {f.name: getattr(self, f.name) + getattr(other, f.name) for f in _SUMS}
        waits = [w for w in (self.wait_s_max, other.wait_s_max) if w is not None]
        return Counts(**sums, wait_s_max=max(waits, default=None))


_SUMS: Final = tuple(f for f in fields(Counts) if f.name != "wait_s_max")
OUTCOMES: Final = (
    "answered", "abandoned", "timed_out", "refused", "callback",
    "deflected", "diverted", "other", "in_progress",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Kpi:
    """A key figure. `unit` is `share` (0-1), `s`, `callers` or `per 1000`."""

    id: str
    name_sv: str
    name_en: str
    formula: str
    unit: str
    of: Callable[[Counts], float | None]


def share(part: float, whole: float) -> float | None:
    """`part` of `whole`, or no value where there is nothing to divide by."""
    return part / whole if whole > 0 else None


def _available_s(c: Counts) -> float:
    return c.staffed_s - c.paused_s


KPIS: Final[tuple[Kpi, ...]] = (
    Kpi(
        "sl_1",
        "Servicenivå 1, av besvarade",
        "Service level 1, of answered",
        "answered with a wait of at most T / answered",
        "share",
        lambda c: share(c.answered_within, c.answered),
    ),
    Kpi(
        "sl_2",
        "Servicenivå 2, av inkomna",
        "Service level 2, of offered",
        "answered with a wait of at most T / offered",
        "share",
        lambda c: share(c.answered_within, c.offered),
    ),
    Kpi(
        "sl_3",
        "Servicenivå 3, tidiga tapp räknas som goda",
        "Service level 3, early abandons count as good",
        "(answered + abandoned with a wait of at most T) / (answered + abandoned)",
        "share",
        lambda c: share(c.answered_within + c.abandoned_within, c.answered + c.abandoned),
    ),
    Kpi(
        "sl_4",
        "Servicenivå 4, utan tidiga tapp",
        "Service level 4, without early abandons",
        "answered with a wait of at most T / (offered - abandoned with a wait of at most T)",
        "share",
        lambda c: share(c.answered_within, c.offered - c.abandoned_within),
    ),
    Kpi(
        "sl_5",
        "Servicenivå 5, utan korta tapp",
        "Service level 5, without short abandons",
        "answered with a wait of at most T / (offered - abandoned with a wait below S)",
        "share",
        lambda c: share(c.answered_within, c.offered - c.short_abandoned),
    ),
    Kpi(
        "availability_raw",
        "Tillgänglighet, brutto",
        "Availability, raw",
        "answered / offered",
        "share",
        lambda c: share(c.answered, c.offered),
    ),
    Kpi(
        "availability_net",
        "Tillgänglighet, netto",
        "Availability, net of short abandons",
        "answered / (offered - abandoned with a wait below S)",
        "share",
        lambda c: share(c.answered, c.offered - c.short_abandoned),
    ),
    Kpi(
        "abandonment_raw",
        "Tappade samtal, brutto",
        "Abandonment, raw",
        "abandoned / offered",
        "share",
        lambda c: share(c.abandoned, c.offered),
    ),
    Kpi(
        "abandonment_net",
        "Tappade samtal, netto",
        "Abandonment, net of short abandons",
        "(abandoned - abandoned with a wait below S) / (offered - abandoned with a wait below S)",
        "share",
        lambda c: share(c.abandoned - c.short_abandoned, c.offered - c.short_abandoned),
    ),
    Kpi(
        "asa_s",
        "Svarstid, medel",
        "Average speed of answer",
        "sum of the waits of answered calls / answered",
        "s",
        lambda c: share(c.wait_s_answered_sum, c.answered),
    ),
    Kpi(
        "mean_wait_all_s",
        "Väntetid, medel, alla",
        "Mean wait of all calls",
        "sum of all waits / offered",
        "s",
        lambda c: share(c.wait_s_sum, c.offered),
    ),
    Kpi(
        "mean_time_to_abandon_s",
        "Väntetid, medel, tappade",
        "Mean time to abandon",
        "sum of the waits of abandoned calls / abandoned",
        "s",
        lambda c: share(c.wait_s_abandoned_sum, c.abandoned),
    ),
    Kpi(
        "longest_wait_s",
        "Längsta väntetid",
        "Longest wait",
        "the largest wait of any call, however it ended",
        "s",
        lambda c: c.wait_s_max,
    ),
    Kpi(
        "att_s",
        "Samtalstid, medel",
        "Average talk time",
        "sum of talk / answered",
        "s",
        lambda c: share(c.talk_s_sum, c.answered),
    ),
    Kpi(
        "acw_s",
        "Efterarbete, medel",
        "Average after-call work",
        "sum of after-call work / answered",
        "s",
        lambda c: share(c.wrap_up_s_sum, c.answered),
    ),
    Kpi(
        "aht_s",
        "Handläggningstid, medel",
        "Average handle time",
        "(sum of talk + sum of after-call work) / answered",
        "s",
        lambda c: share(c.talk_s_sum + c.wrap_up_s_sum, c.answered),
    ),
    Kpi(
        "transfer_rate",
        "Andel kopplade",
        "Transfer rate",
        "answered calls that were transferred / answered",
        "share",
        lambda c: share(c.transferred, c.answered),
    ),
    Kpi(
        "occupancy_clipped",
        "Beläggning, klippt",
        "Occupancy, work clipped to the interval",
        "talk and after-call work inside the interval / (staffed time - pauses inside it)",
        "share",
        lambda c: share(c.work_s, _available_s(c)),
    ),
    Kpi(
        "occupancy_by_arrival",
        "Beläggning, efter ankomst",
        "Occupancy, work by the time of arrival",
        "talk and after-call work of calls that arrived in it / (staffed time - pauses inside it)",
        "share",
        lambda c: share(c.talk_s_sum + c.wrap_up_s_sum, _available_s(c)),
    ),
    Kpi(
        "unique_callers",
        "Unika uppringare",
        "Unique callers",
        "number of different callers among the calls that entered a queue",
        "callers",
        lambda c: c.unique_callers if c.offered else None,
    ),
    Kpi(
        "availability_callers",
        "Tillgänglighet per uppringare",
        "Share of callers who got an answer",
        "different callers with at least one answered call / different callers",
        "share",
        lambda c: share(c.callers_answered, c.unique_callers),
    ),
)
BY_ID: Final = {kpi.id: kpi for kpi in KPIS}
SERVICE_LEVELS: Final = {
    "of_answered": BY_ID["sl_1"],
    "of_offered": BY_ID["sl_2"],
    "with_abandoned": BY_ID["sl_3"],
    "without_early_abandons": BY_ID["sl_4"],
    "without_short_abandons": BY_ID["sl_5"],
}


def service_levels(counts: Counts) -> dict[str, float | None]:
    """The five service levels, so that nobody has to guess which one a number is."""
    return {key: kpi.of(counts) for key, kpi in SERVICE_LEVELS.items()}


def value(name: str, counts: Counts) -> float | None:
    """The figure `name` of the catalogue. Raises: KeyError."""
    return BY_ID[name].of(counts)
