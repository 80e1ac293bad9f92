"""`catalogue …`: the catalogue out to a file and back, what differs, and what waits for approval.

Whoever can work with the data folder is the machine's operator: sets what is the centre's own and
proposes the rest. With `as` it is done with an account's own rights, and recorded as its doing.
"""

from __future__ import annotations

import asyncio
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from uuid import uuid4

from core.access import Asker, Grant, NoSuchCase, NotAllowed, Role
from core.application import Application
from core.changes import ApproveChange, ChangeUnknown, RefuseChange, TakeBackChange
from core.errors import Invalid
from core.eventlog.product import product_events
from core.sections import SECTIONS, TABLES
from core.taxonomy import read_entries
from kontaktcenter import catalogue
from kontaktcenter.catalogue_changes import (
    Terms,
    commands_of,
    differences,
    handle_all,
    none_refused,
    refusals,
)
from kontaktcenter.catalogue_text import to_toml
from kontaktcenter.lathundar import mapping_status, read_lathundar
from kontaktcenter.words import _
from webdesk.catalogue_answers import change_shown, fields_changed, versions_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from core.changes import ChangingCommand, EntryCommand
    from core.directory import Directory
    from core.entries import Change
    from core.taxonomy import Entry
    from kontaktcenter.catalogue_changes import Difference
    from kontaktcenter.out import Out
    from kontaktcenter.wiring import House

ORIGIN: Final = "cli"
OPERATOR: Final = Asker("operator", (Grant(Role.ADMINISTRATOR),))


async def import_file(house: House, args: Mapping[str, object], out: Out) -> dict[str, object]:
    """Bring `file` in: into an empty catalogue as it is, later by the rules of changes.

    Raises: Invalid, listing every fault of the file; NothingChanged, listing every refusal.
    """
    await house.node.settle()
    text = await asyncio.to_thread(catalogue.text_of, str(args["file"]))
    if not catalogue.begun(house.node):
        n = await catalogue.first_import(house.node, text, house.clock())
        return {"first": True, "changed": n, "proposed": 0, "waiting": 0, "withdrawn": 0}
    directory = house.directory()
    missing = args.get("withdraw_missing") is True
    entries = await asyncio.to_thread(read_entries, text, directory, replacing=missing)
    return await _bring_in(house, args, out, entries, withdraw_missing=missing)


async def import_lathundar(house: House, args: Mapping[str, object], out: Out) -> dict[str, object]:
    """Bring a folder's lathundar in, by the rules of changes. Raises: Invalid, as `import_file`."""
    await house.node.settle()
    folder = Path(str(args["folder"]))
    entries = await asyncio.to_thread(read_lathundar, folder, house.directory())
    return await _bring_in(house, args, out, entries)


async def _bring_in(
    house: House,
    args: Mapping[str, object],
    out: Out,
    entries: Sequence[Entry],
    *,
    withdraw_missing: bool = False,
) -> dict[str, object]:
    directory, terms, asker = house.directory(), _terms(args), _asker(house, args)
    found = differences(entries, directory, terms, withdraw_missing=withdraw_missing)
    commands = commands_of(found, directory, asker, house.clock(), terms)
    application = _application(house)
    none_refused(refusals(application, commands, directory))
    await handle_all(
        application, commands, lambda done, of: out.progress("catalogue", done, of), origin=ORIGIN
    )
    await house.node.settle()
    return _report(found, commands, house.directory(), terms)


def _report(
    found: Sequence[Difference],
    commands: Sequence[ChangingCommand],
    directory: Directory,
    terms: Terms,
) -> dict[str, object]:
    """What became of each difference, told by what stands and waits now."""
    pending = {(c.section, c.key) for c in directory.pending.values()}
    counts = {"changed": 0, "withdrawn": 0, "proposed": 0, "waiting": 0}
    asked, refused_before = {(c.section, c.key) for c in commands}, []
    for one in found:
        name = (one.section, one.key)
        if one.owner is None or one.owner == terms.approved_by:
            counts["withdrawn" if one.after is None else "changed"] += 1
        elif name not in asked:
            counts["waiting"] += 1
        elif name in pending:
            counts["proposed"] += 1
        else:
            refused_before.append(f"{one.section} {one.key}")
    return {"first": False, **counts, "refused_before": refused_before}


async def diff(house: House, args: Mapping[str, object], _out: Out) -> dict[str, object]:
    """What an import of `file` would change, field by field. Raises: Invalid."""
    await house.node.settle()
    directory, terms = house.directory(), _terms(args)
    missing = args.get("withdraw_missing") is True
    text = await asyncio.to_thread(catalogue.text_of, str(args["file"]))
    entries = await asyncio.to_thread(read_entries, text, directory, replacing=missing)
    found = differences(entries, directory, terms, withdraw_missing=missing)
    return {"differences": [_shown(one) for one in found]}


def _shown(one: Difference) -> dict[str, object]:
    what = "withdrawn" if one.after is None else "new" if one.before is None else "changed"
    return {
        "section": one.section,
        "key": one.key,
        "what": what,
        "owner": one.owner,
        "waiting": one.waiting,
        "fields": [
            {"field": name, "before": before, "after": after}
            for name, before, after in fields_changed(one.before, one.after)
        ],
    }


