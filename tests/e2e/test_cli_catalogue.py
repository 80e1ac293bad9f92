"""The catalogue on the command line, as real processes."""

from __future__ import annotations

import signal
import time
from typing import TYPE_CHECKING, Any

import pytest
from cli_process import Running, kc, kc_json
from given import TAXONOMY

if TYPE_CHECKING:
    from pathlib import Path

TEXT = TAXONOMY.read_text(encoding="utf-8")


class City:
    """A data folder with the shipped catalogue, and commands on it."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.env = {"KC_TAXONOMY": "none"}

    def say(self, *args: object, code: int = 0) -> str:
        done = kc(self.home, "catalogue", *args, "--data", self.home / "d", code=code, **self.env)
        return done.stdout + done.stderr

    def json(self, *args: object, code: int = 0) -> Any:
        at = ("--data", self.home / "d")
        return kc_json(self.home, "catalogue", *args, *at, code=code, **self.env)

    def file(self, text: str, name: str = "city.toml") -> Path:
        path = self.home / name
        path.write_text(text, encoding="utf-8")
        return path

    def user(self, account: str, *grant: object) -> None:
        at = ("--data", self.home / "d")
        kc(self.home, "user", "create", account, *grant, "--no-password", *at, code=0, **self.env)


@pytest.fixture
def city(tmp_path: Path) -> City:
    found = City(tmp_path)
    assert found.json("import", TAXONOMY)["changed"] == 401
    return found


@pytest.mark.requirement("R45")
def test_a_change_goes_from_file_to_proposal_to_approval(city: City) -> None:
    changed = TEXT.replace("Fråga om avfallsfaktura", "Fråga om faktura").replace(
        'name = "Avfall"\n', 'name = "Avfall och återvinning"\n'
    )
    file = city.file(changed)
    told = city.say("diff", file)
    assert (
        "~ answer_group tnh_avfall (the centre)\n    name: Avfall → Avfall och återvinning" in told
    )
    assert "(TK)\n    name: Fråga om avfallsfaktura → Fråga om faktura" in told
    report = city.json("import", file)
    assert (report["changed"], report["proposed"]) == (1, 1)
    again = city.json("import", file)
    assert (again["changed"], again["proposed"], again["waiting"]) == (0, 0, 1)

    (change,) = city.json("changes")["changes"]
    assert (change["owner"], change["proposed_by"]) == ("TK", "operator")
    city.user("olle", "--role", "case_officer", "--authority", "TK", "--approves")
    city.user("mia", "--role", "case_officer", "--authority", "MF", "--approves")
    assert "may not speak for TK" in city.say(
        "approve", change["change"][:8], "--as", "mia", code=1
    )
    assert "You may not do this" in city.say("approve", change["change"][:8], code=1)
    city.say("approve", change["change"][:8], "--as", "olle")
    assert "Nothing waits." in city.say("changes")
    assert "Nothing differs." in city.say("diff", file)
    assert "* 2" in city.say("show", "case_type", change["key"])


def test_an_export_is_a_new_file(city: City) -> None:
    out = city.home / "out.toml"
    city.say("export", "--to", out)
    assert "cannot be written" in city.say("export", "--to", out, code=2)
    assert city.json("import", out)["changed"] == 0


def test_a_bad_file_is_refused_whole_with_lines(city: City) -> None:
    bad = city.file(TEXT.replace('calendar = "utokad"', 'calendar = "utokat"'))
    told = city.say("check", bad, code=1)
    assert "did you mean utokad?" in told
    faults = city.json("check", bad, code=1)["faults"]
    assert len(faults) == TEXT.count('calendar = "utokad"')
    assert all(fault.startswith("line ") for fault in faults)
    assert "did you mean utokad?" in city.say("import", bad, code=2)
    bad.write_bytes(TEXT.encode("latin-1"))
    assert "is not UTF-8" in city.say("check", bad, code=1)


def test_the_check_of_the_configuration_reads_the_taxonomy(tmp_path: Path) -> None:
    file = tmp_path / "own.toml"
    file.write_text(TEXT.replace('calendar = "utokad"', 'calendar = "utokat"'), encoding="utf-8")
    at = ("config", "check", "--data", tmp_path / "d")
    assert "did you mean utokad?" in kc(tmp_path, *at, code=2, KC_TAXONOMY=str(file)).stderr
    file.write_text(TEXT, encoding="utf-8")
    kc(tmp_path, *at, code=0, KC_TAXONOMY=str(file))
    assert "cannot be read" in kc(tmp_path, *at, code=2, KC_TAXONOMY="nowhere.toml").stderr


def test_a_running_node_takes_the_change_over_at_once(city: City) -> None:
    file = city.file(TEXT.replace('name = "Avfall"\n', 'name = "Sopor"\n'))
    with Running(city.home, "serve", "--port", 0, "--data", city.home / "d", **city.env) as node:
        node.address()
        assert city.json("import", file)["changed"] == 1
        assert city.json("show", "answer_group", "tnh_avfall")["fields"]["name"] == "Sopor"
        assert node.stop() == 0


@pytest.mark.fault
@pytest.mark.timeout(1800)  # the long form kills two imports in each of twelve cities
def test_an_import_that_is_killed_goes_on_where_it_was(tmp_path: Path, whole: bool) -> None:
    """kill -9 at any moment, of a first import and of a later one; then again: the same result."""
    changed = TEXT.replace("sla_hours = 24", "sla_hours = 20").replace(
        "max_waiting = 40", "max_waiting = 41"
    )
    calm = City(tmp_path / "calm")
    calm.home.mkdir()
    calm.json("import", TAXONOMY)
    calm.json("import", calm.file(changed))
    for n in range(12 if whole else 2):
        city = City(tmp_path / f"killed-{n}")
        city.home.mkdir()
        for file in (TAXONOMY, city.file(changed)):
            with Running(
                city.home, "catalogue", "import", file, "--data", city.home / "d", **city.env
            ) as running:
                time.sleep((0.4 + 0.2 * n) if whole else (0.8 + n))
                running.process.send_signal(signal.SIGKILL)
            city.json("import", file)
        assert city.say("export") == calm.say("export")
        for command in ("changes",):
            ours, theirs = (
                [(c["section"], c["key"], c["fields"]) for c in of.json(command)["changes"]]
                for of in (city, calm)
            )
            assert sorted(ours, key=str) == sorted(theirs, key=str)
        versions = city.json("show", "answer_group", "tnh_bygg")["versions"]
        assert len(versions) == 2, "nothing doubled"
