"""Commits, verdicts, ids, and the port through which anyone proposes (design §1).

A *commit* is appended first and judged afterwards. What a house hands in is a `Draft`: events in
clear, with the id made by whoever asks. The port seals, encodes and proposes it, and answers with a
verdict.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import ClassVar, Protocol
from uuid import UUID, uuid5

NAMESPACE = UUID(
    "6b9c1f04-6b7f-5d0c-8a53-0d6f3a1c2e57"
)  # never changes: ids of years ago must come out again


def _origin(name: str) -> UUID:
    return uuid5(NAMESPACE, name)


_DESK, _RESERVE, _PAPER, _TELEPHONY, _IMPORT, _PROCESS, _READ_LOG = map(
    _origin, ("desk", "reserve", "paper", "telephony", "import", "process", "read_log")
)


def desk_id(idempotency_key: str) -> UUID:
    """The id of a command from its client's idempotency key."""
    return uuid5(_DESK, idempotency_key)


def reserve_id(device: str, epoch: int, seq: int) -> UUID:
    """The id of a reserve terminal's entry, the same by network, by USB and by retry."""
    return uuid5(_RESERVE, f"{device}/{epoch}/{seq}")


def paper_id(serial: str) -> UUID:
    """The id of a paper form from its printed number."""
    return uuid5(_PAPER, serial)


def telephony_key(  # noqa: PLR0913 -- the exchange's id has these parts
    exchange: str, uniqueid: str, queue: str, kind: str, member: str, n: int
) -> str:
    """What identifies a fact at an exchange; the intent of its commit, and of its id the name."""
    return f"{exchange}/{uniqueid}/{queue}/{kind}/{member}/{n}"


def telephony_id(key: str) -> UUID:
    """The id of a fact from an exchange; `key` is `telephony_key(...)`."""
    return uuid5(_TELEPHONY, key)


def import_id(name: str, key: str) -> UUID:
    """The id of something imported from the source `name`, by its key there."""
    return uuid5(_IMPORT, f"{name}/{key}")


def process_id(process: str, cause: str) -> UUID:
    """The id of what a process proposes because of the commit or event `cause`."""
    return uuid5(_PROCESS, f"{process}/{cause}")


def read_log_id(name: str) -> UUID:
    """The id of a commit of looks: chain, start of the process and number of the commit there."""
    return uuid5(_READ_LOG, name)


def attempt_id(first: UUID, n: int) -> UUID:
    """The id of the n-th attempt (n >= 1) after `first` was stale: one chain for all who retry."""
    return uuid5(first, str(n))


@dataclass(frozen=True)
class Event:
    """Something that happened.

    Subclasses are frozen dataclasses with keyword defaults for later fields.

    `TOPIC` is `noun.past_verb`, unique, never renamed. `SCHEMA` grows with each incompatible
    change, and then the class has a pure static `upcast_v1_v2(data) -> data` for each step.
    """

    TOPIC: ClassVar[str]
    SCHEMA: ClassVar[int] = 1


@dataclass(frozen=True, slots=True)
class Happened:
    """One event of a draft: where it goes and when it happened (not when it was told).

    `version` is None for a fact, or the stream's next version for a decision.
    """

    stream: str
    event: Event
    occurred_at: datetime
    version: int | None = None


@dataclass(frozen=True, slots=True)
class Draft:
    """What somebody wants recorded.

    `asking` is what identifies the asking, in clear; the port keys it.

    Shape: the events are all of one shard; none at all is a draft too (small print 4), and then
    `about` names the stream whose shard it is judged in. `also_as_fact`: where the log cannot be
    reached it is recorded all the same, without its versions.
    """

    id: UUID
    asking: str
    actor: str
    origin: str
    events: tuple[Happened, ...]
    cause: str | None = None
    correlation: str | None = None
    about: str | None = None
    also_as_fact: bool = False

    @property
    def may_be_kept(self) -> bool:
        """Whether it is a fact, or stands for one: a node that is cut off keeps it."""
        return bool(self.events) and (
            self.also_as_fact or all(happened.version is None for happened in self.events)
        )


