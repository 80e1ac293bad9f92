"""Queueing formulas: Erlang B, C and A, staffing, overload and redialling.

Pure arithmetic on model values; nothing here is measured. Where a model has no value the answer is
None, never 0: a queue that grows without limit has no mean wait.

Source: `tests/data/kpi-oracle.json`, whose every value comes out of these functions.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

_AGENTS_MAX = (
    100_000  # staffing stops here: a target that no number of agents reaches has no answer
)
_STATES_MAX = (
    2_000_000  # of the birth-death chain; beyond it the tail is below the precision of a float
)
_TAIL = 1e-16


@dataclass(frozen=True, slots=True)
class Waiting:
    """What Erlang C says. `asa_s` is None where the load is not below the number of agents."""

    offered_erlang: float
    p_wait: float
    service_level: float
    asa_s: float | None
    occupancy: float | None


@dataclass(frozen=True, slots=True)
class Impatient:
    """What Erlang A says: callers leave after an exponential patience."""

    offered_erlang: float
    p_wait: float
    p_abandon: float
    mean_queue: float
    mean_wait_all_s: float
    mean_wait_answered_s: float
    occupancy: float
    served_within: float


@dataclass(frozen=True, slots=True)
class Staffing:
    """The smallest number of agents that reaches a target, and the positions that it takes."""

    agents: int
    service_level: float
    occupancy: float
    positions: int


@dataclass(frozen=True, slots=True)
class Overload:
    """The fluid approximation of a queue with far more work than agents."""

    offered_erlang: float
    p_abandon: float
    mean_queue: float
    mean_wait_all_s: float


@dataclass(frozen=True, slots=True)
class Redial:
    """What redialling does to raw counts of calls; rates are per second."""

    raw_calls_per_s: float
    p_abandon_of_raw_calls: float
    mean_queue: float
    raw_calls_per_unique_caller: float
    share_answered_in_the_end: float


def offered_erlang(calls: float, period_s: float, aht_s: float) -> float:
    """The load in erlang: calls per second times average handle time."""
    return calls * aht_s / period_s


def erlang_b(load: float, agents: int) -> float:
    """The share of calls that find every agent busy where nobody waits."""
    block = 1.0
    for k in range(1, agents + 1):
        block = load * block / (k + load * block)
    return block


def erlang_c(calls: float, period_s: float, aht_s: float, agents: int, within_s: float) -> Waiting:
    """The wait where nobody gives up. At or above full load the queue grows without limit."""
    load = offered_erlang(calls, period_s, aht_s)
    if load >= agents:
        occupancy = min(1.0, load / agents) if agents else None
        return Waiting(load, 1.0, 0.0, None, occupancy)
    block = erlang_b(load, agents)
    p_wait = agents * block / (agents - load * (1 - block))
    level = 1 - p_wait * math.exp(-(agents - load) * within_s / aht_s)
    return Waiting(load, p_wait, level, p_wait * aht_s / (agents - load), load / agents)


def erlang_a(  # noqa: PLR0913 -- the model has these parameters
    calls: float, period_s: float, aht_s: float, agents: int, patience_s: float, within_s: float
) -> Impatient:
    """The wait where callers give up: the birth-death chain, summed until its tail is nothing.

    Bound: the chain has at most `_STATES_MAX` states. Needs calls and agents above 0.
    """
    assert calls > 0
    assert agents > 0
    rate = calls / period_s
    weights = _chain(rate, aht_s, agents, patience_s)
    total = math.fsum(weights)
    waiting = weights[agents:]
    mean_queue = math.fsum(k * w for k, w in enumerate(waiting)) / total
    p_abandon = mean_queue / patience_s / rate
    idle = math.fsum((agents - k) * w for k, w in enumerate(weights[:agents])) / total
    mean_wait_s = _mean_wait(waiting, total, agents, aht_s, patience_s)
    at_once = math.fsum(weights[:agents]) / total
    return Impatient(
        offered_erlang=rate * aht_s,
        p_wait=math.fsum(waiting) / total,
        p_abandon=p_abandon,
        mean_queue=mean_queue,
        mean_wait_all_s=mean_queue / rate,
        mean_wait_answered_s=mean_wait_s / (1 - p_abandon),
        occupancy=1 - idle / agents,
        served_within=at_once + _in_time(waiting, total, agents, aht_s, patience_s, within_s),
    )


def _chain(rate: float, aht_s: float, agents: int, patience_s: float) -> list[float]:
    """The chain's weights, scaled so that the largest is 1."""
    peak = max(agents, int(rate * aht_s))
    logs = [0.0]
    top = 0.0
    for k in range(1, _STATES_MAX):
        death = min(k, agents) / aht_s + max(k - agents, 0) / patience_s
        logs.append(logs[-1] + math.log(rate / death))
        top = max(top, logs[-1])
        if k > peak and logs[-1] < top + math.log(_TAIL) - 10:
            break
    return [math.exp(value - top) for value in logs]


