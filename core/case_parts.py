"""What a case's state is made of: what was handed over, sent, asked and promised."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from core.vocabulary import Receipt

_ORDER: Final = (None, Receipt.SENT, Receipt.RECEIVED, Receipt.ACCEPTED)


def follows(before: str | None, after: str) -> bool:
    """Whether a hand-over may come from one receipt to the other; what came last stays so."""
    if before in {Receipt.ACCEPTED, Receipt.RETURNED}:
        return False
    if after == Receipt.RETURNED:
        return True
    return after in _ORDER and _ORDER.index(Receipt(after)) > _ORDER.index(_receipt(before))


def _receipt(word: str | None) -> Receipt | None:
    return Receipt(word) if word in _ORDER and word is not None else None


@dataclass(frozen=True, slots=True)
class Handover:
    """One hand-over: who is to receive it, how far it has come (`Receipt`; None until sent)."""

    id: str
    receiver: str
    group: str | None = None
    receipt: str | None = None
    due_at: datetime | None = None
    silent: bool = False
    safety: bool = False
    step: int | None = None
    officer: str | None = None

    @property
    def returned(self) -> bool:
        """Whether it came back: nobody there works on it."""
        return self.receipt == Receipt.RETURNED

    @property
    def awaited(self) -> bool:
        """Whether no receipt is back yet; `sent` is none."""
        return self.receipt in {None, Receipt.SENT}


@dataclass(frozen=True, slots=True)
class Delivery:
    """A complaint's way to its system: waiting for the receipt, then for the answer."""

    id: str
    system: str
    due_at: datetime | None = None
    reference: str | None = None
    answered: bool = False
    silent: bool = False

    @property
    def awaited(self) -> bool:
        """Whether no receipt is back yet; an answer is one."""
        return self.reference is None and not self.answered


@dataclass(frozen=True, slots=True)
class Question:
    """Something that has to be known; `to` is `caller` or `centre`."""

    id: str
    to: str
    answered: bool = False


@dataclass(frozen=True, slots=True)
class Callback:
    """A promise to call back; kept when the call was made, done when somebody was reached."""

    id: str
    promised_at: datetime
    group: str | None = None
    officer: str | None = None
    kept: bool = False
    reached: bool = False
    agent: str | None = None
