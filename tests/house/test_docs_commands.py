"""The command line is documented, and what the documentation tells to type works."""

from __future__ import annotations

import re
import shlex
from typing import TYPE_CHECKING, Any

import pytest
from console import environment, run, shims, steps
from project import ROOT, markdown
from typer.main import get_command

from fallback_tui.__main__ import _parser
from kontaktcenter.cli import app

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

RECORDING = ROOT / "kontaktcenter" / "data" / "crisis.queue_log"
DEGRADED = 3
# A command in running text or a block: `kontaktcenter VERB …` up to what ends it.
MENTION = re.compile(r"(?:^\$? *|`)kontaktcenter ([a-z][^`\n#|]*)", re.MULTILINE)


def verbs(group: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Every verb of the command line, with the names that lead to it."""
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from verbs(command, (*path, name))
        else:
            yield (*path, name), command


VERBS = dict(verbs(get_command(app)))


def pages() -> list[Path]:
    return [p for p in markdown() if p.name != "CHANGELOG.md"]


@pytest.mark.parametrize("verb", sorted(VERBS), ids=" ".join)
def test_every_verb_is_documented_and_has_its_help(verb: tuple[str, ...]) -> None:
    words = "kontaktcenter " + " ".join(verb)
    assert words in (ROOT / "docs" / "reference" / "cli.md").read_text(encoding="utf-8")
    assert VERBS[verb].help


@pytest.mark.parametrize("page", pages(), ids=lambda p: str(p.relative_to(ROOT)))
def test_every_command_that_a_page_names_exists_with_its_flags(page: Path) -> None:
    wrong = []
    for mention in MENTION.findall(page.read_text(encoding="utf-8")):
        words = shlex.split(mention.replace("…", "").replace("'", ""))
        if words[0].isupper() or words[0] == "VERB":
            continue
        verb = next((v for v in VERBS if list(v) == words[: len(v)]), None)
        flags = [w.partition("=")[0] for w in words if w.startswith("--")]
        known = {o for p in VERBS[verb].params for o in p.opts} if verb else set()
        if verb is None or set(flags) - known - {"--help", "--version"}:
            wrong.append(mention.strip())
    assert wrong == []


def test_every_flag_of_the_terminal_that_a_page_names_exists() -> None:
    known = set(_parser()._option_string_actions)
    named = {
        flag
        for page in pages()
        for line in re.findall(r"kontaktcenter-reserve ([^`\n]*)", page.read_text(encoding="utf-8"))
        for flag in re.findall(r"--[a-z]+", line)
    }
    assert named <= known


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, str]]:
    """A home with a data folder in which the recording has been imported."""
    home = tmp_path_factory.mktemp("home")
    env = environment(home, shims(home / "bin"), KC_DATA=str(home / "data"), KC_LANG="sv")
    done = run(f"kontaktcenter import queue-log {RECORDING} --exchange tnh", home, env)
    assert done.returncode == 0, done.stdout
    return home, env


DOC_PAGES = [p for p in markdown("docs") if steps(p)]


@pytest.mark.slow
@pytest.mark.parametrize("page", DOC_PAGES, ids=lambda p: str(p.relative_to(ROOT)))
def test_the_commands_of_a_page_do_as_it_says(
    page: Path, filled: tuple[Path, dict[str, str]]
) -> None:
    home, env = filled
    for step in steps(page):
        line = re.sub(r"\bDATA\b", env["KC_DATA"], step.line)
        done = run(line, home, env)
        assert done.returncode in {0, DEGRADED}, (step.line, done.stdout)
        assert "Traceback" not in done.stdout
        assert step.matches(done.stdout), (step.line, step.expected, done.stdout)
