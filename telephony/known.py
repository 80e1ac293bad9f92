"""What a stream already holds, so that a row seen before is not a new fact (design, small print 1).

A `queue_log` tells whole seconds and tells the same row in the same way for ever, while a live adapter has the
moment to the microsecond. So two whole-second times are the same fact only if they and the exchange's figures
are equal; otherwise times up to EXCHANGE_SAME_FACT_S apart are. Without the first rule two rows one second
apart, such as an agent's telephone that rang twice, would become one where a rotation came between them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from core.commit import telephony_id, telephony_key
from core.limits import EXCHANGE_SAME_FACT_S
from telephony.kinds import Key, key_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime
    from uuid import UUID

    from core.commit import Event, Recorded
    from telephony.mapping import Fact

# The exchange's own figures: not the group, which the catalogue gives and may give differently later.
_FIGURES: Final = (
    "place", "reason", "ring_s", "wait_s", "talk_s", "by", "how", "key", "reached", "parameters",
)  # fmt: skip


class _Slot:
    """What is known of one key: `before` facts recorded before this run, `count` in all, `ours` the new ns.

    `open` are the recorded ones that no row of this run has matched; `late` the ids of matched ones that
    came from elsewhere during this run.
    """

    __slots__ = ("before", "count", "late", "open", "ours")

    def __init__(self) -> None:
        self.open: list[Recorded] = []
        self.before = 0
        self.count = 0
        self.ours: list[int] = []
        self.late: list[UUID] | None = None


class StreamState:
    """What this run knows of one stream.

    `recorded` is the stream as it stands when the run meets it; only facts of `origin` count, since a
    desk's fact about the same call is another fact.
    """

    __slots__ = ("_seen", "_slots")

    def __init__(self, recorded: Iterable[Recorded], origin: str) -> None:
        self._slots: dict[Key, _Slot] = {}
        self._seen: set[int] = set()
        for fact in recorded:
            if fact.origin == origin:
                slot = self._slots.setdefault(key_of(fact.event), _Slot())
                slot.open.append(fact)
                slot.before += 1
                slot.count += 1

    def take(self, fact: Fact, row_hash: int) -> int | None:
        """The `n` of a fact that is new, None where it is known: the same row, or one recorded before."""
        if row_hash in self._seen:
            return None
        self._seen.add(row_hash)
        slot = self._slots.get(fact.key)
        if slot is None:
            slot = self._slots[fact.key] = _Slot()
        elif slot.open:
            match = _match(slot.open, fact)
            if match is not None:
                slot.open.remove(match)
                return None
        slot.count += 1
        slot.ours.append(slot.count)
        return slot.count

    def retake(
        self, fact: Fact, n: int, exchange: str, recorded: Sequence[Recorded], origin: str
    ) -> int | None:
        """After another proposer took `n`: None where it recorded this very fact, else the next `n`."""
        slot = self._slots[fact.key]
        slot.ours.remove(n)
        same_key = [r for r in recorded if r.origin == origin and key_of(r.event) == fact.key]
        taken = {fact_id(exchange, fact, ours) for ours in slot.ours}
        taken.update(slot.late or ())
        match = _match([r for r in same_key[slot.before :] if r.commit_id not in taken], fact)
        if match is not None:
            slot.late = [*(slot.late or ()), match.commit_id]
            return None
        slot.count = max(slot.count, len(same_key)) + 1
        slot.ours.append(slot.count)
        return slot.count


def fact_key(exchange: str, fact: Fact, n: int) -> str:
    """What identifies the n-th fact of its key at the exchange."""
    return telephony_key(exchange, fact.place, *fact.key, n)


def fact_id(exchange: str, fact: Fact, n: int) -> UUID:
    """The id of the commit of the n-th fact of its key."""
    return telephony_id(fact_key(exchange, fact, n))


def _match(candidates: Sequence[Recorded], fact: Fact) -> Recorded | None:
    """The recorded fact that `fact` repeats: one at its very time, else the nearest."""
    at, event = fact.occurred_at, fact.events[0]
    best, best_s = None, EXCHANGE_SAME_FACT_S
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
