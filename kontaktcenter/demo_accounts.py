"""The demo's people who sign in: a few of each role, none of whom exists.

They have no passwords: the sign-in page lists them, on this machine alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from core.access import Grant, Role, sides
from core.accounts import AccountOpened, GrantGiven, SidesClosed
from core.application import fact_draft
from core.commit import import_id
from core.personal import Personal
from core.vocabulary import account_stream
from webdesk.services import DemoPerson

if TYPE_CHECKING:
    from datetime import datetime

    from core.commit import Draft, Event
    from core.directory import Directory

ORIGIN: Final = "import:demo"
_OWNERS: Final = ("TK", "MF", "FSK", "SBK")  # whose officers the demo has
_ON_THE_OTHER_SIDE: Final = "demo-agent-2"  # of each conflict of interest, so that both can be seen
_OF_THE_CENTRE: Final = (
    (Role.SHIFT_LEAD, "shift-lead", "Demo Arbetsledare"),
    (Role.COORDINATOR, "coordinator", "Demo Samordnare"),
    (Role.COMMUNICATOR, "communicator", "Demo Kommunikatör"),
    (Role.ANALYST, "analyst", "Demo Analytiker"),
    (Role.AUDITOR, "auditor", "Demo Granskare"),
    (Role.ADMINISTRATOR, "administrator", "Demo Administratör"),
)


def people(directory: Directory) -> list[tuple[DemoPerson, Grant]]:
    """Who they are, with the one role of each."""
    groups = tuple(sorted(name for name, group in directory.groups.items() if not group.excluded))
    found = [
        (Role.AGENT_1, "agent-1", "Demo Vägledare 1", Grant(Role.AGENT_1, groups=groups)),
        (Role.AGENT_1, "agent-2", "Demo Vägledare 2", Grant(Role.AGENT_1, groups=groups)),
        (Role.AGENT_2, "agent-3", "Demo Vägledare 3", Grant(Role.AGENT_2, groups=groups)),
    ]
    for code in (code for code in _OWNERS if directory.authority(code)):
        low = code.lower()
        officer = Grant(Role.CASE_OFFICER, code, approves=True)
        found += [
            (Role.CASE_OFFICER, f"officer-{low}", f"Demo Handläggare {code}", officer),
            (
                Role.REGISTRAR, f"registrar-{low}", f"Demo Registrator {code}",
                Grant(Role.REGISTRAR, code, protected=True),
            ),
        ]  # fmt: skip
    expert = next((code for code in _OWNERS if directory.authority(code)), None)
    if expert is not None:
        found.append(
            (
                Role.ON_CALL_EXPERT,
                "expert-1",
                "Demo Jourexpert 1",
                Grant(Role.ON_CALL_EXPERT, expert),
            )
        )
    found += [(role, key, name, Grant(role)) for role, key, name in _OF_THE_CENTRE]
    return [
        (DemoPerson(f"demo-{key}", name, role.value), grant) for role, key, name, grant in found
    ]


def drafts(directory: Directory, at: datetime) -> list[Draft]:
    """What opens their accounts; a second time it is known already."""
    return [_draft(person, grant, directory, at) for person, grant in people(directory)]


def _draft(person: DemoPerson, grant: Grant, directory: Directory, at: datetime) -> Draft:
    stream = account_stream(person.account)
    side = max if person.account == _ON_THE_OTHER_SIDE else min
    closed = tuple(sorted({side(pair) for pair in sides((grant,), directory)}))
    events: list[Event] = [
        AccountOpened(person.account, name=Personal(person.name, stream)),
        GrantGiven(
            person.account, grant.role.value, grant.authority, grant.groups, grant.approves,
            grant.protected,
        ),
    ]  # fmt: skip
    if closed:
        events.append(SidesClosed(person.account, closed))
    name = f"account/{person.account}/1"
    return fact_draft(
        id=import_id("demo", name), asking=name, actor="demo", origin=ORIGIN, stream=stream,
        events=events, occurred_at=at,
    )  # fmt: skip
