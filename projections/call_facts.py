"""A call's events as compact facts: what its fold needs, and nothing personal beyond a hash."""

from __future__ import annotations

from datetime import timedelta
from operator import attrgetter
from typing import TYPE_CHECKING, Final

import msgspec

from core.calls import (
    CallAbandoned,
    CallAnswered,
    CallbackRequested,
    CallDeflected,
    CallDiverted,
    CallEnded,
    CallLeft,
    CallNotTaken,
    CallOffered,
    CallQueued,
    CallRefused,
    CallTimedOut,
    CallTransferred,
    CallWrappedUp,
)
from core.eventlog.codec import decode_event
from core.vocabulary import EntryOutcome, Origin
from projections.times import micros

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime

    from core.eventlog.envelope import LoggedEvent
    from projections.base import Fed

LATE_AFTER: Final = timedelta(minutes=5)  # a fact told later than this marks its entry as late

ENTER, ANSWER, END, REFUSE, NOT_TAKEN, WRAP, OFFER, RESTART = range(8)
EXIT: Final = 8  # and above: one kind for each outcome of an entry that nobody answered
_EXITS: Final = (
    EntryOutcome.ABANDONED,
    EntryOutcome.TIMED_OUT,
    EntryOutcome.CALLBACK,
    EntryOutcome.DEFLECTED,
    EntryOutcome.DIVERTED,
    EntryOutcome.OTHER,
)
OUTCOME_OF: Final[Mapping[int, str]] = {EXIT + n: outcome.value for n, outcome in enumerate(_EXITS)}
_KIND_OF: Final = {outcome: EXIT + n for n, outcome in enumerate(_EXITS)}

LIVE, LOCAL, PAPER = range(3)  # where a fact came from, the worst last
LATE: Final = 4  # a bit beside it


