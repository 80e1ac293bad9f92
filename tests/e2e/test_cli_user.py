"""`kontaktcenter user` and `token`, as an operator types them."""

from __future__ import annotations

import os
import pty
import select
import subprocess
import time
from typing import TYPE_CHECKING

import httpx
import pytest
from cli_process import Running, command, environment, kc, kc_json
from sign_in_world import PASSWORD

if TYPE_CHECKING:
    from pathlib import Path


def made(home: Path, account: str, *more: str, password: str = PASSWORD) -> None:
    kc(home, "user", "create", account, *more, "--data", home / "data", stdin=password + "\n")


def test_the_first_administrator_is_made_on_an_empty_machine(tmp_path: Path) -> None:
    data = ("--data", tmp_path / "data")
    made(tmp_path, "anna", "--role", "administrator", "--name", "Demo Anna")
    (shown,) = kc_json(tmp_path, "user", "list", *data)["accounts"]
    assert (shown["account"], shown["password"], shown["closed"]) == ("anna", True, False)
    assert [grant["role"] for grant in shown["grants"]] == ["administrator"]
    for file in (tmp_path / "data").rglob("*"):
        if file.is_file():
            content = file.read_bytes()
            for secret in (PASSWORD.encode(), b"argon2", b"Demo Anna"):
                assert secret not in content, (file, secret)


def test_roles_are_given_and_taken_back_with_the_rights_of_an_account(tmp_path: Path) -> None:
    data = ("--data", tmp_path / "data")
    made(tmp_path, "anna", "--role", "administrator")
    made(tmp_path, "bo", "--role", "case_officer", "--authority", "TK")
    refused = kc(
        tmp_path, "user", "grant", "bo", "--role", "case_officer", "--authority", "MF", *data,
        code=1,
    )  # fmt: skip
    assert "conflict of interest" in refused.stderr
    kc(tmp_path, "user", "close-to", "bo", "TK", *data, "--as", "anna")
    kc(tmp_path, "user", "grant", "bo", "--role", "registrar", "--authority", "MF", *data)
    kc(tmp_path, "user", "withdraw", "bo", "--role", "case_officer", "--authority", "TK", *data)
    shown = {a["account"]: a for a in kc_json(tmp_path, "user", "list", *data)["accounts"]}["bo"]
    assert [(g["role"], g["authority"]) for g in shown["grants"]] == [("registrar", "MF")]
    assert shown["closed_to"] == ["TK"]
    for who, words in (("bo", "may not do this"), ("nosuch", "user list"), ("", "user list")):
        told = kc(tmp_path, "user", "close", "anna", *data, "--as", who or "x", code=1)
        assert words in told.stderr
    last = kc(tmp_path, "user", "close", "anna", *data, code=1)
    assert "last administrator" in last.stderr
    assert b'"actor":"anna","origin":"cli"' in (tmp_path / "data" / "log.db").read_bytes()


@pytest.mark.parametrize(
    ("args", "code", "said"),
    [
        (("user", "create", "Anna"), 1, "a-z"),
        (("user", "create", "operator"), 1, "none of"),
        (("user", "create", "anna", "--role", "king"), 1, "there is no role king"),
        (("user", "grant", "nobody.here", "--role", "auditor"), 1, "user list"),
        (("user", "password", "nobody.here"), 1, "user list"),
        (("token", "issue", "x", "--scope", "manage_accounts"), 1, "the scopes are some of"),
        (("token", "withdraw", "x", "1"), 1, "user list"),
    ],
)
def test_what_cannot_be_done_is_said_and_leaves_nothing(
    args: tuple[str, ...], code: int, said: str, tmp_path: Path
) -> None:
    made(tmp_path, "first", "--role", "administrator")
    done = kc(tmp_path, *args, "--data", tmp_path / "data", code=None, stdin=PASSWORD + "\n")
    assert done.returncode in {code, 2}
    assert said in done.stderr
    names = [
        a["account"]
        for a in kc_json(tmp_path, "user", "list", "--data", tmp_path / "data")["accounts"]
    ]
    assert names == ["first"]


