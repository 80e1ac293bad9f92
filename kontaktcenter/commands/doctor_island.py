"""`doctor` on the journal: whether facts wait on this node, and what of them somebody must see."""

from __future__ import annotations

from typing import TYPE_CHECKING

from core.errors import KontaktcenterError
from core.eventlog.island.journal import Journal
from core.eventlog.island.journal_file import FILE, damaged_journals
from kontaktcenter.commands.check import FAIL, OK, WARN, Check
from kontaktcenter.words import _, plural

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from core.eventlog.island.island import Island
    from core.eventlog.node import Node


def checks(node: Node) -> Iterator[Check]:
    """The lines about the journal of an open node."""
    data = node.settings.data
    for path in damaged_journals(data):
        do = _("Its whole rows were sent. Keep it until somebody has looked; see island.md.")
        yield Check("journal", FAIL, str(path), do)
    if node.island is None:
        yield from _left(data / FILE)
    else:
        yield from _island(node.island)


def _island(island: Island) -> Iterator[Check]:
    kept = _kept(island.kept)
    if island.fault is not None:
        yield Check("journal", FAIL, island.fault, _("Start the node again; see island.md."))
    if island.asides:
        aside = plural("{n} commit was put aside", "{n} commits were put aside", island.asides)
        do = _("The log would not take them: look into the journal; see island.md.")
        yield Check("journal", FAIL, aside, do)
    if island.cut_off:
        do = _("The log cannot be reached: facts are kept here. See the runbook kafka-nere.")
        yield Check("journal", WARN, kept, do)
    elif island.kept:
        yield Check("journal", WARN, kept, _("They are on their way to the log."))
    else:
        yield Check("journal", OK, _("the log is reached, and nothing waits here"))


def _left(path: Path) -> Iterator[Check]:
    """A journal beside a log on this machine: of the log that was there before."""
    if not path.exists():
        return
    try:
        journal = Journal(path)
    except KontaktcenterError as e:
        yield Check("journal", FAIL, e.message, _("See island.md before you remove anything."))
        return
    try:
        n = len(journal)
    finally:
        journal.close()
    if n:
        do = _("They are for the log of before: start with it (KC_LOG), and they are sent.")
        yield Check("journal", WARN, _kept(n), do)


def _kept(n: int) -> str:
    return plural("{n} commit waits on this node", "{n} commits wait on this node", n)
