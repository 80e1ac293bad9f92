"""Given these events, when this command, then this happens.

How the rules are specified in tests.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any
from uuid import UUID, uuid5

from core.access import Asker, Grant, Role
from core.commit import Event, Recorded
from core.taxonomy import Directory, read_taxonomy

T0 = datetime(2026, 11, 22, 8, 0, tzinfo=UTC)
S = timedelta(seconds=1)
ID = UUID("00000000-0000-4000-8000-000000000001")
TAXONOMY = Path(__file__).parents[1] / "kontaktcenter" / "data" / "taxonomy.toml"


@cache
def city() -> Directory:
    """The catalogue that the product ships."""
    drafts = read_taxonomy(TAXONOMY.read_text(encoding="utf-8"), T0)
    return Directory.of(happened.event for draft in drafts for happened in draft.events)


@cache
def staff(name: str = "anna") -> Asker:
    """Somebody for tests that are not about rights: leads a shift, and handles what TK owns."""
    groups = tuple(city().groups)
    grants = (
        Grant(Role.SHIFT_LEAD),
        Grant(Role.AGENT_2, groups=groups),
        Grant(Role.CASE_OFFICER, "TK"),
    )
    return Asker(name, grants, closed_to=frozenset({"MF"}))


def agent(name: str = "anna", *groups: str, level: int = 1) -> Asker:
    """An agent in answer groups; by default the one of waste (TK)."""
    role = Role.AGENT_1 if level == 1 else Role.AGENT_2
    return Asker(name, (Grant(role, groups=groups or ("tnh_avfall",)),))


def officer(
    authority: str = "TK", name: str = "olle", *, approves: bool = False, protected: bool = False
) -> Asker:
    """A case officer of an authority; one who `approves` speaks for it."""
    grant = Grant(Role.CASE_OFFICER, authority, approves=approves, protected=protected)
    return Asker(name, (grant,))


def recorded(event: Event, version: int = 1, stream: str = "call/desk/1") -> Recorded:
    """An event as the log gives it back: one second after the one before it."""
    at = T0 + version * S
    return Recorded(
        stream=stream,
        version=version,
        shard="calls/0",
        position=version,
        seq=version,
        commit_id=uuid5(ID, str(version)),
        actor="anna",
        origin="desk",
        recorded_at=at,
        occurred_at=at,
        event=event,
    )


def folded(decider: Any, *events: Event) -> Any:
    """The decider's state after events."""
    state = decider.initial
    for version, event in enumerate(events, start=1):
        state = decider.evolve(state, recorded(event, version))
    return state


@dataclass(frozen=True)
class Given:
    """A decider and what has happened; `when` decides a command on it."""

    decider: Any
    events: tuple[Event, ...]
    directory: Directory

    def in_city(self, directory: Directory) -> Given:
        """The same, with another catalogue."""
        return replace(self, directory=directory)

    def when(self, command: Any) -> Then:
        """Check and decide `command`."""
        state = folded(self.decider, *self.events)
        try:
            command.check(self.directory)
            return Then(list(self.decider.decide(state, command, self.directory)), None)
        except Exception as error:  # noqa: BLE001 -- `then_refused` looks at it, the others raise it
            return Then([], error)


@dataclass(frozen=True)
class Then:
    """What came of it."""

    events: list[Event]
    error: Exception | None

    def then(self, *expected: Event) -> None:
        """Exactly these events were decided."""
        if self.error is not None:
            raise self.error
        assert list(expected) == self.events

    def then_nothing_happened(self) -> None:
        """The command was allowed and had nothing to do."""
        self.then()

    def then_refused(self, kind: type[Exception], saying: str = "") -> None:
        """The command was refused by that very rule, in words that hold `saying`."""
        assert self.error is not None, f"not refused, but {self.events}"
        if type(self.error) is not kind:
            raise self.error
        assert saying in str(self.error)
        assert str(self.error), "a refusal says why"


def given(decider: Any, *events: Event) -> Given:
    """What has happened, in the city that the product ships."""
    return Given(decider, events, city())
