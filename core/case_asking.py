"""What every command about a case has, and what is looked at before anything is loaded."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from core.access import NOBODY, Deed, Place, Role
from core.case_refusals import AuthorityExcluded, AuthorityUnknown
from core.commands import Command
from core.errors import Invalid
from core.vocabulary import case_stream

if TYPE_CHECKING:
    from enum import StrEnum

    from core.taxonomy import AnswerGroup, Directory


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
        if self.asker is not NOBODY and self.agent != self.asker.id:  # noqa: SIM102
            if not self.asker.is_a(Role.PROGRAM):
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
