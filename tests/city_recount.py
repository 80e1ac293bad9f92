"""An independent recount of an exported log: plain standard library, nothing of our packages.

It reads the JSON lines that `kontaktcenter log export` writes and counts what happened to calls and
to cases by its own means. What it takes for granted about a case:

- the first registration gives channel, owner, agent and caller, the last categorising the type and
  whether it is a complaint, the first closing the outcome and whether one contact was enough;
- it is open where its last closing was followed by a reopening, or there was none;
- a hand-over waits for its receipt until the receiver accepted or returned it.
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable

LEVELS = ("1", "2", "specialist", "jourexpert", "route_only")
EXITS = {
    "call.answered": "answered", "call.abandoned": "abandoned", "call.timed_out": "timed_out",
    "call.callback_requested": "callback", "call.deflected": "deflected",
    "call.diverted": "diverted", "call.left": "other",
}  # fmt: skip


@dataclass
class Entry:
    """One entry of a call into a queue."""

    group: str
    queue: str
    at: datetime
    stream: str
    caller: str | None = None
    outcome: str = "in_progress"
    agent: str | None = None
    wait_s: float | None = None
    talk_s: float | None = None
    wrap_up_s: float | None = None
    transferred: bool = False
    not_taken: int = 0


@dataclass
class Waiting:
    """A hand-over or a complaint on its way: how far it came, and whether its silence was told."""

    to: str
    due_at: datetime | None
    group: str | None = None
    receipts: list[str] = field(default_factory=list)
    received_at: datetime | None = None
    answered: bool = False
    alarms: int = 0
    safety: bool = False

    @property
    def is_silent(self) -> bool:
        """Whether nobody has said that it came."""
        return not self.receipts and not self.answered


@dataclass
class Case:
    """One case, as its events in their order tell it."""

    stream: str
    authority: str
    events: list[tuple[str, datetime, dict[str, Any]]] = field(default_factory=list)
    channel: str | None = None
    contact: str | None = None
    caller: str | None = None
    registered_at: datetime | None = None
    registered_by: str | None = None
    case_type: str | None = None
    type_version: int = 0
    complaint: bool = False
    closed_at: datetime | None = None
    outcome: str | None = None
    first_contact: bool = False
    is_open: bool = True
    level: str = "1"
    contacts: int = 0
    reopened: int = 0
    guided: int = 0
    answered: int = 0
    connected: int = 0
    decided: int = 0
    escalated: int = 0
    handovers: dict[str, Waiting] = field(default_factory=dict)
    deliveries: dict[str, Waiting] = field(default_factory=dict)
    replies: int = 0
    promised: dict[str, datetime] = field(default_factory=dict)
    kept: set[str] = field(default_factory=set)
    links: set[str] = field(default_factory=set)
    registry: str | None = None
    officer: str | None = None
    due_at: datetime | None = None
    asked: set[str] = field(default_factory=set)
    answer_group: str | None = None
    highest: str = "1"
    calls_again: list[datetime] = field(default_factory=list)

    @property
    def passed_on(self) -> bool:
        """Whether somebody else than the centre was given it, or was connected."""
        away = self.connected or self.handovers or self.deliveries
        return bool(away) or self.highest in {"specialist", "jourexpert", "route_only"}

    @property
    def awaited(self) -> list[Waiting]:
        """Everything in it that has no receipt."""
        ways = [*self.handovers.values(), *self.deliveries.values()]
        return [way for way in ways if way.is_silent]


@dataclass
class City:
    """All that was counted."""

    entries: list[Entry] = field(default_factory=list)
    cases: dict[str, Case] = field(default_factory=dict)
    commits: int = 0
    ids: Counter[str] = field(default_factory=Counter)
    types: Counter[str] = field(default_factory=Counter)
    groups: dict[str, dict[str, Any]] = field(default_factory=dict)

    def queues(self) -> dict[str, dict[str, float]]:
        """Answer group to its figures, under the names that `kontaktcenter statistics` gives."""
        found: dict[str, list[Entry]] = defaultdict(list)
        for entry in self.entries:
            found[entry.group].append(entry)
        return {group: queue_row(entries) for group, entries in found.items()}

    def of_case_types(self) -> dict[str | None, tuple[int, int]]:
        """Type to entries offered and answered, of the calls that its cases came from."""
        types: dict[str, set[str]] = defaultdict(set)
        for case in self.cases.values():
            if case.contact is not None and case.case_type is not None:
                types[case.contact].add(case.case_type)
        found: dict[str | None, list[bool]] = defaultdict(list)
        for entry in self.entries:
            answered = entry.outcome == "answered"
            abouts: list[str | None] = [*types[entry.stream]] if answered else []
            for about in abouts or [None]:
                found[about].append(answered)
        return {about: (len(all_of), sum(all_of)) for about, all_of in found.items()}

    def first_contact(self, now: datetime) -> tuple[int, int, int]:
        """Solved at the first contact, window over, window open; the window is seven days."""
        resolved = over = still_open = 0
        known: dict[tuple[str, str | None], list[Case]] = defaultdict(list)
        for case in self.cases.values():
            if case.caller is not None:
                known[case.caller, case.case_type].append(case)
        for case in self.cases.values():
            if case.closed_at is None:
                continue
            until = case.closed_at + timedelta(days=7)
            if until >= now:
                still_open += 1
                continue
            over += 1
            others = known[case.caller, case.case_type] if case.caller is not None else []
            # What happens in another authority's room is not counted in ours.
            own = (one for one in others if one is not case and one.authority == case.authority)
            again = [*case.calls_again, *(one.registered_at for one in own if one.registered_at)]
            back = any(case.closed_at < at <= until for at in again)
            resolved += case.first_contact and not back
        return resolved, over, still_open

    def volumes(self, by: str) -> dict[str | None, dict[str, int]]:
        """Case volumes by a case's attribute, under the product's names; outcomes with them."""
        found: dict[str | None, list[Case]] = defaultdict(list)
        for case in self.cases.values():
            found[getattr(case, by)].append(case)
        return {
            about: {
                "registered": len(cases),
                "closed": sum(case.closed_at is not None for case in cases),
                "guided": sum(case.guided > 0 for case in cases),
                "passed_on": sum(case.passed_on for case in cases),
                "complaints": sum(case.complaint for case in cases),
                "reopened": sum(case.reopened > 0 for case in cases),
                "contacts": sum(case.contacts for case in cases),
                **Counter(f"outcome {case.outcome}" for case in cases if case.outcome),
            }
            for about, cases in found.items()
        }

    def counted(self, by: str) -> dict[str | None, tuple[int, int, int, int]]:
        """Registered, closed, complaints, closed at first contact; by a case's attribute."""
        found: dict[str | None, list[Case]] = defaultdict(list)
        for case in self.cases.values():
            found[getattr(case, by)].append(case)
        return {
            about: (
                len(cases),
                sum(case.closed_at is not None for case in cases),
                sum(case.complaint for case in cases),
                sum(case.first_contact for case in cases),
            )
            for about, cases in found.items()
        }


