"""The table of rights: which role may do which deed, how far, and for which purposes it looks.

Nothing is decided here; `core.access` does that, with this table and the three borders.
"""

from __future__ import annotations

from enum import Enum, StrEnum
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping


class Role(StrEnum):
    """What somebody is, in one authority or in the centre."""

    AGENT_1 = "agent_1"
    AGENT_2 = "agent_2"
    ON_CALL_EXPERT = "on_call_expert"
    CASE_OFFICER = "case_officer"
    REGISTRAR = "registrar"
    COMMUNICATOR = "communicator"
    SHIFT_LEAD = "shift_lead"
    COORDINATOR = "coordinator"
    ANALYST = "analyst"
    AUDITOR = "auditor"
    ADMINISTRATOR = "administrator"
    PROGRAM = "program"


class Purpose(StrEnum):
    """Why somebody looks at personal data; it stands in the read log."""

    CONTACT = "contact"
    CASEWORK = "casework"
    REGISTRY = "registry"
    RIGHT_TO_KNOW = "right_to_know"
    DISCLOSURE = "disclosure"
    FOLLOW_UP = "follow_up"
    OVERSIGHT = "oversight"
    OPERATION = "operation"


class Deed(StrEnum):
    """What can be done. Every command and every query is one of these."""

    # calls and shifts
    WORK_CALL = "work_call"
    WORK_SHIFT = "work_shift"
    RECORD_FACTS = "record_facts"
    # cases, changing them
    REGISTER_CASE = "register_case"
    WORK_CASE = "work_case"
    ANSWER_CASE = "answer_case"
    RECEIVE_CASE = "receive_case"
    HANDLE_CASE = "handle_case"
    DECIDE_CASE = "decide_case"
    CLOSE_CASE = "close_case"
    KEEP_REGISTER = "keep_register"
    PROTECT_CASE = "protect_case"
    DISCLOSE_CASE = "disclose_case"
    # cases, looking at them
    READ_CASE = "read_case"
    SEARCH_CASES = "search_cases"
    READ_HISTORY = "read_history"
    READ_WORK_LIST = "read_work_list"
    READ_CASE_FIGURES = "read_case_figures"
    # the centre
    READ_QUEUES = "read_queues"
    READ_ALARMS = "read_alarms"
    READ_STAFF_FIGURES = "read_staff_figures"
    REVIEW_FACTS = "review_facts"
    REVIEW_CASES = "review_cases"
    READ_CATALOGUE = "read_catalogue"
    PROPOSE_CHANGE = "propose_change"
    APPROVE_CHANGE = "approve_change"
    SET_CATALOGUE = "set_catalogue"
    MANAGE_ACCOUNTS = "manage_accounts"
    OWN_ACCOUNT = "own_account"
    # privacy
    SUBJECT_ACCESS = "subject_access"
    DECIDE_ERASURE = "decide_erasure"
    EXPORT_ARCHIVE = "export_archive"
    READ_LOOKS = "read_looks"


class Reach(Enum):
    """How far a role's right to a deed goes."""

    EVERYWHERE = "everywhere"  # in any room; for what tells nothing of a room
    ROOM = "room"  # in the rooms that the grant opens
    REGISTERED = "registered"  # in those, and cases that the asker registered and nobody took over
    SELF = "self"  # what is the asker's own
    LEAD = "lead"  # anybody's, for those who lead the work


_AGENTS = (Role.AGENT_1, Role.AGENT_2)
_CASE_STAFF = (*_AGENTS, Role.ON_CALL_EXPERT, Role.CASE_OFFICER, Role.REGISTRAR)
_STAFF = tuple(role for role in Role if role is not Role.PROGRAM)


def _all(roles: tuple[Role, ...], reach: Reach) -> dict[Role, Reach]:
    return dict.fromkeys(roles, reach)


