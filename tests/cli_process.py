"""The real command line as real processes, for end-to-end tests."""

from __future__ import annotations

import json
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING, Any

from project import ROOT

if TYPE_CHECKING:
    from pathlib import Path

RECORDING = ROOT / "kontaktcenter" / "data" / "crisis.queue_log"
READY_S = 30.0


def environment(home: Path, **more: str) -> dict[str, str]:
    """An environment without anybody's settings: English, and a home of its own."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("KC_")}
    kept.pop("XDG_STATE_HOME", None)
    return {**kept, "HOME": str(home), "PYTHONPATH": str(ROOT), "KC_LANG": "en", **more}


def command(*args: object) -> list[str]:
    return [sys.executable, "-m", "kontaktcenter", *map(str, args)]


def kc(
    home: Path, *args: object, code: int | None = 0, stdin: str = "", **env: Any
) -> subprocess.CompletedProcess[str]:
    """Run a command to its end.

    `code` is what it must exit with; None for anything. Never a traceback.
    """
    done = subprocess.run(
        command(*args),
        input=stdin,
        capture_output=True,
        text=True,
        env=environment(home, **env),
        timeout=120,
        check=False,
        cwd=home,
    )
    assert "Traceback" not in done.stderr + done.stdout, done.stderr
    if code is not None:
        assert done.returncode == code, (done.returncode, done.stdout, done.stderr)
    return done


def kc_json(home: Path, *args: object, code: int = 0, **env: Any) -> Any:
    """Run a command with --json and return what it answered."""
    return json.loads(kc(home, *args, "--json", code=code, **env).stdout)


class Running:
    """A command that goes on: `serve`, `demo`, `log tail`.

    Use as a context: it is killed at the end.
    """

    def __init__(self, home: Path, *args: object, **env: str) -> None:
        self.process = subprocess.Popen(
            command(*args),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=environment(home, **env),
            cwd=home,
        )
        self.lines: list[str] = []
        self.errors: list[str] = []
        self._queue: queue.Queue[str | None] = queue.Queue()
        self._threads = [
            threading.Thread(target=self._read_out, daemon=True),
            threading.Thread(target=self._read_errors, daemon=True),
        ]
        for thread in self._threads:
            thread.start()

    def _read_out(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.lines.append(line)
            self._queue.put(line)
        self._queue.put(None)

    def _read_errors(self) -> None:
        assert self.process.stderr is not None
        self.errors.extend(self.process.stderr)

    def __enter__(self) -> Running:
        return self

    def __exit__(self, *_args: object) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        for thread in self._threads:
            thread.join(5)
        assert self.process.stdout is not None
        assert self.process.stderr is not None
        self.process.stdout.close()
        self.process.stderr.close()

    def wait_for(self, text: str, within_s: float = READY_S) -> str:
        """The first line of stdout with `text` in it."""
        until = time.monotonic() + within_s
        while True:
            try:
                line = self._queue.get(timeout=max(0.01, until - time.monotonic()))
            except queue.Empty:
                raise AssertionError(f"no {text!r} in {self.lines} {self.errors}") from None
            if line is None:
                self.process.wait(5)
                raise AssertionError(f"it ended: {self.lines} {self.errors}")
            if text in line:
                return line

    def address(self) -> str:
        """The board's address, once it is printed."""
        return self.wait_for("http://").split()[-1]

    def stop(self, number: int = signal.SIGTERM, within_s: float = 15) -> int:
        """Send a signal and wait for the end; the exit code."""
        self.process.send_signal(number)
        code = self.process.wait(within_s)
        for thread in self._threads:
            thread.join(5)
        assert "Traceback" not in "".join(self.errors), self.errors
        return code