class CallFact(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """One fact of a call, as it is kept beside its rows.

    `at_us` is when it happened (microseconds since the epoch) and `seq` its place in the log, which
    decides between facts of one moment. `word` is the group, the channel or the outcome of the
    wrap-up; `flag` whether the group is known, or the call was transferred. A struct that the
    garbage collector does not follow: thousands of calls are held in memory, and it would count
    them all.
    """

    at_us: int
    seq: int
    kind: int
    queue: str = ""
    agent: str | None = None
    wait_s: float | None = None
    talk_s: float | None = None
    word: str | None = None
    flag: bool = False
    caller_ref: str | None = None
    mark: int = LIVE


def call_fact(fed: Fed) -> CallFact | None:
    """The fact that an event of a call tells; None where it changes no figure.

    Raises: Corrupt where it cannot be read.
    """
    logged = fed.event
    event = _decoded(logged)
    if event is None:
        return None
    mark = mark_of(fed.commit.origin, logged.occurred_at, fed.commit.recorded_at)
    return _BUILD[logged.type](event, micros(logged.occurred_at), fed.seq, mark)


IN_ORDER: Final = attrgetter("at_us", "seq")


class _Queued(msgspec.Struct, gc=False):
    queue: str
    group: str
    group_known: bool = True
    caller_ref: str | None = None


class _Answered(msgspec.Struct, gc=False):
    queue: str
    agent: str
    wait_s: float | None = None


class _Ended(msgspec.Struct, gc=False):
    queue: str
    agent: str
    by: str
    wait_s: float | None = None
    talk_s: float | None = None


class _Out(msgspec.Struct, gc=False):
    queue: str
    wait_s: float | None = None


# Most of a log is of these: only the fields that count here are read, in a fifth of the time.
_HOT: Final[dict[tuple[str, int], Callable[[msgspec.Raw], object]]] = {
    (event.TOPIC, event.SCHEMA): msgspec.json.Decoder(fields).decode
    for event, fields in (
        (CallQueued, _Queued),
        (CallAnswered, _Answered),
        (CallEnded, _Ended),
        (CallAbandoned, _Out),
        (CallTimedOut, _Out),
    )
}


def _decoded(logged: LoggedEvent) -> object | None:
    hot = _HOT.get((logged.type, logged.schema))
    if hot is not None:
        try:
            return hot(logged.data)
        except msgspec.MsgspecError:
            pass
    return decode_event(logged.type, logged.schema, logged.data)


def mark_of(origin: str, occurred_at: datetime, recorded_at: datetime) -> int:
    """`LIVE`, `LOCAL` or `PAPER` by the commit's origin, with `LATE` where told long after."""
    kind = origin.partition(":")[0]
    mark = LOCAL if kind == Origin.RESERVE else PAPER if kind == Origin.PAPER else LIVE
    return mark | LATE if recorded_at - occurred_at > LATE_AFTER else mark


def worse(one: int, other: int) -> int:
    """The mark of something that rests on two facts."""
    return max(one & 3, other & 3) | (one | other) & LATE


def _entered(e: CallQueued, at: int, seq: int, mark: int) -> CallFact:
    return CallFact(
        at, seq, ENTER, e.queue, None, None, None, e.group, e.group_known, e.caller_ref, mark
    )


def _refused(e: CallRefused, at: int, seq: int, mark: int) -> CallFact:
    return CallFact(at, seq, REFUSE, e.queue, None, None, None, e.group, e.group_known, None, mark)


def _answered(e: CallAnswered, at: int, seq: int, mark: int) -> CallFact:
    return CallFact(at, seq, ANSWER, e.queue, e.agent, e.wait_s, mark=mark)


def _ended(e: CallEnded, at: int, seq: int, mark: int) -> CallFact:
    return CallFact(at, seq, END, e.queue, e.agent, e.wait_s, e.talk_s, mark=mark)


def _transferred(e: CallTransferred, at: int, seq: int, mark: int) -> CallFact:
    return CallFact(at, seq, END, e.queue, e.agent, e.wait_s, e.talk_s, flag=True, mark=mark)


def _not_taken(e: CallNotTaken, at: int, seq: int, mark: int) -> CallFact | None:
    if e.reason != "no_answer":
        return None
    return CallFact(at, seq, NOT_TAKEN, e.queue, e.agent, mark=mark)


def _wrapped(e: CallWrappedUp, at: int, seq: int, mark: int) -> CallFact:
    return CallFact(at, seq, WRAP, "", e.agent, e.wrap_up_s, word=e.outcome, mark=mark)


def _offered(e: CallOffered, at: int, seq: int, mark: int) -> CallFact:
    return CallFact(at, seq, OFFER, word=e.channel, mark=mark)


_Left = CallAbandoned | CallTimedOut | CallbackRequested | CallDeflected | CallDiverted | CallLeft


def _exit(outcome: EntryOutcome) -> Callable[[_Left, int, int, int], CallFact]:
    kind = _KIND_OF[outcome]

    def build(e: _Left, at: int, seq: int, mark: int) -> CallFact:
        return CallFact(at, seq, kind, e.queue, None, e.wait_s, mark=mark)

    return build


_BUILD: Final[Mapping[str, Callable[..., CallFact | None]]] = {
    CallQueued.TOPIC: _entered,
    CallRefused.TOPIC: _refused,
    CallAnswered.TOPIC: _answered,
    CallEnded.TOPIC: _ended,
    CallTransferred.TOPIC: _transferred,
    CallNotTaken.TOPIC: _not_taken,
    CallWrappedUp.TOPIC: _wrapped,
    CallOffered.TOPIC: _offered,
    CallAbandoned.TOPIC: _exit(EntryOutcome.ABANDONED),
    CallTimedOut.TOPIC: _exit(EntryOutcome.TIMED_OUT),
    CallbackRequested.TOPIC: _exit(EntryOutcome.CALLBACK),
    CallDeflected.TOPIC: _exit(EntryOutcome.DEFLECTED),
    CallDiverted.TOPIC: _exit(EntryOutcome.DIVERTED),
    CallLeft.TOPIC: _exit(EntryOutcome.OTHER),
}
CALL_TOPICS: Final = frozenset(_BUILD)
