"""The lives of the simulated city's cases: who does what next, and when.

A life is a generator: it gives a step, gets what became of it, and goes on from there. Its dice are
its own, so one seed always makes the same city, whatever happens to the node meanwhile.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from city_staff import Staff, one_of
from given import city

from core import case_commands as ask
from core.access import OFFICERS, Asker
from core.personal import Personal
from core.vocabulary import case_stream

if TYPE_CHECKING:
    from collections.abc import Generator

    from city_node import Outcome


TITLES = ("Fråga", "Fel på gatan", "Ärende å/ä/ö", "<b>Viktigt</b>", "🏙️ Stan", "Robert'); --")


@dataclass(frozen=True)
class Asked:
    """One command to be, without id and time."""

    kind: type[ask.CaseCommand]
    by: Asker
    fields: dict[str, Any]


@dataclass(frozen=True)
class Step:
    """What happens next in a life: commands that come at one moment, so much later."""

    after_s: float
    asked: tuple[Asked, ...]
    may_be_refused: bool = False


Life = "Generator[Step, list[Outcome], None]"


@dataclass
class Opened:
    """How a case came: from a call, or in writing."""

    at: datetime
    by: Asker
    group: str
    channel: str = "phone"
    contact: str | None = None
    caller_ref: str | None = None


@dataclass
class CityCase:
    """A case of the city while it is lived."""

    staff: Staff
    dice: random.Random
    opened: Opened
    id: str
    authority: str
    case_type: str
    rows: Mapping[tuple[str, int], Mapping[str, Any]]
    neighbours: Sequence[str] = ()
    trail: list[str] = field(default_factory=list)
    closed: bool = False
    row: dict[str, Any] = field(default_factory=dict)

    # --- words ------------------------------------------------------------------------------------
    @property
    def steps(self) -> list[dict[str, Any]]:
        return list(self.row["steps"])

    @property
    def is_strangers(self) -> bool:
        """Whether it was registered for another's room: out of sight when that one works on it."""
        group = city().group(self.opened.group)
        return group is None or self.authority not in group.partition

    def text(self, value: str) -> Personal:
        return Personal(value, case_stream(self.authority, self.id))

    def officer(self, but: str = "") -> Asker:
        return one_of(self.dice, self.staff.officers[self.authority], but)

    def does(
        self, what: type[ask.CaseCommand], by: Asker, after_s: float = 5.0, /, **fields: Any
    ) -> Step:
        return Step(after_s, (Asked(what, by, fields),))

    def perhaps(self, share: float) -> bool:
        return self.dice.random() < share

    # --- the whole life ---------------------------------------------------------------------------
    def live(self) -> Generator[Step, list[Outcome], None]:
        """From registering to closing, along the chain of its type."""
        agent = self.opened.by
        yield self.does(
            ask.RegisterCase, agent, 10.0, number=f"{self.authority}-{self.id}",
            channel=self.opened.channel, contact=self.opened.contact,
            caller_ref=self.opened.caller_ref, group=self.opened.group,
            title=self.text(self.dice.choice(TITLES)), text=self.text("Någon frågar om något."),
        )  # fmt: skip
        (outcome,) = yield self.does(ask.CategoriseCase, agent, 15.0, case_type=self.case_type)
        version = next((e.type_version for e in outcome.events if hasattr(e, "type_version")), 1)
        self.row = dict(self.rows[self.case_type, version])
        if self.row.get("complaint"):
            yield from self._complaint(agent)
            return
        if agent.is_officer_of(self.authority):  # the caller had the officer's own number
            yield from self._handled(agent, self.steps[-1])
            return
        promise = (yield from self._promised(agent)) if self.perhaps(0.08) else None
        yield from self._chain(agent)
        yield from self._afterwards(promise)

    def _chain(self, agent: Asker) -> Generator[Step, list[Outcome], None]:
        """Step after step until somebody is done with it."""
        for step in self.steps:
            action, level = step["action"], step["level"]
            if level in {"specialist", "jourexpert"}:
                yield from self._owner(agent, step)
                return
            if level == "route_only":
                yield from self._routed(agent, step)
                return
            if level == "2":
                agent = yield from self._second(agent, step)
            if action in {"answer", "reply_written"}:
                yield from self._answered(agent, step)
                if self.perhaps(0.75):
                    yield from self.closes(agent, "solved", first=True)
                    return
            elif action == "guide":
                yield from self._guided(agent)
                if self.perhaps(0.5):
                    yield from self.closes(agent, "guided")
                    return
            elif action in {"transfer_warm", "route"}:
                yield self.does(ask.ConnectCaller, agent, 15.0, group=step["group"], warm=True)
        yield from self._owner(agent, None)

    def closes(
        self, by: Asker, outcome: str, *, first: bool = False, after_s: float = 20
    ) -> Generator[Step, list[Outcome], None]:
        (told,) = yield self.does(ask.CloseCase, by, after_s, outcome=outcome, first_contact=first)
        self.closed = told.refused is None

    def _second(self, agent: Asker, step: dict[str, Any]) -> Generator[Step, list[Outcome], Asker]:
        """The case goes to level 2 of the step's group while the caller is there."""
        group = step.get("group") or self.opened.group
        seconds = self.staff.level_2.get(group, ())
        if agent in seconds or not seconds:
            return agent
        (outcome,) = yield self.does(ask.EscalateCase, agent, 30.0, to_level="2", group=group)
        return agent if outcome.refused else one_of(self.dice, seconds)

    def _answered(self, agent: Asker, step: dict[str, Any]) -> Generator[Step, list[Outcome], None]:
        articles = [
            key
            for key, row in city().rows("article").items()
            if self.case_type in _list(row.get("case_types"))
            and (row.get("guard_text") if row.get("guarded") else row.get("read_out_level1"))
        ]
        channel = "email" if step["action"] == "reply_written" else self.opened.channel
        if articles and self.perhaps(0.7):
            article = self.dice.choice(articles)
            yield self.does(ask.AnswerCase, agent, 40.0, channel=channel, article=article)
        else:
            words = self.text("Ett svar: så här är det.")
            yield self.does(ask.AnswerCase, agent, 40.0, channel=channel, text=words)

    def _guided(self, agent: Asker) -> Generator[Step, list[Outcome], None]:
        to = "eservice" if self.perhaps(0.4) else self.authority
        yield self.does(ask.GuideCaller, agent, 30.0, to=to)

    def _routed(self, agent: Asker, step: dict[str, Any]) -> Generator[Step, list[Outcome], None]:
        """What is never handled here: the caller is connected; safety is handed over too."""
        group = step["group"]
        yield self.does(ask.ConnectCaller, agent, 20.0, group=group, warm=True)
        if group == "samverkan":
            receivers = self.staff.officers["SAM"]
            receiver = yield from self._handed_over(agent, receivers, safety=True)
            if receiver is not None:
                yield from self.closes(receiver if self.is_strangers else agent, "safety")
        else:
            yield from self.closes(agent, "connected_group")

    # --- the owner's part -------------------------------------------------------------------------
    def _handed_over(
        self, agent: Asker, receivers: tuple[Asker, ...], **fields: Any
    ) -> Generator[Step, list[Outcome], Asker | None]:
        """A hand-over and its receipt: accepted by somebody, or None: returned, or silent."""
        (outcome,) = yield self.does(ask.HandOverCase, agent, 30.0, **fields)
        handover = next((e.handover for e in outcome.events if hasattr(e, "handover")), None)
        officer = one_of(self.dice, receivers)
        fate = self.dice.choices(("accepted", "returned", "silent"), (80, 10, 10))[0]
        if handover is None or fate == "silent":
            return None
        if self.perhaps(0.6):
            yield self.does(
                ask.NoteReceipt, officer, self.dice.uniform(20, 400),
                handover=handover, receipt="received",
            )  # fmt: skip
        more = {"reason": self.text("Inte vårt.")} if fate == "returned" else {}
        yield self.does(
            ask.NoteReceipt, officer, self.dice.uniform(20, 900),
            handover=handover, receipt=fate, **more,
        )  # fmt: skip
        return officer if fate == "accepted" else None

    def _owner(
        self, agent: Asker, step: dict[str, Any] | None
    ) -> Generator[Step, list[Outcome], None]:
        """The owner's people take the case, ask, answer or decide, and close it."""
        expert = step is not None and step["level"] == "jourexpert"
        receivers = (self.staff.experts if expert else self.staff.officers)[self.authority]
        group = {} if step is None else {"group": step["group"]}
        officer = yield from self._handed_over(agent, receivers, **group)
        if officer is None and self.perhaps(0.5):  # somebody telephones, and it is sent again
            officer = yield from self._handed_over(agent, receivers, **group)
        if officer is None:
            return
        officer = yield from self._taken(officer, receivers)
        if self.perhaps(0.2):
            yield from self._asked(officer)
        yield from self._handled(officer, step)

    def _handled(
        self, officer: Asker, step: dict[str, Any] | None
    ) -> Generator[Step, list[Outcome], None]:
        """Decided or answered, perhaps registered, and closed."""
        if step is not None and step["action"] == "decide":
            words = self.text("Beslut enligt delegation.")
            yield self.does(ask.DecideCase, officer, 1800.0, outcome="beviljat", text=words)
        else:
            yield self.does(
                ask.AnswerCase, officer, 900.0, channel="email", text=self.text("Svar från oss.")
            )
        if self.perhaps(0.3):
            yield from self._registered()
        yield from self.closes(officer, "solved", after_s=120.0)

    def _taken(
        self, officer: Asker, officers: tuple[Asker, ...]
    ) -> Generator[Step, list[Outcome], Asker]:
        """Taken on; now and then two reach for the case at the same moment, and one has it."""
        other = one_of(self.dice, officers, officer.id)
        if other is officer or not self.perhaps(0.15):
            yield self.does(ask.TakeCase, officer, 300.0)
            return officer
        both = (Asked(ask.TakeCase, officer, {}), Asked(ask.TakeCase, other, {}))
        outcomes = yield Step(300.0, both, may_be_refused=True)
        taken = [one for one, told in zip((officer, other), outcomes, strict=True) if told.events]
        assert len(taken) == 1, outcomes
        return taken[0]

    def _asked(self, officer: Asker) -> Generator[Step, list[Outcome], None]:
        to = self.dice.choice(("caller", "centre"))
        (outcome,) = yield self.does(
            ask.AskQuestion, officer, 600.0, to=to, text=self.text("Vilket husnummer?")
        )
        question = next((e.question for e in outcome.events if hasattr(e, "question")), None)
        if question is not None and self.perhaps(0.8):
            yield self.does(
                ask.AnswerQuestion, officer, 900.0, question=question, text=self.text("Nummer 7.")
            )

    def _registered(self) -> Generator[Step, list[Outcome], None]:
        registrar = self.staff.registrars[self.authority]
        if self.perhaps(0.7):
            number = f"{self.authority}-2026-{self.id[-6:]}"
            yield self.does(
                ask.DecideRegistry, registrar, 1200.0, outcome="registered", registry_number=number
            )
        else:
            yield self.does(
                ask.DecideRegistry, registrar, 1200.0, outcome="kept_unregistered",
                rule="OSL 5 kap. 1 §",
            )  # fmt: skip

    def _complaint(self, agent: Asker) -> Generator[Step, list[Outcome], None]:
        """It is not done when it is sent: the owner's system gives a receipt, then the answer."""
        (outcome,) = yield self.does(ask.SendComplaint, agent, 20.0)
        delivery = next((e.delivery for e in outcome.events if hasattr(e, "delivery")), None)
        if delivery is None or self.perhaps(0.15):
            return
        officer = self.officer()
        yield self.does(
            ask.NoteComplaintReceipt, officer, self.dice.uniform(30, 7200),
            delivery=delivery, reference=f"SK-{self.id[-6:]}",
        )  # fmt: skip
        if self.perhaps(0.6):
            yield self.does(
                ask.AnswerComplaint, officer, self.dice.uniform(3600, 20_000),
                delivery=delivery, text=self.text("Tack för din synpunkt."),
            )  # fmt: skip
            yield from self.closes(officer, "complaint")

    # --- what comes on top ------------------------------------------------------------------------
    def _afterwards(self, promise: str | None) -> Generator[Step, list[Outcome], None]:
        """More contacts, promises, links and reopenings: for some."""
        agent = self.opened.by
        if self.perhaps(0.12):
            fields = {
                "channel": self.dice.choice(("phone", "email", "sms")),
                "caller_ref": self.opened.caller_ref,
            }
            added = (Asked(ask.AddContact, agent, fields),)
            yield Step(self.dice.uniform(600, 9000), added, may_be_refused=self.is_strangers)
        if promise is not None and self.perhaps(0.7):
            kept = {"promise": promise, "reached": self.perhaps(0.8)}
            asked = (Asked(ask.KeepCallback, agent, kept),)
            yield Step(self.dice.uniform(1800, 9000), asked, may_be_refused=self.is_strangers)
        if self.neighbours and self.perhaps(0.06):
            yield from self._linked()
        if self.closed and self.perhaps(0.05):
            officer = self.officer()
            again = self.text("Det blev inte rätt.")
            yield self.does(ask.ReopenCase, officer, 1800.0, reason=again)
            yield from self.closes(officer, "solved", after_s=900.0)

    def _promised(self, agent: Asker) -> Generator[Step, list[Outcome], str | None]:
        promised_at = self.opened.at + timedelta(hours=self.dice.randint(5, 12))
        (outcome,) = yield self.does(
            ask.PromiseCallback, agent, 60.0, promised_at=promised_at, group=self.opened.group
        )
        return next((e.promise for e in outcome.events if hasattr(e, "promise")), None)

    def _linked(self) -> Generator[Step, list[Outcome], None]:
        officer, other = self.officer(), self.dice.choice(list(self.neighbours))
        kind = self.dice.choice(("duplicate", "incident"))
        yield self.does(ask.LinkCases, officer, 300.0, other=other, kind=kind)
        if self.perhaps(0.3):
            yield self.does(ask.UnlinkCases, officer, 900.0, other=other)


