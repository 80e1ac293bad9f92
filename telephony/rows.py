"""One line of Asterisk's `queue_log` to a `Row`, or to what is wrong with it.

A line is `epoch|uniqueid|queue|member|EVENT|parameters`. Nothing here knows what an event means. A
reason says which field is wrong and never repeats it: a row may hold a caller's number, of an
excluded group too.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Final, NamedTuple

from core.limits import LINE_CHARS_MAX, NAME_CHARS_MAX

EPOCH_MIN_S: Final = 946_684_800  # 2000-01-01: before it no queue_log was written
EPOCH_MAX_S: Final = 4_102_444_800  # 2100-01-01
UNIQUEID_CHARS_MAX: Final = 150  # Asterisk's own bound
EVENT_CHARS_MAX: Final = 80
PARAMETERS_MAX: Final = 20
PHONE_DIGITS_MIN: Final = 7  # so many digits in a row may be somebody's telephone number
NONE: Final = "NONE"  # the exchange's word for a field that does not apply

# What app_queue writes for a uniqueid where no channel is behind the row.
_NOT_CALLS: Final = frozenset({"", NONE, "REALTIME", "MANAGER", "CLI"})
_FIELDS_BEFORE_PARAMETERS: Final = 5
_MICROSECOND_DIGITS: Final = 6
_EPOCH_DIGITS_MAX: Final = 10
_EVENT: Final = re.compile(r"[^\W\d_][\w .:\-]*")
_PHONE_LIKE: Final = re.compile(r"\d[\d ()./\-]{5,}\d")


class Row(NamedTuple):
    """A row as read. `None` stands where the exchange wrote that a field does not apply.

    Units: `at` is UTC, whole seconds unless the exchange wrote a fraction.
    """

    line_no: int
    at: datetime
    uniqueid: str | None
    queue: str | None
    member: str | None
    event: str
    parameters: tuple[str, ...]


class Malformed(NamedTuple):
    """A row that cannot be understood: its line number, and why, without its content."""

    line_no: int
    reason: str


def parse(line: bytes, line_no: int) -> Row | Malformed:
    """Read one line, given without its line end. Never raises, whatever the bytes.

    Bound: LINE_CHARS_MAX bytes.
    """
    if line.endswith(b"\r"):
        line = line[:-1]
    if not line:
        return Malformed(line_no, "the line is empty")
    if len(line) > LINE_CHARS_MAX:
        return Malformed(line_no, f"the line is longer than {LINE_CHARS_MAX} bytes")
    try:
        text = line.decode()
    except UnicodeDecodeError:
        return Malformed(line_no, "the line is not UTF-8")
    if not text.isprintable() and _has_control(text):
        return Malformed(line_no, "the line holds a control character, such as NUL")
    fields = text.split("|")
    if len(fields) < _FIELDS_BEFORE_PARAMETERS:
        return Malformed(line_no, f"fields: {len(fields)}, at least {_FIELDS_BEFORE_PARAMETERS}")
    if len(fields) > _FIELDS_BEFORE_PARAMETERS + PARAMETERS_MAX:
        return Malformed(line_no, f"parameters: more than {PARAMETERS_MAX}")
    epoch, uniqueid, queue, member, event = fields[:_FIELDS_BEFORE_PARAMETERS]
    at = _time(epoch)
    if isinstance(at, str):
        return Malformed(line_no, at)
    wrong = _wrong_name(uniqueid, queue, member, event)
    if wrong:
        return Malformed(line_no, wrong)
    return Row(
        line_no,
        at,
        None if uniqueid in _NOT_CALLS else uniqueid,
        None if queue in ("", NONE) else queue,
        None if member in ("", NONE) else member,
        event,
        tuple(fields[_FIELDS_BEFORE_PARAMETERS:]),
    )


def looks_like_phone(text: str) -> bool:
    """Whether `text` holds a run of digits long enough to be somebody's telephone number."""
    found = _PHONE_LIKE.search(text)
    return found is not None and sum(c.isdigit() for c in found[0]) >= PHONE_DIGITS_MIN


def _has_control(text: str) -> bool:
    """Whether a C0 or C1 control character is there; other unprintable ones are somebody's text."""
    return any(c < " " or "\x7f" <= c < "\xa0" for c in text)


def _time(epoch: str) -> datetime | str:
    """The time, or what is wrong with it."""
    whole, point, fraction = epoch.partition(".")
    if not (whole.isascii() and whole.isdigit()):
        return "epoch: not a number"
    if point and not (fraction.isascii() and fraction.isdigit()):
        return "epoch: not a number"
    if len(whole) > _EPOCH_DIGITS_MAX or not EPOCH_MIN_S <= int(whole) < EPOCH_MAX_S:
        return "epoch: before the year 2000 or after 2099"
    at = datetime.fromtimestamp(int(whole), UTC)
    if not point:
        return at
    micros = fraction[:_MICROSECOND_DIGITS].ljust(_MICROSECOND_DIGITS, "0")
    return at.replace(microsecond=int(micros))


def _wrong_name(uniqueid: str, queue: str, member: str, event: str) -> str | None:
    """What is wrong with the names of a row; a `/` would make two ids look alike."""
    if len(uniqueid) > UNIQUEID_CHARS_MAX or "/" in uniqueid or " " in uniqueid:
        return "uniqueid: not an id of a call"
    if len(queue) > NAME_CHARS_MAX or "/" in queue:
        return "queue: not a name"
    if len(member) > NAME_CHARS_MAX:
        return f"member: longer than {NAME_CHARS_MAX} characters"
    if event.isalpha() and len(event) <= EVENT_CHARS_MAX:
        return None  # nearly all are: no need of the pattern
    if len(event) > EVENT_CHARS_MAX or _EVENT.fullmatch(event) is None or looks_like_phone(event):
        return "event: not a name"
    return None
