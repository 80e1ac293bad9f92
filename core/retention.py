"""Retention (*gallringsfrister*): rules that propose what is due. A person decides, always.

The catalogue's section `retention_rule` has a row for each rule: `id`, `authority`, `case_types`
(codes) or `area` (an area's id), or neither for all of the authority's; `months` after closing;
`what`, one of `RetentionAct`; `rule`, the text that a protocol quotes.
"""

from __future__ import annotations

from calendar import monthrange
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING, ClassVar, Final
from zoneinfo import ZoneInfo

from core.commit import Event

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from core.taxonomy import Directory

SECTION: Final = "retention_rule"
_MONTHS: Final = 12
_CITY: Final = ZoneInfo("Europe/Stockholm")


class RetentionAct(StrEnum):
    """What a rule proposes."""

    ERASE = "erase"
    ARCHIVE_THEN_ERASE = "archive_then_erase"


@dataclass(frozen=True)
class ArchiveExported(Event):
    """An archive was made of an authority's cases that were closed from `begin`, before `end`.

    `sha256` is its manifest's, `position` the authority's own book's, as far as it was read.
    """

    TOPIC: ClassVar[str] = "archive.exported"
    authority: str
    begin: datetime
    end: datetime
    sha256: str
    cases: int
    registrar: str
    position: int


@dataclass(frozen=True, slots=True)
class RetentionRule:
    """One rule. Empty `case_types`: all of the authority's."""

    id: str
    authority: str
    case_types: frozenset[str]
    months: int
    what: RetentionAct
    rule: str

    def is_about(self, authority: str, case_type: str | None) -> bool:
        """Whether a case of the authority and type falls under the rule."""
        if authority != self.authority:
            return False
        return not self.case_types or case_type in self.case_types

    def due_at(self, closed_at: datetime) -> datetime:
        """When a case that was closed then is due: the same day of a later month, by city time."""
        return months_after(closed_at, self.months)


def months_after(at: datetime, months: int) -> datetime:
    """The same clock time `months` later in the city, on the month's last day where it is short."""
    local = at.astimezone(_CITY)
    year, month = divmod(local.year * _MONTHS + local.month - 1 + months, _MONTHS)
    day = min(local.day, monthrange(year, month + 1)[1])
    return local.replace(year=year, month=month + 1, day=day).astimezone(at.tzinfo)


def rules(directory: Directory, authority: str) -> list[RetentionRule]:
    """The rules of an authority as the catalogue stands, the longest time last."""
    found = [
        _rule(key, row, directory)
        for key, row in directory.rows(SECTION).items()
        if row.get("authority") == authority
    ]
    return sorted(found, key=lambda rule: (rule.months, rule.id))


def _rule(key: str, row: Mapping[str, object], directory: Directory) -> RetentionRule:
    named = row.get("case_types")
    types = {str(code) for code in named} if isinstance(named, list) else set[str]()
    area = row.get("area")
    if area is not None:
        types |= {
            code for code, other in directory.rows("case_type").items() if other.get("area") == area
        }
        types = types or {""}  # an area without types is about none, not about all
    return RetentionRule(
        id=key,
        authority=str(row.get("authority")),
        case_types=frozenset(types),
        months=int(str(row.get("months"))),
        what=RetentionAct(str(row.get("what", RetentionAct.ERASE))),
        rule=str(row.get("rule") or key),
    )


@dataclass(frozen=True, slots=True)
class Kept:
    """A closed case as retention sees it; `written_at` is when text was last written in it."""

    stream: str
    authority: str
    id: str
    number: str | None
    case_type: str | None
    closed_at: datetime
    written_at: datetime
    registry: str | None = None
    erased_at: datetime | None = None
    exported_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Proposal:
    """A case that is due under a rule since `due_at`; `lacks` is what has to be done before."""

    case: Kept
    rule: RetentionRule
    due_at: datetime
    lacks: str | None = None


def proposals(
    kept: Iterable[Kept],
    by: list[RetentionRule],
    now: datetime,
    registered: frozenset[str] = frozenset(),
) -> list[Proposal]:
    """What is due, in order of time. Nothing is done: a person decides.

    `registered` are the case types that have to be registered before anything else.

    A case under several rules is due when the last of them says so. What was erased is due again
    only where something was written after that.
    """
    found = []
    for case in kept:
        if case.erased_at is not None and case.erased_at >= case.written_at:
            continue
        mine = [rule for rule in by if rule.is_about(case.authority, case.case_type)]
        if not mine:
            continue
        rule = max(mine, key=lambda each: (each.due_at(case.closed_at), each.id))
        due_at = rule.due_at(case.closed_at)
        if due_at <= now:
            found.append(Proposal(case, rule, due_at, _lacks(case, rule, registered)))
    return sorted(found, key=lambda each: (each.due_at, each.case.stream))


def _lacks(case: Kept, rule: RetentionRule, registered: frozenset[str]) -> str | None:
    if case.registry is None and case.case_type in registered:
        return "registry"
    if rule.what is RetentionAct.ARCHIVE_THEN_ERASE and (
        case.exported_at is None or case.exported_at < max(case.written_at, case.closed_at)
    ):
        return "archive"
    return None
