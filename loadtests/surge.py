"""A surge of calls, made from a seed: when each fact is meant to be sent, whatever the server does.

Standard library alone. Units: seconds from the start of the run.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from heapq import heappop, heappush
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

QUEUES = ("avfall", "trafik", "miljo", "bygg", "parkering", "fritid", "ovrigt")
NUMBERS = 4_000  # 0700000000 to 0700003999, set aside for fiction
AGENTS = 40
WHOLE = ("offered", "queued", "answered", "held", "resumed", "ended")


@dataclass(frozen=True)
class Surge:
    """The shape: `calls_per_s`, times `factor` at its height, reached at a third and then fading.

    Whoever gives up calls again with `redial`; 30 to 70 % do so in a crisis. With `whole` every
    call is answered and has the six facts of `WHOLE`: so many times `calls_per_s` come in.
    """

    calls_per_s: float
    seconds: float
    factor: float = 1.0
    redial: float = 0.6
    patience_s: float = 1.5
    talk_s: float = 1.0
    answered: float = 0.6
    whole: bool = False

    def rate(self, at_s: float) -> float:
        """Calls a second that come in at a time."""
        height_at_s = self.seconds / 3
        if at_s < height_at_s:
            share = max(0.0, at_s / height_at_s * 2 - 1)
        else:
            share = 0.5 ** ((at_s - height_at_s) / (self.seconds / 6))
        return self.calls_per_s * (1 + (self.factor - 1) * share)


@dataclass(frozen=True, order=True)
class Planned:
    """One fact: when to send it, and what it says."""

    at_s: float
    call: int
    step: int
    kind: str = field(compare=False)
    queue: str = field(compare=False)
    member: str | None = field(compare=False)
    data: dict[str, Any] = field(compare=False)


def planned(surge: Surge, seed: int) -> Iterator[Planned]:
    """Every fact of the run in the order of time; the same for a seed."""
    dice = random.Random(seed)
    waiting: list[Planned] = []
    calls = 0
    at_s = 0.0
    again: list[tuple[float, int]] = []
    while True:
        at_s += dice.expovariate(surge.rate(at_s))
        while again and again[0][0] < at_s:
            when, number = heappop(again)
            calls += 1
            _call(dice, surge, when, calls, number, waiting, again)
            yield from _due(waiting, when)
        if at_s >= surge.seconds:
            break
        calls += 1
        _call(dice, surge, at_s, calls, dice.randrange(NUMBERS), waiting, again)
        yield from _due(waiting, at_s)
    while waiting:
        yield heappop(waiting)


def _due(waiting: list[Planned], before_s: float) -> Iterator[Planned]:
    while waiting and waiting[0].at_s <= before_s:
        yield heappop(waiting)


def _call(  # noqa: PLR0913 -- one call of the crowd, with what the crowd shares
    dice: random.Random,
    surge: Surge,
    at_s: float,
    call: int,
    number: int,
    waiting: list[Planned],
    again: list[tuple[float, int]],
) -> None:
    queue = dice.choice(QUEUES)
    if surge.whole:
        _whole_call(dice, surge, at_s, call, number, waiting)
        return
    wait_s = dice.expovariate(1 / surge.patience_s)
    data: dict[str, Any] = {"caller": f"070000{number:04d}", "place": 1}
    heappush(waiting, Planned(at_s, call, 1, "queued", queue, None, data))
    if dice.random() < surge.answered:
        talk_s = dice.expovariate(1 / surge.talk_s)
        agent = f"Agent {dice.randrange(AGENTS)}"
        answered = {"wait_s": round(wait_s, 3)}
        ended = {"by": "caller", "wait_s": round(wait_s, 3), "talk_s": round(talk_s, 3)}
        heappush(waiting, Planned(at_s + wait_s, call, 2, "answered", queue, agent, answered))
        heappush(waiting, Planned(at_s + wait_s + talk_s, call, 3, "ended", queue, agent, ended))
        return
    left = {"wait_s": round(wait_s, 3)}
    heappush(waiting, Planned(at_s + wait_s, call, 2, "abandoned", queue, None, left))
    if dice.random() < surge.redial:
        heappush(again, (at_s + wait_s + dice.expovariate(1.0), number))


def _whole_call(  # noqa: PLR0913 -- as above
    dice: random.Random, surge: Surge, at_s: float, call: int, number: int, waiting: list[Planned]
) -> None:
    """Six facts, each some time after the one before."""
    queue, agent = dice.choice(QUEUES), f"Agent {dice.randrange(AGENTS)}"
    caller = f"070000{number:04d}"
    data: dict[str, dict[str, Any]] = {
        "offered": {"channel": "phone", "caller": caller},
        "queued": {"caller": caller, "place": 1},
        "ended": {"by": "caller"},
    }
    for step, kind in enumerate(WHOLE, 1):
        member = None if kind in {"offered", "queued"} else agent
        what = data.get(kind, {})
        heappush(waiting, Planned(at_s, call, step, kind, queue, member, what))
        at_s += dice.expovariate(1 / surge.talk_s)
