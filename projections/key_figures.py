"""Every key figure of a period with its formula beside it, for reports and boards (R38, R42)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from projections.case_queries import CasePeriod, complaints_of, first_contact_of
from projections.indices import TEXTS, complaint_level
from projections.kpi import KPIS
from projections.times import plain
from projections.workload import figures_of_period

if TYPE_CHECKING:
    from datetime import datetime

    from projections.read_models import ReadModels


@dataclass(frozen=True, slots=True)
class KeyFigure:
    """One figure. `value` None: nothing was measured. `apart` counts what has no value yet."""

    id: str
    name_sv: str
    name_en: str
    formula: str
    unit: str
    value: float | None
    apart: int = 0

    def as_json(self) -> dict[str, Any]:
        """The figure, for other programs."""
        return {
            "id": self.id,
            "name_sv": self.name_sv,
            "name_en": self.name_en,
            "formula": self.formula,
            "unit": self.unit,
            "value": plain(self.value),
            "apart": self.apart,
        }


def key_figures(  # noqa: PLR0913 -- the limits are part of every figure
    read_models: ReadModels,
    begin: datetime,
    end: datetime,
    now: datetime,
    *,
    answer_within_s: float = 20,
    short_abandon_s: float = 5,
) -> list[KeyFigure]:
    """The catalogue's figures of a period over all groups, in its order; then those of cases.

    A contact is an answered call or a case that did not come by one. Raises: Unavailable.
    """
    counts = figures_of_period(
        read_models, begin, end, answer_within_s=answer_within_s, short_abandon_s=short_abandon_s
    )
    figures = [
        KeyFigure(kpi.id, kpi.name_sv, kpi.name_en, kpi.formula, kpi.unit, kpi.of(counts))
        for kpi in KPIS
    ]
    period = CasePeriod(begin, end)
    resolved = first_contact_of(read_models, period, now)
    complaints, without_call = complaints_of(read_models, period)
    level = complaint_level(complaints, counts.answered + without_call)
    figures.append(KeyFigure("fcr", *TEXTS["fcr"], resolved.value, resolved.window_open))
    figures.append(KeyFigure("complaint_level", *TEXTS["complaint_level"], level))
    return figures
