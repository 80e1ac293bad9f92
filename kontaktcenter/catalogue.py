"""The city's taxonomy on its way into the log, when a node starts."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Final

import structlog

from core.access import Asker, Grant, Role
from core.application import Application
from core.commit import Draft, Happened, import_id
from core.entries import EntrySet
from core.errors import Invalid
from core.eventlog.product import product_events
from core.taxonomy import Directory, decoded, read_entries, read_taxonomy
from core.vocabulary import catalogue_stream
from kontaktcenter.catalogue_changes import (
    Terms,
    commands_of,
    differences,
    handle_all,
    refusals,
)
from kontaktcenter.config import BUILTIN, NONE
from kontaktcenter.words import _

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from core.commit import Recorded
    from core.eventlog.node import Node

# Beside the sections of files, so that no file holds, changes or withdraws it.
_MARK: Final = EntrySet("first_import", "whole")
_FIRST: Final = catalogue_stream(_MARK.section, _MARK.key)
_LOG = structlog.get_logger("kontaktcenter.catalogue")
# Who brings in the file that the configuration names: whoever configures the node is its operator.
IMPORTER: Final = Asker("import", (Grant(Role.ADMINISTRATOR),))


async def ensure(node: Node, taxonomy: str, now: datetime) -> int:
    """Bring the taxonomy (`builtin`, `none` or a file) into the log; how many entries changed.

    Of the built-in one only what the log never had: what the city has changed since stays changed.
    A file is the city's own word: into an empty catalogue it goes as it is; later what differs is
    set where it is the centre's own, and proposed to its owner where it is not (R45). What a rule
    refuses stays as it was, and the process log says so.
    Raises: Invalid where the file cannot be read, listing every fault with its line.
    """
    if taxonomy == NONE:
        return 0
    text = text_of(taxonomy)
    if taxonomy == BUILTIN:
        drafts = read_taxonomy(text, now)
        known = node.heads(draft.events[0].stream for draft in drafts)
        return await _first(node, [d for d in drafts if d.events[0].stream not in known], now)
    if not begun(node):
        return await first_import(node, text, now)
    drafts = read_taxonomy(text, now)
    directory = Directory.of(_recorded(node, drafts))
    directory = directory.at(max(now, directory.as_of))
    application = Application(node, lambda: directory, product_events(node))
    commands = commands_of(
        differences(read_entries(text), directory, Terms()), directory, IMPORTER, now, Terms()
    )
    refused = refusals(application, commands, directory)
    for command, why in refused:
        _LOG.warning("taxonomy.refused", section=command.section, key=command.key, why=why.message)
    kept = {command.id for command, _why in refused}
    allowed = [command for command in commands if command.id not in kept]
    changed = await handle_all(application, allowed, lambda _done, _of: None, origin="import:file")
    await node.settle()
    return changed


def begun(node: Node) -> bool:
    """Whether a first import is in the log, whole."""
    return _FIRST in node.heads([_FIRST])


async def first_import(node: Node, text: str, now: datetime) -> int:
    """Set a catalogue that never was, as a file says, without anybody's approval.

    One that was cut off goes on where it was: a mark that is set last tells that it is whole.
    Raises: Invalid, listing every fault with its line.
    """
    standing = Directory.of(_recorded(node, read_taxonomy(text, now)))
    return await _first(node, read_taxonomy(text, now, directory=standing), now)


async def _first(node: Node, drafts: list[Draft], now: datetime) -> int:
    await node.propose_many(drafts)
    await node.settle()
    if not begun(node):
        happened = (Happened(_FIRST, _MARK, now),)
        id_ = import_id("taxonomy", _FIRST)
        await node.propose(Draft(id_, _FIRST, "import", "import:taxonomy", happened))
    return len(drafts)


def text_of(taxonomy: str) -> str:
    """The text of `builtin` or of a file. Raises: Invalid."""
    if taxonomy == BUILTIN:
        return (files("kontaktcenter") / "data" / "taxonomy.toml").read_text(encoding="utf-8")
    try:
        return decoded(Path(taxonomy).read_bytes())
    except OSError as e:
        said = _("taxonomy: {file} cannot be read: {why}")
        raise Invalid(said.format(file=taxonomy, why=e.strerror or e)) from e


def _recorded(node: Node, drafts: list[Draft]) -> Iterator[Recorded]:
    for draft in drafts:
        yield from node.load(draft.events[0].stream)
