"""Load, decide, propose: what every command goes through.

Deciding on a state and recording the outcome are two moments; between them somebody else may be
first. The log decides: a decision carries the versions it was made for, is `Stale` where they do
not follow, and is then decided again under the next id of its chain. Whoever repeats a command, at
this node or another, walks the same chain of ids, and so gets the same answer.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar, cast

from eventsourcing.application import AggregateNotFoundError, Repository
from eventsourcing.persistence import EventStore

from core.access import Verdict, require, verdict
from core.account_rules import ACCOUNTS
from core.call_rules import CALLS
from core.calls import without_caller
from core.case_rules import CASES
from core.change_rules import CATALOGUE
from core.commit import (
    Accepted,
    Answer,
    Draft,
    Fork,
    Happened,
    Recorded,
    attempt_id,
    first_of,
    judged,
)
from core.erasure import ERASURES
from core.errors import Corrupt, Invalid, Refused, Stale
from core.held import HeldMapper, PortRecorder, SnapshotRecorder
from core.limits import DECISION_ATTEMPTS_MAX, SNAPSHOT_EVERY_VERSIONS
from core.reviews import REVIEWS
from core.shifts import SHIFTS
from core.vocabulary import Origin, kind_of

if TYPE_CHECKING:
    from datetime import datetime
    from uuid import UUID

    from core.commands import Command, Decider
    from core.commit import Event, KeptFact, Port
    from core.taxonomy import Directory

State = TypeVar("State")
DirectoryNow = Callable[[], "Directory"]
DECIDERS: Final[Mapping[str, Decider[Any]]] = MappingProxyType(
    {
        decider.name: decider
        for decider in (ACCOUNTS, CALLS, CASES, CATALOGUE, ERASURES, REVIEWS, SHIFTS)
    }
)


class NothingRecorded(Refused):
    """Nothing was recorded under this id, and that is final: ask again with a new one."""


class ChangedSince(Refused):
    """It was changed after you read it: read it again, and then decide."""


class IdUsedBefore(Corrupt):
    """This id was used before to ask for something else: a cloned or rolled-back sender."""


@dataclass(frozen=True)
class Loaded(Generic[State]):
    """A stream's state at a version; 0 where it was never seen. It is its own snapshot."""

    stream: str
    version: int
    state: State

    @property
    def originator_id(self) -> str:
        """The stream, in the library's words."""
        return self.stream

    @property
    def originator_version(self) -> int:
        """The version, in the library's words."""
        return self.version


def projector(
    decider: Decider[State],
) -> Callable[[Loaded[State] | None, Iterable[Any]], Loaded[State] | None]:
    """The library's `projector_func` for a decider: from a snapshot, or nothing, through events."""

    def project(start: Loaded[State] | None, events: Iterable[Any]) -> Loaded[State] | None:
        loaded = start
        for event in events:
            if isinstance(event, Loaded):
                loaded = event
                continue
            state = decider.initial if loaded is None else loaded.state
            loaded = Loaded(event.stream, event.version, decider.evolve(state, event))
        return loaded

    return project


