"""The border of the centre: which step of a case is done next, and who may do it.

A case type is a chain of steps, each with a level, a group, an action and the flag
`exercise_of_authority` (R12, R13). The chain is that of the version in which the case was
categorised: a later change of the catalogue changes no case that is under way.

What a deed completes is the first step of its action that is not done, from the place where the
case is; then one that was passed by; then one that is done, because a caller may ask twice:

- registering and categorising: `register`, where the chain begins with it; later ones by a note
- `AnswerCase`: `answer`, `reply_written` · `GuideCaller`: `guide` · `DecideCase`: `decide`
- `ConnectCaller`: `transfer_warm`, `route` · `SendComplaint`: `handover` of a complaint
- `HandOverCase`: `handover`, or the `route` step of the group that it goes to

To guide, register, connect, hand over, escalate and call back is open for all who work with the
case; to answer and to decide is for those of the step's level, and across the border for the owner.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from core.access import AGENTS, OFFICERS, Role, conflicts
from core.case_refusals import (
    ConflictOfInterest,
    ExerciseOfAuthority,
    LevelNotTakenOver,
    LevelOfAnother,
    NotInTheChain,
)
from core.vocabulary import Level, StepAction

if TYPE_CHECKING:
    from collections.abc import Collection

    from core.access import Asker
    from core.case_state import CaseState
    from core.errors import Refused
    from core.taxonomy import CaseType, Directory, Step

ANSWERS: Final = frozenset({StepAction.ANSWER, StepAction.REPLY_WRITTEN})
CONNECTS: Final = frozenset({StepAction.TRANSFER_WARM, StepAction.ROUTE})
CENTRE_LEVELS: Final = frozenset({Level.ONE, Level.TWO})
_LEFT: Final = "guide, register, connect, hand over, escalate or promise to call back instead"


def type_of(state: CaseState, directory: Directory) -> CaseType | None:
    """The case's type in the version that it was categorised by; None without one."""
    if state.case_type is None:
        return None
    then = directory.case_type(state.case_type, state.type_version or None)
    return then or directory.case_type(state.case_type)


def chain_of(state: CaseState, directory: Directory) -> tuple[Step, ...]:
    """The steps of the case's type; empty without one."""
    case_type = type_of(state, directory)
    return () if case_type is None else case_type.steps


def steps_for(state: CaseState, steps: tuple[Step, ...], actions: Collection[str]) -> list[int]:
    """The steps of those actions: what is yet to come, what was passed by, what is done."""
    mine = [n for n, step in enumerate(steps) if step.action in actions]
    undone = [n for n in mine if n not in state.done]
    ahead = [n for n in undone if n >= state.step]
    return [*ahead, *(n for n in undone if n < state.step), *(n for n in mine if n in state.done)]


def undone(state: CaseState, directory: Directory, actions: Collection[str]) -> int | None:
    """The step that a deed open to all completes, by whoever works in the centre or owns it.

    A specialist's or an expert's step is not completed by one who merely guides on the way there.
    """
    steps = chain_of(state, directory)
    found = (n for n in steps_for(state, steps, actions) if n not in state.done)
    return next((n for n in found if steps[n].level in CENTRE_LEVELS), None)


def undone_by(
    state: CaseState, directory: Directory, actions: Collection[str], asker: Asker
) -> int | None:
    """As `undone`; an officer of the owner completes a step of any level."""
    if not acts_for_owner(state, asker):
        return undone(state, directory, actions)
    steps = chain_of(state, directory)
    found = (n for n in steps_for(state, steps, actions) if n not in state.done)
    return next(found, None)


def routed(state: CaseState, directory: Directory, group: str | None) -> int | None:
    """The step that is never handled here, and that those of `group` do."""
    steps = chain_of(state, directory)
    found = (n for n in steps_for(state, steps, CONNECTS) if n not in state.done)
    return next(
        (n for n in found if steps[n].level == Level.ROUTE_ONLY and steps[n].group == group), None
    )


# --- who ------------------------------------------------------------------------------------------
def acts_for_owner(state: CaseState, asker: Asker) -> bool:
    """Whether the asker exercises the owner's power, wherever he or she sits."""
    return state.authority is not None and asker.is_officer_of(state.authority)


def acts_for_receiver(state: CaseState, asker: Asker) -> bool:
    """Whether the asker is an officer of an authority that the case was handed over to."""
    return any(asker.is_officer_of(receiver) for receiver in state.receivers)


def works_for_it(state: CaseState, asker: Asker) -> bool:
    """Whether the asker is an officer of the owner or of a receiver."""
    return acts_for_owner(state, asker) or acts_for_receiver(state, asker)


def speaks_for(asker: Asker, authority: str) -> bool:
    """Whether what the asker says of receipts is that authority's word: an officer's, a program's.

    Its systems give receipts too.
    """
    return any(
        grant.authority == authority and (grant.role in OFFICERS or grant.role is Role.PROGRAM)
        for grant in asker.grants
    )


