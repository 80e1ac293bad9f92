"""One day of a simulated city, and the figures of the product against an independent recount."""

from __future__ import annotations

import csv
import json
import re
from collections import Counter
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from case_server import open_account
from city_chores import CHANGED
from city_day import BEGINS, Plan, Story, run
from city_recount import Case, City, recount
from cli_process import kc, kc_json
from given import city, officer
from log_world import Ticks, sqlite_settings

from core.access import Deed, sight
from core.case_rules import CASES
from core.eventlog.recorder.blocking import BlockingNode
from projections.case_queries import CasePeriod, case_counts, complaints_of, first_contact_of
from projections.case_volumes import volumes
from projections.case_wait_queries import WaitQuery, silences, waiting
from projections.case_work_queries import work_counts
from projections.monthly import authority_month
from projections.read_models import ReadModels

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = [pytest.mark.fault, pytest.mark.slow, pytest.mark.timeout(1200)]

EVERYTHING = (
    "case.registered", "case.categorised", "case.escalated", "case.guided", "case.answered",
    "case.connected", "case.handed_over", "case.handover_receipt_noted", "case.taken",
    "case.question_asked", "case.question_answered", "case.decided", "case.complaint_sent",
    "case.complaint_receipt_noted", "case.complaint_answered", "case.callback_promised",
    "case.callback_kept", "case.linked", "case.unlinked", "case.registry_decided", "case.closed",
    "case.reopened", "case.contact_added", "catalogue.change_proposed", "catalogue.entry_set",
)  # fmt: skip
VOLUME = ("registered", "closed", "guided", "passed_on", "complaints", "reopened", "contacts")
MONTH = "2026-11"
MINUTE = timedelta(minutes=1)
OWNERS = [code for code, row in city().rows("authority").items() if not row["excluded"]]


class Lived:
    """A day that is over: what people were told, what the log holds, what the product says."""

    def __init__(self, folder: Path, plan: Plan) -> None:
        self.home, self.data, self.export = folder, folder / "data", folder / "export.jsonl"
        self.story: Story = run(plan, self.data)
        self.now = self.story.ended_at
        kc(folder, "log", "export", self.export, "--data", self.data)
        with self.export.open(encoding="utf-8") as lines:
            self.city: City = recount(lines)
        self.statistics("answer_group")  # every read model is at the log's end now
        self.models = ReadModels(self.data / "projections")

    def statistics(self, by: str) -> dict[Any, dict[str, Any]]:
        answer = kc_json(self.home, "statistics", "--by", by, "--data", self.data)
        return {row[by]: row for row in answer["total"]}

    def cases_of(self, owner: str) -> list[Case]:
        return [case for case in self.city.cases.values() if case.authority == owner]


@pytest.fixture(scope="module")
def lived(tmp_path_factory: pytest.TempPathFactory, whole: bool) -> Iterator[Lived]:
    plan = Plan(seed=1, calls=12_000 if whole else 600)
    found = Lived(tmp_path_factory.mktemp("city"), plan)
    yield found
    found.models.close()


# --- what people were told ------------------------------------------------------------------------
def test_nobody_was_refused_what_the_law_allows(lived: Lived) -> None:
    """Nor told another thing when asking twice, or again after the node was killed."""
    assert lived.story.surprises == []
    assert lived.story.kills == 3
    assert lived.story.repeated > 0


def test_the_whole_city_was_there(lived: Lived) -> None:
    assert not {kind for kind in EVERYTHING if not lived.story.told[kind]}
    groups = {entry.group for entry in lived.city.entries}
    assert groups <= city().groups.keys()
    if len(lived.story.calls) > 5_000:
        assert {case.authority for case in lived.city.cases.values()} >= set(OWNERS) - {"SAM"}
        types = {c for c, row in city().rows("case_type").items() if not row.get("excluded")}
        assert len({case.case_type for case in lived.city.cases.values()}) > 0.9 * len(types)


