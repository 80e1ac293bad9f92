"""A whole web house for tests: real node, read models and application; only the clock is ours."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import hashlib
import json
import os
import socket
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import uvicorn
from argon2 import PasswordHasher
from fastapi import FastAPI
from given import TAXONOMY

from core.accounts import Account, Accounts, Token
from core.application import Application
from core.eventlog.accounts import AccountsFollower
from core.eventlog.attachments import Attachments
from core.eventlog.directory import DirectoryFollower
from core.eventlog.node import Node, NodeSettings
from core.eventlog.product import product_events
from core.read_log import ChainedReadLog
from core.taxonomy import read_taxonomy
from kontaktcenter.privacy_desk import PrivacyDesk, Surroundings
from kontaktcenter.privacy_web import WebPrivacy
from projections.read_models import ReadModels, all_projections
from projections.runner import Runner
from webdesk.app import create_app
from webdesk.authentication import TOKEN_HEADER
from webdesk.figures import ReadFigures
from webdesk.passwords import Passwords
from webdesk.services import Services, Target
from webdesk.sessions import COOKIE, Sessions, SessionTimes, token_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterator

    from core.access import Asker

TOKEN = "a-token-for-tests"
AUTH = {"Authorization": f"Bearer {TOKEN}"}
NOON = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
EXCHANGE = "tnh"
ENDLESS = SessionTimes(idle_s=1e9, life_s=1e9)  # a test that moves the clock stays signed in


class SetClock:
    """A clock that stands until it is moved."""

    def __init__(self, at: datetime = NOON) -> None:
        self.at = at

    def __call__(self) -> datetime:
        return self.at

    def forward(self, seconds: float) -> None:
        self.at += timedelta(seconds=seconds)


@dataclass
class WebHouse:
    """What a test drives."""

    node: Node
    runner: Runner
    clock: SetClock
    app: FastAPI
    client: httpx.AsyncClient
    folder: Path
    accounts: dict[str, Account]
    sessions: Sessions
    privacy: PrivacyDesk

    async def facts(self, *facts: dict[str, Any], **headers: str) -> httpx.Response:
        """Send facts with the token."""
        return await self.client.post(
            "/api/v1/calls/facts", json={"facts": list(facts)}, headers={**AUTH, **headers}
        )

    def nobody(self, **headers: str) -> httpx.AsyncClient:
        """A client that has not signed in."""
        transport = httpx.ASGITransport(self.app, raise_app_exceptions=True)
        return httpx.AsyncClient(transport=transport, base_url="http://localhost", headers=headers)

    def as_(self, asker: Asker) -> httpx.AsyncClient:
        """A client that is signed in as `asker`."""
        self.accounts[asker.id] = Account(asker.id, grants=asker.grants, closed_to=asker.closed_to)
        if asker.scopes:
            token = f"token-of-{asker.id}"
            digest = hashlib.sha256(token.encode()).hexdigest()
            rooms = tuple(grant.authority for grant in asker.grants if grant.authority != "*")
            ends_at = self.clock() + timedelta(days=1)
            issued = Token("1", digest, ends_at, tuple(asker.scopes), rooms)
            self.accounts[asker.id] = replace(
                self.accounts[asker.id], kind="program", tokens=(issued,)
            )
            headers = {"Authorization": f"Bearer {token}"}
        else:
            cookie = self.sessions.begin(asker.id, "password")
            headers = {"Cookie": f"{COOKIE}={cookie}", TOKEN_HEADER: token_of(cookie)}
        transport = httpx.ASGITransport(self.app, raise_app_exceptions=True)
        return httpx.AsyncClient(transport=transport, base_url="http://localhost", headers=headers)

    async def results(self, *facts: dict[str, Any]) -> list[dict[str, Any]]:
        """What became of facts."""
        answer = await self.facts(*facts)
        assert answer.status_code == 200, answer.text
        results: list[dict[str, Any]] = answer.json()["results"]
        return results

    async def caught_up(self) -> None:
        """Return when the read models hold everything judged so far."""
        await self.node.settle()
        await asyncio.to_thread(self.runner.catch_up)


@contextlib.asynccontextmanager
async def web_house(
    folder: Path,
    *,
    token: str | None = TOKEN,
    times: SessionTimes = ENDLESS,
    settings: NodeSettings | None = None,
    **more: Any,
) -> AsyncIterator[WebHouse]:
    """Open everything on a log in memory, or as `settings` say with their own clock.

    The runner only moves when it is told to.
    """
    clock = SetClock()
    node = await Node.open(
        NodeSettings("memory:", folder / "data", clock)
        if settings is None
        else replace(settings, clock=clock)
    )
    drafts = read_taxonomy(TAXONOMY.read_text(encoding="utf-8"), NOON - timedelta(days=1))
    await node.propose_many(drafts)
    await node.settle()
    runner = Runner(node, folder / "projections", all_projections(node.keyring.by_id))
    models = ReadModels(folder / "projections")
    await asyncio.to_thread(runner.catch_up)
    events = product_events(node)
    more.setdefault("passwords", Passwords(os.urandom, PasswordHasher(1, 8, 1)))
    more.setdefault("sessions", Sessions(None, clock, os.urandom, times))
    more.setdefault("read_log", ChainedReadLog(node, events, clock, "house", "1"))
    more.setdefault("models", models)
    store = Attachments(folder / "attachments")
    directory = DirectoryFollower(node, clock)
    application = Application(node, directory, events)
    privacy = PrivacyDesk(
        Surroundings(node, application, directory, clock, store, runner, models, more["read_log"])
    )
    more.setdefault("privacy", WebPrivacy(privacy))
    accounts: dict[str, Account] = {}
    follower = AccountsFollower(node)
    app = create_app(
        Services(
            node=node, figures=ReadFigures(models, runner, Target()), directory=directory,
            events=events, clock=clock, version="0.0.1", facts_token=token,
            accounts=lambda: Accounts({**follower().by_id, **accounts}), **more,
        )
    )  # fmt: skip
    app.state.feed.start()
    transport = httpx.ASGITransport(app, raise_app_exceptions=True)
    try:
        async with httpx.AsyncClient(
            transport=transport, base_url="http://localhost", headers=AUTH
        ) as client:
            sessions = more["sessions"]
            yield WebHouse(node, runner, clock, app, client, folder, accounts, sessions, privacy)
    finally:
        await app.state.feed.close()
        runner.close()
        models.close()
        await node.close()


def fact(kind: str, at: datetime = NOON, **more: Any) -> dict[str, Any]:
    """A fact about one call to the waste group, unless said otherwise."""
    given = {"exchange": EXCHANGE, "uniqueid": "1700000000.1", "queue": "avfall", "kind": kind}
    return {**given, "occurred_at": at.isoformat(), **more}


def in_house(**more: Any) -> Callable[[Callable[[WebHouse], Awaitable[None]]], Callable[..., None]]:
    """Run an asynchronous test in a house of its own."""

    def wrap(test: Callable[[WebHouse], Awaitable[None]]) -> Callable[..., None]:
        def run(tmp_path: Path) -> None:
            async def whole() -> None:
                async with web_house(tmp_path, **more) as house:
                    await test(house)

            asyncio.run(whole())

        functools.update_wrapper(run, test)
        del run.__wrapped__  # type: ignore[attr-defined]  # or pytest asks for the inner arguments
        return run

    return wrap


class _Uvicorn(uvicorn.Server):
    """A server that leaves signals to the test run."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


