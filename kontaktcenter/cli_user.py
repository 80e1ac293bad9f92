"""`kontaktcenter user` and `kontaktcenter token`: who signs in, and what each may do."""

from __future__ import annotations

import getpass
import hashlib
import os
import secrets
import sys
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from core.errors import Invalid
from core.limits import PASSWORD_CHARS_MAX, PASSWORD_CHARS_MIN
from kontaktcenter.cli_common import Data, File, Json, answer, asked, configured, group, say, table
from kontaktcenter.words import _

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from kontaktcenter.config import Config

users = group(_("Who signs in, and what each may do."))
tokens = group(_("Tokens of programs: exchanges, monitors, other systems."))
_TOKEN_BYTES: Final = 32
_DAYS: Final = 365

Account = Annotated[str, typer.Argument(metavar="ACCOUNT", help=_("The account's id, as anna.b."))]
Role = Annotated[
    str, typer.Option("--role", metavar="ROLE", help=_("A role, as case_officer or agent_1."))
]
Authority = Annotated[
    str | None,
    typer.Option("--authority", metavar="CODE", help=_("The authority of the role, as TK.")),
]
Groups = Annotated[
    list[str] | None,
    typer.Option("--group", metavar="GROUP", help=_("An agent's answer group; may be repeated.")),
]
Approves = Annotated[
    bool, typer.Option("--approves", help=_("May approve changes for the authority."))
]
Protected = Annotated[
    bool, typer.Option("--protected", help=_("May open cases of protected identities."))
]
Closed = Annotated[
    list[str] | None,
    typer.Option(
        "--closed-to",
        metavar="CODE",
        help=_("An authority whose cases are never opened; may be repeated."),
    ),
]
By = Annotated[
    str | None,
    typer.Option(
        "--as", metavar="ACCOUNT", help=_("Do it with this account's rights, and in its name.")
    ),
]
Issuer = Annotated[
    str, typer.Option("--issuer", metavar="URL", help=_("The sign-on service's issuer."))
]
Subject = Annotated[
    str, typer.Option("--subject", metavar="SUB", help=_("Who it is there: the claim sub."))
]
Program = Annotated[str, typer.Argument(metavar="ACCOUNT", help=_("The program's account."))]


@users.command(help=_("Open an account; the password is asked for, or read from stdin."))
def create(  # noqa: PLR0913 -- its flags
    account: Account,
    role: Annotated[
        str | None,
        typer.Option("--role", metavar="ROLE", help=_("Its first role, as administrator.")),
    ] = None,
    authority: Authority = None,
    groups: Groups = None,
    approves: Approves = False,
    protected: Protected = False,
    closed_to: Closed = None,
    name: Annotated[
        str | None, typer.Option(help=_("The name on the screen; sealed in the log."))
    ] = None,
    break_glass: Annotated[
        bool, typer.Option("--break-glass", help=_("For emergencies: each use raises an alarm."))
    ] = False,
    no_password: Annotated[
        bool, typer.Option("--no-password", help=_("It signs in at the sign-on service alone."))
    ] = False,
    by: By = None,
    data: Data = None,
    config: File = None,
    as_json: Json = False,
) -> int:
    """Open an account."""
    found = configured(data, config)
    given = {"role": role, "authority": authority, "groups": groups, "closed_to": closed_to}
    flags = {"approves": approves, "protected": protected, "break_glass": break_glass}
    hashed = None if no_password else _new_hash(account, name or "")
    args = {"account": account, "name": name, "hash": hashed, "as": by, **given, **flags}
    return answer(asked(found, "user.create", args), as_json, _said(_("{account}: opened")))


@users.command(help=_("Give a role, in an authority or in answer groups."))
def grant(  # noqa: PLR0913 -- its flags
    account: Account,
    role: Role,
    authority: Authority = None,
    groups: Groups = None,
    approves: Approves = False,
    protected: Protected = False,
    by: By = None,
    data: Data = None,
    config: File = None,
    as_json: Json = False,
) -> int:
    """Give a role."""
    args = {
        "account": account, "role": role, "authority": authority, "groups": groups,
        "approves": approves, "protected": protected, "as": by,
    }  # fmt: skip
    return _asked(configured(data, config), "user.grant", args, as_json, _("{account}: given"))