def test_every_id_stands_once_and_every_acknowledged_event_is_there_once(lived: Lived) -> None:
    assert set(lived.city.ids.values()) == {1}
    told = {k: n for k, n in lived.story.told.items() if k != "catalogue.entry_set"}
    assert {kind: lived.city.types[kind] for kind in told} == told
    assert lived.city.types["call.offered"] == len(lived.story.calls)


def test_no_case_contradicts_itself(lived: Lived) -> None:
    """Two desks that race, repeats, kills and alarms: each case is a story that makes sense."""
    with BlockingNode(sqlite_settings(lived.data, clock=Ticks(lived.now))) as node:
        for stream in lived.city.cases:
            state = CASES.initial
            for recorded in node.load(stream):
                state = CASES.evolve(state, recorded)
            assert state.contradictions == (), stream


# --- what is kept ---------------------------------------------------------------------------------
@pytest.mark.requirement("R11")
def test_of_excluded_areas_there_is_a_connection_and_nothing_else(lived: Lived) -> None:
    excluded = [entry for entry in lived.city.entries if entry.group.startswith("ext_")]
    assert any(entry.outcome == "answered" for entry in excluded)
    assert all(entry.caller is None for entry in excluded)
    assert not {case.authority for case in lived.city.cases.values()} & {"SOC", "FUN"}
    text = lived.export.read_text(encoding="utf-8")
    assert '"case/SOC' not in text
    assert '"case/FUN' not in text


def test_nothing_that_a_person_said_is_in_the_export(lived: Lived) -> None:
    text = lived.export.read_text(encoding="utf-8")
    assert "hemlighet" not in text
    assert "Robert" not in text
    assert not re.search(r"\b0700\d{6}\b", text)


@pytest.mark.requirement("R14", "R45")
def test_a_case_keeps_the_version_of_its_type_that_stood_when_it_was_categorised(
    lived: Lived,
) -> None:
    """An approval that came after its effect date counts from when it came."""
    seen = Counter[tuple[str, int]]()
    for case in lived.city.cases.values():
        if case.case_type not in CHANGED:
            continue
        (at,) = [at for kind, at, _data in case.events if kind == "case.categorised"]
        changed_at = BEGINS + timedelta(hours=CHANGED[case.case_type])
        if at < changed_at - MINUTE:
            assert case.type_version == 1, case.stream
        elif at > changed_at + MINUTE:
            assert case.type_version == 2, case.stream
        seen[case.case_type, case.type_version] += 1
    assert seen["TK-PAR-01", 1]
    assert seen["TK-PAR-01", 2]


@pytest.mark.requirement("R6", "R36")
def test_every_silence_is_told_once_and_nothing_that_was_answered_in_time(lived: Lived) -> None:
    told = 0
    for case in lived.city.cases.values():
        for way in (*case.handovers.values(), *case.deliveries.values()):
            told += way.alarms
            assert way.alarms <= 1, case.stream
            if way.due_at is None or (way.received_at and way.received_at < way.due_at):
                assert way.alarms == 0, case.stream
            elif way.is_silent and way.due_at < lived.now - MINUTE:
                assert way.alarms == 1, case.stream
    kinds = ("case.handover_silent", "case.complaint_silent")
    assert told == sum(lived.city.types[kind] for kind in kinds)


# --- the product's figures against the recount ----------------------------------------------------
@pytest.mark.requirement("R42")
def test_the_queues_figures_are_those_of_the_recount(lived: Lived) -> None:
    product, mine = lived.statistics("answer_group"), lived.city.queues()
    assert product.keys() == mine.keys()
    for group, figures in mine.items():
        for name, value in figures.items():
            assert product[group][name] == pytest.approx(value, abs=1e-3), (group, name)


def test_agents_and_case_types_have_the_recounts_figures(lived: Lived) -> None:
    agents = Counter(e.agent for e in lived.city.entries if e.outcome == "answered")
    product = {who: row["answered"] for who, row in lived.statistics("agent").items() if who}
    assert product == dict(agents)
    types = {
        about: (row["offered"], row["answered"])
        for about, row in lived.statistics("case_type").items()
    }
    assert types == lived.city.of_case_types()


