"""What a stream already holds, so that a row seen before is not a new fact (design, small print 1).

A `queue_log` tells whole seconds and tells the same row in the same way for ever, while a live
adapter has the moment to the microsecond. So two whole-second times are the same fact only if they
and the exchange's figures are equal; otherwise times up to EXCHANGE_SAME_FACT_S apart are. Without
the first rule two rows one second apart, such as an agent's telephone that rang twice, would become
one where a rotation came between them. A live adapter whose clock shows a whole second by chance
adds a microsecond.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from core.commit import telephony_id
from core.judge import FIRST_VERSION
from core.limits import EXCHANGE_SAME_FACT_S
from telephony.kinds import key_of

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime
    from uuid import UUID

    from core.commit import Event, KeptFact, Recorded
    from telephony.mapping import Fact

# The exchange's own figures: not the group, which the catalogue may give differently later.
_FIGURES: Final = (
    "place", "reason", "ring_s", "wait_s", "talk_s", "by", "how", "key", "reached", "parameters",
)  # fmt: skip
_NOTHING: Final = FIRST_VERSION - 1


class _Slot:
    """What is known of one key: `count` facts in all, and the `n` of `ours`, made in this run.

    `open` are others' facts that no row of this run has matched.
    """

    __slots__ = ("count", "open", "ours")

    def __init__(self, count: int = 0) -> None:
        self.open: list[Recorded | KeptFact] = []
        self.count = count
        self.ours = list(range(1, count + 1))


class StreamState:
    """What this run knows of one stream; `place` is the second part of its facts' keys.

    Only facts of the exchange's origin count: a desk's fact about the same call is another fact.
    """

    __slots__ = ("_kept", "_prefix", "_slots", "_unread", "_version")

    def __init__(self, exchange: str, place: str) -> None:
        self._prefix = f"{exchange}/{place}/"
        # A number says that so many facts are ours, and nothing else is known: nearly always 1.
        # Millions of these would otherwise be walked by the garbage collector again and again.
        self._slots: dict[str, _Slot | int] = {}
        self._version = _NOTHING  # the last one read
        self._unread = 0  # events of ours that have been proposed and not been read back
        self._kept: frozenset[UUID] = frozenset()  # commits that an earlier run left with the node

    def is_behind(self, head: int) -> bool:
        """Whether somebody else has written to the stream since it was read."""
        return head > self._version + self._unread

    def expect(self, kept: Sequence[KeptFact], origin: str) -> None:
        """Learn what the node has kept about the stream: it counts, and will be read later."""
        ours = [fact for fact in kept if fact.origin == origin]
        self._kept = frozenset(fact.commit_id for fact in ours)
        self._unread += len(ours)
        for fact in ours:
            slot = self._slot(key_of(fact.event))
            slot.open.append(fact)
            slot.count += 1

    def read(self, recorded: Sequence[Recorded], origin: str) -> None:
        """Learn what the stream, as it stands now, holds beyond what was read before."""
        news = [r for r in recorded if r.version > self._version]
        ours = self._ids() if self._version != _NOTHING or self._unread else set()
        ours |= self._kept
        for fact in news:
            self._version = fact.version
            if fact.commit_id in ours:
                self._unread -= 1
            elif fact.origin == origin:
                slot = self._slot(key_of(fact.event))
                slot.open.append(fact)
                slot.count += 1

    def number(self, fact: Fact) -> int | None:
        """The `n` of a new fact, None where one that was recorded before is the same."""
        slot = self._slots.get(fact.key, 0)
        if isinstance(slot, int):
            n = self._slots[fact.key] = slot + 1
        else:
            match = _match(slot.open, fact)
            if match is not None:
                slot.open.remove(match)
                return None
            slot.count += 1
            n = max(slot.count, slot.ours[-1] + 1) if slot.ours else slot.count
            slot.ours.append(n)
        self._unread += len(fact.events)
        return n

    def renumber(self, fact: Fact, n: int, recorded: Sequence[Recorded], origin: str) -> int | None:
        """After `n` turned out to be in the log: None where this very fact is, else the next `n`.

        It is this very fact where another importer told the same row, or our own answer was lost.
        """
        own_id = telephony_id(f"{self._prefix}{fact.key}/{n}")
        theirs = [r for r in recorded if r.commit_id == own_id]
        if _match(theirs[:1], fact) is not None:
            return None
        slot = self._slot(fact.key)
        slot.ours.remove(n)
        slot.count -= 1
        self.set_aside(fact)
        if theirs and theirs[0].version <= self._version:  # read before, and taken for ours
            slot.open.append(theirs[0])
            slot.count += 1
            self._unread += len(theirs)
        self.read(recorded, origin)
        return self.number(fact)

    def set_aside(self, fact: Fact) -> None:
        """A fact that was numbered will never stand in the stream."""
        self._unread -= len(fact.events)

    def _slot(self, key: str) -> _Slot:
        slot = self._slots.get(key, 0)
        if isinstance(slot, int):
            slot = self._slots[key] = _Slot(slot)
        return slot

    def _ids(self) -> set[UUID]:
        return {
            telephony_id(f"{self._prefix}{key}/{n}")
            for key, slot in self._slots.items()
            for n in (range(1, slot + 1) if isinstance(slot, int) else slot.ours)
        }


def fact_key(exchange: str, fact: Fact, n: int) -> str:
    """What identifies the n-th fact of its key at the exchange, as `telephony_key` makes it."""
    return f"{exchange}/{fact.place}/{fact.key}/{n}"


def fact_id(exchange: str, fact: Fact, n: int) -> UUID:
    """The id of the commit of the n-th fact of its key."""
    return telephony_id(fact_key(exchange, fact, n))


def _match(candidates: Sequence[Recorded | KeptFact], fact: Fact) -> Recorded | KeptFact | None:
    """The recorded fact that `fact` repeats: one at its very time, else the nearest."""
    at, event = fact.occurred_at, fact.events[0]
    best: Recorded | KeptFact | None = None
    best_s = EXCHANGE_SAME_FACT_S
    for candidate in candidates:
        apart_s = abs((candidate.occurred_at - at).total_seconds())
        if apart_s > best_s or (best is not None and apart_s == best_s):
            continue
        if _whole(candidate.occurred_at) and _whole(at):
            if apart_s or not _same_figures(candidate.event, event):
                continue
            return candidate
        best, best_s = candidate, apart_s
    return best


def _whole(at: datetime) -> bool:
    return at.microsecond == 0


def _same_figures(one: Event, other: Event) -> bool:
    """Whether no figure that both give differs; an older program may have kept fewer."""
    for name in _FIGURES:
        a, b = getattr(one, name, None), getattr(other, name, None)
        if a != b and a not in (None, ()) and b not in (None, ()):
            return False
    return True