@pytest.mark.parametrize("password", ["short", "Sommar2026!!!!", "", "anna.anna.anna"])
def test_a_bad_password_is_refused_before_anything_is_made(password: str, tmp_path: Path) -> None:
    data = ("--data", tmp_path / "data")
    refused = kc(tmp_path, "user", "create", "anna.anna", *data, code=2, stdin=password + "\n")
    assert password not in refused.stderr or not password
    assert not (tmp_path / "data").exists()


@pytest.mark.terminal
def test_a_person_types_the_password_twice_and_sees_nothing_of_it(tmp_path: Path) -> None:
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        command("user", "create", "anna", "--data", tmp_path / "data"),
        stdin=theirs, stdout=theirs, stderr=theirs, env=environment(tmp_path),
        start_new_session=True,
    )  # fmt: skip
    os.close(theirs)
    seen = b""
    answers = [(b"Password:", PASSWORD), (b"Again:", PASSWORD)]
    until = time.monotonic() + 60
    while time.monotonic() < until and process.poll() is None:
        if not select.select([ours], [], [], 0.2)[0]:
            continue
        try:
            seen += os.read(ours, 4096)
        except OSError:
            break
        if answers and answers[0][0] in seen:
            os.write(ours, answers.pop(0)[1].encode() + b"\n")
    assert process.wait(30) == 0, seen
    os.close(ours)
    assert not answers
    assert PASSWORD.encode() not in seen


def test_a_token_opens_what_it_says_until_it_is_withdrawn(tmp_path: Path) -> None:
    data = ("--data", tmp_path / "data")
    with Running(tmp_path, "serve", "--port", 0, *data) as server:
        address = server.address().rstrip("/")
        issued = kc_json(tmp_path, "token", "issue", "watch", "--scope", "read_queues", *data)
        headers = {"Authorization": f"Bearer {issued['secret']}"}

        def asked(path: str) -> int:
            return httpx.get(address + path, headers=headers, timeout=10).status_code

        assert [asked("/metrics"), asked("/api/v1/queues"), asked("/account")] == [200, 200, 403]
        (shown,) = kc_json(tmp_path, "token", "list", *data)["tokens"]
        assert (shown["account"], shown["scopes"]) == ("watch", ["read_queues"])
        assert issued["secret"] not in str(shown)
        kc(tmp_path, "token", "withdraw", "watch", "1", *data)
        assert asked("/metrics") == 401
        closed = kc(tmp_path, "user", "close", "watch", *data)
        assert "closed" in closed.stdout


def test_a_password_set_on_the_machine_ends_the_sessions(tmp_path: Path) -> None:
    data = ("--data", tmp_path / "data")
    made(tmp_path, "anna", "--role", "administrator")
    with Running(tmp_path, "serve", "--port", 0, *data) as server:
        address = server.address().rstrip("/")
        form = {"account": "anna", "password": PASSWORD}
        answer = httpx.post(
            f"{address}/sign-in", data=form, headers={"Origin": address}, timeout=10
        )
        assert answer.status_code == 303
        headers = {"Cookie": answer.headers["set-cookie"].partition(";")[0]}
        assert httpx.get(f"{address}/api/v1/me", headers=headers, timeout=10).status_code == 200
        kc(tmp_path, "user", "password", "anna", *data, stdin="en helt annan fras 7\n")
        assert httpx.get(f"{address}/api/v1/me", headers=headers, timeout=10).status_code == 401
        again = {**form, "password": "en helt annan fras 7"}
        answer = httpx.post(
            f"{address}/sign-in", data=again, headers={"Origin": address}, timeout=10
        )
        assert answer.status_code == 303
        process_log = "".join(server.errors)
    assert "anna" not in process_log


def test_nobody_gets_around_the_limit_by_writing_another_address(tmp_path: Path) -> None:
    made(tmp_path, "anna", "--role", "administrator")
    with Running(tmp_path, "serve", "--port", 0, "--data", tmp_path / "data") as server:
        address = server.address().rstrip("/")
        statuses = [
            httpx.post(
                f"{address}/sign-in",
                data={"account": "anna", "password": f"wrong-wrong-{n}"},
                headers={"Origin": address, "X-Forwarded-For": f"192.0.2.{n}"},
                timeout=10,
            ).status_code
            for n in range(7)
        ]
    assert statuses == [401] * 5 + [429] * 2