@contextlib.asynccontextmanager
async def served(house: WebHouse) -> AsyncIterator[httpx.AsyncClient]:
    """The same application behind a real server: a stream needs one."""
    listener = socket.create_server(("127.0.0.1", 0))
    settings = uvicorn.Config(
        house.app, log_config=None, lifespan="off", timeout_graceful_shutdown=1
    )
    server = _Uvicorn(settings)
    task = asyncio.create_task(server.serve(sockets=[listener]))
    base = f"http://127.0.0.1:{listener.getsockname()[1]}"
    try:
        while not server.started:  # noqa: ASYNC110 -- uvicorn tells nobody
            await asyncio.sleep(0.01)
        async with httpx.AsyncClient(base_url=base, timeout=20, headers=AUTH) as client:
            yield client
    finally:
        house.app.state.feed.release()
        server.should_exit = True
        await task
        listener.close()


@dataclass
class Told:
    """One server-sent event, or a comment (`event` is `:`)."""

    event: str
    id: str
    text: str

    @property
    def data(self) -> dict[str, Any]:
        """The JSON that it carries."""
        found: dict[str, Any] = json.loads(self.text)
        return found


async def told(answer: httpx.Response) -> AsyncIterator[Told]:
    """The events of a stream, as a browser would see them."""
    event, id_, lines = "message", "", []
    async for line in answer.aiter_lines():
        if line.startswith(":"):
            yield Told(":", "", line[1:].strip())
        elif line.startswith("event:"):
            event = line[6:].strip()
        elif line.startswith("id:"):
            id_ = line[3:].strip()
        elif line.startswith("data:"):
            lines.append(line[5:].strip())
        elif not line and lines:
            yield Told(event, id_, "\n".join(lines))
            event, lines = "message", []
