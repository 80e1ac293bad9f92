"""Lines of a `queue_log` into the log, in bounded flight: the engine of import and of following.

One batch is parsed while the one before it is being judged, and never are two under way at once: a
batch with new callers waits for their keys, and one after it must not overtake it, since rows of
the same second count in the order of the log. Importers of one port take turns, so that each knows
what the others have recorded before it gives a fact its number.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple
from weakref import WeakKeyDictionary

from core.commit import (
    Draft,
    Duplicate,
    Fork,
    Happened,
    Kept,
    StaleVerdict,
    first_of,
    judged,
    telephony_id,
)
from core.errors import Corrupt, Invalid, Refused, Unavailable
from core.limits import (
    DECISION_ATTEMPTS_MAX,
    IMPORT_ATTEMPTS_MAX,
    IMPORT_CALLS_COUNTED_MAX,
    IMPORT_MALFORMED_MAX,
    IMPORT_ROWS_MAX,
    IMPORT_STREAMS_MAX,
)
from core.vocabulary import Origin
from telephony.known import StreamState, fact_key
from telephony.mapping import Mapper
from telephony.rows import Malformed, parse

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence

    from core.commit import Answer, Port
    from core.taxonomy import Directory
    from telephony.mapping import Fact

ACTOR = "telephony"


class MalformedRow(NamedTuple):
    """Where a row stands that could not be understood, and why; never what it says."""

    file: str
    line: int
    reason: str


@dataclass
class ImportReport:
    """What became of the lines.

    `lines` = `events` (rows understood) + `malformed`; `events` = `facts` (newly recorded) +
    `already_known` + `kept` (on this node, until it has the log again) + `forks`. One row is one
    fact, also where it makes two events. `calls` counts the different calls seen. `forks` are rows
    whose id the log knows with another origin: kept aside there, and somebody must look.
    `unfinished` names files whose last row has no line end and was not read. Where following has
    met more malformed rows than IMPORT_MALFORMED_MAX, `malformed_more` counts those that are not
    listed.
    """

    lines: int = 0
    events: int = 0
    facts: int = 0
    already_known: int = 0
    kept: int = 0
    calls: int = 0
    malformed: list[MalformedRow] = field(default_factory=list)
    malformed_more: int = 0
    forks: list[MalformedRow] = field(default_factory=list)
    unfinished: list[str] = field(default_factory=list)

    def as_json(self) -> dict[str, object]:
        """The report as the command line prints it."""
        return {
            "lines": self.lines,
            "events": self.events,
            "facts": self.facts,
            "already_known": self.already_known,
            "malformed": [row._asdict() for row in self.malformed],
            "calls": self.calls,
            **({"kept": self.kept} if self.kept else {}),
        }


class _Turn:
    """Whose turn it is at one port: a batch is numbered and judged before another importer's is."""

    def __init__(self) -> None:
        self.wanted = 0
        self._lock = asyncio.Lock()
        self._owner: Importer | None = None

    async def take(self, importer: Importer) -> None:
        """Wait for the turn, unless it is this importer's."""
        if self._owner is importer:
            return
        self.wanted += 1
        try:
            await self._lock.acquire()
        finally:
            self.wanted -= 1
        self._owner = importer

    def leave(self, importer: Importer) -> None:
        """Let the next one go on. Safe to repeat."""
        if self._owner is importer:
            self._owner = None
            self._lock.release()


_TURNS: WeakKeyDictionary[Port, _Turn] = WeakKeyDictionary()


class _New(NamedTuple):
    """A fact to propose, with its `n` and where its row stands."""

    fact: Fact
    n: int
    file: str
    line: int


