"""The whole catalogue, with every version of every entry, and as it stands at a time.

A version takes effect when it says so, or when it was recorded if that is later: an approval that
arrives after its effect date takes effect when it arrives, and what was is never rewritten.
Versions of an entry are numbered 1, 2, 3 … in the order in which they come into force.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Final
from zoneinfo import ZoneInfo

from core.commit import Recorded
from core.entries import (
    ANY_AUTHORITY,
    Change,
    ChangeProposed,
    ChangeRefused,
    EntryRemoved,
    EntrySet,
    EntryVersion,
)
from core.entry_views import (
    AnswerGroup,
    Article,
    Authority,
    Calendar,
    CaseType,
    OnCall,
    article_of,
    authority_of,
    calendar_of,
    case_type_of,
    date_of,
    group_of,
    is_on_call,
    text_of,
    texts_of,
)
from core.vocabulary import WrapUpOutcome

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from core.commit import Event
    from core.entries import Row

ALWAYS: Final = datetime(1970, 1, 1, tzinfo=UTC)  # when an event without its record was recorded
FOREVER: Final = datetime(9999, 12, 30, tzinfo=UTC)
_CITY: Final = ZoneInfo("Europe/Stockholm")
_TAKEN_OVER: Final = frozenset({"1", "2"})  # the levels that a centre may have from an authority

_Versions = dict[str, dict[str, tuple[EntryVersion, ...]]]


@dataclass(frozen=True)
class Directory:
    """The catalogue as it stands at `as_of`; `at` gives it at another time.

    `versions[section][key]` are all versions of an entry in the order of coming into force, those
    that are yet to come included. `pending` are the proposed changes that wait, by their ids;
    `proposed` tells of every proposal that ever was which section and key it is about.
    """

    versions: _Versions = field(default_factory=dict)
    pending: dict[str, Change] = field(default_factory=dict)
    as_of: datetime = ALWAYS
    proposed: dict[str, tuple[str, str]] = field(default_factory=dict)

    @classmethod
    def of(cls, events: Iterable[Event | Recorded], start: Directory | None = None) -> Directory:
        """The catalogue after `events`, in their order, on top of `start`.

        Other events change nothing. An event that comes without its record was always so. The
        result stands as of the last recording.
        """
        before = start or cls()
        versions: _Versions = {name: dict(rows) for name, rows in before.versions.items()}
        pending, proposed, as_of = dict(before.pending), dict(before.proposed), before.as_of
        for item in events:
            event, at, by = _told(item)
            if isinstance(event, EntrySet | EntryRemoved):
                rows = versions.setdefault(event.section, {})
                rows[event.key] = with_version(rows.get(event.key, ()), event, at)
                pending.pop(event.change or "", None)
            elif isinstance(event, ChangeProposed):
                pending[event.change] = change_of(event, at, by)
                proposed[event.change] = (event.section, event.key)
            elif isinstance(event, ChangeRefused):
                pending.pop(event.change, None)
            else:
                continue
            as_of = max(as_of, at)
        return cls(versions, pending, as_of, proposed)

    # --- time ---------------------------------------------------------------------------------
    def at(self, now: datetime) -> Directory:
        """The catalogue as it stood, or will stand, at `now`. Itself where that is the same."""
        since, until = self._stands
        return self if since <= now < until else replace(self, as_of=now)

    @cached_property
    def _stands(self) -> tuple[datetime, datetime]:
        """Since when and until when this is the same: to the next version, or the next day."""
        day = self.today
        midnights = (_midnight(day), _midnight(day + timedelta(days=1)))
        effects = self._effects
        n = bisect_right(effects, self.as_of)
        since = max(effects[n - 1] if n else ALWAYS, midnights[0])
        return since, min(effects[n] if n < len(effects) else FOREVER, midnights[1])

    @cached_property
    def _effects(self) -> list[datetime]:
        return sorted(
            {
                version.effective_at
                for rows in self.versions.values()
                for all_of_entry in rows.values()
                for version in all_of_entry
            }
        )

    @property
    def today(self) -> date:
        """The city's date at `as_of`: what dates of validity are compared with."""
        return self.as_of.astimezone(_CITY).date()

    # --- entries ------------------------------------------------------------------------------
    def version(self, section: str, key: str) -> int:
        """The number of the version that stands; 0 where there was none yet."""
        found = self.versions.get(section, {}).get(key, ())
        return bisect_right(found, self.as_of, key=lambda v: v.effective_at)

    def entry(self, section: str, key: str, version: int | None = None) -> Row | None:
        """The row of an entry, by default the one that stands; None where it was withdrawn."""
        number = self.version(section, key) if version is None else version
        found = self.versions.get(section, {}).get(key, ())
        return found[number - 1].fields if 0 < number <= len(found) else None

    @cached_property
    def entries(self) -> Mapping[str, Mapping[str, Row]]:
        """The rows that stand, by section and key."""
        return {
            section: {
                key: row for key in rows if (row := self.entry(section, key)) is not None
            }
            for section, rows in self.versions.items()
        }  # fmt: skip

    def rows(self, section: str) -> Mapping[str, Mapping[str, object]]:
        """The rows of a section by key; empty where there are none."""
        return self.entries.get(section, {})

    def recorded(self, section: str, key: str) -> int:
        """How often the entry was set or withdrawn, also for a time to come."""
        return len(self.versions.get(section, {}).get(key, ()))

    # --- who answers --------------------------------------------------------------------------
    @cached_property
    def excluded(self) -> frozenset[str]:
        """The codes of the excluded authorities (R11)."""
        rows = self.rows("authority").items()
        return frozenset(code for code, row in rows if row.get("excluded") is True)

    @cached_property
    def groups(self) -> Mapping[str, AnswerGroup]:
        """The answer groups of the catalogue by id."""
        return {
            key: group_of(key, row, self.excluded, self.version("answer_group", key))
            for key, row in self.rows("answer_group").items()
        }

    @cached_property
    def _by_queue(self) -> Mapping[str, AnswerGroup]:
        return {group.queue: group for group in self.groups.values()}

    def group_of_queue(self, queue: str) -> AnswerGroup:
        """The answer group of a queue.

        An unknown queue gets a group of its own name, `known=False`.
        """
        known = self._by_queue.get(queue)
        return known or AnswerGroup(queue, queue, queue, "", (), known=False)

    def group(self, group: str) -> AnswerGroup | None:
        """The answer group with that id."""
        return self.groups.get(group)

    def groups_of_choice(self, dialled: str | None, ivr_choice: str | None) -> list[AnswerGroup]:
        """The groups that a dialled number and a key may lead to (R22, R26).

        Empty where nobody knows. Before the key is known these are all the groups of the menu. A
        number that is not valid on the day still leads where it led: a caller has dialled it.
        """
        wanted = _digits(dialled or "")
        numbers = [
            row
            for row in self.rows("dialled_number").values()
            if wanted and _digits(str(row.get("number", ""))) == wanted
        ]
        found: list[AnswerGroup | None] = []
        for row in [row for row in numbers if self.is_valid(row)] or numbers:
            target = str(row.get("target", ""))
            found += [self.group(name) for name in self._leads_to(target, ivr_choice, set())]
        return [group for group in found if group is not None]

    def _leads_to(self, target: str, key: str | None, seen: set[str]) -> list[str]:
        """The groups behind a group's or a menu's id; a menu within a menu may lead anywhere."""
        menu = self.rows("ivr").get(target)
        if menu is None:
            return [target]
        if target in seen:
            return []
        seen.add(target)
        found: list[str] = []
        for name in _choices(menu, key):
            found += self._leads_to(name, None, seen)
        return found

    def is_valid(self, row: Mapping[str, object]) -> bool:
        """Whether a row with `valid_from` and `valid_to` (the last day) is valid today."""
        begins, ends = date_of(row.get("valid_from")), date_of(row.get("valid_to"))
        return (begins is None or begins <= self.today) and (ends is None or self.today <= ends)

    def is_excluded(self, group: str) -> bool:
        """Whether nothing about callers may be kept for this group.

        An authority of its partition is excluded.

        `group` is a group's id or a queue's name, because a source may know only the latter.
        """
        found = self.groups.get(group) or self._by_queue.get(group)
        return found is not None and found.excluded

    # --- whose matters, and what is done with them ----------------------------------------------
    @cached_property
    def _authorities(self) -> Mapping[str, Authority]:
        """All of them: every question of rights asks for some of them again."""
        return {code: authority_of(code, row) for code, row in self.rows("authority").items()}

    def authority(self, code: str) -> Authority | None:
        """The authority with that code."""
        return self._authorities.get(code)

    @cached_property
    def _case_types(self) -> dict[tuple[str, int], CaseType]:
        """Those that were asked for, by version."""
        return {}

    def case_type(self, code: str, version: int | None = None) -> CaseType | None:
        """The case type with that code, by default the version that stands."""
        number = self.version("case_type", code) if version is None else version
        known = self._case_types.get((code, number))
        row = self.entry("case_type", code, number) if known is None else None
        if row is not None:  # what there is not is not kept: anybody may ask for anything
            known = self._case_types[code, number] = case_type_of(code, row, number)
        return known

    def serves(self, case_type: CaseType, authority: str) -> bool:
        """Whether cases of `authority` may be of that type: its own, its family's, everybody's."""
        found = self.authority(authority)
        family = None if found is None else found.family
        return case_type.authority in {authority, ANY_AUTHORITY} or case_type.authority == family

    def article(self, key: str, version: int | None = None) -> Article | None:
        """The article with that id, by default the version that stands."""
        row = self.entry("article", key, version)
        number = self.version("article", key) if version is None else version
        return None if row is None else article_of(key, row, number)

    def calendar(self, key: str) -> Calendar | None:
        """The calendar with that id."""
        row = self.entry("calendar", key)
        return None if row is None else calendar_of(key, row, self.version("calendar", key))

    def calendar_of(self, case_type: CaseType) -> Calendar | None:
        """The calendar of a case type: its own, or that of the first group of its chain."""
        groups = (self.group(step.group) for step in case_type.steps if step.group)
        first = next((group for group in groups if group is not None), None)
        return self.calendar(case_type.calendar or (first and first.calendar) or "")

    def on_call(self, group: str, now: datetime) -> list[OnCall]:
        """Who is on call for a group at `now` (R23), by the schedule that stands; may be nobody."""
        return [
            OnCall(key, group, text_of(row, "role"), text_of(row, "contact"))
            for key, row in sorted(self.rows("on_call").items())
            if row.get("group") == group and is_on_call(row, now.astimezone(_CITY))
        ]

    def levels_taken_over(self, authority: str) -> frozenset[str]:
        """The levels that the centre has from an authority (R10).

        By its row of `takeover` that began last; where it has none, by its case types' steps.
        """
        rows = [
            row
            for row in self.rows("takeover").values()
            if row.get("authority") == authority and self.is_valid(row)
        ]
        if rows:
            last = max(rows, key=lambda row: str(row.get("valid_from", "")))
            return frozenset(texts_of(last.get("levels")))
        return (
            frozenset(
                step.level
                for code, row in self.rows("case_type").items()
                if row.get("authority") == authority
                for step in case_type_of(code, row, 0).steps
            )
            & _TAKEN_OVER
        )

    @cached_property
    def levels(self) -> frozenset[str]:
        """The levels of answering (R8); empty where the catalogue has none."""
        return frozenset(texts_of(self.rows("enums").get("level", {}).get("value")))

    @cached_property
    def outcomes(self) -> frozenset[str]:
        """What a contact may be wrapped up with: the vocabulary's own words and the city's."""
        return frozenset(WrapUpOutcome) | frozenset(self.rows("wrap_up"))