def queue_row(entries: Iterable[Entry]) -> dict[str, float]:
    """The figures of some entries."""
    listed = list(entries)
    outcomes = Counter(entry.outcome for entry in listed)
    answered = [e.wait_s for e in listed if e.outcome == "answered" and e.wait_s is not None]
    abandoned = [e.wait_s for e in listed if e.outcome == "abandoned" and e.wait_s is not None]
    names = ("answered", "abandoned", "timed_out", "refused", "callback", "deflected", "diverted",
             "other", "in_progress")  # fmt: skip
    return {
        "offered": len(listed),
        **{name: outcomes[name] for name in names},
        "answered_within": sum(wait <= 20 for wait in answered),
        "abandoned_within": sum(wait <= 20 for wait in abandoned),
        "short_abandoned": sum(wait < 5 for wait in abandoned),
        "wait_s_answered_sum": sum(answered),
        "talk_s_sum": sum(e.talk_s for e in listed if e.talk_s is not None),
        "transferred": sum(e.transferred for e in listed),
        "not_taken": sum(e.not_taken for e in listed),
        "unique_callers": len({e.caller for e in listed if e.caller}),
    }


def recount(lines: Iterable[str]) -> City:
    """Count an export."""
    city = City()
    calls: dict[str, list[tuple[datetime, int, str, dict[str, Any]]]] = defaultdict(list)
    for line in lines:
        commit = json.loads(line)
        city.commits += 1
        city.ids[commit["id"]] += 1
        for nth, event in enumerate(commit["events"]):
            kind, stream, data = event["type"], event["stream"], event["data"]
            city.types[kind] += 1
            at = datetime.fromisoformat(event["occurred_at"])
            if stream.startswith("call/"):
                calls[stream].append((at, commit["seq"] + nth, kind, data))
            elif stream.startswith("case/"):
                of = stream.split("/")[1]
                case = city.cases.setdefault(stream, Case(stream, of))
                happened(case, kind, at, data)
            elif kind == "catalogue.entry_set" and data["section"] == "answer_group":
                city.groups[data["key"]] = data["fields"]
    for stream, facts in calls.items():
        play(city, stream, sorted(facts, key=lambda fact: fact[:2]))
    return city


