"""What may be asked of an account, and what comes of it: the decider `ACCOUNTS`."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, ClassVar, Final

from core.access import AGENTS, PROGRAM_SCOPES, Deed, Grant, Place, Role, sides
from core.accounts import (
    Account,
    AccountClosed,
    AccountKind,
    AccountOpened,
    GrantGiven,
    GrantWithdrawn,
    IdentityLinked,
    IdentityUnlinked,
    PasswordSet,
    SidesClosed,
    Token,
    TokenIssued,
    TokenWithdrawn,
    evolve,
)
from core.commands import NOT_ASKED, Command, Decider
from core.errors import Invalid, NotFound, Refused
from core.limits import ACCOUNT_TOKENS_MAX, TOKEN_DAYS_MAX
from core.personal import PersonalField
from core.taxonomy import ANY_AUTHORITY
from core.vocabulary import account_stream

if TYPE_CHECKING:
    from collections.abc import Sequence

    from core.commit import Event
    from core.taxonomy import Directory

_ID: Final = re.compile(r"[a-z0-9][a-z0-9._-]{0,59}")
# They stand as `actor` where no account acts: nobody may be mistaken for them.
RESERVED: Final = frozenset({"nobody", "operator", "api", "import", "facts", "sign-on", "system"})
_OF_AN_AUTHORITY: Final = frozenset({Role.CASE_OFFICER, Role.REGISTRAR, Role.ON_CALL_EXPERT})
_OF_EITHER: Final = frozenset({Role.ANALYST, Role.COMMUNICATOR})
_MAY_SEE_PROTECTED: Final = frozenset({*AGENTS, *_OF_AN_AUTHORITY})


class AccountExists(Refused):
    """There is such an account already, with other particulars; an id is never used again."""


class AccountUnknown(NotFound):
    """There is no such account."""


class AccountIsClosed(Refused):
    """The account is closed: open one with another id."""


class BothSides(Refused):
    """This would open both sides of a conflict of interest: close the account to one first."""


class LastAdministrator(Refused):
    """This is the last administrator: give somebody else that role first."""


class NotToOneself(Refused):
    """Somebody else has to give you rights."""


class WrongKind(Refused):
    """That is not for this kind of account."""


@dataclass(frozen=True, kw_only=True)
class AccountCommand(Command):
    """A command about one account."""

    DEED: ClassVar[Deed] = Deed.MANAGE_ACCOUNTS

    account: str

    @property
    def stream(self) -> str:
        """The account's stream."""
        return account_stream(self.account)

    @property
    def place(self) -> Place:
        """It is the account's own matter, or the centre's."""
        return Place(person=self.account)

    def check(self, directory: Directory) -> None:
        """See `Command.check`."""
        super().check(directory)
        if not _ID.fullmatch(self.account) or self.account in RESERVED:
            raise Invalid(
                "an account's id is 1 to 60 of a-z, 0-9, dot, dash and underscore, and begins with"
                f" a letter or digit; it is none of {', '.join(sorted(RESERVED))}",
                field="account",
            )


@dataclass(frozen=True, kw_only=True)
class OpenAccount(AccountCommand):
    """Open an account; rights and password are given with commands of their own."""

    kind: str = AccountKind.PERSON.value
    name: PersonalField | None = None
    break_glass: bool = False

    def check(self, directory: Directory) -> None:
        """See `Command.check`."""
        super().check(directory)
        if self.kind not in set(AccountKind):
            raise Invalid("an account is a person's or a program's", field="kind")
        if self.break_glass and self.kind != AccountKind.PERSON:
            raise Invalid("the emergency account is a person's", field="break_glass")


@dataclass(frozen=True, kw_only=True)
class GiveGrant(AccountCommand):
    """Give a role in an authority (`*`: the centre); agents get it in answer `groups`."""

    role: str
    authority: str = ANY_AUTHORITY
    groups: tuple[str, ...] = ()
    approves: bool = False
    protected: bool = False

    def grant(self) -> Grant:
        """What is given."""
        return Grant(Role(self.role), self.authority, self.groups, self.approves, self.protected)

    def check(self, directory: Directory) -> None:
        """See `Command.check`."""
        super().check(directory)
        if self.role not in set(Role) - {Role.PROGRAM}:
            known = ", ".join(role for role in Role if role is not Role.PROGRAM)
            raise Invalid(f"there is no role {self.role}; these are: {known}", field="role")
        _check_rooms(Role(self.role), self.authority, self.groups, directory)
        if self.approves and self.role != Role.CASE_OFFICER:
            raise Invalid("a case officer alone speaks for the owner", field="approves")
        if self.protected and self.role not in _MAY_SEE_PROTECTED:
            raise Invalid("the role opens no case at all", field="protected")


