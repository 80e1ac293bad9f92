"""Erasure (*gallring*): a recorded decision by which all keys of somebody or something go.

A decision is a person's, in the room of one authority; retention rules only propose. Its stream is
`erasure/<authority>`: the head of a numbered protocol, then what is erased, one event for each
subject, and in the end that it was carried out. Nothing in it is personal: cases stand there by
their id, callers by their keyed hash.
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar, Final

from core.access import Deed, Place
from core.commands import Command, Decider
from core.commit import Event, process_id
from core.errors import Invalid, NotFound
from core.personal import PROTECTED
from core.vocabulary import case_stream

if TYPE_CHECKING:
    from collections.abc import Sequence
    from uuid import UUID

    from core.commit import Recorded
    from core.taxonomy import Directory

_CALLER: Final = re.compile(r"[0-9a-f]{32}(\+[0-9a-f]{32})*")


class NothingToErase(Invalid):
    """The decision names nothing to erase: say which cases, or which caller."""


class AuthorityNotThere(NotFound):
    """There is no such authority, or it keeps no cases here."""


@dataclass(frozen=True)
class ErasureDecided(Event):
    """All keys of `subject` are to be destroyed.

    `rule` names the retention rule or decision it rests on, `number` the protocol.
    """

    TOPIC: ClassVar[str] = "erasure.decided"
    subject: str
    rule: str
    number: str | None = None


@dataclass(frozen=True)
class ErasureOrdered(Event):
    """An erasure was decided: the head of its protocol; what is erased follows in the same commit.

    `cases` and `callers` count what is erased. `asked` is the hash of what was asked for, by which
    the same decision is known again. `again` is the protocol that is carried out once more, after a
    backup from before it was put back.
    """

    TOPIC: ClassVar[str] = "erasure.ordered"
    number: str
    authority: str
    registrar: str
    rule: str
    reference: str
    purpose: str
    cases: int
    callers: int
    asked: str
    again: str | None = None


@dataclass(frozen=True)
class ErasureCarriedOut(Event):
    """The keys of a decision are destroyed, and the files that they sealed are gone: how many."""

    TOPIC: ClassVar[str] = "erasure.carried_out"
    number: str
    keys: int
    attachments: int


@dataclass(frozen=True)
class ErasureCompleted(Event):
    """The keys of a decision are gone from every node, and no copy of them is left in the log's.

    It is told by the first node that finds it so; where there are no other nodes, what was carried
    out is complete, and nobody tells it. `nodes` counts those that were waited for.
    """

    TOPIC: ClassVar[str] = "erasure.completed"
    number: str
    nodes: int


def erasure_stream(authority: str) -> str:
    """The stream of the erasures that an authority has decided."""
    return f"erasure/{authority}"


def caller_subject(caller_ref: str) -> str:
    """Whose keys seal a caller's number in calls."""
    return f"caller/{caller_ref}"


def subjects_of_case(authority: str, case: str) -> tuple[str, ...]:
    """The subjects whose keys seal a case's text and files, protected or not."""
    stream = case_stream(authority, case)
    return (stream, f"{PROTECTED}{stream}")


def subjects_of_caller(caller: str) -> tuple[str, ...]:
    """The subjects whose keys seal what calls hold of a caller, however the number is written."""
    subjects = [caller_subject(ref) for ref in caller.split("+")]
    return tuple(each for s in subjects for each in (s, f"{PROTECTED}{s}"))


def case_of_subject(subject: str) -> str | None:
    """The case's stream that a subject stands for; None for a caller."""
    stream = subject.removeprefix(PROTECTED)
    return stream if stream.startswith("case/") else None


def carried_out_id(number: str) -> UUID:
    """The id of the fact that a decision was carried out: the first one told is the one."""
    return process_id("erasure", number)


def completed_id(number: str) -> UUID:
    """The id of the fact that a decision is complete everywhere: the first one told is the one."""
    return process_id("erasure completed", number)


