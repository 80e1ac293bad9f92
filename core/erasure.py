"""Erasure (*gallring*): a recorded decision by which all keys of a person are destroyed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from core.commit import Event


@dataclass(frozen=True)
class ErasureDecided(Event):
    """All keys of `subject` are to be destroyed.

    `rule` names the retention rule or decision it rests on.
    """

    TOPIC: ClassVar[str] = "erasure.decided"
    subject: str
    rule: str


def erasure_stream(subject: str) -> str:
    """The stream of the erasures of one person; the subject is a keyed hash, never a number."""
    return f"erasure/{subject}"
