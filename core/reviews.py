"""Review items: what the log holds and a person has to look at, because it contradicts the rest.

A fact is never refused for business reasons; one that does not fit is taken and marked (design §1,
"Facts and decisions"). A process opens an item for each, and somebody closes it with what came of
it. An item tells where to look and never of whom: names are taken out of its reason.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING, ClassVar, Final

from core.access import Deed, Place
from core.commands import Command, Decider
from core.commit import Event, process_id
from core.errors import Invalid, NotFound, Refused
from core.personal import PersonalField

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from uuid import UUID

    from core.commit import Recorded
    from core.taxonomy import Directory

PROCESS: Final = "review"
_SOMEBODY: Final = "somebody"


class ReviewKind(StrEnum):
    """Why somebody has to look: a fact contradicts its stream, or an id was used for two things."""

    CONTRADICTED = "contradicted"
    FORK = "fork"


class ReviewOutcome(StrEnum):
    """What came of looking: it was so, it was put right with further facts, or it was a mistake."""

    AS_RECORDED = "as_recorded"
    CORRECTED = "corrected"
    MISTAKEN = "mistaken"


class ReviewUnknown(NotFound):
    """There is no such review item."""


class ReviewIsClosed(Refused):
    """Somebody has closed this review item already."""


@dataclass(frozen=True)
class ReviewOpened(Event):
    """Something is to be reviewed: `event` of the stream `about`, for a `reason` without names.

    A contradicted fact is known by its `version` in the stream and its `position`; a fork by its
    `offset` in the log, because it has neither. `authority` is whose case it is about; `protected`
    whether that was of a protected identity when the item was opened.
    """

    TOPIC: ClassVar[str] = "review.opened"
    kind: str
    about: str
    shard: str
    event: str
    reason: str
    version: int | None = None
    position: int | None = None
    offset: int | None = None
    authority: str | None = None
    protected: bool = False


@dataclass(frozen=True)
class ReviewClosed(Event):
    """`who` has looked: the outcome and, where it is about a case, a note sealed with the case."""

    TOPIC: ClassVar[str] = "review.closed"
    who: str
    outcome: str
    note: PersonalField | None = None


REVIEW_EVENTS: Final = (ReviewOpened, ReviewClosed)


def review_stream(review: str) -> str:
    """The stream of one review item."""
    return f"review/{review}"


def review_id(about: str, version: int) -> UUID:
    """The id of the item, and of the commit that opens it: the same whichever node finds it."""
    return process_id(PROCESS, f"{about}/{version}")


def fork_id(shard: str, commit: str) -> UUID:
    """As `review_id`, for a commit's id that was used for two things; once, however many copies."""
    return process_id(PROCESS, f"fork/{shard}/{commit}")


def without_names(reason: str, names: Iterable[str]) -> str:
    """A reason as an item keeps it: people who are named in it are somebody."""
    for name in sorted({name for name in names if name}, key=len, reverse=True):
        reason = re.sub(rf"(?<!\w){re.escape(name)}(?!\w)", _SOMEBODY, reason)
    return reason


@dataclass(frozen=True)
class ReviewState:
    """One item as it stands; `kind` is empty where it was never opened."""

    kind: str = ""
    about: str = ""
    authority: str | None = None
    protected: bool = False
    closed: tuple[str, str] | None = None  # by whom, and the outcome


def evolve(state: ReviewState, recorded: Recorded) -> ReviewState:
    """The item after one more event. Total."""
    match recorded.event:
        case ReviewOpened() as event if not state.kind:
            return replace(
                state,
                kind=event.kind,
                about=event.about,
                authority=event.authority,
                protected=event.protected,
            )
        case ReviewClosed() as event if state.closed is None:
            return replace(state, closed=(event.who, event.outcome))
    return state


@dataclass(frozen=True, kw_only=True)
class CloseReview(Command):
    """Close an item that is not about a case, with what came of it."""

    DEED: ClassVar[Deed] = Deed.REVIEW_FACTS

    review: str
    outcome: str

    @property
    def stream(self) -> str:
        """The item's stream."""
        return review_stream(self.review)

    def check(self, directory: Directory) -> None:
        """See `Command.check`."""
        super().check(directory)
        if self.outcome not in set(ReviewOutcome):
            raise Invalid(f"outcome may be: {', '.join(ReviewOutcome)}", field="outcome")


@dataclass(frozen=True, kw_only=True)
class CloseCaseReview(CloseReview):
    """Close an item about a case, in the room of the authority that owns it."""

    DEED: ClassVar[Deed] = Deed.REVIEW_CASES

    note: PersonalField | None = None


def place(state: ReviewState, command: Command) -> Place:
    """Where it is done: an item about a case is in its owner's room."""
    if isinstance(command, CloseCaseReview):
        return Place(authority=state.authority, protected=state.protected)
    return command.place


def decide(state: ReviewState, command: Command, directory: Directory) -> Sequence[Event]:
    """The events that the command leads to; none where it is so already. Raises: Refused."""
    del directory  # everything is looked up in `check`
    assert isinstance(command, CloseReview)
    of_a_case = isinstance(command, CloseCaseReview)
    if not state.kind or (state.authority is not None) != of_a_case:
        raise ReviewUnknown
    who = command.actor
    if state.closed is not None:
        if state.closed == (who, command.outcome):
            return []
        raise ReviewIsClosed
    note = command.note if isinstance(command, CloseCaseReview) else None
    return [ReviewClosed(who, command.outcome, note)]


REVIEWS: Final = Decider("review", ReviewState(), evolve, decide, place)