@users.command(help=_("Take a role back; it holds at once."))
def withdraw(  # noqa: PLR0913 -- its flags
    account: Account,
    role: Role,
    authority: Authority = None,
    by: By = None,
    data: Data = None,
    config: File = None,
    as_json: Json = False,
) -> int:
    """Take a role back."""
    args = {"account": account, "role": role, "authority": authority, "as": by}
    text = _("{account}: taken back")
    return _asked(configured(data, config), "user.withdraw", args, as_json, text)


@users.command("close-to", help=_("Set the authorities whose cases the account never opens."))
def close_to(  # noqa: PLR0913 -- its flags
    account: Account,
    authorities: Annotated[
        list[str] | None,
        typer.Argument(metavar="CODE…", help=_("All of them, also earlier ones; none opens all.")),
    ] = None,
    by: By = None,
    data: Data = None,
    config: File = None,
    as_json: Json = False,
) -> int:
    """Set the sides that an account never opens."""
    args = {"account": account, "closed_to": authorities or [], "as": by}
    text = _("{account}: closed to these")
    return _asked(configured(data, config), "user.close_to", args, as_json, text)


@users.command("list", help=_("All accounts with their roles; closed ones too."))
def list_all(data: Data = None, config: File = None, as_json: Json = False) -> int:
    """List the accounts."""
    return answer(asked(configured(data, config), "user.list_all", {}), as_json, _listed)


@users.command(help=_("Close an account for good; its sessions and tokens end at once."))
def close(
    account: Account, by: By = None, data: Data = None, config: File = None, as_json: Json = False
) -> int:
    """Close an account."""
    args = {"account": account, "as": by}
    return _asked(configured(data, config), "user.close", args, as_json, _("{account}: closed"))


@users.command(help=_("Set a password, asked for or read from stdin; open sessions end."))
def password(
    account: Account, by: By = None, data: Data = None, config: File = None, as_json: Json = False
) -> int:
    """Set a password."""
    found = configured(data, config)
    args = {"account": account, "hash": _new_hash(account), "as": by}
    return _asked(found, "user.password", args, as_json, _("{account}: password set"))


@users.command(help=_("Let somebody at the sign-on service open the account."))
def link(  # noqa: PLR0913 -- its flags
    account: Account,
    issuer: Issuer,
    subject: Subject,
    by: By = None,
    data: Data = None,
    config: File = None,
    as_json: Json = False,
) -> int:
    """Link an identity."""
    args = {"account": account, "issuer": issuer, "subject": subject, "as": by}
    return _asked(configured(data, config), "user.link", args, as_json, _("{account}: linked"))


@users.command(help=_("Let somebody at the sign-on service open the account no longer."))
def unlink(  # noqa: PLR0913 -- its flags
    account: Account,
    issuer: Issuer,
    subject: Subject,
    by: By = None,
    data: Data = None,
    config: File = None,
    as_json: Json = False,
) -> int:
    """Unlink an identity."""
    args = {"account": account, "issuer": issuer, "subject": subject, "as": by}
    return _asked(configured(data, config), "user.unlink", args, as_json, _("{account}: unlinked"))


@tokens.command(help=_("Issue a token to a program; it is shown this once."))
def issue(  # noqa: PLR0913 -- its flags
    account: Program,
    scopes: Annotated[
        list[str], typer.Option("--scope", metavar="SCOPE", help=_("A deed; may be repeated."))
    ],
    rooms: Annotated[
        list[str] | None,
        typer.Option("--room", metavar="CODE", help=_("An authority; may be repeated.")),
    ] = None,
    name: Annotated[str, typer.Option(metavar="NAME", help=_("What the token is called."))] = "1",
    days: Annotated[int, typer.Option(min=1, help=_("How long it opens anything."))] = _DAYS,
    by: By = None,
    data: Data = None,
    config: File = None,
    as_json: Json = False,
) -> int:
    """Issue a token."""
    secret = secrets.token_urlsafe(_TOKEN_BYTES)
    args = {
        "account": account, "token": name, "scopes": scopes, "rooms": rooms or [], "as": by,
        "digest": hashlib.sha256(secret.encode()).hexdigest(),
        "ends_at": (datetime.now(UTC) + timedelta(days=days)).isoformat(timespec="seconds"),
    }  # fmt: skip
    result = {**asked(configured(data, config), "token.issue", args), "secret": secret}
    return answer(result, as_json, lambda told: say(str(told["secret"])))