@pytest.mark.requirement("R9")
@pytest.mark.parametrize("by", ["case_type", "authority", "outcome", "channel"])
def test_cases_are_counted_as_the_recount_does(lived: Lived, by: str) -> None:
    _, counts = case_counts(lived.models, CasePeriod(), by)
    product = {
        c.about: (c.registered, c.closed, c.complaints, c.closed_at_first_contact) for c in counts
    }
    assert product == lived.city.counted(by)


@pytest.mark.requirement("R7", "R18", "R24", "R40")
@pytest.mark.parametrize(
    ("by", "mine"),
    [
        ("case_type", "case_type"), ("authority", "authority"), ("level", "highest"),
        ("channel", "channel"), ("answer_group", "answer_group"), ("outcome", "outcome"),
    ],
)  # fmt: skip
def test_volumes_and_outcomes_are_those_of_the_recount(lived: Lived, by: str, mine: str) -> None:
    told = volumes(lived.models, frozenset(OWNERS), CasePeriod(), lived.now, by)
    product = {
        row.about: {
            **{name: getattr(row, name) for name in VOLUME},
            **{f"outcome {name}": count for name, count in row.outcomes.items()},
        }
        for row in told.rows
    }
    assert product == lived.city.volumes(mine)
    assert told.total.registered == len(lived.city.cases)


@pytest.mark.requirement("R7", "R39")
def test_first_contact_and_complaints_are_those_of_the_recount(lived: Lived) -> None:
    for days in (3, 30):
        now = BEGINS + timedelta(days=days)
        got = first_contact_of(lived.models, CasePeriod(), now)
        assert (got.resolved, got.window_over, got.window_open) == lived.city.first_contact(now)
    complaints = [case for case in lived.city.cases.values() if case.complaint]
    in_writing = [case for case in lived.city.cases.values() if case.contact is None]
    assert complaints_of(lived.models, CasePeriod()) == (len(complaints), len(in_writing))


@pytest.mark.requirement("R40")
@pytest.mark.parametrize("owner", OWNERS)
def test_an_owners_work_is_that_of_the_recount(lived: Lived, owner: str) -> None:
    seen = sight(officer(owner), Deed.READ_WORK_LIST, city())
    rows = {row.authority: row for row in work_counts(lived.models, seen, lived.now)}
    opened = [case for case in lived.cases_of(owner) if case.is_open]
    if not opened:
        assert owner not in rows
        return
    row = rows[owner]
    assert row.open == len(opened)
    assert row.overdue == sum(c.due_at is not None and c.due_at < lived.now for c in opened)
    assert row.receipts_awaited == sum(len(case.awaited) for case in opened)
    assert row.receipts_silent == sum(w.alarms for case in opened for w in case.awaited)
    assert row.callbacks == sum(len(case.promised.keys() - case.kept) for case in opened)
    assert row.questions == sum(len(case.asked) for case in opened)
    assert row.registry_undecided == sum(case.registry is None for case in opened)


@pytest.mark.requirement("R9", "R36")
@pytest.mark.parametrize("kind", ["handover", "complaint"])
def test_what_waits_for_a_receipt_is_what_the_recount_waits_for(lived: Lived, kind: str) -> None:
    product, mine = Counter[tuple[str, str]](), Counter[tuple[str, str]]()
    for owner in OWNERS:
        seen = sight(officer(owner), Deed.READ_WORK_LIST, city())
        found = waiting(lived.models, seen, WaitQuery(kind, unreceived=True), lived.now)
        product.update((w.case.authority, w.key) for w in found if w.case.authority == owner)
    for case in lived.city.cases.values():
        ways = case.handovers if kind == "handover" else case.deliveries
        mine.update((case.authority, key) for key, way in ways.items() if way.is_silent)
    assert product == mine


