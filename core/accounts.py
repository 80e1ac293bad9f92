"""Accounts: who signs in, what was granted to each, and how it proves who it is.

One stream for each account, `account/<id>`, in the centre's book. An id is never given to another
person: it stands as `actor` in the log for ever. Passwords are argon2id hashes and sealed; of a
token the log holds a hash alone; of an identity at a sign-on service only a keyed hash.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from functools import cached_property
from typing import ClassVar

from core.access import Asker, Grant, Role
from core.commands import Contradiction, contradicted
from core.commit import Event, Recorded
from core.personal import PersonalField
from core.taxonomy import ANY_AUTHORITY


class AccountKind(StrEnum):
    """A person signs in; a program has tokens."""

    PERSON = "person"
    PROGRAM = "program"


@dataclass(frozen=True)
class AccountOpened(Event):
    """An account was opened. `break_glass`: for emergencies alone, and every use of it alarms."""

    TOPIC: ClassVar[str] = "account.opened"
    account: str
    kind: str = AccountKind.PERSON.value
    name: PersonalField | None = None
    break_glass: bool = False


@dataclass(frozen=True)
class GrantGiven(Event):
    """A role was given, in one authority (`*`: the centre); it replaces an earlier one there."""

    TOPIC: ClassVar[str] = "account.grant_given"
    account: str
    role: str
    authority: str = ANY_AUTHORITY
    groups: tuple[str, ...] = ()
    approves: bool = False
    protected: bool = False


@dataclass(frozen=True)
class GrantWithdrawn(Event):
    """A role was taken back; it holds at once, in open sessions too."""

    TOPIC: ClassVar[str] = "account.grant_withdrawn"
    account: str
    role: str
    authority: str = ANY_AUTHORITY


@dataclass(frozen=True)
class SidesClosed(Event):
    """The authorities whose cases this account never opens are these, whatever it is granted."""

    TOPIC: ClassVar[str] = "account.sides_closed"
    account: str
    authorities: tuple[str, ...] = ()


@dataclass(frozen=True)
class PasswordSet(Event):
    """A password was set. `hash` is argon2id's; open sessions end."""

    TOPIC: ClassVar[str] = "account.password_set"
    account: str
    hash: PersonalField


@dataclass(frozen=True)
class IdentityLinked(Event):
    """The account signs in through a sign-on service. `identity` is a keyed hash of who it is."""

    TOPIC: ClassVar[str] = "account.identity_linked"
    account: str
    issuer: str
    identity: str


@dataclass(frozen=True)
class IdentityUnlinked(Event):
    """An identity at a sign-on service no longer opens the account; open sessions end."""

    TOPIC: ClassVar[str] = "account.identity_unlinked"
    account: str
    identity: str


@dataclass(frozen=True)
class AccountClosed(Event):
    """The account was closed for good; its sessions and tokens end at once."""

    TOPIC: ClassVar[str] = "account.closed"
    account: str


@dataclass(frozen=True)
class BreakGlassUsed(Event):
    """Somebody signed in with the emergency account."""

    TOPIC: ClassVar[str] = "account.break_glass_used"
    account: str


@dataclass(frozen=True)
class TokenIssued(Event):
    """A program got a token. `digest` is its SHA-256; `scopes` are deeds, `rooms` authorities."""

    TOPIC: ClassVar[str] = "token.issued"
    account: str
    token: str
    digest: str
    ends_at: datetime
    scopes: tuple[str, ...] = ()
    rooms: tuple[str, ...] = ()


@dataclass(frozen=True)
class TokenWithdrawn(Event):
    """A token was withdrawn; it opens nothing from now on."""

    TOPIC: ClassVar[str] = "token.withdrawn"
    account: str
    token: str


