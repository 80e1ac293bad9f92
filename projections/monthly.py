"""What a first monthly report of one authority is made of: its own figures alone (R40).

Everything is as of positions of the log, and so is the time that windows are judged by: the same
positions give the same figures whenever they are asked for.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from core.errors import Invalid, NotFound
from core.taxonomy import Directory
from core.vocabulary import CALLS, CASES_PREFIX, CENTRE
from projections.case_queries import CasePeriod
from projections.case_volumes import Volumes, suppressed, volumes
from projections.kpi import Counts
from projections.statistics import StatisticsQuery, statistics
from projections.times import HOUR_S, ZONE, moment

if TYPE_CHECKING:
    from projections.read_models import ReadModels

ANSWER_WITHIN_S: Final = 20.0
SHORT_ABANDON_S: Final = 5.0
_MODELS: Final = ("case_figures", "queue_entries")
_SQL_POSITIONS: Final = "SELECT shard, position, recorded_us FROM positions"


@dataclass(frozen=True, slots=True)
class GroupCalls:
    """The calls of one answer group in the month."""

    group: str
    name: str
    counts: Counts


@dataclass(frozen=True, slots=True)
class AuthorityMonth:
    """One authority's month. `known_until` is when the last event that it rests on was recorded.

    `directory` is the catalogue as it stood at those positions, whenever this is made.
    `cases` are by type, level and channel; `calls` of the groups that answer for nobody else. Where
    `public`, small numbers are None.
    """

    authority: str
    month: str
    begin: datetime
    end: datetime
    known_until: datetime | None
    directory: Directory
    as_of: Mapping[str, int]
    public: bool
    by_type: Volumes
    by_level: Volumes
    by_channel: Volumes
    calls: tuple[GroupCalls, ...]

    @property
    def whole(self) -> bool:
        """Whether the month was over when the last event was recorded."""
        return self.known_until is not None and self.known_until >= self.end

    @property
    def calls_total(self) -> Counts:
        """The calls of all of its groups; callers are no sum, so nobody is counted twice here."""
        return sum((each.counts for each in self.calls), Counts())


def month_of(text: str) -> tuple[datetime, datetime]:
    """The first moment of a month such as `2026-11`, and of the next, in the city's time.

    Raises: Invalid.
    """
    try:
        begin = datetime.strptime(text, "%Y-%m").replace(tzinfo=ZONE)
    except ValueError as e:
        raise Invalid(f"month is {text!r}; write it as 2026-11", field="month") from e
    year, month = (begin.year + 1, 1) if begin.month == 12 else (begin.year, begin.month + 1)  # noqa: PLR2004 -- December
    return begin, begin.replace(year=year, month=month)


def authority_month(
    read_models: ReadModels,
    directory: Directory,
    authority: str,
    month: str,
    *,
    public: bool = False,
) -> AuthorityMonth:
    """The month of an authority, whose figures the asker may read.

    Raises: Invalid, NotFound (no such authority), Unavailable.
    """
    begin, end = month_of(month)
    known = directory.authority(authority)
    if known is None or known.excluded:
        raise NotFound(f"There is no authority {authority}.", authority=authority)
    as_of, known_until, named_at = _positions(read_models, authority)
    directory = directory.at(named_at)
    period = CasePeriod(begin, end, authority)
    own = frozenset({authority})

    def counted(by: str) -> Volumes:
        found = volumes(read_models, own, period, known_until or begin, by)
        return suppressed(found) if public else found

    return AuthorityMonth(
        authority=authority,
        month=month,
        begin=begin,
        end=end,
        known_until=known_until,
        directory=directory,
        as_of=as_of,
        public=public,
        by_type=counted("case_type"),
        by_level=counted("level"),
        by_channel=counted("channel"),
        calls=_calls(read_models, directory, authority, begin, end),
    )


def _positions(
    read_models: ReadModels, authority: str
) -> tuple[Mapping[str, int], datetime | None, datetime]:
    """How far the authority's own book, calls and the catalogue were read; the last times in them.

    The catalogue names things and counts nothing, so its time is no time of the figures, and comes
    by itself: the last of the three.
    """
    as_of: dict[str, int] = {}
    last_us = named_us = 0
    books = {CALLS, CENTRE, f"{CASES_PREFIX}{authority}"}
    for model in _MODELS:
        with read_models.snapshot(model) as db:
            for shard, position, recorded_us in db.execute(_SQL_POSITIONS).fetchall():
                book = shard.rpartition("/")[0]
                if book in books:
                    as_of[shard] = min(position, as_of.get(shard, position))
                    named_us = max(named_us, recorded_us or 0)
                    last_us = max(last_us, (recorded_us or 0) if book != CENTRE else 0)
    known_until = moment(last_us).astimezone(UTC) if last_us else None
    return dict(sorted(as_of.items())), known_until, moment(named_us).astimezone(UTC)


def _calls(
    read_models: ReadModels,
    directory: Directory,
    authority: str,
    begin: datetime,
    end: datetime,
) -> tuple[GroupCalls, ...]:
    own = {g.id: g.name for g in directory.groups.values() if g.partition == (authority,)}
    asked = StatisticsQuery(begin, end, HOUR_S, "answer_group", ANSWER_WITHIN_S, SHORT_ABANDON_S)
    found: dict[str, Counts] = {}
    for row in statistics(read_models, asked).total:
        if row.about in own:
            found[row.about] = found.get(row.about, Counts()) + row.counts
    return tuple(
        GroupCalls(group, own[group], found[group])
        for group in sorted(found, key=lambda group: (own[group], group))
    )
