"""`user …` and `token …`: who signs in, and what each may do.

Whoever can work with the data folder is the machine's operator and may give out rights; with
`as` it is done with an account's own rights, and recorded as its doing.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final
from uuid import uuid4

from core import account_rules as rules
from core.access import Asker, Grant, Role
from core.accounts import AccountKind
from core.application import Application
from core.errors import NotFound
from core.eventlog.product import product_events
from core.personal import Personal
from core.vocabulary import account_stream
from kontaktcenter.words import _
from webdesk.sign_on_names import identity_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from core.accounts import Account
    from kontaktcenter.out import Out
    from kontaktcenter.wiring import House

ORIGIN: Final = "cli"
OPERATOR: Final = Asker("operator", (Grant(Role.ADMINISTRATOR),))
Args = "Mapping[str, object]"


async def create(house: House, args: Mapping[str, object], _out: Out) -> dict[str, object]:
    """Open a person's account, with a role and a password if they are given. Raises: Refused."""
    account, name = str(args["account"]), args.get("name")
    commands: list[rules.AccountCommand] = [
        rules.OpenAccount(
            **_common(house, args),
            name=Personal(str(name), account_stream(account)) if name else None,
            break_glass=args.get("break_glass") is True,
        )
    ]
    if args.get("closed_to"):
        commands.append(rules.CloseTo(**_common(house, args), authorities=_list(args, "closed_to")))
    if args.get("role"):
        commands.append(rules.GiveGrant(**_common(house, args), **_granted(args)))
    if args.get("hash"):
        commands.append(rules.SetPassword(**_common(house, args), hash=_hash(args)))
    await _handle(house, commands)
    return {"account": account}


async def grant(house: House, args: Mapping[str, object], _out: Out) -> dict[str, object]:
    """Give a role. Raises: Refused."""
    return await _one(house, args, rules.GiveGrant(**_common(house, args), **_granted(args)))


async def withdraw(house: House, args: Mapping[str, object], _out: Out) -> dict[str, object]:
    """Take a role back. Raises: Refused."""
    command = rules.WithdrawGrant(
        **_common(house, args),
        role=str(args["role"]),
        authority=str(args.get("authority") or "*"),
        administrators=house.accounts().administrators(),
    )
    return await _one(house, args, command)


async def close_to(house: House, args: Mapping[str, object], _out: Out) -> dict[str, object]:
    """Set the authorities whose cases the account never opens. Raises: Refused."""
    command = rules.CloseTo(**_common(house, args), authorities=_list(args, "closed_to"))
    return await _one(house, args, command)


async def close(house: House, args: Mapping[str, object], _out: Out) -> dict[str, object]:
    """Close an account for good. Raises: Refused."""
    others = house.accounts().administrators()
    return await _one(
        house, args, rules.CloseAccount(**_common(house, args), administrators=others)
    )


async def password(house: House, args: Mapping[str, object], _out: Out) -> dict[str, object]:
    """Set a password, of which only the hash comes here. Raises: Refused."""
    command = rules.SetPassword(**_common(house, args), hash=_hash(args))
    return await _one(house, args, command)


async def link(house: House, args: Mapping[str, object], _out: Out) -> dict[str, object]:
    """Let an identity at the sign-on service open the account. Raises: Refused."""
    issuer = str(args["issuer"])
    identity = identity_of(house.node, issuer, str(args["subject"]))
    taken = house.accounts().of_identity(issuer, identity)
    command = rules.LinkIdentity(
        **_common(house, args),
        issuer=issuer,
        identity=identity,
        taken_by=taken.id if taken else None,
    )
    return await _one(house, args, command)


async def unlink(house: House, args: Mapping[str, object], _out: Out) -> dict[str, object]:
    """Take an identity off the account. Raises: Refused."""
    identity = identity_of(house.node, str(args["issuer"]), str(args["subject"]))
    command = rules.UnlinkIdentity(**_common(house, args), identity=identity)
    return await _one(house, args, command)


async def list_all(house: House, _args: Mapping[str, object], _out: Out) -> dict[str, object]:
    """All accounts, closed ones too; no names, which are for those who sign in."""
    await house.node.settle()
    found = sorted(house.accounts().by_id.items())
    return {"accounts": [_shown(account) for _id, account in found]}