async def export(house: House, args: Mapping[str, object], _out: Out) -> dict[str, object]:
    """The catalogue as TOML, as it stands or stood at `at`."""
    await house.node.settle()
    directory = house.directory()
    at = args.get("at")
    if at is not None:
        directory = directory.at(datetime.fromisoformat(str(at)))
    return {
        "toml": to_toml(directory),
        "entries": sum(len(directory.rows(name)) for name in (*SECTIONS, *TABLES)),
    }


async def check(house: House, args: Mapping[str, object], _out: Out) -> dict[str, object]:
    """Whether `file` fits what stands. Raises: Invalid, listing every fault with its line."""
    await house.node.settle()
    text = await asyncio.to_thread(catalogue.text_of, str(args["file"]))
    return {"entries": len(await asyncio.to_thread(read_entries, text, house.directory()))}


async def show(house: House, args: Mapping[str, object], _out: Out) -> dict[str, object]:
    """An entry with all its versions, or the keys of a section. Raises: Invalid, EntryUnknown."""
    await house.node.settle()
    directory, section = house.directory(), str(args["section"])
    if section not in SECTIONS and section not in TABLES:
        known = ", ".join([*SECTIONS, *sorted(TABLES)])
        said = _("there is no section {section}; there are {known}")
        raise Invalid(said.format(section=section, known=known))
    if args.get("key") is None:
        return {"section": section, "keys": sorted(directory.rows(section))}
    key = str(args["key"])
    return {"section": section, "key": key, **versions_of(directory, section, key)}


async def changes(house: House, _args: Mapping[str, object], _out: Out) -> dict[str, object]:
    """The proposed changes that wait for their owners, oldest first."""
    await house.node.settle()
    directory = house.directory()
    found = sorted(directory.pending.values(), key=lambda change: change.proposed_at)
    return {"changes": [change_shown(change, directory) for change in found]}


async def approve(house: House, args: Mapping[str, object], _out: Out) -> dict[str, object]:
    """Approve a proposed change for its owner. Raises: Refused."""
    decision = args.get("decision")
    more = {"decision": None if decision is None else str(decision)}
    return await _judge(house, args, ApproveChange, more)


async def refuse(house: House, args: Mapping[str, object], _out: Out) -> dict[str, object]:
    """Refuse a proposed change for its owner. Raises: Refused."""
    return await _judge(house, args, RefuseChange, {"reason": str(args["reason"])})


async def take_back(house: House, args: Mapping[str, object], _out: Out) -> dict[str, object]:
    """Take one's own proposed change back. Raises: Refused."""
    return await _judge(house, args, TakeBackChange, {"reason": str(args["reason"])})


async def _judge(
    house: House, args: Mapping[str, object], kind: type[EntryCommand], more: Mapping[str, Any]
) -> dict[str, object]:
    await house.node.settle()
    change, asker = _change(house.directory(), str(args["change"])), _asker(house, args)
    command = kind(
        id=uuid4(),
        now=house.clock(),
        actor=asker.id,
        asker=asker,
        section=change.section,
        key=change.key,
        **{"change": change.id, **more},
    )
    try:
        answer = await _application(house).handle(command, origin=ORIGIN)
    except NoSuchCase as e:  # nothing about a proposal is secret: say whose it is
        said = _("{section} {key} is {owner}'s matter; {by} may not speak for {owner}")
        raise NotAllowed(
            said.format(section=change.section, key=change.key, owner=change.owner, by=asker.id)
        ) from e
    return {
        "change": change.id,
        "section": change.section,
        "key": change.key,
        "events": [event.TOPIC for event in answer.recorded],
    }


def _change(directory: Directory, said: str) -> Change:
    """The waiting proposal whose id begins so. Raises: ChangeUnknown, Invalid."""
    found = [change for name, change in directory.pending.items() if name.startswith(said)]
    if not found or not said:
        raise ChangeUnknown
    if len(found) > 1:
        ids = ", ".join(change.id for change in found)
        raise Invalid(_("several proposals begin so: {ids}").format(ids=ids))
    return found[0]


async def lathundar(house: House, _args: Mapping[str, object], _out: Out) -> dict[str, object]:
    """How far each authority's routines are mapped (R59)."""
    await house.node.settle()
    return {"authorities": mapping_status(house.directory())}


def _terms(args: Mapping[str, object]) -> Terms:
    effective = args.get("effective_from")
    by, decision = args.get("approved_by"), args.get("decision")
    if by is not None and decision is None:
        said = _("--approved-by needs --decision: the reference of where it is recorded")
        raise Invalid(said)
    return Terms(
        None if effective is None else datetime.fromisoformat(str(effective)),
        None if by is None else str(by),
        None if decision is None else str(decision),
    )


def _asker(house: House, args: Mapping[str, object]) -> Asker:
    by = args.get("as")
    return house.asker(str(by)) if by else OPERATOR


def _application(house: House) -> Application:
    return Application(house.node, house.directory, product_events(house.node))
