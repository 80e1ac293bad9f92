"""A log that delivers late, twice and in any order, and nodes that lag behind it, all in one hand.

The rule is the product's own `judge`; only the transport is made up, so that a test can decide when
a record lands, which node has read how far, and which node dies while something is under way.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from core.commit import Accepted, Answer, Draft, KeptFact, Recorded, StaleVerdict, Verdict
from core.judge import judge

T0 = datetime(2026, 11, 22, 8, 0, tzinfo=UTC)
SHARD = "calls/0"


@dataclass
class Record:
    """A draft on its way to the log, and whoever waits for its verdict."""

    draft: Draft
    proposer: LaggingNode
    answer: asyncio.Future[Answer]


@dataclass(frozen=True)
class Claimed:
    """What `judge` sees of a draft."""

    id: str
    intent: str
    events: Sequence[object]
    tracking: None = None


@dataclass
class SharedLog:
    """The log: what has landed, in order, and what is still on its way."""

    landed: list[Record] = field(default_factory=list)
    on_the_way: list[Record] = field(default_factory=list)

    def land(self, n: int, *, copy: bool = False) -> None:
        """Let the n-th record on its way land.

        With `copy` it stays on its way, to land once more.
        """
        record = self.on_the_way[n] if copy else self.on_the_way.pop(n)
        self.landed.append(record)


class LaggingNode:
    """A port whose node has read the log so far as it was told to."""

    def __init__(self, log: SharedLog) -> None:
        self.log = log
        self.read_upto = 0
        self.position = self.seq = 0
        self.verdicts: list[tuple[Draft, Verdict]] = []
        self._first: dict[str, tuple[str, Accepted | StaleVerdict]] = {}
        self._streams: dict[str, list[Recorded]] = {}

    # --- what `judge` asks
    def head(self, stream: str) -> int | None:
        """The stream's last version."""
        events = self._streams.get(stream)
        return events[-1].version if events else None

    def first_verdict(self, commit_id: str) -> tuple[str, Accepted | StaleVerdict] | None:
        """Intent and verdict of an id that was judged."""
        return self._first.get(commit_id)

    def tracked(self, name: str) -> int | None:
        """Nobody tracks here."""
        del name
        return None

    # --- the port
    async def propose(self, draft: Draft) -> Answer:
        """Send the draft on its way, and wait until this node has judged it."""
        record = Record(draft, self, asyncio.get_running_loop().create_future())
        self.log.on_the_way.append(record)
        return await record.answer

    async def propose_many(self, drafts: Sequence[Draft]) -> Sequence[Answer]:
        """One after the other."""
        return [await self.propose(draft) for draft in drafts]

    def load(self, stream: str, *, protected: bool = False) -> Sequence[Recorded]:
        """The stream as far as this node has read."""
        return list(self._streams.get(stream, ()))

    def heads(self, streams: Iterable[str]) -> Mapping[str, int]:
        """The streams' last versions."""
        return {s: head for s in streams if (head := self.head(s)) is not None}

    def kept(self, stream: str) -> Sequence[KeptFact]:
        """Nothing: the log is never away."""
        return ()

    def caller_ref(self, number: str) -> str:
        """Not keyed: nothing here is kept."""
        return f"ref-{number}"

    # --- reading
    def read(self) -> bool:
        """Judge the next record that has landed; whether there was one."""
        if self.read_upto == len(self.log.landed):
            return False
        record = self.log.landed[self.read_upto]
        self.read_upto += 1
        verdict = self._judge(record.draft)
        if record.proposer is self and not record.answer.done():
            record.answer.set_result(Answer(verdict, SHARD))
        return True

    def _judge(self, draft: Draft) -> Verdict:
        claimed = Claimed(str(draft.id), draft.asking, draft.events)
        verdict, versions = judge(self, claimed)  # type: ignore[arg-type]
        self.verdicts.append((draft, verdict))
        if not isinstance(verdict, Accepted | StaleVerdict):
            return verdict
        self.position += 1
        self._first[claimed.id] = (claimed.intent, verdict)
        for happened, version in zip(draft.events, versions, strict=False):
            self.seq += 1
            recorded = Recorded(
                stream=happened.stream,
                version=version,
                shard=SHARD,
                position=self.position,
                seq=self.seq,
                commit_id=draft.id,
                actor=draft.actor,
                origin=draft.origin,
                recorded_at=T0,
                occurred_at=happened.occurred_at,
                event=happened.event,
            )
            self._streams.setdefault(happened.stream, []).append(recorded)
        return verdict
