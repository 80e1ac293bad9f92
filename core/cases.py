"""What happens to a case: from the contact that opens it to the decision that erases it.

The stream is `case/<authority>/<id>`, in the owner's own room (R53). Times that stand in an event
beside its `occurred_at` are promises and limits: `due_at`, `promised_at`.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar

from core.commit import Event
from core.personal import PersonalField


@dataclass(frozen=True)
class CaseRegistered(Event):
    """A case was opened.

    `contact` is the call's stream, where there was one; `number` is shown to people. `group` is the
    answer group that registered it.
    """

    TOPIC: ClassVar[str] = "case.registered"
    number: str
    authority: str
    agent: str
    channel: str
    contact: str | None = None
    title: PersonalField | None = None
    text: PersonalField | None = None
    caller_ref: str | None = None
    caller_type: str | None = None
    group: str | None = None
    protected: bool = False


@dataclass(frozen=True)
class CaseContactAdded(Event):
    """Somebody got in touch about the case again, or another one did."""

    TOPIC: ClassVar[str] = "case.contact_added"
    agent: str
    channel: str
    contact: str | None = None
    caller_ref: str | None = None


@dataclass(frozen=True)
class CaseCategorised(Event):
    """The case got a type of the taxonomy (R9), in the version that then stood.

    `due_at` is the type's deadline by its calendar. `step`, here and in what follows, is the place
    in the type's chain that was done by it, from 0; None where the chain has no such step.
    """

    TOPIC: ClassVar[str] = "case.categorised"
    case_type: str
    agent: str
    complaint: bool = False
    type_version: int = 0
    due_at: datetime | None = None
    step: int | None = None


@dataclass(frozen=True)
class CaseEscalated(Event):
    """The case went to another level while the caller was there (R8, R17)."""

    TOPIC: ClassVar[str] = "case.escalated"
    agent: str
    from_level: str
    to_level: str
    group: str | None = None


@dataclass(frozen=True)
class CaseGuided(Event):
    """The caller was shown the right way (*lotsad*): neither solved nor passed on (R18).

    `to` is an authority's code, `eservice` or a group; `step` is the place in the chain.
    """

    TOPIC: ClassVar[str] = "case.guided"
    agent: str
    to: str
    article: str | None = None
    article_version: int = 0
    step: int | None = None


@dataclass(frozen=True)
class CaseAnswered(Event):
    """An answer was given (R19): which article, which version; of a guarded one its fixed text."""

    TOPIC: ClassVar[str] = "case.answered"
    agent: str
    channel: str
    article: str | None = None
    article_version: int = 0
    guarded: bool = False
    text: PersonalField | None = None
    step: int | None = None


@dataclass(frozen=True)
class CaseConnected(Event):
    """The caller was connected to a group or a person; `warm` with the matter told first."""

    TOPIC: ClassVar[str] = "case.connected"
    agent: str
    group: str | None = None
    officer: str | None = None
    warm: bool = False
    step: int | None = None


@dataclass(frozen=True)
class CaseHandedOver(Event):
    """The case went to those who are to act on it; it is not done until a receipt is back.

    `handover` names it within the case; `receiver` is the authority that is to give the receipt,
    by `receipt_due_at` where the receiver has a limit; `officer` is whom the caller asked for.
    """

    TOPIC: ClassVar[str] = "case.handed_over"
    handover: str
    agent: str
    receiver: str
    group: str | None = None
    receipt_due_at: datetime | None = None
    safety: bool = False
    note: PersonalField | None = None
    step: int | None = None
    officer: str | None = None


@dataclass(frozen=True)
class HandoverReceiptNoted(Event):
    """The receiver said how far a hand-over has come (`Receipt`); returned ones say why."""

    TOPIC: ClassVar[str] = "case.handover_receipt_noted"
    handover: str
    receipt: str
    agent: str
    reason: PersonalField | None = None


@dataclass(frozen=True)
class HandoverSilent(Event):
    """No receipt came in time: somebody has to telephone."""

    TOPIC: ClassVar[str] = "case.handover_silent"
    handover: str
    due_at: datetime


@dataclass(frozen=True)
class CaseTaken(Event):
    """An officer of the owner took the case on."""

    TOPIC: ClassVar[str] = "case.taken"
    officer: str


@dataclass(frozen=True)
class CaseNoted(Event):
    """Somebody wrote something down. `private`: for the one who wrote it alone."""

    TOPIC: ClassVar[str] = "case.noted"
    agent: str
    text: PersonalField
    private: bool = False
    step: int | None = None


@dataclass(frozen=True)
class CaseQuestionAsked(Event):
    """Something has to be known before the case can go on; `to` is `caller` or `centre`."""

    TOPIC: ClassVar[str] = "case.question_asked"
    agent: str
    question: str
    to: str
    text: PersonalField


@dataclass(frozen=True)
class CaseQuestionAnswered(Event):
    """The question was answered."""

    TOPIC: ClassVar[str] = "case.question_answered"
    agent: str
    question: str
    text: PersonalField


@dataclass(frozen=True)
class CaseDecided(Event):
    """The owner's officer decided the matter: exercise of authority."""

    TOPIC: ClassVar[str] = "case.decided"
    officer: str
    outcome: str
    text: PersonalField | None = None
    step: int | None = None


