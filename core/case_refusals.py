"""Why a command about a case is refused. The docstring is what is told to the person."""

from __future__ import annotations

from core.access import NoSuchCase
from core.errors import NotFound, Refused

CaseUnknown = NoSuchCase  # one and the same answer: what is not there, and what one may not see


class AuthorityUnknown(NotFound):
    """There is no such authority."""


class AuthorityExcluded(Refused):
    """This area is excluded: connect the caller warmly; nothing about the matter is kept here."""


class CaseIsClosed(Refused):
    """The case is closed: reopen it first."""


class CaseExists(Refused):
    """This id is taken by a case with other particulars: register under another id."""


class CaseTypeUnknown(Refused):
    """There is no such case type."""


class CaseTypeOfAnother(Refused):
    """The case type belongs to another authority."""


class CaseNotCategorised(Refused):
    """The case has no type yet: it is categorised before it is closed, answered or decided (R9)."""


# --- the law's borders, and the levels ------------------------------------------------------------
class ExerciseOfAuthority(Refused):
    """This is exercise of authority: the owner alone may do it (R13)."""


class LevelOfAnother(Refused):
    """This step belongs to another level: escalate or hand over."""


class LevelNotTakenOver(Refused):
    """The authority has not handed this level over to the centre (R10): hand over."""


class NotInTheChain(Refused):
    """The case type has no such step for the contact centre: guide, connect or hand over."""


class EscalatedAlready(Refused):
    """The case is at a higher level already."""


class ConflictOfInterest(Refused):
    """These authorities supervise one another (R54): register a case of its own for the other."""


# --- answers --------------------------------------------------------------------------------------
class ArticleUnknown(Refused):
    """There is no such article, or not in that version."""


class ArticleOfAnother(Refused):
    """The article is for other case types."""


class ArticleNotForLevel(Refused):
    """The article is not for reading out at level 1: escalate."""


class GuardedAnswer(Refused):
    """Only the fixed text may be said here (R19)."""


# --- others' work ---------------------------------------------------------------------------------
class CaseIsTaken(Refused):
    """Somebody else has taken the case on."""


class CaseOfOfficer(Refused):
    """An officer works on the case: write a note, or promise to call back."""


class NotTheReceiver(Refused):
    """Only those to whom the case was handed over may say so."""


class HandoverUnknown(Refused):
    """The case has no such hand-over."""


class ReceiptOutOfOrder(Refused):
    """A hand-over is sent, received, and then accepted or returned."""


class ReceiptAwaited(Refused):
    """The case is not done until the receipt is back."""


class NoSafetyCentre(Refused):
    """The catalogue has no round-the-clock centre: telephone it, and 112 where there is danger."""


class QuestionUnknown(Refused):
    """The case has no such question."""


class QuestionIsAnswered(Refused):
    """The question was answered already."""


class CaseIsDecided(Refused):
    """The matter was decided already: reopen the case to decide anew."""


class NotAComplaint(Refused):
    """The case is no complaint: categorise it as one, or hand it over."""


class NoComplaintSystem(Refused):
    """The owner has no complaint system in the catalogue."""


class ComplaintUnknown(Refused):
    """The case has no such complaint on its way."""


class CallbackUnknown(Refused):
    """Nobody promised that."""


class CallbackIsKept(Refused):
    """The promised call was made already, and answered."""


class LinkedOtherwise(Refused):
    """The cases are linked in another way: unlink them first."""


class RegistryNumberStands(Refused):
    """The case is registered under a number already, and a number given stands."""
