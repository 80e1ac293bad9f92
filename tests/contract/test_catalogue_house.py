"""The catalogue's verbs in an open house: files in and out, proposals, lathundar, first imports."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from given import TAXONOMY, officer

from core.access import Asker, Grant, NotAllowed, Role
from core.application import Application
from core.change_rules import CATALOGUE
from core.changes import ApproveChange, ChangeOutOfDate, ProposeChange, SetEntry
from core.commit import desk_id
from core.errors import Invalid
from core.eventlog.product import product_events
from core.taxonomy import read_taxonomy
from kontaktcenter import catalogue, wiring, words
from kontaktcenter.catalogue_changes import NothingChanged
from kontaktcenter.config import Config
from kontaktcenter.dispatch import perform
from kontaktcenter.out import Silent
from webdesk.catalogue_answers import fields_changed

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from kontaktcenter.wiring import House

TEXT = TAXONOMY.read_text(encoding="utf-8")
NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
ADMIN = Asker("ada", (Grant(Role.ADMINISTRATOR),))
OWNER = officer("TK", "olle", approves=True)


class City:
    """An open house with a clock of ours, and files beside it."""

    def __init__(self, house: House, folder: Path, clock: list[datetime]) -> None:
        self.house, self.folder, self.clock = house, folder, clock
        self.application = Application(house.node, house.directory, product_events(house.node))

    async def do(self, verb: str, **args: Any) -> dict[str, Any]:
        return await perform(self.house, f"catalogue.{verb}", args, Silent())

    def file(self, text: str) -> str:
        path = self.folder / "city.toml"
        path.write_text(text, encoding="utf-8")
        return str(path)

    async def bring(self, text: str, **args: Any) -> dict[str, Any]:
        return await self.do("import_file", file=self.file(text), **args)

    async def ask(self, kind: Any, asking: str, by: Asker, /, **more: Any) -> Any:
        common = {"id": desk_id(asking), "now": self.clock[0], "actor": by.id, "asker": by}
        answer = await self.application.handle(kind(**common, **more))
        await self.house.node.settle()
        return answer


@contextlib.asynccontextmanager
async def opened(folder: Path, log: str = "memory:", taxonomy: str = "none") -> AsyncIterator[City]:
    words.choose("en")  # whatever a test before this one chose
    clock = [NOON]
    config = Config(data=folder / "data", log=log, taxonomy=taxonomy)
    async with wiring.opened(config, lambda: clock[0], live=False) as house:
        yield City(house, folder, clock)


@contextlib.asynccontextmanager
async def stocked(folder: Path) -> AsyncIterator[City]:
    async with opened(folder) as city:
        assert (await city.bring(TEXT))["changed"] == 401
        yield city


def run(test: Any) -> None:
    asyncio.run(test)


def test_an_export_goes_back_in_with_nothing_to_do_and_makes_the_same_elsewhere(
    tmp_path: Path,
) -> None:
    async def body() -> None:
        async with stocked(tmp_path) as city:
            text = (await city.do("export"))["toml"]
            report = await city.bring(text, withdraw_missing=True)
            assert (report["changed"], report["proposed"], report["withdrawn"]) == (0, 0, 0)
            assert (await city.do("diff", file=city.file(text)))["differences"] == []
        async with opened(tmp_path) as other:
            await other.bring(text)
            assert (await other.do("export"))["toml"] == text

    run(body())


def test_nasty_texts_go_out_and_in_unchanged(tmp_path: Path) -> None:
    nasty = 'quo"te \\ back\ttab\nline é 日本 😀 # no comment [x] = {y} \'\'\' """ \u00a0'

    async def body() -> None:
        async with stocked(tmp_path) as city:
            row = {**city.house.directory().rows("project_topic").get("p", {}), "id": "p"}
            row |= {"name": "P", "authority": "TK", "office": "O", "place": "X"}
            row |= {"starts": "2027-01-01", "text": nasty, "case_types": []}
            row |= {"stages": [{"name": "Ett", "starts": "2027-01-01"}, {"name": "{}"}]}
            await city.ask(
                SetEntry, "1", ADMIN, section="project_topic", key="p", fields=row,
                approved_by="TK", decision="1",
            )  # fmt: skip
            text = (await city.do("export"))["toml"]
            assert (await city.do("diff", file=city.file(text)))["differences"] == []
        async with opened(tmp_path) as other:
            await other.bring(text)
            assert other.house.directory().entry("project_topic", "p") == row

    run(body())


