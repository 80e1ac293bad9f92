"""What goes wrong at the command line: an exit code, what to do about it, no traceback."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest
from cli_process import RECORDING, Running, environment, kc, kc_json
from project import ROOT

if TYPE_CHECKING:
    from pathlib import Path

VERBS = [
    (),
    ("serve",),
    ("demo",),
    ("import",),
    ("import", "queue-log"),
    ("statistics",),
    ("replay",),
    ("doctor",),
    ("log",),
    *[("log", verb) for verb in ("show", "tail", "verify", "digest", "export")],
    ("projection",),
    *[("projection", verb) for verb in ("list", "rebuild", "parked")],
    ("backup",),
    *[("backup", verb) for verb in ("create", "verify", "restore")],
    ("config",),
    *[("config", verb) for verb in ("show", "check")],
    ("catalogue",),
    *[("catalogue", verb) for verb in ("import", "diff", "check", "changes")],
]
LEAVES = [verb for verb in VERBS if verb and verb not in {v[:1] for v in VERBS if len(v) > 1}]


@pytest.mark.parametrize("verb", VERBS, ids=" ".join)
def test_every_verb_has_help_in_both_languages(verb: tuple[str, ...], tmp_path: Path) -> None:
    english = kc(tmp_path, *verb, "--help").stdout
    swedish = kc(tmp_path, *verb, "--help", KC_LANG="sv").stdout

    assert "Usage" in english
    assert english != swedish


def test_every_verb_stands_in_the_reference() -> None:
    page = (ROOT / "docs" / "reference" / "cli.md").read_text(encoding="utf-8")

    assert [verb for verb in LEAVES if f"`kontaktcenter {' '.join(verb)}" not in page] == []


def test_help_is_there_at_once(tmp_path: Path) -> None:
    began = time.perf_counter()
    kc(tmp_path, "--help")
    took_s = time.perf_counter() - began
    loaded = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "kontaktcenter", "--help"],
        env=environment(tmp_path),
        capture_output=True,
        text=True,
        check=True,
        cwd=tmp_path,
    ).stderr

    assert took_s < 5  # a busy machine; alone it is a fifth of a second
    heavy = re.findall(r"\b(fastapi|uvicorn|eventsourcing|sqlite_utils|pydantic|rich)\b", loaded)
    assert set(heavy) <= {"rich"}


def test_the_shell_can_complete_the_verbs(tmp_path: Path) -> None:
    done = kc(
        tmp_path,
        _KONTAKTCENTER_COMPLETE="complete_bash",
        COMP_WORDS="kontaktcenter ba",
        COMP_CWORD="1",
    )

    assert "backup" in done.stdout


@pytest.mark.parametrize(
    ("args", "code", "said"),
    [
        (("frobnicate",), 2, "frobnicate"),
        (("statistics", "--interval", "x"), 2, "interval"),
        (("statistics", "--interval", "7"), 2, "interval"),
        (("statistics", "--by", "shoe_size"), 2, "by"),
        (("statistics", "--from", "yesterday"), 2, "--from"),
        (("statistics", "--from", "2026-11-22T05:00Z", "--to", "2026-11-22T04:00Z"), 2, "from"),
        (("replay",), 2, "--until"),
        (("replay", "--until", "noon"), 2, "--until"),
        (("import", "queue-log", "nowhere", "--exchange", "lab"), 1, "nowhere"),
        (("import", "queue-log", ".", "--exchange", "lab"), 1, ""),
        (("import", "queue-log", str(RECORDING)), 2, "--exchange"),
        (("import", "queue-log", str(RECORDING), "--exchange", "a/b"), 2, "exchange"),
        (("log", "show", "--shard", "shoes/0"), 1, "calls/0"),
        (("projection", "rebuild", "shoes"), 1, "queue_entries"),
        (("projection", "parked", "shoes"), 1, "queue_entries"),
        (("backup", "create", "there"), 2, "--keys-to"),
        (("config", "check", "--config", "nowhere.toml"), 2, "nowhere.toml"),
    ],
)
def test_what_cannot_be_done_is_said(
    args: tuple[str, ...], code: int, said: str, folder: Path
) -> None:
    data = () if args[0] in {"frobnicate", "config"} else ("--data", folder)

    done = kc(folder.parent, *args, *data, code=code)

    assert said in done.stderr
    assert done.stdout == ""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder with the recording in it, only read."""
    made = tmp_path_factory.mktemp("cli") / "data"
    kc(made.parent, "import", "queue-log", RECORDING, "--exchange", "lab", "--data", made)
    return made


