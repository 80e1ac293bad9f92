"""What the pages of signing in say: faults, roles, rights."""

from __future__ import annotations

from typing import TYPE_CHECKING

from core.access import Deed, Role, rooms
from core.limits import PASSWORD_CHARS_MAX, PASSWORD_CHARS_MIN
from core.taxonomy import ANY_AUTHORITY

if TYPE_CHECKING:
    import gettext
    from collections.abc import Mapping, Sequence

    from core.access import Asker
    from core.taxonomy import Directory
    from webdesk.services import DemoPerson


def fault_text(words: gettext.NullTranslations, fault: str) -> str:
    """A fault for people: what is wrong, and what to do."""
    _ = words.gettext
    name, _space, until = fault.partition(" ")
    texts = {
        "no_account": _("Write your user name"),
        "no_password": _("Write your password"),
        "wrong": _("The user name or the password is wrong. Check both and try again."),
        "locked_out": _("Too many attempts. Wait until {until} and try again.").format(
            until=until or _("a quarter of an hour has passed")
        ),
        "wrong_password": _("The password is wrong. Check it and try again."),
        "wrong_old": _("That is not your password now"),
        "short": _("Choose a password of at least {n} characters").format(n=PASSWORD_CHARS_MIN),
        "long": _("Choose a password of at most {n} characters").format(n=PASSWORD_CHARS_MAX),
        "name": _("Choose a password that is not your name"),
        "common": _("Choose another password: this is among the first that are guessed"),
        "differs": _("The two passwords differ: write the same twice"),
    }
    return texts[name]


def sign_on_fault(words: gettext.NullTranslations, kind: str, name: str) -> str:
    """Why signing in at the provider `name` did not work, and what to do."""
    _ = words.gettext
    texts = {
        "unavailable": _(
            "{name} does not answer. Sign in with a user name and a password, or try again in a"
            " moment."
        ),
        "used": _("The sign-in took too long, or was already used. Begin again."),
        "refused": _("{name} did not sign you in. Begin again."),
        "untrusted": _(
            "The answer of {name} cannot be trusted. Begin again; if it happens again, tell your"
            " administrator."
        ),
        "stranger": _("You signed in at {name}, but no account here belongs to you."),
        "another": _("Somebody else's session is locked here. Sign out first."),
    }
    return texts[kind].format(name=name)


def role_names(words: gettext.NullTranslations) -> Mapping[Role, str]:
    """The roles in people's words, in the order in which lists show them."""
    _ = words.gettext
    return {
        Role.AGENT_1: _("Agent, level 1"),
        Role.AGENT_2: _("Agent, level 2"),
        Role.ON_CALL_EXPERT: _("On-call expert"),
        Role.CASE_OFFICER: _("Case officer"),
        Role.REGISTRAR: _("Registrar"),
        Role.SHIFT_LEAD: _("Shift lead"),
        Role.COORDINATOR: _("Coordinator"),
        Role.COMMUNICATOR: _("Communicator"),
        Role.ANALYST: _("Analyst"),
        Role.AUDITOR: _("Auditor"),
        Role.ADMINISTRATOR: _("Administrator"),
        Role.PROGRAM: _("Program"),
    }


def rights_of(
    asker: Asker, directory: Directory, words: gettext.NullTranslations
) -> list[dict[str, str]]:
    """The asker's roles, and where each holds."""
    _ = words.gettext
    names = role_names(words)
    opened = rooms(asker, Deed.READ_CASE, directory)
    found = []
    for grant in asker.grants:
        if grant.groups:
            groups = [directory.group(name) for name in grant.groups]
            where = ", ".join(group.name for group in groups if group is not None)
        elif grant.authority == ANY_AUTHORITY:
            where = _("The whole centre")
        else:
            authority = directory.authority(grant.authority)
            where = authority.name if authority else grant.authority
            if grant.authority not in opened and grant.role is not Role.ANALYST:
                where += " (" + _("closed by a conflict of interest") + ")"
        extra = [
            text
            for text, held in (
                (_("may approve changes"), grant.approves),
                (_("may open protected identities"), grant.protected),
            )
            if held
        ]
        found.append({"role": names[grant.role], "where": where, "extra": ", ".join(extra)})
    return found


def demo_groups(
    people: Sequence[DemoPerson], words: gettext.NullTranslations
) -> list[tuple[str, list[DemoPerson]]]:
    """The demo's people by role, in the order of `role_names`."""
    return [
        (name, chosen)
        for role, name in role_names(words).items()
        if (chosen := [person for person in people if person.role == role])
    ]
