"""A protected identity, planted through the API, is found nowhere by whoever has not the right."""

from __future__ import annotations

import json
import shutil
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING
from uuid import uuid4

import pytest
from clear_text import scan
from cli_process import Running, kc
from privacy_server import NUMBER, PASSWORD, Desk, signed_in, told_by, typed, with_accounts
from privacy_world import a_case_type

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

NAME = "Zqgreta Qvgömdsdotter"
WORDS = "Xwqstigen sjutton"
FILE_NAME = "Qzwintyg.txt"
TEXTS = (NAME, "Zqgreta", WORDS, "Qzwintyg", "Qjwbilagans", NUMBER)

pytestmark = [pytest.mark.slow, pytest.mark.requirement("R54")]


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A data folder with accounts; pia may open what is protected."""
    folder = tmp_path / "data"
    with_accounts(tmp_path, folder)
    for name, more in (
        ("pia", ("--role", "case_officer", "--authority", "TK", "--protected")),
        ("vera", ("--role", "auditor")),
    ):
        typed(
            tmp_path, "user", "create", name, "--as", "admin", *more, "--data", folder,
            said=PASSWORD + "\n",
        )  # fmt: skip
    return folder


@pytest.fixture
def server(tmp_path: Path, data: Path) -> Iterator[Running]:
    with Running(tmp_path, "serve", "--port", 0, "--data", data) as running:
        yield running


def planted(desk: Desk, *, protected: bool) -> str:
    """A case with a name, an address and a file; its id."""
    case: str = desk.post(
        "cases", authority="TK", caller=NUMBER, title=NAME, text=f"{NAME}, {WORDS}",
        protected=protected,
    )["case"]  # fmt: skip
    path = f"cases/TK/{case}"
    desk.post(f"{path}/note", text=f"Bor på {WORDS}")
    at = datetime.now(UTC).replace(year=datetime.now(UTC).year + 1).isoformat()
    desk.post(f"{path}/promise-callback", promised_at=at, number=NUMBER, officer="pia")
    added = desk.client.post(
        f"/api/v1/{path}/attachments", headers={"Idempotency-Key": uuid4().hex},
        files={"file": (FILE_NAME, b"Qjwbilagans text " * 500, "text/plain")},
    )  # fmt: skip
    assert added.status_code == 200, added.text
    return case


def asked(desk: Desk, case: str) -> dict[str, str]:
    """What somebody is answered who asks everywhere for a person and a case, less where it stands.

    A case that never was is asked for in the same way, so that answers can be compared.
    """
    got = {
        path: desk.client.get(f"/api/v1/{path}").text
        for path in (
            f"cases/TK/{case}", f"cases/TK/{case}/events", f"cases/TK/{case}/attachments",
            "cases", "cases?list=callbacks", "cases?list=overdue", "cases/counts",
        )
    }  # fmt: skip
    for path, body in (
        ("cases/search", {"text": "Zqgreta"}),
        ("cases/search", {"text": "Xwqstigen"}),
        ("cases/search", {"text": case[:6]}),
        ("cases/history", {"number": NUMBER}),
    ):
        got[f"{path} {body}"] = desk.client.post(f"/api/v1/{path}", json=body).text
    return {
        key.replace(case, "CASE").replace(case[:6], "CASE"): _still(text)
        for key, text in got.items()
    }


def _still(text: str) -> str:
    """An answer without the moment and the position that it was given at."""
    found = json.loads(text)
    for name in ("as_of", "at", "age_s", "made_at", "position", "positions"):
        found.pop(name, None)
    return json.dumps(found, sort_keys=True)


def clean(folders: list[Path], within_s: float = 20.0) -> dict[str, list[str]]:
    """What a scan finds, once the read models have come so far."""
    until = time.monotonic() + within_s
    while (found := scan(folders, TEXTS)) and time.monotonic() < until:
        time.sleep(0.2)
    return found


def everything_told(home: Path, data: Path, case: str, address: str) -> str:
    """All that the command line tells to those who have not the right, into files and out."""
    told = [kc(home, "log", "export", "-", "--data", data).stdout]
    with signed_in(address, "olle") as olle:  # an authority's totals count all of its cases
        month = datetime.now(UTC).strftime("%Y-%m")
        told.append(olle.client.get(f"/api/v1/reports/TK/{month}").text)
    told.append(kc(home, "log", "show", "--limit", 1000, "--data", data).stdout)
    person = ("person", "export", "--number", "-", "--as", "rut", "--out", "person.json")
    told.append(typed(home, *person, "--data", data, said="0700003918\n"))
    now = datetime.now(UTC).isoformat()
    archive = ("archive", "export", home / "archive", "--authority", "TK", "--as", "rut")
    told.append(kc(home, *archive, "--from", "2020-01-01", "--to", now, "--data", data).stdout)
    for verb in (("case", "show"), ("case", "find"), ("looks", "search")):
        done = kc(home, *verb, f"TK/{case}", "--as", "olle", "--data", data, code=None)
        told.append(done.stdout + done.stderr)
    told.append(kc(home, "looks", "search", "--as", "vera", "--data", data).stdout)
    return "\n".join(told)


def test_what_was_registered_as_protected_is_in_clear_nowhere(
    tmp_path: Path, data: Path, server: Running
) -> None:
    address = server.address()
    with signed_in(address, "olle") as olle, signed_in(address, "pia") as pia:
        before = asked(olle, "f" * 16)
        case = planted(pia, protected=True)
        path = f"/api/v1/cases/TK/{case}"
        pia.post(f"cases/TK/{case}/categorise", case_type=a_case_type("TK"))
        pia.post(f"cases/TK/{case}/close", outcome="solved")
        assert NAME in pia.client.get(path).text
        assert clean([data]) == {}
        assert asked(olle, case) == before
        assert NAME in pia.client.get(path).text, "whoever has the right sees it"
    told = everything_told(tmp_path, data, case, address)
    log, keys = tmp_path / "backup", tmp_path / "backup-keys"
    kc(tmp_path, "backup", "create", log, "--keys-to", keys, "--data", data)
    server.stop()
    (tmp_path / "told").write_text(told + told_by(server))
    assert scan([tmp_path], TEXTS) == {}


def test_what_becomes_protected_later_goes_from_everywhere(
    tmp_path: Path, data: Path, server: Running
) -> None:
    address = server.address()
    with signed_in(address, "olle") as olle, signed_in(address, "pia") as pia:
        before = asked(olle, "f" * 16)
        case = planted(olle, protected=False)
        until = time.monotonic() + 20
        while time.monotonic() < until and not scan([data / "projections"], [NAME]):
            time.sleep(0.1)
        assert asked(olle, case) != before
        assert case in olle.client.post("/api/v1/cases/search", json={"text": "Zqgreta"}).text
        pia.post(f"cases/TK/{case}/protect", protected=True)
        assert clean([data]) == {}
        assert asked(olle, case) == before
        assert NAME in pia.client.get(f"/api/v1/cases/TK/{case}").text
    server.stop()
    shutil.rmtree(data / "projections")
    with Running(tmp_path, "serve", "--port", 0, "--data", data) as again:
        again.address()
        kc(tmp_path, "projection", "list", "--data", data)
        assert clean([data]) == {}
        again.stop()
        (tmp_path / "told").write_text(told_by(again) + told_by(server))
    assert scan([tmp_path], TEXTS) == {}
