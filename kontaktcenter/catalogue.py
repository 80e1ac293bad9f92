"""The city's taxonomy on its way into the log, and the catalogue as it stands there."""

from __future__ import annotations

import threading
import tomllib
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Final

from core.errors import Invalid
from core.eventlog.codec import decode_event
from core.taxonomy import Directory, EntryRemoved, EntrySet, read_taxonomy
from core.vocabulary import CENTRE
from kontaktcenter.config import BUILTIN, NONE
from kontaktcenter.words import _

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from core.commit import Draft, Event
    from core.eventlog.node import Node

_TYPES: Final = frozenset({EntrySet.TOPIC, EntryRemoved.TOPIC})
_SHARD: Final = f"{CENTRE}/0"
_READ: Final = 1_000


async def ensure(node: Node, taxonomy: str, now: datetime) -> int:
    """Bring the taxonomy into the log: `builtin`, `none` or a TOML file; how many entries were recorded.

    Of the built-in one only what the log never had: what the city has changed since stays changed. A file
    is the city's own word: what differs from it is set.
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


class Catalogue:
    """The catalogue as the log has it now; call it for the `Directory`. From any thread."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._turn = threading.Lock()
        self._after = 0
        self._directory = Directory()

    def __call__(self) -> Directory:
        """The catalogue now; what is new since the last call is read."""
        if self._node.positions().get(_SHARD, 0) > self._after:
            with self._turn:
                self._directory = Directory.of(list(self._news()), self._directory)
        return self._directory

    def _news(self) -> Iterator[Event]:
        upto = self._node.positions().get(_SHARD, 0)
        while batch := self._node.read(_SHARD, self._after, _READ):
            for commit in batch:
                for logged in commit.commit.events:
                    if logged.type in _TYPES:
                        event = decode_event(logged.type, logged.schema, logged.data)
                        if event is not None:
                            yield event
            self._after = batch[-1].position
        # A commit without events is not in the feed: where the shard stood before reading has been read too.
        self._after = max(self._after, upto)


def faults_of(taxonomy: str, now: datetime) -> str | None:
    """What is wrong with a taxonomy, for `config check`; None where it can be read."""
    if taxonomy == NONE:
        return None
    try:
        read_taxonomy(_text(taxonomy), now)
    except (Invalid, tomllib.TOMLDecodeError) as e:
        return str(e)
    return None