@pytest.mark.requirement("R45")
def test_a_file_sets_the_centres_own_and_proposes_the_rest(tmp_path: Path) -> None:
    changed = TEXT.replace("Fråga om avfallsfaktura", "Fråga om faktura").replace(
        'name = "Avfall"\n', 'name = "Sopor"\n'
    )

    async def body() -> None:
        async with stocked(tmp_path) as city:
            (group, kind) = (await city.do("diff", file=city.file(changed)))["differences"]
            assert (group["owner"], kind["owner"]) == (None, "TK")
            assert group["fields"] == [{"field": "name", "before": "Avfall", "after": "Sopor"}]
            report = await city.bring(changed)
            assert (report["changed"], report["proposed"], report["waiting"]) == (1, 1, 0)
            report = await city.bring(changed)
            assert (report["changed"], report["proposed"], report["waiting"]) == (0, 0, 1)
            (change,) = (await city.do("changes"))["changes"]
            with pytest.raises(NotAllowed):
                await city.do("approve", change=change["change"])
            where = {"section": "case_type", "key": "TK-AVF-03", "change": change["change"]}
            await city.ask(ApproveChange, "2", OWNER, **where)
            assert (await city.do("changes"))["changes"] == []
            shown = await city.do("show", section="case_type", key="TK-AVF-03")
            assert [v["approved_by"] for v in shown["versions"]] == [None, "TK"]
            assert (await city.do("diff", file=city.file(changed)))["differences"] == []

    run(body())


def test_what_the_owner_refused_is_not_proposed_again_by_the_same_file(tmp_path: Path) -> None:
    changed = TEXT.replace("Fråga om avfallsfaktura", "Fråga om faktura")

    async def body() -> None:
        async with stocked(tmp_path) as city:
            await city.bring(changed)
            (change,) = (await city.do("changes"))["changes"]
            await city.do("take_back", change=change["change"][:8], reason="för tidigt")
            report = await city.bring(changed)
            assert (report["proposed"], report["waiting"]) == (0, 0)
            assert report["refused_before"] == ["case_type TK-AVF-03"]

    run(body())


@pytest.mark.requirement("R14", "R45", "R54")
def test_terms_are_recorded_and_a_file_that_is_partly_refused_changes_nothing(
    tmp_path: Path,
) -> None:
    loose = TEXT.replace('enforced = true, source = "seed"', 'enforced = false, source = "seed"')
    loose = loose.replace('name = "Avfall"\n', 'name = "Sopor"\n')
    faktura = TEXT.replace("Fråga om avfallsfaktura", "Fråga om faktura")

    async def body() -> None:
        async with stocked(tmp_path) as city:
            with pytest.raises(NothingChanged, match="conflict_pair MF/TK: a conflict"):
                await city.bring(loose)
            assert city.house.directory().groups["tnh_avfall"].name == "Avfall"
            with pytest.raises(Invalid, match="--approved-by needs --decision"):
                await city.bring(faktura, approved_by="TK")
            await city.bring(faktura, approved_by="TK", decision="TK 2026/3")
            last = city.house.directory().versions["case_type"]["TK-AVF-03"][-1]
            assert (last.approved_by, last.decision) == ("TK", "TK 2026/3")
            assert (await city.bring(loose, decision="KF 1"))["changed"] == 2

    run(body())


def test_an_entry_is_withdrawn_at_its_time(tmp_path: Path) -> None:
    row = next(line for line in TEXT.splitlines() if 'id = "krisvila"' in line)
    less = TEXT.replace(row + "\n", "")
    at = NOON + timedelta(days=40)

    async def body() -> None:
        async with stocked(tmp_path) as city:
            assert (await city.do("diff", file=city.file(less)))["differences"] == []
            report = await city.bring(less, withdraw_missing=True, effective_from=at.isoformat())
            assert (report["withdrawn"], report["changed"]) == (1, 0)
            keys = (await city.do("show", section="pause_reason"))["keys"]
            assert "krisvila" in keys
            city.clock[0] = at
            keys = (await city.do("show", section="pause_reason"))["keys"]
            assert "krisvila" not in keys
            before = await city.do("export", at=(at - timedelta(seconds=1)).isoformat())
            assert "krisvila" in before["toml"]

    run(body())


