"""The demo's cases: what agents, officers and registrars do with them, one after another.

A case is played out in advance, by the very rules and rights of the product, and its steps are
proposed when their time comes, as decisions: where somebody who looks at the demo has meanwhile
worked on the case, they are stale, and the simulated people leave it to that person.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from core import case_commands as ask
from core.access import Asker, Grant, Role, require
from core.case_commands import CaseCommand
from core.case_desk import SAFETY_GROUP
from core.case_rules import CASES
from core.cases import CaseHandedOver
from core.commit import Draft, Happened, Recorded, import_id
from core.errors import KontaktcenterError
from core.personal import Personal
from core.vocabulary import Channel, Level, Receipt, StepAction, case_stream

if TYPE_CHECKING:
    import random
    from collections.abc import Generator

    from core.case_state import CaseState
    from core.commit import Event
    from core.directory import Directory
    from core.entry_views import Step

_SOLVED_AT_ONCE: Final = 0.7
_COMPLAINTS: Final = 0.03
_TITLES: Final = ("Fråga från demon", "Felanmälan i demon", "Ärende i demon")
_FATES: Final = (Receipt.ACCEPTED, Receipt.RETURNED, None)  # None: nobody answers
_FATES_OF_TEN: Final = (7, 1, 2)
_ANSWERS_TO_COMPLAINTS: Final = 0.5


@dataclass(frozen=True, slots=True)
class Opened:
    """How a demo's case comes about: who registers it, after which call, with which type."""

    agent: str
    group: str
    contact: str
    case: str
    authority: str
    case_type: str
    at: datetime


@dataclass(frozen=True, slots=True)
class _Deed:
    """What somebody does next, so much later."""

    after_s: float
    kind: type[CaseCommand]
    by: Asker
    fields: dict[str, Any] = field(default_factory=dict)


_Script = "Generator[_Deed, tuple[Event, ...], None]"


def play(opened: Opened, directory: Directory, dice: random.Random, origin: str) -> list[
    tuple[datetime, Draft]
]:  # fmt: skip
    """The drafts of a case's life in the demo, each with its time; what is refused ends it."""
    life = _Life(opened, directory, dice)
    script, state, version = life.live(), CASES.initial, 0
    found: list[tuple[datetime, Draft]] = []
    at = opened.at
    said: tuple[Event, ...] = ()
    while True:
        try:
            deed = script.send(said) if found else next(script)
        except StopIteration:
            return found
        at += timedelta(seconds=round(deed.after_s, 1))
        name = f"demo/{opened.case}/{len(found) + 1}"
        command = life.command(deed, name, at)
        try:
            events = _decided(state, command, directory)
        except KontaktcenterError:
            return found
        draft = Draft(
            id=command.id, asking=name, actor=deed.by.id, origin=origin,
            events=tuple(
                Happened(command.stream, event, at, version + nth)
                for nth, event in enumerate(events, start=1)
            ),
            about=command.stream,
        )  # fmt: skip
        for event in events:
            version += 1
            state = CASES.evolve(state, _recorded(draft, event, at, version))
        found.append((at, draft))
        said = events


def _decided(state: CaseState, command: CaseCommand, directory: Directory) -> tuple[Event, ...]:
    command.check(directory)
    require(command.asker, command.DEED, CASES.place(state, command), directory)
    return tuple(CASES.decide(state, command, directory))


def _recorded(draft: Draft, event: Event, at: datetime, version: int) -> Recorded:
    stream = draft.about or ""
    return Recorded(
        stream, version, "", version, version, draft.id, draft.actor, draft.origin, at, at, event
    )


def _officer(authority: str, dice: random.Random) -> Asker:
    name = f"Handläggare {authority} {dice.randint(1, 3)}"
    return Asker(name, (Grant(Role.CASE_OFFICER, authority),))