@tokens.command("list", help=_("All tokens: of whom, for what, until when."))
def list_tokens(data: Data = None, config: File = None, as_json: Json = False) -> int:
    """List the tokens."""
    return answer(asked(configured(data, config), "token.list_tokens", {}), as_json, _tokens)


@tokens.command("withdraw", help=_("Withdraw a token; it opens nothing from now on."))
def withdraw_token(  # noqa: PLR0913 -- its flags
    account: Program,
    token: Annotated[str, typer.Argument(metavar="NAME", help=_("What the token is called."))],
    by: By = None,
    data: Data = None,
    config: File = None,
    as_json: Json = False,
) -> int:
    """Withdraw a token."""
    args = {"account": account, "token": token, "as": by}
    text = _("{account}: withdrawn")
    return _asked(configured(data, config), "token.withdraw_token", args, as_json, text)


def _asked(config: Config, verb: str, args: Mapping[str, object], as_json: bool, text: str) -> int:
    return answer(asked(config, verb, args), as_json, _said(text))


def _said(text: str) -> Callable[[Mapping[str, Any]], None]:
    def people(result: Mapping[str, Any]) -> None:
        was_so = result.get("changed") is False
        said = _("{account}: it was so already") if was_so else text
        say(said.format(account=result["account"]))

    return people


def _listed(result: Mapping[str, Any]) -> None:
    rows = [
        [
            row["account"],
            _state(row),
            ", ".join(_grant(one) for one in row["grants"]) or "–",
            ", ".join(row["closed_to"]) or "–",
        ]
        for row in result["accounts"]
    ]
    table([_("account"), _("kind"), _("roles"), _("closed to")], rows, numbers_from=9)


def _state(row: Mapping[str, Any]) -> str:
    if row["closed"]:
        return _("closed")
    if row["break_glass"]:
        return _("emergency")
    return _("program") if row["kind"] == "program" else _("person")


def _grant(one: Mapping[str, Any]) -> str:
    where = " ".join(one["groups"]) or ("" if one["authority"] == "*" else one["authority"])
    return f"{one['role']} {where}".strip()


def _tokens(result: Mapping[str, Any]) -> None:
    rows = [
        [
            row["account"],
            row["token"],
            ", ".join(row["scopes"]),
            ", ".join(row["rooms"]) or "–",
            row["ends_at"],
        ]
        for row in result["tokens"]
    ]
    table([_("account"), _("token"), _("scopes"), _("rooms"), _("ends")], rows, numbers_from=9)


def _new_hash(*names: str) -> str:
    """The hash of a password that a person typed twice, or that came on stdin; it goes no further.

    Raises: Invalid.
    """
    from webdesk.passwords import Passwords, fault_of  # noqa: PLC0415 -- `--help` starts without it

    if sys.stdin.isatty():
        given = getpass.getpass(_("Password: "))
        if given != getpass.getpass(_("Again: ")):
            raise Invalid(_("the two passwords differ"))
    else:
        given = sys.stdin.readline(PASSWORD_CHARS_MAX * 4).removesuffix("\n")
    why = {
        "short": _("a password has at least {n} characters").format(n=PASSWORD_CHARS_MIN),
        "long": _("a password has at most {n} characters").format(n=PASSWORD_CHARS_MAX),
        "name": _("the password must not be the name"),
        "common": _("the password is among the first that are guessed: choose another"),
    }
    fault = fault_of(given, *names)
    if fault is not None:
        raise Invalid(why[fault])
    return Passwords(os.urandom).hash(given)
