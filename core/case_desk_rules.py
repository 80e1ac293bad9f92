"""What comes of the contact centre's commands about a case."""

from __future__ import annotations

from typing import TYPE_CHECKING

from core import case_border as border
from core import cases
from core.case_asking import case_number
from core.case_refusals import (
    ArticleNotForLevel,
    ArticleOfAnother,
    ArticleUnknown,
    CaseExists,
    CaseIsClosed,
    CaseNotCategorised,
    CaseOfOfficer,
    CaseTypeOfAnother,
    CaseTypeUnknown,
    EscalatedAlready,
    GuardedAnswer,
    QuestionIsAnswered,
    QuestionUnknown,
)
from core.case_state import fingerprint
from core.hours import due_at
from core.vocabulary import Level, StepAction

if TYPE_CHECKING:
    from collections.abc import Sequence

    from core.access import Asker
    from core.case_desk import (
        AddContact,
        AnswerCase,
        AnswerQuestion,
        CategoriseCase,
        EscalateCase,
        GuideCaller,
        NoteCase,
        RegisterCase,
    )
    from core.case_state import CaseState
    from core.commit import Event
    from core.taxonomy import Article, Directory

_RANK = {Level.ONE: 1, Level.TWO: 2, Level.SPECIALIST: 3, Level.ON_CALL_EXPERT: 3}


def require_open(state: CaseState) -> None:
    """Raises: CaseIsClosed."""
    if state.outcome is not None:
        raise CaseIsClosed(
            f"The case was closed as {state.outcome}: reopen it first.", outcome=state.outcome
        )


def require_not_taken(state: CaseState, asker: Asker) -> None:
    """Raises: CaseOfOfficer where an officer works on it and the asker is none."""
    if state.officer is None or asker.id == state.officer:
        return
    if not border.works_for_it(state, asker):
        raise CaseOfOfficer(officer=state.officer)


def unless_just_so(state: CaseState, event: Event) -> Sequence[Event]:
    """The event, or nothing where just that is what happened last: an honest repeat."""
    return [] if state.last == fingerprint(event) else [event]


# --- the contact ----------------------------------------------------------------------------------
def register(state: CaseState, command: RegisterCase) -> Sequence[Event]:
    """See `RegisterCase`."""
    number = command.number or case_number(command.authority, command.case)
    if state.number is not None:
        if (state.number, state.contact) == (number, command.contact):
            return []
        raise CaseExists  # and no word of the other case: whoever asks may not see it
    return [
        cases.CaseRegistered(
            number=number,
            authority=command.authority,
            agent=command.agent,
            channel=command.channel,
            contact=command.contact,
            title=command.title,
            text=command.text,
            caller_ref=command.caller_ref,
            caller_type=command.caller_type,
            group=command.group,
            protected=command.protected,
        )
    ]


def add_contact(state: CaseState, command: AddContact) -> Sequence[Event]:
    """See `AddContact`. A call is one contact, however often it is added."""
    if command.contact is not None and command.contact in state.calls:
        return []
    event = cases.CaseContactAdded(
        command.agent, command.channel, command.contact, command.caller_ref
    )
    return unless_just_so(state, event)


def categorise(state: CaseState, command: CategoriseCase, directory: Directory) -> Sequence[Event]:
    """See `CategoriseCase`. A type anew is a chain anew, and a deadline from the registration."""
    case_type = directory.case_type(command.case_type)
    complaint = command.complaint or (case_type is not None and case_type.complaint)
    if (state.case_type, state.complaint) == (command.case_type, complaint):
        return []
    require_open(state)
    if case_type is None:
        raise CaseTypeUnknown(f"There is no case type {command.case_type}.")
    if not directory.serves(case_type, command.authority):
        raise CaseTypeOfAnother(f"{case_type.code} belongs to {case_type.authority}.")
    require_not_taken(state, command.asker)
    begins = bool(case_type.steps) and case_type.steps[0].action == StepAction.REGISTER
    return [
        cases.CaseCategorised(
            case_type=command.case_type,
            agent=command.agent,
            complaint=complaint,
            type_version=case_type.version,
            due_at=due_at(case_type, state.registered_at or command.now, directory),
            step=0 if begins else None,
        )
    ]


