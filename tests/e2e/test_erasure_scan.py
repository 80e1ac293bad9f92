"""After an erasure nothing stands in clear in any file of the deployment, backups included."""

from __future__ import annotations

import json
import shutil
import time
from typing import TYPE_CHECKING, Any

import pytest
from clear_text import scan
from cli_process import Running, kc, kc_json
from privacy_server import (
    NAME,
    NUMBER,
    TEXTS,
    WHY,
    closed,
    planted,
    protocols,
    signed_in,
    told_by,
    typed,
    with_accounts,
)
from privacy_world import a_case_type

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A data folder with accounts."""
    with_accounts(tmp_path, tmp_path / "data")
    return tmp_path / "data"


@pytest.fixture
def server(tmp_path: Path, data: Path) -> Iterator[Running]:
    """The product, running."""
    with Running(tmp_path, "serve", "--port", 0, "--data", data) as running:
        yield running


def erased_by_number(home: Path, data: Path) -> dict[str, Any]:
    """The registrar erases the caller on the command line; the protocol."""
    args = ("erasure", "decide", "--authority", "TK", *WHY, "--caller", "--as", "rut")
    said = typed(home, *args, "--data", data, "--json", said=NUMBER + "\n")
    found: dict[str, Any] = json.loads(said)
    return found


@pytest.mark.slow
@pytest.mark.requirement("R55")
def test_nothing_is_in_clear_in_any_file_once_a_person_was_erased(
    tmp_path: Path, data: Path, server: Running
) -> None:
    address = server.address()
    case = planted(address, data)
    closed(address, case, a_case_type("TK"))
    with signed_in(address, "rut") as rut:
        found = rut.client.post("/api/v1/cases/search", json={"text": "Brrfzkovsdotter"})
        assert case in found.text
    before = scan([data], TEXTS)
    assert before, "the scan finds what is there: the index of search holds text in clear"
    assert all("projections" in path for path in before), "and nothing else does, at any time"

    told = erased_by_number(tmp_path, data)

    assert (told["cases"], told["callers"], told["attachments"]) == (1, 1, 1)
    assert scan([data], TEXTS) == {}
    log, keys = tmp_path / "backup", tmp_path / "backup-keys"
    kc_json(tmp_path, "backup", "create", log, "--keys-to", keys, "--data", data)
    page = kc(tmp_path, "erasure", "protocol", told["number"], "--html", "--as", "rut",
              "--data", data).stdout  # fmt: skip
    with signed_in(address, "olle") as olle:
        answer = olle.client.get(f"/api/v1/cases/TK/{case}").text
    server.stop()
    everything = [data, log, keys]
    (tmp_path / "told").mkdir()
    (tmp_path / "told" / "process").write_text(told_by(server) + page + answer + json.dumps(told))
    assert scan([*everything, tmp_path / "told"], TEXTS) == {}
    assert scan([tmp_path], TEXTS) == {}
    kc(tmp_path, "doctor", "--data", data, code=None)
    kc(tmp_path, "projection", "rebuild", "case_search", "--data", data)
    assert scan([data], TEXTS) == {}


@pytest.mark.fault
@pytest.mark.slow
def test_an_erasure_that_kill_9_cut_off_is_whole_after_the_next_start(
    tmp_path: Path, data: Path, whole: bool
) -> None:
    """Killed at many moments between the decision and its last step."""
    delays_ms = [*range(0, 200, 8), 300, 400] if whole else [0, 12, 40]
    cut_off = 0
    for n, delay_ms in enumerate(delays_ms):
        here = shutil.copytree(data, tmp_path / f"data{n}", symlinks=True)
        with Running(tmp_path, "serve", "--port", 0, "--data", here) as running:
            address = running.address()
            case = planted(address, here)
            closed(address, case, a_case_type("TK"))
            args = ("erasure", "decide", "--authority", "TK", *WHY, "--case", case, "--as", "rut")
            with Running(tmp_path, *args, "--data", here):
                until = time.monotonic() + 30
                while not in_log(here, b"erasure.ordered") and time.monotonic() < until:
                    time.sleep(0.001)
                time.sleep(delay_ms / 1000)
                running.process.kill()
                running.process.wait()
        cut_off += not in_log(here, b"erasure.carried_out")
        with Running(tmp_path, "serve", "--port", 0, "--data", here) as again:
            address = again.address()
            found = protocols(tmp_path, here)
            until = time.monotonic() + 30
            while any(p["carried_out_at"] is None for p in found) and time.monotonic() < until:
                time.sleep(0.1)
                found = protocols(tmp_path, here)
            assert [p["attachments"] for p in found] == [1]
            again.stop()
        left = scan([here], [text for text in TEXTS if text != NUMBER])
        assert left == {}, (delay_ms, left)
    assert cut_off, "none of the moments was one in between"


def in_log(data: Path, topic: bytes) -> bool:
    """Whether the log's file, or its write-ahead log, holds an event of a type."""
    return any(topic in (data / name).read_bytes() for name in ("log.db", "log.db-wal"))


@pytest.mark.slow
def test_a_backup_from_before_opens_until_the_erasure_is_carried_out_on_it_again(
    tmp_path: Path, data: Path, server: Running
) -> None:
    address = server.address()
    case = planted(address, data)
    closed(address, case, a_case_type("TK"))
    log, keys = tmp_path / "backup", tmp_path / "backup-keys"
    made = kc_json(tmp_path, "backup", "create", log, "--keys-to", keys, "--data", data)
    assert made["attachments"] == 1
    told = erased_by_number(tmp_path, data)
    number = ("erasure", "protocol", told["number"], "--as", "rut", "--data", data)
    kept = tmp_path / "protocol.json"
    kept.write_text(kc(tmp_path, *number, "--json").stdout)
    server.stop()
    shutil.rmtree(data)

    restored = kc_json(tmp_path, "backup", "restore", log, "--keys", keys, "--data", data)
    assert restored["attachments"] == 1
    with Running(tmp_path, "serve", "--port", 0, "--data", data) as again:
        address = again.address()
        with signed_in(address, "olle") as olle:
            assert NAME in olle.client.get(f"/api/v1/cases/TK/{case}").text
            listed = olle.client.get(f"/api/v1/cases/TK/{case}/attachments").json()["attachments"]
            path = f"/api/v1/cases/TK/{case}/attachments/{listed[0]['address']}"
            assert "Qjfxbilagans" in olle.client.get(path).text
        redone = kc_json(tmp_path, "erasure", "again", kept, "--as", "rut", "--data", data)
        again.stop()

    assert redone["again"] == told["number"]
    assert (redone["cases"], redone["callers"], redone["attachments"]) == (1, 1, 1)
    assert scan([data], TEXTS) == {}
