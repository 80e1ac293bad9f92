"""`case show|find|history` and `report` on a real data folder, with each account's rights."""

from __future__ import annotations

import asyncio
import json
import shutil
import subprocess
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from cli_here import kc, kc_json, with_accounts
from cli_process import command, environment
from given import staff
from log_world import an_id

from core.application import Application
from core.case_commands import CategoriseCase, RegisterCase
from core.personal import Personal
from core.vocabulary import case_stream
from kontaktcenter import config, wiring

if TYPE_CHECKING:
    from pathlib import Path

CALLER = "0700000007"
ACCOUNTS = {
    "adam": ("administrator",),
    "olle": ("case_officer", "--authority", "TK"),
    "maja": ("case_officer", "--authority", "MF"),
    "stina": ("case_officer", "--authority", "TK", "--protected"),
    "ana": ("analyst", "--authority", "TK"),
}
NO_CASE = "there is no case"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("home")
    with_accounts(home, ACCOUNTS)
    asyncio.run(_fill(home))
    return home


@pytest.fixture
def home(made: Path, tmp_path: Path) -> Path:
    """A copy that a test may do anything to."""
    shutil.copytree(made / "data", tmp_path / "data")
    return tmp_path


async def _fill(home: Path) -> None:
    settings = config.load({"data": home / "data"}, environ={})
    async with wiring.opened(settings, live=False) as house:
        application = Application(house.node, house.directory)
        texts = {"1": "Trygghetslarmen \x1b[31mtjuter", "2": "Hemlig adress", "3": "Råttor"}
        for n, text in texts.items():
            authority = "MF" if n == "3" else "TK"
            subject = case_stream(authority, n)
            if n == "2":
                subject = f"protected/{subject}"
            common: dict[str, Any] = {
                "now": house.clock(), "actor": "anna", "asker": staff("anna"),
                "authority": authority, "case": n, "agent": "anna",
            }  # fmt: skip
            await application.handle(
                RegisterCase(
                    **common,
                    id=an_id(f"r{n}"),
                    number=f"NR-{n}",
                    title=Personal(text, subject),
                    protected=n == "2",
                    caller_ref=house.node.caller_ref(CALLER),
                )
            )
            if n == "1":
                later = {**common, "now": house.clock() + timedelta(seconds=1)}
                await application.handle(
                    CategoriseCase(**later, id=an_id(f"c{n}"), case_type="TK-AVF-01")
                )


def looks(home: Path) -> list[tuple[str, str, str | None]]:
    """What the log says was looked at, in order."""
    lines = kc(home, "log", "export", "-").stdout.splitlines()
    commits = [json.loads(line) for line in lines]
    return [
        (e["data"]["who"], e["data"]["deed"], e["data"].get("case"))
        for commit in commits
        for e in commit["events"]
        if e["type"] == "look.made"
    ]


def test_a_case_is_shown_to_an_officer_and_the_look_is_in_the_log(home: Path) -> None:
    shown = kc(home, "case", "show", "NR-1", "--as", "olle").stdout
    assert "NR-1" in shown
    assert "Trygghetslarmen" in shown
    assert "TK-AVF-01" in shown
    assert "\x1b[31m" not in shown  # a text does not steer the terminal
    told = kc_json(home, "case", "show", "TK/1", "--as", "olle")
    assert (told["number"], told["case_type"]) == ("NR-1", "TK-AVF-01")
    assert looks(home) == [("olle", "read_case", "case/TK/1")] * 2


@pytest.mark.requirement("R53", "R54")
@pytest.mark.parametrize(
    ("account", "case"),
    [("maja", "NR-1"), ("maja", "TK/1"), ("olle", "NR-2"), ("olle", "TK/2"), ("olle", "NR-404"),
     ("olle", "TK/404")],
)  # fmt: skip
def test_what_one_may_not_open_is_a_case_that_never_was(
    home: Path, account: str, case: str
) -> None:
    done = kc(home, "case", "show", case, "--as", account, code=1)
    assert done.stderr.strip().replace(case, "X") == (
        f"Error: {NO_CASE} X; kontaktcenter case find searches"
    )
    assert looks(home) == []