@dataclass(frozen=True, kw_only=True)
class WithdrawGrant(AccountCommand):
    """Take a role back. `administrators` is who else could give it out, as far as we know."""

    role: str
    authority: str = ANY_AUTHORITY
    administrators: tuple[str, ...] = field(default=(), metadata=NOT_ASKED)


@dataclass(frozen=True, kw_only=True)
class CloseTo(AccountCommand):
    """Set the authorities whose cases this account never opens; all of them, also earlier ones."""

    authorities: tuple[str, ...] = ()

    def check(self, directory: Directory) -> None:
        """See `Command.check`."""
        super().check(directory)
        for code in self.authorities:
            if directory.authority(code) is None:
                raise Invalid(f"there is no authority {code}", field="authorities")


@dataclass(frozen=True, kw_only=True)
class SetPassword(AccountCommand):
    """Set somebody's password. `hash` is argon2id's, sealed; another each time, so not asked."""

    hash: PersonalField = field(metadata=NOT_ASKED)


@dataclass(frozen=True, kw_only=True)
class ChangePassword(SetPassword):
    """Set one's own password."""

    DEED: ClassVar[Deed] = Deed.OWN_ACCOUNT


@dataclass(frozen=True, kw_only=True)
class LinkIdentity(AccountCommand):
    """Let an identity at a sign-on service open the account. `taken_by`: who has it already."""

    issuer: str
    identity: str
    taken_by: str | None = field(default=None, metadata=NOT_ASKED)


@dataclass(frozen=True, kw_only=True)
class UnlinkIdentity(AccountCommand):
    """Let an identity open the account no longer."""

    identity: str


@dataclass(frozen=True, kw_only=True)
class CloseAccount(AccountCommand):
    """Close an account for good. `administrators` as in `WithdrawGrant`."""

    administrators: tuple[str, ...] = field(default=(), metadata=NOT_ASKED)


@dataclass(frozen=True, kw_only=True)
class IssueToken(AccountCommand):
    """Issue a token to a program; `digest` is its SHA-256, and no part of what is asked."""

    token: str
    digest: str = field(metadata=NOT_ASKED)
    scopes: tuple[str, ...]
    rooms: tuple[str, ...] = ()
    ends_at: datetime

    def check(self, directory: Directory) -> None:
        """See `Command.check`."""
        super().check(directory)
        known = {scope.value for scope in PROGRAM_SCOPES}
        if not self.scopes or not set(self.scopes) <= known:
            raise Invalid(f"the scopes are some of: {', '.join(sorted(known))}", field="scopes")
        for room in self.rooms:
            _check_room(room, directory, "rooms")
        if self.ends_at.tzinfo is None:
            raise Invalid("ends_at has no time zone", field="ends_at")
        if not self.now < self.ends_at <= self.now + timedelta(days=TOKEN_DAYS_MAX):
            raise Invalid(
                f"a token ends later than now, and within {TOKEN_DAYS_MAX} days", field="ends_at"
            )


@dataclass(frozen=True, kw_only=True)
class WithdrawToken(AccountCommand):
    """Withdraw a token."""

    token: str


def _check_rooms(role: Role, authority: str, groups: tuple[str, ...], directory: Directory) -> None:
    if role in AGENTS:
        if not groups or authority != ANY_AUTHORITY:
            raise Invalid("an agent's role is given in answer groups", field="groups")
        for name in groups:
            if directory.group(name) is None:
                raise Invalid(f"there is no answer group {name}", field="groups")
        return
    if groups:
        raise Invalid("answer groups are for agents", field="groups")
    if authority != ANY_AUTHORITY:
        if role not in _OF_AN_AUTHORITY | _OF_EITHER:
            raise Invalid(f"{role} is the centre's: name no authority", field="authority")
        _check_room(authority, directory, "authority")
    elif role in _OF_AN_AUTHORITY:
        raise Invalid(f"{role} is of an authority: say which", field="authority")


def _check_room(code: str, directory: Directory, name: str) -> None:
    authority = directory.authority(code)
    if authority is None:
        raise Invalid(f"there is no authority {code}", field=name)
    if authority.excluded:
        raise Invalid(f"{code} is an excluded area: nothing of it is kept here", field=name)


def decide(state: Account, command: AccountCommand, directory: Directory) -> Sequence[Event]:
    """What a command leads to. Raises: Refused."""
    if isinstance(command, OpenAccount):
        return _open(state, command)
    if not state.id:
        raise AccountUnknown
    if state.closed:
        if isinstance(command, CloseAccount | WithdrawGrant | WithdrawToken | UnlinkIdentity):
            return ()
        raise AccountIsClosed
    if isinstance(command, CloseAccount):
        _not_the_last(state, command.administrators)
        return (AccountClosed(state.id),)
    if isinstance(command, GiveGrant):
        return _give(state, command, directory)
    if isinstance(command, WithdrawGrant):
        return _withdraw(state, command)
    if isinstance(command, CloseTo):
        return _close_to(state, command, directory)
    if isinstance(command, IssueToken):
        return _issue(state, command, directory)
    if isinstance(command, WithdrawToken):
        known = any(token.id == command.token for token in state.tokens)
        return (TokenWithdrawn(state.id, command.token),) if known else ()
    return _sign_in(state, command)


