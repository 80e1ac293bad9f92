"""People who sign in, for tests: accounts opened through the application, and a browser's ways."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from uuid import UUID

import httpx
from argon2 import PasswordHasher
from given import city

from core.access import Asker, Grant, Role
from core.account_rules import GiveGrant, OpenAccount, SetPassword
from core.application import Application
from core.personal import Personal
from webdesk.passwords import Passwords
from webdesk.sessions import COOKIE

if TYPE_CHECKING:
    from web_house import WebHouse

PASSWORD = "tunnelbana-regn-42"
ADMIN = Asker("operator", (Grant(Role.ADMINISTRATOR),))
CHEAP = PasswordHasher(1, 8, 1)
ORIGIN = {"Origin": "http://localhost"}


async def do(house: WebHouse, command: type[Any], account: str, **more: Any) -> None:
    """Have something done with an account, by an administrator."""
    application = Application(house.node, city)
    common = {"id": UUID(bytes=os.urandom(16), version=4), "now": house.clock()}
    asked = command(**common, actor=ADMIN.id, asker=ADMIN, account=account, **more)
    await application.handle(asked)
    await house.node.settle()


async def person(
    house: WebHouse, account: str = "anna", *roles: dict[str, Any], password: str | None = PASSWORD,
    **more: Any,
) -> None:  # fmt: skip
    """Open an account, by default of a coordinator."""
    stream = f"account/{account}"
    await do(house, OpenAccount, account, name=Personal(f"Demo {account}", stream), **more)
    for role in roles or ({"role": "coordinator"},):
        await do(house, GiveGrant, account, **role)
    if password is not None:
        hashed = Passwords(os.urandom, CHEAP).hash(password)
        await do(house, SetPassword, account, hash=Personal(hashed, stream))


@dataclass
class Browser:
    """Sends cookies and its origin as a browser does; Secure ones too, since this is loopback."""

    client: httpx.AsyncClient
    cookies: dict[str, str] = field(default_factory=dict)

    async def get(self, path: str, **headers: str) -> httpx.Response:
        return self._kept(await self.client.get(path, headers=self._with(PAGE, headers)))

    async def post(self, path: str, data: dict[str, str], **headers: str) -> httpx.Response:
        more = self._with(ORIGIN, headers)
        return self._kept(await self.client.post(path, data=data, headers=more))

    async def sign_in(self, account: str = "anna", password: str = PASSWORD) -> httpx.Response:
        return await self.post("/sign-in", {"account": account, "password": password})

    @property
    def session(self) -> str:
        return self.cookies[COOKIE]

    def _with(self, *more: dict[str, str]) -> dict[str, str]:
        headers: dict[str, str] = {}
        for one in more:
            headers |= {name.replace("_", "-"): value for name, value in one.items()}
        if self.cookies:
            headers["Cookie"] = "; ".join(f"{k}={v}" for k, v in self.cookies.items())
        return headers

    def _kept(self, answer: httpx.Response) -> httpx.Response:
        for line in answer.headers.get_list("set-cookie"):
            name, _equals, rest = line.partition("=")
            value, _semicolon, attributes = rest.partition(";")
            if "Max-Age=0" in attributes:
                self.cookies.pop(name, None)
            else:
                self.cookies[name] = value
        return answer


PAGE = {"Accept": "text/html"}


def browser(house: WebHouse) -> Browser:
    return Browser(house.nobody())
