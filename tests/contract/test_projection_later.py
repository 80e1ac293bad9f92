"""A change of the catalogue that takes effect later counts in read models from then on."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from figures_world import NOW, Figures, Told, figures_at

from core.calls import CallQueued
from core.entries import EntryRemoved, EntrySet
from core.vocabulary import call_stream, catalogue_stream

if TYPE_CHECKING:
    from pathlib import Path

    from core.commit import Event

HOUR = timedelta(hours=1)


def group(event: type[Any], at: datetime | None, **fields: Any) -> Told:
    made: Event = (
        EntrySet("answer_group", "g", {"queue": "kris", **fields}, at)
        if event is EntrySet
        else EntryRemoved("answer_group", "g", at)
    )
    return catalogue_stream("answer_group", "g"), made, NOW


def rows(figures: Figures) -> list[tuple[str, str]]:
    with figures.models.snapshot("queue_entries") as db:
        return [(row["name"], row["authorities"]) for row in db["answer_groups"].rows]


def test_an_entry_changes_with_the_first_event_of_its_time_also_after_a_rebuild(
    tmp_path: Path,
) -> None:
    clock = [NOW]
    with figures_at(tmp_path, clock=lambda: clock[0]) as figures:
        figures.tell([group(EntrySet, None, name="Ett", partition=["MF"])])
        figures.tell([group(EntrySet, NOW + HOUR, name="Två", partition=["TK"])])
        figures.tell([group(EntryRemoved, NOW + 2 * HOUR)])
        found = []
        for n, minutes in enumerate((59, 60, 119, 120)):
            clock[0] = NOW + timedelta(minutes=minutes)
            figures.tell([(call_stream("lab", f"{n}.1"), CallQueued("kris", "g"), clock[0])])
            found.append(rows(figures))
        one, two = [("Ett", '["MF"]')], [("Två", '["TK"]')]
        assert found == [one, two, two, []]
        figures.runner.rebuild("queue_entries")
        figures.runner.catch_up()
        assert rows(figures) == []


def test_what_comes_after_its_effect_date_counts_at_once(tmp_path: Path) -> None:
    with figures_at(tmp_path) as figures:
        figures.tell([group(EntrySet, NOW - HOUR, name="Ett", partition=[])])
        assert rows(figures) == [("Ett", "[]")]
