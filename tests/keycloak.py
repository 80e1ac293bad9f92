"""A real Keycloak on loopback, with one realm, one client and two people, none of whom exists."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import socket
import subprocess
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
from project import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator

CLIENT, SECRET = "kontaktcenter", "a-client-secret-for-tests"
PASSWORD = "a-password-at-the-provider"
AGENT = ("demo-agent", "00000000-0000-4000-8000-00000000a001")
STRANGER = ("demo-stranger", "00000000-0000-4000-8000-00000000a002")
_START_S = 180


@dataclass(frozen=True)
class Keycloak:
    """Where it is."""

    issuer: str
    log: Path


def home() -> tuple[Path | None, str]:
    """The folder of Keycloak, fetched once; or why there is none."""
    found = subprocess.run(
        [ROOT / ".ci" / "keycloak"], capture_output=True, text=True, check=False, timeout=280
    )
    if found.returncode:
        return None, found.stderr.strip().splitlines()[-1] if found.stderr.strip() else "no reason"
    return Path(found.stdout.strip()), ""


def _realm(port: int) -> dict[str, object]:
    return {
        "realm": "city",
        "enabled": True,
        "sslRequired": "none",
        "clients": [
            {
                "clientId": CLIENT,
                "secret": SECRET,
                "protocol": "openid-connect",
                "publicClient": False,
                "standardFlowEnabled": True,
                "directAccessGrantsEnabled": False,
                "redirectUris": ["*"],
                "attributes": {
                    "pkce.code.challenge.method": "S256",
                    "post.logout.redirect.uris": "+",
                },
            }
        ],
        "users": [
            {
                "id": subject,
                "username": name,
                "enabled": True,
                "email": f"{name}@example.org",
                "emailVerified": True,
                "firstName": "Demo",
                "lastName": name.removeprefix("demo-").title(),
                "credentials": [{"type": "password", "value": PASSWORD, "temporary": False}],
            }
            for name, subject in (AGENT, STRANGER)
        ],
        "attributes": {"frontendUrl": f"http://127.0.0.1:{port}"},
    }


@contextmanager
def keycloak(pristine: Path, folder: Path) -> Iterator[Keycloak]:
    """Run one in `folder`, from a copy: it writes into its own tree."""
    copy = folder / "keycloak"
    shutil.copytree(pristine, copy)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    imports = copy / "data" / "import"
    imports.mkdir(parents=True)
    (imports / "city-realm.json").write_text(json.dumps(_realm(port)), encoding="utf-8")
    # Its settings and ours begin alike: none of this test run's may reach it.
    clean = {name: value for name, value in os.environ.items() if not name.startswith("KC_")}
    clean["JAVA_OPTS_KC_HEAP"] = "-Xms64m -Xmx512m"
    log = folder / "keycloak.log"
    with log.open("w") as out:
        running = subprocess.Popen(
            [
                copy / "bin" / "kc.sh", "start-dev", "--db=dev-mem", "--http-host=127.0.0.1",
                f"--http-port={port}", "--import-realm", "--health-enabled=false",
            ],
            stdout=out, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, env=clean,
            start_new_session=True,
        )  # fmt: skip
    issuer = f"http://127.0.0.1:{port}/realms/city"
    try:
        _wait(running, issuer, log)
        yield Keycloak(issuer, log)
    finally:
        os.killpg(running.pid, 15)
        try:
            running.wait(timeout=20)
        except subprocess.TimeoutExpired:
            os.killpg(running.pid, 9)
            running.wait(timeout=20)
        shutil.rmtree(copy, ignore_errors=True)


def _wait(running: subprocess.Popen[bytes], issuer: str, log: Path) -> None:
    until = time.monotonic() + _START_S
    while time.monotonic() < until:
        assert running.poll() is None, log.read_text()[-3_000:]
        try:
            answer = httpx.get(f"{issuer}/.well-known/openid-configuration", timeout=5)
            if answer.status_code == 200:
                return
        except httpx.HTTPError:
            pass
        time.sleep(0.5)
    raise AssertionError(log.read_text()[-3_000:])


@contextmanager
def shared(pristine: Path, folder: Path) -> Iterator[Keycloak]:
    """One for all workers of a test run: the first starts it, the last stops it.

    `folder` is the workers' common one.
    """
    room = folder / "keycloak-shared"
    room.mkdir(exist_ok=True)
    told = room / "issuer"
    with (room / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if told.exists():
            fcntl.flock(lock, fcntl.LOCK_SH)
            yield Keycloak(told.read_text(encoding="utf-8"), room / "keycloak.log")
            return
        with keycloak(pristine, room) as found:
            told.write_text(found.issuer, encoding="utf-8")
            fcntl.flock(lock, fcntl.LOCK_SH)
            yield found
            fcntl.flock(lock, fcntl.LOCK_EX)  # until nobody else uses it
            told.unlink()
