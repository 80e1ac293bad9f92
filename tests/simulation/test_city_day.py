"""One day of a simulated city, and the figures of the product against an independent recount."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from city_day import Plan, Story, run
from city_recount import City, recount
from cli_process import kc, kc_json
from given import city

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [pytest.mark.fault, pytest.mark.slow, pytest.mark.timeout(1200)]


class Lived:
    """A day that is over: what people were told, what the log holds, what the product says."""

    def __init__(self, folder: Path, plan: Plan) -> None:
        self.home = folder
        self.data = folder / "data"
        self.story: Story = run(plan, self.data)
        export = folder / "export.jsonl"
        kc(folder, "log", "export", export, "--data", self.data)
        with export.open(encoding="utf-8") as lines:
            self.city: City = recount(lines)

    def statistics(self, by: str) -> dict[Any, dict[str, Any]]:
        answer = kc_json(self.home, "statistics", "--by", by, "--data", self.data)
        return {row[by]: row for row in answer["total"]}


@pytest.fixture(scope="module")
def lived(tmp_path_factory: pytest.TempPathFactory, *, whole: bool) -> Lived:
    plan = Plan(seed=1, calls=12_000 if whole else 600)
    return Lived(tmp_path_factory.mktemp("city"), plan)


def test_nobody_was_refused_what_the_law_allows(lived: Lived) -> None:
    assert lived.story.surprises == []


def test_the_whole_city_was_there(lived: Lived) -> None:
    told = lived.story.told
    missing = {kind for kind in EVERYTHING if not told[kind]}
    assert not missing
    authorities = {code for code, row in city().rows("authority").items() if not row["excluded"]}
    assert {case.authority for case in lived.city.cases.values()} <= authorities


EVERYTHING = (
    "case.registered", "case.categorised", "case.escalated", "case.guided", "case.answered",
    "case.connected", "case.handed_over", "case.handover_receipt_noted", "case.taken",
    "case.question_asked", "case.question_answered", "case.decided", "case.complaint_sent",
    "case.complaint_receipt_noted", "case.complaint_answered", "case.callback_promised",
    "case.callback_kept", "case.linked", "case.unlinked", "case.registry_decided", "case.closed",
    "case.reopened", "case.contact_added",
)  # fmt: skip


@pytest.mark.requirement("R42")
def test_the_queues_figures_are_those_of_the_recount(lived: Lived) -> None:
    product = lived.statistics("answer_group")
    mine = lived.city.queues()
    assert product.keys() == mine.keys()
    for group, figures in mine.items():
        for name, value in figures.items():
            assert product[group][name] == pytest.approx(value, abs=1e-3), (group, name)


def test_every_id_stands_once_and_every_acknowledged_event_is_there(lived: Lived) -> None:
    assert set(lived.city.ids.values()) == {1}
    for kind, count in lived.story.told.items():
        assert lived.city.types[kind] == count, kind
    assert lived.city.types["call.offered"] == len(lived.story.calls)
    assert lived.story.kills > 0