@pytest.mark.requirement("R59")
def test_lathundar_come_in_from_a_folder_with_their_mapping(tmp_path: Path) -> None:
    folder = tmp_path / "lathundar"
    folder.mkdir()
    (folder / "hamtning.md").write_text(
        '+++\nowner = "TK"\ncase_types = ["TK-AVF-02"]\nmapping = "partly"\n+++\n'
        "# Utebliven hämtning\n\nFråga om adress. Beställ ny hämtning.\n"
    )
    (folder / "annat.toml").write_text('owner = "MF"\ntitle = "Rutin"\nbody = "Okartlagd."\n')
    (folder / "bild.png").write_bytes(b"\x89PNG")

    async def body() -> None:
        async with stocked(tmp_path) as city:
            args = {"folder": str(folder)}
            report = await city.do("import_lathundar", **args)
            assert (report["proposed"], report["changed"]) == (2, 0)
            report = await city.do("import_lathundar", **args, approved_by="TK", decision="TK 7")
            assert (report["changed"], report["waiting"]) == (1, 1)
            rows = {r["authority"]: r for r in (await city.do("lathundar"))["authorities"]}
            assert (rows["TK"]["partly"], rows["MF"]["unmapped"]) == (1, 0), "MF has to approve"
            assert "TK-AVF-02" not in rows["TK"]["without"]
            assert "TK-AVF-03" in rows["TK"]["without"]
            found = city.house.directory().article("hamtning")
            assert found is not None
            assert (found.kind, found.title, found.mapping) == (
                "lathund", "Utebliven hämtning", "partly",
            )  # fmt: skip

            (folder / "fel.md").write_text('+++\nowner = "XX"\n\nmapping = "half"\n+++\nText\n')
            (folder / "utan.md").write_text("bara text\n")
            (folder / "latin.md").write_bytes("+++\n# å\n+++\n".encode("latin-1"))
            (folder / "hamtning.toml").write_text('owner = "TK"\ntitle = "T"\nbody = "B"\n')
            with pytest.raises(Invalid) as refused:
                await city.do("import_lathundar", **args)
            assert set(refused.value.details["faults"]) == {  # type: ignore[call-overload]
                "hamtning.toml: hamtning is hamtning.md already",
                "latin.md: line 2: is not UTF-8 (byte 3, 0xe5); save the file as UTF-8",
                "utan.md: line 1: a lathund begins with its fields between two lines of +++",
                "fel.md, line 4: mapping is 'half'; it may be mapped, partly, unmapped",
                "fel.md, line 2: owner: no authority XX",
            }

    run(body())


# --- when a node starts ---------------------------------------------------------------------------
def test_a_first_import_that_was_cut_off_goes_on_and_needs_nobodys_approval(
    tmp_path: Path,
) -> None:
    async def body() -> None:
        async with opened(tmp_path) as city:
            drafts = read_taxonomy(TEXT, NOON)
            await city.house.node.propose_many(drafts[:200])
            assert not catalogue.begun(city.house.node)
            report = await city.bring(TEXT)
            assert (report["first"], report["changed"]) == (True, 201)
            assert (await city.bring(TEXT))["first"] is False
            counts = {
                len(versions)
                for rows in city.house.directory().versions.values()
                for versions in rows.values()
            }
            assert counts == {1}, "nothing doubled"

    run(body())