async def issue(house: House, args: Mapping[str, object], _out: Out) -> dict[str, object]:
    """Issue a token to a program, whose account is opened with its first. Raises: Refused."""
    commands: list[rules.AccountCommand] = []
    if house.accounts().account(str(args["account"])) is None:
        commands.append(rules.OpenAccount(**_common(house, args), kind=AccountKind.PROGRAM.value))
    ends_at = datetime.fromisoformat(str(args["ends_at"]))
    commands.append(
        rules.IssueToken(
            **_common(house, args),
            token=str(args["token"]),
            digest=str(args["digest"]),
            scopes=_list(args, "scopes"),
            rooms=_list(args, "rooms"),
            ends_at=ends_at,
        )
    )
    await _handle(house, commands)
    return {"account": args["account"], "token": args["token"], "ends_at": ends_at.isoformat()}


async def list_tokens(house: House, _args: Mapping[str, object], _out: Out) -> dict[str, object]:
    """All tokens that open something, and those that have ended."""
    await house.node.settle()
    now = house.clock()
    return {
        "tokens": [
            {
                "account": name,
                "token": token.id,
                "scopes": list(token.scopes),
                "rooms": list(token.rooms),
                "ends_at": token.ends_at.isoformat(),
                "ended": token.ends_at <= now,
            }
            for name, account in sorted(house.accounts().by_id.items())
            for token in account.tokens
        ]
    }


async def withdraw_token(house: House, args: Mapping[str, object], _out: Out) -> dict[str, object]:
    """Withdraw a token. Raises: Refused."""
    command = rules.WithdrawToken(**_common(house, args), token=str(args["token"]))
    return await _one(house, args, command)


def _common(house: House, args: Mapping[str, object]) -> dict[str, Any]:
    by = args.get("as")
    asker = house.asker(str(by)) if by else OPERATOR
    return {
        "id": uuid4(),
        "now": house.clock(),
        "actor": asker.id,
        "asker": asker,
        "account": str(args["account"]),
    }


def _granted(args: Mapping[str, object]) -> dict[str, Any]:
    return {
        "role": str(args["role"]),
        "authority": str(args.get("authority") or "*"),
        "groups": _list(args, "groups"),
        "approves": args.get("approves") is True,
        "protected": args.get("protected") is True,
    }


def _hash(args: Mapping[str, object]) -> Personal:
    return Personal(str(args["hash"]), account_stream(str(args["account"])))


def _list(args: Mapping[str, object], name: str) -> tuple[str, ...]:
    found = args.get(name)
    return tuple(map(str, found)) if isinstance(found, list | tuple) else ()


async def _one(
    house: House, args: Mapping[str, object], command: rules.AccountCommand
) -> dict[str, object]:
    changed = await _handle(house, [command])
    return {"account": args["account"], "changed": changed}


async def _handle(house: House, commands: Sequence[rules.AccountCommand]) -> bool:
    """Do them in turn; nothing where one of them could never be done. Raises: Refused."""
    await house.node.settle()
    directory = house.directory()
    for command in commands:
        command.check(directory)
    _exists(house, commands[0])
    application = Application(house.node, house.directory, product_events(house.node))
    changed = False
    for command in commands:
        answer = await application.handle(replace(command, now=house.clock()), ORIGIN)
        changed = changed or bool(answer.recorded)
    await house.node.settle()
    return changed


def _exists(house: House, command: rules.AccountCommand) -> None:
    if isinstance(command, rules.OpenAccount) or command.account in house.accounts().by_id:
        return
    said = _("there is no account {account}; kontaktcenter user list shows them all")
    raise NotFound(said.format(account=command.account))


def _shown(account: Account) -> dict[str, object]:
    return {
        "account": account.id,
        "kind": account.kind,
        "closed": account.closed,
        "break_glass": account.break_glass,
        "grants": [
            {
                "role": grant.role.value,
                "authority": grant.authority,
                "groups": list(grant.groups),
                "approves": grant.approves,
                "protected": grant.protected,
            }
            for grant in account.grants
        ],
        "closed_to": sorted(account.closed_to),
        "password": account.password is not None,
        "identities": len(account.identities),
        "tokens": len(account.tokens),
    }
