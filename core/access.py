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
from enum import Enum
from typing import TYPE_CHECKING, Final

from core.errors import NotFound, Refused
from core.rights import PROGRAM_SCOPES, PURPOSES, RIGHTS, Deed, Purpose, Reach, Role
from core.taxonomy import ANY_AUTHORITY

if TYPE_CHECKING:
    from core.taxonomy import Directory

__all__ = [
    "AGENTS", "NOBODY", "OFFICERS", "PROGRAM_SCOPES", "PURPOSES", "RIGHTS", "Asker", "Deed",
    "Grant", "NoSuchCase", "NotAllowed", "Place", "Purpose", "Reach", "Role", "Sight", "Verdict",
    "conflicts", "purpose_of", "require", "rooms", "sides", "sight", "verdict",
]  # fmt: skip


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


@dataclass(frozen=True, slots=True)
class Sight:
    """What somebody sees of cases in lists: `verdict` for many cases at once.

    A case is in sight where its owner or a receiver is in `rooms` and its owner not in `closed`;
    of a protected identity only where such a room is in `protected` too. By default nothing more
    than `rooms` is opened.
    """

    rooms: frozenset[str]
    closed: frozenset[str] = frozenset()
    protected: frozenset[str] = frozenset()
    asker: str | None = None


class NotAllowed(Refused):
    """You may not do this. Ask whoever gives out rights in your centre."""


class NoSuchCase(NotFound):
    """There is no such case."""


_IN_A_ROOM: Final = frozenset(
    deed for deed, row in RIGHTS.items() if {Reach.ROOM, Reach.REGISTERED} & set(row.values())
)
# A receiver works on what was handed over; the owner alone decides, keeps, hides and discloses it.
_OWNERS_ALONE: Final = frozenset(
    {
        Deed.DECIDE_CASE, Deed.KEEP_REGISTER, Deed.PROTECT_CASE, Deed.DISCLOSE_CASE,
        Deed.SUBJECT_ACCESS, Deed.DECIDE_ERASURE, Deed.EXPORT_ARCHIVE, Deed.APPROVE_CHANGE,
        Deed.REVIEW_CASES,
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


def sight(by: Asker, deed: Deed, directory: Directory) -> Sight:
    """What `by` sees for `deed`: what a query of a read model is given. Nobody's deed: nothing."""
    guarded = frozenset(
        code
        for grant in by.grants
        if grant.protected and _reach(by, grant, deed) is not None
        for code in _rooms_of(grant, directory)
    )
    opened = rooms(by, deed, directory)
    return Sight(opened, _closed(by, directory), guarded & opened, by.id)


def verdict(by: Asker, deed: Deed, place: Place, directory: Directory) -> Verdict:
    """Whether `by` may do `deed` at `place`. Pure, total, and without any other rule beside it."""
    reaches = {_reach(by, grant, deed) for grant in by.grants} - {None}
    if not reaches:
        return Verdict.DENIED
    if deed not in _IN_A_ROOM:
        return _outside_rooms(by, reaches, place)
    if place.authority is None:  # a list, a search: of one's rooms, each row judged by itself
        return Verdict.ALLOWED if rooms(by, deed, directory) else Verdict.DENIED
    if _is_excluded(place.authority, directory):  # nothing is kept, whoever registered it once
        return Verdict.HIDDEN
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
    # All pairs are held against all rooms: where two share a side, the order must not decide.
    both = {code for pair in conflicts(directory) if pair <= held for code in pair}
    return frozenset(held - both)


def _closed(by: Asker, directory: Directory) -> frozenset[str]:
    """The authorities that `by` never opens: excluded, said so, or the other side of a pair."""
    opened = {code for grant in by.grants for code in _rooms_of(grant, directory)}
    others = {code for pair in conflicts(directory) for code in pair if (pair - {code}) & opened}
    excluded = {code for code in directory.rows("authority") if _is_excluded(code, directory)}
    return frozenset((others | by.closed_to | excluded) - _opened(by, directory))


def _is_excluded(code: str, directory: Directory) -> bool:
    found = directory.authority(code)
    return found is not None and found.excluded


def _sees_protected(by: Asker, deed: Deed, places: frozenset[str], directory: Directory) -> bool:
    return any(
        grant.protected and _reach(by, grant, deed) is not None
        for grant in by.grants
        if _rooms_of(grant, directory) & places
    )
