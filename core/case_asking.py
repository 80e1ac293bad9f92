"""What every command about a case has, and what is looked at before anything is loaded."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Final

from core.access import NOBODY, Deed, Place, Role
from core.case_refusals import AuthorityExcluded, AuthorityUnknown
from core.commands import Command
from core.errors import Invalid
from core.vocabulary import case_stream

if TYPE_CHECKING:
    from enum import StrEnum

    from core.taxonomy import AnswerGroup, Directory


# Crockford's 32: no I, L, O or U, which are misread and misheard on a telephone.
_LETTERS: Final = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_HALF: Final = 5  # twice five letters: 50 bits, so that two of a room's cases do not meet


def case_number(authority: str, case: str) -> str:
    """The number that people are told where nobody gave another, such as `TK-4T9QK-2XW7M`.

    Made of the authority and the id alone, so that a repeat tells the same. Of two million cases of
    one authority, two share a number with a chance of 0.2 %.
    """
    digest = int.from_bytes(hashlib.sha256(f"{authority}/{case}".encode()).digest()[:8])
    letters = [_LETTERS[digest >> 5 * n & 31] for n in range(2 * _HALF)]
    return f"{authority}-{''.join(letters[:_HALF])}-{''.join(letters[_HALF:])}"


@dataclass(frozen=True, kw_only=True)
class CaseCommand(Command):
    """A command about one case of `authority`; `case` is its id within that authority's room.

    `agent` is who does it: the asker, or whom a program speaks for.
    """

    DEED: ClassVar[Deed] = Deed.WORK_CASE

    authority: str
    case: str
    agent: str

    @property
    def stream(self) -> str:
        """The case's stream, in the authority's own book."""
        return case_stream(self.authority, self.case)

    @property
    def place(self) -> Place:
        """The room; who registered and received the case is the state's to tell."""
        return Place(authority=self.authority)

    def check(self, directory: Directory) -> None:
        """See `Command.check`."""
        super().check(directory)
        known_authority(directory, self.authority)
        if "/" in self.case:
            raise Invalid(f"case is {self.case!r}; an id has no slash", field="case")
        # Who registered a case may see it: nobody gets in by naming somebody else as the doer.
        for_another = self.asker is not NOBODY and self.agent != self.asker.id
        if for_another and not self.asker.is_a(Role.PROGRAM):
            raise Invalid("agent is somebody else than who asks", field="agent")


def one_of(field: str, value: str, allowed: type[StrEnum]) -> None:
    """Raises: Invalid where `value` is no member of `allowed`, listing them."""
    if value not in set(allowed):
        listed = ", ".join(allowed)
        raise Invalid(f"{field} is {value!r}; it may be one of: {listed}", field=field)


def known_group(directory: Directory, group: str, field: str = "group") -> AnswerGroup:
    """The answer group of that id.

    Raises: Invalid where there is none; AuthorityExcluded where it is for an excluded area, of
    which a case tells nothing: the call's own transfer is all that is kept (R11).
    """
    found = directory.group(group)
    if found is None:
        raise Invalid(f"there is no answer group {group}", field=field)
    if found.excluded:
        raise AuthorityExcluded(group=group)
    return found


def known_authority(directory: Directory, authority: str) -> None:
    """Raises: AuthorityUnknown; AuthorityExcluded."""
    found = directory.authority(authority)
    if found is None:
        raise AuthorityUnknown(f"There is no authority {authority}.", authority=authority)
    if found.excluded:
        raise AuthorityExcluded(authority=authority)
