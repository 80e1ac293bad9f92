"""The product as processes, with somebody's data planted, for tests that look at every byte."""

from __future__ import annotations

import subprocess
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import httpx
from cli_process import Running, command, environment, kc_json

from webdesk.sessions import COOKIE, token_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PASSWORD = "en lång lösenfras för prov"
NUMBER = "0700003917"
NAME = "Xqvzzelina Brrfzkovsdotter"
WORDS = "grävlingsfärgad brevlådeöppning"
QUESTION = "Zwjqvist frågar"
FILE_NAME = "Wqzansökan.txt"
CONTENT = "Qjfxbilagans innehåll, rad efter rad. " * 3000
RECIPIENT = "Vxqzmottagaren"
TEXTS = (NUMBER, NAME, WORDS, QUESTION, "Wqzansökan", "Qjfxbilagans innehåll", RECIPIENT)
WHY = ("--rule", "Plan 4.2", "--reference", "Beslut 7", "--purpose", "Gallring")


def typed(home: Path, *args: object, said: str = "") -> str:
    """Run a command that is told something on stdin; its stdout."""
    done = subprocess.run(
        command(*args), input=said, capture_output=True, text=True, env=environment(home),
        timeout=120, check=False, cwd=home,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    return done.stdout


def with_accounts(home: Path, data: Path) -> None:
    """An administrator, an officer and a registrar of TK."""
    for name, more in (
        ("admin", ("--role", "administrator")),
        ("olle", ("--as", "admin", "--role", "case_officer", "--authority", "TK")),
        ("rut", ("--as", "admin", "--role", "registrar", "--authority", "TK")),
    ):
        typed(home, "user", "create", name, *more, "--data", data, said=PASSWORD + "\n")


@dataclass
class Desk:
    """Somebody signed in on a running server."""

    client: httpx.Client

    def post(self, path: str, **body: Any) -> Any:
        """Ask for something under a key of its own."""
        answer = self.client.post(
            f"/api/v1/{path}", json=body, headers={"Idempotency-Key": uuid4().hex}
        )
        assert answer.status_code == 200, answer.text
        return answer.json()


@contextmanager
def signed_in(address: str, account: str) -> Iterator[Desk]:
    """Sign in as a browser does."""
    with httpx.Client(base_url=address.rstrip("/"), timeout=30) as client:
        form = {"account": account, "password": PASSWORD}
        headers = {"Origin": address.rstrip("/")}
        answer = client.post("/sign-in", data=form, headers=headers)
        assert answer.status_code == 303, answer.text
        cookie = answer.headers["set-cookie"].partition(";")[0].partition("=")[2]
        client.headers.update(
            {"Cookie": f"{COOKIE}={cookie}", "X-Kontaktcenter-Token": token_of(cookie)}
        )
        yield Desk(client)


def planted(address: str, data: Path) -> str:
    """A case with names, numbers and texts wherever a person may write them; its id."""
    token = (data / "facts.token").read_text().strip()
    fact = {
        "exchange": "tnh", "uniqueid": f"1700000000.{uuid4().int % 10**6}", "queue": "avfall",
        "kind": "queued", "data": {"caller": NUMBER}, "occurred_at": datetime.now(UTC).isoformat(),
    }  # fmt: skip
    answer = httpx.post(
        f"{address}api/v1/calls/facts", json={"facts": [fact]},
        headers={"Authorization": f"Bearer {token}"},
    )  # fmt: skip
    assert answer.json()["results"][0]["status"] == "accepted", answer.text
    with signed_in(address, "olle") as olle:
        text = f"{NAME} på {NUMBER} om {WORDS}"
        case: str = olle.post("cases", authority="TK", caller=NUMBER, title=NAME, text=text)["case"]
        path = f"cases/TK/{case}"
        olle.post(f"{path}/take")
        olle.post(f"{path}/note", text=WORDS)
        olle.post(f"{path}/ask", to="caller", text=QUESTION)
        added = olle.client.post(
            f"/api/v1/{path}/attachments", headers={"Idempotency-Key": uuid4().hex},
            files={"file": (FILE_NAME, CONTENT.encode(), "text/plain")},
        )  # fmt: skip
        assert added.status_code == 200, added.text
        assert NAME in olle.client.get(f"/api/v1/{path}").text
    return case


def closed(address: str, case: str, case_type: str) -> None:
    """The officer closes the case; the registrar gives a copy out."""
    with signed_in(address, "olle") as olle:
        olle.post(f"cases/TK/{case}/categorise", case_type=case_type)
        olle.post(f"cases/TK/{case}/close", outcome="solved")
    with signed_in(address, "rut") as rut:
        rut.post(f"cases/TK/{case}/disclose", purpose="Begäran", recipient=RECIPIENT)


def protocols(home: Path, data: Path) -> list[dict[str, Any]]:
    """The protocols as the command line tells them."""
    found: list[dict[str, Any]] = kc_json(home, "erasure", "list", "--as", "rut", "--data", data)[
        "protocols"
    ]
    return found


def told_by(server: Running) -> str:
    """Everything that a process has printed."""
    return "".join([*server.lines, *server.errors])
