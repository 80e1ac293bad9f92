"""A row of `queue_log` to the fact that it tells of: pure, one row at a time.

What each event of app_queue becomes stands in `_BUILDERS`. Beside them these custom ones, written
by a dialplan with `QueueLog()`, have a meaning here:

| event | parameters | becomes |
|---|---|---|
| FULL, JOINEMPTY | ignored | `call.refused`, reason `full` or `empty` |
| DIVERT_WHY | ignored, save a first one that is an extension | `call.diverted`, reason `why` |
| CALLBACK, CALLBACK_REQUESTED | wait in s, may be left out | `call.callback_requested` |
| CALLBACK_MADE | `1` reached, `0` not; the row has a member | `call.callback_made` |
| DEFLECTED | wait in s, may be left out | `call.deflected` |

Anything else is noted by its name. **Personal data**: of an unknown event's parameters only short
numbers (at most 5 digits) and a few words of the exchange's own are kept; the place of the others
stays, empty, since a word may be somebody's name. The number a call is passed on to is kept only if
it is an internal extension, likewise at most 5 digits. A member's name with a telephone number in
it, such as that of an expert's own telephone, gets a keyed hash in the number's place. A caller's
name (ENTERQUEUE's fourth parameter) is dropped. For an excluded group no number, hash, key press or
parameter is kept at all.

Source: app_queue of Asterisk 22 and its documentation; TRANSFER is what Asterisk before 12 wrote.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, NamedTuple

from core.calls import (
    CallAbandoned,
    CallAnswered,
    CallbackMade,
    CallbackRequested,
    CallDeflected,
    CallDiverted,
    CallEnded,
    CallLeft,
    CallNoted,
    CallNotTaken,
    CallQueued,
    CallRefused,
    CallTimedOut,
    CallTransferred,
    ExchangeNoted,
    ExchangeRestarted,
)
from core.personal import Personal
from core.shifts import AgentPaused, AgentSignedOff, AgentSignedOn, AgentUnpaused, ShiftNoted
from core.vocabulary import call_stream, exchange_stream, shift_stream
from telephony.kinds import key_of
from telephony.parameters import (
    WrongError,
    caller_number,
    count,
    harmless,
    pause_reason,
    position,
    seconds,
    wait_first,
    wait_last,
)
from telephony.rows import NONE, Malformed, Row

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from core.commit import Event
    from core.taxonomy import AnswerGroup, Directory

EXCHANGE_CHARS_MAX: Final = 80
_NAMES_CACHED_MAX: Final = 10_000  # a file full of invented queues must not fill memory
_EXTENSION: Final = re.compile(r"[0-9]{1,5}")
_NUMBER_IN_MEMBER: Final = re.compile(r"\+?[0-9]{7,}")
_BLIND: Final = 5  # extension, context, wait, talk, position; a text before them may hold `|`
_ATTENDED: Final = 4  # method, wait, talk, position


class Fact(NamedTuple):
    """What one row tells: `events` go into `stream` as one commit.

    `place` is the key's second part: the call's uniqueid, an agent's UTC date, or `NONE`.
    """

    stream: str
    place: str
    key: str
    events: tuple[Event, ...]
    occurred_at: datetime


class Mapper:
    """Rows of one exchange to facts.

    `caller_ref` makes the keyed hash of a number. Raises: ValueError where `exchange` is not a name
    that a stream can carry.
    """

    def __init__(
        self, exchange: str, directory: Directory, caller_ref: Callable[[str], str]
    ) -> None:
        wrong = not exchange.strip() or "/" in exchange or not exchange.isprintable()
        if wrong or len(exchange) > EXCHANGE_CHARS_MAX:
            raise ValueError(
                f"the exchange's name is 1 to {EXCHANGE_CHARS_MAX} printable characters without `/`"
            )
        self.exchange = exchange
        self.caller_ref = caller_ref
        self._directory = directory
        self._groups: dict[str, AnswerGroup] = {}
        self._agents: dict[str, str] = {}

    def fact(self, row: Row) -> Fact | Malformed:
        """The fact that `row` tells of, or what is wrong with its parameters."""
        try:
            builder = _BUILDERS.get(row.event)
            if builder is not None:
                return builder(self, row)
            if row.event.startswith("DIVERT_"):
                return _diverted(self, row)
            return _noted(self, row)
        except WrongError as e:
            return Malformed(row.line_no, str(e))

    def group(self, queue: str) -> AnswerGroup:
        """The answer group of the exchange's `queue`."""
        group = self._groups.get(queue)
        if group is None:
            if len(self._groups) >= _NAMES_CACHED_MAX:
                self._groups.clear()
            group = self._groups[queue] = self._directory.group_of_queue(queue)
        return group

    def agent(self, member: str) -> str:
        """The member's name; a telephone number in it is replaced by its keyed hash."""
        name = self._agents.get(member)
        if name is None:
            if len(self._agents) >= _NAMES_CACHED_MAX:
                self._agents.clear()
            name = _NUMBER_IN_MEMBER.sub(lambda m: f"tel-{self.caller_ref(m[0])[:12]}", member)
            self._agents[member] = name
        return name

    def excluded(self, row: Row) -> bool:
        """Whether nothing personal of this row may be kept."""
        return row.queue is not None and self.group(row.queue).excluded


