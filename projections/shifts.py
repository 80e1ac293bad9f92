"""The fold of an agent's facts into intervals: signed on, paused, in after-call work. Pure.

One pause often comes as several rows in one second, one for each queue: an agent is paused while
any of them lasts, so pause time is their union and never a sum of rows. The reason is that of the
row that began it; the one that ends it carries a reason of its own, which is not used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence

SIGN_ON, SIGN_OFF, PAUSE, UNPAUSE, WRAP_UP, AVAILABLE = range(6)
SIGNED_ON: Final = "signed_on"
PAUSED: Final = "paused"
IN_WRAP_UP: Final = "wrap_up"


class ShiftFact(NamedTuple):
    """One fact of an agent's day. `queues` is empty for all at once."""

    at_us: int
    seq: int
    kind: int
    queues: tuple[str, ...] = ()
    reason: str = ""
    mark: int = 0


class Interval(NamedTuple):
    """A stretch of one state. Overlaps are wanted: an agent is paused while signed on."""

    state: str
    reason: str
    from_us: int
    to_us: int | None


class Standing(NamedTuple):
    """How an agent stands after some facts; what the next day begins with.

    `groups` are those signed on to, `everywhere` where no group was named; likewise `paused_in` and
    `paused_everywhere`. A `*_since_us` of None: not so. `left_us` is the last sign-off from
    everything.
    """

    groups: tuple[str, ...] = ()
    everywhere: bool = False
    on_since_us: int | None = None
    paused_in: tuple[str, ...] = ()
    paused_everywhere: bool = False
    paused_since_us: int | None = None
    reason: str = ""
    wrap_up_since_us: int | None = None
    seen_us: int = 0
    left_us: int | None = None

    def open(self) -> list[Interval]:
        """The intervals that have not ended."""
        parts = (
            (SIGNED_ON, "", self.on_since_us),
            (PAUSED, self.reason, self.paused_since_us),
            (IN_WRAP_UP, "", self.wrap_up_since_us),
        )
        return [
            Interval(state, why, since, None) for state, why, since in parts if since is not None
        ]


def fold_shift(facts: Sequence[ShiftFact], before: Standing) -> tuple[list[Interval], Standing]:
    """The intervals that ended among `facts` (in whatever order), and how the agent then stands."""
    ended: list[Interval] = []
    now = before
    for fact in sorted(facts):
        now = _STEP[fact.kind](now, fact, ended)._replace(seen_us=fact.at_us)
    return ended, now


def _end(ended: list[Interval], state: str, reason: str, since_us: int | None, at_us: int) -> None:
    if since_us is not None and at_us > since_us:
        ended.append(Interval(state, reason, since_us, at_us))


def _sign_on(now: Standing, fact: ShiftFact, _ended: list[Interval]) -> Standing:
    groups = tuple(sorted({*now.groups, *fact.queues}))
    since = fact.at_us if now.on_since_us is None else now.on_since_us
    return now._replace(
        groups=groups, everywhere=now.everywhere or not fact.queues, on_since_us=since
    )


def _sign_off(now: Standing, fact: ShiftFact, ended: list[Interval]) -> Standing:
    groups = tuple(g for g in now.groups if g not in fact.queues) if fact.queues else ()
    if fact.queues and (groups or now.everywhere):
        return now._replace(groups=groups)
    for part in now.open():
        _end(ended, part.state, part.reason, part.from_us, fact.at_us)
    return Standing(left_us=fact.at_us)


def _pause(now: Standing, fact: ShiftFact, ended: list[Interval]) -> Standing:
    paused = now._replace(
        paused_in=tuple(sorted({*now.paused_in, *fact.queues})),
        paused_everywhere=now.paused_everywhere or not fact.queues,
    )
    if now.paused_since_us is None:
        paused = _end_wrap_up(paused, fact, ended)
        return paused._replace(paused_since_us=fact.at_us, reason=fact.reason)
    if fact.reason and fact.reason != now.reason:
        _end(ended, PAUSED, now.reason, now.paused_since_us, fact.at_us)
        return paused._replace(paused_since_us=fact.at_us, reason=fact.reason)
    return paused


def _unpause(now: Standing, fact: ShiftFact, ended: list[Interval]) -> Standing:
    left = tuple(q for q in now.paused_in if q not in fact.queues) if fact.queues else ()
    if left:
        return now._replace(paused_in=left)
    _end(ended, PAUSED, now.reason, now.paused_since_us, fact.at_us)
    return now._replace(paused_in=(), paused_everywhere=False, paused_since_us=None, reason="")


def _wrap_up(now: Standing, fact: ShiftFact, ended: list[Interval]) -> Standing:
    return _end_wrap_up(now, fact, ended)._replace(wrap_up_since_us=fact.at_us)


def _end_wrap_up(now: Standing, fact: ShiftFact, ended: list[Interval]) -> Standing:
    _end(ended, IN_WRAP_UP, "", now.wrap_up_since_us, fact.at_us)
    return now._replace(wrap_up_since_us=None)


def _available(now: Standing, fact: ShiftFact, ended: list[Interval]) -> Standing:
    return _unpause(_end_wrap_up(now, fact, ended), fact, ended)


_STEP: Final = {
    SIGN_ON: _sign_on,
    SIGN_OFF: _sign_off,
    PAUSE: _pause,
    UNPAUSE: _unpause,
    WRAP_UP: _wrap_up,
    AVAILABLE: _available,
}


def clipped_us(parts: Sequence[Interval], begin_us: int, end_us: int) -> int:
    """The length of the union of intervals inside a period; one without an end lasts to its end."""
    total, reached = 0, begin_us
    for part in sorted(parts, key=lambda p: p.from_us):
        upto = end_us if part.to_us is None else min(part.to_us, end_us)
        since = max(part.from_us, reached)
        if upto > since:
            total += upto - since
            reached = upto
    return total


def common(one: Sequence[Interval], other: Sequence[Interval]) -> list[Interval]:
    """The parts of `one` that lie in `other`."""
    found = []
    for a in one:
        for b in other:
            since = max(a.from_us, b.from_us)
            ends = [end for end in (a.to_us, b.to_us) if end is not None]
            upto = min(ends) if ends else None
            if upto is None or upto > since:
                found.append(Interval(a.state, a.reason, since, upto))
    return found