@pytest.mark.requirement("R45")
def test_a_configured_file_that_changes_proposes_what_is_not_the_centres(tmp_path: Path) -> None:
    log = f"sqlite:{tmp_path}/log.sqlite"
    file = tmp_path / "own.toml"
    changed = TEXT.replace("Fråga om avfallsfaktura", "Fråga om faktura")
    changed = changed.replace('name = "Avfall"\n', 'name = "Sopor"\n')
    changed = changed.replace(
        'enforced = true, source = "seed"', 'enforced = false, source = "seed"'
    )

    async def start(text: str) -> tuple[int, int, int, bool]:
        file.write_text(text, encoding="utf-8")
        async with opened(tmp_path, log, str(file)) as city:
            directory = city.house.directory()
            return (
                directory.recorded("answer_group", "tnh_avfall"),
                directory.recorded("case_type", "TK-AVF-03"),
                len(directory.pending),
                directory.rows("conflict_pair")["MF/TK"]["enforced"] is True,
            )

    assert asyncio.run(start(TEXT)) == (1, 1, 0, True)
    assert asyncio.run(start(changed)) == (2, 1, 1, True), "loosening the law is left as it was"
    assert asyncio.run(start(changed)) == (2, 1, 1, True), "a second start changes nothing"


def test_the_built_in_one_brings_in_only_what_the_log_never_had(tmp_path: Path) -> None:
    log = f"sqlite:{tmp_path}/log.sqlite"

    async def body() -> None:
        async with opened(tmp_path, log, "builtin") as city:
            await city.bring(TEXT.replace('name = "Avfall"\n', 'name = "Sopor"\n'))
        async with opened(tmp_path, log, "builtin") as city:
            assert city.house.directory().groups["tnh_avfall"].name == "Sopor"
            assert await catalogue.ensure(city.house.node, "builtin", NOON) == 0

    run(body())


# --- two at once, and old ones in use -------------------------------------------------------------
def test_two_who_change_one_entry_both_count_in_turn_and_an_old_proposal_does_not(
    tmp_path: Path,
) -> None:
    async def body() -> None:
        async with stocked(tmp_path) as city:
            key = {"section": "case_type", "key": "TK-AVF-02"}
            row = city.house.directory().entry("case_type", "TK-AVF-02")
            assert row is not None
            for n, hours in enumerate((8, 9)):
                fields = {**row, "sla_hours": hours}
                await city.ask(ProposeChange, f"p{n}", ADMIN, **key, fields=fields)
            one, two = (c["change"] for c in (await city.do("changes"))["changes"])
            answers = await asyncio.gather(
                city.ask(ApproveChange, "a1", OWNER, **key, change=one),
                city.ask(ApproveChange, "a2", replace(OWNER, id="owe"), **key, change=two),
                return_exceptions=True,
            )
            refused = [a for a in answers if isinstance(a, BaseException)]
            assert [type(a) for a in refused] == [ChangeOutOfDate]
            assert city.house.directory().recorded("case_type", "TK-AVF-02") == 2
            state = city.application.load(CATALOGUE, "catalogue/case_type/TK-AVF-02").state
            assert len(state.pending) == 1

    run(body())


@pytest.mark.requirement("R19", "R20")
def test_whoever_answered_by_an_old_version_can_still_be_told_what_it_said(tmp_path: Path) -> None:
    """A catalogue change while calls and cases use the old one (R19: who said what)."""

    async def body() -> None:
        async with stocked(tmp_path) as city:
            in_use = city.house.directory()
            article, kind = in_use.article("A006"), in_use.case_type("TK-AVF-02")
            assert article is not None
            assert kind is not None
            row = in_use.entry("article", "A006")
            assert row is not None
            await city.ask(
                SetEntry, "s", ADMIN, section="article", key="A006", decision="1",
                approved_by=article.owner, fields={**row, "body": "Nytt svar."},
            )  # fmt: skip
            now = city.house.directory()
            latest = now.article("A006")
            assert latest is not None
            assert (latest.version, latest.body) == (2, "Nytt svar.")
            assert now.article("A006", article.version) == article
            assert in_use.article("A006") == article, "who holds the old one is not disturbed"
            assert now.case_type("TK-AVF-02", kind.version) == kind

    run(body())


def test_fields_are_told_one_by_one_also_deep_in_a_chain() -> None:
    before: Any = {"a": 1, "steps": [{"name": "x", "level": "1"}, {"name": "y"}], "c": ["1"]}
    after: Any = {"a": 1, "steps": [{"name": "x", "level": "2"}], "c": ["1", "2"], "d": True}
    assert list(fields_changed(before, after)) == [
        ("steps, 1, level", "1", "2"),
        ("c", ["1"], ["1", "2"]),
        ("d", None, True),
        ("steps, 2, name", "y", None),
    ]
