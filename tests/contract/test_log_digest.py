"""`kontaktcenter log digest`: two nodes of one log are compared on the command line."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING

import pytest
from cli_here import kc, kc_json
from cli_process import RECORDING

if TYPE_CHECKING:
    from pathlib import Path

ALARM = "ALARM: calls/0 at position"


@pytest.fixture(scope="module")
def nodes(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A node that has a part of a recording, and a copy of it that went on to the end."""
    behind, ahead = tmp_path_factory.mktemp("behind"), tmp_path_factory.mktemp("ahead")
    part = behind / "part.queue_log"
    part.write_text("".join(RECORDING.read_text().splitlines(keepends=True)[:400]))
    kc(behind, "import", "queue-log", part, "--exchange", "tnh")
    shutil.copytree(behind / "data", ahead / "data")
    kc(ahead, "import", "queue-log", RECORDING, "--exchange", "tnh")
    return behind, ahead


def _told(home: Path, *args: object) -> Path:
    """A file with what `log digest --json` answers."""
    file = home / "digest.json"
    file.write_text(json.dumps(kc_json(home, "log", "digest", *args)))
    return file


def test_the_node_that_is_further_compares_where_the_other_stands(
    nodes: tuple[Path, Path],
) -> None:
    behind, ahead = nodes
    said = kc(ahead, "log", "digest", "--compare", _told(behind))
    assert "calls/0" in said.stdout
    assert "agrees" in said.stdout
    assert said.stderr == ""
    compared = kc_json(ahead, "log", "digest", "--compare", _told(behind))["compared"]
    assert compared["calls/0"]["outcome"] == "equal"
    assert compared["calls/0"]["ours"] > compared["calls/0"]["theirs"]


def test_a_node_that_is_behind_says_how_they_can_be_compared(nodes: tuple[Path, Path]) -> None:
    behind, ahead = nodes
    said = kc(behind, "log", "digest", "--compare", _told(ahead), code=3)
    here = kc_json(behind, "log", "digest")["shards"]["calls/0"]["position"]
    assert f"--shard calls/0 --at {here}" in said.stderr
    assert "not compared" in said.stdout
    earlier = _told(ahead, "--shard", "calls/0", "--at", here)
    compared = kc_json(behind, "log", "digest", "--compare", earlier)["compared"]
    assert compared == {"calls/0": {"outcome": "equal", "ours": here, "theirs": here}}


def test_a_digest_that_differs_is_an_alarm(nodes: tuple[Path, Path]) -> None:
    behind, ahead = nodes
    told = kc_json(behind, "log", "digest")
    told["shards"]["calls/0"]["digest"] = "0" * 64
    file = behind / "other.json"
    file.write_text(json.dumps(told))
    said = kc(ahead, "log", "digest", "--compare", file, code=1)
    assert ALARM in said.stderr
    assert "DIFFERS" in said.stdout


def test_another_log_and_unknown_shards_are_not_compared(nodes: tuple[Path, Path]) -> None:
    behind, ahead = nodes
    told = kc_json(behind, "log", "digest")
    told["shards"]["calls/0"]["genesis"] = "1234"
    told["shards"]["cases.XX/0"] = {"position": 3, "digest": "00"}
    del told["shards"]["centre/0"]
    file = behind / "strange.json"
    file.write_text(json.dumps(told))
    said = kc(ahead, "log", "digest", "--compare", file, code=3)
    assert "calls/0: the other node has another log" in said.stderr
    assert "cases.XX/0 is known to only one" in said.stderr
    assert "centre/0 is known to only one" in said.stderr
    compared = kc_json(ahead, "log", "digest", "--compare", file, "--shard", "calls/0", code=3)
    assert compared["compared"].keys() == {"calls/0"}


def test_what_cannot_be_asked_is_told(nodes: tuple[Path, Path]) -> None:
    behind, _ahead = nodes
    assert "--shard" in kc(behind, "log", "digest", "--at", 3, code=2).stderr
    said = kc(behind, "log", "digest", "--shard", "calls/0", "--at", 10**6, code=1).stderr
    assert "not yet to 1000000" in said
    assert "calls/0" in kc(behind, "log", "digest", "--shard", "x/9", code=1).stderr
    for text in ("{}", "[]", "nothing", '{"shards": {"calls/0": 5}}', '{"shards": {}}'):
        file = behind / "no.json"
        file.write_text(text)
        said = kc(behind, "log", "digest", "--compare", file, code=2).stderr
        assert "log digest --json" in said, text
