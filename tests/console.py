"""Commands in the documentation, read and run: console blocks with what they answer."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from project import ROOT

_BLOCK: Final = re.compile(r"^( *)```console\n(.*?)^ *```", re.MULTILINE | re.DOTALL)
_ANY: Final = "…"  # in an expected answer: anything, of any length
TIMEOUT_S: Final = 120
OUR_COMMANDS: Final = {
    "kontaktcenter": "kontaktcenter",
    "kontaktcenter-reserve": "fallback_tui",
}


@dataclass
class Step:
    """One command of a page, what it should answer, and the exit code it should end with."""

    page: str
    line: str
    expected: list[str] = field(default_factory=list)

    def matches(self, answer: str) -> bool:
        """Whether the expected lines stand in `answer`, in their order."""
        pattern = ".*".join(
            ".*".join(re.escape(part.strip()) for part in line.split(_ANY))
            for line in self.expected
        )
        return re.search(pattern, answer, re.DOTALL) is not None


def steps(page: Path) -> list[Step]:
    """The commands of a page's console blocks, in order."""
    return steps_of(page.read_text(encoding="utf-8"), str(page.relative_to(ROOT)))


def steps_of(text: str, page: str) -> list[Step]:
    """The commands of a part of a page."""
    found: list[Step] = []
    for _, block in _BLOCK.findall(text):
        for line in map(str.strip, block.splitlines()):
            if line.startswith("$ "):
                found.append(Step(page, line[2:].strip()))
            elif line:
                found[-1].expected.append(line)
    return found


def shims(folder: Path) -> Path:
    """A folder with our commands as programs, of this very tree, whatever is installed."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, module in OUR_COMMANDS.items():
        program = folder / name
        line = f'exec {shlex.quote(sys.executable)} -m {module} "$@"'
        program.write_text(f"#!/bin/sh\n{line}\n", encoding="utf-8")
        program.chmod(0o755)
    return folder


def environment(home: Path, programs: Path, **more: str) -> dict[str, str]:
    """A shell's environment in which only `home` is somebody's."""
    kept = {n: v for n, v in os.environ.items() if not n.startswith(("KC_", "XDG_"))}
    path = f"{programs}:{Path(sys.executable).parent}:{os.environ['PATH']}"  # sqlite-utils, too
    return {**kept, "HOME": str(home), "PATH": path, "PYTHONPATH": str(ROOT), **more}


def run(line: str, home: Path, env: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """Run one line as an operator's shell would, with nothing on standard input."""
    return subprocess.run(
        ["/bin/sh", "-c", line],
        cwd=home,
        env=env,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=TIMEOUT_S,
        check=False,
    )
