"""A `kontaktcenter` that `make run-kafka` runs: its board's address, its end, and what it said."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
from collections import deque
from pathlib import Path
from typing import Final

_ROOT: Final = Path(__file__).resolve().parents[2]
_LAUNCH: Final = Path(__file__).with_name("launch.py")
_ADDRESS: Final = re.compile(r"http://\S+")
_LINES_KEPT: Final = 40
_STOP_S: Final = 15.0


class Program:
    """One verb in a process of its own, which ends with us; `settings` are its environment."""

    def __init__(self, name: str, data: Path, verb: tuple[str, ...], **settings: str) -> None:
        self.name, self._data, self._verb, self._settings = name, data, verb, settings
        self.address: str | None = None
        self._process: subprocess.Popen[str] | None = None
        self._lines: deque[str] = deque(maxlen=_LINES_KEPT)
        self._reader: threading.Thread | None = None

    @property
    def pid(self) -> int:
        """Its process."""
        assert self._process is not None, "it was never started"
        return self._process.pid

    @property
    def running(self) -> bool:
        """Whether it has not ended."""
        return self._process is not None and self._process.poll() is None

    def start(self) -> None:
        """Start it. Not from a thread that ends before we do: it would end with that."""
        # Nobody's own settings; the language alone is the person's.
        clean = {k: v for k, v in os.environ.items() if not k.startswith("KC_") or k == "KC_LANG"}
        python = f"{_ROOT}{os.pathsep}{clean.get('PYTHONPATH', '')}".rstrip(os.pathsep)
        launch = [sys.executable, "-I", "-S", str(_LAUNCH), str(os.getpid())]
        command = [sys.executable, "-m", "kontaktcenter", *self._verb, "--data", str(self._data)]
        self.address = None
        self._process = subprocess.Popen(
            [*launch, *command],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            env={**clean, "PYTHONPATH": python, **self._settings}, start_new_session=True,
        )  # fmt: skip
        self._reader = threading.Thread(target=self._read, args=(self._process,), daemon=True)
        self._reader.start()

    def _read(self, process: subprocess.Popen[str]) -> None:
        assert process.stdout is not None
        with process.stdout as lines:
            for line in lines:
                self._lines.append(line)
                found = _ADDRESS.search(line)
                if found is not None and self.address is None:
                    self.address = found[0]

    def said(self) -> str:
        """The last lines that it said."""
        return "".join(self._lines)

    def ended(self) -> str:
        """How it ended, for a person."""
        code = None if self._process is None else self._process.poll()
        if code is not None and code < 0:
            return signal.Signals(-code).name
        return f"exit code {code}"

    def stop(self) -> None:
        """SIGTERM, and kill -9 where it does not end."""
        if self._process is None:
            return
        if self._process.poll() is None:
            self._process.terminate()
        try:
            self._process.wait(_STOP_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        if self._reader is not None:
            self._reader.join(_STOP_S)
