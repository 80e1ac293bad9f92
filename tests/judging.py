"""A shard folded in plain dictionaries from claims, and the rule with one part taken out."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from inspect import getsource
from textwrap import dedent
from typing import Any, cast

import core.judge
from core.commit import Accepted, Duplicate, Fork, StaleVerdict, Verdict
from core.eventlog.envelope import Claim
from core.judge import judge

Rule = Callable[[Any, Claim], tuple[Verdict, tuple[int, ...]]]


@dataclass
class Folded:
    """The fold of what was judged; `rule` is `judge`, or a variant of it that a test must catch."""

    rule: Rule = judge
    position: int = 0
    seq: int = 0
    heads: dict[str, int] = field(default_factory=dict)
    verdicts: dict[str, tuple[str, Accepted | StaleVerdict]] = field(default_factory=dict)
    trackings: dict[str, int] = field(default_factory=dict)

    def head(self, stream: str) -> int | None:
        return self.heads.get(stream)

    def first_verdict(self, commit_id: str) -> tuple[str, Accepted | StaleVerdict] | None:
        return self.verdicts.get(commit_id)

    def tracked(self, name: str) -> int | None:
        return self.trackings.get(name)

    def take(self, claim: Claim) -> Verdict:
        """Judge the next commit and go on from there."""
        verdict, versions = self.rule(self, claim)
        if isinstance(verdict, Duplicate | Fork):
            return verdict
        self.position = verdict.position
        self.verdicts[claim.id] = (claim.intent, verdict)
        if isinstance(verdict, Accepted):
            self.seq += len(versions)
            self.heads.update(
                (event.stream, version)
                for event, version in zip(claim.events, versions, strict=True)
            )
            if claim.tracking is not None:
                self.trackings[claim.tracking.name] = claim.tracking.position
        return verdict

    def take_all(self, claims: Iterable[Claim]) -> list[Verdict]:
        """Judge one after another."""
        return [self.take(claim) for claim in claims]


@dataclass(frozen=True)
class Mutant:
    """One rule of `judge`, and the text that takes it out."""

    rule: str
    find: str
    put: str

    def judge(self) -> Rule:
        """The rule without this part; fails where `judge` no longer reads as this expects."""
        source = dedent(getsource(judge))
        assert len(re.findall(re.escape(self.find), source)) == 1, (self.rule, source)
        names = dict(vars(core.judge))
        exec(compile(source.replace(self.find, self.put), f"<{self.rule}>", "exec"), names)
        return cast("Rule", names["judge"])


MUTANTS = (
    Mutant("an id is judged once", "before is not None", "False"),
    Mutant("another intent is a fork", "if intent == commit.intent else Fork(first)", ""),
    Mutant(
        "the same intent is a duplicate", "Duplicate(first) if intent == commit.intent else ", ""
    ),
    Mutant("tracking goes forward", "last is not None and tracking.position <= last", "False"),
    Mutant(
        "tracking does not stand still", "tracking.position <= last", "tracking.position < last"
    ),
    Mutant("a version follows its head", "version != head + 1", "version <= head"),
    Mutant("a version does not repeat its head", "version != head + 1", "version > head + 1"),
    Mutant("a new stream starts at 0 or more", "version < 0", "False"),
    Mutant("a new stream starts anywhere", "version < 0", "version != FIRST_VERSION"),
    Mutant("a fact follows the head", "head + 1\n        elif", "head\n        elif"),
    Mutant(
        "a fact's stream starts at one",
        "version = FIRST_VERSION if head is None",
        "version = 0 if head is None",
    ),
    Mutant(
        "an event follows the one before it in its commit",
        "heads[stream] if stream in heads else state.head(stream)",
        "state.head(stream)",
    ),
    Mutant("positions are dense", "state.position + 1", "state.position + 2"),
    Mutant("numbers are dense", "state.seq + 1", "state.seq + 2"),
    Mutant("each event has a number", "first_seq + len(versions)", "first_seq + 1"),
    Mutant("a stale answer tells the head", "-1 if head is None else head", "-1"),
)