def play(city: City, stream: str, facts: list[tuple[datetime, int, str, dict[str, Any]]]) -> None:
    """The entries of one call."""
    own: list[Entry] = []
    for at, _seq, kind, data in facts:
        queue = data.get("queue")
        if kind == "call.queued":
            own.append(Entry(data["group"], data["queue"], at, stream, data.get("caller_ref")))
            continue
        if kind == "call.refused":
            own.append(Entry(data["group"], data["queue"], at, stream, outcome="refused"))
            continue
        if kind == "call.wrapped_up":
            talked = [e for e in own if e.agent == data["agent"]]
            if talked:
                talked[-1].wrap_up_s = data.get("wrap_up_s")
            continue
        mine = [entry for entry in own if entry.queue == queue]
        if not mine:
            continue
        entry = mine[-1]
        if kind == "call.not_taken":
            entry.not_taken += 1
        elif kind in EXITS and entry.outcome == "in_progress":
            entry.outcome, entry.wait_s = EXITS[kind], data.get("wait_s")
            entry.agent = data.get("agent")
        elif kind in {"call.ended", "call.transferred"} and entry.outcome == "answered":
            entry.transferred = entry.transferred or kind == "call.transferred"
            if entry.talk_s is None:
                entry.talk_s = data.get("talk_s")
    city.entries += own


def happened(case: Case, kind: str, at: datetime, data: dict[str, Any]) -> None:
    """One more event of a case."""
    case.events.append((kind, at, data))
    name = kind.removeprefix("case.")
    if name in {"registered", "categorised", "closed", "reopened"}:
        _life(case, name, at, data)
    elif "handover" in name or name == "handed_over":
        _handover(case, name, at, data)
    elif name.startswith("complaint"):
        _complaint(case, name, at, data)
    elif name == "escalated":
        case.escalated += 1
        case.level = data["to_level"]
        case.highest = max(case.highest, case.level, key=LEVELS.index)
    elif name == "contact_added":
        case.contacts += 1
        if case.caller is not None and data.get("caller_ref") == case.caller:
            case.calls_again.append(at)
    elif name in {"guided", "answered", "connected"}:
        setattr(case, name, getattr(case, name) + 1)
    elif name == "decided":
        case.decided += 1
    elif name == "callback_promised":
        case.promised[data["promise"]] = datetime.fromisoformat(data["promised_at"])
    elif name == "callback_kept":
        case.kept.add(data["promise"])
    elif name == "question_asked":
        case.asked.add(data["question"])
    elif name == "question_answered":
        case.asked.discard(data["question"])
    elif name == "linked":
        case.links.add(data["other"])
    elif name == "unlinked":
        case.links.discard(data["other"])
    elif name == "registry_decided":
        case.registry = data["outcome"]
    elif name == "taken":
        case.officer = data["officer"]


def _life(case: Case, name: str, at: datetime, data: dict[str, Any]) -> None:
    if name == "registered" and case.registered_at is None:
        case.registered_at, case.registered_by = at, data["agent"]
        case.channel, case.contact = data["channel"], data.get("contact")
        case.caller, case.answer_group = data.get("caller_ref"), data.get("group")
        case.contacts += 1
    elif name == "categorised":
        case.case_type, case.complaint = data["case_type"], data.get("complaint", False)
        case.type_version = data.get("type_version", 0)
        case.due_at = _time(data.get("due_at"))
    elif name == "closed":
        case.is_open = False
        if case.closed_at is None:
            case.closed_at, case.outcome = at, data["outcome"]
            case.first_contact = data.get("first_contact", False)
    elif name == "reopened":
        case.reopened += 1
        case.is_open = True


def _handover(case: Case, name: str, at: datetime, data: dict[str, Any]) -> None:
    if name == "handed_over":
        due = data.get("receipt_due_at")
        case.handovers[data["handover"]] = Waiting(
            data["receiver"],
            _time(due),
            group=data.get("group"),
            safety=data.get("safety", False),
        )
    elif name == "handover_receipt_noted":
        _received(case.handovers[data["handover"]], data["receipt"], at)
    elif name == "handover_silent":
        case.handovers[data["handover"]].alarms += 1


def _complaint(case: Case, name: str, at: datetime, data: dict[str, Any]) -> None:
    if name == "complaint_sent":
        due = data.get("receipt_due_at")
        case.deliveries[data["delivery"]] = Waiting(data["system"], _time(due))
    elif name == "complaint_receipt_noted":
        _received(case.deliveries[data["delivery"]], data["reference"], at)
    elif name == "complaint_silent":
        case.deliveries[data["delivery"]].alarms += 1
    elif name == "complaint_answered":
        case.replies += 1
        case.deliveries[data["delivery"]].answered = True


def _received(way: Waiting, what: str, at: datetime) -> None:
    if what != "sent":
        way.receipts.append(what)
        way.received_at = way.received_at or at


def _time(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None
