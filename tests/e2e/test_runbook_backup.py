"""The drill: every command of the runbook, against a real data folder that is then destroyed."""

from __future__ import annotations

import re
import shutil
from functools import partial
from typing import TYPE_CHECKING

import pytest
from console import Step, environment, run, shims, steps, steps_of
from project import ROOT

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

RUNBOOK = ROOT / "runbooks" / "ta-sakerhetskopia-och-aterstall.md"
RECORDING = ROOT / "kontaktcenter" / "data" / "crisis.queue_log"
EXIT_CODE = re.compile(r"\[slutkod (\d+)\]")


class Drill:
    """A machine with the runbook's folders, all of them under one of the test's own."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.data = home / "var/lib/kontaktcenter"
        self.env = environment(home, shims(home / "bin"), KC_LANG="sv")
        for folder in ("var/lib", "var/log/asterisk", "srv/sakerhetskopia", "mnt/nycklar"):
            (home / folder).mkdir(parents=True)
        shutil.copy(RECORDING, home / "var/log/asterisk/queue_log")
        self.type(f"kontaktcenter import queue-log {RECORDING} --exchange tnh --data {self.data}")

    def type(self, line: str, code: int = 0) -> str:
        done = run(line, self.home, self.env)
        assert done.returncode == code, (line, done.returncode, done.stdout)
        assert "Traceback" not in done.stdout
        return done.stdout

    def do(self, step: Step) -> str:
        """Do a step of the runbook here and see that it answers as the runbook says."""
        here = partial(re.sub, r"(?<= )/(?=var/|srv/|mnt/)", f"{self.home}/")
        ends = [int(m[1]) for e in step.expected if (m := EXIT_CODE.fullmatch(e))]
        line, shown = here(step.line), [e for e in step.expected if not EXIT_CODE.fullmatch(e)]
        answer = self.type(line, *ends)
        assert Step(step.page, line, [here(e) for e in shown]).matches(answer), (line, answer)
        return answer

    def digests(self) -> str:
        return self.type(f"kontaktcenter log digest --data {self.data}")


def part(heading: str, end: str) -> list[Step]:
    """The steps between two headings of the runbook."""
    whole = RUNBOOK.read_text(encoding="utf-8")
    return steps_of(whole[whole.index(heading) : whole.index(end)], RUNBOOK.name)


PREPARE = ("### A.", "### B.")
RESTORE = ("### B.", "### C.")
SECRET = ("### C.", "## Kontrollera")
CHECK = ("## Kontrollera", "## Återgå")


@pytest.fixture
def drill(tmp_path: Path) -> Drill:
    return Drill(tmp_path)


def lose_the_folder(data: Path) -> None:
    for path in data.rglob("*"):
        if path.is_file() and path.suffix in {".db", ".key"}:
            path.unlink()


def tear_the_log(data: Path) -> None:
    log = data / "log.db"
    log.write_bytes(log.read_bytes()[: log.stat().st_size // 2])


@pytest.mark.slow
@pytest.mark.requirement("R3")
@pytest.mark.parametrize("destroy", [lose_the_folder, tear_the_log])
def test_the_runbook_brings_back_what_was_destroyed(
    drill: Drill, destroy: Callable[[Path], None]
) -> None:
    before = drill.digests()
    for step in part(*PREPARE):
        drill.do(step)
    destroy(drill.data)
    answers = [drill.do(step) for step in part(*RESTORE)]
    assert answers
    for step in part(*CHECK):
        drill.do(step)
    assert drill.digests() == before


@pytest.mark.slow
def test_the_runbook_brings_back_the_city_secret(drill: Drill) -> None:
    for step in part(*PREPARE):
        drill.do(step)
    (drill.data / "city.key").unlink()
    for step in (*part(*SECRET), *part(*CHECK)):
        drill.do(step)


@pytest.mark.slow
def test_another_city_secret_is_refused_as_the_runbook_warns(drill: Drill) -> None:
    (drill.data / "city.key").write_text("00" * 32 + "\n", encoding="ascii")
    answer = drill.type(f"kontaktcenter log digest --data {drill.data}", code=1)
    assert "city.key" in answer


@pytest.mark.slow
def test_a_backup_that_was_changed_is_not_trusted(drill: Drill) -> None:
    for step in part(*PREPARE):
        drill.do(step)
    copy = drill.home / "srv/sakerhetskopia/logg/log.db"
    content = bytearray(copy.read_bytes())
    content[len(content) // 2] ^= 1
    copy.write_bytes(content)
    drill.type(f"kontaktcenter backup verify {copy.parent}", code=1)


def test_every_command_of_the_runbook_is_drilled() -> None:
    drilled = [s.line for p in (PREPARE, RESTORE, SECRET, CHECK) for s in part(*p)]
    assert sorted(set(drilled)) == sorted({s.line for s in steps(RUNBOOK)})