def levels_of(asker: Asker, authority: str, directory: Directory) -> frozenset[Level]:
    """The centre's levels at which an agent answers for an authority.

    Level 2 is learned by subject: who answers at it in other groups answers at 1 here.
    """
    levels: set[Level] = set()
    for grant in asker.grants:
        if grant.role not in AGENTS:
            continue
        levels.add(Level.ONE)
        groups = (directory.group(name) for name in grant.groups)
        here = any(group is not None and authority in group.partition for group in groups)
        if grant.role is Role.AGENT_2 and here:
            levels.add(Level.TWO)
    return frozenset(levels)


def require_step(state: CaseState, asker: Asker, step: Step, directory: Directory) -> None:
    """Return where the asker may answer or decide in that step.

    Raises: ExerciseOfAuthority across the border; LevelOfAnother; LevelNotTakenOver.
    """
    owner = state.authority or ""
    if asker.is_officer_of(owner):
        return
    if step.stops_the_centre:
        raise ExerciseOfAuthority(_border(step, owner), step=step.name, owner=owner)
    if step.level not in CENTRE_LEVELS:
        group = directory.group(step.group) if step.group is not None else None
        if group is not None and any(asker.is_officer_of(code) for code in group.partition):
            return
        whose = "is never handled here: connect or hand over"
        if step.level != Level.ROUTE_ONLY:
            whose = f"is for {step.level} of {step.group or owner}: escalate or hand over"
        raise LevelOfAnother(f"«{step.name}» {whose}.", step=step.name, level=step.level)
    if step.level not in levels_of(asker, owner, directory):
        raise LevelOfAnother(
            f"«{step.name}» is at level {step.level}: escalate or hand over.",
            step=step.name,
            level=step.level,
        )
    require_level(owner, step.level, directory)


def require_level(owner: str, level: str, directory: Directory) -> None:
    """Raises: LevelNotTakenOver where the owner has not handed that level over (R10)."""
    taken = directory.levels_taken_over(owner)
    found = directory.authority(owner)
    if not taken and found is not None and found.family is not None:
        taken = directory.levels_taken_over(found.family)
    if taken and level in CENTRE_LEVELS and level not in taken:
        listed = ", ".join(sorted(taken))
        raise LevelNotTakenOver(
            f"{owner} has handed over level {listed} to the centre, not {level}: hand over.",
            owner=owner,
            level=level,
        )


def step_to_do(
    state: CaseState, asker: Asker, actions: Collection[str], directory: Directory
) -> int | None:
    """The step that an answer or a decision completes, of those that the asker may do.

    None where the chain has none, for officers who work on the case: owners and receivers finish
    it as it needs, and receivers stop where the owner's own power begins.
    Raises: ExerciseOfAuthority, LevelOfAnother, LevelNotTakenOver, NotInTheChain.
    """
    steps = chain_of(state, directory)
    mine = steps_for(state, steps, actions)
    first: Refused | None = None
    for n in mine:
        try:
            require_step(state, asker, steps[n], directory)
        except (ExerciseOfAuthority, LevelOfAnother, LevelNotTakenOver) as refused:
            first = first or refused
        else:
            return n
    if acts_for_owner(state, asker):
        return None
    received = acts_for_receiver(state, asker)
    if first is not None and (not received or any(steps[n].stops_the_centre for n in mine)):
        raise first
    barred = next((step for step in steps[state.step :] if step.stops_the_centre), None)
    if barred is not None:
        owner = state.authority or ""
        raise ExerciseOfAuthority(_border(barred, owner), step=barred.name, owner=owner)
    if not received:
        raise NotInTheChain(case_type=state.case_type)
    return None


def require_may_solve(state: CaseState, asker: Asker, directory: Directory) -> None:
    """Raises: ExerciseOfAuthority where only the owner could have solved the matter.

    That is where the next step is across the border, and nobody answered what may be answered.
    """
    steps = chain_of(state, directory)
    if state.answered or acts_for_owner(state, asker) or state.step >= len(steps):
        return
    step = steps[state.step]
    if step.stops_the_centre:
        owner = state.authority or ""
        raise ExerciseOfAuthority(_border(step, owner), step=step.name, owner=owner)


def require_same_side(state: CaseState, others: Collection[str], directory: Directory) -> None:
    """Raises: ConflictOfInterest where the case would be open for both sides of a pair (R54).

    Also those count who had it and returned it: they have seen what it holds.
    """
    had = {h.receiver for h in state.handovers.values()} | {state.authority or ""}
    sides = conflicts(directory)
    if any(frozenset({one, other}) in sides for one in had for other in others):
        raise ConflictOfInterest


def require_group_of_side(state: CaseState, group: str | None, directory: Directory) -> None:
    """Raises: ConflictOfInterest where a group could only be the other side's."""
    found = None if group is None else directory.group(group)
    if found is None or not found.partition or state.authority in found.partition:
        return
    require_same_side(state, found.partition, directory)


def _border(step: Step, owner: str) -> str:
    sure = "is" if step.exercise_of_authority == "true" else "may be"
    return f"«{step.name}» {sure} exercise of authority, which is {owner}'s alone: {_LEFT}."
