"""Signing in with a password: what is checked, counted and told, and how long it takes."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass
from datetime import datetime
from math import ceil
from time import perf_counter
from typing import TYPE_CHECKING, Final
from uuid import UUID

import structlog

from core.account_rules import ACCOUNTS
from core.accounts import Account, AccountKind, BreakGlassUsed
from core.application import fact_draft
from core.errors import KontaktcenterError, Unavailable
from core.limits import PASSWORD_CHARS_MAX, SIGN_IN_CHECKS_MAX, SIGN_IN_WAITING_MAX
from core.personal import Personal
from core.vocabulary import Origin, account_stream
from webdesk.attempts import Attempts

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from webdesk.passwords import Passwords
    from webdesk.services import Services

_GRID_S: Final = 0.1  # answers leave at multiples of it: what is left of a difference drowns there
_UUID_BYTES: Final = 16
_LOG: Final = structlog.get_logger("webdesk.sign_in")


@dataclass(frozen=True, slots=True)
class Known:
    """It was the right password."""

    account: Account


@dataclass(frozen=True, slots=True)
class Wrong:
    """No such account, or not its password: nobody is told which."""


@dataclass(frozen=True, slots=True)
class LockedOut:
    """Too many failures; not before `until`."""

    until: datetime


Outcome = Known | Wrong | LockedOut


class SignInDesk:
    """Checks passwords; one for each server."""

    def __init__(self, services: Services, passwords: Passwords) -> None:
        self._services, self._passwords = services, passwords
        self._attempts = Attempts()
        self._checks = asyncio.Semaphore(SIGN_IN_CHECKS_MAX)
        self._waiting = 0

    async def check(self, name: str, password: str, address: str) -> Outcome:
        """Whether `password` is that of the account `name`; one way for all names and answers.

        Raises: Unavailable where too many ask at once.
        """
        began = perf_counter()
        now = self._services.clock()
        until = self._attempts.blocked_until(name, address, now)
        if until is not None:
            _LOG.warning("sign_in.locked_out")
            return LockedOut(until)
        self._attempts.begin(name, address, now)
        accounts = self._services.accounts()
        account = accounts.account(name)
        if account is not None and account.kind != AccountKind.PERSON:
            account = None
        # For a name that nobody has, somebody else's stream is read and nobody's hash checked.
        read = account or next(iter(accounts.by_id.values()), None)
        whole = self.load(read.id) if read is not None else Account()
        sealed = whole.password if account is not None else None
        stored = sealed.value if isinstance(sealed, Personal) else None
        right = await self._verified(stored, password[: PASSWORD_CHARS_MAX + 1])
        spent_s = perf_counter() - began
        await asyncio.sleep(ceil(spent_s / _GRID_S) * _GRID_S - spent_s)
        if not right or account is None:
            _LOG.warning("sign_in.failed", method="password")
            return Wrong()
        self._attempts.succeeded(name, address)
        return Known(account)

    def load(self, account: str) -> Account:
        """The account with what is sealed in it opened."""
        state = ACCOUNTS.initial
        for recorded in self._services.node.load(account_stream(account)):
            state = ACCOUNTS.evolve(state, recorded)
        return state

    async def hash(self, password: str) -> str:
        """The hash of a new password. Raises: Unavailable."""
        async with self._turn():
            return await asyncio.to_thread(self._passwords.hash, password)

    async def alarm(self, account: Account) -> None:
        """Tell the world that the emergency account was used; it opens even if that fails."""
        _LOG.warning("sign_in.break_glass")
        made = UUID(bytes=self._services.entropy(_UUID_BYTES), version=4)
        draft = fact_draft(
            id=made, asking=f"break glass {made}", actor=account.id, origin=Origin.DESK,
            stream=account_stream(account.id), events=(BreakGlassUsed(account.id),),
            occurred_at=self._services.clock(),
        )  # fmt: skip
        try:
            await self._services.node.propose(draft)
        except KontaktcenterError as e:
            _LOG.error("sign_in.break_glass_not_recorded", error=type(e).__name__)

    async def _verified(self, stored: str | None, password: str) -> bool:
        async with self._turn():
            return await asyncio.to_thread(self._passwords.verify, stored, password)

    @contextlib.asynccontextmanager
    async def _turn(self) -> AsyncIterator[None]:
        """One of the few checks at a time; a bounded number waits for it."""
        if self._waiting >= SIGN_IN_WAITING_MAX:
            raise Unavailable("too many sign in at once: try again in a moment", retry_after_s=5)
        self._waiting += 1
        try:
            await self._checks.acquire()
        finally:
            self._waiting -= 1
        try:
            yield
        finally:
            self._checks.release()