def _mean_wait(
    waiting: list[float], total: float, agents: int, aht_s: float, patience_s: float
) -> float:
    """The waits of those answered, per arrival.

    A caller with j before him leaves the queue by stages of rate n/aht + i/patience (i = j .. 0),
    each of which is an answer or somebody's end of patience; his own patience runs beside them.
    """
    serve = agents / aht_s
    leave = 1 / patience_s
    survive = 1.0
    wait = 0.0
    parts = []
    for j, weight in enumerate(waiting):
        stage = serve + (j + 1) * leave
        survive *= (stage - leave) / stage
        wait += 1 / stage
        parts.append(weight * survive * wait)
    return math.fsum(parts) / total


def _in_time(  # noqa: PLR0913 -- the model has these parameters
    waiting: list[float],
    total: float,
    agents: int,
    aht_s: float,
    patience_s: float,
    within_s: float,
) -> float:
    """The share of arrivals that wait and are answered within `within_s`.

    With offered wait V and patience R: P(V <= R, V <= T) = e^(-T/r) F(T) + integral of F(v)
    e^(-v/r)/r, where F is V's distribution, mixed over the number of callers ahead; by Simpson's
    rule.
    """
    steps = 200
    width = within_s / steps
    leave = 1 / patience_s
    serve = agents / aht_s
    reached = [_reached(waiting, serve, leave, i * width) for i in range(steps + 1)]
    values = [f * math.exp(-leave * i * width) * leave for i, f in enumerate(reached)]
    integral = values[0] + values[-1] + 4 * sum(values[1:-1:2]) + 2 * sum(values[2:-1:2])
    return (reached[-1] * math.exp(-leave * within_s) + integral * width / 3) / total


def _reached(waiting: list[float], serve: float, leave: float, at_s: float) -> float:
    """The weight of callers for whom an agent is free by `at_s`, their own patience aside.

    The time with j ahead is a sum of exponentials with rates serve + i * leave (i = 0 .. j); the
    chance that it is longer than v is a negative binomial sum of j + 1 terms.
    """
    gone = -math.expm1(-leave * at_s)
    shape = serve / leave
    term = math.exp(-serve * at_s)
    later = 0.0
    weight_reached = 0.0
    for k, weight in enumerate(waiting):
        if k:
            term *= (shape + k - 1) * gone / k
        later += term
        weight_reached += weight * max(0.0, 1 - later)
    return weight_reached


def staffing(  # noqa: PLR0913 -- a target has these parts
    calls: float,
    period_s: float,
    aht_s: float,
    target: float,
    within_s: float,
    occupancy_max: float | None = None,
    shrinkage: float = 0.0,
) -> Staffing | None:
    """The smallest staff above the load that reaches `target` (0-1); None where none does.

    `shrinkage` is the share of paid time away from the telephone: positions = agents / (1 -
    shrinkage).
    """
    load = offered_erlang(calls, period_s, aht_s)
    block = 1.0
    for agents in range(1, _AGENTS_MAX):
        block = load * block / (agents + load * block)
        if agents <= load or (occupancy_max is not None and load / agents > occupancy_max):
            continue
        p_wait = agents * block / (agents - load * (1 - block))
        level = 1 - p_wait * math.exp(-(agents - load) * within_s / aht_s)
        if level >= target:
            positions = math.ceil(round(agents / (1 - shrinkage), 9))
            return Staffing(agents, level, load / agents, positions)
    return None


def overload(
    calls: float, period_s: float, aht_s: float, agents: int, patience_s: float
) -> Overload:
    """The fluid approximation: what agents cannot serve gives up after its patience."""
    rate = calls / period_s
    load = rate * aht_s
    unserved = max(0.0, rate - agents / aht_s)
    queue = unserved * patience_s
    p_abandon = max(0.0, 1 - agents / load) if load else 0.0
    return Overload(load, p_abandon, queue, queue / rate if rate else 0.0)


def redial(
    first_attempts_per_s: float, served_per_s: float, redial_probability: float, patience_s: float
) -> Redial:
    """Callers who give up ring again with a probability (below 1): raw counts overstate people."""
    raw = (first_attempts_per_s - redial_probability * served_per_s) / (1 - redial_probability)
    return Redial(
        raw_calls_per_s=raw,
        p_abandon_of_raw_calls=1 - served_per_s / raw,
        mean_queue=(raw - served_per_s) * patience_s,
        raw_calls_per_unique_caller=raw / first_attempts_per_s,
        share_answered_in_the_end=served_per_s / first_attempts_per_s,
    )