def types_of(group: str, by: Asker) -> list[str]:
    """The case types that somebody in a group meets: with a step of its own, else its owners'."""
    rows = city().rows("case_type")
    found = city().group(group)
    assert found is not None
    own = [
        code
        for code, row in rows.items()
        if any(step.get("group") == group for step in _list(row.get("steps")))
    ]
    owned = [code for code, row in rows.items() if row.get("authority") in found.partition]
    possible = [code for code in own or owned if not rows[code].get("excluded")]
    officer_of = _own(by)
    return [code for code in possible if officer_of is None or _serves(code, officer_of)]


def _own(by: Asker) -> str | None:
    return next((grant.authority for grant in by.grants if grant.role in OFFICERS), None)


def _serves(case_type: str, authority: str) -> bool:
    found = city().case_type(case_type)
    return found is not None and city().serves(found, authority)


def owner_of(case_type: str, group: str, by: Asker, dice: random.Random) -> str:
    """Whose case it becomes: the type's owner; one of the family, or of the group's, where open."""
    own = _own(by)
    if own is not None:
        return own
    authority = str(city().rows("case_type")[case_type]["authority"])
    rows = city().rows("authority")
    found = city().group(group)
    assert found is not None
    if authority == "*":
        return dice.choice(found.partition or ("TK", "SBK", "FSK"))
    family = [code for code, row in rows.items() if row.get("family") == authority]
    return dice.choice([authority, *family])


def _list(value: object) -> list[Any]:
    return list(value) if isinstance(value, list | tuple) else []