READING = [
    ("statistics",),
    ("replay", "--until", "2026-11-22T04:25:00Z"),
    ("log", "digest"),
    ("log", "verify"),
    ("log", "show"),
    ("projection", "list"),
    ("log", "tail"),
]


@pytest.mark.parametrize("verb", READING, ids=" ".join)
def test_a_misspelt_folder_is_not_made_by_asking_it(verb: tuple[str, ...], tmp_path: Path) -> None:
    done = kc(tmp_path, *verb, "--data", tmp_path / "dtaa", code=1)

    assert "--data" in done.stderr
    assert not (tmp_path / "dtaa").exists()


@pytest.mark.parametrize("verb", [("serve", "--port", "0"), ("log", "digest"), ("demo",)])
def test_a_file_in_place_of_the_folder_is_said(verb: tuple[str, ...], tmp_path: Path) -> None:
    file = tmp_path / "data"
    file.write_text("not a folder")

    done = kc(tmp_path, *verb, "--data", file, code=None)

    assert done.returncode in {1, 4}
    assert str(file) in done.stderr
    assert file.read_text() == "not a folder"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_may_not_be_written_is_said(tmp_path: Path) -> None:
    locked = tmp_path / "locked"
    locked.mkdir(mode=0o500)

    done = kc(tmp_path, "serve", "--port", "0", "--data", locked / "data", code=4)

    assert str(locked) in done.stderr


