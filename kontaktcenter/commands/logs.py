"""`log show|tail|verify|export`: the log as it is; personal data stay sealed."""

from __future__ import annotations

import asyncio
import json
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec

from core.errors import NotFound, Refused
from core.eventlog.verify import verify_shard
from kontaktcenter.edge import Exit
from kontaktcenter.words import _

if TYPE_CHECKING:
    from collections.abc import Mapping

    from core.eventlog.node import FeedCommit, Node
    from kontaktcenter.out import Out
    from kontaktcenter.wiring import House

_BATCH: Final = 500
_WAKE_S: Final = 30.0  # `tail` looks up so often even where nothing happens


def _shards(node: Node, asked: object) -> list[str]:
    """The shards asked for; all of them for None. Raises: NotFound."""
    names = node.shards()
    if asked is None:
        return names
    if asked not in names:
        said = _("there is no shard {name}; there are: {names}")
        raise NotFound(said.format(name=asked, names=", ".join(names)))
    return [str(asked)]


def _row(found: FeedCommit) -> dict[str, object]:
    """A commit as one line: where it stands, and the commit as the log holds it."""
    row: dict[str, object] = {
        "shard": found.shard,
        "position": found.position,
        "seq": found.first_seq,
    }
    row.update(json.loads(msgspec.json.encode(found.commit)))
    return row


async def show(house: House, args: Mapping[str, object], out: Out) -> dict[str, object]:
    """Commits after a position, shard by shard; at most `limit` in all."""
    await house.node.settle()
    left = int(str(args["limit"]))
    for shard in _shards(house.node, args["shard"]):
        after = int(str(args["after"]))
        while left > 0:
            batch = await asyncio.to_thread(house.node.read, shard, after, min(left, _BATCH))
            if not batch:
                break
            for found in batch:
                await out.line(_row(found))
            after, left = batch[-1].position, left - len(batch)
    return {}


async def tail(house: House, args: Mapping[str, object], out: Out) -> dict[str, object]:
    """The last commits of each shard, then each new one as it comes; never ends by itself."""
    await house.node.settle()
    fixed = None if args["shard"] is None else _shards(house.node, args["shard"])
    seen = {
        shard: max(0, position - int(str(args["lines"])))
        for shard, position in house.node.positions().items()
    }
    while True:
        upto = house.node.positions()
        for shard in fixed or house.node.shards():
            batch = await asyncio.to_thread(_after, house.node, shard, seen.get(shard, 0))
            for found in batch:
                await out.line(_row(found))
            # A commit without events is not in the feed, so where the shard stood before reading
            # counts too.
            upto[shard] = max([upto.get(shard, 0), *(found.position for found in batch[-1:])])
        seen.update(upto)
        await house.node.changed(seen, _WAKE_S)


def _after(node: Node, shard: str, after: int) -> list[FeedCommit]:
    found: list[FeedCommit] = []
    while batch := node.read(shard, after, _BATCH):
        found += batch
        after = batch[-1].position
    return found


def shown(digests: Mapping[str, tuple[int, str]]) -> dict[str, dict[str, object]]:
    """Digests as they are printed and kept in a backup's manifest."""
    return {name: {"position": at[0], "digest": at[1]} for name, at in sorted(digests.items())}


async def export(house: House, args: Mapping[str, object], out: Out) -> dict[str, object]:
    """Every commit as a line of JSON, to the new file `to`, or line by line where there is none."""
    await house.node.settle()
    shards = _shards(house.node, args["shard"])
    if "to" not in args:
        return {"commits": await _export_lines(house.node, shards, out)}
    return {"commits": await _export_file(house.node, shards, Path(str(args["to"])), out)}


async def _export_lines(node: Node, shards: list[str], out: Out) -> int:
    commits = 0
    for shard in shards:
        after = 0
        while batch := await asyncio.to_thread(node.read, shard, after, _BATCH):
            for found in batch:
                await out.line(_row(found))
            after, commits = batch[-1].position, commits + len(batch)
    return commits


async def _export_file(node: Node, shards: list[str], to: Path, out: Out) -> int:
    if to.exists():  # noqa: ASYNC240 -- one look at a folder of this machine
        raise Refused(_("{file} is there already: choose another name").format(file=to))
    commits, ends = 0, node.positions()
    with to.open("x", encoding="utf-8") as file:
        for shard in shards:
            after = 0
            while batch := await asyncio.to_thread(node.read, shard, after, _BATCH):
                file.writelines(
                    json.dumps(_row(found), ensure_ascii=False) + "\n" for found in batch
                )
                after, commits = batch[-1].position, commits + len(batch)
                out.progress(shard, after, ends.get(shard))
    return commits


async def verify(house: House, _args: Mapping[str, object], out: Out) -> dict[str, object]:
    """Judge the whole log anew and compare the index with it; exit code 1 where they differ."""
    shards: dict[str, dict[str, object]] = {}
    for name in house.node.shards():
        step = partial(out.progress, name)
        report = await verify_shard(house.node, name, step)
        shards[name] = {
            "position": report.position,
            "digest": report.digest,
            "ok": report.ok,
            "records": report.records,
            "faults": report.faults,
        }
        for fault in report.faults:
            await out.warn(f"{name}: {fault}")
    whole = all(shard["ok"] for shard in shards.values())
    if not whole:
        await out.warn(
            _(
                "The index differs from the log. Stop the node and delete the folder index: "
                "it is rebuilt from the log."
            )
        )
    return {"ok": whole, "shards": shards, "exit": Exit.DONE if whole else Exit.ERROR}
