"""Logs of every format so far: read byte for byte, judged as they were when they were written."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import pytest
from golden_events import digest, read_manifest
from golden_log import CLEAR, FOLDER, judged, path_of

from core.limits import FORMAT

if TYPE_CHECKING:
    from pathlib import Path

LOGS = sorted(FOLDER.glob("*.json"))


def test_the_present_format_has_a_golden_log() -> None:
    assert path_of(FORMAT) in LOGS, "run `python tests/golden_log.py`"


@pytest.mark.parametrize("path", LOGS, ids=lambda path: path.name)
def test_a_golden_log_is_judged_as_ever(path: Path, tmp_path: Path) -> None:
    golden: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    records, told = asyncio.run(judged(tmp_path, golden["records"]))
    assert records == golden["records"]
    assert told == {name: golden[name] for name in ("position", "digest", "heads")}
    assert golden["position"] == 5, "one is a repeat and one a fork"
    assert golden["heads"] == {"call/tnh/1795321176.1": 3}


@pytest.mark.parametrize("path", LOGS, ids=lambda path: path.name)
def test_a_golden_log_shows_no_personal_data_and_was_not_changed(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert not [part for part in CLEAR.split() if part in text]
    assert read_manifest()[f"log/{path.name}"] == digest(path)
