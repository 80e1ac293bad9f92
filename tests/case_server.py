"""A real `kontaktcenter serve` with people signed in to it, for tests that kill it.

Everybody asks until there is an answer, with the same Idempotency-Key: that is what a client does
whose server was killed in the middle.
"""

from __future__ import annotations

import subprocess
import threading
import time
from dataclasses import dataclass, field
from http.cookies import SimpleCookie
from typing import TYPE_CHECKING, Any

import httpx
from cli_process import Running, command, environment

from webdesk.sessions import COOKIE, token_of

if TYPE_CHECKING:
    from pathlib import Path

PASSWORD = "en lång lösenordsfras för prov"
ASKED_FOR_S = 120.0
TOKEN_HEADER = "x-kontaktcenter-token"


def open_account(home: Path, data: Path, account: str, *rights: str) -> None:
    """An account with a password and one role."""
    done = subprocess.run(
        command("user", "create", account, *rights, "--data", data),
        input=f"{PASSWORD}\n{PASSWORD}\n", text=True, capture_output=True,
        env=environment(home), cwd=home, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 0, (done.stdout, done.stderr)


class Server:
    """The server of one data folder, always at the same port."""

    def __init__(self, home: Path, data: Path, port: int) -> None:
        self._home, self._data, self.port = home, data, port
        self.kills = 0
        self._running = self._start()

    def _start(self) -> Running:
        running = Running(self._home, "serve", "--data", self._data, "--port", self.port)
        running.address()
        return running

    def killed(self) -> None:
        """Kill it like a power cut does, and start it again."""
        self._running.process.kill()
        self._running.__exit__()
        self.kills += 1
        self._running = self._start()

    def stop(self) -> None:
        self._running.stop()
        self._running.__exit__()


@dataclass
class Person:
    """Somebody at a desk: signs in, asks, and asks again until there is an answer."""

    account: str
    port: int
    answers: int = 0
    repeats: int = 0
    _headers: dict[str, str] = field(default_factory=dict)

    @property
    def base(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def _sign_in(self, client: httpx.Client) -> None:
        form = {"account": self.account, "password": PASSWORD}
        answer = client.post("/sign-in", data=form, headers={"Origin": self.base})
        assert answer.status_code == 303, (answer.status_code, answer.text[:500])
        cookie = SimpleCookie(answer.headers["set-cookie"])[COOKIE].value
        self._headers = {"Cookie": f"{COOKIE}={cookie}", TOKEN_HEADER: token_of(cookie)}

    def asks(
        self, path: str, body: dict[str, Any] | None = None, key: str | None = None
    ) -> httpx.Response:
        """The first answer that is one: not a dead line, nor a server that comes up.

        With a `body` it is a command under `key`, without one a look.
        """
        until = time.monotonic() + ASKED_FOR_S
        while time.monotonic() < until:
            try:
                with httpx.Client(base_url=self.base, timeout=10) as client:
                    answer = self._once(client, path, body, key)
            except httpx.HTTPError:
                answer = None
            if answer is not None and answer.status_code < 500 and answer.status_code != 401:
                self.answers += 1
                return answer
            if answer is not None and answer.status_code == 401:
                self._headers = {}
            self.repeats += 1
            time.sleep(0.05)
        raise AssertionError(f"no answer to {path} within {ASKED_FOR_S} s")

    def _once(
        self, client: httpx.Client, path: str, body: dict[str, Any] | None, key: str | None
    ) -> httpx.Response:
        if not self._headers:
            self._sign_in(client)
        if body is None or key is None:
            return client.get(f"/api/v1/cases{path}", headers=self._headers)
        headers = {**self._headers, "Idempotency-Key": key}
        return client.post(f"/api/v1/cases{path}", json=body, headers=headers)

    def did(self, path: str, body: dict[str, Any], key: str) -> dict[str, Any]:
        """What was done. Fails where it was refused."""
        answer = self.asks(path, body, key)
        assert answer.status_code == 200, (path, body, answer.text)
        found: dict[str, Any] = answer.json()
        return found

    def sees(self, path: str) -> dict[str, Any]:
        """A case as it is shown."""
        answer = self.asks(path)
        assert answer.status_code == 200, (path, answer.text)
        found: dict[str, Any] = answer.json()
        return found


class Worker(threading.Thread):
    """Runs something of its own, and keeps what went wrong for the test."""

    def __init__(self, work: Any) -> None:
        super().__init__(daemon=True)
        self._work = work
        self.error: BaseException | None = None

    def run(self) -> None:
        try:
            self._work()
        except BaseException as e:  # noqa: BLE001 -- raised again by `done`
            self.error = e

    def done(self, within_s: float) -> None:
        self.join(within_s)
        if self.error is not None:
            raise self.error
        assert not self.is_alive(), "it goes on for ever"