def _told(item: Event | Recorded) -> tuple[Event, datetime, str]:
    if isinstance(item, Recorded):
        return item.event, item.recorded_at, item.actor
    return item, ALWAYS, ""


def with_version(
    before: tuple[EntryVersion, ...], event: EntrySet | EntryRemoved, at: datetime
) -> tuple[EntryVersion, ...]:
    """The versions with one more, which never takes effect before anything that was recorded."""
    recorded_at = max([at, *(version.recorded_at for version in before)])
    effective_at = max(recorded_at, event.effective_from or recorded_at)
    fields = event.fields if isinstance(event, EntrySet) else None
    new = EntryVersion(
        fields, effective_at, recorded_at, event.change, event.approved_by, event.decision
    )
    place = bisect_right(before, effective_at, key=lambda version: version.effective_at)
    return (*before[:place], new, *before[place:])


def change_of(event: ChangeProposed, at: datetime, by: str) -> Change:
    """The proposal that waits, after its event."""
    return Change(
        id=event.change,
        section=event.section,
        key=event.key,
        owner=event.owner,
        fields=None if event.withdraw else event.fields,
        proposed_by=by,
        proposed_at=at,
        base=event.base,
        effective_from=event.effective_from,
        decision=event.decision,
        note=event.note,
    )


def _midnight(day: date) -> datetime:
    """When a day begins in the city."""
    return datetime(day.year, day.month, day.day, tzinfo=_CITY).astimezone(UTC)


def _choices(menu: Mapping[str, object], key: str | None) -> list[str]:
    """The groups and menus that `key` leads to; all of them where it is not known."""
    options = menu.get("options")
    rows = [o for o in options if isinstance(o, dict)] if isinstance(options, list) else []
    chosen = [
        str(o.get("group", o.get("ivr", ""))) for o in rows if key is None or o.get("key") == key
    ]
    return chosen if chosen and key is not None else [*chosen, str(menu.get("default", ""))]


def _digits(number: str) -> str:
    return "".join(filter(str.isdigit, number))
