"""The rule of the log: what a commit's place in it means.

Pure; the same on every node, for ever (design §1).

| the commit | verdict |
| --- | --- |
| id judged before, same intent | `Duplicate` with the first verdict |
| id judged before, other intent | `Fork` with the first verdict; never applied |
| an event's version does not follow its stream's head | `StaleVerdict`; final for the id |
| its tracking position is not greater than the last of its name | `StaleVerdict` of that name |
| otherwise | `Accepted`; its events get the shard's next numbers |

A stream never seen may start at any version, 0 or more. An event without a version (a fact) gets
the next. `judge` never looks into `data`: an event that one node does not know must not part the
nodes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from core.commit import Accepted, Duplicate, Fork, StaleVerdict, Verdict

if TYPE_CHECKING:
    from collections.abc import Sequence

FIRST_VERSION = 1  # of a fact in a stream never seen; a decision may start elsewhere
TRACKING_PREFIX = "tracking/"


class ClaimedEvent(Protocol):
    """What the rule sees of an event."""

    @property
    def stream(self) -> str:
        """The stream's name."""
        ...

    @property
    def version(self) -> int | None:
        """The version that a decision expects to be next; None for a fact."""
        ...


class ClaimedTracking(Protocol):
    """What the rule sees of a tracking position."""

    @property
    def name(self) -> str:
        """Whose progress it is."""
        ...

    @property
    def position(self) -> int:
        """How far it has come."""
        ...


class ClaimedCommit(Protocol):
    """What the rule sees of a commit."""

    @property
    def id(self) -> str:
        """The id, made by whoever proposes."""
        ...

    @property
    def intent(self) -> str:
        """The keyed hash of what identifies the asking."""
        ...

    @property
    def events(self) -> Sequence[ClaimedEvent]:
        """In the order in which they get their numbers."""
        ...

    @property
    def tracking(self) -> ClaimedTracking | None:
        """The progress that is recorded with the events."""
        ...


class State(Protocol):
    """The fold of everything judged so far in one shard."""

    position: int
    seq: int

    def head(self, stream: str) -> int | None:
        """The stream's last version, None if never seen."""
        ...

    def first_verdict(self, commit_id: str) -> tuple[str, Accepted | StaleVerdict] | None:
        """The intent and first verdict of an id, None if never judged."""
        ...

    def tracked(self, name: str) -> int | None:
        """The last tracking position of a name, None if there is none."""
        ...


def judge(state: State, commit: ClaimedCommit) -> tuple[Verdict, tuple[int, ...]]:
    """The verdict on the next commit of a shard, and its events' versions if accepted."""
    before = state.first_verdict(commit.id)
    if before is not None:
        intent, first = before
        return (Duplicate(first) if intent == commit.intent else Fork(first)), ()
    position = state.position + 1
    tracking = commit.tracking
    if tracking is not None:
        last = state.tracked(tracking.name)
        if last is not None and tracking.position <= last:
            return StaleVerdict(position, TRACKING_PREFIX + tracking.name, last), ()
    heads: dict[str, int] = {}
    versions = []
    for event in commit.events:
        stream, version = event.stream, event.version
        head = heads[stream] if stream in heads else state.head(stream)
        if version is None:
            version = FIRST_VERSION if head is None else head + 1
        elif (version != head + 1) if head is not None else version < 0:
            return StaleVerdict(position, stream, -1 if head is None else head), ()
        heads[stream] = version
        versions.append(version)
    first_seq = state.seq + 1
    return Accepted(position, range(first_seq, first_seq + len(versions))), tuple(versions)
