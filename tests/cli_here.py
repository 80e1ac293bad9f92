"""Verbs of the command line in this process: most of what they do needs no other."""

from __future__ import annotations

import io
import json
from contextlib import redirect_stderr, redirect_stdout
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

from kontaktcenter.cli import run

if TYPE_CHECKING:
    from pathlib import Path


class Done(NamedTuple):
    """What a command said."""

    code: int
    stdout: str
    stderr: str


def kc(home: Path, *args: object, code: int | None = 0) -> Done:
    """Run a command on the data folder of `home`, in English."""
    out, err = io.StringIO(), io.StringIO()
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(out), redirect_stderr(err):
        patch.setenv("KC_DATA", str(home / "data"))
        patch.setenv("KC_LANG", "en")
        patch.chdir(home)
        done = Done(run(list(map(str, args))), out.getvalue(), err.getvalue())
    assert "Traceback" not in done.stdout + done.stderr
    assert code is None or done.code == code, done
    return done


def kc_json(home: Path, *args: object, code: int = 0) -> Any:
    """What a command says with --json."""
    return json.loads(kc(home, *args, "--json", code=code).stdout)


def with_accounts(home: Path, accounts: dict[str, tuple[str, ...]]) -> None:
    """Open `accounts`, each with its role and flags; `adam`, who opens the others, is the first."""
    for name, role in accounts.items():
        by = [] if name == "adam" else ["--as", "adam"]
        kc(home, "user", "create", name, "--no-password", "--role", *role, *by)
