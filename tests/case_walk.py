"""A case walked by people with rights: each command asks `core.access`, then the rules."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from uuid import UUID

from given import T0, S, city, recorded

from core.access import Asker, Grant, Role, require
from core.case_rules import CASES
from core.case_state import CaseState
from core.commit import Event
from core.taxonomy import Directory

if TYPE_CHECKING:
    from core.case_commands import CaseCommand
    from core.taxonomy import Step


def agent_of(group: str, name: str = "anna", *, level: int = 1) -> Asker:
    """An agent of one answer group, at a level."""
    return Asker(name, (Grant(Role.AGENT_1 if level == 1 else Role.AGENT_2, groups=(group,)),))


def expert_of(authority: str, name: str = "jonna") -> Asker:
    """An on-call expert of an authority."""
    return Asker(name, (Grant(Role.ON_CALL_EXPERT, authority),))


def officer_of(authority: str, name: str = "olle") -> Asker:
    """A case officer of an authority."""
    return Asker(name, (Grant(Role.CASE_OFFICER, authority),))


def person_for(step: Step, owner: str, first: Asker) -> Asker:
    """Somebody whose step it is; `first` is the agent who registered and is at level 1."""
    if step.level == "jourexpert":
        return expert_of(owner)
    if step.level == "specialist":
        return officer_of(owner)
    if step.level == "2" and step.group is not None:
        return agent_of(step.group, "bo", level=2)
    return first


@dataclass
class Walk:
    """One case on its way; `done` are the events so far."""

    owner: str
    case: str = "5f0e6c1a-0000"
    state: CaseState = CASES.initial
    directory: Directory = field(default_factory=city)
    done: list[Event] = field(default_factory=list)
    asked: int = 0

    def ask(self, kind: type[CaseCommand], by: Asker, **fields: Any) -> list[Event]:
        """Ask for it by right and by rule; what happened. Raises: Refused."""
        self.asked += 1
        command = kind(
            id=UUID(int=self.asked),
            now=T0 + self.asked * S,
            actor=by.id,
            asker=by,
            agent=by.id,
            authority=self.owner,
            case=self.case,
            **fields,
        )
        command.check(self.directory)
        require(by, command.DEED, CASES.place(self.state, command), self.directory)
        return self._happened(CASES.decide(self.state, command, self.directory))

    def rule(self, kind: type[CaseCommand], by: Asker, **fields: Any) -> list[Event]:
        """What the rules alone would say, whatever rights `by` has; nothing happens."""
        command = kind(
            id=UUID(int=999),
            now=T0 + 999 * S,
            actor=by.id,
            asker=by,
            agent=by.id,
            authority=self.owner,
            case=self.case,
            **fields,
        )
        command.check(self.directory)
        return list(CASES.decide(self.state, command, self.directory))

    def _happened(self, events: Any) -> list[Event]:
        for event in events:
            self.done.append(event)
            self.state = CASES.evolve(self.state, recorded(event, len(self.done)))
        assert self.state.contradictions == ()
        return list(events)