def _open(state: Account, command: OpenAccount) -> Sequence[Event]:
    opened = AccountOpened(command.account, command.kind, command.name, command.break_glass)
    if not state.id:
        return (opened,)
    if state.closed:
        raise AccountIsClosed
    if AccountOpened(state.id, state.kind, state.name, state.break_glass) != opened:
        raise AccountExists
    return ()


def _give(state: Account, command: GiveGrant, directory: Directory) -> Sequence[Event]:
    if state.kind != AccountKind.PERSON:
        raise WrongKind("A program has no roles: issue it a token with scopes.")
    if command.asker.id == state.id:
        raise NotToOneself
    grant = command.grant()
    if grant in state.grants:
        return ()
    kept = (g for g in state.grants if (g.role, g.authority) != (grant.role, grant.authority))
    _one_side((*kept, grant), state.closed_to, directory)
    return (
        GrantGiven(
            state.id, grant.role.value, grant.authority, grant.groups, grant.approves,
            grant.protected,
        ),
    )  # fmt: skip


def _withdraw(state: Account, command: WithdrawGrant) -> Sequence[Event]:
    named = (command.role, command.authority)
    if all((grant.role, grant.authority) != named for grant in state.grants):
        return ()
    if command.role == Role.ADMINISTRATOR:
        _not_the_last(state, command.administrators)
    return (GrantWithdrawn(state.id, *named),)


def _close_to(state: Account, command: CloseTo, directory: Directory) -> Sequence[Event]:
    closed = frozenset(command.authorities)
    if closed == state.closed_to:
        return ()
    if command.asker.id == state.id and not closed >= state.closed_to:
        raise NotToOneself
    _one_side(state.grants, closed, directory)
    for token in state.tokens:
        _one_side(state.asker_of(token).grants, closed, directory)
    return (SidesClosed(state.id, tuple(sorted(closed))),)


def _issue(state: Account, command: IssueToken, directory: Directory) -> Sequence[Event]:
    if state.kind != AccountKind.PROGRAM:
        raise WrongKind("A person signs in: tokens are for programs.")
    scopes, rooms = tuple(sorted(set(command.scopes))), tuple(sorted(set(command.rooms)))
    standing = {token.id: token for token in state.tokens}
    token = Token(command.token, command.digest, command.ends_at, scopes, rooms)
    if command.token in standing:
        if replace(standing[command.token], digest=token.digest) == token:
            return ()
        raise AccountExists("There is a token of that name: withdraw it first.")
    if len(standing) >= ACCOUNT_TOKENS_MAX:
        raise Refused(f"An account has at most {ACCOUNT_TOKENS_MAX} tokens: withdraw one first.")
    _one_side(state.asker_of(token).grants, state.closed_to, directory)
    return (
        TokenIssued(state.id, token.id, token.digest, token.ends_at, scopes=scopes, rooms=rooms),
    )


def _sign_in(state: Account, command: AccountCommand) -> Sequence[Event]:
    if state.kind != AccountKind.PERSON:
        raise WrongKind("A program does not sign in: issue it a token.")
    if isinstance(command, LinkIdentity):
        if state.break_glass:
            raise WrongKind("The emergency account does not hang on a sign-on service.")
        if (command.issuer, command.identity) in state.identities:
            return ()
        if command.taken_by not in {None, state.id}:
            raise AccountExists("That identity opens another account: unlink it there first.")
        return (IdentityLinked(state.id, command.issuer, command.identity),)
    if isinstance(command, UnlinkIdentity):
        known = any(identity == command.identity for _issuer, identity in state.identities)
        return (IdentityUnlinked(state.id, command.identity),) if known else ()
    assert isinstance(command, SetPassword)
    if state.password == command.hash:
        return ()
    return (PasswordSet(state.id, command.hash),)


def _one_side(grants: tuple[Grant, ...], closed_to: frozenset[str], directory: Directory) -> None:
    """Raises: BothSides where a pair of a conflict of interest is opened on both sides."""
    for pair in sides(grants, directory):
        if not pair & closed_to:
            raise BothSides(
                f"This would open both {' and '.join(sorted(pair))}, which are in conflict of"
                " interest: close the account to one of them first.",
                pair=tuple(sorted(pair)),
            )


def _not_the_last(state: Account, administrators: tuple[str, ...]) -> None:
    if state.administers() and not set(administrators) - {state.id}:
        raise LastAdministrator


ACCOUNTS: Final = Decider("account", Account(), evolve, decide)