class Importer:
    """Takes lines and proposes what is new. Close it, or what is under way may be lost sight of.

    Raises: Invalid where `exchange` is not a name.
    """

    def __init__(
        self,
        port: Port,
        exchange: str,
        directory: Directory,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        *,
        endless: bool = False,
    ) -> None:
        try:
            self._mapper = Mapper(exchange, directory, port.caller_ref)
        except ValueError as e:
            raise Invalid(str(e), field="exchange") from e
        self.report = ImportReport()
        self._port, self._sleep, self._endless = port, sleep, endless
        self._exchange = exchange
        self._origin = f"{Origin.TELEPHONY}:{exchange}"
        self._states: dict[str, StreamState] = {}
        self._seen: set[int] = set()  # hashes of rows: the same bytes again are the same row
        self._calls: set[int] = set()
        self._turn = _TURNS.setdefault(port, _Turn())
        self._flying: asyncio.Task[None] | None = None

    def use(self, directory: Directory) -> None:
        """Go by this catalogue from now on."""
        self._mapper = Mapper(self._exchange, directory, self._port.caller_ref)

    async def take(self, file: str, first_no: int, lines: Sequence[bytes]) -> None:
        """Take lines of `file` from number `first_no` on; returns when the batch before is judged.

        Raises: Refused (this is no queue_log), Unavailable, Corrupt.
        """
        await self._turn.take(self)
        if len(self._states) > IMPORT_STREAMS_MAX or len(self._seen) > IMPORT_ROWS_MAX:
            await self._forget()
        new = self._prepare(file, first_no, lines)
        await self._landed()
        if new:
            self._flying = asyncio.create_task(self._propose(new))
            await asyncio.sleep(0)  # it starts now, not when the next lines are parsed
        if self._turn.wanted:
            await self.settle()

    async def settle(self) -> None:
        """Return when all that was taken is judged. Raises: as `take`."""
        try:
            await self._landed()
        finally:
            self._turn.leave(self)

    async def _landed(self) -> None:
        flying, self._flying = self._flying, None
        if flying is not None:
            await flying

    async def close(self) -> None:
        """Let go of what is under way; a second run finds it again."""
        flying, self._flying = self._flying, None
        if flying is not None:
            flying.cancel()
            await asyncio.gather(flying, return_exceptions=True)
        self._turn.leave(self)

    def malformed(self, file: str, line: int, reason: str) -> None:
        """Report a row. Raises: Refused where there are so many that the file is something else."""
        if len(self.report.malformed) >= IMPORT_MALFORMED_MAX:
            if self._endless:
                self.report.malformed_more += 1
                return
            raise Refused(
                f"{file}: more than {IMPORT_MALFORMED_MAX} malformed rows. Is it a queue_log?"
            )
        self.report.malformed.append(MalformedRow(file, line, reason))

    # --- from lines to new facts ------------------------------------------------------------------
    def _prepare(self, file: str, first_no: int, lines: Sequence[bytes]) -> list[_New]:
        report, mapper = self.report, self._mapper
        rows: list[tuple[Fact, int, int]] = []
        for line_no, line in enumerate(lines, start=first_no):
            row = parse(line, line_no)
            if not isinstance(row, Malformed):
                fact = mapper.fact(row)
                if not isinstance(fact, Malformed):
                    rows.append((fact, hash(line), line_no))
                    continue
                row = fact
            self.malformed(file, row.line_no, row.reason)
        report.lines += len(lines)
        report.events += len(rows)
        self._meet({fact.stream: fact.place for fact, _, _ in rows})
        new, seen = [], self._seen
        for fact, row_hash, line_no in rows:
            n = None if row_hash in seen else self._states[fact.stream].number(fact)
            if n is None:
                report.already_known += 1
            else:
                new.append(_New(fact, n, file, line_no))
            seen.add(row_hash)
        return new

    async def _forget(self) -> None:
        """Begin again with nothing in memory: what a row repeats is then found in the log."""
        await self._landed()
        self._states.clear()
        self._seen.clear()

    def _meet(self, places: Mapping[str, str]) -> None:
        """Have a state for each stream, and read what is in the log and not known yet."""
        states = self._states
        for stream, place in places.items():
            if stream not in states:
                states[stream] = StreamState(self._exchange, place)
                states[stream].expect(self._port.kept(stream), self._origin)
                if stream.startswith("call/"):
                    self._count_call(stream)
        for stream, head in self._port.heads(places).items():
            if states[stream].is_behind(head):
                states[stream].read(self._port.load(stream), self._origin)

    def _count_call(self, stream: str) -> None:
        """A call counts once, also where it was forgotten meanwhile."""
        key = hash(stream)
        if key not in self._calls:
            if len(self._calls) >= IMPORT_CALLS_COUNTED_MAX:
                self._calls.clear()
            self._calls.add(key)
            self.report.calls += 1

    # --- into the log -----------------------------------------------------------------------------
    async def _propose(self, new: Sequence[_New]) -> None:
        answers, resent = await self._patiently([self._draft(item.fact, item.n) for item in new])
        for item, answer in zip(new, answers, strict=True):
            if isinstance(answer.verdict, Duplicate):
                await self._again(item, answer, resent=resent)
            else:
                self._count(item, answer)

    async def _again(self, item: _New, answer: Answer, *, resent: bool) -> None:
        """The id is in the log: for this fact, or for another and then the next `n` it is."""
        for _ in range(DECISION_ATTEMPTS_MAX):
            _check_not_stale(answer)
            state = self._states[item.fact.stream]
            recorded = self._port.load(item.fact.stream)
            n = state.renumber(item.fact, item.n, recorded, self._origin)
            if n is None:
                self.report.facts += resent  # our own, whose answer was lost
                self.report.already_known += not resent
                return
            item = item._replace(n=n)
            (answer,), resent = await self._patiently([self._draft(item.fact, n)])
            if not isinstance(answer.verdict, Duplicate):
                self._count(item, answer)
                return
        raise Unavailable(
            "another import works on the same calls: run this one again when it is done",
            neighbour="import",
            retry_after_s=5,
        )

    def _count(self, item: _New, answer: Answer) -> None:
        if isinstance(answer.verdict, Kept):
            self.report.kept += 1
            return
        _check_not_stale(answer)
        if isinstance(answer.verdict, Fork):
            self._states[item.fact.stream].set_aside(item.fact)
            reason = "the log holds another commit with this row's id: kept aside"
            self.report.forks.append(MalformedRow(item.file, item.line, reason))
        else:
            self.report.facts += 1

    def _draft(self, fact: Fact, n: int) -> Draft:
        stream, at = fact.stream, fact.occurred_at
        key = fact_key(self._exchange, fact, n)
        return Draft(
            telephony_id(key),
            key,
            ACTOR,
            self._origin,
            tuple([Happened(stream, event, at) for event in fact.events]),
        )

    async def _patiently(self, drafts: Sequence[Draft]) -> tuple[Sequence[Answer], bool]:
        """Propose, again after the time that a busy node says; whether it took more than once."""
        attempt = 1
        while True:
            try:
                return await self._port.propose_many(drafts), attempt > 1
            except Unavailable as e:
                if attempt >= IMPORT_ATTEMPTS_MAX and not self._endless:
                    raise
                attempt += 1
                wait_s = e.details.get("retry_after_s", 1)
            await self._sleep(float(wait_s) if isinstance(wait_s, int | float) else 1.0)


def _check_not_stale(answer: Answer) -> None:
    if isinstance(first_of(judged(answer)), StaleVerdict):
        raise Corrupt(f"{answer.shard}: a fact of the exchange was judged stale")
