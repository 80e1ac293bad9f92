"""The sessions' file: what it holds, how it ends, and what damage does to it."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from project import ROOT
from web_house import SetClock

from core.errors import Corrupt
from core.limits import SESSIONS_MAX
from webdesk.sessions import Sessions, SessionTimes, cookie_header, is_token_of, token_of

if TYPE_CHECKING:
    from pathlib import Path

TIMES = SessionTimes(idle_s=600, life_s=3_600)


def opened(path: Path | None, clock: SetClock | None = None) -> Sessions:
    return Sessions(path, clock or SetClock(), os.urandom, TIMES)


def test_a_session_is_found_by_its_cookie_also_after_a_restart(tmp_path: Path) -> None:
    sessions = opened(tmp_path / "sessions.db")
    cookie = sessions.begin("anna", "password")
    found = sessions.find(cookie)
    assert found is not None
    assert (found.account, found.method, found.locked) == ("anna", "password", False)
    sessions.close()
    again = opened(tmp_path / "sessions.db")
    assert again.find(cookie) == found


@pytest.mark.parametrize("cookie", [None, "", "x", "A" * 43, "å" * 43, "A" * 10_000, "' OR 1=1 --"])
def test_another_cookie_finds_nothing(cookie: str | None) -> None:
    sessions = opened(None)
    sessions.begin("anna", "password")
    assert sessions.find(cookie) is None


def test_the_file_is_the_owners_and_holds_no_cookie(tmp_path: Path) -> None:
    path = tmp_path / "sessions.db"
    sessions = opened(path)
    cookie = sessions.begin("anna", "password")
    for file in tmp_path.iterdir():
        assert file.stat().st_mode & 0o077 == 0, file
        assert cookie.encode() not in file.read_bytes()
    sessions.close()
    path.chmod(0o644)
    with pytest.raises(Corrupt, match="chmod 600"):
        opened(path)


def test_it_locks_and_ends() -> None:
    clock = SetClock()
    sessions = opened(None, clock)
    cookie = sessions.begin("anna", "password")
    clock.forward(599)
    sessions.use(cookie)
    clock.forward(599)
    assert not getattr(sessions.find(cookie), "locked", True)
    clock.forward(1)
    assert getattr(sessions.find(cookie), "locked", False)
    sessions.use(cookie)  # what comes too late opens nothing
    assert getattr(sessions.find(cookie), "locked", False)
    newer = sessions.unlock(cookie)
    assert sessions.find(cookie) is None
    assert not getattr(sessions.find(newer), "locked", True)
    clock.forward(3_600 - 599 - 599 - 1)
    assert sessions.find(newer) is None


def test_all_sessions_of_an_account_end() -> None:
    sessions = opened(None)
    ours, theirs = [sessions.begin(name, "password") for name in ("anna", "bo")]
    sessions.end_all("anna")
    assert sessions.find(ours) is None
    assert sessions.find(theirs) is not None
    sessions.end(theirs)
    assert sessions.find(theirs) is None


def test_a_page_proves_its_session() -> None:
    sessions = opened(None)
    one, two = sessions.begin("anna", "password"), sessions.begin("anna", "password")
    assert is_token_of(token_of(one), one)
    assert not is_token_of(token_of(one), two)
    assert not is_token_of("", one)
    assert not is_token_of("å", one)
    assert one not in token_of(one)
    assert "Secure" in cookie_header(one)


@pytest.mark.parametrize(
    "damage",
    [b"", b"not a database at all, but text", bytes(4096), b"SQLite format 3\0" + b"\xff" * 5_000],
)
def test_a_damaged_file_is_set_aside_and_everybody_signs_in_again(
    damage: bytes, tmp_path: Path
) -> None:
    path = tmp_path / "sessions.db"
    sessions = opened(path)
    cookie = sessions.begin("anna", "password")
    sessions.close()
    path.write_bytes(damage)
    again = opened(path)
    assert again.find(cookie) is None
    newer = again.begin("anna", "password")
    assert again.find(newer) is not None
    if damage:
        assert path.with_name("sessions.db.damaged").read_bytes() == damage
        assert path.stat().st_mode & 0o077 == 0


def test_damage_while_it_runs_is_no_session(tmp_path: Path) -> None:
    path = tmp_path / "sessions.db"
    sessions = opened(path)
    cookie = sessions.begin("anna", "password")
    sessions._db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    sessions._db.execute("PRAGMA cache_size = 0")
    with path.open("r+b") as file:
        file.truncate(1024)
    assert sessions.find(cookie) is None
    assert sessions.find(sessions.begin("anna", "password")) is not None


def test_a_table_of_another_shape_is_damage(tmp_path: Path) -> None:
    path = tmp_path / "sessions.db"
    with sqlite3.connect(path) as db:
        db.execute("CREATE TABLE session (digest TEXT)")
    db.close()
    path.chmod(0o600)
    sessions = opened(path)
    assert sessions.find(sessions.begin("anna", "password")) is not None


def test_sessions_stay_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("webdesk.sessions.SESSIONS_MAX", 10)
    clock = SetClock()
    sessions = opened(None, clock)
    cookies = []
    for _n in range(12):
        cookies.append(sessions.begin("anna", "password"))
        clock.forward(1)
    assert [sessions.find(cookie) is None for cookie in cookies[:3]] == [True, True, False]
    assert SESSIONS_MAX > 10


_SIGN_IN_FOR_EVER = """
import os, sys
from datetime import UTC, datetime
from pathlib import Path
from webdesk.sessions import Sessions
sessions = Sessions(Path(sys.argv[1]), lambda: datetime.now(UTC), os.urandom)
while True:
    print(sessions.begin("anna", "password"), flush=True)
"""


@pytest.mark.fault
def test_killed_while_signing_in_every_session_that_was_told_is_there(tmp_path: Path) -> None:
    path = tmp_path / "sessions.db"
    told: list[str] = []
    for _round in range(3):
        with subprocess.Popen(
            [sys.executable, "-c", _SIGN_IN_FOR_EVER, path], stdout=subprocess.PIPE, cwd=ROOT
        ) as process:
            assert process.stdout is not None
            told += [process.stdout.readline().decode().strip() for _n in range(40)]
            process.send_signal(signal.SIGKILL)
            rest = process.stdout.read().decode().splitlines()
            told += [line for line in rest if len(line) == 43]
    from datetime import UTC, datetime

    sessions = Sessions(path, lambda: datetime.now(UTC), os.urandom)
    assert len(told) >= 120
    assert all(sessions.find(cookie) is not None for cookie in told)
    assert not path.with_name("sessions.db.damaged").exists()
