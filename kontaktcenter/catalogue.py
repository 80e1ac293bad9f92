"""The city's taxonomy on its way into the log."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING

from core.errors import Invalid
from core.taxonomy import Directory, read_taxonomy
from kontaktcenter.config import BUILTIN, NONE
from kontaktcenter.words import _

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from core.commit import Draft, Event
    from core.eventlog.node import Node


async def ensure(node: Node, taxonomy: str, now: datetime) -> int:
    """Bring the taxonomy (`builtin`, `none` or a file) into the log; how many entries were new.

    Of the built-in one only what the log never had: what the city has changed since stays changed.
    A file is the city's own word: what differs from it is set.
    Raises: Invalid where the file cannot be read, listing every fault.
    """
    if taxonomy == NONE:
        return 0
    drafts = read_taxonomy(_text(taxonomy), now)
    if taxonomy == BUILTIN:
        drafts = _never_seen(node, drafts)
    else:
        standing = Directory.of(_recorded(node, drafts))
        drafts = read_taxonomy(_text(taxonomy), now, directory=standing)
    await node.propose_many(drafts)
    await node.settle()
    return len(drafts)


def _text(taxonomy: str) -> str:
    if taxonomy == BUILTIN:
        return (files("kontaktcenter") / "data" / "taxonomy.toml").read_text(encoding="utf-8")
    try:
        return Path(taxonomy).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as e:
        said = _("taxonomy: {file} cannot be read: {why}")
        raise Invalid(said.format(file=taxonomy, why=e)) from e


def _never_seen(node: Node, drafts: list[Draft]) -> list[Draft]:
    heads = node.heads(draft.events[0].stream for draft in drafts)
    return [draft for draft in drafts if draft.events[0].stream not in heads]


def _recorded(node: Node, drafts: list[Draft]) -> Iterator[Event]:
    for draft in drafts:
        for recorded in node.load(draft.events[0].stream):
            yield recorded.event
