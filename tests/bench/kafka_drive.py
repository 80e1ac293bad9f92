"""How one contender is measured: the same loop for all, in a process of its own.

A contender records one event a commit and comes back when that is acknowledged. Blocking ones get
a thread for each caller, the others a coroutine. What is recorded is made before the clock starts.
"""

from __future__ import annotations

import asyncio
import os
import resource
import threading
import time
from dataclasses import dataclass
from functools import partial
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

from bench.common import percentile

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

WARM_UP, SERIAL = 300, 1_000
LARGE, LARGE_EVENTS = 20, 1_000
IN_FLIGHT = 2_000  # commits of one pipelined round: all are asked for, then all awaited


@dataclass(frozen=True)
class Setting:
    """Where a contender measures: brokers, topic prefix, a folder of its own, and PostgreSQL."""

    brokers: str
    prefix: str
    folder: str
    flushed: bool  # whether each record is flushed before it is acknowledged (flush.messages=1)
    postgres: str  # "port" where it runs, else empty
    scale: float = 1.0  # of the numbers of commits: a short form has less


class Blocking(Protocol):
    """A contender whose commits block their thread."""

    commits: ClassVar[int]  # for a run with many callers: a second or so

    def __init__(self, setting: Setting) -> None: ...
    def make(self, number: int) -> Any:
        """What one commit of one event records; not measured."""

    def commit(self, made: Any) -> None:
        """Record it; returns when it is acknowledged."""

    def pipeline(self, many: list[Any]) -> None:
        """Record each, without waiting for the one before; returns when all are acknowledged."""

    def make_large(self, number: int) -> Any:
        """What one commit of 1,000 events records; not measured."""

    def commit_large(self, made: Any) -> None:
        """Record it; returns when it is acknowledged."""

    def close(self) -> None:
        """Let go."""


class Looping(Protocol):
    """A contender on an event loop; else as `Blocking`."""

    commits: ClassVar[int]

    def __init__(self, setting: Setting) -> None: ...
    @property
    def loop_factory(self) -> Callable[[], asyncio.AbstractEventLoop] | None:
        """What makes its loop; None: the standard library."""

    async def open(self) -> None:
        """Connect."""

    def make(self, number: int) -> Any:
        """As `Blocking.make`."""

    async def commit(self, made: Any) -> None:
        """As `Blocking.commit`."""

    async def pipeline(self, many: list[Any]) -> None:
        """As `Blocking.pipeline`."""

    def make_large(self, number: int) -> Any:
        """As `Blocking.make_large`."""

    async def commit_large(self, made: Any) -> None:
        """As `Blocking.commit_large`."""

    async def close(self) -> None:
        """As `Blocking.close`."""


Results = dict[str, float]