@dataclass(frozen=True, slots=True)
class Accepted:
    """The commit is recorded.

    `seqs` are its events' dense numbers in the shard, `position` its own.
    """

    position: int
    seqs: range


@dataclass(frozen=True, slots=True)
class StaleVerdict:
    """A version did not follow its stream's head: somebody was first. Final for this id."""

    position: int
    stream: str
    head: int


@dataclass(frozen=True, slots=True)
class Duplicate:
    """The id was judged before with the same intent: `first` is the answer again."""

    first: Accepted | StaleVerdict


@dataclass(frozen=True, slots=True)
class Fork:
    """The id was judged before with another intent: kept aside, never applied."""

    first: Accepted | StaleVerdict


Verdict = Accepted | StaleVerdict | Duplicate | Fork


@dataclass(frozen=True, slots=True)
class Kept:
    """Not judged yet: a fact that stands in this node's journal, durably.

    It is proposed, with its id, when the node has the log again. `number` is its place in the
    journal. Decisions and empty commits are never kept.
    """

    number: int


def first_of(verdict: Verdict) -> Accepted | StaleVerdict:
    """The verdict itself, or the one that it repeats."""
    return verdict.first if isinstance(verdict, Duplicate | Fork) else verdict


@dataclass(frozen=True)
class Recorded:
    """An event as read back from the log, with its surroundings.

    Has `originator_id` and `originator_version`, by which the `eventsourcing` library knows it.
    """

    stream: str
    version: int
    shard: str
    position: int
    seq: int
    commit_id: UUID
    actor: str
    origin: str
    recorded_at: datetime
    occurred_at: datetime
    event: Event

    @property
    def originator_id(self) -> str:
        """The stream, in the library's words."""
        return self.stream

    @property
    def originator_version(self) -> int:
        """The version, in the library's words."""
        return self.version


@dataclass(frozen=True, slots=True)
class KeptFact:
    """One event of a commit in this node's journal, personal fields opened: not judged yet."""

    stream: str
    commit_id: UUID
    actor: str
    origin: str
    recorded_at: datetime
    occurred_at: datetime
    event: Event


@dataclass(frozen=True, slots=True)
class Answer:
    """What a proposer learns: the verdict, and where it stands (`shard`, such as `calls/0`).

    `durability` is `log`, or `local` where the verdict is `Kept`.
    """

    verdict: Verdict | Kept
    shard: str
    durability: str = "log"
    recorded: tuple[Event, ...] = field(default=())


def judged(answer: Answer) -> Verdict:
    """The verdict on a decision, which is never kept."""
    assert not isinstance(answer.verdict, Kept), "only facts are kept"
    return answer.verdict


class Port(Protocol):
    """The one way into the log, and back to what this node has judged.

    All on the node's own loop.
    """

    async def propose(self, draft: Draft) -> Answer:
        """Record `draft`; answers when this node has judged it.

        Raises: Refused, Unavailable, Corrupt.
        """
        ...

    async def propose_many(self, drafts: Sequence[Draft]) -> Sequence[Answer]:
        """Record many at once; verdicts in the order of `drafts`.

        Drafts of one stream keep their order.
        """
        ...

    def load(self, stream: str, *, protected: bool = False) -> Sequence[Recorded]:
        """The stream's events in order of version, personal fields opened; empty if never seen.

        Fields of a protected identity stay `Sealed` unless `protected` asks for them: only on
        behalf of somebody for whom `core.access` has allowed it at that very place.
        """
        ...

    def heads(self, streams: Iterable[str]) -> Mapping[str, int]:
        """The last version of each of `streams`; those never seen are left out."""
        ...

    def kept(self, stream: str) -> Sequence[KeptFact]:
        """What this node has kept about the stream and the log has not judged, in its order."""
        ...

    def caller_ref(self, number: str) -> str:
        """The keyed hash by which a caller's number is looked up and counted; never the number."""
        ...


Clock = Callable[[], datetime]