# The whole of it: who has a deed, and how far. Who is not named has it not.
RIGHTS: Final[Mapping[Deed, Mapping[Role, Reach]]] = MappingProxyType(
    {
        Deed.WORK_CALL: {
            **_all(_AGENTS, Reach.SELF), Role.ON_CALL_EXPERT: Reach.SELF,
            Role.CASE_OFFICER: Reach.SELF, Role.SHIFT_LEAD: Reach.LEAD,
        },
        Deed.WORK_SHIFT: {
            **_all(_AGENTS, Reach.SELF), Role.ON_CALL_EXPERT: Reach.SELF,
            Role.CASE_OFFICER: Reach.SELF, Role.SHIFT_LEAD: Reach.LEAD,
        },
        Deed.RECORD_FACTS: {},  # programs alone, by scope
        Deed.REGISTER_CASE: _all(_CASE_STAFF, Reach.EVERYWHERE),
        Deed.WORK_CASE: {
            **_all(_AGENTS, Reach.REGISTERED), Role.ON_CALL_EXPERT: Reach.REGISTERED,
            Role.CASE_OFFICER: Reach.REGISTERED, Role.REGISTRAR: Reach.REGISTERED,
        },
        Deed.ANSWER_CASE: {
            **_all(_AGENTS, Reach.REGISTERED), Role.ON_CALL_EXPERT: Reach.ROOM,
            Role.CASE_OFFICER: Reach.ROOM,
        },
        Deed.RECEIVE_CASE: {Role.CASE_OFFICER: Reach.ROOM, Role.ON_CALL_EXPERT: Reach.ROOM},
        Deed.HANDLE_CASE: {Role.CASE_OFFICER: Reach.ROOM, Role.ON_CALL_EXPERT: Reach.ROOM},
        # level 2 where the owner has moved a simple step there (R14); the step's flag stops it else
        Deed.DECIDE_CASE: _all(
            (Role.AGENT_2, Role.CASE_OFFICER, Role.ON_CALL_EXPERT), Reach.ROOM
        ),
        Deed.CLOSE_CASE: {
            **_all(_AGENTS, Reach.REGISTERED), Role.ON_CALL_EXPERT: Reach.ROOM,
            Role.CASE_OFFICER: Reach.ROOM, Role.REGISTRAR: Reach.ROOM,
        },
        Deed.KEEP_REGISTER: {Role.REGISTRAR: Reach.ROOM},
        Deed.PROTECT_CASE: {Role.CASE_OFFICER: Reach.ROOM, Role.REGISTRAR: Reach.ROOM},
        Deed.DISCLOSE_CASE: {Role.REGISTRAR: Reach.ROOM},
        Deed.READ_CASE: {
            **_all(_AGENTS, Reach.REGISTERED), Role.ON_CALL_EXPERT: Reach.ROOM,
            Role.CASE_OFFICER: Reach.ROOM, Role.REGISTRAR: Reach.ROOM,
        },
        Deed.SEARCH_CASES: _all(_CASE_STAFF, Reach.ROOM),
        Deed.READ_HISTORY: _all(_CASE_STAFF, Reach.ROOM),
        Deed.READ_WORK_LIST: _all(_CASE_STAFF, Reach.ROOM),
        Deed.READ_CASE_FIGURES: {
            Role.CASE_OFFICER: Reach.ROOM, Role.REGISTRAR: Reach.ROOM, Role.ANALYST: Reach.ROOM,
        },
        Deed.READ_QUEUES: _all(_STAFF, Reach.EVERYWHERE),
        # that a receipt is missing, since when and from whom; nothing of the matter
        Deed.READ_ALARMS: _all((Role.SHIFT_LEAD, Role.COORDINATOR), Reach.EVERYWHERE),
        # figures of single agents: for those who lead and plan the work
        Deed.READ_STAFF_FIGURES: _all(
            (Role.SHIFT_LEAD, Role.COORDINATOR, Role.ANALYST), Reach.EVERYWHERE
        ),
        # what contradicts the rest, in calls, shifts and the centre's own; and in an owner's cases
        Deed.REVIEW_FACTS: _all(
            (Role.SHIFT_LEAD, Role.COORDINATOR, Role.ADMINISTRATOR), Reach.EVERYWHERE
        ),
        Deed.REVIEW_CASES: _all((Role.CASE_OFFICER, Role.REGISTRAR), Reach.ROOM),
        Deed.READ_CATALOGUE: _all(_STAFF, Reach.EVERYWHERE),
        Deed.PROPOSE_CHANGE: _all(
            (Role.ADMINISTRATOR, Role.COMMUNICATOR, Role.CASE_OFFICER, Role.SHIFT_LEAD),
            Reach.EVERYWHERE,
        ),
        Deed.APPROVE_CHANGE: {Role.CASE_OFFICER: Reach.ROOM},  # and the grant has to say so
        Deed.SET_CATALOGUE: {Role.ADMINISTRATOR: Reach.EVERYWHERE},
        Deed.MANAGE_ACCOUNTS: {Role.ADMINISTRATOR: Reach.EVERYWHERE},
        Deed.OWN_ACCOUNT: _all(_STAFF, Reach.SELF),
        Deed.SUBJECT_ACCESS: {Role.REGISTRAR: Reach.ROOM},
        Deed.DECIDE_ERASURE: {Role.REGISTRAR: Reach.ROOM},
        Deed.EXPORT_ARCHIVE: {Role.REGISTRAR: Reach.ROOM},
        Deed.READ_LOOKS: {Role.AUDITOR: Reach.EVERYWHERE},
    }
)  # fmt: skip
assert set(RIGHTS) == set(Deed), "a deed without a row would be nobody's by oversight"

