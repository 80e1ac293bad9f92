"""What contradicts the rest is brought to a person: the process that opens review items.

It follows the books, folds each stream that has grown with the rules themselves, and proposes an
item for each fact that the rules mark. The id comes of the fact alone, so any number of nodes and
of restarts make one item of it. How far it has come is kept beside the index: where that is lost,
everything is looked at again and found to be known.
"""

from __future__ import annotations

import asyncio
import json
from contextlib import suppress
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

import structlog

from core.application import DECIDERS
from core.commit import Accepted, Draft, Happened
from core.errors import Corrupt, Unavailable
from core.eventlog.envelope import Unreadable, decode_commit
from core.eventlog.index.file import IndexFile
from core.limits import NUMBER_MAX, PROJECTION_BATCH_COMMITS, REVIEW_STATES_MAX
from core.reviews import (
    PROCESS,
    ReviewKind,
    ReviewOpened,
    fork_id,
    review_id,
    review_stream,
    without_names,
)
from core.vocabulary import LOOKS, Origin, kind_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from core.commands import Contradiction
    from core.commit import Clock, Recorded
    from core.eventlog.node import Node

_MARKED: Final = frozenset({"account", "call", "case", "shift"})  # whose states mark contradictions
# Who acts stands in these fields of events and states; an item names nobody.
_NAMES: Final = ("agent", "officer", "registered_by", "registrar", "account", "name")
_CASE: Final = "case/"
_FORKS_AT_ONCE: Final = 200
_BREATH_S: Final = 0.25  # what changes meanwhile is looked at together
_LOOK_UP_S: Final = 30.0  # a fork moves no position, so it wakes nobody
_AGAIN_S: Final = 5.0  # after the log could not be read or written
_LOG = structlog.get_logger("kontaktcenter.reviewing")


@dataclass(slots=True)
class _Folded:
    """A stream's state, and the version that it was folded up to."""

    state: Any
    version: int = -1


@dataclass(frozen=True, slots=True)
class Found:
    """An item that is to be opened."""

    id: UUID
    asking: str
    event: ReviewOpened