class _Life:
    """Who does what with one case, by dice."""

    def __init__(self, opened: Opened, directory: Directory, dice: random.Random) -> None:
        self._opened, self._directory, self._dice = opened, directory, dice
        authority = opened.authority
        self._agent = Asker(opened.agent, (Grant(Role.AGENT_1, groups=(opened.group,)),))
        self._second = Asker(
            f"{opened.agent} (nivå 2)", (Grant(Role.AGENT_2, groups=(opened.group,)),)
        )
        self._officer = _officer(authority, dice)
        self._registrar = Asker(f"Registrator {authority}", (Grant(Role.REGISTRAR, authority),))

    def command(self, deed: _Deed, name: str, at: datetime) -> CaseCommand:
        """The command that a deed is."""
        opened = self._opened
        return deed.kind(
            id=import_id("demo", name), now=at, actor=deed.by.id, asker=deed.by, agent=deed.by.id,
            authority=opened.authority, case=opened.case, **deed.fields,
        )  # fmt: skip

    def _text(self, value: str) -> Personal:
        return Personal(value, case_stream(self._opened.authority, self._opened.case))

    def live(self) -> Generator[_Deed, tuple[Event, ...], None]:
        """From registering, along the chain of the type, to whoever closes it; if anybody does."""
        opened, dice = self._opened, self._dice
        yield _Deed(
            0, ask.RegisterCase, self._agent,
            {
                "channel": Channel.PHONE, "contact": opened.contact,
                "title": self._text(dice.choice(_TITLES)),
            },
        )  # fmt: skip
        case_type = self._directory.case_type(opened.case_type)
        assert case_type is not None
        complaint = case_type.complaint or dice.random() < _COMPLAINTS
        categorised = {"case_type": opened.case_type, "complaint": complaint}
        yield _Deed(0, ask.CategoriseCase, self._agent, categorised)
        if complaint:
            yield from self._complaint()
            return
        for step in case_type.steps:
            if step.level == Level.TWO:
                yield from self._escalated(step)
            if step.level not in {Level.ONE, Level.TWO} or step.action == StepAction.HAND_OVER:
                break
            if (yield from self._done(step)):
                return
        yield from self._owners_part(case_type.steps)

    def _done(self, step: Step) -> Generator[_Deed, tuple[Event, ...], bool]:
        """One step of the centre; whether the case is closed by it."""
        agent, dice = self._agent, self._dice
        if step.action in {StepAction.ANSWER, StepAction.REPLY_WRITTEN}:
            yield _Deed(20, ask.AnswerCase, agent, {"text": self._text("Ett svar i demon.")})
            if dice.random() < _SOLVED_AT_ONCE:
                yield self._closes(agent, "solved", first_contact=True)
                return True
        elif step.action == StepAction.GUIDE:
            yield _Deed(20, ask.GuideCaller, agent, {"to": self._opened.authority})
            if dice.random() < _SOLVED_AT_ONCE:
                yield self._closes(agent, "guided")
                return True
        elif step.action in {StepAction.TRANSFER_WARM, StepAction.ROUTE}:
            yield _Deed(10, ask.ConnectCaller, agent, {"group": step.group, "warm": True})
        return False

    def _escalated(self, step: Step) -> Generator[_Deed, tuple[Event, ...], None]:
        if self._agent is not self._second:
            to = {"to_level": Level.TWO, "group": step.group}
            yield _Deed(15, ask.EscalateCase, self._agent, to)
            self._agent = self._second

    def _owners_part(self, steps: tuple[Step, ...]) -> Generator[_Deed, tuple[Event, ...], None]:
        """Handed over; then the owner's officer accepts, takes, decides or answers, and closes."""
        dice, officer = self._dice, self._officer
        last = steps[-1] if steps else None
        beyond = last is not None and last.level not in {Level.ONE, Level.TWO}
        group: dict[str, Any] = {"group": last.group} if beyond and last is not None else {}
        if group.get("group") == SAFETY_GROUP:
            group = {"safety": True}
        told = yield _Deed(20, ask.HandOverCase, self._agent, group)
        handed = next((e for e in told if isinstance(e, CaseHandedOver)), None)
        fate = dice.choices(_FATES, _FATES_OF_TEN)[0]
        if handed is None or fate is None:
            return
        away = handed.receiver != self._opened.authority
        receiver = _officer(handed.receiver, dice) if away else officer
        why = {"reason": self._text("Inte vårt.")} if fate == Receipt.RETURNED else {}
        receipt = {"handover": handed.handover, "receipt": fate, **why}
        soon = dice.uniform(10, 50) if away else dice.uniform(30, 300)  # a minute is their limit
        yield _Deed(soon, ask.NoteReceipt, receiver, receipt)
        if away and fate == Receipt.ACCEPTED:
            yield self._closes(receiver, "safety")
        if away or fate == Receipt.RETURNED:
            return
        yield _Deed(dice.uniform(30, 300), ask.TakeCase, officer)
        if dice.random() < 1 - _SOLVED_AT_ONCE:
            return  # still at work
        if last is not None and last.action == StepAction.DECIDE:
            yield _Deed(dice.uniform(60, 600), ask.DecideCase, officer, {"outcome": "beviljat"})
        else:
            answer = {"channel": Channel.EMAIL, "text": self._text("Ett svar från handläggaren.")}
            yield _Deed(dice.uniform(60, 600), ask.AnswerCase, officer, answer)
        if dice.random() < _ANSWERS_TO_COMPLAINTS:
            kept = {"outcome": "kept_unregistered", "rule": "av tillfällig betydelse"}
            yield _Deed(60, ask.DecideRegistry, self._registrar, kept)
        yield self._closes(officer, "solved")

    def _complaint(self) -> Generator[_Deed, tuple[Event, ...], None]:
        dice, officer = self._dice, self._officer
        told = yield _Deed(20, ask.SendComplaint, self._agent)
        delivery = next((e.delivery for e in told if hasattr(e, "delivery")), None)
        if delivery is None or dice.random() < 1 - _SOLVED_AT_ONCE:
            return
        reference = {"delivery": delivery, "reference": f"SK-{dice.randint(1000, 9999)}"}
        yield _Deed(dice.uniform(60, 600), ask.NoteComplaintReceipt, officer, reference)
        if dice.random() < _ANSWERS_TO_COMPLAINTS:
            answer = {"delivery": delivery, "text": self._text("Tack för din synpunkt.")}
            yield _Deed(dice.uniform(60, 900), ask.AnswerComplaint, officer, answer)
            yield self._closes(officer, "complaint")

    def _closes(self, by: Asker, outcome: str, *, first_contact: bool = False) -> _Deed:
        said = {"outcome": outcome, "first_contact": first_contact}
        return _Deed(self._dice.uniform(1, 30), ask.CloseCase, by, said)
