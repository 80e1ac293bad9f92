"""`looks verify|search` and `person export` on a real data folder; one as a real process."""

from __future__ import annotations

import asyncio
import json
import shutil
import sqlite3
import subprocess
from typing import TYPE_CHECKING, Any
from zlib import crc32

import pytest
from cli_here import kc, kc_json, with_accounts
from cli_process import command, environment
from given import staff
from log_world import an_id

from core.access import Asker, Purpose
from core.application import Application
from core.case_asking import case_number
from core.case_commands import RegisterCase
from core.looks import Seen
from core.personal import Personal
from kontaktcenter import config, wiring

if TYPE_CHECKING:
    from pathlib import Path

CALLER = "0700000007"
LOOKS = 7
ACCOUNTS = {
    "adam": ("administrator",),
    "vera": ("auditor",),
    "rut": ("registrar", "--authority", "TK"),
    "stina": ("registrar", "--authority", "TK", "--protected"),
}

pytestmark = pytest.mark.requirement("R52")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home whose data folder holds a case, a protected one, accounts and looks."""
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
        for n, protected in enumerate((False, True)):
            stream = f"case/TK/{n}"
            subject = f"protected/{stream}" if protected else stream
            command = RegisterCase(
                id=an_id(n), now=house.clock(), actor="anna", asker=staff(), authority="TK",
                case=str(n), agent="anna", protected=protected,
                text=Personal(("Greta Gömd", "Lampan blinkar")[not protected], subject),
                caller_ref=house.node.caller_ref(CALLER),
            )  # fmt: skip
            await application.handle(command)
        for n in range(LOOKS):
            seen = [Seen("case/TK/0", house.node.caller_ref(CALLER))]
            await house.read_log.record(Asker(f"olle{n}"), "read_case", Purpose.CASEWORK, seen)


def record_of_looks(home: Path, change: Any, *, honest_crc: bool = True) -> None:
    """Change one record of the looks in `log.db`, for real; the index is dropped as after a loss.

    `change` gets its JSON; with `honest_crc` its checksum is made to fit, as a forger would.
    """
    with sqlite3.connect(home / "data" / "log.db") as log:
        tables = [r[0] for r in log.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        for table in tables:
            columns = [r[1] for r in log.execute(f"PRAGMA table_info('{table}')")]
            if columns != ["offset", "body", "crc"]:
                continue
            rows = log.execute(f'SELECT offset, body, crc FROM "{table}" ORDER BY 1').fetchall()
            found = [r for r in rows if b"look.made" in r[1]]
            if found:
                offset, body, crc = found[2]
                after = change(body)
                crc = crc32(after) if honest_crc else crc
                sql = f'UPDATE "{table}" SET body = ?, crc = ? WHERE offset = ?'
                log.execute(sql, (after, crc, offset))
                log.commit()
    shutil.rmtree(home / "data" / "index")
    shutil.rmtree(home / "data" / "projections")


def test_whole_chains_are_told_with_their_ends(home: Path) -> None:
    found = kc_json(home, "looks", "verify")
    assert (found["ok"], found["looks"], found["faults"]) == (True, LOOKS, [])
    ((stream, end),) = found["ends"].items()
    assert end["n"] == LOOKS
    assert stream == f"look/{(home / 'data' / 'look-chain').read_text().strip()}"
    shown = kc(home, "looks", "verify").stdout
    assert end["hash"] in shown


def test_a_look_that_was_changed_in_the_log_itself_is_told(home: Path) -> None:
    record_of_looks(home, lambda body: body.replace(b"olle2", b"karin"))
    found = kc_json(home, "looks", "verify", code=1)
    (fault,) = found["faults"]
    assert fault.endswith(": look 3 or 4 was changed")


def test_a_look_that_was_taken_out_of_the_log_is_told(home: Path) -> None:
    def emptied(body: bytes) -> bytes:
        whole = json.loads(body)
        whole["commits"] = []
        return json.dumps(whole).encode()

    record_of_looks(home, emptied)
    found = kc_json(home, "looks", "verify", code=1)
    assert "look 3 is missing" in found["faults"][0]


def test_a_record_that_was_damaged_is_told_and_nothing_beyond_it_is_believed(home: Path) -> None:
    record_of_looks(home, lambda body: body.replace(b"olle2", b"karin"), honest_crc=False)
    done = kc(home, "looks", "verify", code=None)
    assert done.code == 1
    assert "ok" not in done.stdout


@pytest.mark.parametrize("forgery", ["changed", "missing", "none"])
def test_an_export_is_verified_by_itself(home: Path, forgery: str) -> None:
    export = home / "log.jsonl"
    kc(home, "log", "export", export)
    lines = export.read_text(encoding="utf-8").splitlines(keepends=True)
    at = [n for n, line in enumerate(lines) if "look.made" in line][4]
    if forgery == "changed":
        lines[at] = lines[at].replace("olle4", "karin")
    elif forgery == "missing":
        del lines[at]
    export.write_text("".join(lines), encoding="utf-8")
    found = kc_json(home, "looks", "verify", "--file", export, code=0 if forgery == "none" else 1)
    told = {"changed": "look 5 or 6 was changed", "missing": "look 5 is missing", "none": ""}
    assert [f.partition(": ")[2] for f in found["faults"]] == [t for t in [told[forgery]] if t]


def test_whoever_noted_the_end_sees_that_the_last_looks_were_cut_off(home: Path) -> None:
    noted = home / "noted.json"
    noted.write_text(kc(home, "looks", "verify", "--json").stdout, encoding="utf-8")
    export = home / "log.jsonl"
    kc(home, "log", "export", export)
    lines = export.read_text(encoding="utf-8").splitlines(keepends=True)
    last = max(n for n, line in enumerate(lines) if "look.made" in line)
    export.write_text("".join(lines[:last] + lines[last + 1 :]), encoding="utf-8")
    whole = kc_json(home, "looks", "verify", "--file", export)
    assert whole["ok"]
    cut = kc_json(home, "looks", "verify", "--file", export, "--noted", noted, code=1)
    assert f"look {LOOKS} is missing at its end" in cut["faults"][0]


def test_what_is_no_export_and_no_noted_end_is_said(home: Path) -> None:
    wrong = home / "wrong"
    wrong.write_text("{}\n", encoding="utf-8")
    assert "line 1" in kc(home, "looks", "verify", "--file", wrong, code=1).stderr
    done = kc(home, "looks", "verify", "--noted", wrong, code=None)
    assert done.code == 2
    missing = kc(home, "looks", "verify", "--file", home / "no", code=1).stderr
    assert "cannot be read" in missing


def test_looks_are_found_by_person_case_and_account_and_the_search_is_one_itself(
    home: Path,
) -> None:
    for flags in (("--person", CALLER), ("--case", "TK/0"), ("--case", case_number("TK", "0"))):
        found = kc_json(home, "looks", "search", "--as", "vera", *flags)
        assert {f"olle{n}" for n in range(LOOKS)} <= {look["who"] for look in found["looks"]}
    found = kc_json(home, "looks", "search", "--as", "vera", "--who", "olle3")
    assert [look["who"] for look in found["looks"]] == ["olle3"]
    found = kc_json(home, "looks", "search", "--as", "vera", "--who", "vera")
    assert {look["deed"] for look in found["looks"]} == {"read_looks"}
    page = kc(home, "looks", "search", "--as", "vera", "--limit", 2)
    assert "--after" in page.stderr


@pytest.mark.parametrize("account", ["adam", "rut", "nobody"])
def test_without_the_right_nothing_of_the_read_log_is_shown(home: Path, account: str) -> None:
    done = kc(home, "looks", "search", "--as", account, "--case", "TK/0", code=1)
    assert "olle" not in done.stdout + done.stderr


def exported(home: Path, account: str) -> tuple[dict[str, Any], str, str]:
    done = subprocess.run(
        command("person", "export", "--number", "-", "--as", account, "--out", "person.json"),
        input=f"{CALLER}\n", capture_output=True, text=True, cwd=home, check=True,
        env=environment(home, KC_DATA=str(home / "data")),
    )  # fmt: skip
    text = (home / "person.json").read_text(encoding="utf-8")
    page = (home / "person.html").read_text(encoding="utf-8")
    assert CALLER not in done.stdout + done.stderr
    return json.loads(text)["person"], page, text


@pytest.mark.requirement("R54")
def test_all_about_a_person_is_written_to_a_new_file_and_a_page_without_the_protected(
    home: Path,
) -> None:
    found, page, text = exported(home, "rut")
    assert [case["case"] for case in found["cases"]] == ["case/TK/0"]
    assert {f"olle{n}" for n in range(LOOKS)} <= {look["who"] for look in found["looks"]}
    assert "Registerutdrag" in page
    assert "Lampan blinkar" in page
    assert "handläggning" in page
    assert "Greta" not in text + page
    assert (home / "person.json").stat().st_mode & 0o777 == 0o600
    again = kc(
        home, "person", "export", "--number", CALLER, "--as", "rut", "--out", "person.json",
        code=1,
    )  # fmt: skip
    assert "is there already" in again.stderr


@pytest.mark.requirement("R54")
def test_who_may_open_the_protected_tells_of_them_too(home: Path) -> None:
    found, page, _text = exported(home, "stina")
    assert [case["case"] for case in found["cases"]] == ["case/TK/0", "case/TK/1"]
    assert "Greta Gömd" in page
    looks = kc_json(home, "looks", "search", "--as", "vera", "--who", "stina")
    assert {(look["deed"], look["purpose"], look["case"]) for look in looks["looks"]} == {
        ("subject_access", "right_to_know", case) for case in (None, "case/TK/0", "case/TK/1")
    }


@pytest.mark.requirement("R54")
def test_doctor_says_that_the_secret_of_protected_identities_is_gone(home: Path) -> None:
    (home / "data" / "protected.key").unlink()
    found = kc(home, "doctor", "--json", code=None)
    checks = {check["name"]: check for check in json.loads(found.stdout)["checks"]}
    assert checks["secret of protected identities"]["state"] == "fail"
    assert "KC_PROTECTED_KEY_FILE" in checks["secret of protected identities"]["do"]


@pytest.mark.requirement("R54")
@pytest.mark.parametrize("kept", [True, False])
def test_a_backup_of_the_keys_brings_the_secret_back_where_it_was_asked_for(
    home: Path, kept: bool
) -> None:
    more = () if kept else ("--without-secret",)
    kc(home, "backup", "create", "log", "--keys-to", "keys", *more)
    assert (home / "keys" / "protected.key").exists() is kept
    assert not (home / "log" / "protected.key").exists()
    (home / "data").rename(home / "old")
    secret = () if kept else ("--secret", "old/city.key")
    kc(home, "backup", "restore", "log", "--keys", "keys", *secret)
    done = kc(home, "person", "export", "--number", CALLER, "--as", "stina", "--out", "p.json")
    assert done.code == 0
    assert "Greta Gömd" in (home / "p.json").read_text(encoding="utf-8")