def test_something_else_in_the_logs_place_is_said_and_left_alone(tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    (data / "log.db").write_bytes(b"this is not a database at all, it is a letter" * 100)
    before = (data / "log.db").read_bytes()

    done = kc(tmp_path, "statistics", "--data", data, code=1)

    assert "log.db" in done.stderr
    assert (data / "log.db").read_bytes() == before


def test_a_lost_city_secret_is_said_with_what_it_means(tmp_path: Path) -> None:
    data = tmp_path / "data"
    kc(tmp_path, "import", "queue-log", RECORDING, "--exchange", "lab", "--data", data)
    (data / "city.key").unlink()

    for verb in (("statistics",), ("serve", "--port", "0"), ("doctor",)):
        done = kc(tmp_path, *verb, "--data", data, code=1)
        assert "city.key" in done.stderr + done.stdout
    assert not (data / "city.key").exists()


@pytest.mark.parametrize(
    ("env", "said"),
    [
        ({"KC_LOG": "kafka://127.0.0.1/kc"}, "HOST:PORT"),
        ({"KC_LOG": "postgres://x"}, "memory:"),
        ({"KC_PORT": "high"}, "port"),
        ({"KC_LANG": "fi"}, "language"),
        ({"KC_LOGG": "memory:"}, "KC_LOG"),
        ({"KC_TAXONOMY": "/nowhere.toml"}, "nowhere.toml"),
    ],
)
def test_a_bad_setting_is_refused_by_name(env: dict[str, str], said: str, tmp_path: Path) -> None:
    args = () if "KC_PORT" in env else ("--port", "0")

    done = kc(tmp_path, "serve", *args, "--data", tmp_path / "data", code=2, **env)

    assert said in done.stderr


def test_the_taxonomys_faults_are_all_listed(tmp_path: Path) -> None:
    file = tmp_path / "taxonomy.toml"
    file.write_text('[[answer_group]]\nid = "a"\npartition = ["XX"]\n[[shoe]]\nsize = 4\n')

    done = kc(
        tmp_path, "serve", "--port", "0", "--data", tmp_path / "d", code=2, KC_TAXONOMY=str(file)
    )

    assert "XX" in done.stderr
    assert "shoe" in done.stderr


def test_interrupted_it_ends_with_130(tmp_path: Path, folder: Path) -> None:
    with Running(folder.parent, "log", "tail", "--lines", 1, "--data", folder) as tail:
        tail.wait_for("{")

        assert tail.stop(signal.SIGINT) == 130
    assert tail.errors == []


def test_a_reader_that_has_enough_is_no_error(folder: Path) -> None:
    command = f"{sys.executable} -m kontaktcenter log show --limit 100000 --data {folder}"
    done = subprocess.run(
        f"set -o pipefail; {command} | head -n 1",
        shell=True,
        executable="/bin/bash",
        env=environment(folder.parent),
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.stdout.startswith("{")
    assert (done.returncode, done.stderr) == (0, "")


def test_a_malformed_row_is_told_by_line_and_the_rest_goes_on(tmp_path: Path) -> None:
    lines = RECORDING.read_text(encoding="utf-8").splitlines()[:20]
    lines.insert(5, "1795321177|x|0700000001")
    file = tmp_path / "queue_log"
    file.write_text("\n".join(lines) + "\n", encoding="utf-8")

    done = kc(
        tmp_path,
        "import",
        "queue-log",
        file,
        "--exchange",
        "lab",
        "--data",
        tmp_path / "d",
        "--json",
    )

    assert f"{file}:6:" in done.stderr
    assert '"line": 6' in done.stdout
    assert '"facts": 20' in done.stdout
    assert "0700000001" not in done.stderr + done.stdout


def test_no_command_ever_shows_a_callers_number(folder: Path) -> None:
    told = [
        kc(folder.parent, *verb, "--data", folder)
        for verb in (
            ("log", "show", "--limit", "100000"),
            ("log", "export", "-"),
            ("statistics",),
            ("doctor",),
        )
    ]

    numbers = {
        line.split("|")[6] for line in RECORDING.read_text().splitlines() if "ENTERQ" in line
    }
    assert len(numbers) > 500
    assert [n for n in numbers if any(n in done.stdout + done.stderr for done in told)] == []


def test_a_node_killed_while_it_held_the_folder_leaves_it_free(tmp_path: Path) -> None:
    data = tmp_path / "data"
    with Running(tmp_path, "serve", "--port", 0, "--data", data) as server:
        server.address()
        server.process.kill()
        server.process.wait()

    assert (data / "node.sock").exists()
    assert kc_json(tmp_path, "log", "digest", "--data", data)["shards"]


def test_the_settings_are_shown_with_their_sources_and_no_secret(tmp_path: Path) -> None:
    shown = kc_json(tmp_path, "config", "show", KC_FACTS_TOKEN="sesame-open", KC_PORT="81")

    assert shown["settings"]["port"] == {
        "value": 81,
        "source": "environment KC_PORT",
        "env": "KC_PORT",
    }
    assert "sesame" not in str(shown)


def test_doctor_finds_an_index_that_is_gone_wrong_and_a_folder_that_others_can_read(
    tmp_path: Path,
) -> None:
    data = tmp_path / "data"
    kc(tmp_path, "import", "queue-log", RECORDING, "--exchange", "lab", "--data", data)
    data.chmod(0o755)
    (data / "index" / "calls-0.db").write_bytes(b"garbage" * 1000)

    found = kc_json(tmp_path, "doctor", "--data", data, code=3)

    states = {check["name"]: check["state"] for check in found["checks"]}
    assert states["data folder"] == "warn"
    assert states["index"] == "warn"
    assert states["shard calls/0"] == "ok"
    assert kc_json(tmp_path, "log", "verify", "--data", data)["ok"]