@pytest.mark.requirement("R36")
def test_the_alarms_are_those_of_the_recount(lived: Lived) -> None:
    mine = Counter[tuple[str, str, str | None]]()
    for case in lived.city.cases.values():
        for kind, ways in (("handover", case.handovers), ("complaint", case.deliveries)):
            for way in ways.values():
                late = way.alarms or (way.due_at is not None and way.due_at < lived.now)
                if way.is_silent and late:
                    mine[kind, way.to, way.group] += 1
    product = {(s.kind, s.who, s.group): s.awaited for s in silences(lived.models, lived.now)}
    assert product == dict(mine)


@pytest.mark.requirement("R40")
@pytest.mark.parametrize("owner", OWNERS)
def test_the_month_of_an_owner_is_that_of_the_recount(lived: Lived, owner: str) -> None:
    told = authority_month(lived.models, city(), owner, MONTH)
    product = {row.about: row.registered for row in told.by_type.rows}
    assert product == dict(Counter(case.case_type for case in lived.cases_of(owner)))
    levels = {row.about: row.passed_on for row in told.by_level.rows}
    mine = Counter[str]()
    for case in lived.cases_of(owner):
        mine[case.highest] += case.passed_on
    assert levels == dict(mine)
    queues = lived.city.queues()
    own = [g.id for g in city().groups.values() if g.partition == (owner,) and g.id in queues]
    assert {row.group: row.counts.offered for row in told.calls} == {
        group: queues[group]["offered"] for group in own
    }


@pytest.mark.requirement("R40")
def test_the_report_on_the_command_line_is_that_of_the_recount(lived: Lived) -> None:
    for account, *rights in (
        ("root", "--role", "administrator"),
        ("ana", "--role", "analyst", "--authority", "TK", "--as", "root"),
    ):
        open_account(lived.home, lived.data, account, *rights)
    asked = ("--authority", "TK", "--month", MONTH, "--as", "ana", "--out", lived.home)
    kc(lived.home, "report", *asked, "--data", lived.data)
    (file,) = lived.home.glob("TK-*.csv")
    with file.open(encoding="utf-8-sig", newline="") as lines:
        rows = list(csv.DictReader(lines, delimiter=";"))
    summary = {row["kod"]: row["värde"] for row in rows if row["del"] == "summary"}
    cases, queues = lived.cases_of("TK"), lived.city.queues()
    own = [g.id for g in city().groups.values() if g.partition == ("TK",) and g.id in queues]
    assert {name: summary[name] for name in ("case_volume", "case_closed", "case_contacts")} == {
        "case_volume": str(len(cases)),
        "case_closed": str(sum(case.closed_at is not None for case in cases)),
        "case_contacts": str(sum(case.contacts for case in cases)),
    }
    assert summary["case_complaints"] == str(sum(case.complaint for case in cases))
    assert int(summary["offered"]) == sum(queues[group]["offered"] for group in own)
    rate = float(summary["case_transfer_rate"].replace(",", "."))
    assert rate == pytest.approx(sum(case.passed_on for case in cases) / len(cases), abs=1e-4)
    volumes_told = {
        row["kod"]: int(row["värde"])
        for row in rows
        if row["del"] == "case_types" and row["mått"] == "Registrerade"
    }
    assert volumes_told == dict(Counter(case.case_type for case in cases))


@pytest.mark.parametrize("seed", [2, 3, 4, 5, 6])
def test_other_days_end_as_well(tmp_path: Path, whole: bool, seed: int) -> None:
    if not whole and seed > 2:
        pytest.skip("with --whole")
    lived = Lived(tmp_path, Plan(seed, 1_000 if whole else 200, kills=(8.1, 11.9, 13.3)))
    test_nobody_was_refused_what_the_law_allows(lived)
    test_no_case_contradicts_itself(lived)
    test_every_silence_is_told_once_and_nothing_that_was_answered_in_time(lived)
    test_the_queues_figures_are_those_of_the_recount(lived)
    test_the_alarms_are_those_of_the_recount(lived)
    for by in ("case_type", "authority", "outcome", "channel"):
        test_cases_are_counted_as_the_recount_does(lived, by)
        test_volumes_and_outcomes_are_those_of_the_recount(lived, by, by)
    lived.models.close()
    assert json.dumps(lived.city.types)
