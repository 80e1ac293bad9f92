"""The archivist's verbs as real commands, beside a running server and without one."""

from __future__ import annotations

import json
import shutil
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from cli_process import Running, kc, kc_json
from privacy_server import (
    CONTENT,
    NAME,
    NUMBER,
    RECIPIENT,
    WHY,
    closed,
    planted,
    typed,
    with_accounts,
)
from privacy_world import a_case_type

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home whose data folder has a closed case in it; `case` is its id."""
    folder = tmp_path_factory.mktemp("home")
    with_accounts(folder, folder / "data")
    with Running(folder, "serve", "--port", 0, "--data", folder / "data") as server:
        address = server.address()
        case = planted(address, folder / "data")
        closed(address, case, a_case_type("TK"))
        (folder / "case").write_text(case)
        server.stop()
    return folder


def case_of(home: Path) -> str:
    return (home / "case").read_text()


def span() -> tuple[str, ...]:
    now = datetime.now(UTC)
    return ("--from", (now - timedelta(days=1)).isoformat(), "--to", now.isoformat())


def test_a_copy_is_made_with_what_is_masked_and_its_recipient_from_stdin(home: Path) -> None:
    args = ("case", "disclose", "TK", case_of(home), "--purpose", "Begäran", "--as", "rut",
            "--mask", "numbers=OSL 21:3", "--mask", "words=OSL 21:1", "--word", NAME,
            "--recipient", "--data", home / "data")  # fmt: skip
    page = typed(home, *args, "--html", said=RECIPIENT + "\n")
    assert page.startswith("<!doctype html>")
    assert RECIPIENT in page
    assert NUMBER not in page
    assert NAME not in page
    told = json.loads(typed(home, *args, "--json", said=RECIPIENT + "\n"))
    assert told["number"].endswith("-U3")
    text = typed(home, *args, said="\n")
    assert text.startswith("# Utlämnande")


@pytest.mark.parametrize("name", ["uttag", "uttag.zip"])
def test_an_archive_is_written_and_verified_and_a_change_is_found(home: Path, name: str) -> None:
    to = home / name
    args = ("archive", "export", to, "--authority", "TK", *span(), "--attachments", "--as", "rut")
    made = kc_json(home, *args, "--data", home / "data")
    assert (made["cases"], made["attachments"]) == (1, 1)
    assert "whole" in kc(home, "archive", "verify", to).stdout
    assert "there already" in kc(home, *args, "--data", home / "data", code=1).stderr
    if name == "uttag":
        (file,) = (to / "attachments").iterdir()
        assert file.read_text() == CONTENT
        file.write_text("another")
        assert "not as it was" in kc(home, "archive", "verify", to, code=1).stdout


def test_who_may_not_is_told_so_and_nothing_happens(home: Path) -> None:
    case = ("--case", case_of(home))
    where = ("--data", home / "data")
    denied = ("erasure", "decide", "--authority", "TK", *WHY, *case, "--as", "olle", *where)
    assert "may not" in kc(home, *denied, code=1).stderr
    nobody = ("erasure", "list", "--as", "nosuch", *where)
    assert "user list" in kc(home, *nobody, code=1).stderr
    elsewhere = ("erasure", "decide", "--authority", "MF", *WHY, *case, "--as", "rut", *where)
    assert "no such case" in kc(home, *elsewhere, code=1).stderr
    to = home / "never"
    export = ("archive", "export", to, "--authority", "MF", *span(), "--as", "rut", *where)
    kc(home, *export, code=1)
    assert not to.exists()


def test_mistakes_are_told_with_what_to_write_instead(home: Path) -> None:
    where = ("--as", "rut", "--data", home / "data")
    mask = ("case", "disclose", "TK", "x", "--purpose", "p", "--mask", "numbers", *where)
    assert "equals sign" in kc(home, *mask, code=2).stderr
    none = ("erasure", "decide", "--authority", "TK", *WHY, *where)
    assert "names nothing" in kc(home, *none, code=2).stderr
    (home / "no.json").write_text("{}")
    assert "not a protocol" in kc(home, "erasure", "again", home / "no.json", *where, code=2).stderr
    assert "no such protocol" in kc(home, "erasure", "protocol", "TK-G9", *where, code=1).stderr
    assert "no archive" in kc(home, "archive", "verify", home / "no.json", code=1).stderr


def test_retention_proposes_nothing_where_there_are_no_rules(home: Path) -> None:
    where = ("--authority", "TK", "--as", "rut", "--data", home / "data")
    assert kc_json(home, "retention", "propose", *where) == {"proposals": []}
    decide = ("retention", "decide", *WHY, *where)
    assert "nothing is due" in kc(home, *decide, code=1).stderr


def test_a_damaged_file_is_told_of_and_does_not_keep_the_rest_from_a_backup(
    home: Path, tmp_path: Path
) -> None:
    data = shutil.copytree(home / "data", tmp_path / "data", symlinks=True)
    (file,) = [p for p in (data / "attachments").rglob("*") if p.is_file()]
    checked = json.loads(kc(tmp_path, "doctor", "--data", data, "--json", code=None).stdout)[
        "checks"
    ]
    assert ("files of cases", "ok") in {(c["name"], c["state"]) for c in checked}
    file.write_bytes(file.read_bytes()[:-1])
    told = kc_json(tmp_path, "doctor", "--data", data, code=1)["checks"]
    assert ("files of cases", "fail") in {(c["name"], c["state"]) for c in told}
    args = ("backup", "create", tmp_path / "log", "--keys-to", tmp_path / "keys", "--data", data)
    made = kc_json(tmp_path, *args)
    assert (made["attachments"], made["damaged"]) == (0, [file.name])
    kc(tmp_path, "backup", "verify", tmp_path / "log", "--keys", tmp_path / "keys")
