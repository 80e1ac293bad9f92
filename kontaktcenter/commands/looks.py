"""`looks verify|search`, `person export`: who looked at whom, and all about one person."""

from __future__ import annotations

import asyncio
import json
from contextlib import aclosing
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from core.access import Deed, Place, purpose_of, require
from core.errors import Corrupt, Invalid, NotFound
from core.eventlog.codec import decode_event
from core.eventlog.envelope import LoggedCommit
from core.eventlog.verify import judged
from core.looks import End, Look, PersonLookedAt, Verification, beginning, verify_one, verify_whole
from core.vocabulary import LOOKS
from kontaktcenter.edge import Exit
from kontaktcenter.words import _
from projections.look_queries import looks_of
from webdesk.looks import LooksAsked, looks_query
from webdesk.people import PeopleDesk

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from kontaktcenter.out import Out
    from kontaktcenter.wiring import House

_COMMIT = msgspec.json.Decoder(LoggedCommit)


# --- verify ---------------------------------------------------------------------------------------
async def verify(house: House, args: Mapping[str, object], out: Out) -> dict[str, object]:
    """Walk every chain of looks, in the log itself or in an export; exit code 1 with faults.

    `noted` is an earlier answer as JSON: each chain has to go through the end that stands there.
    """
    noted = await asyncio.to_thread(_noted, args.get("noted"))
    file = args.get("file")
    if file is None:
        found = await _verify_log(house, noted)
    else:
        found = await asyncio.to_thread(_verify_export, Path(str(file)), noted)
    for fault in found.faults:
        await out.warn(fault)
    return {
        "ok": not found.faults,
        "looks": found.looks,
        "ends": {stream: end._asdict() for stream, end in sorted(found.ends.items())},
        "faults": found.faults,
        "exit": Exit.ERROR if found.faults else Exit.DONE,
    }


async def _verify_log(house: House, noted: Mapping[str, End]) -> Verification:
    found = Verification()
    await house.node.settle()
    for name in house.node.shards():
        if name.rpartition("/")[0] != LOOKS:
            continue
        try:
            async with aclosing(judged(house.node, name)) as commits:
                async for commit, accepted in commits:
                    _follow(found, commit, noted, accepted=accepted)
        except Corrupt as e:  # the record itself is damaged: no chain can be walked beyond it
            found.faults.append(f"{name}: {e.message}")
    return verify_whole(found, noted)


def _verify_export(file: Path, noted: Mapping[str, End]) -> Verification:
    found = Verification()
    for commit in _exported(file):
        _follow(found, commit, noted, accepted=True)
    return verify_whole(found, noted)


def _exported(file: Path) -> Iterator[LoggedCommit]:
    """The commits of looks in what `log export` wrote. Raises: NotFound, Corrupt."""
    try:
        with file.open(encoding="utf-8") as lines:
            for n, line in enumerate(lines, start=1):
                try:
                    if str(json.loads(line)["shard"]).rpartition("/")[0] == LOOKS:
                        yield _COMMIT.decode(line)
                except (ValueError, KeyError, TypeError, msgspec.MsgspecError) as e:
                    said = _("{file}, line {n}: this is no line of an exported log")
                    raise Corrupt(said.format(file=file, n=n)) from e
    except (OSError, UnicodeDecodeError) as e:
        raise NotFound(_("{file} cannot be read").format(file=file)) from e


def _follow(
    found: Verification, commit: LoggedCommit, noted: Mapping[str, End], *, accepted: bool
) -> None:
    """Follow the looks of one commit.

    One that is stale is a late copy, or a second writer's: its number had been taken. Where its
    number is still to come, the looks before it were taken out, which made it stale.
    """
    for logged in commit.events:
        if logged.type != PersonLookedAt.TOPIC:
            continue
        try:
            event = decode_event(logged.type, logged.schema, logged.data)
        except Corrupt as e:
            found.faults.append(f"{logged.stream}: {e.message}")
            continue
        assert isinstance(event, PersonLookedAt)
        if not accepted and event.n <= found.ends.get(logged.stream, beginning(logged.stream)).n:
            continue
        verify_one(found, Look(logged.stream, logged.version, logged.occurred_at, event), noted)


def _noted(file: object) -> dict[str, End]:
    if file is None:
        return {}
    try:
        ends = json.loads(Path(str(file)).read_text(encoding="utf-8"))["ends"]
        return {stream: End(int(end["n"]), str(end["hash"])) for stream, end in ends.items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as e:
        said = _("{file} is no answer of kontaktcenter looks verify --json")
        raise Invalid(said.format(file=file)) from e


# --- search ---------------------------------------------------------------------------------------
async def search(house: House, args: Mapping[str, Any], _out: Out) -> dict[str, object]:
    """Looks, the latest first, with the rights of the account that `as` names.

    The look into the read log is recorded first.
    """
    asker = house.asker(str(args["as"]))
    require(asker, Deed.READ_LOOKS, Place(), house.directory())
    asked = LooksAsked(
        number=args["person"], case=args["case"], who=args["who"], begin=_moment(args["from"]),
        end=_moment(args["to"]), after=args["after"], limit=int(args["limit"]),
    )  # fmt: skip
    await house.node.settle()
    await asyncio.to_thread(house.catch_up)
    query, seen = await asyncio.to_thread(
        looks_query, house.read_models, house.node.caller_ref, asked
    )
    purpose = purpose_of(asker, Deed.READ_LOOKS)
    await house.read_log.record(asker, Deed.READ_LOOKS.value, purpose, seen)
    found = await asyncio.to_thread(looks_of, house.read_models, query)
    return {**found, "next": found["next"] and str(found["next"])}


def _moment(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)


# --- person ---------------------------------------------------------------------------------------
async def export(house: House, args: Mapping[str, Any], _out: Out) -> dict[str, object]:
    """All about the person with that telephone number, as the account `as` may tell it."""
    asker = house.asker(str(args["as"]))
    await house.node.settle()
    await asyncio.to_thread(house.catch_up)
    desk = PeopleDesk(
        house.node, lambda: house.read_models, house.read_log, house.directory, house.clock
    )
    words: Iterable[str] = args["mask"] or ()
    return await desk.everything(asker, str(args["number"]), tuple(words))