class Reviewing:
    """Opens review items. On the node's own loop; `seen` is the file of how far it has come."""

    def __init__(self, node: Node, clock: Clock, seen: Path) -> None:
        self.node, self._clock, self._file = node, clock, seen
        self._seen, self._forks = _read(seen)
        self._states: dict[str, _Folded] = {}
        self._counted: dict[str, int] = {}  # forks since the start, when they were looked for

    async def run(self) -> None:
        """Follow and tell, until cancelled. What goes wrong is logged and tried again."""
        while True:
            try:
                await self.node.settle()
                whole = False
                while not whole:
                    whole = await self.step()
                    await asyncio.sleep(_BREATH_S)
            except Exception as e:  # noqa: BLE001 -- what contradicts the rest must not stay unseen
                _LOG.error("reviews.delayed", why=type(e).__name__)
                await asyncio.sleep(_AGAIN_S)
                continue
            await self.node.changed(self._beyond(), _LOOK_UP_S)

    async def step(self) -> bool:
        """Look at the next batch of each shard; whether that was all there is.

        Raises: Unavailable: it is looked at again.
        """
        whole, before = True, (dict(self._seen), dict(self._forks))
        for shard, upto in self.node.positions().items():
            if not _is_followed(shard):
                continue
            try:
                whole = await self._step(shard, upto) and whole
            except BaseException:
                self._states.clear()  # they were folded beyond what has been told
                raise
        if before != (self._seen, self._forks):
            await asyncio.to_thread(self._keep)
        return whole

    async def _step(self, shard: str, upto: int) -> bool:
        whole = await self._step_facts(shard, upto)
        return await self._step_forks(shard) and whole

    async def _step_facts(self, shard: str, upto: int) -> bool:
        after = self._seen.get(shard, 0)
        if after > upto:  # another log, or an older copy: from its beginning
            self._states.clear()
            after = self._seen[shard] = 0
        if after == upto:
            return True
        found, reached = await asyncio.to_thread(self._look, shard, after, upto)
        await self._open(found)
        self._seen[shard] = reached
        return reached >= upto

    async def _step_forks(self, shard: str) -> bool:
        state = self.node.shard(shard).state
        count, ahead = state.counts["fork"], state.next_offset
        if self._counted.get(shard) == count:
            return True
        found, last, indexed = await asyncio.to_thread(self._forked, shard, ahead)
        await self._open(found)
        self._forks[shard] = last
        whole = len(found) < _FORKS_AT_ONCE
        if whole and indexed:
            self._counted[shard] = count
        return whole

    # --- finding ----------------------------------------------------------------------------------
    def _look(self, shard: str, after: int, upto: int) -> tuple[list[Found], int]:
        """What contradicts the rest between two positions, at most a batch; how far it goes."""
        batch = self.node.read(shard, after, PROJECTION_BATCH_COMMITS)
        batch = [fed for fed in batch if fed.position <= upto]
        reached = batch[-1].position if len(batch) == PROJECTION_BATCH_COMMITS else upto
        streams = dict.fromkeys(
            event.stream
            for fed in batch
            for event in fed.commit.events
            if kind_of(event.stream) in _MARKED
        )
        return [one for s in streams for one in self._of_stream(s, after, reached)], reached

    def _of_stream(self, stream: str, after: int, upto: int) -> Iterator[Found]:
        """What contradicts the rest in a stream; its state is kept, for it may grow again soon."""
        decider = DECIDERS[kind_of(stream)]
        folded = self._states.pop(stream, None) or _Folded(decider.initial)
        try:
            recorded = self.node.load(stream, after=folded.version)
        except Corrupt as e:  # one stream that cannot be read keeps nobody else's from being seen
            _LOG.error("reviews.unreadable", why=type(e).__name__)
            return
        for one in recorded:
            if one.position > upto:
                break
            before, folded.state = folded.state, decider.evolve(folded.state, one)
            folded.version = one.version
            marked = folded.state.contradictions
            if one.position > after and len(marked) > len(before.contradictions):
                yield _found(one, marked[-1], before, folded.state)
        self._states[stream] = folded
        if len(self._states) > REVIEW_STATES_MAX:  # the one that was looked at longest ago
            del self._states[next(iter(self._states))]

    def _forked(self, shard: str, ahead: int) -> tuple[list[Found], int, bool]:
        """The commits that were kept aside since the last look, and the offset of the last.

        And whether the index has all of them before the offset `ahead`.
        """
        after = self._forks.get(shard, -1)
        with IndexFile(self.node.shard(shard).state.index.path) as file:
            if file.mark.next_offset <= after:
                after = -1
            rows = file.forks(after, _FORKS_AT_ONCE)
            whole = file.mark.next_offset >= ahead
        return [_fork(shard, *row) for row in rows], rows[-1][0] if rows else after, whole

    # --- telling ----------------------------------------------------------------------------------
    async def _open(self, found: list[Found]) -> None:
        """Propose the items that are not there yet. Raises: Unavailable."""
        if not found:
            return
        known = self.node.heads([review_stream(str(one.id)) for one in found])
        new = {one.id: one for one in found if review_stream(str(one.id)) not in known}
        if not new:
            return
        for stream in map(review_stream, map(str, new)):
            await self._require_caught_up(self.node.shard_name(stream))
        answers = await self.node.propose_many([self._draft(one) for one in new.values()])
        opened = sum(isinstance(answer.verdict, Accepted) for answer in answers)
        if opened:  # and not another node, or this one before it was stopped
            _LOG.warning("reviews.opened", count=opened)

    async def _require_caught_up(self, name: str) -> None:
        """A process proposes only when it knows what others have (small print 3)."""
        shard = self.node.shard(name)
        if shard.log.shared and await shard.log.end() > shard.state.next_offset:
            raise Unavailable("this node has not read the log to its end", neighbour="log")

    def _draft(self, found: Found) -> Draft:
        happened = Happened(review_stream(str(found.id)), found.event, self._clock())
        origin = f"{Origin.PROCESS}:{PROCESS}"
        return Draft(found.id, found.asking, PROCESS, origin, (happened,), cause=found.asking)

    def _beyond(self) -> Mapping[str, int]:
        """What `changed` is to wait beyond: books that are not followed never wake us."""
        return {
            shard: self._seen.get(shard, 0) if _is_followed(shard) else NUMBER_MAX
            for shard in self.node.positions()
        }

    def _keep(self) -> None:
        beside = self._file.with_name(f"{self._file.name}.new")
        beside.write_text(json.dumps({"seen": self._seen, "forks": self._forks}), encoding="ascii")
        beside.replace(self._file)


def _is_followed(shard: str) -> bool:
    return shard.rpartition("/")[0] != LOOKS


def _found(recorded: Recorded, marked: Contradiction, before: Any, after: Any) -> Found:
    stream = recorded.stream
    names = {value for part in (recorded.event, before) for value in _names_in(part)}
    event = ReviewOpened(
        ReviewKind.CONTRADICTED, stream, recorded.shard, marked.type,
        without_names(marked.why, names), version=recorded.version, position=recorded.position,
        authority=_authority(stream), protected=getattr(after, "protected", False) is True,
    )  # fmt: skip
    asking = f"{PROCESS}/{stream}/{recorded.version}"
    return Found(review_id(stream, recorded.version), asking, event)


def _names_in(part: object) -> Iterator[str]:
    for item in fields(part):  # type: ignore[arg-type]  # events and states are dataclasses
        value = getattr(part, item.name)
        if item.name in _NAMES and isinstance(value, str):
            yield value


def _fork(shard: str, offset: int, commit: str, raw: bytes) -> Found:
    about = event = ""
    with suppress(Unreadable):
        events = decode_commit(raw).events
        about, event = (events[0].stream, events[0].type) if events else ("", "")
    opened = ReviewOpened(
        ReviewKind.FORK, about, shard, event, f"the id {commit} was used for two things",
        offset=offset, authority=_authority(about),
    )  # fmt: skip
    return Found(fork_id(shard, commit), f"{PROCESS}/fork/{shard}/{commit}", opened)


def _authority(stream: str) -> str | None:
    return stream.split("/")[1] if stream.startswith(_CASE) else None


def _read(path: Path) -> tuple[dict[str, int], dict[str, int]]:
    """How far an earlier process came; nothing where that is lost or unreadable."""
    try:
        kept = json.loads(path.read_text(encoding="ascii"))
        return (
            {str(shard): int(at) for shard, at in kept["seen"].items()},
            {str(shard): int(at) for shard, at in kept["forks"].items()},
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {}, {}
