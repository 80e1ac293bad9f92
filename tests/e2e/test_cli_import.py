"""Imports as processes: a file that grows, a disk that fills, and the past as it stood."""

from __future__ import annotations

import contextlib
import json
import shutil
import signal
import subprocess
import time
from typing import TYPE_CHECKING, Any

import pytest
from cli_process import RECORDING, Running, kc, kc_json

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

ROWS = RECORDING.read_text(encoding="utf-8").splitlines(keepends=True)


def totals(figures: Any) -> dict[str, int]:
    return {row["queue"]: row["offered"] for row in figures["total"] if row["offered"]}


def wait_until(done: Any, within_s: float = 20) -> None:
    until = time.monotonic() + within_s
    while not done():
        assert time.monotonic() < until
        time.sleep(0.2)


@pytest.mark.parametrize("served", [True, False], ids=["in a server", "by itself"])
def test_a_growing_file_is_followed_through_rotation(served: bool, tmp_path: Path) -> None:
    data, file = ("--data", tmp_path / "data"), tmp_path / "queue_log"
    file.write_text("".join(ROWS[:1000]))
    follow = ("import", "queue-log", file, "--exchange", "lab", "--follow", *data)
    with contextlib.ExitStack() as around:
        if served:
            around.enter_context(Running(tmp_path, "serve", "--port", 0, *data)).address()
        with Running(tmp_path, *follow) as following:
            following.wait_for('"lines": 1000')
            with file.open("a") as out:
                out.writelines(ROWS[1000:2000])
            following.wait_for('"lines": 2000')
            file.rename(tmp_path / "queue_log.1")
            file.write_text("".join(ROWS[2000:]))
            following.wait_for(f'"lines": {len(ROWS)}')
            figures = kc_json(tmp_path, "statistics", *data)
            assert following.stop(signal.SIGINT) == 130

    assert sum(totals(figures).values()) == 1352
    kc(tmp_path, "log", "verify", *data)


@pytest.mark.parametrize("until", [1795321171, 1795321400, 1795321500, 1795321822])
def test_a_replay_is_what_an_import_up_to_then_would_have_shown(until: int, tmp_path: Path) -> None:
    part = tmp_path / "queue_log"
    part.write_text("".join(row for row in ROWS if int(row.split("|")[0]) <= until))
    for file, name in ((RECORDING, "whole"), (part, "part")):
        kc(tmp_path, "import", "queue-log", file, "--exchange", "lab", "--data", tmp_path / name)
    when = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(until))

    replayed, then = (
        kc_json(tmp_path, "replay", "--until", when, "--data", tmp_path / name)
        for name in ("whole", "part")
    )

    assert replayed["until"] == when.replace("Z", "+00:00")
    assert replayed["statistics"]["rows"] == then["statistics"]["rows"]
    assert replayed["statistics"]["total"] == then["statistics"]["total"]
    for name in ("groups", "total", "agents", "series"):
        assert replayed["queues"][name] == then["queues"][name]
    now = kc_json(tmp_path, "statistics", "--data", tmp_path / "part")
    assert now["total"] == then["statistics"]["total"]
    assert replayed["as_of"]["calls/0"] > 3000


def test_a_second_import_and_a_rebuilt_read_model_change_nothing(tmp_path: Path) -> None:
    data = ("--data", tmp_path / "data")
    args = ("import", "queue-log", RECORDING, "--exchange", "lab", *data)
    assert kc_json(tmp_path, *args)["facts"] == len(ROWS)
    digest = kc_json(tmp_path, "log", "digest", *data)
    figures = kc_json(tmp_path, "statistics", *data)

    again = kc_json(tmp_path, *args)
    for model in kc_json(tmp_path, "projection", "list", *data)["projections"]:
        kc(tmp_path, "projection", "rebuild", model["name"], *data)
    shutil.rmtree(tmp_path / "data" / "index")

    assert (again["facts"], again["already_known"]) == (0, len(ROWS))
    assert kc_json(tmp_path, "log", "digest", *data) == digest
    assert kc_json(tmp_path, "statistics", *data) == figures
    models = kc_json(tmp_path, "projection", "list", *data)["projections"]
    assert len(models) >= 3
    for model in models:
        assert kc_json(tmp_path, "projection", "parked", model["name"], *data)["parked"] == []


def test_the_exported_log_holds_every_commit_once(tmp_path: Path) -> None:
    data = ("--data", tmp_path / "data")
    kc(tmp_path, "import", "queue-log", RECORDING, "--exchange", "lab", *data)
    kc(tmp_path, "log", "export", tmp_path / "log.jsonl", *data)
    positions = kc_json(tmp_path, "log", "digest", *data)["shards"]

    rows = [json.loads(line) for line in (tmp_path / "log.jsonl").open(encoding="utf-8")]

    assert len({row["id"] for row in rows}) == len(rows)
    assert len(rows) == sum(shard["position"] for shard in positions.values())
    refused = kc(tmp_path, "log", "export", tmp_path / "log.jsonl", *data, code=1)
    assert "log.jsonl" in refused.stderr


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of two megabytes."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(folder)]
    if subprocess.run(mount, check=False, capture_output=True).returncode:
        pytest.skip("a tmpfs cannot be mounted here: needs root")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


@pytest.mark.root
@pytest.mark.fault
def test_a_full_disk_is_said_and_the_import_goes_on_when_there_is_room(
    small_disk: Path, tmp_path: Path
) -> None:
    data = ("--data", small_disk / "data")
    args = ("import", "queue-log", RECORDING, "--exchange", "lab", *data)

    full = kc(tmp_path, *args, code=4)
    subprocess.run(["mount", "-o", "remount,size=64m", str(small_disk)], check=True)
    report = kc_json(tmp_path, *args)

    assert "disk is full" in full.stderr
    assert report["facts"] + report["already_known"] == len(ROWS)
    assert sum(totals(kc_json(tmp_path, "statistics", *data)).values()) == 1352
    kc(tmp_path, "log", "verify", *data)