def test_a_protected_case_opens_for_those_who_may_alone(home: Path) -> None:
    assert "Hemlig adress" in kc(home, "case", "show", "NR-2", "--as", "stina").stdout
    assert kc_json(home, "case", "find", "hemlig", "--as", "stina")["rows"] == []
    assert [r["case"] for r in kc_json(home, "case", "find", "NR-2", "--as", "stina")["rows"]] == [
        "2"
    ]


def test_a_search_shows_own_rooms_and_says_so_when_there_is_nothing(home: Path) -> None:
    found = kc(home, "case", "find", "larm", "--as", "olle")
    assert "NR-1" in found.stdout
    assert looks(home) == [("olle", "search_cases", "case/TK/1")]
    nothing = kc(home, "case", "find", "råttor", "--as", "olle")
    assert (nothing.stdout, nothing.stderr.strip()) == ("", "Nothing was found.")
    assert kc(home, "case", "find", "x", "--as", "olle", code=2).stderr.startswith("Error: search")


def test_a_callers_history_is_of_ones_own_rooms(home: Path) -> None:
    told = kc_json(home, "case", "history", CALLER, "--as", "olle")
    assert ([row["case"] for row in told["cases"]], told["calls"]) == (["1"], [])
    assert looks(home) == [("olle", "read_history", "case/TK/1")]
    done = subprocess.run(
        [*command("case", "history", "-", "--as", "maja", "--data", home / "data")],
        input=f"{CALLER}\n", text=True, capture_output=True, check=True, cwd=home,
        env=environment(home),
    )  # fmt: skip
    assert done.stdout.startswith("1 case\n")
    assert "NR-3" in done.stdout
    assert kc(home, "case", "history", "abc", "--as", "olle", code=2).stderr.startswith("Error:")


def test_who_handles_no_cases_is_refused_whether_there_is_one_or_not(home: Path) -> None:
    for verb, text in (("show", "NR-1"), ("show", "NR-404"), ("find", "larm"), ("history", CALLER)):
        refused = kc(home, "case", verb, text, "--as", "ana", code=1).stderr
        assert refused.startswith("Error: You may not do this.")
    unknown = kc(home, "case", "find", "larm", "--as", "nobody-here", code=1).stderr
    assert "kontaktcenter user list" in unknown
    assert looks(home) == []


@pytest.mark.requirement("R40")
def test_a_report_is_two_files_of_ones_own_authority(home: Path) -> None:
    month = kc_json(home, "case", "show", "NR-1", "--as", "olle")["events"][0]["occurred_at"][:7]
    asked = ("report", "--authority", "TK", "--month", month, "--as", "ana", "--out", "reports")
    told = kc_json(home, *asked)
    page = (home / "reports" / f"{told['number']}.html").read_text(encoding="utf-8")
    assert "Trafik- och renhållningsnämnden" in page
    assert "TK-AVF-01" in page
    table = (home / "reports" / f"{told['number']}.csv").read_bytes()
    assert table.startswith(b"\xef\xbb\xbfrapport;")
    assert "Registrerade ärenden" in kc(home, *asked).stdout
    other = kc(home, "report", "--authority", "MF", "--month", month, "--as", "ana", code=1)
    assert other.stderr.startswith("Error: These figures are not for you.")
    for wrong in ("2026-13", "nov", "2026"):
        done = kc(home, "report", "--authority", "TK", "--month", wrong, "--as", "ana", code=2)
        assert "write it as 2026-11" in done.stderr
    (home / "file").write_text("", encoding="utf-8")
    done = kc(home, *asked[:-1], "file", code=4)
    assert "choose another folder with --out" in done.stderr
