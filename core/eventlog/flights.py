"""Commits on their way into the log, and whoever waits for their verdicts."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from core.commit import Accepted, Duplicate, Verdict
from core.errors import Corrupt, KontaktcenterError, Unavailable, Unknown
from core.eventlog.envelope import Claim

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    RawOf = Callable[[Accepted], bytes | None]


class Told(Protocol):
    """Whoever waits for verdicts: a future, or a thread's own way of waiting."""

    def done(self) -> bool:
        """Whether the outcome is known already."""
        ...

    def set_result(self, result: list[Verdict], /) -> None:
        """They were judged."""
        ...

    def set_exception(self, exception: BaseException, /) -> None:
        """They were not, or it is not known."""
        ...


@dataclass(slots=True)
class Group:
    """Commits that were proposed together, and whoever waits for their verdicts.

    `asked_s` is the loop's time when they were.
    """

    future: Told
    verdicts: list[Verdict | None]
    missing: int
    asked_s: float = 0.0


@dataclass(slots=True)
class Item:
    """One commit, and its place in its group.

    `since` is the shard's position when it was asked for; `again` is set when an append of it has
    ended without a known outcome.
    """

    raw: bytes
    claim: Claim
    group: Group
    slot: int
    since: int = 0
    again: bool = False

    def told(self, verdict: Verdict | None, recorded: RawOf) -> Verdict | None:
        """What its proposer hears: of its own earlier copy, the verdict itself.

        Another's commit under the same id is none: two nodes may give one number to two facts.
        """
        if not isinstance(verdict, Duplicate) or verdict.first.position <= self.since:
            return verdict
        first = verdict.first
        if isinstance(first, Accepted) and recorded(first) not in {None, self.raw}:
            return verdict
        return first


@dataclass(slots=True, eq=False)
class Flight:
    """An envelope on its way: its format, its items in order, and the record that they make.

    `streams` are those of its items, where another may be under way beside it.
    """

    format: int
    items: list[Item] = field(default_factory=list)
    body: bytes = b""
    streams: set[str] = field(default_factory=set)

    def resolve(self, verdicts: Sequence[Verdict | None], recorded: RawOf) -> None:
        """Tell the verdicts, in the order of the items; none where the whole record was void.

        `recorded` gives the bytes of an accepted commit with events.
        """
        whole = len(verdicts) == len(self.items)
        for verdict in verdicts:  # not `in`, which would ask every verdict whether it equals None
            whole = whole and verdict is not None
        if not whole:
            msg = "the log's format was raised while this was under way: ask again with the same id"
            self.fail(Unavailable(msg, neighbour="log", retry_after_s=1))
            return
        for item, verdict in zip(self.items, verdicts, strict=True):
            group = item.group
            group.verdicts[item.slot] = item.told(verdict, recorded) if item.again else verdict
            group.missing -= 1
            if not group.missing and not group.future.done():
                group.future.set_result(group.verdicts)  # type: ignore[arg-type]  # none is missing

    def fail(self, error: KontaktcenterError) -> None:
        """Tell everyone who still waits."""
        for item in self.items:
            if not item.group.future.done():
                item.group.future.set_exception(error)


def unknown(why: str) -> Unknown:
    """What to tell those whose commit was sent and not judged."""
    msg = f"it is not known whether this was recorded ({why}): ask again with the same id"
    return Unknown(msg, neighbour="log", retry_after_s=5)


def unforeseen(error: Exception) -> Corrupt:
    """A mistake in the program, as what stops a shard."""
    msg = (
        f"this node met what it was not made for ({type(error).__name__}: {error}) and stopped: "
        "start it again, and report it"
    )
    return Corrupt(msg)
