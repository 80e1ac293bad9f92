"""The part of the catalogue that figures are named by: answer groups and authorities."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

from core.entries import EntryRemoved
from projections.later import ENTRY_TOPICS, entries_due, make_later_tables

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlite_utils import Database

    from core.entries import EntrySet
    from projections.base import Fed

CATALOGUE_TOPICS: Final = ENTRY_TOPICS


def make_group_tables(db: Database) -> None:
    """Make `answer_groups` and `authorities`, and what is to come of them."""
    make_later_tables(db)
    db.table("answer_groups").create(
        {
            "id": str,
            "queue": str,
            "name": str,
            "centre": str,
            "authority": str,
            "authorities": str,
        },
        pk="id",
    )
    db.table("authorities").create({"code": str, "name": str}, pk="code")


def write_catalogue(db: Database, events: Sequence[Fed]) -> None:
    """Take over the catalogue's entries that are of use here, when they take effect.

    `authority` is the one owner of a group's matters; empty where there are several, whose codes
    are in `authorities` (JSON). Raises: Corrupt, KeyError where an entry cannot be read.
    """
    for event in entries_due(db, events):
        if isinstance(event, EntryRemoved):
            if event.section == "answer_group":
                db.table("answer_groups").delete_where("id = ?", [event.key])
        elif event.section == "answer_group":
            _set_group(db, event)
        elif event.section == "authority":
            name = str(event.fields.get("name", event.key))
            db.table("authorities").upsert({"code": event.key, "name": name}, pk="code")


def _set_group(db: Database, event: EntrySet) -> None:
    owners = event.fields.get("partition")
    codes = [str(code) for code in owners] if isinstance(owners, list) else []
    db.table("answer_groups").upsert(
        {
            "id": event.key,
            "queue": str(event.fields.get("queue", event.key)),
            "name": str(event.fields.get("name", event.key)),
            "centre": str(event.fields.get("centre", "")),
            "authority": codes[0] if len(codes) == 1 and codes[0] != "*" else "",
            "authorities": json.dumps(codes),
        },
        pk="id",
    )