ACCOUNT_EVENTS: tuple[type[Event], ...] = (
    AccountOpened, GrantGiven, GrantWithdrawn, SidesClosed, PasswordSet, IdentityLinked,
    IdentityUnlinked, AccountClosed, BreakGlassUsed, TokenIssued, TokenWithdrawn,
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Token:
    """A program's token, by the hash of it."""

    id: str
    digest: str
    ends_at: datetime
    scopes: tuple[str, ...]
    rooms: tuple[str, ...]


@dataclass(frozen=True)
class Account:
    """An account as it stands. `id` is empty where it was never opened.

    `sessions_after`: a session that began before that time has ended.
    """

    id: str = ""
    kind: str = AccountKind.PERSON.value
    name: PersonalField | None = None
    break_glass: bool = False
    grants: tuple[Grant, ...] = ()
    closed_to: frozenset[str] = frozenset()
    password: PersonalField | None = None
    identities: tuple[tuple[str, str], ...] = ()  # of issuer, and keyed hash
    tokens: tuple[Token, ...] = ()
    closed: bool = False
    sessions_after: datetime | None = None
    contradictions: tuple[Contradiction, ...] = ()

    def asker(self) -> Asker:
        """Who asks, when it is this account that signed in."""
        return Asker(self.id, self.grants, self.closed_to)

    def asker_of(self, token: Token) -> Asker:
        """Who asks, when it is a program with `token`."""
        rooms = tuple(Grant(Role.PROGRAM, room) for room in token.rooms)
        return Asker(
            self.id, rooms or (Grant(Role.PROGRAM),), self.closed_to, frozenset(token.scopes)
        )

    def administers(self) -> bool:
        """Whether it can give out rights: an open person's account with that role."""
        return not self.closed and any(g.role is Role.ADMINISTRATOR for g in self.grants)


def evolve(state: Account, recorded: Recorded) -> Account:
    """The account after one more event; total."""
    event = recorded.event
    if isinstance(event, AccountOpened):
        if state.id:
            why = "the account was opened before"
            return replace(state, contradictions=contradicted(state.contradictions, recorded, why))
        return replace(
            state, id=event.account, kind=event.kind, name=event.name,
            break_glass=event.break_glass,
        )  # fmt: skip
    if isinstance(event, GrantGiven | GrantWithdrawn):
        return replace(state, grants=_grants(state.grants, event))
    if isinstance(event, SidesClosed):
        return replace(state, closed_to=frozenset(event.authorities))
    if isinstance(event, PasswordSet):
        return replace(state, password=event.hash, sessions_after=recorded.occurred_at)
    if isinstance(event, IdentityLinked):
        linked = (event.issuer, event.identity)
        return replace(state, identities=tuple(dict.fromkeys((*state.identities, linked))))
    if isinstance(event, IdentityUnlinked):
        kept = tuple(one for one in state.identities if one[1] != event.identity)
        return replace(state, identities=kept, sessions_after=recorded.occurred_at)
    if isinstance(event, AccountClosed):
        return replace(state, closed=True, tokens=(), sessions_after=recorded.occurred_at)
    return _tokens(state, event)


def _grants(before: tuple[Grant, ...], event: GrantGiven | GrantWithdrawn) -> tuple[Grant, ...]:
    kept = tuple(g for g in before if (g.role, g.authority) != (event.role, event.authority))
    if isinstance(event, GrantWithdrawn) or event.role not in set(Role):
        return kept  # a role of a later version opens nothing here
    role = Role(event.role)
    return (*kept, Grant(role, event.authority, event.groups, event.approves, event.protected))


def _tokens(state: Account, event: Event) -> Account:
    if isinstance(event, TokenIssued):
        token = Token(event.token, event.digest, event.ends_at, event.scopes, event.rooms)
        kept = tuple(one for one in state.tokens if one.id != event.token)
        return replace(state, tokens=(*kept, token))
    if isinstance(event, TokenWithdrawn):
        kept = tuple(one for one in state.tokens if one.id != event.token)
        return replace(state, tokens=kept)
    return state


@dataclass(frozen=True)
class Accounts:
    """All accounts as they stand; what a request is looked up in."""

    by_id: Mapping[str, Account] = field(default_factory=dict)

    def account(self, account: str) -> Account | None:
        """The open account with that id; None where there is none, or it was closed."""
        found = self.by_id.get(account)
        return None if found is None or found.closed or not found.id else found

    def asker(self, account: str) -> Asker | None:
        """Who asks when that person signed in; None for programs: these have tokens."""
        found = self.account(account)
        return found.asker() if found and found.kind == AccountKind.PERSON else None

    def of_identity(self, issuer: str, identity: str) -> Account | None:
        """The open account linked to an identity; None where there is none, or more than one."""
        found = self._by_identity.get((issuer, identity), ())
        return self.account(found[0]) if len(found) == 1 else None

    def of_token(self, digest: str, now: datetime) -> Asker | None:
        """Who asks with the token of that SHA-256; None where it is not one, or has ended."""
        found = self._by_digest.get(digest)
        if found is None or found[1].ends_at <= now or self.account(found[0].id) is None:
            return None
        return found[0].asker_of(found[1])

    def administrators(self) -> tuple[str, ...]:
        """The accounts that can give out rights."""
        return tuple(sorted(name for name, one in self.by_id.items() if one.administers()))

    @cached_property
    def _by_identity(self) -> Mapping[tuple[str, str], list[str]]:
        found: dict[tuple[str, str], list[str]] = {}
        for name, account in self.by_id.items():
            for linked in account.identities if not account.closed else ():
                found.setdefault(linked, []).append(name)
        return found

    @cached_property
    def _by_digest(self) -> Mapping[str, tuple[Account, Token]]:
        return {
            token.digest: (account, token)
            for account in self.by_id.values()
            for token in account.tokens
        }