def escalate(state: CaseState, command: EscalateCase, directory: Directory) -> Sequence[Event]:
    """See `EscalateCase`. Upwards only; what goes down again is handed over or returned."""
    if state.level == command.to_level:
        return []
    require_open(state)
    if _RANK.get(Level(command.to_level), 0) < _RANK.get(_level(state.level), 0):
        raise EscalatedAlready(f"The case is at level {state.level} already.", level=state.level)
    border.require_level(command.authority, command.to_level, directory)
    border.require_group_of_side(state, command.group, directory)
    return [cases.CaseEscalated(command.agent, state.level, command.to_level, command.group)]


def _level(word: str) -> Level:
    return Level(word) if word in set(Level) else Level.ONE


def guide(state: CaseState, command: GuideCaller, directory: Directory) -> Sequence[Event]:
    """See `GuideCaller`. Open to all who work with the case, on both sides of the border."""
    require_open(state)
    article = _article(state, command, directory)
    case_type = border.type_of(state, directory)
    if article is not None and case_type is not None and case_type.guarded and not article.guarded:
        raise GuardedAnswer(f"Of {case_type.code} only guarded articles are read out (R19).")
    event = cases.CaseGuided(
        agent=command.agent,
        to=command.to,
        article=command.article,
        article_version=0 if article is None else article.version,
        step=border.undone_by(state, directory, {StepAction.GUIDE}, command.asker),
    )
    return unless_just_so(state, event)


# --- answers --------------------------------------------------------------------------------------
def answer(state: CaseState, command: AnswerCase, directory: Directory) -> Sequence[Event]:
    """See `AnswerCase`: by whom the step is for, from an article as it stood, guarded or not."""
    require_open(state)
    if state.case_type is None:
        raise CaseNotCategorised
    require_not_taken(state, command.asker)
    step = border.step_to_do(state, command.asker, border.ANSWERS, directory)
    article = _article(state, command, directory)
    if article is not None:
        _may_be_said(state, command, article, directory)
    event = cases.CaseAnswered(
        agent=command.agent,
        channel=command.channel,
        article=command.article,
        article_version=0 if article is None else article.version,
        guarded=article is not None and article.guarded,
        text=command.text,
        step=step,
    )
    return unless_just_so(state, event)


def _article(
    state: CaseState, command: AnswerCase | GuideCaller, directory: Directory
) -> Article | None:
    """The article that was on the screen, which may have changed since, but has been in force."""
    if command.article is None:
        return None
    standing = directory.version("article", command.article)
    version = command.article_version
    if version is not None and not 0 < version <= standing:
        raise ArticleUnknown(
            f"{command.article} has no version {version}; {standing} stands.", version=version
        )
    article = directory.article(command.article, version)
    if article is None:
        raise ArticleUnknown(f"There is no article {command.article}.", article=command.article)
    if article.case_types and state.case_type not in {None, *article.case_types}:
        raise ArticleOfAnother(f"{article.id} is not for {state.case_type}.", article=article.id)
    return article


def _may_be_said(
    state: CaseState, command: AnswerCase, article: Article, directory: Directory
) -> None:
    if article.guarded:
        if command.text is not None:
            raise GuardedAnswer(
                f"{article.id} is guarded: its fixed text is the whole answer (R19)."
            )
        if article.guard_text is None:
            raise GuardedAnswer(f"{article.id} is guarded and has no fixed text yet: guide.")
    elif not article.read_out_level1 and not border.acts_for_owner(state, command.asker):
        levels = border.levels_of(command.asker, command.authority, directory)
        if levels == {Level.ONE}:
            raise ArticleNotForLevel(f"{article.id} is not for level 1: escalate.")


# --- what is written down -------------------------------------------------------------------------
def note(state: CaseState, command: NoteCase, directory: Directory) -> Sequence[Event]:
    """See `NoteCase`. It does the next step where that is to register what was found out."""
    steps = border.chain_of(state, directory)
    at = state.step
    step = None
    if not command.private and state.outcome is None and at < len(steps):
        step = at if steps[at].action == StepAction.REGISTER else None
    event = cases.CaseNoted(command.agent, command.text, command.private, step)
    return unless_just_so(state, event)


def answer_question(state: CaseState, command: AnswerQuestion) -> Sequence[Event]:
    """See `AnswerQuestion`."""
    asked = state.questions.get(command.question)
    if asked is None:
        raise QuestionUnknown(question=command.question)
    event = cases.CaseQuestionAnswered(command.agent, command.question, command.text)
    if asked.answered:
        if state.last == fingerprint(event):
            return []
        raise QuestionIsAnswered
    require_open(state)
    return [event]