@dataclass(frozen=True, kw_only=True)
class DecideErasure(Command):
    """Erase `cases` (ids within the authority) and what calls hold of `callers`.

    A caller is the keyed hash of the number; where it may be written in several ways, their hashes,
    joined by `+`.

    `rule` is the retention rule or the law's paragraph, `reference` the decision on paper,
    `purpose` why. None of them may name anybody: they stay. `again` names a protocol that is
    carried out once more after a restore.
    """

    DEED: ClassVar[Deed] = Deed.DECIDE_ERASURE

    authority: str
    rule: str
    reference: str
    purpose: str
    cases: tuple[str, ...] = ()
    callers: tuple[str, ...] = ()
    again: str | None = None

    @property
    def stream(self) -> str:
        """The authority's erasures."""
        return erasure_stream(self.authority)

    @property
    def place(self) -> Place:
        """The authority's room."""
        return Place(authority=self.authority)

    def check(self, directory: Directory) -> None:
        """See `Command.check`."""
        super().check(directory)
        authority = directory.authority(self.authority)
        if authority is None or authority.excluded:
            raise AuthorityNotThere
        if not self.cases and not self.callers:
            raise NothingToErase
        for case in self.cases:
            if "/" in case:
                raise Invalid(f"cases holds {case!r}; an id has no slash", field="cases")
        for caller in self.callers:
            if not _CALLER.fullmatch(caller):
                raise Invalid("callers holds what is no keyed hash", field="callers")

    @property
    def asked(self) -> str:
        """The hash of what is asked for, whoever asks and in whatever order it is written."""
        parts = [
            self.rule, self.reference, self.purpose, sorted(set(self.cases)),
            sorted(set(self.callers)), self.again,
        ]  # fmt: skip
        return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:32]


@dataclass(frozen=True, slots=True)
class UnderWay:
    """A decision whose keys may still be there."""

    asked: str
    subjects: tuple[str, ...] = ()


@dataclass(frozen=True)
class ErasuresState:
    """What an authority has decided to erase; `under_way` is what was not carried out yet."""

    decisions: int = 0
    under_way: dict[str, UnderWay] = field(default_factory=dict)


def evolve(state: ErasuresState, recorded: Recorded) -> ErasuresState:
    """The erasures after one more event. Total."""
    under_way = dict(state.under_way)
    match recorded.event:
        case ErasureOrdered() as event:
            under_way[event.number] = UnderWay(event.asked)
            return ErasuresState(state.decisions + 1, under_way)
        case ErasureDecided(number=str() as number) as event if number in under_way:
            before = under_way[number]
            under_way[number] = UnderWay(before.asked, (*before.subjects, event.subject))
        case ErasureCarriedOut() as event:
            under_way.pop(event.number, None)
        case _:
            return state
    return ErasuresState(state.decisions, under_way)


def decide(state: ErasuresState, command: Command, directory: Directory) -> Sequence[Event]:
    """The events of a decision; none while the very same one is being carried out.

    Once it was, the same may be decided again: something may have been written since.
    """
    del directory
    assert isinstance(command, DecideErasure), f"no rule of erasures for {type(command).__name__}"
    if any(command.asked == other.asked for other in state.under_way.values()):
        return []
    number = f"{command.authority}-G{state.decisions + 1}-{command.id.hex[:4].upper()}"
    cases, callers = sorted(set(command.cases)), sorted(set(command.callers))
    subjects = [s for case in cases for s in subjects_of_case(command.authority, case)]
    subjects += [s for caller in callers for s in subjects_of_caller(caller)]
    ordered = ErasureOrdered(
        number=number,
        authority=command.authority,
        registrar=command.actor,
        rule=command.rule,
        reference=command.reference,
        purpose=command.purpose,
        cases=len(cases),
        callers=len(callers),
        asked=command.asked,
        again=command.again,
    )
    return [ordered, *(ErasureDecided(subject, command.rule, number) for subject in subjects)]


ERASURES: Final = Decider("erasure", ErasuresState(), evolve, decide)