def cpu_here_s() -> float:
    """Processor time of this process so far, user and system."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def cpu_of_s(pids: Iterable[int]) -> float:
    """Processor time of servers so far, with that of the processes which they have started."""
    return sum(_ticks(pid) for pid in pids) / os.sysconf("SC_CLK_TCK")


def _ticks(pid: int) -> int:
    """With children that are there, and those that are gone and were waited for."""
    here = Path(f"/proc/{pid}")
    try:
        fields = (here / "stat").read_text(encoding="utf-8").rpartition(")")[2].split()
        children = (here / f"task/{pid}/children").read_text(encoding="ascii").split()
    except OSError:  # it has just ended
        return 0
    return sum(map(int, fields[11:15])) + sum(_ticks(int(child)) for child in children)


def peak_mb() -> float:
    """The most memory that this process ever held."""
    status = Path("/proc/self/status").read_text(encoding="ascii")  # rusage's is the parent's too
    return int(status.partition("VmHWM:")[2].split()[0]) / 1_024


class _Made:
    """Numbers that never come twice, and what is made of them."""

    def __init__(self, contender: Blocking | Looping) -> None:
        self._contender, self._numbers = contender, count(1)

    def some(self, many: int) -> list[Any]:
        return [self._contender.make(next(self._numbers)) for _ in range(many)]

    def large(self, many: int) -> list[Any]:
        return [self._contender.make_large(next(self._numbers)) for _ in range(many)]


def _serial(times: list[float]) -> Results:
    return {"p50_ms": percentile(times, 0.5) * 1_000, "p99_ms": percentile(times, 0.99) * 1_000}


def _rate(name: str, commits: int, run: Callable[[], object], pids: Iterable[int]) -> Results:
    """Commits a second, and what they cost both sides."""
    here, there, started = cpu_here_s(), cpu_of_s(pids), time.perf_counter()
    run()
    took = time.perf_counter() - started
    return {
        f"{name}_per_s": commits / took,
        f"{name}_cpu_s": (cpu_here_s() - here) / commits * 1_000,
        f"{name}_server_cpu_s": (cpu_of_s(pids) - there) / commits * 1_000,
    }


def blocking(contender: Blocking, setting: Setting, pids: Iterable[int]) -> Results:
    """All figures of a contender that blocks."""

    def serially(
        name: str, commits: int, work: Callable[[Any], None], things: list[Any]
    ) -> Results:
        return _rate(name, commits, lambda: _each_of(work, things), pids)

    made = _Made(contender)
    _each_of(contender.commit, made.some(int(WARM_UP * setting.scale)))
    times = []
    for one in made.some(int(SERIAL * setting.scale)):
        started = time.perf_counter()
        contender.commit(one)
        times.append(time.perf_counter() - started)
    found = _serial(times)
    many = max(64, int(contender.commits * setting.scale))
    for callers in (8, 64):
        shares = [made.some(many // callers) for _ in range(callers)]
        run = partial(_threads, contender, shares)
        found |= _rate(f"callers_{callers}", many // callers * callers, run, pids)
    parts = [made.some(IN_FLIGHT) for _ in range(max(1, many // IN_FLIGHT))]
    found |= serially("pipelined", len(parts) * IN_FLIGHT, contender.pipeline, parts)
    large = made.large(max(2, int(LARGE * setting.scale)))
    found |= serially("large", len(large) * LARGE_EVENTS, contender.commit_large, large)
    return found


def _each_of(work: Callable[[Any], None], things: list[Any]) -> None:
    for one in things:
        work(one)


def _threads(contender: Blocking, shares: list[list[Any]]) -> None:
    def caller(share: list[Any]) -> None:
        for one in share:
            contender.commit(one)

    threads = [threading.Thread(target=caller, args=(share,)) for share in shares]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def looping(contender: Looping, setting: Setting, pids: Iterable[int]) -> Results:
    """All figures of a contender on a loop."""
    with asyncio.Runner(loop_factory=contender.loop_factory) as runner:
        return runner.run(_looping(contender, setting, pids))


async def _looping(contender: Looping, setting: Setting, pids: Iterable[int]) -> Results:
    made = _Made(contender)
    await contender.open()
    try:
        for one in made.some(int(WARM_UP * setting.scale)):
            await contender.commit(one)
        times = []
        for one in made.some(int(SERIAL * setting.scale)):
            started = time.perf_counter()
            await contender.commit(one)
            times.append(time.perf_counter() - started)
        found = _serial(times)
        many = max(64, int(contender.commits * setting.scale))
        for callers in (8, 64):
            shares = [made.some(many // callers) for _ in range(callers)]
            run = _coroutines(contender, shares)
            found |= await _rate_of(f"callers_{callers}", many // callers * callers, run, pids)
        parts = [made.some(IN_FLIGHT) for _ in range(max(1, many // IN_FLIGHT))]
        found |= await _rate_of(
            "pipelined", len(parts) * IN_FLIGHT, _each(contender.pipeline, parts), pids
        )
        large = made.large(max(2, int(LARGE * setting.scale)))
        found |= await _rate_of(
            "large", len(large) * LARGE_EVENTS, _each(contender.commit_large, large), pids
        )
        return found
    finally:
        await contender.close()


async def _rate_of(name: str, commits: int, run: Any, pids: Iterable[int]) -> Results:
    here, there, started = cpu_here_s(), cpu_of_s(pids), time.perf_counter()
    await run
    took = time.perf_counter() - started
    return {
        f"{name}_per_s": commits / took,
        f"{name}_cpu_s": (cpu_here_s() - here) / commits * 1_000,
        f"{name}_server_cpu_s": (cpu_of_s(pids) - there) / commits * 1_000,
    }


async def _coroutines(contender: Looping, shares: list[list[Any]]) -> None:
    async def caller(share: list[Any]) -> None:
        for one in share:
            await contender.commit(one)

    await asyncio.gather(*(caller(share) for share in shares))


async def _each(work: Callable[[Any], Any], things: list[Any]) -> None:
    for one in things:
        await work(one)
