"""Cases so far: registered from a contact, categorised, closed. The stream is `case/<authority>/<id>`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from core.commit import Event
from core.personal import PersonalField


@dataclass(frozen=True)
class CaseRegistered(Event):
    """A case was opened. `contact` is the call's stream, where there was one; `number` is shown to people."""

    TOPIC: ClassVar[str] = "case.registered"
    number: str
    authority: str
    agent: str
    channel: str
    contact: str | None = None
    title: PersonalField | None = None
    text: PersonalField | None = None
    caller_ref: str | None = None


@dataclass(frozen=True)
class CaseCategorised(Event):
    """The case got a type of the taxonomy (R9)."""

    TOPIC: ClassVar[str] = "case.categorised"
    case_type: str
    agent: str
    complaint: bool = False


@dataclass(frozen=True)
class CaseClosed(Event):
    """The case was closed with an outcome. `first_contact` says that no further contact was needed."""

    TOPIC: ClassVar[str] = "case.closed"
    outcome: str
    agent: str
    first_contact: bool = False