@dataclass(frozen=True)
class ComplaintSent(Event):
    """A complaint went to the owner's complaint system (R36)."""

    TOPIC: ClassVar[str] = "case.complaint_sent"
    delivery: str
    system: str
    agent: str
    receipt_due_at: datetime | None = None
    step: int | None = None


@dataclass(frozen=True)
class ComplaintReceiptNoted(Event):
    """The complaint system has it, under its own `reference`."""

    TOPIC: ClassVar[str] = "case.complaint_receipt_noted"
    delivery: str
    reference: str


@dataclass(frozen=True)
class ComplaintSilent(Event):
    """The complaint system gave no receipt in time."""

    TOPIC: ClassVar[str] = "case.complaint_silent"
    delivery: str
    due_at: datetime


@dataclass(frozen=True)
class ComplaintAnswered(Event):
    """The owner answered the complaint: it is followed until then."""

    TOPIC: ClassVar[str] = "case.complaint_answered"
    delivery: str
    agent: str
    text: PersonalField | None = None
    step: int | None = None


@dataclass(frozen=True)
class CallbackPromised(Event):
    """Somebody promised to call back at a time (R16)."""

    TOPIC: ClassVar[str] = "case.callback_promised"
    promise: str
    agent: str
    promised_at: datetime
    group: str | None = None
    officer: str | None = None
    number: PersonalField | None = None


@dataclass(frozen=True)
class CallbackKept(Event):
    """The promised call was made; `reached` says whether somebody answered."""

    TOPIC: ClassVar[str] = "case.callback_kept"
    promise: str
    agent: str
    reached: bool = False


@dataclass(frozen=True)
class CaseLinked(Event):
    """The case was linked to another (its stream): `duplicate` or `incident`. Nothing is merged."""

    TOPIC: ClassVar[str] = "case.linked"
    agent: str
    other: str
    kind: str


@dataclass(frozen=True)
class CaseUnlinked(Event):
    """A link was taken away again."""

    TOPIC: ClassVar[str] = "case.unlinked"
    agent: str
    other: str


@dataclass(frozen=True)
class CaseProtected(Event):
    """The person of the case has, or no longer has, a protected identity."""

    TOPIC: ClassVar[str] = "case.protected"
    agent: str
    protected: bool = True


@dataclass(frozen=True)
class RegistryDecided(Event):
    """The registrar's decision (R55): `registered` under a number, or `kept_unregistered`.

    `rule` is what it rests on.
    """

    TOPIC: ClassVar[str] = "case.registry_decided"
    registrar: str
    outcome: str
    registry_number: str | None = None
    rule: str | None = None


@dataclass(frozen=True)
class AttachmentAdded(Event):
    """A file belongs to the case; it lies sealed outside the log, at the address of its content."""

    TOPIC: ClassVar[str] = "case.attachment_added"
    agent: str
    address: str
    key: str
    size_bytes: int
    media_type: str
    name: PersonalField | None = None


@dataclass(frozen=True)
class CaseDisclosed(Event):
    """A copy was given out; `masked` are the parts that were not shown, each with its reason."""

    TOPIC: ClassVar[str] = "case.disclosed"
    registrar: str
    purpose: str
    masked: tuple[str, ...] = ()
    recipient: PersonalField | None = None


@dataclass(frozen=True)
class CaseClosed(Event):
    """The case was closed with an outcome.

    `first_contact` says that no further contact was needed.
    """

    TOPIC: ClassVar[str] = "case.closed"
    outcome: str
    agent: str
    first_contact: bool = False


@dataclass(frozen=True)
class CaseReopened(Event):
    """The case goes on after it was closed."""

    TOPIC: ClassVar[str] = "case.reopened"
    agent: str
    reason: PersonalField | None = None


CASE_EVENTS: tuple[type[Event], ...] = (
    CaseRegistered, CaseContactAdded, CaseCategorised, CaseEscalated, CaseGuided, CaseAnswered,
    CaseConnected, CaseHandedOver, HandoverReceiptNoted, HandoverSilent, CaseTaken, CaseNoted,
    CaseQuestionAsked, CaseQuestionAnswered, CaseDecided, ComplaintSent, ComplaintReceiptNoted,
    ComplaintSilent, ComplaintAnswered, CallbackPromised, CallbackKept, CaseLinked, CaseUnlinked,
    CaseProtected, RegistryDecided, AttachmentAdded, CaseDisclosed, CaseClosed, CaseReopened,
)  # fmt: skip
