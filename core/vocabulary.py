"""The words that every house shares: channels, outcomes, names of books and streams.

Source: `docs/glossary.md`, which is the only bridge between these names and the Swedish ones.
"""

from __future__ import annotations

from enum import StrEnum
from zlib import crc32


class Channel(StrEnum):
    """How a contact reached the centre (R24)."""

    PHONE = "phone"
    EMAIL = "email"
    LETTER = "letter"
    SMS = "sms"
    VISIT = "visit"
    ESERVICE = "eservice"


class WrapUpOutcome(StrEnum):
    """What an answered contact led to, as the agent says when wrapping it up (R7, R18, R27)."""

    SOLVED = "solved"
    GUIDED = "guided"
    ESERVICE = "eservice"
    HANDED_OVER = "handed_over"
    CALLBACK = "callback"


class EntryOutcome(StrEnum):
    """What became of one entry into a queue; each entry has exactly one."""

    ANSWERED = "answered"
    ABANDONED = "abandoned"
    TIMED_OUT = "timed_out"
    REFUSED = "refused"
    CALLBACK = "callback"
    DEFLECTED = "deflected"
    DIVERTED = "diverted"
    OTHER = "other"
    IN_PROGRESS = "in_progress"


class AgentState(StrEnum):
    """What an agent is doing, as the board shows it."""

    AVAILABLE = "available"
    RINGING = "ringing"
    TALKING = "talking"
    WRAP_UP = "wrap_up"
    PAUSED = "paused"
    OFF = "off"


class Level(StrEnum):
    """Who answers (R8): the centre's two levels, specialist, on-call expert, nobody here."""

    ONE = "1"
    TWO = "2"
    SPECIALIST = "specialist"
    ON_CALL_EXPERT = "jourexpert"
    ROUTE_ONLY = "route_only"


class StepAction(StrEnum):
    """What is done in one step of a case type's chain (R12)."""

    ANSWER = "answer"
    REGISTER = "register"
    GUIDE = "guide"
    HAND_OVER = "handover"
    DECIDE = "decide"
    REPLY_WRITTEN = "reply_written"
    TRANSFER_WARM = "transfer_warm"
    ROUTE = "route"


class Receipt(StrEnum):
    """How far a hand-over has come, in this order; `returned` ends it, with a reason."""

    SENT = "sent"
    RECEIVED = "received"
    ACCEPTED = "accepted"
    RETURNED = "returned"


class LinkKind(StrEnum):
    """Why two cases are linked: one matter told twice, or one event that many tell of."""

    DUPLICATE = "duplicate"
    INCIDENT = "incident"


class CallerType(StrEnum):
    """Who calls (R25); never required."""

    RESIDENT = "invanare"
    COMPANY = "foretag"
    VISITOR = "besokare"
    ASSOCIATION = "forening"
    OTHER_INTEREST = "annan_intressent"
    OTHER_AUTHORITY = "annan_myndighet"


class Origin(StrEnum):
    """Kinds of origin of a commit; `telephony` and others are followed by `:` and a name.

    `process`: nobody asked; one event, or the time, led to another.
    """

    DESK = "desk"
    TELEPHONY = "telephony"
    RESERVE = "reserve"
    PAPER = "paper"
    IMPORT = "import"
    PROCESS = "process"


CALLS = "calls"
CENTRE = "centre"
KEYS = "keys"
LOOKS = "looks"
CASES_PREFIX = "cases."

# Kinds of stream that live in the book of calls: ids from an exchange are unique for each shard, so
# what comes from it must always go to the same book. Everything that is not a case either is the
# centre's.
_KINDS_OF_CALLS = frozenset({"call", "exchange"})


def call_stream(exchange: str, uniqueid: str) -> str:
    """The stream of one call, fixed by the exchange's own id alone (design, small print 2)."""
    return f"call/{exchange}/{uniqueid}"


def exchange_stream(exchange: str) -> str:
    """The stream of what happens to an exchange as a whole, such as a restart."""
    return f"exchange/{exchange}"


def shift_stream(exchange: str, agent: str, on: str) -> str:
    """The stream of an agent's working day; `on` is the UTC date, ISO 8601."""
    return f"shift/{exchange}/{agent}/{on}"


def case_stream(authority: str, case_id: str) -> str:
    """The stream of one case in the room of the authority that owns it (R53)."""
    return f"case/{authority}/{case_id}"


def catalogue_stream(section: str, key: str) -> str:
    """The stream of one entry of the catalogue."""
    return f"catalogue/{section}/{key}"


def account_stream(account: str) -> str:
    """The stream of one account: a person who signs in, or a program with a token."""
    return f"account/{account}"


def look_stream(chain: str) -> str:
    """The stream of one node's chain of looks at personal data."""
    return f"look/{chain}"


def kind_of(stream: str) -> str:
    """The part of a stream's name before the first `/`."""
    return stream.partition("/")[0]


def book_of(stream: str) -> str:
    """The book that a stream lives in; a case's book is its authority's own."""
    kind, _, key = stream.partition("/")
    if kind == "case":
        return CASES_PREFIX + key.partition("/")[0]
    if kind == "look":
        return LOOKS
    return CALLS if kind in _KINDS_OF_CALLS else CENTRE


def shard_of(stream: str, shards: int) -> int:
    """The shard of a stream in a book of `shards` shards (design §2)."""
    return crc32(stream.encode()) % shards
