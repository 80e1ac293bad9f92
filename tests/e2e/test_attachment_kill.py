"""kill -9 while files come in: what was acknowledged is whole, what no case names is swept."""

from __future__ import annotations

import hashlib
import os
import threading
import time
from typing import TYPE_CHECKING
from uuid import uuid4

import httpx
import pytest
from cli_process import Running, kc_json
from privacy_server import planted, signed_in, with_accounts

if TYPE_CHECKING:
    from pathlib import Path

DAYS_S = 2 * 86_400


def content_of(n: int) -> bytes:
    return f"fil {n} ".encode() * 40_000


def uploads(address: str, case: str, told: dict[str, int], begun: threading.Event) -> None:
    """Send files until the server is gone; `told` are those that it has acknowledged."""
    with signed_in(address, "olle") as olle:
        begun.set()
        for n in range(10_000):
            try:
                answer = olle.client.post(
                    f"/api/v1/cases/TK/{case}/attachments",
                    files={"file": (f"{n}.txt", content_of(n), "text/plain")},
                    headers={"Idempotency-Key": uuid4().hex},
                )
            except httpx.HTTPError:
                return
            if answer.status_code != 200:
                return
            told[answer.json()["address"]] = n


@pytest.mark.fault
@pytest.mark.slow
def test_a_file_is_whole_or_swept_whenever_the_server_is_killed(
    tmp_path: Path, whole: bool
) -> None:
    data = tmp_path / "data"
    with_accounts(tmp_path, data)
    told: dict[str, int] = {}
    case = ""
    for delay_s in [0.05 * n for n in range(1, 25)] if whole else [0.2, 0.5]:
        with Running(tmp_path, "serve", "--port", 0, "--data", data) as running:
            address = running.address()
            case = case or planted(address, data)
            begun = threading.Event()
            thread = threading.Thread(target=uploads, args=(address, case, told, begun))
            thread.start()
            assert begun.wait(30)
            time.sleep(delay_s)
            running.process.kill()
            running.process.wait()
            thread.join()
    assert told, "some were acknowledged"
    folder = data / "attachments"
    with Running(tmp_path, "serve", "--port", 0, "--data", data) as again:
        address = again.address()
        assert not list((folder / "incoming").iterdir()), "half of a file is no file"
        with signed_in(address, "olle") as olle:
            path = f"/api/v1/cases/TK/{case}/attachments"
            listed = {a["address"] for a in olle.client.get(path).json()["attachments"]}
            for found, n in told.items():
                assert olle.client.get(f"{path}/{found}").content == content_of(n)
        assert set(told) <= listed
        old = time.time() - DAYS_S
        files = {p.name: p for p in folder.rglob("*") if p.is_file()}
        for file in files.values():
            os.utime(file, (old, old))
        swept = kc_json(tmp_path, "erasure", "sweep", "--data", data)["removed"]
        left = {p.name: p for p in folder.rglob("*") if p.is_file()}
        again.stop()
    assert set(left) == listed
    assert swept == len(files) - len(left)
    for name, file in left.items():
        assert hashlib.sha256(file.read_bytes()).hexdigest() == name