def _of_call(m: Mapper, row: Row, event: Event) -> Fact:
    if row.uniqueid is None:
        raise WrongError(f"uniqueid: {row.event} is about a call, and none is named")
    stream = call_stream(m.exchange, row.uniqueid)
    return Fact(stream, row.uniqueid, key_of(event), (event,), row.at)


def _of_shift(m: Mapper, row: Row, *events: Event) -> Fact:
    date = row.at.date().isoformat()
    stream = shift_stream(m.exchange, _agent(m, row), date)
    return Fact(stream, date, key_of(events[0]), events, row.at)


def _of_exchange(m: Mapper, row: Row, event: Event) -> Fact:
    return Fact(exchange_stream(m.exchange), NONE, key_of(event), (event,), row.at)


def _queue(row: Row) -> str:
    if row.queue is None:
        raise WrongError(f"queue: {row.event} names none")
    return row.queue


def _agent(m: Mapper, row: Row) -> str:
    if row.member is None:
        raise WrongError(f"member: {row.event} names none")
    return m.agent(row.member)


def _extension(m: Mapper, row: Row, text: str) -> str | None:
    return text if _EXTENSION.fullmatch(text) and not m.excluded(row) else None


def _queued(m: Mapper, row: Row) -> Fact:
    given = count(row, 2, 4)
    queue = _queue(row)
    group = m.group(queue)
    number = None if group.excluded else caller_number(given[1])
    place = position("".join(given[2:3]))
    caller, ref = None, None
    if number is not None:
        ref = m.caller_ref(number)
        caller = Personal(number, f"caller/{ref}")
    return _of_call(m, row, CallQueued(queue, group.id, group.known, caller, ref, place))


def _answered(m: Mapper, row: Row) -> Fact:
    given = count(row, 1, 3)
    wait_s = seconds(given[0], "wait")
    ring = "".join(given[2:3])
    ring_s = seconds(ring, "ring time") if ring else None
    return _of_call(m, row, CallAnswered(_queue(row), _agent(m, row), wait_s, ring_s))


def _ended(by: str) -> Callable[[Mapper, Row], Fact]:
    def build(m: Mapper, row: Row) -> Fact:
        given = count(row, 2, 3)
        wait_s, talk_s = seconds(given[0], "wait"), seconds(given[1], "talk")
        position("".join(given[2:3]))
        return _of_call(m, row, CallEnded(_queue(row), _agent(m, row), by, wait_s, talk_s))

    return build


def _abandoned(m: Mapper, row: Row) -> Fact:
    return _of_call(m, row, CallAbandoned(_queue(row), wait_last(row)))


def _timed_out(m: Mapper, row: Row) -> Fact:
    return _of_call(m, row, CallTimedOut(_queue(row), wait_last(row)))


def _left_empty(m: Mapper, row: Row) -> Fact:
    return _of_call(m, row, CallLeft(_queue(row), "empty", None, wait_last(row)))


def _left_by_key(m: Mapper, row: Row) -> Fact:
    key, now, at_entry, wait = count(row, 4, 4)[:4]
    position(now)
    position(at_entry)
    kept = key if len(key) == 1 and not m.excluded(row) else None
    return _of_call(m, row, CallLeft(_queue(row), "key", kept, seconds(wait, "wait")))


def _withdrawn(m: Mapper, row: Row) -> Fact:
    given = count(row, 3, len(row.parameters))  # the last one is free text, and left out
    position(given[0])
    position(given[1])
    return _of_call(m, row, CallLeft(_queue(row), "withdrawn", None, seconds(given[2], "wait")))


def _not_taken(reason: str) -> Callable[[Mapper, Row], Fact]:
    def build(m: Mapper, row: Row) -> Fact:
        ring_s = seconds(count(row, 1, 1)[0], "ring time") / 1000
        return _of_call(m, row, CallNotTaken(_queue(row), _agent(m, row), reason, ring_s))

    return build


def _transferred(how: str, least: int) -> Callable[[Mapper, Row], Fact]:
    def build(m: Mapper, row: Row) -> Fact:
        given = count(row, least, len(row.parameters))
        if not _BUILDERS.keys().isdisjoint(given):
            raise WrongError("parameters: two rows have run into one line")
        wait, talk, at_entry = given[-3:]
        position(at_entry)
        to = _extension(m, row, given[0]) if how == "blind" else None
        wait_s, talk_s = seconds(wait, "wait"), seconds(talk, "talk")
        return _of_call(
            m, row, CallTransferred(_queue(row), _agent(m, row), how, to, wait_s, talk_s)
        )

    return build


def _refused(reason: str) -> Callable[[Mapper, Row], Fact]:
    def build(m: Mapper, row: Row) -> Fact:
        queue = _queue(row)
        group = m.group(queue)
        return _of_call(m, row, CallRefused(queue, group.id, reason, group.known))

    return build