class Application:
    """Handles commands: loads their stream, decides, proposes, and answers when the log has judged.

    On one loop, the port's. `events` is the library's event store to load from; by default one that
    reads through the port.
    """

    def __init__(
        self, port: Port, directory: DirectoryNow, events: EventStore[str] | None = None
    ) -> None:
        self._port = port
        self._directory = directory
        self._events = events or EventStore(HeldMapper(), PortRecorder(port))
        self._snapshots = SnapshotRecorder()
        self._snapshot_store: EventStore[str] = EventStore(HeldMapper(), self._snapshots)
        self._repository: Repository[str] = Repository(
            self._events, snapshot_store=self._snapshot_store
        )
        self._turns: dict[str, tuple[asyncio.Lock, int]] = {}
        self._under_way: set[asyncio.Task[Answer]] = set()

    async def handle(self, command: Command, origin: str = Origin.DESK) -> Answer:
        """Do what `command` asks, or say why not.

        An answer without `recorded` events: it was so already.

        Raises: Refused (the rule that said no), Stale (somebody was first, also after the bounded
        attempts), Unavailable, IdUsedBefore. All are final for the command's id, save Unavailable:
        ask again with it.
        """
        directory = self._directory()
        assert command.actor == command.asker.id, "who asks is who is recorded"
        # Who may not is told so below, after a commit that makes it final; and told that first, not
        # what else is wrong with the command.
        if verdict(command.asker, command.DEED, command.place, directory) is not Verdict.DENIED:
            command.check(directory)
        decider = DECIDERS.get(kind_of(command.stream))
        if decider is None:
            raise Invalid(f"there are no rules for {command.stream}")
        # A caller who goes away must not let the next decision overtake this one's commit.
        task = asyncio.ensure_future(self._in_turn(decider, command, origin, directory))
        self._under_way.add(task)
        task.add_done_callback(self._done)
        return await asyncio.shield(task)

    def _done(self, task: asyncio.Task[Answer]) -> None:
        self._under_way.discard(task)
        if not task.cancelled():
            task.exception()  # told to the caller, if there still is one

    async def _in_turn(
        self, decider: Decider[Any], command: Command, origin: str, directory: Directory
    ) -> Answer:
        """One decision on a stream at a time: none rests on a state that may never be."""
        stream = command.stream
        lock, users = self._turns.get(stream) or (asyncio.Lock(), 0)
        self._turns[stream] = (lock, users + 1)
        try:
            async with lock:
                return await self._attempts(decider, command, origin, directory)
        finally:
            lock, users = self._turns[stream]
            if users == 1:
                del self._turns[stream]
            else:
                self._turns[stream] = (lock, users - 1)

    async def _attempts(
        self, decider: Decider[Any], command: Command, origin: str, directory: Directory
    ) -> Answer:
        for n in range(DECISION_ATTEMPTS_MAX):
            loaded = self.load(decider, command.stream)
            try:
                events = _decided(decider, loaded.state, loaded.version, command, directory)
            except Refused:
                events = ()  # a "no" is as final as a "yes": it is given when the log has judged it
            draft = self._draft(command, n, origin, loaded.version, events)
            answer = await self._port.propose(draft)
            verdict = judged(answer)
            if isinstance(verdict, Fork):
                raise IdUsedBefore(id=command.id)
            first = first_of(verdict)
            if not isinstance(first, Accepted):
                continue
            if len(first.seqs):
                if first is not verdict:  # an earlier attempt's: its events are the answer
                    events = self._recorded_in(command.stream, draft.id)
                return replace(answer, recorded=events)
            return self._nothing(decider, command, directory, answer, first.position)
        raise Stale(stream=command.stream, attempts=DECISION_ATTEMPTS_MAX)

    def _draft(
        self, command: Command, n: int, origin: str, version: int, events: tuple[Event, ...]
    ) -> Draft:
        return Draft(
            id=attempt_id(command.id, n) if n else command.id,
            asking=command.asking(),
            actor=command.actor,
            origin=origin,
            events=tuple(
                Happened(command.stream, event, command.now, version + nth)
                for nth, event in enumerate(events, start=1)
            ),
            about=command.stream,
        )

    def _nothing(
        self,
        decider: Decider[Any],
        command: Command,
        directory: Directory,
        answer: Answer,
        upto: int,
    ) -> Answer:
        """The answer where an empty commit used up the id: what the state at that commit gives.

        Not what this attempt was decided on: another node, or a repeat, decided on another state.
        """
        state, version = decider.initial, 0
        for recorded in self._stream(command.stream):
            if recorded.position <= upto:
                state, version = decider.evolve(state, recorded), recorded.version
        if _decided(decider, state, version, command, directory):
            raise NothingRecorded
        return answer

    def _recorded_in(self, stream: str, commit_id: UUID) -> tuple[Event, ...]:
        return tuple(r.event for r in self._stream(stream) if r.commit_id == commit_id)

    def _stream(self, stream: str) -> Iterable[Recorded]:
        return cast(Iterable[Recorded], self._events.get(stream))

    def load(self, decider: Decider[State], stream: str) -> Loaded[State]:
        """The stream's state as this node has judged it, through the library's repository."""
        try:
            loaded: Any = self._repository.get(
                stream,
                projector_func=cast(Any, projector(decider)),
            )
        except AggregateNotFoundError:
            return Loaded(stream, 0, decider.initial)
        if loaded.version - self._snapshots.version_of(stream) >= SNAPSHOT_EVERY_VERSIONS:
            self._snapshot_store.put([loaded])
        return cast("Loaded[State]", loaded)


def _decided(
    decider: Decider[Any], state: Any, version: int, command: Command, directory: Directory
) -> tuple[Event, ...]:
    """What the rules give, for those who may ask.

    Rights are judged with the state, as any other rule is: whoever repeats a command that was
    accepted gets that answer again, also where the case has since gone out of his or her sight.
    Raises: Refused.
    """
    require(command.asker, command.DEED, decider.place(state, command), directory)
    if command.expected_version not in {None, version}:
        raise ChangedSince  # after the rights: whoever may not know of it is told nothing
    return tuple(decider.decide(state, command, directory))


def fact_draft(  # noqa: PLR0913 -- a fact has these parts
    *,
    id: UUID,  # noqa: A002 -- the draft's own word
    asking: str,
    actor: str,
    origin: str,
    stream: str,
    events: Sequence[Event],
    occurred_at: datetime,
    cause: str | None = None,
) -> Draft:
    """The draft of facts about one stream at one time: without versions, never refused."""
    happened = tuple(Happened(stream, event, occurred_at) for event in events)
    return Draft(id, asking, actor, origin, happened, cause, about=stream)


class GuardedPort:
    """A port that keeps nothing about callers of excluded groups (R11), whatever hands it drafts.

    Facts from exchanges, journals and paper go through it; `core.calls.without_caller` says what is
    emptied.
    """

    def __init__(self, port: Port, directory: DirectoryNow) -> None:
        self._port, self._directory = port, directory

    async def propose(self, draft: Draft) -> Answer:
        """As the port's own."""
        return await self._port.propose(self._suppressed(draft))

    async def propose_many(self, drafts: Sequence[Draft]) -> Sequence[Answer]:
        """As the port's own."""
        return await self._port.propose_many([self._suppressed(draft) for draft in drafts])

    def load(self, stream: str, *, protected: bool = False) -> Sequence[Recorded]:
        """As the port's own."""
        return self._port.load(stream, protected=protected)

    def heads(self, streams: Iterable[str]) -> Mapping[str, int]:
        """As the port's own."""
        return self._port.heads(streams)

    def kept(self, stream: str) -> Sequence[KeptFact]:
        """As the port's own."""
        return self._port.kept(stream)

    def caller_ref(self, number: str) -> str:
        """As the port's own."""
        return self._port.caller_ref(number)

    def _suppressed(self, draft: Draft) -> Draft:
        directory = self._directory()
        events = tuple(
            replace(happened, event=without_caller(happened.event, directory))
            for happened in draft.events
        )
        return draft if events == draft.events else replace(draft, events=events)
