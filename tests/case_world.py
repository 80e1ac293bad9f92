"""Cases for the tests of read models: what happens to them, told in short."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from figures_world import NOW

from core.access import Sight
from core.cases import CaseCategorised, CaseRegistered
from core.entries import EntrySet
from core.erasure import ErasureDecided, erasure_stream
from core.personal import Personal
from core.vocabulary import case_stream, catalogue_stream

if TYPE_CHECKING:
    from figures_world import Told

    from core.commit import Event

MINUTE = timedelta(minutes=1)


def seeing(*rooms: str, asker: str | None = None, **more: frozenset[str]) -> Sight:
    """What somebody sees who opens these rooms."""
    return Sight(frozenset(rooms), asker=asker, **more)


def of_case(number: str, *events: Event, authority: str = "TK", at: datetime = NOW) -> list[Told]:
    """Events of one case, a minute apart."""
    stream = case_stream(authority, number)
    return [(stream, event, at + n * MINUTE) for n, event in enumerate(events)]


def opened(
    number: str,
    title: str | None = None,
    text: str | None = None,
    *,
    authority: str = "TK",
    at: datetime = NOW,
    agent: str = "anna",
    **more: Any,
) -> list[Told]:
    """A case is registered, with a text of its caller."""
    subject = case_stream(authority, number)
    event = CaseRegistered(
        f"NR-{number}",
        authority,
        agent,
        "phone",
        title=None if title is None else Personal(title, subject),
        text=None if text is None else Personal(text, subject),
        **more,
    )
    return [(subject, event, at)]


def typed(
    number: str, case_type: str, *, authority: str = "TK", at: datetime = NOW, **more: Any
) -> list[Told]:
    """A case gets a type."""
    event = CaseCategorised(case_type, "anna", **more)
    return [(case_stream(authority, number), event, at)]


def a_type(code: str, name: str, *steps: dict[str, object], authority: str = "TK") -> Told:
    """A case type of the catalogue."""
    fields: dict[str, object] = {"name": name, "authority": authority, "steps": list(steps)}
    return catalogue_stream("case_type", code), EntrySet("case_type", code, fields), NOW


def erasure_of(subject: str, authority: str = "TK") -> Told:
    """An erasure is decided."""
    return erasure_stream(authority), ErasureDecided(subject, "rule"), NOW
