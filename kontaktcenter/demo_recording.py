"""The recorded crisis laid out in time again: when each row is due, and how it reads then."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_FIELDS: Final = 5  # epoch|uniqueid|queue|member|EVENT, then parameters
_EVENT: Final = 4
_AGENT_CHANNEL: Final = 6  # CONNECT: wait, the agent channel's uniqueid, ring time
_REST_S: Final = 30  # between the recording's last row and its first again


@dataclass(frozen=True, slots=True)
class Row:
    """A row of the recording: seconds after the first one, and its fields."""

    offset_s: int
    fields: tuple[str, ...]

    @property
    def event(self) -> str:
        """What the exchange calls it, such as CONNECT."""
        return self.fields[_EVENT]


@dataclass(frozen=True, slots=True)
class Due:
    """A row as it reads when it is played: `line` has no line end."""

    at: datetime
    line: str


@dataclass(frozen=True)
class Recording:
    """A recorded queue_log: its rows in order, and the epoch of the first."""

    epoch: int
    rows: tuple[Row, ...]

    @property
    def lasts(self) -> timedelta:
        """From its first row to the moment when it may begin again."""
        return timedelta(seconds=self.rows[-1].offset_s + _REST_S)

    def agents(self) -> dict[str, tuple[str, ...]]:
        """Who answered or paused in it, and in which queues, both in order of name."""
        found: dict[str, set[str]] = {}
        for row in self.rows:
            _epoch, _call, queue, member, event = row.fields[:_FIELDS]
            if member != "NONE" and event in {"CONNECT", "PAUSE", "PAUSEALL"}:
                queues = found.setdefault(member, set())
                if queue != "NONE":
                    queues.add(queue)
        return {member: tuple(sorted(queues)) for member, queues in sorted(found.items())}

    def played_from(self, start: datetime) -> Iterator[Due]:
        """The rows as if the first came at `start`, a whole second; every uniqueid is a new one.

        Two plays never share a uniqueid where their starts are at least `lasts` apart.
        """
        shift_s = int(start.timestamp()) - self.epoch
        for row in self.rows:
            at = start + timedelta(seconds=row.offset_s)
            yield Due(at, "|".join(_shifted(row, shift_s)))


def _shifted(row: Row, shift_s: int) -> list[str]:
    fields = list(row.fields)
    fields[0] = str(int(fields[0]) + shift_s)
    fields[1] = _later(fields[1], shift_s)
    if row.event == "CONNECT" and len(fields) > _AGENT_CHANNEL:
        fields[_AGENT_CHANNEL] = _later(fields[_AGENT_CHANNEL], shift_s)
    return fields


def _later(uniqueid: str, shift_s: int) -> str:
    seconds, dot, number = uniqueid.partition(".")
    return f"{int(seconds) + shift_s}.{number}" if dot and seconds.isdigit() else uniqueid


def parse(lines: Sequence[str]) -> Recording:
    """A recording from the lines of a queue_log that has no malformed row."""
    split = [tuple(line.rstrip("\n").split("|")) for line in lines if line.strip()]
    first = int(split[0][0])
    return Recording(first, tuple(Row(int(fields[0]) - first, fields) for fields in split))


def next_start(now: datetime, last: datetime | None) -> datetime:
    """When a play may begin: now, or after all that the log holds already, on a whole second."""
    earliest = now if last is None else max(now, last + timedelta(seconds=1))
    whole = earliest.astimezone(UTC).replace(microsecond=0)
    return whole if whole >= earliest else whole + timedelta(seconds=1)