def _diverted(m: Mapper, row: Row) -> Fact:
    to = _extension(m, row, row.parameters[0]) if row.parameters else None
    reason = row.event.removeprefix("DIVERT_").lower() or None
    return _of_call(m, row, CallDiverted(_queue(row), to, None, reason))


def _callback_requested(m: Mapper, row: Row) -> Fact:
    return _of_call(m, row, CallbackRequested(_queue(row), wait_first(row)))


def _callback_made(m: Mapper, row: Row) -> Fact:
    given = count(row, 1, 1)
    if given[0] not in {"0", "1"}:
        raise WrongError("reached: neither 0 nor 1")
    return _of_call(m, row, CallbackMade(_queue(row), _agent(m, row), given[0] == "1"))


def _deflected(m: Mapper, row: Row) -> Fact:
    return _of_call(m, row, CallDeflected(_queue(row), None, wait_first(row)))


def _paused(m: Mapper, row: Row) -> Fact:
    return _of_shift(m, row, AgentPaused(_agent(m, row), pause_reason(row), row.queue))


def _unpaused(m: Mapper, row: Row) -> Fact:
    return _of_shift(m, row, AgentUnpaused(_agent(m, row), pause_reason(row) or None, row.queue))


def _member_added(m: Mapper, row: Row) -> Fact:
    given = count(row, 0, 1)
    agent, queue = _agent(m, row), _queue(row)
    signed_on = AgentSignedOn(agent, (queue,))
    if given and given[0] == "PAUSED":
        return _of_shift(m, row, signed_on, AgentPaused(agent, "", queue))
    return _of_shift(m, row, signed_on)


def _member_removed(m: Mapper, row: Row) -> Fact:
    count(row, 0, 1)
    return _of_shift(m, row, AgentSignedOff(_agent(m, row), (_queue(row),)))


def _logged_on(m: Mapper, row: Row) -> Fact:
    return _of_shift(
        m, row, AgentSignedOn(_agent(m, row))
    )  # the channel may hold a number: left out


def _logged_off(m: Mapper, row: Row) -> Fact:
    return _of_shift(m, row, AgentSignedOff(_agent(m, row)))


def _restarted(m: Mapper, row: Row) -> Fact:
    count(row, 0, 0)
    return _of_exchange(m, row, ExchangeRestarted(m.exchange))


def _kept(m: Mapper, row: Row) -> tuple[str, ...]:
    """The parameters that cannot be personal data; the others' places stay, empty."""
    if m.excluded(row):
        return ()
    return harmless(row.parameters)


def _noted(m: Mapper, row: Row) -> Fact:
    kept = _kept(m, row)
    if row.uniqueid is not None:
        agent = None if row.member is None else m.agent(row.member)
        return _of_call(m, row, CallNoted(row.queue or "", row.event, agent, kept))
    if row.member is not None:
        return _noted_of_member(m, row)
    return _of_exchange(m, row, ExchangeNoted(m.exchange, row.event, kept))


def _noted_of_member(m: Mapper, row: Row) -> Fact:
    return _of_shift(m, row, ShiftNoted(_agent(m, row), row.event, row.queue, _kept(m, row)))


_BUILDERS: Final[dict[str, Callable[[Mapper, Row], Fact]]] = {
    "ENTERQUEUE": _queued,
    "CONNECT": _answered,
    "COMPLETEAGENT": _ended("agent"),
    "COMPLETECALLER": _ended("caller"),
    "ABANDON": _abandoned,
    "EXITWITHTIMEOUT": _timed_out,
    "EXITEMPTY": _left_empty,
    "EXITWITHKEY": _left_by_key,
    "WITHDRAW": _withdrawn,
    "RINGNOANSWER": _not_taken("no_answer"),
    "RINGCANCELED": _not_taken("cancelled"),
    "BLINDTRANSFER": _transferred("blind", _BLIND),
    "TRANSFER": _transferred("blind", _BLIND),
    "ATTENDEDTRANSFER": _transferred("warm", _ATTENDED),
    "FULL": _refused("full"),
    "JOINEMPTY": _refused("empty"),
    "CALLBACK": _callback_requested,
    "CALLBACK_REQUESTED": _callback_requested,
    "CALLBACK_MADE": _callback_made,
    "DEFLECTED": _deflected,
    "PAUSE": _paused,
    "PAUSEALL": _paused,
    "UNPAUSE": _unpaused,
    "UNPAUSEALL": _unpaused,
    "ADDMEMBER": _member_added,
    "REMOVEMEMBER": _member_removed,
    "PENALTY": _noted_of_member,
    "RINGINUSE": _noted_of_member,
    "AGENTLOGIN": _logged_on,
    "AGENTCALLBACKLOGIN": _logged_on,
    "AGENTLOGOFF": _logged_off,
    "AGENTCALLBACKLOGOFF": _logged_off,
    "QUEUESTART": _restarted,
}