# Purposes that a role may look for; the first is meant where none is said.
PURPOSES: Final[Mapping[Role, tuple[Purpose, ...]]] = MappingProxyType(
    {
        Role.AGENT_1: (Purpose.CONTACT,),
        Role.AGENT_2: (Purpose.CONTACT,),
        Role.ON_CALL_EXPERT: (Purpose.CONTACT, Purpose.CASEWORK),
        Role.CASE_OFFICER: (Purpose.CASEWORK,),
        Role.REGISTRAR: (Purpose.REGISTRY, Purpose.RIGHT_TO_KNOW, Purpose.DISCLOSURE),
        Role.COMMUNICATOR: (),
        Role.SHIFT_LEAD: (),
        Role.COORDINATOR: (),
        Role.ANALYST: (Purpose.FOLLOW_UP,),
        Role.AUDITOR: (Purpose.OVERSIGHT,),
        Role.ADMINISTRATOR: (Purpose.OPERATION,),
        Role.PROGRAM: (Purpose.OPERATION,),
    }
)

# What a program's token may be scoped to: it records, registers, takes receipts and reads figures.
PROGRAM_SCOPES: Final = frozenset(
    {
        Deed.RECORD_FACTS, Deed.WORK_CALL, Deed.WORK_SHIFT, Deed.REGISTER_CASE, Deed.RECEIVE_CASE,
        Deed.READ_QUEUES, Deed.READ_STAFF_FIGURES, Deed.READ_CATALOGUE, Deed.READ_CASE_FIGURES,
        Deed.READ_WORK_LIST, Deed.READ_CASE,
    }
)  # fmt: skip

_MEANT: Final[Mapping[Reach, str]] = MappingProxyType(
    {
        Reach.EVERYWHERE: "yes",
        Reach.ROOM: "room",
        Reach.REGISTERED: "room, own",
        Reach.SELF: "own",
        Reach.LEAD: "all",
    }
)


_INTRODUCTION: Final = """# Who may do what

Made by `make docs` from `core.rights`; do not edit. An empty cell is a no.

- **yes**: everywhere; it tells nothing of a single authority's cases.
- **room**: in the authorities that the person's rights open. An agent's rooms are those of the
  answer groups; everybody else's stand in the right itself.
- **room, own**: there, and cases that the person registered, until somebody else works on them.
- **own**: the person's own calls, shift or account. **all**: everybody's.

Before every right go three borders: nobody opens both sides of an enforced conflict of interest,
nothing of an excluded area is kept, and a case of a person with a protected identity is there for
nobody without that very right.
"""


def rights_page() -> str:
    """The page `docs/reference/rights.md`: the whole table, and the purposes."""
    roles = [role for role in Role if role is not Role.PROGRAM]
    lines = [
        *_INTRODUCTION.splitlines(),
        "",
        "| deed | " + " | ".join(f"`{role}`" for role in roles) + " |",
        "| --- |" + " --- |" * len(roles),
    ]
    for deed, row in RIGHTS.items():
        cells = [_MEANT[row[role]] if role in row else "" for role in roles]
        lines.append(f"| `{deed}` | " + " | ".join(cells) + " |")
    scopes = ", ".join(f"`{deed}`" for deed in Deed if deed in PROGRAM_SCOPES)
    lines += [
        "",
        f"A program has a token with scopes and rooms. Its scopes may be: {scopes}.",
        "",
        "## Purposes",
        "",
        "Every look at personal data has one; the first is meant where none is said.",
        "",
        "| role | purposes |",
        "| --- | --- |",
    ]
    lines += [f"| `{role}` | {', '.join(PURPOSES[role])} |" for role in Role]
    return "\n".join(lines) + "\n"
