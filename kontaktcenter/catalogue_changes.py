"""What differs between a file and the catalogue, and how each difference is brought in.

The centre's own is set; what an authority owns is proposed to it (R45), or set where the authority
approved it outside this system. Nothing is recorded before everything was found to be allowed.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from core.access import require
from core.change_rules import CATALOGUE, owner_of
from core.changes import ProposeChange, SetEntry
from core.commit import import_id
from core.entries import Row
from core.errors import Refused
from kontaktcenter.words import _

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from core.access import Asker
    from core.application import Application
    from core.changes import ChangingCommand
    from core.directory import Directory
    from core.taxonomy import Entry

_AT_ONCE: Final = 100  # commands under way at the same time
_IMPORT: Final = "catalogue"


class NothingChanged(Refused):
    """Part of it is refused, so nothing was changed."""


@dataclass(frozen=True, slots=True)
class Terms:
    """On what terms changes are made: from when, and which decision of whom they rest on."""

    effective_from: datetime | None = None
    approved_by: str | None = None
    decision: str | None = None


@dataclass(frozen=True, slots=True)
class Difference:
    """An entry that is to be other than it is; `after` None: withdrawn.

    `owner` is the authority that approves it, None the centre; `waiting`: proposed already.
    """

    section: str
    key: str
    before: Row | None
    after: Row | None
    owner: str | None
    waiting: bool = False


def differences(
    entries: Iterable[Entry], directory: Directory, terms: Terms, *, withdraw_missing: bool = False
) -> list[Difference]:
    """What a file's entries would change, in the file's order.

    With `withdraw_missing`, entries of the file's sections that it does not have are withdrawn.
    """
    standing = directory
    if terms.effective_from is not None:
        standing = directory.at(max(directory.as_of, terms.effective_from))
    wanted: dict[tuple[str, str], Row | None] = {(e.section, e.key): e.row for e in entries}
    if withdraw_missing:
        for section in {section for section, _key in wanted}:
            for key in standing.rows(section):
                wanted.setdefault((section, key), None)
    found = []
    for (section, key), after in wanted.items():
        before = standing.entry(section, key)
        if before != after:
            owner = owner_of(section, before or after or {}, standing)
            waiting = any(
                (c.section, c.key, c.fields, c.effective_from)
                == (section, key, after, terms.effective_from)
                for c in directory.pending.values()
            )
            found.append(Difference(section, key, before, after, owner, waiting))
    return found


def commands_of(
    found: Sequence[Difference], directory: Directory, asker: Asker, now: datetime, terms: Terms
) -> list[ChangingCommand]:
    """The commands that bring the differences in; what waits already is left out.

    Their ids come from what is asked and what stands, so that an import that was cut off goes on
    where it was, and one that is repeated does nothing.
    """
    commands: list[ChangingCommand] = []
    for one in found:
        proposed = one.owner is not None and one.owner != terms.approved_by
        if proposed and one.waiting:
            continue
        common: dict[str, Any] = {
            "id": _id_of(one, directory, terms, proposed=proposed),
            "now": now,
            "actor": asker.id,
            "asker": asker,
            "section": one.section,
            "key": one.key,
            "fields": one.after,
            "effective_from": terms.effective_from,
            "decision": terms.decision,
            "whole": True,
        }
        if proposed:
            commands.append(ProposeChange(**common))
        else:
            by = terms.approved_by if one.owner is not None else None
            commands.append(SetEntry(**common, approved_by=by))
    return commands


def _id_of(one: Difference, directory: Directory, terms: Terms, *, proposed: bool) -> Any:
    asking = [
        one.section,
        one.key,
        one.after,
        directory.recorded(one.section, one.key),
        str(terms.effective_from),
        terms.approved_by,
        terms.decision,
        proposed,
    ]
    text = json.dumps(asking, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    return import_id(_IMPORT, hashlib.sha256(text.encode()).hexdigest())


def refusals(
    application: Application, commands: Sequence[ChangingCommand], directory: Directory
) -> list[tuple[ChangingCommand, Refused]]:
    """What of the commands would be refused, by rights or by rules, as things stand now."""
    found: list[tuple[ChangingCommand, Refused]] = []
    for command in commands:
        try:
            command.check(directory)
            state = application.load(CATALOGUE, command.stream).state
            require(command.asker, command.DEED, CATALOGUE.place(state, command), directory)
            CATALOGUE.decide(state, command, directory)
        except Refused as e:
            found.append((command, e))
    return found


def none_refused(found: Sequence[tuple[ChangingCommand, Refused]]) -> None:
    """Raises: NothingChanged, listing every refusal, where there is one: nothing is recorded."""
    if not found:
        return
    told = tuple(f"{command.section} {command.key}: {why}" for command, why in found)
    listed = "\n".join(f"- {one}" for one in told)
    said = _("nothing was changed; {n} of it is refused:\n{listed}")
    raise NothingChanged(said.format(n=len(told), listed=listed), faults=told)


async def handle_all(
    application: Application,
    commands: Sequence[ChangingCommand],
    progress: Callable[[int, int], None],
    *,
    origin: str = "cli",
) -> int:
    """Do the commands, some at once; how many changed something. Raises: the first error."""
    changed = 0
    for start in range(0, len(commands), _AT_ONCE):
        batch = commands[start : start + _AT_ONCE]
        answers = await asyncio.gather(
            *(application.handle(command, origin=origin) for command in batch)
        )
        changed += sum(bool(answer.recorded) for answer in answers)
        progress(start + len(batch), len(commands))
    return changed
