"""Who may do what, where, and for which purpose: the one place that decides, for all who ask.

Default deny. Commands and queries ask `verdict` (or `require`) with a `Deed` and a `Place`; there
is no other rule of rights anywhere. Three borders go before every right:

- *Conflict of interest* (jäv, R54): of an enforced pair of authorities nobody opens both. Whoever
  has rights in both, without being closed to one, opens neither. To register is open for all sides.
- *Excluded areas* (R11): nothing about a matter is kept, so there is nothing to open.
- *Protected identities*: only whoever has that right in the room; for all others there is no case.

What somebody may not open does not exist for them: the verdict is `HIDDEN`, and the answer is that
of a case that never was. `DENIED` is for deeds that no case of a room could tell anything about.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, StrEnum
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from core.errors import NotFound, Refused
from core.taxonomy import ANY_AUTHORITY

if TYPE_CHECKING:
    from collections.abc import Mapping

    from core.taxonomy import Directory


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


class Verdict(Enum):
    """The answer. `HIDDEN`: for this asker there is no such case."""

    ALLOWED = "allowed"
    HIDDEN = "hidden"
    DENIED = "denied"


@dataclass(frozen=True, slots=True)
class Grant:
    """A role, given to somebody by a recorded decision.

    `authority` is the room of those who work for an authority, or `ANY_AUTHORITY` for the centre's
    own; agents open the rooms of their answer `groups`. `approves`: may speak for the owner (R45).
    `protected`: may open cases of protected identities in the room.
    """

    role: Role
    authority: str = ANY_AUTHORITY
    groups: tuple[str, ...] = ()
    approves: bool = False
    protected: bool = False


@dataclass(frozen=True, slots=True)
class Asker:
    """Who asks. `closed_to`: authorities whose cases this person never opens (one side of a pair).

    `scopes` are a program's deeds; only `Role.PROGRAM` has them.
    """

    id: str
    grants: tuple[Grant, ...] = ()
    closed_to: frozenset[str] = frozenset()
    scopes: frozenset[str] = frozenset()

    def is_a(self, *roles: Role) -> bool:
        """Whether some grant has one of `roles`."""
        return any(grant.role in roles for grant in self.grants)

    def is_officer_of(self, authority: str) -> bool:
        """Whether the asker handles cases for that authority (exercises its power)."""
        return any(grant.role in OFFICERS and grant.authority == authority for grant in self.grants)


NOBODY: Final = Asker("nobody")
AGENTS: Final = frozenset({Role.AGENT_1, Role.AGENT_2})
OFFICERS: Final = frozenset({Role.CASE_OFFICER, Role.ON_CALL_EXPERT})


@dataclass(frozen=True, slots=True)
class Place:
    """What a deed is done to. All None: the centre as a whole.

    `authority` owns the room; `receivers` are authorities to whom the case was handed over;
    `registered_by` is who registered the case where nobody has taken it over since; `person` is
    whose own matter it is (an agent's call, an account).
    """

    authority: str | None = None
    receivers: frozenset[str] = frozenset()
    registered_by: str | None = None
    protected: bool = False
    person: str | None = None


class NotAllowed(Refused):
    """You may not do this. Ask whoever gives out rights in your centre."""


class NoSuchCase(NotFound):
    """There is no such case."""


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
        Deed.DECIDE_CASE: {Role.CASE_OFFICER: Reach.ROOM, Role.ON_CALL_EXPERT: Reach.ROOM},
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
        Deed.READ_QUEUES, Deed.READ_CATALOGUE, Deed.READ_CASE_FIGURES, Deed.READ_WORK_LIST,
        Deed.READ_CASE,
    }
)  # fmt: skip
_IN_A_ROOM: Final = frozenset(
    deed for deed, row in RIGHTS.items() if {Reach.ROOM, Reach.REGISTERED} & set(row.values())
)
# A receiver works on what was handed over; the owner alone decides, keeps, hides and discloses it.
_OWNERS_ALONE: Final = frozenset(
    {
        Deed.DECIDE_CASE, Deed.KEEP_REGISTER, Deed.PROTECT_CASE, Deed.DISCLOSE_CASE,
        Deed.SUBJECT_ACCESS, Deed.DECIDE_ERASURE, Deed.EXPORT_ARCHIVE, Deed.APPROVE_CHANGE,
    }
)  # fmt: skip
# What shows nothing of a case to whoever does it: open to the one who registered it, on any side.
_SHOWS_NOTHING: Final = frozenset({Deed.WORK_CASE})


def conflicts(directory: Directory) -> frozenset[frozenset[str]]:
    """The enforced pairs: of each, nobody opens both."""
    return frozenset(
        frozenset({str(row.get("a")), str(row.get("b"))})
        for row in directory.rows("conflict_pair").values()
        if row.get("enforced") is True
    )


def rooms(by: Asker, deed: Deed, directory: Directory) -> frozenset[str]:
    """The authorities whose cases `by` opens for `deed`: what every list, search and count is of.

    Never both sides of a pair, never an excluded area; empty where the deed is nobody's there.
    """
    opened = _opened(by, directory)
    return frozenset(
        code
        for grant in by.grants
        if _reach(by, grant, deed) in {Reach.ROOM, Reach.REGISTERED}
        for code in _rooms_of(grant, directory)
        if code in opened and (deed is not Deed.APPROVE_CHANGE or grant.approves)
    )


def verdict(by: Asker, deed: Deed, place: Place, directory: Directory) -> Verdict:
    """Whether `by` may do `deed` at `place`. Pure, total, and without any other rule beside it."""
    reaches = {_reach(by, grant, deed) for grant in by.grants} - {None}
    if not reaches:
        return Verdict.DENIED
    if deed not in _IN_A_ROOM:
        return _outside_rooms(by, reaches, place)
    if place.authority is None:  # a list, a search: of one's rooms, each row judged by itself
        return Verdict.ALLOWED if rooms(by, deed, directory) else Verdict.DENIED
    opened = rooms(by, deed, directory)
    if place.authority in _closed(by, directory):
        opened = frozenset()
    elif deed in _OWNERS_ALONE:
        opened &= {place.authority}
    else:
        opened &= {place.authority, *place.receivers}
    if opened and (not place.protected or _sees_protected(by, deed, opened, directory)):
        return Verdict.ALLOWED
    if Reach.REGISTERED in reaches and place.registered_by == by.id:
        closed = place.protected or place.authority in _closed(by, directory)
        if deed in _SHOWS_NOTHING or not closed:
            return Verdict.ALLOWED
    return Verdict.HIDDEN


def require(by: Asker, deed: Deed, place: Place, directory: Directory) -> None:
    """Return where `by` may do `deed` at `place`.

    Raises: NotAllowed where the deed is not for `by`; NoSuchCase where the place does not exist for
    `by`, in the very words of a case that never was.
    """
    found = verdict(by, deed, place, directory)
    if found is Verdict.DENIED:
        raise NotAllowed(deed=deed.value)
    if found is Verdict.HIDDEN:
        raise NoSuchCase


def purpose_of(by: Asker, deed: Deed, said: str | None = None) -> Purpose:
    """The purpose that a look is made for: the one said, or the first that the role has.

    Raises: NotAllowed where no role of `by` that has the deed may look for it.
    """
    roles = {grant.role for grant in by.grants if _reach(by, grant, deed) is not None}
    allowed = [purpose for role in Role if role in roles for purpose in PURPOSES[role]]
    if said is None and allowed:
        return allowed[0]
    if said not in allowed:
        raise NotAllowed("Your role may not look for this purpose.", deed=deed.value)
    return Purpose(said)


def sides(grants: tuple[Grant, ...], directory: Directory) -> list[frozenset[str]]:
    """The enforced pairs of which `grants` open both sides: one of each has to be closed."""
    opened = {code for grant in grants for code in _rooms_of(grant, directory)}
    return sorted((pair for pair in conflicts(directory) if pair <= opened), key=sorted)


def _reach(by: Asker, grant: Grant, deed: Deed) -> Reach | None:
    if grant.role is not Role.PROGRAM:
        return RIGHTS[deed].get(grant.role)
    if deed not in PROGRAM_SCOPES or deed.value not in by.scopes:
        return None
    if deed in {Deed.WORK_CALL, Deed.WORK_SHIFT}:
        return Reach.LEAD
    return Reach.ROOM if deed in _IN_A_ROOM else Reach.EVERYWHERE


def _outside_rooms(by: Asker, reaches: set[Reach | None], place: Place) -> Verdict:
    if reaches & {Reach.EVERYWHERE, Reach.LEAD} or place.person == by.id:
        return Verdict.ALLOWED
    return Verdict.DENIED


def _rooms_of(grant: Grant, directory: Directory) -> frozenset[str]:
    """The rooms of one grant, before any conflict."""
    if grant.role in AGENTS:
        groups = (directory.group(name) for name in grant.groups)
        codes = {code for group in groups if group is not None for code in group.partition}
    elif grant.authority != ANY_AUTHORITY:
        codes = {grant.authority}
    elif grant.role is Role.ANALYST:
        codes = set(directory.rows("authority"))
    else:
        codes = set()
    return frozenset(
        code for code in codes if (found := directory.authority(code)) and not found.excluded
    )


def _opened(by: Asker, directory: Directory) -> frozenset[str]:
    """All rooms of all grants, less the sides that are closed or in conflict."""
    held = {code for grant in by.grants for code in _rooms_of(grant, directory)} - by.closed_to
    for pair in conflicts(directory):
        if pair <= held:
            held -= pair
    return frozenset(held)


def _closed(by: Asker, directory: Directory) -> frozenset[str]:
    """The authorities that `by` never opens: said so, or the other side of what is opened."""
    opened = {code for grant in by.grants for code in _rooms_of(grant, directory)}
    others = {code for pair in conflicts(directory) for code in pair if (pair - {code}) & opened}
    return frozenset((others | by.closed_to) - _opened(by, directory))


def _sees_protected(by: Asker, deed: Deed, places: frozenset[str], directory: Directory) -> bool:
    return any(
        grant.protected and _reach(by, grant, deed) is not None
        for grant in by.grants
        if _rooms_of(grant, directory) & places
    )
